// Allowances: how many statuses each neighbour may still have answered, so that a storm of them costs little.
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

  /// A neighbour is gone.
  mutating func forget(_ peer: Address) { buckets[peer] = nil }
}
