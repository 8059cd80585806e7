// ValueTests: rate limits, bounded memories, and numbers in keys.
import Testing

@testable import StackCore

@Suite struct RateLimiterTests {
  private func address(_ port: UInt16) -> Address { Address(ipv4: 1, port: port) }

  private func taken(_ limiter: inout RateLimiter, _ port: UInt16, at now: Instant) -> Int {
    (0..<100).count { _ in limiter.take(address(port), at: now) }
  }

  @Test func aStormEmptiesOnlyItsOwnBucket() {
    var limiter = RateLimiter(perSecond: 20)
    let start = Instant(nanoseconds: 5_000_000_000)
    let first = [taken(&limiter, 1, at: start), taken(&limiter, 2, at: start), taken(&limiter, 1, at: start)]
    #expect(first == [20, 20, 0])
    let later = [500, 1_000, 9_000].map { taken(&limiter, 1, at: start + .milliseconds($0)) }
    #expect(later == [10, 10, 20])
    // Time that stands still, or goes back, fills nothing.
    let back = taken(&limiter, 1, at: start)
    #expect(back == 0)
  }

  @Test func moreMayPassAtOnceThanInASecond() {
    var limiter = RateLimiter(perSecond: 2, burst: 16)
    let start = Instant()
    let passed = [0, 1, 100].map { taken(&limiter, 1, at: start + .seconds($0)) }
    #expect(passed == [16, 2, 16])
  }

  @Test func aNewRateHoldsFromNowOn() {
    var limiter = RateLimiter(perSecond: 50)
    let start = Instant()
    let one = limiter.take(address(1), at: start)
    limiter.set(perSecond: 5)
    let passed = [0, 1].map { taken(&limiter, 1, at: start + .seconds($0)) }
    #expect(one && passed == [5, 5])
  }

  @Test func strangersFindRoomOnceOthersHaveTheirFill() {
    var limiter = RateLimiter(perSecond: 2, limit: 2)
    let start = Instant(nanoseconds: 5_000_000_000)
    _ = [taken(&limiter, 1, at: start), taken(&limiter, 2, at: start)]
    let tooEarly = taken(&limiter, 3, at: start + .milliseconds(900))
    #expect(tooEarly == 0 && limiter.count == 2)
    // 1 takes on, so that only the other's bucket is full.
    let later = [1, 3, 4].map { taken(&limiter, $0, at: start + .milliseconds(1_900)) }
    #expect(later == [2, 2, 0])
    #expect(limiter.count == 2)
    limiter.forget(address(1))
    #expect(limiter.count == 1)
  }
}

@Suite struct RecentsTests {
  @Test func theOldestMakesRoom() {
    var recents = Recents<Int, String>(limit: 3)
    for number in 1...3 { recents.note(number, "\(number)") }
    let before = recents.note(1, "one")
    #expect(before == "1" && recents[1] == "one" && recents.count == 3)
    // A key that changed is as old as before.
    let none = recents.note(4, "4")
    #expect(none == nil && recents[1] == nil && recents[2] == "2" && recents[4] == "4" && recents.count == 3)
    for number in 5...100 { recents.note(number, "\(number)") }
    #expect((1...100).filter { recents[$0] != nil } == [98, 99, 100])
  }
}

@Suite struct OrderedNumberTests {
  @Test func keysStandInTheOrderOfTheirNumbers() {
    let numbers: [UInt64] = [0, 1, 255, 256, 0x0102_0304_0506_0708, .max]
    let keys = numbers.map { number in
      var key: [UInt8] = [7]
      key.append(ordered: number)
      return key
    }
    #expect(keys[4] == [7, 1, 2, 3, 4, 5, 6, 7, 8])
    #expect(zip(keys, keys.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) })
    #expect(keys.map { UInt64(ordered: $0.suffix(8)) } == numbers)
    var short: [UInt8] = []
    short.append(ordered: UInt32(0x0a0b_0c0d))
    #expect(short == [10, 11, 12, 13] && UInt32(ordered: short) == 0x0a0b_0c0d)
  }
}
