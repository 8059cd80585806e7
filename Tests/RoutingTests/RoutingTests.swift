// RoutingTests: the table of ways against its rules, and private messages in simulated networks.
import Gossip
import LayerConformance
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Routing

@Suite struct RoutingTableTests {
  private let left = Address(ipv4: 1, port: 1)
  private let right = Address(ipv4: 2, port: 1)

  private func sighting(_ id: UInt32, _ from: Address, hops: UInt32? = 3) -> RumorSighting {
    RumorSighting(origin: "A", id: id, from: from, hops: hops)
  }

  @Test func onlyANewerRumorOrADirectOneChangesTheWay() {
    var table = RoutingTable()
    func best(_ sighting: RumorSighting) -> Address? {
      table.note(sighting, at: Instant())
      return table.candidates("A").first?.nextHop
    }
    #expect(best(sighting(1, left)) == left)
    #expect(best(sighting(1, right)) == left)
    #expect(best(sighting(2, right)) == right)
    #expect(best(sighting(1, left)) == right)
    #expect(best(sighting(2, left)) == right)
    #expect(best(sighting(2, left, hops: 0)) == left)
    #expect(best(sighting(2, right, hops: 0)) == left)
    #expect(best(sighting(3, right, hops: nil)) == right)
  }

  /// Against the rules said as plainly as can be: the newest ID first; among those a direct one; then the first.
  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func theBestIsTheNewestThenADirectOneThenTheFirst(_ seed: UInt64) {
    var random = RandomStream(seed: seed)
    var table = RoutingTable()
    var best: (id: UInt32, isDirect: Bool, from: Address)?
    for _ in 0..<200 {
      let id = UInt32(random.next(below: 5)) + (best?.id ?? 1)
      let from = Address(ipv4: UInt32(random.next(below: 3)), port: 1)
      // Who is direct stays so.
      let isDirect = from.ipv4 == 0
      table.note(sighting(id, from, hops: isDirect ? 0 : 3), at: Instant())
      if best.map({ id > $0.id || id == $0.id && isDirect && !$0.isDirect }) ?? true { best = (id, isDirect, from) }
      #expect(table.candidates("A").first?.nextHop == best?.from, "seed \(seed)")
      #expect(Set(table.candidates("A").map(\.nextHop)).count == table.candidates("A").count)
      #expect(table.candidates("A").map(\.id) == table.candidates("A").map(\.id).sorted(by: >))
    }
  }

  @Test func theNextBestTakesThePlaceOfOneThatIsGone() {
    var table = RoutingTable()
    table.note(sighting(1, left), at: Instant(nanoseconds: 5))
    table.note(sighting(2, right), at: Instant(nanoseconds: 9))
    let changed = table.drop(right)
    #expect(changed == ["A"] && table.candidates("A").map(\.nextHop) == [left])
    let gone = table.expire(before: Instant(nanoseconds: 6))
    #expect(gone == ["A"] && table.count == 0)
  }

  @Test func aFullTableKeepsWhatItHas() {
    var table = RoutingTable(limit: 1)
    table.note(sighting(1, left), at: Instant())
    let isTaken = table.note(RumorSighting(origin: "B", id: 1, from: left, hops: 0), at: Instant())
    #expect(!isTaken && table.destinations == ["A"])
  }
}

@Suite struct RoutingTests {
  @Test(arguments: [
    Topology(.line), Topology(.ring), Topology(.star), Topology.randomRegular(degree: 3),
  ])
  func messagesArriveAndAreConfirmed(_ topology: Topology) throws {
    let network = try Network(8, topology)
    for (from, to) in [(0, 7), (7, 0), (3, 5), (1, 6)] {
      #expect(network.send(from, to: "node\(to)", "from \(from)") == "delivered", "\(topology.kind)")
      #expect(network.received[to]?.last == "from \(from)")
    }
    #expect(network.command(0, "routes")?["routes"]?.arrayValue?.count == 7)
  }

