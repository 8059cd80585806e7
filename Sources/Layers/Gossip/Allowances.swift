// Allowances: how many statuses and bytes each neighbour may have in answer, so that a storm of them costs little.
import StackCore

/// A bucket of so many a second for each of a bounded number of neighbours.
struct Allowances {
  private struct Bucket {
    var left: Double
    var at: Instant
  }
  private var buckets: [Address: Bucket] = [:]
  /// How many a second, and how many at once.
  var perSecond: Double
  var burst: Double { max(16, perSecond) }
  let limit: Int

  init(perSecond: Int, limit: Int = 4_096) {
    self.perSecond = Double(perSecond)
    self.limit = limit
  }

  /// Takes one out of a neighbour's bucket; false when it is empty, or there is no room for another neighbour.
  mutating func take(_ peer: Address, at now: Instant) -> Bool {
    var bucket = buckets[peer] ?? Bucket(left: burst, at: now)
    if buckets[peer] == nil, buckets.count >= limit { return false }
    bucket.left = min(burst, bucket.left + (now - bucket.at).inSeconds * perSecond)
    bucket.at = now
    let isEnough = bucket.left >= 1
    if isEnough { bucket.left -= 1 }
    buckets[peer] = bucket
    return isEnough
  }

  /// One that was taken turned out to cost as much as several: what comes next waits the longer.
  mutating func charge(_ peer: Address, _ more: Int) { buckets[peer]?.left -= Double(more) }

  /// A neighbour is gone.
  mutating func forget(_ peer: Address) { buckets[peer] = nil }
}

/// How many bytes may go in answer to those who have neither proven their address nor are in the configuration: they
/// may be somebody else, on whom another wants us to pour what we know. A Peerster can't prove anything; so each gets
/// three times what it has sent, and a trickle besides.
struct AnswerBudget {
  private struct Account {
    var left = AnswerBudget.burst
    var heard: UInt64 = 0
    var said: UInt64 = 0
    var at: Instant
  }
  private var accounts: [Address: Account] = [:]
  /// How many bytes at once, and how many a second, without anything being sent for them.
  static let burst = 65_536.0
  static let perSecond = 16_384.0
  /// What an IPv4 and a UDP header take.
  private static let headers: UInt64 = 28
  let limit: Int

  init(limit: Int = 4_096) { self.limit = limit }

  /// Whether a neighbour may be answered: once it may, with a whole message.
  mutating func allows(_ neighbour: Neighbour, at now: Instant) -> Bool {
    if neighbour.isProven || neighbour.configured { return true }
    let heard = neighbour.bytesIn + neighbour.datagramsIn * Self.headers
    let said = neighbour.bytesOut + neighbour.datagramsOut * Self.headers
    guard var account = accounts[neighbour.address] else {
      guard accounts.count < limit else { return false }
      accounts[neighbour.address] = Account(heard: heard, said: said, at: now)
      return true
    }
    let earned = (now - account.at).inSeconds * Self.perSecond + 3 * Double(heard - min(heard, account.heard))
    account.left = min(Self.burst, account.left + earned - Double(said - min(said, account.said)))
    (account.heard, account.said, account.at) = (heard, said, now)
    accounts[neighbour.address] = account
    return account.left > 0
  }

  /// A neighbour is gone.
  mutating func forget(_ peer: Address) { accounts[peer] = nil }
}
