// Layers: the small layers that the benchmarks run: an echo, a bulk mover and a gossip-like flood.
import StackCore

/// A message whose packet has 100 bytes.
struct SmallMessage: WireMessage {
  var number: UInt64 = 0
  var sent = Fixed64(0)
  var first = Hash256()
  var second = Hash256()
  var mark = Fixed64(0)

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "number", &number)
    try field(2, "sent", &sent)
    try field(3, "first", &first)
    try field(4, "second", &second)
    try field(5, "mark", &mark)
  }
}

/// Answers each message; started with a window, keeps so many under way and counts the answers.
final class EchoLayer: ProtocolLayer {
  struct Config: LayerConfig {
    @Setting("How many messages are kept under way; 0 only answers.") var window = 0
  }
  enum Timer { case check }
  struct Counted: CommandInput {}
  static let manifest = LayerManifest("echo", "Answers each message.")
  let window: Int
  var count: UInt64 = 0
  private var before: UInt64 = 0

  init(config: Config, setup: LayerSetup<EchoLayer>) {
    window = config.window
    setup.on(1000, SmallMessage.self, EchoLayer.asked)
    setup.on(1001, SmallMessage.self, EchoLayer.answered)
    setup.command("count", "How many answers came.", EchoLayer.counted)
  }

  func start(_ context: borrowing LayerContext<EchoLayer>) { if window > 0 { fill(context) } }

  private func fill(_ context: borrowing LayerContext<EchoLayer>) {
    for number in 0..<window { context.sendToNeighbours(SmallMessage(number: 1 << 60 + UInt64(number)), as: 1000) }
    context.arm(.check, after: .milliseconds(100))
  }

  /// Should datagrams have been lost, the window is filled anew.
  func timerFired(_ timer: Timer, _ context: borrowing LayerContext<EchoLayer>) {
    if count == before { fill(context) } else { context.arm(.check, after: .milliseconds(100)) }
    before = count
  }

  func asked(_ message: SmallMessage, from: Address, _ context: borrowing LayerContext<EchoLayer>) {
    context.send(message, as: 1001, to: from)
  }

  func answered(_ message: SmallMessage, from: Address, _ context: borrowing LayerContext<EchoLayer>) {
    count += 1
    context.send(message, as: 1000, to: from)
  }

  func counted(_ input: Counted, _ context: borrowing LayerContext<EchoLayer>) throws -> UInt64 { count }
}

/// Moves 8 KiB messages one way. The receiver grants credit, so that nothing is lost for want of a buffer.
final class BulkLayer: ProtocolLayer {
  struct Config: LayerConfig {
    @Setting("How many messages may be under way; 0 only receives.") var window = 0
  }
  enum Timer { case check }
  struct Blob: WireMessage {
    var data: [UInt8] = []
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "data", &data) }
  }
  struct Credit: WireMessage {
    var received: UInt64 = 0
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "received", &received) }
  }
  static let manifest = LayerManifest("bulk", "Moves 8 KiB messages.")
  static let size = 8192
  let window: UInt64
  var count: UInt64 = 0
  private var sent: UInt64 = 0
  private var credited: UInt64 = 0
  private var before: UInt64 = 0
  private let blob = Blob(data: [UInt8](repeating: 7, count: BulkLayer.size))

  init(config: Config, setup: LayerSetup<BulkLayer>) {
    window = UInt64(config.window)
    setup.onRaw(1000, Blob.self, BulkLayer.took)
    setup.on(1001, Credit.self, BulkLayer.credit)
    setup.command("count", "How many messages came.", BulkLayer.counted)
  }

  func start(_ context: borrowing LayerContext<BulkLayer>) { if window > 0 { push(context) } }

  private func push(_ context: borrowing LayerContext<BulkLayer>) {
    while sent < credited + window {
      sent += 1
      context.sendToNeighbours(blob, as: 1000)
    }
    if !context.isArmed(.check) { context.arm(.check, after: .milliseconds(100)) }
  }

  func timerFired(_ timer: Timer, _ context: borrowing LayerContext<BulkLayer>) {
    if credited == before { sent = credited }
    before = credited
    push(context)
  }

  func took(
    _ reader: inout WireReader, from: Address, _ context: borrowing LayerContext<BulkLayer>
  ) throws(WireError) {
    guard let tag = try reader.nextTag(), tag.number == 1, tag.type == .bytes else { throw .badValue }
    let data = try reader.readBytes()
    guard data.byteCount == BulkLayer.size else { throw .badLength }
    count += 1
    if count % 16 == 0 { context.send(Credit(received: count), as: 1001, to: from) }
  }

  func credit(_ credit: Credit, from: Address, _ context: borrowing LayerContext<BulkLayer>) {
    credited = max(credited, credit.received)
    push(context)
  }

  func counted(_ input: NoInput, _ context: borrowing LayerContext<BulkLayer>) throws -> UInt64 { count }
}

/// Floods what it hears for the first time, as gossip does: the simulator's load.
final class FloodLayer: ProtocolLayer {
  struct Rumor: WireMessage {
    var origin: UInt64 = 0
    var number: UInt32 = 0
    var text = Hash256()
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "origin", &origin)
      try field(2, "number", &number)
      try field(3, "text", &text)
    }
  }
  enum Timer { case speak }
  struct Config: LayerConfig {
    @Setting("How often the node says something; 0 s never.") var interval = Duration.seconds(0)
  }
  static let manifest = LayerManifest("flood", "Passes on what it hears for the first time.")
  private var seen: [UInt64: UInt32] = [:]
  private var own: UInt32 = 0
  let interval: Duration

  init(config: Config, setup: LayerSetup<FloodLayer>) {
    interval = config.interval
    setup.on(1000, Rumor.self, FloodLayer.heard)
  }

  func start(_ context: borrowing LayerContext<FloodLayer>) {
    if interval > .zero { context.arm(.speak, after: .nanoseconds(context.random(below: Int(interval.nanoseconds)))) }
  }

  func timerFired(_ timer: Timer, _ context: borrowing LayerContext<FloodLayer>) {
    own += 1
    context.sendToNeighbours(Rumor(origin: context.address.low, number: own), as: 1000)
    context.arm(.speak, after: interval)
  }

  func heard(_ rumor: Rumor, from: Address, _ context: borrowing LayerContext<FloodLayer>) {
    guard rumor.number > seen[rumor.origin, default: 0], rumor.origin != context.address.low else { return }
    seen[rumor.origin] = rumor.number
    context.sendToNeighbours(rumor, as: 1000, except: from)
  }
}
