// AttackTests: what a hostile or mistaken neighbour, or whoever writes another's address on datagrams, can not do.
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Gossip

@Suite struct AttackTests {
  private let stranger = Address(ipv4: 0x0a00_0009, port: 5000)

  private func publish(_ stage: Stage) -> Int64? {
    var id: Int64?
    stage.node.call("gossip", "publish", ["text": "hello"], at: stage.now) { reply in
      if case .finished(let json) = reply { id = json["id"]?.integerValue }
    }
    // Answers are news like any other.
    for news in stage.node.takeNews() { if case .reply(let reply, let sink) = news { sink(reply) } }
    return id
  }

  /// Whoever claims step by step to have seen more of a new node's rumors takes no more IDs from it than one could.
  @Test func aNewNodesIDsAreNotUsedUpByClaims() throws {
    let stage = try Stage(peers: false)
    var claim: UInt32 = 1
    for _ in 0..<5_000 {
      claim = claim.addingReportingOverflow(1 << 20).overflow ? .max : claim + 1 << 20
      stage.receive(3, Status(want: [PeerStatus(identifier: "me", nextID: claim)]), from: stranger)
      _ = stage.sent(after: .milliseconds(5))
    }
    let id = try #require(publish(stage))
    #expect(id <= 1 << 20 + 1)
  }

  /// A Peerster has rumors of ours that we don't know: they say where to go on, as they do in a batch.
  @Test func aRumorOfOursTellsThatStorageWasLost() throws {
    let stage = try Stage()
    for id in 1...4 as ClosedRange<UInt32> { stage.receive(2, Rumor(origin: "me", id: id, text: "before")) }
    #expect(publish(stage) == 5)
  }

  /// What a status can't but ask for again would be sent again, and so on for ever.
  @Test func whatIsNotTakenIsNotAskedForAgain() throws {
    let stage = try Stage(["origins": 16], peers: false)
    for number in 0..<16 { stage.receive(2, Rumor(origin: WireText("x\(number)"), id: 1, text: "")) }
    _ = stage.sent(after: .seconds(70))
    stage.receive(2, Rumor(origin: "one more", id: 1, text: "hello"))
    stage.receive(2, Rumor(origin: "me", id: 1, text: "what I never said"))
    #expect(stage.sent().isEmpty)
    // One that is known is answered, and so is one that is too far ahead: there the answer helps.
    stage.receive(2, Rumor(origin: "x1", id: 1, text: ""))
    #expect(stage.sent().map(\.number) == [3])
    stage.receive(2, Rumor(origin: "x1", id: 9_000, text: ""))
    #expect(stage.sent().map(\.number) == [3])
  }

  /// Small messages with another's address on them don't have us pour out all that we know there.
  @Test func whoHasProvenNothingDrawsLittle() throws {
    let stage = try Stage()
    stage.receive(2, Rumor(origin: "A", id: 1, text: WireText(bytes: .init(repeating: 65, count: 50_000))))
    for number in 0..<2_000 {
      stage.receive(2, Rumor(origin: WireText("an origin with a longer name \(number)"), id: 1, text: "x"))
    }
    _ = stage.sent()
    var sent = 0
    for _ in 0..<100 {
      for _ in 0..<20 {
        stage.receive(3, Status(), from: stranger)
        stage.receive(2, Rumor(origin: "A", id: 2, text: ""), from: stranger)
        stage.receive(66, Graft(wanted: [WantedRumors(origin: "A", first: 1, count: 1)]), from: stranger)
      }
      sent += stage.sent(after: .milliseconds(10)).reduce(0) { $0 + $1.size }
    }
    // 64 KiB, 16 KiB for the second, three times what came, and the message with which it was over.
    #expect(sent < 65_536 + 16_384 + 3 * 6_000 * 60 + 60_000, "\(sent) bytes")
    #expect(sent > 50_000)
    // One of the configuration is answered, whatever it speaks.
    stage.receive(3, Status())
    #expect(!stage.sent().isEmpty)
  }

  @Test func theEndsOfAStatusAreNames() throws {
    let stage = try Stage()
    stage.receive(2, Rumor(origin: "A", id: 1, text: "one"))
    _ = stage.sent()
    let long = WireText(bytes: .init(repeating: 65, count: 40_000))
    stage.receive(3, Status(want: [], from: long))
    stage.receive(64, RumorBatch(rumors: [Rumor(origin: "B", id: 1, text: "")], upTo: long, isLast: true))
    #expect(stage.sent().allSatisfy { $0.number == 33 })
    #expect(stage.metric("statusesIgnored") == 1 && stage.metric("refused") == 1)
  }

