// CoreTests: Routing's value cores against their rules: the mailbox, what is remembered, marks, messages on the wire.
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Routing

@Suite struct MailboxTests {
  private func limits(count: Int, bytes: Int64) -> MailboxLimits {
    var limits = MailboxLimits()
    (limits.count, limits.bytes) = (count, ByteCount(bytes: bytes))
    return limits
  }

  private func entry(_ number: UInt64, _ size: Int, for name: String = "A", at: Int64 = 0) -> Mailbox.Entry {
    let at = Instant(nanoseconds: at)
    return .init(number: number, destination: WireText(name), messageID: number, size: size, at: at, due: at)
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func itStaysWithinItsLimitsAndLosesNothingUncounted(_ seed: UInt64) {
    var random = RandomStream(seed: seed)
    let limits = limits(count: 1 + Int(random.next(below: 20)), bytes: 1_000)
    var mailbox = Mailbox(limits: limits)
    // The same, done as plainly as can be.
    var expected: [Mailbox.Entry] = []
    for number in 1...300 as ClosedRange<UInt64> {
      switch random.next(below: 4) {
      case 0 where !expected.isEmpty:
        let gone = expected.remove(at: Int(random.next(below: UInt64(expected.count))))
        let removed = mailbox.remove(gone.number)
        #expect(removed == gone)
      case 1:
        let cutoff = Int64(number) - Int64(random.next(below: 60))
        let old = expected.filter { $0.at.nanoseconds < cutoff }
        expected.removeAll { $0.at.nanoseconds < cutoff }
        let expired = mailbox.expire(before: Instant(nanoseconds: cutoff))
        #expect(expired == old)
      default:
        let new = entry(number, Int(random.next(below: 1_200)), at: Int64(number))
        let gone = mailbox.add(new)
        guard new.size <= 1_000 else {
          #expect(gone == nil)
          continue
        }
        expected.append(new)
        var oldest: [Mailbox.Entry] = []
        while expected.count > limits.count || expected.reduce(0, { $0 + $1.size }) > 1_000 {
          oldest.append(expected.removeFirst())
        }
        #expect(gone == oldest)
        let again = mailbox.add(new)
        #expect(again == nil || !expected.contains(new), "the same once more")
      }
      #expect(mailbox.entries == expected, "seed \(seed)")
      #expect(mailbox.bytes == expected.reduce(0) { $0 + $1.size })
      for entry in expected { #expect(mailbox.find(entry.messageID) == entry) }
      #expect(mailbox.nextDue == expected.map(\.due).min())
    }
  }

  @Test func oneWhoIsHeardOfGetsWhatIsKeptButNotTwiceAtOnce() {
    var mailbox = Mailbox(limits: limits(count: 10, bytes: 1_000))
    for (number, name) in [(1, "A"), (2, "B"), (3, "A")] { _ = mailbox.add(entry(UInt64(number), 10, for: name)) }
    let now = Instant(nanoseconds: 1_000)
    for number in 1...3 as ClosedRange<UInt64> {
      mailbox.tried(number, sent: number == 3 ? now : nil, again: now + .seconds(600))
    }
    #expect(mailbox.due(at: now, limit: 10).isEmpty)
    let isWoken = mailbox.wake("A", at: now, notSentFor: .seconds(2))
    #expect(isWoken && mailbox.due(at: now, limit: 10).map(\.number) == [1])
    let isAnother = mailbox.wake("C", at: now, notSentFor: .seconds(2))
    #expect(!isAnother)
  }
}

@Suite struct RecentsTests {
  @Test func passingsAreCountedAndTheOldestForgotten() {
    var passings = RecentPassings(limit: 3)
    var before: [Int] = []
    for number in [1, 2, 3, 1, 1, 4, 1] as [UInt64] { before.append(passings.note(number)) }
    // When the fourth came, the oldest had to go.
    #expect(before == [0, 0, 0, 1, 2, 0, 0])
    #expect(passings.count == 3)
  }

  @Test func eachNeighbourHasItsShareOfASecond() {
    var takings = Takings(limit: 2)
    let now = Instant(nanoseconds: 5_000_000_000)
    var taken: [Bool] = []
    for (peer, after) in [(1, 0), (1, 0), (1, 0), (2, 0), (3, 0), (3, 1)] {
      taken.append(takings.take(Address(ipv4: UInt32(peer), port: 1), most: 2, at: now + .seconds(after)))
    }
    #expect(taken == [true, true, false, true, false, true])
  }
}

@Suite struct BookTests {
  @Test func marksAreBoundedAndOutliveTheirMessages() throws {
    let book = MessageBook(storage: try SimStorage().namespace("routing", version: 1))
    var marks = try book.marks()
    #expect(marks.isEmpty)
    for id in 1...100 as ClosedRange<UInt64> {
      try book.noteReceived("A", id, marks: &marks, most: 40)
      var message = StoredMessage()
      (message.peer, message.messageID, message.state) = ("A", Fixed64(id), .received)
      try book.set(id, message)
      try book.remove(id)
    }
    let found = try (1...100).filter { try book.hasReceived("A", $0) }
    #expect(found == Array(61...100))
    #expect(try book.marks() == marks && marks.count == 40)
    #expect(try book.storage.count() == 80)
    #expect(try !book.hasReceived("B", 100))
  }

  @Test func statesAreToldWithTheirTimes() {
    var message = StoredMessage()
    message.at = Instant(nanoseconds: 0)
    message.changed = Instant(nanoseconds: 62_000_400_000)
    message.state = .noAnswer
    #expect(message.says == "no answer after 62s")
    message.state = .delivered
    message.changed = Instant(nanoseconds: 40_123_456)
    #expect(message.says == "delivered after 40.1ms")
    for state in MessageState.allCases {
      message.state = state
      #expect(message.state == state)
    }
  }
}

@Suite struct ParcelTests {
  @Test func whatIsKeptIsFoundAgain() throws {
    let text = Parcel.text(Private(origin: "A", text: "t", destination: "B", hopLimit: 3, messageID: Fixed64(7)))
    var message = Parcel.message(
      Routed(origin: "A", destination: "B", hopLimit: 3, field: 1_000, body: [1, 2, 3], messageID: Fixed64(8)))
    message.keeper = "M"
    message.hopLimit = 2
    for parcel in [text, message] {
      var kept = KeptMessage()
      kept.parcel = parcel
      #expect(try KeptMessage(decoding: kept.encoded()).parcel == parcel)
    }
    #expect(message.keeper == "M" && message.hopLimit == 2 && message.field == 1_000 && text.field == 4)
  }

  @Test func onlyWhatIsWithinBoundsIsSound() {
    let long = WireText(bytes: Array(repeating: 65, count: 256))
    let body = [UInt8](repeating: 0, count: RoutedBody.limit)
    #expect(Parcel.message(Routed(origin: "A", destination: "B", body: body)).isSound)
    #expect(!Parcel.message(Routed(origin: "A", destination: "B", body: body + [0])).isSound)
    #expect(!Parcel.message(Routed(origin: long, destination: "B")).isSound)
    #expect(!Parcel.message(Routed(origin: "A", destination: "B", keeper: long)).isSound)
    #expect(!Parcel.text(Private(origin: "A", text: "", destination: long, hopLimit: 1)).isSound)
  }
}
