// PeersterNeighbourTests: what Gossip says to a neighbour that speaks the exercise's language only, byte by byte.
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Gossip

/// One node with Gossip, and a neighbour that the test plays.
final class Stage {
  let node: Node
  let peer = Address(ipv4: 0x0a00_0001, port: 5000)
  var now = Instant(nanoseconds: 1_000_000_000)

  init(_ gossip: JSON = [:], peers: Bool = true) throws {
    let blueprint = NodeBlueprint(
      name: "me", address: Address(ipv4: 0x0a00_0002, port: 5000), peers: peers ? [peer] : [],
      layers: [(Gossip.self, gossip)], seed: 1)
    let disk = SimDisk()
    node = try Node(blueprint, storage: SimStorage()) { disk.files(root: "/\($0)") }
    node.observesEvents = true
    node.start(at: now)
    _ = sent()
  }

  /// What the node sends once time has passed: field, body, and size of the datagram.
  func sent(after time: Duration = .zero) -> [(number: UInt32, body: [UInt8], size: Int)] {
    now = now + time
    if let due = node.nextDeadline, due <= now { node.fireTimers(at: now) }
    var found: [(UInt32, [UInt8], Int)] = []
    try? node.commit()
    node.withOutgoing { bytes, entries in
      for entry in entries {
        let datagram = UnsafeRawBufferPointer(start: bytes + entry.offset, count: entry.byteCount)
        var reader = WireReader(datagram.bytes)
        while let tag = try? reader.nextTag() {
          if tag.type == .bytes, let body = try? reader.readBytes() {
            found.append((tag.number, body.withUnsafeBytes { Array($0) }, entry.byteCount))
          } else {
            try? reader.skip(tag)
          }
        }
      }
      return (entries.count, 0)
    }
    return found
  }

  func receive(_ number: UInt32, _ message: some WireMessage, from: Address? = nil) {
    var writer = WireWriter()
    writer.writeTag(number, .bytes)
    writer.writeBytes(message.encoded().span.bytes)
    node.receive(writer.bytes, from: from ?? peer, at: now)
  }

  func status(_ body: [UInt8]) throws -> [String: UInt32] {
    Dictionary(
      uniqueKeysWithValues: try Status(decoding: body).want.map { ($0.identifier.text, $0.nextID) })
  }

  func events(_ name: String) -> [JSON] {
    node.takeNews().compactMap { if case .event(let event) = $0, event.name == name { event.json() } else { nil } }
  }

  func metric(_ name: String) -> UInt64 {
    for metric in node.metricDescriptions where metric.name == name {
      if case .counter(let counter) = metric.source { return counter.value }
    }
    return 0
  }
}

@Suite struct PeersterNeighbourTests {
  @Test func aRumorIsAnsweredByAStatus() throws {
    let stage = try Stage()
    stage.receive(2, Rumor(origin: "A", id: 1, text: "hello"))
    let answer = stage.sent()
    #expect(answer.map(\.number) == [3])
    #expect(try stage.status(answer[0].body) == ["A": 2])
    // A gap: the answer says what is wanted. The rumor is held, and heard once the gap has closed.
    stage.receive(2, Rumor(origin: "A", id: 3, text: "third"))
    #expect(try stage.status(stage.sent()[0].body) == ["A": 2])
    stage.receive(2, Rumor(origin: "A", id: 2, text: "second"))
    #expect(try stage.status(stage.sent()[0].body) == ["A": 4])
    #expect(stage.events("rumor").map { $0["text"] } == ["hello", "second", "third"])
  }

  @Test func aStatusDrawsOneMessage() throws {
    let stage = try Stage()
    for origin in ["A", "B"] {
      for id in 1...3 as ClosedRange<UInt32> { stage.receive(2, Rumor(origin: WireText(origin), id: id, text: "x")) }
    }
    _ = stage.sent()
    stage.receive(3, Status(want: [PeerStatus(identifier: "A", nextID: 2)]))
    let answer = stage.sent()
    #expect(answer.map(\.number) == [2])
    let rumor = try Rumor(decoding: answer[0].body)
    #expect(rumor.origin == "A" && rumor.id == 2 || rumor.origin == "B" && rumor.id == 1)
    // Nothing lacks there, but something here: our status.
    stage.receive(
      3,
      Status(want: [
        PeerStatus(identifier: "A", nextID: 4), PeerStatus(identifier: "B", nextID: .max),
      ]))
    #expect(stage.sent().map(\.number) == [3])
    // In sync: silence.
    stage.receive(
      3, Status(want: [PeerStatus(identifier: "A", nextID: 4), PeerStatus(identifier: "B", nextID: 4)]))
    #expect(stage.sent().isEmpty)
    #expect(stage.events("in-sync").count == 1)
  }

