// TreeNetworkTests: the tree in simulated networks: what it costs, and that nothing is lost whatever the network does.
import LayerConformance
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Gossip

extension Network {
  /// A counter of Gossip over all nodes that run.
  func total(_ name: String) -> UInt64 {
    simulation.running.reduce(0) { sum, node in
      let metrics = simulation.node(node)?.metricDescriptions ?? []
      for metric in metrics where metric.layer == "gossip" && metric.name == name {
        if case .counter(let counter) = metric.source { return sum + counter.value }
      }
      return sum
    }
  }
}

@Suite struct TreeNetworkTests {
  private func tree(antiEntropy: String = "10s") -> JSON {
    ["spread": "tree", "antiEntropy": .string(antiEntropy)]
  }

  @Test func aRumorCrossesEachEdgeOfTheTreeOnce() throws {
    let network = try Network(100, .randomRegular(degree: 8), gossip: tree())
    network.simulation.run(for: .seconds(2))
    var random = RandomStream(seed: 5)
    func publishSome(_ count: Int) {
      for _ in 0..<count {
        network.publish(Int(random.next(below: 100)))
        network.simulation.run(for: .seconds(1))
      }
    }
    publishSome(15)
    #expect(network.isComplete)
    let before = network.total("treePayloads")
    var statuses = 0
    network.simulation.onDelivery = { _, _, bytes in if bytes.first == 26 { statuses += 1 } }
    publishSome(20)
    let perNode = Double(network.total("treePayloads") - before) / 2_000
    print("tree, 100 nodes of 8 neighbours: \(perNode) payloads a node and rumor, \(network.total("grafts")) grafts")
    #expect(network.isComplete && perNode <= 1.05)
    // Nobody answers a rumor: there is anti-entropy and nothing else, two statuses a node in twenty seconds.
    #expect(statuses <= 250, "\(statuses)")
    let start = network.simulation.now
    network.publish(17)
    #expect(network.run(within: .milliseconds(200)), "\(network.simulation.now - start)")
    let status = network.command(3, "status")
    let edges = (status?["neighbours"]?.arrayValue ?? []).map { $0["edge"]?.stringValue }
    #expect(edges.filter { $0 == "eager" }.count == Int(status?["eager"]?.integerValue ?? -1))
    #expect(edges.filter { $0 == "lazy" }.count == Int(status?["lazy"]?.integerValue ?? -1))
    #expect(edges.count == 8 && !edges.contains(nil) && network.events["pruned"] ?? 0 > 0)
  }

  @Test(arguments: 1...2 as ClosedRange<UInt64>) func lossDuplicationAndReorderingDoNoHarm(_ seed: UInt64) throws {
    var link = LinkSettings()
    link.loss = 0.2
    link.duplicate = 0.05
    link.reorder = 0.1
    let network = try Network(30, .randomRegular(degree: 8), seed: seed, gossip: tree(), link: link)
    for round in 0..<10 {
      for node in 0..<8 { network.publish(node, "round \(round)") }
      network.simulation.run(for: .milliseconds(200))
    }
    #expect(network.run(within: .seconds(120)), "seed \(seed)")
    #expect(network.events["grafted"] ?? 0 > 0 && network.events["equivocation"] == nil)
  }

  @Test func aPartitionHeals() throws {
    let network = try Network(30, .randomRegular(degree: 6), gossip: tree())
    network.simulation.run(for: .seconds(5))
    for node in 0..<10 { network.publish(node) }
    network.simulation.run(for: .seconds(3))
    #expect(network.isComplete)
    network.simulation.partition([Array(0..<15), Array(15..<30)])
    for _ in 0..<20 {
      for node in [0, 7, 16, 29] { network.publish(node) }
      network.simulation.run(for: .seconds(3))
    }
    #expect(!network.isComplete)
    network.simulation.heal()
    #expect(network.run(within: .seconds(60)))
    // And it is a tree again soon.
    for node in 0..<30 {
      network.publish(node)
      network.simulation.run(for: .seconds(1))
    }
    let before = network.total("treePayloads")
    for node in 0..<20 {
      network.publish(node)
      network.simulation.run(for: .seconds(1))
    }
    #expect(Double(network.total("treePayloads") - before) <= 1.05 * 20 * 30)
  }

  @Test func churnDoesNoHarm() throws {
    let network = try Network(40, .randomRegular(degree: 6), gossip: tree())
    // One of forty every 30 seconds: 5 % a minute. Away for 20.
    for round in 0..<8 {
      let away = (round * 7) % 39 + 1
      network.publish(0, "round \(round)")
      network.simulation.crash(away)
      for _ in 0..<4 {
        network.simulation.run(for: .seconds(5))
        network.publish(0, "while node \(away) is away")
      }
      try network.simulation.restart(away)
      network.simulation.run(for: .seconds(10))
    }
    #expect(network.run(within: .seconds(60)))
  }

  @Test func aLateJoinerCatchesUpWithoutTellingOthersWhatTheyKnow() throws {
    let network = try Network(8, .randomRegular(degree: 4), gossip: tree(antiEntropy: "2s"))
    network.simulation.run(for: .seconds(1))
    for number in 0..<400 {
      network.publish(0, "number \(number) of a longer history, which takes some bytes")
      network.simulation.run(for: .milliseconds(5))
    }
    #expect(network.run(within: .seconds(20)))
    let before = network.total("treePayloads")
    let new = try network.simulation.join(peers: [1, 2, 3, 4])
    #expect(network.run(within: .seconds(20)))
    #expect(network.heard[new].count == 400)
    #expect(network.total("treePayloads") - before < 20)
    network.publish(new, "and here I am")
    #expect(network.run(within: .seconds(2)))
  }

  @Test func aLostRumorIsFetchedLongBeforeAntiEntropy() throws {
    let network = try Network(12, Topology(.full), gossip: tree(antiEntropy: "0s"))
    network.simulation.run(for: .seconds(1))
    // Warm, by two who speak in turn.
    for _ in 0..<5 {
      for node in [0, 1] {
        network.publish(node)
        network.simulation.run(for: .seconds(1))
      }
    }
    #expect(network.isComplete)
    network.simulation.crash(1)
    for number in 0..<3 {
      network.publish(0, "\(number)")
      #expect(network.run(within: .milliseconds(1_500)))
    }
  }

  @Test func otherWaysOfSpreadingAreGoodNeighbours() throws {
    let network = try Network(10, .randomRegular(degree: 4), gossip: tree(antiEntropy: "2s"))
    for spread in ["mongering", "flood", "mongering"] {
      let layers = LayerSections(["gossip": ["spread": .string(spread), "antiEntropy": "2s"]])
      try network.simulation.join(peers: [0, 3, 6], layers: layers)
    }
    network.simulation.run(for: .seconds(2))
    for node in 0..<13 {
      network.publish(node)
      network.simulation.run(for: .milliseconds(300))
    }
    #expect(network.run(within: .seconds(30)))
  }

  /// Fewer rounds than the kit's own, as for the other ways of spreading.
  @Test func itKeepsThePromisesOfALayer() throws {
    var options = ConformanceOptions()
    options.rounds = 6
    options.floodMessages = 4_000
    try LayerConformance.check(Gossip.self, config: ["spread": "tree"], options: options)
  }
}
