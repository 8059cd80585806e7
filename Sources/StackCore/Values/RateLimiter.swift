// RateLimiter: how much each neighbour may still ask of us, so that a storm of one costs little and others nothing.

/// Lets so many things a second pass for each of a bounded number of addresses: a bucket each, that fills steadily.
public struct RateLimiter: Sendable {
  private struct Bucket {
    var left: Double
    var at: Instant
  }
  /// Only looked up, and swept whole.
  private var buckets: [Address: Bucket] = [:]
  private var swept = Instant()
  /// How many pass in a second, and how many at once.
  private var perSecond: Double
  private var burst: Double
  /// How many addresses are told apart; further ones wait until others' buckets are full again.
  public let limit: Int

  /// A limiter with full buckets; at once as many may pass as in a second, or more where `burst` says so.
  public init(perSecond: Int, burst: Int = 1, limit: Int = 4_096) {
    self.perSecond = Double(perSecond)
    self.burst = Double(max(perSecond, burst))
    self.limit = limit
  }

  /// Changes the rate from now on; what is in the buckets stays, as far as they hold it.
  public mutating func set(perSecond: Int, burst: Int = 1) {
    self.perSecond = Double(perSecond)
    self.burst = Double(max(perSecond, burst))
  }

  /// How many addresses have a bucket.
  public var count: Int { buckets.count }

  /// Takes one out of an address's bucket; false when it is empty, or there is no room for another address.
  public mutating func take(_ address: Address, at now: Instant) -> Bool {
    var level = burst
    if let bucket = buckets[address] { level = self.level(bucket, at: now) } else if !makeRoom(at: now) { return false }
    let isEnough = level >= 1
    buckets[address] = Bucket(left: isEnough ? level - 1 : level, at: now)
    return isEnough
  }

  /// What was taken turned out to cost as much as several more: what comes next waits the longer.
  public mutating func charge(_ address: Address, _ more: Int) { buckets[address]?.left -= Double(max(0, more)) }

  /// An address is gone, and its bucket with it.
  public mutating func forget(_ address: Address) { buckets[address] = nil }

  private func level(_ bucket: Bucket, at now: Instant) -> Double {
    min(burst, bucket.left + max(0, (now - bucket.at).inSeconds) * perSecond)
  }

  /// Full buckets say nothing that a new one wouldn't. They are looked for once a second at the most, or strangers
  /// could make each of their messages cost a search.
  private mutating func makeRoom(at now: Instant) -> Bool {
    if buckets.count < limit { return true }
    guard now - swept >= .seconds(1) else { return false }
    swept = now
    buckets = buckets.filter { level($0.value, at: now) < burst }
    return buckets.count < limit
  }
}
