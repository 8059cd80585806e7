// DemoCommand: `demo FOLDER`: a small living network of all the nodes whose files lie in a folder, until Ctrl-C.
import Glibc
import StackCore
import StackRuntime

extension CommandLineTool {
  /// `demo FOLDER`.
  var demoCommand: CommandSpec {
    CommandSpec(
      name: "demo", summary: "Runs a small network of nodes to look at, with a little talk going on.",
      discussion:
        "Runs a node for each JSON file of the folder, from copies in a temporary folder that is removed at the end, or "
        + "else by the next demo. If one of their ports is taken, all of them move on, and each peer with them. What a file "
        + "shares by a relative path is looked for beside it. Ctrl-C ends it.",
      positionals: [PositionalSpec(name: "folder", summary: "The folder of the nodes' files.", completes: .folders)],
      options: [
        OptionSpec(name: "quiet", short: "q", summary: "No talk but your own."),
        OptionSpec(name: "seconds", value: "N", summary: "End by itself after so many seconds."),
        OptionSpec(name: "any-ports", summary: "Take any free ports, rather than those of the files."),
        OptionSpec(name: "console", value: "FOLDER", summary: "Serve the console's page from this folder."),
      ],
      examples: ["demo examples/demo"],
      action: { parsed, tool in try tool.runDemo(parsed) })
  }

  private func runDemo(_ parsed: ParsedArguments) throws -> Int32 {
    var seconds: Int?
    if let text = parsed.option("seconds") {
      guard let number = Int(text), number > 0 else {
        throw UsageError("--seconds: found \"\(harmless(text))\", expected a whole number of at least 1")
      }
      seconds = number
    }
    var demo = try DemoFiles(folder: parsed.positional("folder") ?? "", catalog: catalog)
    let moved = try demo.findPorts(any: parsed.has("any-ports"))
    if let moved { console.print(moved) }
    let root = DemoFiles.temporary(console.environment)
    for folder in DemoFiles.removeDead(in: root) {
      console.print("A demo that was killed had left \(folder); it is removed.")
    }
    let work = try demo.copy(in: root)
    defer { removeTree(work) }
    let network = try DemoNetwork(demo, tool: self, page: parsed.option("console"))
    network.talks = !parsed.has("quiet")
    printDemo(network, demo)
    network.run(seconds: seconds)
    console.print("\nAll \(network.nodes.count) nodes have stopped; nothing is left behind.")
    return 0
  }

  private func printDemo(_ network: DemoNetwork, _ demo: DemoFiles) {
    console.print()
    console.heading("\(network.nodes.count) nodes are running. Open one of them in a browser on this machine:")
    console.print()
    for (node, file) in zip(network.nodes, demo.files) {
      guard let control = node.control else { continue }
      let name = file.name + String(repeating: " ", count: max(1, 8 - file.name.count))
      console.print("  \(console.styled(name, .bold))\(ConsolePage.address(control.address, token: node.token))")
      for line in wrapped(file.about ?? "", width: console.width - 10) where !line.isEmpty {
        console.print("          \(console.styled(line, .dim))")
      }
    }
    console.print()
    console.print("From another terminal, for example:")
    console.print()
    let first = demo.files.first?.path ?? ""
    // A program that isn't on the PATH is named as it was called.
    let called = CommandLine.arguments.first.flatMap { $0.contains("/") ? $0 : nil } ?? program
    console.print("  \(called) status --config \(first)")
    console.print("  \(called) gossip publish \"Hello, everybody\" --config \(first)")
    console.print("  \(called) events --follow --config \(demo.files.last?.path ?? "")")
    console.print()
    console.print("Ctrl-C ends all of them and removes what they kept.")
  }
}

/// The nodes of a demo, on one loop in one process.
final class DemoNetwork {
  private let loop: EventLoop
  private(set) var nodes: [RealNode] = []
  /// Whether there is some talk.
  var talks = true
  private var isEnding = false
  private var signals: [EventSource] = []
  private var timers: [LoopTimer] = []
  private var place = 0

  /// Builds all nodes; one that can't be built ends it, with the reason.
  init(_ demo: DemoFiles, tool: CommandLineTool, page: String?) throws {
    loop = try EventLoop()
    for item in demo.files {
      let file = try NodeFile.read(item.path, catalog: tool.catalog)
      // Six nodes say too much for a terminal that is to show six addresses; what matters is on the page.
      let sink = LogSink(format: .text, level: .warning)
      var options = tool.nodeOptions(file, path: item.path, level: .warning)
      options.workers = 1
      do throws(RuntimeError) {
        let node = try RealNode(options, loop: loop, log: sink)
        ConsolePage.serve(on: node, from: page)
        nodes.append(node)
      } catch {
        throw FailedError("\(item.path): \(error)")
      }
    }
  }

  /// Runs until all nodes have stopped, by Ctrl-C or each by its own.
  func run(seconds: Int?) {
    // Whoever started the process may have blocked them.
    var wanted = sigset_t()
    sigemptyset(&wanted)
    for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&wanted, number) }
    pthread_sigmask(SIG_UNBLOCK, &wanted, nil)
    for number in [SIGINT, SIGTERM, SIGHUP] {
      signals.append(loop.onSignal(number) { [unowned self] in self.end() })
    }
    for node in nodes { node.start() }
    if let seconds { after(.seconds(seconds)) { [unowned self] in self.end() } }
    if talks { after(.milliseconds(700)) { [unowned self] in self.say() } }
    while nodes.contains(where: { $0.state != .stopped }) { loop.turn() }
  }

  private func end() {
    guard !isEnding else { return }
    isEnding = true
    for node in nodes { node.stop(within: .milliseconds(500)) }
  }

  private func after(_ time: Duration, _ body: @escaping () -> Void) {
    timers.removeAll { $0.deadline == nil }
    let timer = loop.timer(body)
    timer.set(after: time)
    timers.append(timer)
  }

  /// The next line of the talk, by whoever is there to say it.
  private func say() {
    guard !isEnding else { return }
    let line = DemoTalk.lines[place % DemoTalk.lines.count]
    place += 1
    if let node = nodes.first(where: { $0.options.name == line.who }), node.state == .running {
      var input: JSON = ["text": .string(line.text)]
      if let topic = line.topic { input["topic"] = .string(topic) }
      if let name = line.to { input["name"] = .string(name) }
      // A node may have had the layer switched off; then the line is not said.
      node.call(line.to == nil ? "gossip" : "routing", line.to == nil ? "publish" : "send", input) { _ in }
    }
    // Once all is said, it begins again after a while.
    let pause = place % DemoTalk.lines.count == 0 ? Duration.seconds(40) : DemoTalk.pause(after: place)
    after(pause) { [unowned self] in self.say() }
  }
}
