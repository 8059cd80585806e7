// RealNodeBench: a layer to try nodes with, and a loop that is turned on the test's own thread until something holds.
import StackCore
import Testing

@testable import StackRuntime

/// A layer with one of everything.
final class Parrot: ProtocolLayer {
  struct Config: LayerConfig {
    @Setting("What it says first.", live: true) var greeting = "hello"
    @Setting("How many it keeps.", in: 1...1000) var limit = 10
  }
  enum Timer: Hashable { case tick }
  struct Word: WireMessage {
    var bytes: [UInt8] = []
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "bytes", &bytes) }
  }
  struct Back: WireMessage {
    var size: UInt64 = 0
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "size", &size) }
  }
  struct Heard: Codable, Sendable { var size: Int }
  struct Send: CommandInput {
    @Argument("To whom.") var peer: Address
    @Argument("How many bytes.", in: 0...60_000) var size: Int = 1
  }
  struct Sent: Codable, Sendable { var bytes: Int }
  struct Pair: CommandInput {
    @Argument("The key.", count: 1...100) var key: String
    @Argument("The value.") var value: String? = nil
  }
  struct Value: Codable, Sendable { var value: String? }
  struct Steps: CommandInput { @Argument("How many steps; none: for ever.") var steps: Int? = nil }
  struct Step: Codable, Sendable { var step: Int }
  struct Kind: CommandInput { @Argument("Which kind of refusal.") var kind: CommandError.Kind }
  struct Greeting: Codable, Sendable { var greeting: String }

  static let heard = EventPort<Heard>("heard", "A word was heard.")
  static let manifest = LayerManifest("parrot", "Says back what it hears.")

  var greeting: String
  private var running: [(call: CommandCall<Step, Step>, step: Int, steps: Int?)] = []
  private(set) var cancelled = 0
  private let words: Counter
  private let sizes: Histogram

  init(config: Config, setup: LayerSetup<Parrot>) {
    greeting = config.greeting
    words = setup.counter("wordsHeard", "Words heard.")
    sizes = setup.histogram("wordSize", "How long words are.", bounds: [1, 100, 10_000])
    setup.gauge("callsRunning", "Calls that go on.") { Double($0.running.count) }
    setup.event(Parrot.heard)
    setup.on(1000, Word.self, Parrot.said)
    setup.on(1001, Back.self, Parrot.saidBack)
    setup.command("send", "Says a word to somebody.", Parrot.send)
    setup.command("keep", "Keeps a value.", Parrot.keep)
    setup.command("kept", "Tells what was kept.", Parrot.kept)
    setup.command("refuse", "Refuses.", Parrot.refuse)
    setup.command("greet", "Tells the greeting.", Parrot.greet)
    setup.stream("count", "Counts.", Parrot.count, cancelled: Parrot.stopCounting)
    setup.stream("work", "Works elsewhere.", Parrot.work)
  }

  func timerFired(_ timer: Timer, _ context: borrowing LayerContext<Parrot>) {
    for place in running.indices {
      running[place].step += 1
      let (call, step, steps) = running[place]
      if let steps, step > steps { call.finish(Step(step: steps)) } else { call.progress(Step(step: step)) }
    }
    running.removeAll { $0.call.isOver }
    if !running.isEmpty { context.arm(.tick, after: .milliseconds(1)) }
  }

  func reconfigured(_ config: Config, _ context: borrowing LayerContext<Parrot>) { greeting = config.greeting }

  private func said(_ word: Word, by peer: Address, _ context: borrowing LayerContext<Parrot>) {
    words.add()
    sizes.record(Double(word.bytes.count))
    context.publish(Heard(size: word.bytes.count), on: Parrot.heard)
    context.send(Back(size: UInt64(word.bytes.count)), as: 1001, to: peer)
  }
  private func saidBack(_ back: Back, by peer: Address, _ context: borrowing LayerContext<Parrot>) {
    context.publish(Heard(size: -Int(back.size)), on: Parrot.heard)
  }
  private func send(_ input: Send, _ context: borrowing LayerContext<Parrot>) -> Sent {
    context.send(Word(bytes: [UInt8](repeating: 7, count: input.size)), as: 1000, to: input.peer)
    return Sent(bytes: input.size)
  }
  private func keep(_ input: Pair, _ context: borrowing LayerContext<Parrot>) throws -> Value {
    try context.storage.set(Array(input.key.utf8), Array((input.value ?? "").utf8))
    context.sendToNeighbours(Word(bytes: [1]), as: 1000)
    return Value(value: input.value)
  }
  private func kept(_ input: Pair, _ context: borrowing LayerContext<Parrot>) throws -> Value {
    Value(value: try context.storage.get(Array(input.key.utf8)).map { String(decoding: $0, as: UTF8.self) })
  }
  private func refuse(_ input: Kind, _ context: borrowing LayerContext<Parrot>) throws -> Value {
    throw CommandError(input.kind, code: "so-it-is", "refused as asked")
  }
  private func greet(_: NoInput, _ context: borrowing LayerContext<Parrot>) -> Greeting { Greeting(greeting: greeting) }
  private func count(_ input: Steps, _ call: CommandCall<Step, Step>, _ context: borrowing LayerContext<Parrot>) throws
  {
    if let steps = input.steps, steps < 0 { throw CommandError(.invalid, code: "no-steps", "steps can't be negative") }
    running.append((call, 0, input.steps))
    context.arm(.tick, after: .zero)
  }
  private func stopCounting(_ call: CommandCall<Step, Step>, _ context: borrowing LayerContext<Parrot>) {
    cancelled += 1
    running.removeAll { $0.call === call }
  }
  private func work(_: NoInput, _ call: CommandCall<Step, Step>, _ context: borrowing LayerContext<Parrot>) {
    var call: CommandCall<Step, Step>? = call
    let isTaken = context.offload({ (1...100).reduce(0, +) }) { layer in
      { sum, _ in
        call?.finish(Step(step: sum))
        call = nil
      }
    }
    if !isTaken { call?.fail(CommandError(.unavailable, "too much to do")) }
  }
}

