// AttackTests: what a hostile neighbour can not do to ways and to the mailbox, and how little it costs when some go.
import Gossip
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Routing

@Suite struct AttackTests {
  private func entry(_ number: UInt64, _ from: Mailbox.Bringer, size: Int = 10) -> Mailbox.Entry {
    .init(number: number, destination: "D", messageID: number, size: size, at: Instant(), due: Instant(), from: from)
  }
  private func peer(_ port: UInt16) -> Address { Address(ipv4: 1, port: port) }

  /// Who fills the mailbox pushes out its own messages, by number and by bytes.
  @Test func nobodyPushesOutWhatOthersHaveLeft() {
    var limits = MailboxLimits()
    limits.count = 100
    var mailbox = Mailbox(limits: limits)
    for number in 1...10 as ClosedRange<UInt64> { _ = mailbox.add(entry(number, .ours)) }
    for number in 11...30 as ClosedRange<UInt64> { _ = mailbox.add(entry(number, .neighbour(peer(1)))) }
    for number in 31...5_000 as ClosedRange<UInt64> {
      _ = mailbox.add(entry(number, number % 2 == 0 ? .stranger : .neighbour(peer(2))))
    }
    #expect(mailbox.entries.count == 100)
    #expect(mailbox.entries.prefix(30).map(\.number) == Array(1...30))
    // And of those who have brought much the newest are there.
    #expect(mailbox.entries.suffix(70).map(\.number) == Array(4_931...5_000))
    limits.count = 1_000
    limits.bytes = .kib(64)
    mailbox.limits = limits
    for number in 5_001...5_100 as ClosedRange<UInt64> { _ = mailbox.add(entry(number, .stranger, size: 8_192)) }
    #expect(mailbox.entries.prefix(30).map(\.number) == Array(1...30))
    #expect(mailbox.bytes <= 65_536)
  }

  /// A neighbour that goes costs no look at all origins, nor leaves anything behind.
  @Test func aNeighbourThatGoesTakesItsWaysAlong() {
    var random = RandomStream(seed: 5)
    var table = RoutingTable()
    var model: [WireText: Set<Address>] = [:]
    for round in 0..<4_000 {
      let origin = WireText("o\(random.next(below: 50))")
      let from = peer(UInt16(random.next(below: 12)))
      if round % 100 == 99 {
        let changed = table.drop(from)
        #expect(changed == changed.sorted() && changed.allSatisfy { table.candidates($0).first?.nextHop != from })
      } else {
        table.note(
          .init(origin: origin, id: UInt32(round), from: from, hops: 1), at: Instant() + .seconds(Int64(round)))
      }
      model = [:]
      for origin in table.destinations { model[origin] = Set(table.candidates(origin).map(\.nextHop)) }
    }
    for port in 0..<12 as Range<UInt16> {
      let theirs = model.filter { $0.value.contains(peer(port)) }.keys
      let first = theirs.filter { table.candidates($0).first?.nextHop == peer(port) }.sorted()
      #expect(table.drop(peer(port)) == first)
      #expect(table.destinations.allSatisfy { !table.candidates($0).contains { $0.nextHop == peer(port) } })
    }
    #expect(table.count == 0)
    #expect(table.drop(peer(1)).isEmpty && table.expire(before: Instant() + .seconds(9_999)).isEmpty)
  }

  /// More senders in a second than are told apart don't take away what a true neighbour may send.
  @Test func inventedSendersLeaveRoomForTrueOnes() throws {
    let friend = Address(ipv4: 0x0a00_0001, port: 5000)
    var blueprint = NodeBlueprint(
      name: "me", address: Address(ipv4: 0x0a00_0002, port: 5000), peers: [friend],
      layers: [(Gossip.self, [:]), (Routing.self, [:])], seed: 1)
    blueprint.limits.neighbours = 8
    let disk = SimDisk()
    let node = try Node(blueprint, storage: SimStorage()) { disk.files(root: "/\($0)") }
    node.observesEvents = true
    let now = Instant(nanoseconds: 1_000_000_000)
    node.start(at: now)
    let message = Private(origin: "x", text: "hello", destination: "elsewhere", hopLimit: 10)
    let bytes = message.packet(as: 4)
    for number in 0..<5_000 as Range<UInt32> {
      node.receive(bytes.span.bytes, from: Address(ipv4: 0x0b00_0000 + number, port: 1), at: now)
    }
    _ = node.takeNews()
    var ours = message
    ours.destination = "me"
    node.receive(ours.packet(as: 4).span.bytes, from: friend, at: now)
    let told = node.takeNews().count { if case .event(let event) = $0 { event.name == "private" } else { false } }
    #expect(told == 1)
  }
}
