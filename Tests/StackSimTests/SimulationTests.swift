// SimulationTests: determinism, faults, crashes and splitting, in virtual time.
import StackCore
import Testing

@testable import StackSim

var catalog: [any ProtocolLayer.Type] { [Gossip.self, Bulk.self, Keeper.self] }

@Suite struct SimulationTests {
  private func gossip(
    _ nodes: Int, _ topology: Topology, seed: UInt64 = 1, _ edit: (inout LinkSettings) -> Void = { _ in }
  )
    throws -> Simulation
  {
    var link = LinkSettings()
    edit(&link)
    return try Simulation(
      nodes: nodes, ["gossip": [:]], topology: topology, link: link, seed: seed, catalog: catalog)
  }

  @Test func aRumorReachesEverybodyAndTheTraceIsTheSame() throws {
    func run(_ seed: UInt64) throws -> (UInt64, UInt64, String) {
      let simulation = try gossip(60, .smallWorld(degree: 4, rewire: 0.2), seed: seed) {
        $0.latency = .logNormal(median: .milliseconds(20), sigma: 0.5)
        $0.loss = 0.02
        $0.duplicate = 0.05
        $0.corrupt = 0.01
      }
      simulation.run(for: .milliseconds(1))
      let replies = simulation.call(3, "gossip", "publish", ["text": "hello"])
      #expect(replies.count == 1)
      simulation.run(for: .seconds(5))
      let report = simulation.report()
      let text = try JSON(encoding: report).text()
      return (simulation.traceHash, simulation.deliveries, text)
    }
    let first = try run(7)
    let second = try run(7)
    let third = try run(8)
    #expect(first == second)
    #expect(first.0 != third.0)
    #expect(first.1 > 59)
  }

  @Test func theTraceIsWhatItAlwaysWas() throws {
    // The same in debug and release, and on any machine: this very number.
    let simulation = try gossip(20, Topology(.ring), seed: 5) {
      $0.latency = .normal(mean: .milliseconds(9), deviation: .milliseconds(2))
    }
    simulation.run(for: .milliseconds(1))
    simulation.call(0, "gossip", "publish", ["text": "hello"])
    simulation.run(for: .seconds(5))
    #expect(hex(simulation.traceHash) == "bfca87e6bbbc0370")
  }

  @Test(arguments: [0.0, 0.1, 0.5, 1.0]) func lossIsAsOftenAsAsked(_ loss: Double) throws {
    let link = try traffic { $0.loss = loss }
    #expect(abs(link.share(.loss) - loss) < 0.02)
  }

  @Test func duplicatesReorderingAndCorruptionAreAsOftenAsAsked() throws {
    let link = try traffic {
      $0.duplicate = 0.2
      $0.reorder = 0.1
      $0.corrupt = 0.3
    }
    #expect(abs(Double(link.report.network.duplicated) / 10_000 - 0.2) < 0.02)
    #expect(abs(Double(link.report.network.reordered) / 12_000 - 0.1) < 0.02)
    #expect(abs(Double(link.report.network.corrupted) / 12_000 - 0.3) < 0.02)
    #expect(link.report.network.delivered == 10_000 + link.report.network.duplicated)
  }

  @Test func latenciesHaveTheirMeanAndSpread() {
    var random = RandomStream(seed: 4)
    func sample(_ latency: Latency) -> (mean: Double, deviation: Double) {
      let values = (0..<40_000).map { _ in Double(latency.sample(&random)) / 1e6 }
      let mean = values.reduce(0, +) / 40_000
      let square = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 40_000
      return (mean, square.squareRoot())
    }
    #expect(sample(.fixed(.milliseconds(7))) == (7, 0))
    let uniform = sample(.uniform(.milliseconds(10), .milliseconds(30)))
    #expect(abs(uniform.mean - 20) < 0.2 && abs(uniform.deviation - 5.77) < 0.1)
    let normal = sample(.normal(mean: .milliseconds(50), deviation: .milliseconds(5)))
    #expect(abs(normal.mean - 50) < 0.2 && abs(normal.deviation - 5) < 0.1)
    let exponential = sample(.exponential(mean: .milliseconds(20)))
    #expect(abs(exponential.mean - 20) < 0.5 && abs(exponential.deviation - 20) < 0.7)
    let logNormal = sample(.logNormal(median: .milliseconds(20), sigma: 0.5))
    #expect(abs(logNormal.mean - 22.66) < 0.4)
  }