/// A layer that a reload may switch on.
final class Bystander: ProtocolLayer {
  static let manifest = LayerManifest("bystander", "Does nothing.")
  init(config: NoConfig, setup: LayerSetup<Bystander>) {}
}

/// Nodes on one loop, turned by the test.
final class RealNodeBench {
  let loop: EventLoop
  let scratch: ScratchDirectory
  private let pool = WorkerPool(threads: 4)
  private(set) var lines: [String] = []

  init() throws {
    loop = try EventLoop()
    scratch = try ScratchDirectory()
  }
  deinit { pool.abandon() }

  func options(_ name: String, control: Bool = true) -> RealNodeOptions {
    var options = RealNodeOptions(name: name, listen: SocketTests.loopback, dataDirectory: scratch.path(name))
    options.control = control ? SocketTests.loopback : nil
    options.layers = [(Parrot.self, .object([:]))]
    options.seed = 7
    options.version = "1.2.3"
    return options
  }

  /// A node that runs.
  func node(_ options: RealNodeOptions) throws -> RealNode {
    let node = try build(options)
    node.start()
    return node
  }

  func build(_ options: RealNodeOptions) throws(RuntimeError) -> RealNode {
    let log = LogSink { [unowned self] in self.lines.append(String(decoding: $0, as: UTF8.self)) }
    return try RealNode(options, loop: loop, log: log)
  }

  /// Turns the loop until something holds; a minute is ample.
  func until(_ what: Comment, _ holds: () -> Bool) throws {
    var isOver = false
    let limit = loop.timer { isOver = true }
    limit.set(after: .seconds(60))
    while !isOver, !holds() { loop.turn() }
    limit.cancel()
    try #require(!isOver, what)
  }

  /// Does something on another thread while the loop turns.
  func meanwhile<Outcome: Sendable>(_ what: @escaping @Sendable () -> Outcome) throws -> Outcome {
    var outcome: Outcome?
    let completion = loop.expect { (value: Outcome) in outcome = value }
    #expect(pool.submit { completion.finish(what()) })
    try until("the client has its answer") { outcome != nil }
    return try #require(outcome)
  }

  /// Asks a node's control port, with its token unless headers are given.
  func ask(
    _ node: RealNode, _ method: String, _ path: String, headers: [HTTPField]? = nil, _ body: JSON? = nil
  ) throws -> ControlAnswer {
    let port = try #require(node.control).address.port
    var all = headers ?? [HTTPField("Authorization", "Bearer \(node.token)")]
    if body != nil, !all.contains(where: { $0.name == "Content-Type" }) {
      all.append(HTTPField("Content-Type", "application/json"))
    }
    let bytes = body.map { Array($0.text().utf8) } ?? []
    return try ask(port, method, path, all, bytes)
  }

  func ask(
    _ port: UInt16, _ method: String, _ path: String, _ headers: [HTTPField], _ body: [UInt8]
  ) throws -> ControlAnswer {
    ControlAnswer(try meanwhile { HTTPTests.ask(method, port, path, headers: headers, body: body) })
  }

  /// Calls a command without HTTP, and answers the last piece of its answer.
  func call(_ node: RealNode, _ command: String, _ input: JSON) throws -> CommandReply {
    var last: CommandReply?
    node.call("parrot", command, input) { if $0.isLast { last = $0 } }
    try until("the command \(command) has ended") { last != nil }
    return try #require(last)
  }

  /// Stops a node, and waits until it has.
  func stop(_ node: RealNode) throws {
    node.stop()
    try until("the node has stopped") { node.state == .stopped }
  }
}

/// What the control port answered.
struct ControlAnswer {
  var status: Int
  var headers: [HTTPField]
  var body: String

  init(_ answer: HTTPTests.Answer) {
    (status, headers, body) = (answer.status, answer.headers, answer.body)
    if !answer.error.isEmpty { Issue.record("no answer: \(answer.error)") }
  }

  var json: JSON { (try? JSON.parse(body)) ?? .null }
  var code: String { json["code"]?.stringValue ?? "" }
  func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }
}
