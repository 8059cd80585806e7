// FlowTests: backlogs on their way, what is believed of histories, and which origins make room for others.
import PeersterVocabulary
import StackCore
import Testing

@testable import Gossip

@Suite struct OutflowTests {
  private func gap(_ origin: String, _ ids: Range<UInt32>) -> VectorClock.Difference {
    .init(origin: WireText(origin), ids: ids)
  }

  @Test func allArrivesThoughBatchesAreLostDoubledAndLate() {
    for seed in 1...6 as ClosedRange<UInt64> {
      var random = RandomStream(seed: seed)
      var flow = Outflow(stream: 1)
      flow.add((0..<20).map { gap("o\($0)", 1..<101) })
      var got: [WireText: Set<UInt32>] = [:]
      var now = Instant()
      var due: [(number: UInt32, at: Instant)] = []
      var widest = 0
      for _ in 0..<60_000 where !flow.isOver {
        while flow.mayFly, let next = flow.next {
          let upTo = min(next.ids.upperBound, next.ids.lowerBound + 6)
          let ids = next.ids.lowerBound..<upTo
          flow.took(upTo: upTo)
          let number = flow.fly([.init(origin: next.origin, ids: ids)], at: now)
          guard random.next(below: 5) > 0 else { continue }
          got[next.origin, default: []].formUnion(ids)
          for _ in 0...random.next(below: 2) {
            due.append((number, now + .milliseconds(Int64(20 + random.next(below: 60)))))
          }
        }
        widest = max(widest, flow.flights.count)
        now = now + .milliseconds(5)
        let ripe = due.filter { $0.at <= now }.map(\.number)
        due.removeAll { $0.at <= now }
        if !ripe.isEmpty { flow.seen(ripe, accepted: 1, at: now) }
        if let deadline = flow.deadline, deadline <= now { flow.expire(at: now) }
      }
      #expect(flow.isQueueEmpty && flow.flights.isEmpty, "seed \(seed)")
      #expect(got.count == 20 && got.values.allSatisfy { $0 == Set(1...100) }, "seed \(seed)")
      #expect(widest <= Outflow.widest)
    }
  }

  @Test func itGivesUpOnWhoAnswersNotOrTakesNothing() {
    var silent = Outflow(stream: 1)
    silent.add([gap("a", 1..<1_000)])
    var now = Instant()
    var sent = 0
    while !silent.isOver, sent < 1_000 {
      while silent.mayFly, let next = silent.next {
        silent.took(upTo: next.ids.lowerBound + 1)
        _ = silent.fly([next], at: now)
        sent += 1
      }
      now = silent.deadline ?? now
      silent.expire(at: now)
    }
    #expect(silent.isOver && sent < 40 && now < Instant() + .seconds(60))
    var deaf = Outflow(stream: 2)
    deaf.add([gap("a", 1..<10_000)])
    sent = 0
    while deaf.mayFly, let next = deaf.next {
      deaf.took(upTo: next.ids.lowerBound + 1)
      deaf.seen([deaf.fly([next], at: now)], accepted: 0, at: now)
      sent += 1
    }
    #expect(sent == Outflow.patience && deaf.isOver && !deaf.hasHelped)
  }

  @Test func claimsOfBatchesThatAreNotUnderWayChangeNothing() {
    var flow = Outflow(stream: 1)
    flow.add([gap("a", 1..<10)])
    flow.took(upTo: 5)
    let number = flow.fly([gap("a", 1..<5)], at: Instant())
    flow.seen([0, 7, .max], accepted: 9, at: Instant())
    #expect(flow.flights.map(\.number) == [number] && flow.window == 4)
    let isTaken = flow.add([gap("a", 1..<99)])
    #expect(isTaken && flow.next == gap("a", 5..<10))
    let hasRoom = flow.add((0..<5_000).map { gap("n\($0)", 1..<2) })
    #expect(!hasRoom)
  }
}

@Suite struct HistoryClaimsTests {
  private func claim(_ first: UInt32, _ port: UInt16, next: UInt32 = 1, due: Int64 = 2) -> HistoryClaims.Claim {
    .init(origin: "a", first: first, from: Address(ipv4: 1, port: port), next: next, due: Instant() + .seconds(due))
  }

