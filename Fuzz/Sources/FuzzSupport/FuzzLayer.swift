// FuzzLayer: a layer with every way in that a layer can have, and the node the fuzzers try.
import StackCore
import StackSim

/// A message with every kind of field.
public struct Everything: WireMessage, Equatable {
  public struct Leaf: WireMessage, Equatable {
    public var name = ""
    public var leaves: [Leaf] = []
    public init() {}
    public mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "name", &name)
      try field(2, "leaves", &leaves, limit: 8)
    }
  }
  public var number: UInt64 = 0
  public var small: UInt32 = 0
  public var signed: Int64 = 0
  public var smallSigned: Int32 = 0
  public var flag = false
  public var fixed = Fixed64(0)
  public var smallFixed = Fixed32(0)
  public var ratio: Double = 0
  public var text = ""
  public var data: [UInt8] = []
  public var hash = Hash256()
  public var maybe: UInt64?
  public var numbers: [UInt64] = []
  public var fixeds: [Fixed32] = []
  public var texts: [String] = []
  public var leaf = Leaf()
  public var maybeLeaf: Leaf?
  public var leaves: [Leaf] = []

  public init() {}
  public mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "number", &number)
    try field(2, "small", &small)
    try field(3, "signed", &signed)
    try field(4, "smallSigned", &smallSigned)
    try field(5, "flag", &flag)
    try field(6, "fixed", &fixed)
    try field(7, "smallFixed", &smallFixed)
    try field(8, "ratio", &ratio)
    try field(9, "text", &text)
    try field(10, "data", &data)
    try field(11, "hash", &hash)
    try field(12, "maybe", &maybe)
    try field(13, "numbers", &numbers)
    try field(14, "fixeds", &fixeds, limit: 100)
    try field(15, "texts", &texts, limit: 100)
    try field(16, "leaf", &leaf)
    try field(1000, "maybeLeaf", &maybeLeaf)
    try field(1001, "leaves", &leaves, limit: 100)
  }
}

/// A message of any size.
public struct Blob: WireMessage {
  public var data: [UInt8] = []
  public init() {}
  public mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "data", &data) }
}

/// Answers every message with the same message, keeps the last, and sends blobs when it is told to.
public final class FuzzLayer: ProtocolLayer {
  public struct Config: LayerConfig {
    @Setting("How often a neighbour is greeted.", in: .milliseconds(1) ... .seconds(60), live: true)
    var interval = Duration.seconds(1)
    public init() {}
  }
  public enum Timer: Hashable { case greet }
  public struct Send: CommandInput {
    @Argument("How many bytes.", in: 0...70_000) var size: Int
    @Argument("Whom to.") var to: Address
    public init() {}
  }
  public struct Sent: Codable, Sendable { var size: Int }
  public static let manifest = LayerManifest("fuzz", "Answers whatever it is told.")

  /// The sizes of the blobs that came whole.
  public static let port = EventPort<Int>("blob", "A blob came.")
  private var interval: Duration
  private var waiting: CommandCall<Int, Int>?

  public init(config: Config, setup: LayerSetup<FuzzLayer>) {
    interval = config.interval
    setup.on(1000, Everything.self, FuzzLayer.everything)
    setup.on(1001, Blob.self, FuzzLayer.blob)
    setup.onRaw(1002, Blob.self, FuzzLayer.raw)
    setup.command("send", "Sends a blob.", FuzzLayer.send)
    setup.stream("wait", "Waits for a blob.", FuzzLayer.wait)
    setup.event(FuzzLayer.port)
    setup.subscribe(NeighbourChange.port, FuzzLayer.changed)
  }

  public func start(_ context: borrowing LayerContext<FuzzLayer>) { context.arm(.greet, after: interval) }

  public func timerFired(_ timer: Timer, _ context: borrowing LayerContext<FuzzLayer>) {
    context.sendToNeighbours(Everything(), as: 1000)
    context.arm(.greet, after: interval)
  }

  public func reconfigured(_ config: Config, _ context: borrowing LayerContext<FuzzLayer>) {
    interval = config.interval
  }

  func everything(_ message: Everything, from sender: Address, _ context: borrowing LayerContext<FuzzLayer>) {
    context.send(message, as: 1000, to: sender)
  }

  func blob(_ message: Blob, from sender: Address, _ context: borrowing LayerContext<FuzzLayer>) {
    // What comes from the real other node was made by its `send`: one value, which tells the size.
    if sender == realAddress {
      let value = UInt8(truncatingIfNeeded: message.data.count)
      promise(message.data.allSatisfy { $0 == value }, "a blob came together wrongly")
    }
    try? context.storage.set([1], Array(message.data.prefix(64)))
    context.publish(message.data.count, on: FuzzLayer.port)
    if let call = waiting {
      call.finish(message.data.count)
      waiting = nil
    }
  }

