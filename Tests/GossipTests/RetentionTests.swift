// RetentionTests: what is kept and what goes, by age and by bytes, of one origin and of all; and who relays what.
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Gossip

@Suite struct RetentionTests {
  private func origins(_ network: Network, _ node: Int) -> [String: (first: Int64, next: Int64, bytes: Int64)] {
    var found: [String: (Int64, Int64, Int64)] = [:]
    for entry in network.command(node, "origins")?["origins"]?.arrayValue ?? [] {
      found[entry["origin"]?.stringValue ?? ""] = (
        entry["first"]?.integerValue ?? 0, entry["next"]?.integerValue ?? 0, entry["bytes"]?.integerValue ?? -1
      )
    }
    return found
  }

  private func kept(_ network: Network, _ node: Int, _ origin: String) -> [Int64] {
    let answer = network.command(node, "rumors", ["origin": .string(origin), "limit": 10_000])
    return (answer?["rumors"]?.arrayValue ?? []).map { $0["id"]?.integerValue ?? 0 }
  }

  private func status(_ network: Network, _ node: Int, _ key: String) -> Int64 {
    network.command(node, "status")?[key]?.integerValue ?? -1
  }

  @Test func whatIsTooOldGoesAndIsNotAskedForAgain() throws {
    let network = try Network(
      3, Topology(.line), gossip: ["retention": ["age": "10m"], "antiEntropy": "5s"])
    for minute in 0..<30 {
      network.publish(0, "minute \(minute)")
      network.simulation.run(for: .seconds(60))
    }
    #expect(network.isComplete)
    for node in 0..<3 {
      // The sweep comes each half minute; nothing younger than ten minutes is gone.
      let own = try #require(origins(network, node)["node0"])
      #expect(own.next == 31 && (20...22).contains(own.first), "node \(node): \(own)")
      #expect(kept(network, node, "node0") == Array(own.first..<31))
      #expect(status(network, node, "rumors") == 31 - own.first)
    }
    // All of it grows old; what was seen stays seen, and nothing comes back from a neighbour that sweeps later.
    network.simulation.run(for: .seconds(700))
    for node in 0..<3 {
      #expect(status(network, node, "rumors") == 0 && status(network, node, "bytes") == 0)
      #expect(origins(network, node)["node0"]?.first == 31)
    }
    let before = network.events["rumor"]
    network.simulation.run(for: .seconds(300))
    #expect(network.events["rumor"] == before)
    // Nor does an ID come again, though nothing is kept of those before it.
    try network.simulation.restart(0)
    #expect(network.publish(0) == 31)
    #expect(network.run(within: .seconds(60)))
    #expect(network.events["equivocation"] == nil)
  }

  @Test func oneOriginKeepsSoManyBytes() throws {
    let limit = Int64(64 << 10)
    let network = try Network(
      2, Topology(.line), gossip: ["retention": ["originBytes": "64KiB"], "antiEntropy": "1s"])
    let text = String(repeating: "x", count: 900)
    for number in 0..<300 {
      network.publish(0, "\(number) \(text)")
      if number % 30 == 0 { network.publish(1, "a quiet one") }
      network.simulation.run(for: .milliseconds(50))
      #expect(status(network, 0, "bytes") <= limit + 2_000)
    }
    #expect(network.run(within: .seconds(60)))
    for node in 0..<2 {
      let found = origins(network, node)
      let loud = try #require(found["node0"])
      #expect(loud.bytes <= limit && loud.bytes >= limit * 14 / 16, "node \(node): \(loud)")
      // Its bytes are those of the rumors that are there.
      #expect(kept(network, node, "node0") == Array(loud.first..<301))
      let one = Int64(Rumor(origin: "node0", id: 1, text: WireText("299 \(text)")).logSize)
      #expect(loud.bytes == (301 - loud.first) * one)
      // Another origin loses nothing by it.
      #expect(found["node1"]?.first == 1 && found["node1"]?.next == 11)
    }
    // The same after a restart: what is dropped stays dropped, and the bytes are counted anew.
    let before = network.command(1, "origins")
    try network.simulation.restart(1)
    #expect(network.command(1, "origins") == before)
  }