  /// Where a history begins is not believed of who hasn't proven its address, however long nobody objects.
  @Test func historiesAreNotHiddenFromAForgedAddress() throws {
    let stage = try Stage()
    stage.receive(64, RumorBatch(starts: [PeerStatus(identifier: "B", nextID: 5_000)]), from: stranger)
    _ = stage.sent(after: .seconds(40))
    _ = stage.sent(after: .seconds(40))
    stage.receive(2, Rumor(origin: "B", id: 1, text: "first"))
    #expect(stage.events("rumor").count == 1)
  }

  /// Of an origin that is alive one neighbour's word hides nothing, though its rumors come half a minute apart.
  @Test func theHistoryOfALivingOriginIsNotHidden() throws {
    let stage = try Stage()
    let liar = Address(ipv4: 0x0a00_0008, port: 5000)
    for peer in [nil, liar] { try stage.prove(peer) }
    for id in 1...20 as ClosedRange<UInt32> {
      stage.receive(2, Rumor(origin: "A", id: id, text: "still here"))
      stage.receive(64, RumorBatch(starts: [PeerStatus(identifier: "A", nextID: 4_000_000_000)]), from: liar)
      for _ in 0..<31 { _ = stage.sent(after: .seconds(1)) }
    }
    #expect(stage.events("rumor").count == 20)
  }

  /// An invented rumor ahead of the others shows no way: it would be the newest of its origin for long.
  @Test func aRumorBeyondAGapShowsNoWayUntilTheGapCloses() throws {
    let stage = try Stage()
    stage.receive(2, Rumor(origin: "A", id: 1, text: "", hops: 0))
    stage.receive(2, Rumor(origin: "A", id: 200, text: "", hops: 0), from: stranger)
    #expect(stage.events("sighting").map { $0["id"] } == [1])
    stage.receive(2, Rumor(origin: "A", id: 3, text: "", hops: 0))
    stage.receive(2, Rumor(origin: "A", id: 2, text: "", hops: 0))
    #expect(stage.events("sighting").map { $0["id"] } == [2, 3])
  }

  /// A storm of statuses that name nothing has us look for what they lack only so often.
  @Test func whoLacksMuchIsAnsweredTheLessOften() throws {
    let stage = try Stage(["statuses": 100])
    for number in 0..<5_000 { stage.receive(2, Rumor(origin: WireText("o\(number)"), id: 1, text: "")) }
    _ = stage.sent(after: .seconds(10))
    try stage.prove()
    _ = stage.sent(after: .seconds(10))
    let before = stage.metric("statusesIn")
    for _ in 0..<1_000 { stage.receive(3, Status()) }
    #expect((1...8).contains(stage.metric("statusesIn") - before))
  }

  /// When there is too much in all, many small origins give up their older half, and none all that it has.
  @Test func manySmallOriginsAllKeepTheirNewest() throws {
    var log = RumorLog()
    for number in 0..<1_000 {
      for _ in 0..<4 { _ = log.append(WireText("o\(number)"), size: 10, at: Instant()) }
    }
    let few = log.largest(byBytes: false, toLose: 100)
    #expect(few.count == 50 && few.allSatisfy { $0.rest == 2 })
    #expect(log.largest(byBytes: true, toLose: 30).map(\.rest) == [20, 30])
    for _ in 0..<996 { _ = log.append("o7", size: 10, at: Instant()) }
    // One loud one pays alone, and no more than it must.
    let one = log.largest(byBytes: false, toLose: 400)
    #expect(one.map(\.origin) == ["o7"] && one.map(\.rest) == [600])
  }

  /// Many that never come to an end don't keep a neighbour of the configuration from its backlog.
  @Test func backlogsOfStrangersDoNotKeepOthersWaiting() throws {
    let stage = try Stage()
    for id in 1...20 as ClosedRange<UInt32> {
      stage.receive(2, Rumor(origin: "A", id: id, text: WireText(bytes: .init(repeating: 65, count: 1_000))))
    }
    _ = stage.sent()
    for number in 0..<256 as Range<UInt32> {
      let greedy = Address(ipv4: 0x0a00_0100 + number, port: 5000)
      try stage.prove(greedy)
      stage.receive(3, Status(), from: greedy)
      #expect(stage.sent().contains { $0.number == 64 })
    }
    let late = Address(ipv4: 0x0a00_0900, port: 5000)
    try stage.prove(late)
    stage.receive(3, Status(), from: late)
    #expect(!stage.sent().contains { $0.number == 64 })
    try stage.prove()
    stage.receive(3, Status())
    #expect(stage.sent().contains { $0.number == 64 })
  }
}