  @Test func hostileRumorsAreRefused() throws {
    let stage = try Stage()
    stage.receive(2, Rumor(origin: "A", id: 1, text: "one"))
    for rumor in [
      Rumor(origin: "A", id: 0, text: "x"), Rumor(origin: "", id: 1, text: "x"),
      Rumor(origin: "A", id: .max, text: "x"), Rumor(origin: "A", id: 4_000_000_000, text: "x"),
      Rumor(origin: WireText(bytes: .init(repeating: 65, count: 300)), id: 1, text: "x"),
      Rumor(origin: "me", id: 1, text: "not mine"),
      Rumor(origin: "B", id: 1, text: WireText(bytes: .init(repeating: 65, count: 60_001))),
    ] { stage.receive(2, rumor) }
    #expect(stage.metric("refused") == 7)
    stage.receive(2, Rumor(origin: "A", id: 1, text: "another"))
    stage.receive(2, Rumor(origin: "A", id: 1, text: "another"))
    let told = stage.events("equivocation")
    #expect(told.count == 1 && told.first?["refused"] == "another")
    #expect(stage.metric("equivocations") == 2)
  }

  @Test func inventedOriginsCannotPushOutOthers() throws {
    let stage = try Stage(["origins": 50])
    stage.receive(2, Rumor(origin: "A", id: 1, text: "one"))
    for number in 0..<1_000 { stage.receive(2, Rumor(origin: WireText("x\(number)"), id: 1, text: "")) }
    stage.receive(2, Rumor(origin: "A", id: 2, text: "two"))
    #expect(stage.events("rumor").map { $0["text"] } == ["one", "two"])
  }

  @Test func statusesAreSplitAndNeverNameZero() throws {
    let stage = try Stage()
    for number in 0..<3_000 {
      stage.receive(2, Rumor(origin: WireText("origin with a longer name \(number)"), id: 1, text: ""))
      _ = stage.sent()
    }
    var named = Set<String>()
    for _ in 0..<4 {
      for message in stage.sent(after: .seconds(10)) where message.number == 3 {
        #expect(message.size <= PeersterField.largestDatagram)
        let status = try stage.status(message.body)
        #expect(!status.values.contains(0))
        named.formUnion(status.keys)
      }
    }
    #expect(named.count == 3_000)
  }

  @Test func aStormOfStatusesIsAnsweredOnlySoOften() throws {
    let stage = try Stage(["statuses": 20])
    stage.receive(2, Rumor(origin: "A", id: 1, text: "one"))
    _ = stage.sent()
    for _ in 0..<1_000 { stage.receive(3, Status()) }
    #expect(stage.sent().count == 20)
    #expect(stage.metric("statusesIgnored") == 980)
  }

