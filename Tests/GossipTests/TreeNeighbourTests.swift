// TreeNeighbourTests: what one node of a tree says to a neighbour that the test plays: honest, hostile, or a Peerster.
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Gossip

/// The core's introduction, as it stands on the wire.
private struct Introduction: WireMessage {
  var capabilities: UInt64 = 1
  var cookie = Fixed64(77)
  var echo = Fixed64(0)
  var wantsReply = false
  var name = ""
  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "capabilities", &capabilities)
    try field(2, "cookie", &cookie)
    try field(3, "echo", &echo)
    try field(4, "wantsReply", &wantsReply)
    try field(5, "name", &name)
  }
}

extension Stage {
  /// A neighbour proves its address; its node's status in answer is put aside.
  fileprivate func prove(_ address: Address? = nil) throws {
    receive(33, Introduction(wantsReply: true), from: address)
    let hello = try #require(sent().first { $0.number == 33 })
    receive(33, Introduction(echo: try Introduction(decoding: hello.body).cookie), from: address)
    _ = sent()
  }
  fileprivate func addressed(after time: Duration = .zero) -> [UInt32] { sent(after: time).map(\.number) }
}

private let other = Address(ipv4: 0x0a00_0003, port: 5000)

@Suite struct TreeNeighbourTests {
  private func stage(_ peers: Address?..., gossip: JSON = ["spread": "tree", "antiEntropy": "0s"]) throws -> Stage {
    let stage = try Stage(gossip)
    for peer in peers { try stage.prove(peer) }
    return stage
  }

