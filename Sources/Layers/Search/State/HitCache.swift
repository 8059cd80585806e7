// HitCache: what others said they hold, kept for a while, and longer what is asked for often.
import PeersterVocabulary
import StackCore

/// Somebody who says that it holds a file.
struct Holder: Hashable, Sendable {
  var name: WireText
  var address: Address?
  var hops: Int?
  var held: HeldChunks

  /// Whether two are the same: of one name, or where they have none of one address.
  func isSame(as other: Holder) -> Bool {
    name.isEmpty ? other.name.isEmpty && address == other.address : name == other.name
  }
}

/// A hit that is kept.
struct CachedHit: Sendable {
  var claim: Claim
  var holder: Holder
  var learned: Instant
  var expires: Instant
  /// How often it came or was given out.
  var uses: Int
}

/// The hits, bounded. Each use keeps one for longer, up to ten times; when there is no room, those go that would have
/// gone first.
struct HitCache: Sendable {
  private struct Key: Hashable {
    var root: Hash256
    var holder: WireText
    var address: Address?
  }
  private(set) var hits: [CachedHit] = []
  private var places: [Key: Int] = [:]
  var limit: Int
  var age: Duration
  static let mostUses = 10

  init(limit: Int, age: Duration) { (self.limit, self.age) = (limit, age) }

  var count: Int { hits.count }
  /// What looking through it costs, as the index counts it.
  var scanBytes: Int { hits.count * 64 }

  private static func key(_ claim: Claim, _ holder: Holder) -> Key {
    Key(root: claim.root, holder: holder.name, address: holder.name.isEmpty ? holder.address : nil)
  }

  /// Notes a hit.
  mutating func note(_ claim: Claim, _ holder: Holder, at now: Instant) {
    guard limit > 0 else { return }
    let key = Self.key(claim, holder)
    if let place = places[key] {
      hits[place].claim = claim
      hits[place].holder = holder
      hits[place].learned = now
      return use(place, at: now)
    }
    if hits.count >= limit { makeRoom(at: now) }
    places[key] = hits.count
    hits.append(CachedHit(claim: claim, holder: holder, learned: now, expires: now + age, uses: 1))
  }

  private mutating func use(_ place: Int, at now: Instant) {
    hits[place].uses = min(Self.mostUses, hits[place].uses + 1)
    hits[place].expires = max(hits[place].expires, now + age * hits[place].uses)
  }

  /// The hits that a query means, at most so many; to be given out is to be used.
  mutating func find(_ query: Query, most: Int, at now: Instant) -> [CachedHit] {
    var found: [CachedHit] = []
    for place in hits.indices where hits[place].expires > now && hits[place].claim.isMeant(by: query) {
      use(place, at: now)
      found.append(hits[place])
      if found.count >= most { break }
    }
    return found
  }

  /// Drops what is too old; answers how many.
  mutating func expire(at now: Instant) -> Int { keep { $0.expires > now } }

  /// Forgets everything; answers how much.
  mutating func clear() -> Int { keep { _ in false } }

  /// An eighth goes at once, so that each costs little.
  private mutating func makeRoom(at now: Instant) {
    let times = hits.map(\.expires).sorted()
    let last = times[min(times.count - 1, times.count / 8)]
    var room = times.count / 8 + 1
    _ = keep { hit in
      guard hit.expires <= last, room > 0 else { return true }
      room -= 1
      return false
    }
  }

  private mutating func keep(_ stays: (CachedHit) -> Bool) -> Int {
    let before = hits.count
    hits = hits.filter(stays)
    if hits.count == before { return 0 }
    places = [:]
    for (place, hit) in hits.enumerated() { places[Self.key(hit.claim, hit.holder)] = place }
    return before - hits.count
  }
}
