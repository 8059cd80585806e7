// GossipNodes: real nodes with Gossip in processes of their own, and what keeps them busy.
import Gossip
import Glibc
import PeersterVocabulary
import StackCore
import StackRuntime

/// Keeps a neighbour supplied with rumors, as fast as it takes them in: publishes through the port that any layer may
/// use, so many ahead of what the other end says it has.
final class LoadLayer: ProtocolLayer {
  struct Config: LayerConfig {
    @Setting("How many rumors may be under way; 0 only takes them in.") var window = 0
    @Setting("How many bytes a rumor's text has.") var size = 100
  }
  enum Timer { case report, check }
  struct Credit: WireMessage {
    var received: UInt64 = 0
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "received", &received) }
  }
  static let manifest = LayerManifest("load", "Publishes rumors.", requires: [ServiceKey.gossip])
  private let config: Config
  private let text: WireText
  private var count: UInt64 = 0
  private var credited: UInt64 = 0
  private var before: UInt64 = 0

  init(config: Config, setup: LayerSetup<LoadLayer>) {
    self.config = config
    text = WireText(bytes: [UInt8](repeating: 120, count: config.size))
    setup.on(1000, Credit.self, LoadLayer.credit)
    setup.event(PublishRumor.port)
    if config.window == 0 { setup.subscribe(RumorHeard.port, LoadLayer.heard) }
    setup.command("count", "How many rumors came.", LoadLayer.counted)
  }

  func start(_ context: borrowing LayerContext<LoadLayer>) {
    if config.window > 0 { context.arm(.check, after: .milliseconds(100)) }
  }

  func timerFired(_ timer: Timer, _ context: borrowing LayerContext<LoadLayer>) {
    switch timer {
    case .report: context.sendToNeighbours(Credit(received: count), as: 1000)
    case .check:
      // Only what was lost with a datagram has to be waited for.
      if credited == before { push(context) }
      before = credited
      context.arm(.check, after: .milliseconds(100))
    }
  }

  private func push(_ context: borrowing LayerContext<LoadLayer>) {
    while count < credited + UInt64(config.window) {
      count += 1
      context.publish(PublishRumor(text: text), on: PublishRumor.port)
    }
  }

  func heard(_ rumor: RumorHeard, _ context: borrowing LayerContext<LoadLayer>) {
    guard rumor.from != nil else { return }
    count += 1
    // Once for all that came in one round.
    if !context.isArmed(.report) { context.arm(.report, after: .zero) }
  }

  func credit(_ credit: Credit, from: Address, _ context: borrowing LayerContext<LoadLayer>) {
    credited = max(credited, credit.received)
    push(context)
  }

  func counted(_ input: NoInput, _ context: borrowing LayerContext<LoadLayer>) throws -> UInt64 { count }
}

/// What a node with Gossip is to be.
struct GossipNodeSettings {
  var name = "bench"
  var directory: String
  var gossip: JSON = [:]
  var others: [(type: any ProtocolLayer.Type, section: JSON)] = []
  var peers: [String] = []
  var durability = SQLiteStorage.Durability.process
  var hasControl = false
  /// Tells the peers when the node reloads, for those that are not known before.
  var laterPeers: (() -> [String])?

  func node() throws -> RealNode {
    var options = RealNodeOptions(
      name: name, listen: Address(ipv4: 0x7f00_0001, port: 0), dataDirectory: directory)
    options.layers = [(Gossip.self, gossip)] + others
    options.peers = peers
    options.logLevel = .error
    options.durability = durability
    if let laterPeers {
      options.reload = { [layers = options.layers] in RealNodeReload(peers: laterPeers(), layers: layers) }
    }
    if hasControl { options.control = Address(ipv4: 0x7f00_0001, port: 0) }
    return try RealNode(options, log: LogSink())
  }
}

extension RealNode {
  /// Calls a command and turns the loop until it has been answered.
  func ask(_ layer: String, _ command: String, _ input: JSON = [:]) -> JSON {
    var result: JSON?
    call(layer, command, input) { reply in
      switch reply {
      case .finished(let json): result = json
      case .failed(let error): fatalError("\(layer) \(command): \(error.message)")
      case .progress: break
      }
    }
    while result == nil { step() }
    return result ?? .null
  }

  /// Turns the loop for so long.
  func run(for duration: Duration) {
    let end = loop.now + duration
    let timer = loop.timer {}
    timer.set(after: duration)
    while loop.now < end { step() }
  }
}

private func durability(_ word: String) -> SQLiteStorage.Durability { word == "power" ? .power : .process }

/// The end that publishes: `publish-rumors PORT SECONDS DURABILITY`.
func playPublisher(_ role: [String]) throws -> Never {
  let folder = makeFolder()
  let node = try GossipNodeSettings(
    name: "origin", directory: folder, others: [(LoadLayer.self, ["window": 1024])],
    peers: ["127.0.0.1:\(role[1])"], durability: durability(role[3])
  ).node()
  node.start()
  say(folder)
  while true { node.step() }
}

/// The end that takes in: prints its port, its folder, a line when the measured time begins, and the rate.
func playTaker(_ role: [String]) throws {
  let folder = makeFolder()
  let node = try GossipNodeSettings(
    name: "taker", directory: folder, others: [(LoadLayer.self, [:])], durability: durability(role[3])
  ).node()
  node.start()
  say("\(node.address.port)")
  say(folder)
  // The warm-up begins with the first rumor.
  while (node.ask("gossip", "status")["rumors"]?.integerValue ?? 0) == 0 { node.run(for: .milliseconds(20)) }
  func stored() -> Double { node.ask("load", "count").doubleValue ?? 0 }
  node.run(for: .milliseconds(500))
  let (before, start) = (stored(), node.loop.now)
  say("begin")
  node.run(for: .nanoseconds(Int64((Double(role[2]) ?? 1) * 1e9)))
  // The answer to a command leaves after the commit, so what it counts is on disk.
  say("\((stored() - before) / (node.loop.now - start).inSeconds)")
  // Stays until both ends' time has been read.
  _ = readLine()
}

/// One origin, one neighbour, 100-byte rumors: what the neighbour stores a second, and what a rumor costs both.
func durableRumors(_ kind: String, runs: Int, seconds: Double) -> [Figure] {
  var rates: [Double] = []
  var takerCosts: [Double] = []
  var originCosts: [Double] = []
  for _ in 0..<runs {
    let taker = Child(["take-rumors", "0", "\(seconds)", kind], talks: true)
    let port = taker.line()
    let takerFolder = taker.line()
    let origin = Child(["publish-rumors", port, "\(seconds)", kind])
    let originFolder = origin.line()
    _ = taker.line()
    let before = (taker.processorTime, origin.processorTime)
    let rate = Double(taker.line()) ?? 0
    let after = (taker.processorTime, origin.processorTime)
    rates.append(rate)
    takerCosts.append((after.0 - before.0) / (rate * seconds) / 1e3)
    originCosts.append((after.1 - before.1) / (rate * seconds) / 1e3)
    for child in [taker, origin] { child.end() }
    for folder in [takerFolder, originFolder] { removeFolder(folder) }
  }
  let name = kind == "power" ? "gossip.durable.power" : "gossip.durable"
  return [
    Figure(name: "\(name).rumorsPerSecond", value: median(rates), unit: "rumors/s stored at the neighbour"),
    Figure(name: "\(name).originMicroseconds", value: median(originCosts), unit: "µs of CPU a rumor"),
    Figure(name: "\(name).takerMicroseconds", value: median(takerCosts), unit: "µs of CPU a rumor"),
  ]
}
