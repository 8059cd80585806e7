// NodeCommand: `node FILE`: runs a node until it is told to stop.
import StackCore
import StackRuntime

extension CommandLineTool {
  /// `node FILE`.
  var nodeCommand: CommandSpec {
    CommandSpec(
      name: "node", summary: "Runs a node.",
      discussion:
        "Runs until SIGINT or SIGTERM. SIGHUP reads the file again: each changed key is applied at once, or said to need "
        + "a restart.",
      positionals: [PositionalSpec(name: "file", summary: "The node's JSON file; see `\(program) config`.")],
      options: [
        OptionSpec(
          name: "log", value: "FORMAT", summary: "What log lines look like, whatever the file says.",
          choices: LogFormat.allCases.map(\.rawValue)),
        OptionSpec(
          name: "log-level", value: "LEVEL", summary: "The least important lines to write, whatever the file says.",
          choices: LogLevel.allCases.map(\.rawValue)),
        OptionSpec(
          name: "console", value: "FOLDER",
          summary: "Serve the console's page from this folder, for whoever edits it; else from the program itself."),
      ],
      examples: ["node alice.json", "node alice.json --log json --log-level debug"],
      action: { parsed, tool in try tool.runNode(parsed) })
  }

  private func runNode(_ parsed: ParsedArguments) throws -> Int32 {
    let path = parsed.positional("file") ?? ""
    let level = parsed.option("log-level").flatMap { LogLevel(rawValue: $0) }
    let file = try NodeFile.read(path, catalog: catalog)
    let format = parsed.option("log").flatMap { LogFormat(rawValue: $0) } ?? file.log
    let sink = LogSink(format: format == .json ? .json : .text, level: level ?? file.logLevel)
    let node: RealNode
    do throws(RuntimeError) { node = try RealNode(nodeOptions(file, path: path, level: level), log: sink) } catch {
      console.complain("\(path): \(error)")
      return error.kind == .configuration ? 2 : 1
    }
    ConsolePage.serve(on: node, from: parsed.option("console"))
    // A log that others may read is no place for the secret.
    if let control = node.control, console.environment("JOURNAL_STREAM") == nil {
      console.print("\(file.name)'s console: \(ConsolePage.address(control.address, token: node.token))")
    }
    node.run()
    return 0
  }

  /// What a node of a file is made from; it can be reloaded from the file, and its settings be changed there.
  func nodeOptions(_ file: NodeFile, path: String, level: LogLevel?) -> RealNodeOptions {
    var options = RealNodeOptions(file, version: version)
    options.logLevel = level ?? file.logLevel
    var current = file
    options.reload = { [catalog] in
      let new: NodeFile
      do throws(NodeFileError) { new = try NodeFile.read(path, catalog: catalog) } catch {
        throw RuntimeError(.configuration, path: "", error.lines.joined(separator: "; "))
      }
      let reload = RealNodeReload(
        peers: new.peers, layers: new.layers, logLevel: level == nil ? new.logLevel : nil,
        answers: current.restartAnswers(for: new))
      current.takeLiveKeys(of: new)
      return reload
    }
    options.configuration = NodeFileChange(path: path, catalog: catalog).configuration
    return options
  }
}

extension RealNodeOptions {
  /// What a file says.
  init(_ file: NodeFile, version: String) {
    self.init(name: file.name, listen: file.listen, dataDirectory: file.data)
    peers = file.peers
    control = file.control
    layers = file.layers
    limits.pathLimit = file.pathLimit
    limits.outboxBytes = file.outbox
    limits.neighbours = file.neighbours
    durability = file.durability == .power ? .power : .process
    workers = file.workers == 0 ? nil : file.workers
    logLevel = file.logLevel
    seed = file.seed
    self.version = version
  }
}

extension NodeFile {
  /// Keys that a running node takes on from a file that was read again.
  private static let liveKeys = ["peers", "logLevel"]

  /// The core's keys that differ from those the node was started with, and are in force only after a restart.
  func restartAnswers(for new: NodeFile) -> [ReloadAnswer] {
    let old = settings.objectValue ?? [:]
    let wanted = new.settings.objectValue ?? [:]
    // A key without a value stands in one of them only.
    let keys = old.keys + wanted.keys.filter { old[$0] == nil }
    return keys.filter { !Self.liveKeys.contains($0) && old[$0] != wanted[$0] }.map {
      ReloadAnswer(path: $0, outcome: .needsRestart)
    }
  }

  /// Notes that the live keys of another reading are in force.
  mutating func takeLiveKeys(of new: NodeFile) {
    peers = new.peers
    logLevel = new.logLevel
    layers = new.layers
    for key in Self.liveKeys { settings[key] = new.settings[key] }
  }
}