  @Test func aRumorGoesOnAndIsNotAnswered() throws {
    let stage = try stage(nil, other)
    stage.receive(2, Rumor(origin: "A", id: 1, text: "hello", hops: 2))
    let sent = stage.sent()
    #expect(sent.map(\.number) == [2])
    #expect(try Rumor(decoding: sent[0].body).hops == 3)
    // The same from the other: it is told to prune, and then hears of rumors only.
    stage.receive(2, Rumor(origin: "A", id: 1, text: "hello", hops: 2), from: other)
    #expect(stage.addressed() == [67])
    stage.receive(2, Rumor(origin: "A", id: 2, text: "again", hops: 2))
    #expect(stage.addressed().isEmpty)
    let told = stage.sent(after: .milliseconds(50))
    #expect(told.map(\.number) == [65])
    #expect(
      try Announcements(decoding: told[0].body).announcements
        == [
          Announcement(origin: "A", first: 1, count: 1, hops: 3),
          Announcement(origin: "A", first: 2, count: 1, hops: 3),
        ].suffix(1))
    #expect(stage.metric("treeDuplicates") == 1 && stage.metric("prunes") == 1)
    #expect(stage.events("pruned").count == 1)
  }

  @Test func whatIsAnnouncedAndDoesNotComeIsAskedFor() throws {
    let stage = try stage(nil, other)
    stage.receive(65, Announcements(announcements: [Announcement(origin: "A", first: 2, count: 2)]))
    stage.receive(65, Announcements(announcements: [Announcement(origin: "A", first: 1, count: 3)]), from: other)
    #expect(stage.addressed(after: .milliseconds(299)).isEmpty)
    let grafts = stage.sent(after: .milliseconds(1))
    #expect(grafts.map(\.number) == [66])
    #expect(try Graft(decoding: grafts[0].body).wanted == [WantedRumors(origin: "A", first: 1, count: 3)])
    // The second is asked when the first doesn't answer; each twice, and nobody again.
    var count = 0
    for _ in 0..<100 { count += stage.addressed(after: .milliseconds(50)).count }
    #expect(count == 3)
    // An offer is taken up at once.
    stage.receive(65, Announcements(announcements: [Announcement(origin: "B", first: 1, count: 1, isOffer: true)]))
    #expect(stage.addressed(after: .milliseconds(1)) == [66])
    stage.receive(
      68, RumorBatch(rumors: [Rumor(origin: "B", id: 1, text: "one"), Rumor(origin: "B", id: 2, text: "two")]))
    #expect(stage.events("rumor").map { $0["text"] } == ["one", "two"])
    #expect(stage.events("grafted").isEmpty)
  }

  @Test func aGapShowsWhatIsMissing() throws {
    let stage = try stage(nil)
    stage.receive(2, Rumor(origin: "A", id: 1, text: "one"))
    stage.receive(2, Rumor(origin: "A", id: 4, text: "four"))
    stage.receive(2, Rumor(origin: "A", id: 6, text: "six"))
    let graft = try #require(stage.sent(after: .milliseconds(150)).last)
    #expect(graft.number == 66)
    #expect(
      try Graft(decoding: graft.body).wanted == [
        WantedRumors(origin: "A", first: 2, count: 2), WantedRumors(origin: "A", first: 5, count: 1),
      ])
  }

  @Test func aGraftIsAnsweredWithinBounds() throws {
    let stage = try stage(nil)
    for id in 1...2_000 as ClosedRange<UInt32> {
      stage.receive(2, Rumor(origin: "A", id: id, text: "a text of some length, so that it adds up"))
    }
    _ = stage.sent(after: .seconds(1))
    let all = Graft(wanted: Array(repeating: WantedRumors(origin: "A", first: 1, count: .max - 9), count: 1_000))
    stage.receive(66, all)
    let answer = stage.sent()
    #expect(!answer.isEmpty && answer.allSatisfy { $0.number == 68 && $0.size <= 1_200 })
    #expect(answer.reduce(0) { $0 + $1.size } < 40_000)
    // Who hasn't proven its address gets one rumor.
    stage.receive(66, all, from: other)
    let little = stage.sent().filter { $0.number != 33 }
    #expect(little.map(\.number) == [2])
    // One rumor comes as a rumor; none, for nothing.
    stage.receive(66, Graft(wanted: [WantedRumors(origin: "A", first: 7, count: 1)]))
    #expect(stage.addressed() == [2])
    for wanted in [
      WantedRumors(origin: "A", first: 0, count: 1), WantedRumors(origin: "A", first: 1, count: 0),
      WantedRumors(origin: "A", first: 2_001, count: 5), WantedRumors(origin: "nobody", first: 1, count: 5),
      WantedRumors(origin: "A", first: .max, count: .max), WantedRumors(origin: "", first: 1, count: 1),
    ] {
      stage.receive(66, Graft(wanted: [wanted]))
      #expect(stage.addressed().isEmpty, "\(wanted)")
    }
  }

  @Test func aStormAboutTheTreeIsBounded() throws {
    let stage = try stage(nil, gossip: ["spread": "tree", "antiEntropy": "0s", "statuses": 20])
    stage.receive(2, Rumor(origin: "A", id: 1, text: "one"))
    _ = stage.sent(after: .seconds(5))
    for _ in 0..<1_000 { stage.receive(66, Graft(wanted: [WantedRumors(origin: "A", first: 1, count: 1)])) }
    #expect(stage.sent().count == 20)
    #expect(stage.metric("treeIgnored") == 980)
  }

  @Test func announcementsOfNothingMakeLittleTrouble() throws {
    let stage = try stage(nil)
    stage.receive(2, Rumor(origin: "A", id: 1, text: "one"))
    // Invented origins, IDs far in the future, and what can't be.
    var asked = 0
    for round in 0..<60 {
      var message = Announcements()
      for number in 0..<100 {
        message.announcements.append(Announcement(origin: WireText("x\(round)-\(number)"), first: 1, count: .max - 9))
      }
      message.announcements.append(Announcement(origin: "A", first: 4_000_000_000, count: 7))
      message.announcements.append(Announcement(origin: "A", first: .max, count: .max))
      message.announcements.append(Announcement(origin: "me", first: 5, count: 1))
      message.announcements.append(Announcement(origin: "", first: 1, count: 1))
      stage.receive(65, message)
      for message in stage.sent(after: .milliseconds(1)) where message.number == 66 { asked += 1 }
    }
    // The first kilobyte of them is noted, and asked for by no more bytes than they took.
    var bytes = 0
    for _ in 0..<200 {
      for message in stage.sent(after: .milliseconds(50)) where message.number == 66 {
        bytes += message.size
        for wanted in try Graft(decoding: message.body).wanted {
          #expect(wanted.count <= 256 && wanted.origin != "me")
          asked += 1
        }
      }
    }
    #expect(asked <= 2 * 1_024 + 200 && bytes < 60 * 100 * 24, "\(asked) \(bytes)")
    #expect(stage.metric("accepted") == 1)
  }

  @Test func somebodyElseCannotCutANeighbourOff() throws {
    let stage = try stage(nil)
    // Without proof of the address, nothing happens to any edge.
    stage.receive(67, Prune(origin: "A", id: 1), from: other)
    stage.receive(2, Rumor(origin: "A", id: 1, text: "one"), from: other)
    #expect(stage.addressed().filter { $0 != 33 }.sorted() == [2, 3])
    // Nor by a prune for what the neighbour can't have had from us.
    stage.receive(67, Prune(origin: "A", id: 9))
    stage.receive(2, Rumor(origin: "A", id: 2, text: "two"), from: other)
    #expect(stage.addressed().contains(2))
    stage.receive(67, Prune(origin: "A", id: 2))
    stage.receive(2, Rumor(origin: "A", id: 3, text: "three"), from: other)
    #expect(!stage.addressed().contains(2))
  }

  @Test func aPeersterHearsByMongering() throws {
    let stage = try Stage(["spread": "tree", "antiEntropy": "0s"])
    try stage.prove(other)
    let peerster = stage.peer
    // From the tree to the Peerster, which answers with a status.
    stage.receive(2, Rumor(origin: "A", id: 1, text: "one"), from: other)
    #expect(stage.addressed() == [2])
    stage.receive(3, Status(want: [PeerStatus(identifier: "A", nextID: 2)]), from: peerster)
    #expect(stage.events("coin").count == 1)
    // From the Peerster to the tree; it is answered by a status, as always.
    stage.receive(2, Rumor(origin: "B", id: 1, text: "two"), from: peerster)
    #expect(stage.addressed().sorted() == [2, 3])
    // It lacks something, and gets it one by one.
    stage.receive(3, Status(), from: peerster)
    #expect(stage.addressed() == [2])
    // Nothing that it couldn't read goes to it, whatever happens.
    stage.receive(2, Rumor(origin: "A", id: 1, text: "one"), from: peerster)
    #expect(stage.addressed(after: .seconds(2)).allSatisfy { $0 < 10 || $0 == 65 })
  }
}
