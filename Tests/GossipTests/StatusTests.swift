// StatusTests: what it costs two nodes to come in sync, and that they do whatever the network does.
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Gossip

/// Nodes whose logs are put into storage before they start.
final class Preloaded {
  let world: Simulation
  private(set) var heard: [Int]
  private(set) var bytes = 0
  private(set) var largest = 0
  private(set) var inSync = 0

  init(
    _ nodes: Int, _ topology: Topology = Topology(.line), gossip: JSON = [:], latency: Duration = .milliseconds(20),
    link: LinkSettings = LinkSettings(), seed: UInt64 = 1
  ) throws {
    var link = link
    link.latency = .fixed(latency)
    world = try Simulation(
      nodes: nodes, LayerSections(["gossip": gossip]), topology: topology, link: link, seed: seed,
      catalog: [Gossip.self])
    heard = Array(repeating: 0, count: nodes)
    world.onEvent = { [unowned self] node, event in
      if event.name == "in-sync" { inSync += 1 }
      if event.name == "rumor" { heard[node] += 1 }
    }
    world.run(for: .milliseconds(1))
  }

  func put(_ origin: WireText, _ ids: Range<UInt32>, size: Int = 100, in node: Int) throws {
    let storage = try world.storage(of: node).namespace("gossip", version: 1)
    let text = WireText(bytes: [UInt8](repeating: 0x61, count: size))
    for id in ids {
      let rumor = Rumor(origin: origin, id: id, text: text)
      let written = UInt64(rumor.logSize) * UInt64(id)
      try RumorStore(storage: storage).set(origin, id, StoredRumor(rumor, heard: Instant(), written: written))
    }
    try world.storage(of: node).commit()
  }

  /// Starts all nodes anew, with what was put.
  func start() throws {
    for node in heard.indices { world.crash(node) }
    world.onDelivery = { [unowned self] _, _, datagram in
      bytes += datagram.count
      largest = max(largest, datagram.count)
    }
    for node in heard.indices { try world.restart(node) }
  }

  func run(for duration: Duration, until isDone: (Preloaded) -> Bool = { _ in false }) -> Bool {
    world.run(within: duration) { _ in isDone(self) }
  }

  func metric(_ name: String, of node: Int) -> UInt64 {
    for metric in world.node(node)?.metricDescriptions ?? [] where metric.name == name {
      if case .counter(let counter) = metric.source { return counter.value }
    }
    return 0
  }
}

@Suite struct StatusTests {
  @Test(arguments: [(10_000, 10, 20_000), (10_000, 0, 1_000), (1_000, 1, 5_000)])
  func bytesUntilTwoAreInSync(_ origins: Int, _ differ: Int, _ most: Int) throws {
    let pair = try Preloaded(2)
    let step = differ == 0 ? origins + 1 : origins / differ
    for number in 0..<origins {
      let isOdd = differ > 0 && number % step == step / 2
      for node in 0..<2 {
        let last: UInt32 = isOdd && number / step % 2 == node ? 3 : 2
        try pair.put(WireText("origin \(number)"), 1..<last, in: node)
      }
    }
    try pair.start()
    _ = pair.run(for: .seconds(9))
    #expect(pair.heard[0] + pair.heard[1] == differ && pair.inSync > 0)
    #expect(pair.bytes < most, "\(pair.bytes)")
    #expect(pair.largest < 1_472)
  }

  @Test func aBacklogStreams() throws {
    let pair = try Preloaded(2)
    for number in 0..<50 { try pair.put(WireText("origin \(number)"), 1..<41, in: 0) }
    try pair.put("one", 1..<2_001, in: 0)
    try pair.start()
    // One batch of six rumors a round trip would take 27 seconds.
    #expect(pair.run(for: .seconds(3)) { $0.heard[1] == 4_000 }, "\(pair.heard[1])")
    #expect(pair.metric("duplicates", of: 1) < 100)
  }

  @Test func lossDuplicationAndReorderingDoNoHarm() throws {
    var link = LinkSettings()
    link.loss = 0.2
    link.duplicate = 0.05
    link.reorder = 0.1
    for seed in 1...2 as ClosedRange<UInt64> {
      var random = RandomStream(seed: seed)
      let network = try Preloaded(
        6, .randomRegular(degree: 3), gossip: ["antiEntropy": "1s"], link: link, seed: seed)
      var total = 0
      var had = Array(repeating: 0, count: 6)
      for number in 0..<300 {
        let count = UInt32(random.next(below: 4)) + 1
        let owner = Int(random.next(below: 6))
        for node in 0..<6 where node == owner || random.next(below: 3) > 0 {
          let seen = node == owner ? count : UInt32(random.next(below: UInt64(count + 1)))
          try network.put(WireText("origin \(number)"), 1..<seen + 1, size: 40, in: node)
          had[node] += Int(seen)
        }
        total += Int(count)
      }
      try network.start()
      let isComplete = network.run(for: .seconds(120)) { network in
        network.heard.indices.allSatisfy { network.heard[$0] + had[$0] == total }
      }
      #expect(isComplete, "seed \(seed)")
    }
  }

  @Test func aNodeWithoutRoomIsNotSentTheSameAgainAndAgain() throws {
    let pair = try Preloaded(2, gossip: ["origins": 100])
    for number in 0..<400 { try pair.put(WireText("origin \(number)"), 1..<11, in: 0) }
    for number in 0..<100 { try pair.put(WireText("other \(number)"), 1..<2, in: 1) }
    try pair.start()
    _ = pair.run(for: .seconds(9))
    // Patience's worth of batches now and then, not all 4,000 rumors of 100 bytes.
    #expect(pair.metric("refused", of: 1) > 0 && pair.bytes < 150_000, "\(pair.bytes)")
  }

  /// Two neighbours say that histories begin later: their agreement is believed, without a wait.
  @Test func twoThatAgreeOnWhereHistoryBeginsAreBelieved() throws {
    let network = try Preloaded(3, Topology(.ring))
    for number in 0..<100 {
      for node in 0..<2 { try network.put(WireText("origin \(number)"), 50..<60, in: node) }
    }
    try network.start()
    #expect(network.run(for: .seconds(3)) { $0.heard[2] == 1_000 }, "\(network.heard[2])")
  }

  /// One neighbour keeps little of the past, or says so; another keeps all of it.
  @Test func whoKeepsMoreIsHeard() throws {
    let network = try Preloaded(3, Topology(.ring), gossip: ["antiEntropy": "1s"])
    for number in 0..<100 {
      try network.put(WireText("origin \(number)"), 50..<60, in: 0)
      try network.put(WireText("origin \(number)"), 1..<60, in: 1)
    }
    try network.start()
    #expect(network.run(for: .seconds(20)) { $0.heard[2] == 5_900 }, "\(network.heard[2])")
  }
}