  @Test func logarithmAndExponentialAreRight() {
    #expect(abs(ExactMath.log(10) - 2.302585092994046) < 1e-14)
    #expect(abs(ExactMath.log(1e-9) + 20.72326583694641) < 1e-13)
    #expect(abs(ExactMath.exp(1) - 2.718281828459045) < 1e-14)
    #expect(abs(ExactMath.exp(-3.5) - 0.0301973834223185) < 1e-16)
    #expect(ExactMath.log(1) == 0 && ExactMath.exp(0) == 1)
  }

  @Test func bandwidthDelaysAndItsQueueOverflows() throws {
    // 100 datagrams of about 1,000 bytes at once on 100 kB/s: the queue holds 16 of them.
    let simulation = try Simulation(nodes: 2, [:], topology: Topology(.line), catalog: catalog)
    var link = LinkChange()
    link.bandwidth = ByteCount(bytes: 100_000)
    link.queue = ByteCount(bytes: 16_000)
    simulation.change(link)
    for _ in 0..<100 { simulation.push([UInt8](repeating: 8, count: 1000), from: 0, to: 1) }
    simulation.run(for: .milliseconds(159))
    #expect(simulation.deliveries == 14)  // 10 ms each, and 10 ms under way.
    simulation.run(for: .seconds(1))
    #expect(simulation.deliveries == 16)
    #expect(simulation.network.drops[NetworkDrop.allCases.firstIndex(of: .queue) ?? 0] == 84)
  }

  @Test func oneLinkCanBeChangedAlone() throws {
    let simulation = try Simulation(nodes: 3, [:], topology: Topology(.full), catalog: catalog)
    var change = LinkChange()
    change.between = [NodeSelection([0]), NodeSelection([1, 2])]
    change.oneWay = true
    change.loss = 1
    simulation.change(change)
    for (from, to) in [(0, 1), (0, 2), (1, 0), (2, 0), (1, 2)] { simulation.push([8, 1], from: from, to: to) }
    simulation.run(for: .seconds(1))
    #expect(simulation.deliveries == 3)
    change.loss = 0
    simulation.change(change)
    simulation.push([8, 1], from: 0, to: 1)
    simulation.run(for: .seconds(1))
    #expect(simulation.deliveries == 4)
  }

  @Test func aPartitionHoldsUntilItIsHealed() throws {
    let simulation = try Simulation(
      nodes: 6, ["gossip": ["again": "500ms"]], topology: Topology(.ring), catalog: catalog)
    simulation.run(for: .milliseconds(1))
    simulation.partition([[0, 1, 2], [3, 4, 5]])
    simulation.call(0, "gossip", "publish", ["text": "hello"])
    simulation.run(for: .seconds(3))
    #expect(simulation.tally.events.first { $0.name == "rumor" }?.times.count == 3)
    simulation.heal()
    simulation.run(for: .seconds(3))
    #expect(simulation.tally.events.first { $0.name == "rumor" }?.times.count == 6)
    #expect(simulation.report().network.dropped.contains { $0.reason == "partition" })
  }

  @Test func aCrashLosesOnlyWhatWasNotCommitted() throws {
    let simulation = try Simulation(nodes: 2, ["keeper": [:]], catalog: catalog)
    simulation.run(for: .milliseconds(1))
    for _ in 0..<3 { simulation.call(0, "keeper", "add") }
    // Written, and the crash comes before the driver has committed.
    _ = try simulation.storage(of: 0).namespace("keeper", version: 1).set([1], [99])
    simulation.crash(0)
    #expect(simulation.node(0) == nil)
    #expect(finished(simulation.call(0, "keeper", "show")) == nil)
    try simulation.restart(0)
    #expect(finished(simulation.call(0, "keeper", "show"))?["total"] == 3)
    simulation.leave(0)
    try simulation.restart(0)
    #expect(finished(simulation.call(0, "keeper", "show"))?["total"] == 3)
    try simulation.restart(0, storage: .lose)
    #expect(finished(simulation.call(0, "keeper", "show"))?["total"] == 0)
  }

