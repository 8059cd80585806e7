// CoreTests: the values that Gossip is made of, against plain models of them.
import PeersterVocabulary
import StackCore
import Testing

@testable import Gossip

@Suite struct VectorClockTests {
  @Test func claimsAreSortedAndCleaned() {
    let clock = VectorClock(claimed: [
      PeerStatus(identifier: "b", nextID: 3), PeerStatus(identifier: "a", nextID: 2),
      PeerStatus(identifier: "b", nextID: 7), PeerStatus(identifier: "", nextID: 9),
      PeerStatus(identifier: "c", nextID: 0),
    ])
    #expect(
      clock.entries == [PeerStatus(identifier: "a", nextID: 2), PeerStatus(identifier: "b", nextID: 7)])
  }

  @Test func whatAPartDoesNotSpeakOfIsNotLacking() {
    var clock = ClockTree()
    for name in ["a", "b", "c", "d"] { clock.advance(WireText(name), to: 2) }
    let claims = VectorClock(claimed: [PeerStatus(identifier: "b", nextID: 1), PeerStatus(identifier: "e", nextID: 3)])
    let part = clock.differences(
      from: claims.entries(from: "b", upTo: "d"), in: clock.ranks(from: "b", upTo: "d"), limit: .max)
    #expect(part.theyLack.map(\.origin) == ["b", "c"] && part.weLack.isEmpty)
    let few = clock.differences(from: claims.entries[...], in: clock.ranks(from: nil, upTo: nil), limit: 1)
    #expect(few.theyLack.map(\.origin) == ["a"] && few.weLack.isEmpty)
    let named = clock.differences(named: claims)
    #expect(named.theyLack == [.init(origin: "b", ids: 1..<2)] && named.weLack == [.init(origin: "e", ids: 1..<3)])
  }

  @Test func differencesAreThoseOfPlainTables() {
    var random = RandomStream(seed: 1)
    for _ in 0..<1_000 {
      var tables: [[WireText: UInt32]] = [[:], [:]]
      for side in 0..<2 {
        for _ in 0..<Int(random.next(below: 40)) {
          tables[side][WireText("n\(random.next(below: 25))")] = UInt32(random.next(below: 9)) + 1
        }
      }
      var clock = ClockTree()
      for name in tables[0].keys.sorted() { clock.advance(name, to: tables[0][name] ?? 1) }
      let claims = VectorClock(
        claimed: tables[1].keys.sorted().map { .init(identifier: $0, nextID: tables[1][$0] ?? 1) })
      let names = Set(tables[0].keys).union(tables[1].keys).sorted()
      func lacking(_ mine: [WireText: UInt32], _ theirs: [WireText: UInt32]) -> [VectorClock.Difference] {
        names.compactMap { name in
          let (have, want) = (mine[name] ?? 1, theirs[name] ?? 1)
          return have > want ? .init(origin: name, ids: want..<have) : nil
        }
      }
      let found = clock.differences(from: claims.entries[...], in: 0..<clock.count, limit: .max)
      #expect(found.theyLack == lacking(tables[0], tables[1]) && found.weLack == lacking(tables[1], tables[0]))
    }
  }
}

@Suite struct RumorLogTests {
  private func rumor(_ origin: String, _ id: UInt32) -> Rumor { Rumor(origin: WireText(origin), id: id, text: "x") }

  @Test func inAnyOrderEachIsTakenOnce() {
    var random = RandomStream(seed: 2)
    for _ in 0..<300 {
      var log = RumorLog()
      var ids = (1...UInt32(30)).map { $0 } + (1...UInt32(30)).map { $0 }
      for place in ids.indices.reversed() { ids.swapAt(place, Int(random.next(below: UInt64(place + 1)))) }
      var taken: [UInt32] = []
      for id in ids {
        switch log.judge("a", id) {
        case .new:
          _ = log.append("a", size: 10, at: Instant())
          taken.append(id)
          while let held = log.takeHeld("a") {
            _ = log.append("a", size: 10, at: Instant())
            taken.append(held.rumor.id)
          }
        case .ahead: _ = log.hold(rumor("a", id), from: nil, at: Instant())
        case .known: #expect(taken.contains(id))
        case .far, .full: Issue.record("\(id) was refused")
        }
      }
      #expect(taken == Array(1...30))
      #expect(log.heldCount == 0 && log.heldBytes == 0 && log.count == 30 && log.bytes == 300)
    }
  }