  func raw(
    _ reader: inout WireReader, from sender: Address, _ context: borrowing LayerContext<FuzzLayer>
  ) throws(WireError) {
    while let tag = try reader.nextTag() { try reader.skip(tag) }
  }

  func changed(_ change: NeighbourChange, _ context: borrowing LayerContext<FuzzLayer>) {
    context.publish(Int(change.address.port), on: FuzzLayer.port)
  }

  func send(_ input: Send, _ context: borrowing LayerContext<FuzzLayer>) throws -> Sent {
    var blob = Blob()
    blob.data = [UInt8](repeating: UInt8(truncatingIfNeeded: input.size), count: input.size)
    context.send(blob, as: 1001, to: input.to)
    return Sent(size: input.size)
  }

  func wait(
    _ input: NoInput, _ call: CommandCall<Int, Int>, _ context: borrowing LayerContext<FuzzLayer>
  ) throws {
    waiting?.fail(CommandError(.conflict, "another call waits now"))
    waiting = call
  }
}

/// Where the node speaks from whose datagrams nobody forges.
public let realAddress = Address(ipv4: 0x0a00_0063, port: 99)

/// Speaks a Peerster's field, so that the node must tell Strata neighbours from others.
public final class PeersterLayer: ProtocolLayer {
  public static let manifest = LayerManifest("peerster", "Answers in one of the Peersters' fields.")
  public init(config: NoConfig, setup: LayerSetup<PeersterLayer>) { setup.on(2, Blob.self, PeersterLayer.answer) }
  func answer(_ message: Blob, from sender: Address, _ context: borrowing LayerContext<PeersterLayer>) {
    context.send(message, as: 2, to: sender)
  }
}

/// Small bounds, so that a short input meets them.
public func smallLimits() -> NodeLimits {
  var limits = NodeLimits()
  limits.neighbours = 8
  limits.outboxBytes = 1 << 18
  limits.calls = 4
  limits.queuedEvents = 64
  limits.news = 64
  return limits
}

/// A started node with the fuzz layer.
public func fuzzNode(
  _ name: String, at address: Address, peerster: Bool, pathLimit: Int? = nil,
  more: [(type: any ProtocolLayer.Type, section: JSON)] = []
) -> Node {
  var layers: [(type: any ProtocolLayer.Type, section: JSON)] = [(FuzzLayer.self, [:])]
  layers += more
  if peerster { layers.append((PeersterLayer.self, [:])) }
  var blueprint = NodeBlueprint(
    name: name, address: address, peers: [Address(ipv4: 0x0a00_0001, port: 1)], layers: layers, seed: 7)
  blueprint.limits = smallLimits()
  blueprint.limits.pathLimit = pathLimit
  do {
    let disk = SimDisk()
    let node = try Node(blueprint, storage: SimStorage()) { layer in disk.files(root: "/" + layer) }
    node.observesEvents = true
    node.start(at: Instant(nanoseconds: 0))
    return node
  } catch { fatalError("the node can't be built: \(error)") }
}

extension Node {
  /// Hands over a datagram.
  public func receive(_ bytes: [UInt8], from sender: Address, at time: Instant) {
    receive(bytes.span.bytes, from: sender, at: time)
  }

  /// Takes every datagram that waits, each on its own, with where it goes.
  public func takeDatagrams() -> [(to: Address, bytes: [UInt8])] {
    var all: [(to: Address, bytes: [UInt8])] = []
    withOutgoing { base, entries in
      for entry in entries {
        var rest = UnsafeRawBufferPointer(start: base + entry.offset, count: entry.byteCount)
        let step = entry.segmentSize == 0 ? max(1, entry.byteCount) : entry.segmentSize
        while !rest.isEmpty {
          all.append((entry.destination, [UInt8](rest.prefix(step))))
          rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(step))
        }
      }
      return (entries.count, 0)
    }
    return all
  }

  /// What a node promises of its own bounds, whatever came in.
  public func checkPromises() {
    let limits = smallLimits()
    let queues = queues
    promise(queues.outboxBytes <= limits.outboxBytes, "the outbox holds \(queues.outboxBytes) bytes")
    promise(queues.outboxEntries <= max(64, limits.outboxBytes / 64), "the outbox has \(queues.outboxEntries) entries")
    promise(queues.unfinishedMessages <= 64, "\(queues.unfinishedMessages) unfinished messages")
    promise(queues.callsOpen <= limits.calls, "\(queues.callsOpen) calls")
    promise(neighbourList.count <= limits.neighbours + peersConfigured, "\(neighbourList.count) neighbours")
    // Each layer has a handful; the core three.
    promise(queues.timersArmed <= 4 * 4 + 16, "\(queues.timersArmed) timers")
  }

  private var peersConfigured: Int { neighbourList.count { $0.configured } }
}
