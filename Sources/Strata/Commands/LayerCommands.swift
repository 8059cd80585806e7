// LayerCommands: `LAYER COMMAND`: asks a running node's layer to do something.
import Glibc
import StackCore

extension CommandLineTool {
  /// The commands of a layer that is compiled in, or that the running node has; nil when there is no such layer.
  func layerCommand(_ name: String, words: ArraySlice<String> = []) -> CommandSpec? {
    if let type = catalog.first(where: { $0.manifest.name == name }) {
      let report = LayerReport(type, catalog: catalog)
      if report.failure == nil {
        return layerSpec(name, report.manifest.summary, report.commands.map { KnownCommand($0) })
      }
    }
    guard let layer = runningLayer(name, words) else { return nil }
    let commands = (layer["commands"]?.arrayValue ?? []).map { KnownCommand($0) }
    return layerSpec(name, layer["summary"]?.stringValue ?? "", commands)
  }

  /// A command, whether compiled in or described by a running node.
  private struct KnownCommand {
    var name: String
    var summary: String
    var input: Schema
    var examples: [String]

    init(_ command: CommandDescription) {
      (name, summary, input, examples) = (command.name, command.summary, command.input, command.examples)
    }

    init(_ json: JSON) {
      name = json["name"]?.stringValue ?? ""
      summary = json["summary"]?.stringValue ?? ""
      input = Schema(jsonSchema: json["input"] ?? [:])
      examples = (json["examples"]?.arrayValue ?? []).compactMap(\.stringValue)
    }
  }

  /// What the running node says of a layer that isn't compiled in here.
  private func runningLayer(_ name: String, _ words: ArraySlice<String>) -> JSON? {
    // The command isn't known yet, so that only the options of every command can be looked for.
    var parsed = ParsedArguments()
    let list = Array(words)
    for (place, word) in list.enumerated() {
      for option in ControlClient.options {
        let names = ["--\(option.name)"] + (option.short.map { ["-\($0)"] } ?? [])
        if names.contains(word), place + 1 < list.count {
          parsed.options[option.name] = [list[place + 1]]
        } else if word.hasPrefix("--\(option.name)=") {
          parsed.options[option.name] = [String(word.dropFirst(option.name.count + 3))]
        }
      }
    }
    guard let client = try? ControlClient(parsed, self), let json = try? client.json("/v1/layers") else { return nil }
    let layers = json["layers"]?.arrayValue ?? json.arrayValue ?? []
    return layers.first { $0["name"]?.stringValue == name }
  }

  private func layerSpec(_ name: String, _ summary: String, _ commands: [KnownCommand]) -> CommandSpec {
    CommandSpec(
      name: name, summary: summary, discussion: commands.isEmpty ? "It has no commands." : "",
      subcommands: commands.map { command in
        let arguments = LayerCommandArguments(command.input)
        var spec = arguments.spec(
          layer: name, name: command.name, summary: command.summary, examples: command.examples)
        spec.options += ControlClient.options + [Self.jsonOption]
        spec.action = { parsed, tool in
          let input = try arguments.input(parsed) { try readFile("-") }
          return try tool.call(name, command.name, input, parsed)
        }
        return spec
      })
  }

  static let jsonOption = OptionSpec(
    name: "json", summary: "Print the result as JSON, and progress as a line of JSON each on standard error.")

  /// `call LAYER COMMAND [INPUT]`.
  var callCommand: CommandSpec {
    CommandSpec(
      name: "call", summary: "Runs any command of a running node; `\(program) LAYER COMMAND` is the short way.",
      positionals: [
        PositionalSpec(name: "layer", summary: "The layer."), PositionalSpec(name: "command", summary: "The command."),
        PositionalSpec(
          name: "input", summary: "The input as JSON, @FILE, or - for standard input; {} when left out.",
          isRequired: false),
      ],
      options: ControlClient.options + [Self.jsonOption],
      action: { parsed, tool in
        var whole = ParsedArguments()
        whole.options["input"] = [parsed.positional("input") ?? "{}"]
        let input = try LayerCommandArguments(Schema(.any)).input(whole) { try readFile("-") }
        return try tool.call(parsed.positional("layer") ?? "", parsed.positional("command") ?? "", input, parsed)
      })
  }

  private func call(_ layer: String, _ command: String, _ input: JSON, _ parsed: ParsedArguments) throws -> Int32 {
    let client = try ControlClient(parsed, self)
    let isJSON = parsed.has("json")
    let progress = ProgressLine(console: console, isJSON: isJSON)
    // The node cancels a call whose caller hangs up.
    let before = signal(SIGINT) { _ in
      let text: StaticString = "\ncancelled\n"
      _ = write(2, text.utf8Start, text.utf8CodeUnitCount)
      _exit(1)
    }
    defer {
      signal(SIGINT, before)
      progress.end()
    }
    let result = try client.call(layer, command, input) { progress.show($0) }
    progress.end()
    isJSON ? console.print(result.text(pretty: true)) : console.show(result)
    return 0
  }
}

/// Shows how far a call is: one line that changes on a terminal, else a line each time.
final class ProgressLine {
  private let console: Console
  private let isJSON: Bool
  private var isOpen = false

  init(console: Console, isJSON: Bool) {
    self.console = console
    self.isJSON = isJSON
  }

  /// Shows a piece of progress.
  func show(_ json: JSON) {
    if isJSON { return console.write(json.text() + "\n", to: .error) }
    guard console.errorIsTerminal else { return console.write(Self.text(json) + "\n", to: .error) }
    let text = Self.bar(json, width: min(console.width, 100)) ?? Self.text(json)
    console.write("\r\u{1b}[K" + text.prefix(max(10, console.width - 1)), to: .error)
    isOpen = true
  }

  /// Takes the line away.
  func end() {
    if isOpen { console.write("\r\u{1b}[K", to: .error) }
    isOpen = false
  }

  /// The progress in words: `received 5, total 10`.
  static func text(_ json: JSON) -> String {
    guard case .object(let members) = json else { return json.inOneCell }
    return members.map { "\($0.key) \($0.value.inOneCell)" }.joined(separator: ", ")
  }

  /// A bar, where the progress says how much of how much.
  static func bar(_ json: JSON, width: Int) -> String? {
    func number(_ names: [String]) -> Double? { names.lazy.compactMap { json[$0]?.doubleValue }.first }
    var fraction = number(["fraction"])
    if fraction == nil, let done = number(["done", "received", "bytesReceived", "chunksReceived", "count"]),
      let total = number(["total", "size", "bytesTotal", "chunksTotal"]), total > 0
    {
      fraction = done / total
    }
    guard let fraction, fraction.isFinite else { return nil }
    let part = min(max(fraction, 0), 1)
    let room = max(10, min(40, width - 40))
    let filled = Int(part * Double(room))
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: room - filled)
    return "\(bar) \(padded("\(Int(part * 100))%", 4)) \(text(json))"
  }
}