  @Test func whatIsFarAheadIsNotHeld() {
    var log = RumorLog(limits: .init(gap: 5, held: 3))
    #expect(log.judge("a", 6) == .ahead && log.judge("a", 7) == .far && log.judge("a", .max - 1) == .far)
    for id in 2...5 as ClosedRange<UInt32> { _ = log.hold(rumor("a", id), from: nil, at: Instant()) }
    #expect(log.heldCount == 3)
    let isHeldTwice = log.hold(rumor("a", 2), from: nil, at: Instant())
    #expect(!isHeldTwice)
    log.expireHeld(before: Instant(nanoseconds: 1))
    #expect(log.heldCount == 0 && log.heldBytes == 0)
  }

  @Test func aFullLogKeepsThoseThatItKnows() {
    var log = RumorLog(limits: .init(origins: 2))
    _ = log.append("a", size: 1, at: Instant())
    _ = log.append("b", size: 1, at: Instant())
    #expect(log.judge("c", 1) == .full)
    #expect(log.judge("a", 2) == .new && log.judge("b", 1) == .known(isKept: true))
  }

  @Test func whatIsDroppedStaysSeen() {
    var log = RumorLog()
    for _ in 0..<10 { _ = log.append("a", size: 7, at: Instant()) }
    log.drop("a", below: 8, bytesLeft: 21, oldest: Instant())
    #expect(log.judge("a", 7) == .known(isKept: false) && log.judge("a", 8) == .known(isKept: true))
    #expect(log.next(of: "a") == 11 && log.count == 3 && log.bytes == 21)
    log.skip("a", to: 20)
    #expect(log.next(of: "a") == 20 && log.count == 0 && log.bytes == 0 && log.judge("a", 20) == .new)
    log.skip("a", to: 5)
    #expect(log.next(of: "a") == 20)
  }
}

@Suite struct MongeringStateTests {
  private func wait(_ port: UInt16, _ id: UInt32, _ until: Int64) -> MongeringState.Wait {
    .init(
      peer: Address(ipv4: 1, port: port), origin: "a", id: id, until: Instant(nanoseconds: until))
  }

  @Test func waitsEndByAnswerOrByTime() {
    var state = MongeringState(limit: 3)
    #expect(state.nextDeadline == nil)
    for entry in [wait(1, 1, 10), wait(2, 1, 5), wait(1, 2, 20)] { _ = state.told(entry) }
    #expect(state.waits.count == 3)
    #expect(state.nextDeadline == Instant(nanoseconds: 5))
    let none = state.told(wait(1, 1, 30))
    let gone = state.told(wait(3, 1, 40))
    #expect(none.isEmpty && gone == [wait(2, 1, 5)])
    let answered = state.answered(by: Address(ipv4: 1, port: 1))
    #expect(answered == [wait(1, 2, 20), wait(1, 1, 30)])
    let early = state.expired(at: Instant(nanoseconds: 39))
    let late = state.expired(at: Instant(nanoseconds: 40))
    #expect(early.isEmpty && late == [wait(3, 1, 40)])
    #expect(state.waits.isEmpty)
  }

  @Test func aStormEmptiesOnlyItsOwnBucket() {
    var allowances = Allowances(perSecond: 20, limit: 2)
    let (left, right) = (Address(ipv4: 1, port: 1), Address(ipv4: 1, port: 2))
    var now = Instant()
    func taken(_ peer: Address) -> Int {
      var count = 0
      for _ in 0..<100 where allowances.take(peer, at: now) { count += 1 }
      return count
    }
    #expect(taken(left) == 20 && taken(right) == 20 && taken(Address(ipv4: 1, port: 3)) == 0)
    now = now + .milliseconds(500)
    #expect(taken(left) == 10)
  }
}
