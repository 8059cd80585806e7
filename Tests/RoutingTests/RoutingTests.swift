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

  @Test func aLateReceiptSetsThingsRight() throws {
    let network = try Network(3, Topology(.line), routing: ["tries": 2, "receiptTimeout": "1s"])
    // What node 2 says takes too long to come back.
    var slow = LinkChange()
    (slow.between, slow.oneWay) = ([NodeSelection([1]), NodeSelection([0])], true)
    slow.latency = .fixed(.seconds(10))
    network.simulation.change(slow)
    #expect(network.send(0, to: "node2", "late") == "no answer")
    let says = network.command(0, "messages")?["messages"]?.arrayValue?.first?["says"]?.stringValue
    #expect(says == "no answer after 3s")
    network.simulation.run(for: .seconds(20))
    #expect(network.states(0) == ["late": "delivered"])
    #expect(network.received[2] == ["late"])
  }

  @Test func whenANextHopIsGoneAnotherIsTried() throws {
    // Two ways from 0 to 3. One of the nodes between falls silent, and no new rumor shows another way.
    for gone in [1, 2] {
      let network = try Network(4, .edges([(0, 1), (1, 3), (0, 2), (2, 3)]), routing: ["routeRumor": "1h"])
      for (origin, there) in [(3, 0), (0, 3)] {
        for between in [1, 2] {
          var rumor = Rumor(origin: WireText("node\(origin)"), id: 2, text: "", hops: 0)
          network.simulation.inject(packet(2, rumor), to: between, from: network.simulation.address(of: origin))
          rumor.hops = 1
          network.simulation.inject(packet(2, rumor), to: there, from: network.simulation.address(of: between))
        }
      }
      let routes = network.command(0, "routes")?["routes"]?.arrayValue ?? []
      #expect(routes.first { $0["destination"] == "node3" }?["others"]?.arrayValue?.count == 1)
      network.simulation.crash(gone)
      #expect(network.send(0, to: "node3", "without \(gone)") == "delivered")
      #expect(network.received[3] == ["without \(gone)"])
    }
  }

  @Test func aNodeThatLostItsStorageUsesNoIDTwice() throws {
    for seed in 1...5 as ClosedRange<UInt64> {
      let network = try Network(3, Topology(.ring), seed: seed)
      var equivocations = 0
      let old = network.simulation.onEvent
      network.simulation.onEvent = { node, event in
        if event.name == "equivocation" { equivocations += 1 }
        old?(node, event)
      }
      func next() -> Int64 {
        let origins = network.command(1, "origins", layer: "gossip")?["origins"]?.arrayValue ?? []
        return origins.first { $0["origin"] == "node0" }?["next"]?.integerValue ?? 0
      }
      let before = next()
      network.simulation.crash(0)
      try network.simulation.restart(0, storage: .lose)
      network.simulation.run(for: .seconds(12))
      #expect(before > 2 && next() > before, "seed \(seed)")
      #expect(equivocations == 0, "seed \(seed)")
      let bytesOfOurs = network.send(1, to: "node0", "welcome back")
      #expect(bytesOfOurs == "delivered")
    }
  }

  @Test func aNodeThatIsAlonePublishesAtOnce() throws {
    let network = try Network(1, Topology(.none))
    #expect(network.command(0, "status", layer: "gossip")?["nextID"]?.integerValue ?? 0 > 1)
  }

  @Test func forgedMessagesAreBoundedForEachNeighbour() throws {
    let network = try Network(2, Topology(.line), routing: ["rate": 50])
    for number in 0..<1_000 {
      let forged = Private(origin: "x", text: WireText("\(number)"), destination: "node0", hopLimit: 5)
      network.simulation.inject(packet(4, forged), to: 0, from: network.simulation.address(of: 1))
    }
    #expect(network.received[0]?.count == 50 && network.count(0, "tooMany") == 950)
    #expect(network.send(0, to: "node0", "I still can") == "delivered")
  }

  @Test(arguments: 1...3 as ClosedRange<UInt64>)
  func whateverHappensEachIsDeliveredOnceOrItsSenderKnows(_ seed: UInt64) throws {
    var link = LinkSettings()
    (link.loss, link.duplicate, link.reorder) = (0.1, 0.05, 0.1)
    let network = try Network(
      6, Topology.randomRegular(degree: 3), seed: seed, link: link,
      routing: ["receiptTimeout": "500ms", "tries": 4])
    var random = RandomStream(seed: seed, name: "faults")
    for number in 0..<60 {
      let (from, to) = (Int(random.next(below: 6)), Int(random.next(below: 6)))
      if from != to { network.post(from, to: "node\(to)", "\(from)>\(to) \(number)") }
      network.simulation.run(for: .milliseconds(Int64(random.next(below: 400))))
      switch random.next(below: 8) {
      case 0:
        // At any instant: what was not committed is lost, what was told is not.
        let victim = Int(random.next(below: 6))
        network.simulation.crash(victim)
        network.simulation.run(for: .milliseconds(Int64(random.next(below: 3_000))))
        try network.simulation.restart(victim)
      case 1: network.simulation.partition([[0, 1, 2], [3, 4, 5]])
      case 2, 3: network.simulation.heal()
      default: break
      }
    }
    network.simulation.heal()
    network.simulation.run(for: .seconds(60))
    var ends: [String: Int] = [:]
    for from in 0..<6 {
      for (text, state) in network.states(from) where text.hasPrefix("\(from)>") {
        let to = text.utf8.dropFirst(2).first.map { Int($0) - 48 } ?? 0
        let times = network.received[to]?.filter { $0 == text }.count ?? 0
        #expect(times <= 1, "seed \(seed): \(text) came \(times) times")
        #expect(state != "waiting", "seed \(seed): \(text)")
        if state == "delivered" { #expect(times == 1, "seed \(seed): \(text)") }
        if state == "delivered" { #expect(network.states(to)[text] == "received", "seed \(seed): \(text)") }
        ends[state, default: 0] += 1
      }
    }
    // How many there are depends on the faults alone; here that it is not none.
    #expect((ends["delivered"] ?? 0) >= 15, "seed \(seed): \(ends)")
  }

  @Test func itKeepsThePromisesOfALayer() throws {
    var options = ConformanceOptions()
    options.rounds = 12
    options.floodMessages = 10_000
    try LayerConformance.check(
      Routing.self, config: ["mailbox": true, "mailboxLimits": ["count": 50]], with: [Gossip.self], options: options)
  }
}
