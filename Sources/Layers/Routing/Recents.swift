// Recents: what passed through here of late, and how much of it each neighbour sent; bounded, in memory.
import StackCore

/// How often messages with a number have passed, the latest few thousand of them.
struct RecentPassings {
  private var counts: [UInt64: Int] = [:]
  private var order: [UInt64] = []
  private var oldest = 0
  let limit: Int

  init(limit: Int = 4_096) { self.limit = limit }

  /// Notes a passing; answers how often it passed before.
  mutating func note(_ number: UInt64) -> Int {
    if let before = counts[number] {
      counts[number] = min(before + 1, 1_000)
      return before
    }
    counts[number] = 1
    if order.count < limit {
      order.append(number)
    } else {
      counts[order[oldest]] = nil
      order[oldest] = number
      oldest = (oldest + 1) % limit
    }
    return 0
  }

  var count: Int { counts.count }
}

/// How many messages each neighbour has sent in the present second.
struct Takings {
  private var counts: [Address: Int] = [:]
  private var since = Instant()
  /// How many neighbours are told apart; further ones wait for the next second.
  let limit: Int

  init(limit: Int = 4_096) { self.limit = limit }

  /// Takes one of a neighbour; false when it has sent enough.
  mutating func take(_ peer: Address, most: Int, at now: Instant) -> Bool {
    if now - since >= .seconds(1) {
      counts = [:]
      since = now
    }
    let count = counts[peer] ?? 0
    guard count < most, count > 0 || counts.count < limit else { return false }
    counts[peer] = count + 1
    return true
  }
}