  @Test func aSecondProvenNeighbourIsBelievedAtOnce() {
    var claims = HistoryClaims()
    let first = claims.hear(claim(100, 1), isProven: true)
    let again = claims.hear(claim(200, 1), isProven: true)
    let unproven = claims.hear(claim(300, 2), isProven: false)
    #expect(first == .new && again == .waits && unproven == .waits)
    // The earlier of the two: the other may keep more.
    let second = claims.hear(claim(40, 2), isProven: true)
    #expect(second == .believed(40) && claims.claims.isEmpty)
  }

  @Test func aloneItIsBelievedAfterAWaitInWhichNothingEarlierCame() {
    var claims = HistoryClaims(limit: 1)
    _ = claims.hear(claim(100, 1), isProven: true)
    let other = HistoryClaims.Claim(
      origin: "b", first: 5, from: Address(ipv4: 1, port: 1), next: 1, due: Instant() + .seconds(2))
    let none = claims.hear(other, isProven: true)
    #expect(none == .waits && claims.isFull)
    var early = claims.due(at: Instant() + .seconds(1)) { _ in 1 }
    #expect(early.isEmpty && claims.nextDeadline == Instant() + .seconds(2))
    // Something earlier comes from elsewhere: the wait begins anew.
    early = claims.due(at: Instant() + .seconds(2)) { _ in 30 }
    #expect(early.isEmpty && claims.claims.count == 1)
    let late = claims.due(at: Instant() + .seconds(33)) { _ in 30 }
    #expect(late.map(\.first) == [100] && claims.claims.isEmpty)
  }
}

@Suite struct RoomTests {
  private let now = Instant() + .seconds(100_000)
  private func peer(_ port: UInt16) -> Address { Address(ipv4: 1, port: port) }

  private func add(_ log: inout RumorLog, _ origin: String, by port: UInt16, ago: Int64, rumors: Int = 1) {
    for _ in 0..<rumors { _ = log.append(WireText(origin), size: 1, at: now - .seconds(ago)) }
    log.vouched(WireText(origin), by: peer(port))
  }

  @Test func whoBroughtTheMostOfDoubtfulOriginsLosesThem() {
    var log = RumorLog(limits: .init(origins: 64))
    add(&log, "me", by: 9, ago: 5_000)
    add(&log, "old and honest", by: 1, ago: 5_000, rumors: 3)
    add(&log, "known to two", by: 2, ago: 9_000)
    log.vouched("known to two", by: peer(1))
    for number in 0..<30 { add(&log, "invented \(number)", by: 2, ago: 700 + Int64(number)) }
    add(&log, "alive", by: 2, ago: 10)
    var gone: [WireText] = []
    var time = now
    while let victim = log.victim(at: time, except: "me") {
      gone.append(victim)
      log.forget(victim)
      if gone.count == 25 { break }
      time = time + .milliseconds(1)
    }
    // The longest silent first.
    #expect(gone.first == "invented 29" && gone.count == 25)
    #expect(log.run(of: "old and honest") != nil && log.run(of: "known to two") != nil && log.run(of: "alive") != nil)
    #expect(log.clock.count == 9 && log.count == 11)
  }

  @Test func whatHoldsNothingGoesAfterAnHour() {
    var log = RumorLog(limits: .init(origins: 16))
    add(&log, "kept", by: 1, ago: 90_000)
    add(&log, "dropped", by: 1, ago: 4_000)
    for origin in ["kept", "dropped"] as [WireText] { log.vouched(origin, by: peer(2)) }
    func victim(_ later: Int64) -> WireText? { log.victim(at: now + .seconds(later), except: "me") }
    #expect(victim(0) == nil)
    log.drop("dropped", below: 2, bytesLeft: 0, oldest: Instant())
    // It was looked for just now.
    #expect(victim(9) == nil)
    #expect(victim(10) == "dropped" && victim(10) == "dropped")
    // Heard from again, it stays.
    _ = log.append("dropped", size: 1, at: now + .seconds(10))
    #expect(victim(11) == nil)
  }
}