  /// Many rumors in one round are all confirmed, though the clock is too long for one status.
  @Test func manyOriginsOfOneRoundAreAllConfirmed() throws {
    let stage = try Stage()
    for number in 0..<3_000 {
      stage.receive(2, Rumor(origin: WireText("origin with a longer name \(number)"), id: 1, text: ""))
    }
    _ = stage.sent()
    let named = [5, 700, 1_400, 2_100, 2_999].map { "origin with a longer name \($0)" }
    for name in named { stage.receive(2, Rumor(origin: WireText(name), id: 2, text: "")) }
    var told: [String: UInt32] = [:]
    for message in stage.sent() {
      #expect(message.number == 3 && message.size <= PeersterField.largestDatagram)
      told.merge(try stage.status(message.body)) { $1 }
    }
    for name in named { #expect(told[name] == 3, "\(name)") }
  }

  @Test func rangesThatAreNoneDrawNothing() throws {
    let stage = try Stage()
    for number in 0..<100 { stage.receive(2, Rumor(origin: WireText("origin \(number)"), id: 1, text: "")) }
    _ = stage.sent()
    func claim(_ upTo: WireText?) -> RangeClaim { RangeClaim(upTo: upTo, low: Fixed64(1), high: Fixed64(2)) }
    for claims in [[], [claim("b"), claim("a")], [claim(nil), claim(nil)]] as [[RangeClaim]] {
      stage.receive(70, ClockRanges(claims: claims))
    }
    stage.receive(
      70, ClockRanges(claims: [RangeClaim(isList: true, want: [PeerStatus(identifier: "a", nextID: 0)])]))
    #expect(stage.metric("rangesRefused") == 4)
    #expect(!stage.sent().contains { [3, 64, 70].contains($0.number) })
    // A claim of a huge ID is asked about, once, and draws no more than that.
    stage.receive(
      70, ClockRanges(claims: [RangeClaim(isList: true, want: [PeerStatus(identifier: "a", nextID: .max)])]))
    let answer = stage.sent()
    #expect(answer.count { $0.number == 3 } == 1 && answer.allSatisfy { $0.size < 1_300 })
  }

  /// Whoever says of all ranges that they differ gets a bounded answer to each, and only so many answers.
  @Test func aLiarAboutRangesIsAnsweredOnlySoOften() throws {
    let stage = try Stage(["statuses": 20])
    for number in 0..<1_000 { stage.receive(2, Rumor(origin: WireText("origin \(number)"), id: 1, text: "")) }
    _ = stage.sent(after: .seconds(60))
    for _ in 0..<1_000 {
      stage.receive(70, ClockRanges(claims: [RangeClaim(low: Fixed64(1), high: Fixed64(2))]))
    }
    let answers = stage.sent().filter { $0.number == 70 }
    // Its address is not proven: one datagram for each.
    #expect(answers.count == 20 && answers.allSatisfy { $0.size < 1_300 })
    #expect(stage.metric("statusesIgnored") == 980)
  }

  @Test func aHistoryIsNotHiddenByOneNeighboursWord() throws {
    let stage = try Stage()
    let liar = Address(ipv4: 0x0a00_0009, port: 5000)
    let batch = RumorBatch(starts: [
      PeerStatus(identifier: "A", nextID: 1_000), PeerStatus(identifier: "B", nextID: 50),
    ])
    stage.receive(64, batch, from: liar)
    _ = stage.sent()
    // An honest neighbour brings the beginning.
    for id in 1...3 as ClosedRange<UInt32> { stage.receive(2, Rumor(origin: "A", id: id, text: WireText("\(id)"))) }
    #expect(stage.events("rumor").map { $0["text"] } == ["1", "2", "3"])
    for _ in 0..<4 { _ = stage.sent(after: .seconds(3)) }
    stage.receive(2, Rumor(origin: "A", id: 4, text: "4"))
    #expect(stage.events("rumor").map { $0["text"] } == ["4"])
    // Of B nobody has brought anything: its history begins where it is said to.
    stage.receive(2, Rumor(origin: "B", id: 50, text: "fifty"))
    #expect(stage.events("rumor").map { $0["text"] } == ["fifty"])
  }

  @Test func aFullTableMakesRoomForWhoIsAliveNotForAFlood() throws {
    let stage = try Stage(["origins": 20])
    let other = Address(ipv4: 0x0a00_0003, port: 5000)
    for number in 0..<5 {
      stage.receive(2, Rumor(origin: WireText("good \(number)"), id: 1, text: "g"), from: other)
      stage.receive(2, Rumor(origin: WireText("good \(number)"), id: 1, text: "g"))
    }
    for number in 0..<100 { stage.receive(2, Rumor(origin: WireText("x\(number)"), id: 1, text: "")) }
    #expect(stage.metric("forgotten") == 0 && stage.metric("accepted") == 20)
    _ = stage.sent(after: .seconds(700))
    stage.receive(2, Rumor(origin: "new", id: 1, text: "hello"), from: other)
    #expect(stage.metric("forgotten") == 1)
    // The rest of the invented ones go for others as invented, and never a good one.
    for number in 0..<100 { stage.receive(2, Rumor(origin: WireText("y\(number)"), id: 1, text: "")) }
    #expect(stage.metric("forgotten") == 15)
    for number in 0..<5 { stage.receive(2, Rumor(origin: WireText("good \(number)"), id: 2, text: "again")) }
    stage.receive(2, Rumor(origin: "new", id: 2, text: "again"), from: other)
    #expect(stage.events("rumor").count { $0["text"] == "again" } == 6)
  }

  @Test func withoutAnAnswerTheCoinDecides() throws {
    let stage = try Stage()
    let other = Address(ipv4: 0x0a00_0003, port: 5000)
    stage.receive(3, Status(), from: other)
    _ = stage.sent()
    stage.receive(2, Rumor(origin: "A", id: 1, text: "one"))
    let first = stage.sent()
    #expect(first.map(\.number).sorted() == [2, 3])
    #expect(stage.sent(after: .milliseconds(900)).isEmpty)
    _ = stage.sent(after: .milliseconds(101))
    #expect(stage.events("coin").count == 1)
  }

  @Test func textThatIsNotUTF8IsPassedOn() throws {
    let stage = try Stage()
    let odd = WireText(bytes: [0xff, 0x00, 0x80])
    stage.receive(2, Rumor(origin: "A", id: 1, text: odd))
    stage.receive(2, Rumor(origin: "A", id: 2, text: "fine"))
    _ = stage.sent()
    stage.receive(3, Status())
    let answer = try #require(stage.sent().first)
    #expect(try Rumor(decoding: answer.body).text == odd)
    #expect(stage.events("rumor").count == 2)
  }
}
