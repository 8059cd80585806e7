// NetworkTests: Gossip in simulated networks: shapes, loss, partitions, churn, crashes, and Peersters' own ways.
import LayerConformance
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Gossip

/// A network of nodes with Gossip, and how often each has heard each rumor.
final class Network {
  let simulation: Simulation
  /// By node, "origin/id" and how often it was heard.
  var heard: [[String: Int]]
  var events: [String: Int] = [:]
  var published: [String] = []

  convenience init(
    _ nodes: Int, _ topology: Topology, seed: UInt64 = 1, gossip: JSON = [:], link: LinkSettings = LinkSettings()
  ) throws {
    var scenario = Scenario()
    scenario.nodes = nodes
    scenario.node.layers = LayerSections(["gossip": gossip])
    scenario.topology = topology
    scenario.link = link
    scenario.seed = seed
    try self.init(scenario)
  }

  init(_ scenario: Scenario) throws {
    simulation = try Simulation(scenario, catalog: [Gossip.self])
    heard = Array(repeating: [:], count: scenario.nodes)
    simulation.onEvent = { [unowned self] node, event in
      events[event.name, default: 0] += 1
      guard event.name == "rumor" else { return }
      let json = event.json()
      let name = "\(json["origin"]?.stringValue ?? "")/\(json["id"]?.integerValue ?? 0)"
      while heard.count <= node { heard.append([:]) }
      heard[node][name, default: 0] += 1
    }
    simulation.run(for: .milliseconds(1))
  }

  @discardableResult func publish(_ node: Int, _ text: String = "hello") -> Int64? {
    let answer = command(node, "publish", ["text": .string(text)])
    let id = answer?["id"]?.integerValue
    if let id { published.append("node\(node)/\(id)") }
    return id
  }

  func command(_ node: Int, _ name: String, _ input: JSON = [:]) -> JSON? {
    if case .finished(let json)? = simulation.call(node, "gossip", name, input).last { return json }
    return nil
  }

  /// Whether each node that runs has heard all that was published, each once.
  var isComplete: Bool {
    simulation.running.allSatisfy { node in published.allSatisfy { node < heard.count && heard[node][$0] == 1 } }
  }

  func run(within duration: Duration) -> Bool {
    let end = simulation.now + duration
    while !isComplete {
      if simulation.now >= end { return false }
      simulation.run(for: .milliseconds(100))
    }
    return true
  }
}

@Suite struct NetworkTests {
  @Test func anIntroductionTellsTheRoundTrip() throws {
    var link = LinkSettings()
    link.latency = .fixed(.milliseconds(40))
    let network = try Network(2, .edges([(0, 1)]), gossip: ["antiEntropy": "1s"], link: link)
    network.publish(0)
    network.simulation.run(for: .seconds(5))
    for node in 0..<2 {
      let neighbour = try #require(network.simulation.node(node)?.neighbourList.first)
      #expect(neighbour.roundTrip == .milliseconds(80), "node \(node)")
    }
  }

  @Test(arguments: [
    Topology(.line), Topology(.ring), Topology(.star), Topology.randomRegular(degree: 4),
  ])
  func everyRumorReachesEverybodyOnce(_ topology: Topology) throws {
    for spread in ["mongering", "flood", "tree"] {
      let network = try Network(20, topology, gossip: ["spread": .string(spread), "antiEntropy": "2s"])
      for node in 0..<20 { network.publish(node, "from \(node)") }
      #expect(network.run(within: .seconds(200)), "\(topology.kind) \(spread)")
    }
  }

  @Test func lossDuplicationAndReorderingDoNoHarm() throws {
    var link = LinkSettings()
    link.loss = 0.2
    link.duplicate = 0.05
    link.reorder = 0.1
    for seed in 1...3 as ClosedRange<UInt64> {
      let network = try Network(
        40, .randomRegular(degree: 8), seed: seed, gossip: ["antiEntropy": "1s"], link: link)
      for round in 0..<5 {
        for node in 0..<8 { network.publish(node, "round \(round)") }
        network.simulation.run(for: .milliseconds(50))
      }
      #expect(network.run(within: .seconds(120)), "seed \(seed)")
    }
  }

  @Test func aPartitionHeals() throws {
    let network = try Network(20, .randomRegular(degree: 4), gossip: ["antiEntropy": "2s"])
    network.simulation.run(for: .seconds(5))
    network.simulation.partition([Array(0..<10), Array(10..<20)])
    for node in 0..<20 { network.publish(node) }
    network.simulation.run(for: .seconds(60))
    #expect(!network.isComplete)
    network.simulation.heal()
    #expect(network.run(within: .seconds(60)))
  }

  @Test func churnDoesNoHarm() throws {
    let network = try Network(20, .randomRegular(degree: 6), gossip: ["antiEntropy": "1s"])
    for round in 0..<15 {
      let away = (round * 7) % 19 + 1
      network.publish(0, "round \(round)")
      network.simulation.crash(away)
      network.simulation.run(for: .seconds(2))
      network.publish(0, "while node \(away) is away")
      try network.simulation.restart(away)
      network.simulation.run(for: .seconds(1))
    }
    #expect(network.run(within: .seconds(120)))
  }

  @Test func aLateJoinerCatchesUp() throws {
    let network = try Network(3, Topology(.line), gossip: ["antiEntropy": "1s"])
    for number in 0..<500 { network.publish(0, "number \(number) of a longer history, which takes some bytes") }
    #expect(network.run(within: .seconds(100)))
    let new = try network.simulation.join(peers: [2])
    #expect(network.run(within: .seconds(20)))
    #expect(network.heard[new].count == 500)
  }

