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
    var output: Schema
    var progress: Schema?
    var examples: [String]

    init(_ command: CommandDescription) {
      (name, summary, input, examples) = (command.name, command.summary, command.input, command.examples)
      (output, progress) = (command.output, command.progress)
    }

    init(_ json: JSON) {
      name = json["name"]?.stringValue ?? ""
      summary = json["summary"]?.stringValue ?? ""
      input = Schema(jsonSchema: json["input"] ?? [:])
      output = Schema(jsonSchema: json["output"] ?? [:])
      progress = json["progress"].flatMap { $0.isNull ? nil : Schema(jsonSchema: $0) }
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
          return try tool.call((name, command.name), input, (command.output, command.progress), parsed)
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
      examples: ["call gossip publish '{\"text\": \"Hello\"}'", "call gossip status"],
      action: { parsed, tool in
        var whole = ParsedArguments()
        whole.options["input"] = [parsed.positional("input") ?? "{}"]
        let input = try LayerCommandArguments(Schema(.any)).input(whole) { try readFile("-") }
        let (layer, name) = (parsed.positional("layer") ?? "", parsed.positional("command") ?? "")
        let known = tool.catalog.first { $0.manifest.name == layer }.flatMap { type in
          LayerReport(type, catalog: tool.catalog).commands.first { $0.name == name }
        }
        return try tool.call((layer, name), input, (known?.output, known?.progress), parsed)
      })
  }

  private func call(
    _ command: (layer: String, name: String), _ input: JSON, _ schemas: (output: Schema?, progress: Schema?),
    _ parsed: ParsedArguments
  ) throws -> Int32 {
    let client = try ControlClient(parsed, self)
    let isJSON = parsed.has("json")
    let progress = ProgressLine(console: console, isJSON: isJSON, schema: schemas.progress)
    // The layer is told that the caller has gone; some of what it does is the node's own, and goes on.
    let isWork = schemas.progress.map { Amount.isTold(by: $0) } ?? true
    let before =
      command.name == "download"
      ? signal(SIGINT, leaveDownload) : isWork ? signal(SIGINT, leaveWork) : signal(SIGINT, leaveNews)
    defer {
      signal(SIGINT, before)
      progress.end()
    }
    let result = try client.call(command.layer, command.name, input) { progress.show($0) }
    progress.end()
    isJSON ? console.print(result.text(pretty: true)) : console.show(result, as: schemas.output)
    return 0
  }
}

/// Ends the program while a download goes on.
private func leaveDownload(_ number: Int32) {
  leave("\nThe download goes on in the node; `downloads` shows it, `pause` and `cancel` end it.\n")
}

/// Ends the program while the node works.
private func leaveWork(_ number: Int32) { leave("\ninterrupted; the node may go on with what it has begun\n") }

/// Ends the program that only listened.
private func leaveNews(_ number: Int32) { leave("\n") }

/// Says something and ends, with nothing that a signal must not do.
private func leave(_ text: StaticString) {
  _ = write(2, text.utf8Start, text.utf8CodeUnitCount)
  _exit(130)
}
