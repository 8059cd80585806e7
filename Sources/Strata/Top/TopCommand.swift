// TopCommand: `top`: a live view of one node or of a whole network, in a terminal.
import Glibc
import StackCore
import StackRuntime

extension CommandLineTool {
  /// `top [NODE...]`.
  var topCommand: CommandSpec {
    CommandSpec(
      name: "top", summary: "Shows one node or several, live: traffic, neighbours, transfers, queues.",
      discussion:
        "NODE is a node's file, a node's data folder, or a folder of either. Without one it is the node that other "
        + "commands mean, or else the demo network that runs. Losses are known where both ends are among the nodes shown. "
        + "Without a terminal one picture is printed, made from two looks a second apart.",
      positionals: [
        PositionalSpec(
          name: "node", summary: "A node's file, its data folder, or a folder of these.", isRequired: false,
          takesRest: true, completes: .nodeFiles)
      ],
      options: ControlClient.options + [
        OptionSpec(name: "every", value: "DURATION", summary: "How often to look. Default: 1s."),
        OptionSpec(name: "once", summary: "Print one picture and end."),
        OptionSpec(name: "json", summary: "Print one picture as JSON."),
      ],
      examples: ["top", "top --config alice.json", "top examples/demo --every 500ms"],
      action: { parsed, tool in try tool.top(parsed) })
  }

  private func top(_ parsed: ParsedArguments) throws -> Int32 {
    var every = 1.0
    if let text = parsed.option("every") {
      guard let time = Duration(text: text), time >= .milliseconds(100), time <= .seconds(3600) else {
        throw UsageError("--every: found \"\(harmless(text))\", expected a duration from 100ms to 1h")
      }
      every = time.inSeconds
    }
    let watches = try watches(parsed)
    let isPlain = parsed.has("once") || parsed.has("json") || console.environment("TERM") == "dumb"
    if !isPlain, console.isTerminal, let terminal = RawTerminal() {
      return Top(watches, terminal: terminal, every: every, console: console).run()
    }
    return try snapshot(watches, every: min(every, 1), isJSON: parsed.has("json"))
  }

  /// The nodes that are meant.
  private func watches(_ parsed: ParsedArguments) throws -> [NodeWatch] {
    if let paths = parsed.positionals["node"] {
      return try RunningNodes.at(paths).map { NodeWatch($0, program: program) }
    }
    if parsed.has("control") { return [NodeWatch(try ControlClient(parsed, self), name: "")] }
    do {
      let path = try ControlClient.file(parsed, self)
      return [NodeWatch(try RunningNodes.ofFile(path), program: program)]
    } catch let error as UsageError {
      let demos = RunningNodes.demos(console.environment)
      guard let last = demos.last else {
        throw UsageError(
          "found no node to show, expected NODE, --config FILE, or a demo network that runs", help: error.help)
      }
      guard demos.count == 1 else {
        throw UsageError(
          "found \(demos.count) demo networks, expected one of them as NODE: \(demos.joined(separator: ", "))")
      }
      return RunningNodes.inFolder(last).map { NodeWatch($0, program: program) }
    }
  }

  /// One picture, from two looks.
  private func snapshot(_ watches: [NodeWatch], every: Double, isJSON: Bool) throws -> Int32 {
    var model = TopModel()
    model.take(watches.map { $0.sample(at: Top.seconds) })
    if model.samples.allSatisfy({ $0.failure != nil }), let failure = model.samples.first?.failure {
      throw FailedError(failure)
    }
    poll(nil, 0, Int32(every * 1000))
    model.take(watches.map { $0.sample(at: Top.seconds) })
    let frame = model.frame()
    if isJSON {
      console.print(frame.json.text(pretty: true))
    } else {
      let view = TopView(clock: console.clock)
      for row in view.rows(frame, width: console.width, height: 1000, program: program) {
        var row = row
        while row.text.last == " " { row.text.removeLast() }
        console.print(Top.styled(row, console))
      }
    }
    return frame.nodes.allSatisfy(\.isWell) ? 0 : 1
  }
}

/// The live view.
final class Top {
  private let watches: [NodeWatch]
  private let terminal: RawTerminal
  private let every: Double
  private let console: Console
  private var model = TopModel()
  private var only: Int?
  private var isPaused = false

  init(_ watches: [NodeWatch], terminal: RawTerminal, every: Double, console: Console) {
    self.watches = watches
    self.terminal = terminal
    self.every = every
    self.console = console
  }

  /// A clock that nobody sets, in seconds.
  static var seconds: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// Runs until a person or a signal ends it; the exit status.
  func run() -> Int32 {
    defer { terminal.close() }
    var next = Self.seconds
    var isFirst = true
    while true {
      if Self.seconds >= next, !isPaused {
        model.take(watches.map { $0.sample(at: Self.seconds) })
        // The first rates are there soon.
        next = Self.seconds + (isFirst ? min(0.5, every) : every)
        isFirst = false
        draw()
      }
      switch terminal.wait(.milliseconds(Int64(max(0, isPaused ? 3600 : next - Self.seconds) * 1000) + 1)) {
      case .key(let key): if !take(key) { return 0 }
      case .redraw: draw()
      case .end(let number): return number == SIGINT ? 0 : 128 + number
      case .gone: return 0
      case .timeout: break
      }
    }
  }

  /// Does what a key says; false to end.
  private func take(_ key: String) -> Bool {
    switch key {
    case "q", "Q", "\u{4}": return false
    case " ": isPaused.toggle()
    case "a", "\u{1b}": only = nil
    case "\u{1b}[C", "\u{1b}[B", "\u{1b}OC", "\u{1b}OB", "n", "l", "j": choose(1)
    case "\u{1b}[D", "\u{1b}[A", "\u{1b}OD", "\u{1b}OA", "p", "h", "k": choose(-1)
    default:
      if let number = Int(key), (1...watches.count).contains(number) { only = number - 1 }
    }
    draw()
    return true
  }

  /// Goes to the next or last node; beyond either end are all.
  private func choose(_ step: Int) {
    guard watches.count > 1 else { return }
    let place = (only ?? -1) + 1 + step
    let wrapped = (place + watches.count + 1) % (watches.count + 1)
    only = wrapped == 0 ? nil : wrapped - 1
  }

  private func draw() {
    let (columns, rows) = terminal.size
    let view = TopView(clock: console.clock, every: every)
    let picture = view.rows(
      model.frame(of: only), width: columns, height: rows, program: console.program, only: only, isPaused: isPaused)
    terminal.draw(picture.map { Self.styled($0, console) })
  }

  /// A row as the terminal shows it.
  static func styled(_ row: TopRow, _ console: Console) -> String {
    switch row.style {
    case .plain: row.text
    case .title: console.styled(row.text, .bold)
    case .dim: console.styled(row.text, .dim)
    case .bad: console.styled(row.text, .red)
    }
  }
}