  @Test func nothingLeavesANodeWhoseStorageFails() throws {
    let simulation = try Simulation(nodes: 2, ["keeper": [:], "gossip": [:]], catalog: catalog)
    simulation.run(for: .milliseconds(1))
    simulation.storage(of: 0).fail(StorageError(.full, "the disk is full"))
    let replies = simulation.call(0, "gossip", "publish", ["text": "hello"])
    guard case .failed(let error)? = replies.last else { return #expect(Bool(false), "it answered") }
    #expect(error.code == "storage-full")
    simulation.run(for: .seconds(1))
    #expect(simulation.deliveries == 0)
  }

  @Test func aNodeThatJoinsIsHeard() throws {
    let simulation = try Simulation(
      nodes: 3, ["gossip": ["again": "200ms"]], topology: Topology(.line), catalog: catalog)
    simulation.run(for: .milliseconds(1))
    simulation.call(0, "gossip", "publish", ["text": "hello"])
    let new = try simulation.join(peers: [2])
    #expect(new == 3)
    simulation.call(new, "gossip", "publish", ["text": "I am new"])
    simulation.run(for: .seconds(2))
    #expect(simulation.report().events.first { $0.event == "gossip.rumor" }?.nodes == 4)
  }

  // MARK: Splitting

  @Test(arguments: [8_192, 60_000]) func largeMessagesPassALossyLink(_ size: Int) throws {
    let simulation = try bulk(size, count: 40) { $0.loss = 0.002 }
    simulation.run(for: .seconds(20))
    let receiver = simulation.node(1)
    let received = receiver?.metricValue("bulk.received") ?? 0
    #expect(received >= 25 && received <= 40)
    #expect(receiver?.metricValue("bulk.damaged") == 0)
    // The paths are Ethernet's: found out by probes, which the larger size fails.
    #expect(simulation.node(0)?.neighbourList.first?.pathLimit == 1_444)
    #expect(simulation.report().network.dropped.contains { $0.reason == "mtu" })
  }

  @Test func aJumboPathIsFoundAndUsed() throws {
    let simulation = try bulk(60_000, count: 40) { $0.mtu = 9_000 }
    simulation.run(for: .seconds(20))
    #expect(simulation.node(0)?.neighbourList.first?.pathLimit == 8_944)
    #expect(simulation.node(1)?.metricValue("bulk.received") == 40)
  }

  @Test func splitMessagesArriveOnceThoughEveryDatagramIsDoubled() throws {
    let simulation = try bulk(8_192, count: 30) {
      $0.duplicate = 1
      $0.reorder = 0.3
    }
    simulation.run(for: .seconds(20))
    #expect(simulation.node(1)?.metricValue("bulk.received") == 30)
  }

  @Test func bulkIsUndamagedByCorruption() throws {
    let simulation = try bulk(8_192, count: 100) { $0.corrupt = 0.01 }
    simulation.run(for: .seconds(20))
    #expect((simulation.node(1)?.metricValue("bulk.received") ?? 0) > 50)
  }

  // MARK: Help

  private func bulk(_ size: Int, count: Int, _ edit: (inout LinkSettings) -> Void) throws -> Simulation {
    var scenario = Scenario()
    scenario.topology = Topology(.line)
    scenario.node.layers = ["bulk": ["size": JSON(size), "every": "150ms"]]
    var first = NodeOverride()
    first.nodes = NodeSelection([0])
    first.layers = ["bulk": ["count": JSON(count)]]
    scenario.overrides = [first]
    edit(&scenario.link)
    return try Simulation(scenario, catalog: catalog)
  }

  private struct Traffic {
    let report: SimulationReport
    func share(_ drop: NetworkDrop) -> Double {
      let dropped = report.network.dropped.first { $0.reason == drop.rawValue }?.count ?? 0
      return Double(dropped) / Double(report.network.sent)
    }
  }

  /// 10,000 datagrams on a link.
  private func traffic(_ edit: (inout LinkSettings) -> Void) throws -> Traffic {
    var link = LinkSettings()
    edit(&link)
    let simulation = try Simulation(nodes: 2, [:], topology: Topology(.line), link: link, catalog: catalog)
    for _ in 0..<10_000 { simulation.push([8, 1], from: 0, to: 1) }
    simulation.run(for: .seconds(5))
    return Traffic(report: simulation.report())
  }
}

/// The result in an answer.
func finished(_ replies: [CommandReply]) -> JSON? {
  if case .finished(let json)? = replies.last { json } else { nil }
}

extension Simulation {
  /// Sends any bytes from a node to a node.
  func push(_ bytes: [UInt8], from: Int, to: Int) {
    bytes.withUnsafeBytes { buffer in
      guard let start = buffer.baseAddress else { return }
      network.send(
        start, bytes.count, from: Int32(from), address(of: from), to: address(of: to), mayFragment: false,
        at: now.nanoseconds)
    }
  }
}