  @Test func noIDIsUsedTwiceThoughTheNodeCrashes() throws {
    let network = try Network(3, Topology(.ring), gossip: ["antiEntropy": "500ms"])
    var random = RandomStream(seed: 3)
    var ids: [Int64] = []
    for round in 0..<60 {
      if let id = network.publish(0, "round \(round)") { ids.append(id) }
      if random.next(below: 3) == 0 {
        network.simulation.crash(0)
        network.simulation.run(for: .milliseconds(Int64(random.next(below: 300))))
        try network.simulation.restart(0)
      }
    }
    #expect(ids == Array(1...60))
    #expect(network.run(within: .seconds(60)))
    #expect(network.events["equivocation"] == nil)
  }

  @Test func aNodeThatLostItsStorageGoesOnAfterItsOldIDs() throws {
    let network = try Network(3, Topology(.ring), gossip: ["antiEntropy": "500ms"])
    for _ in 0..<5 { network.publish(0) }
    #expect(network.run(within: .seconds(20)))
    try network.simulation.restart(0, storage: .lose)
    network.simulation.run(for: .seconds(5))
    #expect(network.publish(0) == 6)
    network.simulation.run(for: .seconds(5))
    #expect(network.heard[1]["node0/6"] == 1 && network.events["equivocation"] == nil)
  }

  @Test func whatRetentionDropsIsNotAskedForAgain() throws {
    let network = try Network(2, Topology(.line), gossip: ["retention": ["originCount": 16], "antiEntropy": "1s"])
    for number in 0..<100 {
      network.publish(0, "\(number)")
      network.simulation.run(for: .milliseconds(20))
    }
    network.simulation.run(for: .seconds(20))
    #expect(network.isComplete)
    for node in 0..<2 {
      let origins = network.command(node, "origins")?["origins"]?.arrayValue ?? []
      #expect(origins.first?["next"] == 101)
      #expect((origins.first?["first"]?.integerValue ?? 0) > 80)
    }
    // A late joiner learns where history starts, and gets what there is.
    let new = try network.simulation.join(peers: [1])
    network.simulation.run(for: .seconds(5))
    #expect(network.command(new, "origins")?["origins"]?.arrayValue?.first?["next"] == 101)
    #expect(network.heard[new].count <= 16 && !network.heard[new].isEmpty)
    let before = network.simulation.deliveries
    network.simulation.run(for: .seconds(20))
    #expect(network.simulation.deliveries - before < 200)
    // All of it is found again after a restart.
    let first = network.command(0, "origins")
    try network.simulation.restart(0)
    #expect(network.command(0, "origins") == first)
  }

  @Test func simpleMessagesDoNotGoRoundInCircles() throws {
    let network = try Network(3, Topology(.ring), gossip: ["simple": true, "antiEntropy": "0s"])
    var passed = 0
    network.simulation.onDelivery = { _, _, bytes in if bytes.first == 10 { passed += 1 } }
    network.publish(0, "once")
    network.simulation.run(for: .seconds(10))
    #expect(network.events["simple"] == 3)
    // Each neighbour tells each other one, but for whom it came from.
    #expect(passed == 4)
  }

  @Test func topicsAreHeardByThoseWhoWantThem() throws {
    let network = try Network(4, Topology(.line), gossip: ["antiEntropy": "1s", "topics": ["weather"]])
    _ = network.command(0, "publish", ["text": "rain", "topic": "weather"])
    _ = network.command(0, "publish", ["text": "goal", "topic": "sports"])
    _ = network.command(0, "publish", ["text": "hello"])
    network.simulation.run(for: .seconds(20))
    #expect(network.heard[3].keys.sorted() == ["node0/1", "node0/3"])
    let kept = network.command(3, "rumors", ["topic": "sports"])?["rumors"]?.arrayValue ?? []
    #expect(kept.map { $0["text"] } == ["goal"])
    let latest = network.command(3, "rumors", ["limit": 2])?["rumors"]?.arrayValue ?? []
    #expect(latest.map { $0["id"] } == [2, 3])
  }

  @Test func followTellsWhatIsHeard() throws {
    let network = try Network(2, Topology(.line))
    var told: [JSON] = []
    let id = network.simulation.begin(1, "gossip", "follow") { reply in
      if case .progress(let json) = reply { told.append(json) }
      if case .finished(let json) = reply { told.append(json) }
    }
    network.publish(0, "hello")
    network.simulation.run(for: .seconds(1))
    network.simulation.node(1)?.cancel(call: id, at: network.simulation.now)
    network.simulation.run(for: .seconds(11))
    #expect(told.first?["text"] == "hello" && told.last?["rumors"] == 1 && told.count == 2)
  }

  /// Fewer rounds than the kit's own: hours of virtual time, with statuses of hundreds of origins, take long.
  private var options: ConformanceOptions {
    var options = ConformanceOptions()
    options.rounds = 12
    options.floodMessages = 10_000
    return options
  }

  @Test func itKeepsThePromisesOfALayer() throws {
    try LayerConformance.check(Gossip.self, options: options)
  }

  @Test func floodKeepsThemToo() throws {
    try LayerConformance.check(Gossip.self, config: ["spread": "flood", "simple": true], options: options)
  }
}