  @Test func allTogetherKeepSoManyBytesAndTheLargestGivesWay() throws {
    let limit = Int64(64 << 10)
    let network = try Network(3, Topology(.line), gossip: ["retention": ["bytes": "64KiB"], "antiEntropy": "1s"])
    let text = String(repeating: "x", count: 900)
    for number in 0..<200 {
      network.publish(0, "\(number) \(text)")
      if number % 20 == 0 { network.publish(2, "a quiet one") }
      network.simulation.run(for: .milliseconds(50))
    }
    #expect(network.run(within: .seconds(60)))
    for node in 0..<3 {
      #expect(status(network, node, "bytes") <= limit)
      #expect(status(network, node, "bytes") >= limit * 14 / 16)
      let found = origins(network, node)
      #expect(found["node2"]?.first == 1 && found["node2"]?.next == 11)
      #expect((found["node0"]?.first ?? 0) > 100)
      #expect(found.values.reduce(0) { $0 + $1.bytes } == status(network, node, "bytes"))
    }
  }

  @Test func allTogetherAreSoMany() throws {
    let network = try Network(2, Topology(.line), gossip: ["retention": ["count": 64], "antiEntropy": "1s"])
    for number in 0..<200 {
      network.publish(0, "\(number)")
      if number % 20 == 0 { network.publish(1, "a quiet one") }
      network.simulation.run(for: .milliseconds(50))
    }
    #expect(network.run(within: .seconds(60)))
    for node in 0..<2 {
      #expect((56...64).contains(status(network, node, "rumors")))
      #expect(origins(network, node)["node1"]?.first == 1)
    }
  }

  /// Settings may be narrowed while the node runs: what is too much goes at once.
  @Test func aNarrowerLimitHoldsWithTheNextRumor() throws {
    let network = try Network(1, Topology(.none), gossip: ["antiEntropy": "0s"])
    for number in 0..<100 { network.publish(0, "\(number)") }
    let node = try #require(network.simulation.node(0))
    _ = try node.reload(
      peers: [], layers: [(Gossip.self, ["antiEntropy": "0s", "retention": ["originCount": 10]])],
      at: network.simulation.now)
    network.publish(0)
    #expect((1...10).contains(status(network, 0, "rumors")))
  }

  // MARK: Topics

  /// A line whose middle wants another topic.
  private func line(relay: String) throws -> Network {
    var scenario = Scenario()
    scenario.nodes = 3
    scenario.topology = Topology(.line)
    scenario.node.layers = LayerSections(["gossip": ["antiEntropy": "20s", "spread": "flood"]])
    var middle = NodeOverride()
    middle.nodes = NodeSelection([1])
    middle.layers = LayerSections(["gossip": ["topics": ["sports"], "relay": .string(relay)]])
    scenario.overrides = [middle]
    return try Network(scenario)
  }

  @Test func whatIsOfNoInterestIsRelayedAtOnceUnlessToldOtherwise() throws {
    for (relay, isAtOnce) in [("all", true), ("subscribed", false)] {
      let network = try line(relay: relay)
      // Past the introductions, and between two rounds of anti-entropy.
      network.simulation.run(for: .seconds(21))
      _ = network.command(0, "publish", ["text": "rain", "topic": "weather"])
      network.simulation.run(for: .seconds(2))
      #expect(network.heard[1].isEmpty && network.heard[2].count == (isAtOnce ? 1 : 0), "\(relay)")
      // It is kept all the same, and who asks is told.
      network.simulation.run(for: .seconds(41))
      #expect(network.heard[2] == ["node0/1": 1], "\(relay)")
      #expect(kept(network, 1, "node0") == [1])
    }
  }

  @Test func whatIsOfInterestBringsAlongWhatCameBeforeIt() throws {
    let network = try line(relay: "subscribed")
    network.simulation.run(for: .seconds(21))
    _ = network.command(0, "publish", ["text": "rain", "topic": "weather"])
    network.simulation.run(for: .milliseconds(100))
    #expect(network.heard[2].isEmpty)
    _ = network.command(0, "publish", ["text": "goal", "topic": "sports"])
    network.simulation.run(for: .seconds(2))
    #expect(network.heard[1] == ["node0/2": 1] && network.heard[2] == ["node0/1": 1, "node0/2": 1])
  }

  @Test func ourOwnRumorsGoOutWhateverTheirTopic() throws {
    let network = try line(relay: "subscribed")
    network.simulation.run(for: .seconds(21))
    _ = network.command(1, "publish", ["text": "rain", "topic": "weather"])
    network.simulation.run(for: .seconds(1))
    #expect(network.heard[0]["node1/1"] == 1 && network.heard[2]["node1/1"] == 1)
  }
}