  @Test func lossIsMadeUpForAndNothingComesTwice() throws {
    var link = LinkSettings()
    link.loss = 0.2
    link.duplicate = 0.2
    link.reorder = 0.1
    let network = try Network(4, Topology(.line), seed: 5, link: link)
    var sent: [String] = []
    var delivered: [String] = []
    for number in 0..<20 {
      let state = network.send(0, to: "node3", "\(number)")
      sent.append("\(number)")
      if state == "delivered" { delivered.append("\(number)") }
    }
    let received = network.received[3] ?? []
    #expect(Set(received).count == received.count)
    #expect(Set(received).isSuperset(of: delivered) && delivered.count >= 15)
  }

  @Test func whereThereIsNoWayTheSenderLearnsIt() throws {
    let network = try Network(3, Topology(.line))
    #expect(network.send(0, to: "nobody", "hello") == "no route")
    network.simulation.crash(2)
    #expect(network.send(0, to: "node2", "hello") == "no answer")
  }

  @Test func oneToOneselfIsDeliveredHere() throws {
    let network = try Network(2, Topology(.line))
    #expect(network.send(0, to: "node0", "note") == "delivered")
    #expect(network.received[0] == ["note"])
  }

  @Test func messagesSurviveACrashAndGoOn() throws {
    let network = try Network(3, Topology(.line))
    network.simulation.partition([[0], [1, 2]])
    #expect(network.send(0, to: "node2", "wait for me", within: .seconds(1)) == nil)
    network.simulation.crash(0)
    network.simulation.heal()
    try network.simulation.restart(0)
    network.simulation.run(for: .seconds(40))
    #expect(network.received[2] == ["wait for me"])
    let kept = network.command(0, "messages")?["messages"]?.arrayValue ?? []
    #expect(kept.map { $0["state"] } == ["delivered"])
    // The receiver knows it still, and takes it no second time.
    try network.simulation.restart(2)
    #expect(network.command(2, "messages")?["messages"]?.arrayValue?.first?["text"] == "wait for me")
  }

  @Test func loopsEndAtTheHopLimit() throws {
    let network = try Network(3, Topology(.ring))
    // Three nodes that each take the next one for the way to somebody.
    for (node, from) in [(0, 1), (1, 2), (2, 0)] {
      let rumor = Rumor(origin: "ghost", id: 1, text: "")
      network.simulation.inject(packet(2, rumor), to: node, from: network.simulation.address(of: from))
    }
    var seen = 0
    network.onPrivate = { message in
      if message.destination == "ghost" {
        seen += 1
        #expect(message.hopLimit <= 32)
      }
    }
    let message = Private(origin: "x", text: "round and round", destination: "ghost", hopLimit: .max)
    network.simulation.inject(packet(4, message), to: 0, from: network.simulation.address(of: 2))
    network.simulation.run(for: .seconds(5))
    #expect(seen > 0 && seen <= 31)
    // At 0 it is taken when it is for us, and else dropped.
    seen = 0
    for destination in ["node0", "ghost"] {
      let last = Private(origin: "x", text: "last", destination: WireText(destination), hopLimit: 0)
      network.simulation.inject(packet(4, last), to: 0, from: network.simulation.address(of: 1))
    }
    network.simulation.run(for: .seconds(1))
    #expect(network.received[0] == ["last"] && seen == 0)
  }

  @Test func toAPeersterItIsSentPlainlyAndOnce() throws {
    let network = try Network(2, Topology(.line))
    // A Peerster's rumor says nothing of hops.
    let peerster = Address(ipv4: 0xc0a8_0001, port: 5000)
    network.simulation.inject(packet(2, Rumor(origin: "Go", id: 1, text: "hi")), to: 0, from: peerster)
    #expect(network.send(0, to: "Go", "hello") == "sent, no receipts")
  }

  @Test func itKeepsThePromisesOfALayer() throws {
    var options = ConformanceOptions()
    options.rounds = 12
    options.floodMessages = 10_000
    try LayerConformance.check(Routing.self, with: [Gossip.self], options: options)
  }
}
