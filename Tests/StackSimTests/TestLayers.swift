// TestLayers: small layers for the simulator's tests.
import StackCore

/// Spreads rumors: each one heard for the first time is passed on to all neighbours.
final class Gossip: ProtocolLayer {
  struct Config: LayerConfig {
    @Setting("How often the newest rumor is told again; 0 for never.", in: .zero ... .seconds(60))
    var again = Duration.zero
    @Setting("Whether rumors that were heard are passed on twice, which is a mistake.") var isBroken = false
    init() {}
  }
  enum Timer { case again }
  struct Rumor: WireMessage, Codable {
    var origin = ""
    var id: UInt32 = 0
    var text = ""
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "origin", &origin)
      try field(2, "id", &id)
      try field(3, "text", &text)
    }
  }
  struct Publish: CommandInput {
    @Argument("What is said.", count: 1...200) var text: String
    init() {}
  }
  struct Published: Codable, Sendable { var id: UInt32 }
  struct Heard: Codable, Sendable { var origin: String, id: UInt32 }
  static let heard = EventPort<Heard>("rumor", "A rumor was heard for the first time.")
  static let manifest = LayerManifest("gossip", "Spreads rumors.")

  let config: Config
  /// The newest number of each origin; the oldest origin goes when there are too many.
  var newest: [String: UInt32] = [:]
  var origins: [String] = []
  var mine: UInt32 = 0
  var last: Rumor?
  let duplicates: Counter

  init(config: Config, setup: LayerSetup<Gossip>) {
    self.config = config
    duplicates = setup.counter("duplicates", "How many rumors were known already.")
    setup.gauge("known", "How many origins are known.") { Double($0.origins.count) }
    setup.on(1000, Rumor.self, Gossip.heard)
    setup.event(Self.heard)
    setup.command("publish", "Tells everybody something.", Gossip.publish)
  }

  func start(_ context: borrowing LayerContext<Gossip>) {
    if config.again > .zero { context.arm(.again, after: config.again) }
  }

  func timerFired(_ timer: Timer, _ context: borrowing LayerContext<Gossip>) {
    if let last { context.sendToNeighbours(last, as: 1000) }
    context.arm(.again, after: config.again)
  }

  func publish(_ input: Publish, _ context: borrowing LayerContext<Gossip>) throws -> Published {
    mine += 1
    take(Rumor(origin: context.me, id: mine, text: input.text), from: nil, context)
    return Published(id: mine)
  }

  func heard(_ rumor: Rumor, by neighbour: Address, _ context: borrowing LayerContext<Gossip>) {
    guard rumor.id > newest[rumor.origin] ?? 0 else {
      duplicates.add()
      if config.isBroken, rumor.id == newest[rumor.origin] {
        context.publish(Heard(origin: rumor.origin, id: rumor.id), on: Self.heard)
      }
      return
    }
    take(rumor, from: neighbour, context)
  }

  private func take(_ rumor: Rumor, from neighbour: Address?, _ context: borrowing LayerContext<Gossip>) {
    if newest[rumor.origin] == nil {
      origins.append(rumor.origin)
      if origins.count > 1000 { newest[origins.removeFirst()] = nil }
    }
    newest[rumor.origin] = rumor.id
    last = rumor
    context.publish(Heard(origin: rumor.origin, id: rumor.id), on: Self.heard)
    context.sendToNeighbours(rumor, as: 1000, except: neighbour)
  }
}

/// Sends large messages to its neighbours and counts those that arrive.
final class Bulk: ProtocolLayer {
  struct Config: LayerConfig {
    @Setting("How large a message is.", in: 1...65_000) var size = 8_192
    @Setting("How often one is sent.", in: .milliseconds(1) ... .seconds(60)) var every = Duration.milliseconds(100)
    @Setting("How many are sent.", in: 0...1_000_000) var count = 0
    init() {}
  }
  enum Timer { case send }
  struct Block: WireMessage {
    var number: UInt64 = 0
    var data: [UInt8] = []
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "number", &number)
      try field(2, "data", &data)
    }
  }
  static let manifest = LayerManifest("bulk", "Sends large messages.")
  let config: Config
  var sent: UInt64 = 0
  var arrived: [UInt64: Int] = [:]
  let received: Counter
  let damaged: Counter

  init(config: Config, setup: LayerSetup<Bulk>) {
    self.config = config
    received = setup.counter("received", "How many blocks arrived.")
    damaged = setup.counter("damaged", "How many blocks arrived with other content.")
    setup.on(1001, Block.self, Bulk.arrived)
  }
  func start(_ context: borrowing LayerContext<Bulk>) {
    if config.count > 0 { context.arm(.send, after: config.every) }
  }
  func timerFired(_ timer: Timer, _ context: borrowing LayerContext<Bulk>) {
    sent += 1
    let data = [UInt8](repeating: UInt8(truncatingIfNeeded: sent), count: config.size)
    context.sendToNeighbours(Block(number: sent, data: data), as: 1001)
    if sent < UInt64(config.count) { context.arm(.send, after: config.every) }
  }
  func arrived(_ block: Block, from neighbour: Address, _ context: borrowing LayerContext<Bulk>) {
    received.add()
    arrived[block.number, default: 0] += 1
    if block.data.contains(where: { $0 != UInt8(truncatingIfNeeded: block.number) }) { damaged.add() }
  }
}

/// Keeps a number in storage: each command adds to it.
final class Keeper: ProtocolLayer {
  struct Total: Codable, Sendable { var total: Int }
  enum Timer { case unused }
  static let manifest = LayerManifest("keeper", "Keeps a number.")
  init(config: NoConfig, setup: LayerSetup<Keeper>) {
    setup.command("add", "Adds one.") { layer in
      { (_: NoInput, context: borrowing LayerContext<Keeper>) throws -> Total in
        let total = (try context.storage.get([1])?.first).map { Int($0) } ?? 0
        try context.storage.set([1], [UInt8(total + 1)])
        return Total(total: total + 1)
      }
    }
    setup.command("show", "Shows the number.") { layer in
      { (_: NoInput, context: borrowing LayerContext<Keeper>) throws -> Total in
        Total(total: (try context.storage.get([1])?.first).map { Int($0) } ?? 0)
      }
    }
  }
}
