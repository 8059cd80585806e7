// CommandLineTool: the whole command: its layers, its console and its table of commands.
import StackCore

/// One invocation of the command.
final class CommandLineTool {
  /// The layers compiled in.
  let catalog: [any ProtocolLayer.Type]
  /// The version that `--version` prints.
  let version: String
  /// Where its words go.
  let console: Console

  init(catalog: [any ProtocolLayer.Type], version: String, console: Console) {
    self.catalog = catalog
    self.version = version
    self.console = console
  }

  /// What the program is called.
  var program: String { console.program }

  /// Does what the words say; the answer is the exit status.
  func run(_ words: [String]) -> Int32 {
    let status = attempt(words)
    guard status == 0, let failure = console.outputFailure else { return status }
    // Nobody must take half of an output for all of it.
    console.complain("the output can't be written: \(systemText(failure))")
    return 1
  }

  private func attempt(_ words: [String]) -> Int32 {
    do {
      return try run(rootCommand, words[...], path: program)
    } catch let error as UsageError {
      console.complain(error.description)
      if let help = error.help { console.write("Type \"\(help)\" for help.\n", to: .error) }
      return 2
    } catch let error as NodeFileError {
      for line in error.lines { line.hasPrefix(" ") ? console.write(line + "\n", to: .error) : console.complain(line) }
      return 2
    } catch {
      console.complain(harmless("\(error)"))
      return 1
    }
  }

  private func run(_ spec: CommandSpec, _ words: ArraySlice<String>, path: String) throws -> Int32 {
    if !spec.subcommands.isEmpty, let word = words.first, !word.hasPrefix("-") {
      guard let next = spec.subcommand(word) ?? (path == program ? layerCommand(word, words: words) : nil) else {
        throw unknownCommand(word, of: spec, path: path)
      }
      return try run(next, words.dropFirst(), path: "\(path) \(next.name)")
    }
    let parsed = try spec.parse(words, path: path)
    // A layer's command may have an argument of that name.
    if path == program, parsed.has("version") {
      console.print("\(program) \(version)")
      return 0
    }
    guard !parsed.wantsHelp else {
      for line in spec.helpLines(path: path, console: console) { console.print(line) }
      return 0
    }
    guard let action = spec.action else {
      throw UsageError(
        "a command is missing, expected one of \(spec.subcommands.map(\.name).joined(separator: ", "))",
        help: "\(path) --help")
    }
    do { return try action(parsed, self) } catch var error as UsageError {
      error.help = error.help ?? "\(path) --help"
      throw error
    }
  }

  /// A word that is no command, and the nearest that is one.
  func unknownCommand(_ word: String, of spec: CommandSpec, path: String) -> UsageError {
    let layers = path == program ? catalog.map { $0.manifest.name } : []
    let names = spec.subcommands.map(\.name) + layers
    let expected =
      nearest(word, among: names).map { "\"\($0)\" (did you mean that?)" }
      ?? "one of \(names.joined(separator: ", "))"
    return UsageError("found the unknown command \"\(harmless(word))\", expected \(expected)", help: "\(path) --help")
  }

  /// The table of all commands; those of layers come beside it, from their registrations.
  var rootCommand: CommandSpec {
    CommandSpec(
      name: program, summary: "Runs and drives nodes of a layered peer-to-peer protocol stack.",
      discussion: catalog.isEmpty
        ? ""
        : "`\(program) LAYER COMMAND` asks a running node's layer to do something. Layers: "
          + catalog.map { $0.manifest.name }.joined(separator: ", ") + ".",
      options: [OptionSpec(name: "version", short: "V", summary: "Print the version.")],
      subcommands: [
        nodeCommand, callCommand, statusCommand, neighboursCommand, metricsCommand,
        eventsCommand, reloadCommand,
        stopCommand, consoleCommand, demoCommand, layersCommand,
        configCommand, simCommand, wireCommand, protoCommand, helpCommand,
      ])
  }

  private var helpCommand: CommandSpec {
    CommandSpec(
      name: "help", summary: "Shows the help of a command.",
      positionals: [
        PositionalSpec(
          name: "command", summary: "The command, such as \"config check\".", isRequired: false, takesRest: true)
      ],
      action: { parsed, tool in
        try tool.run(tool.rootCommand, (parsed.positionals["command"] ?? [])[...] + ["--help"], path: tool.program)
      })
  }
}
