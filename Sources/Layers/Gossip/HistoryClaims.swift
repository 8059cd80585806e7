// HistoryClaims: what neighbours say of where origins' histories begin, until it is believed.
import PeersterVocabulary
import StackCore

/// A neighbour that says "of this origin I keep rumors only from here on" could hide a history by that. So it is
/// believed when a second proven neighbour says so too (then what they both say, the earlier of the two), or when for a
/// while nobody has brought anything earlier.
struct HistoryClaims {
  /// What was said.
  struct Claim: Equatable {
    var origin: WireText
    var first: UInt32
    var from: Address
    /// What we had seen of the origin at that time.
    var next: UInt32
    var due: Instant
  }

  /// How long nobody must have brought anything earlier: of an origin that is unknown where there is nobody else to
  /// ask; where others were asked; and of an origin of which something is known.
  static let aloneWait = Duration.seconds(2)
  static let askedWait = Duration.seconds(10)
  static let knownWait = Duration.seconds(30)

  private(set) var claims: [Claim] = []
  private var places: [WireText: Int] = [:]
  let limit: Int

  init(limit: Int = 4_096) { self.limit = limit }

  var nextDeadline: Instant? { claims.map(\.due).min() }
  var isFull: Bool { claims.count >= limit }

  /// What hearing a claim comes to.
  enum Verdict: Equatable {
    /// The history begins there.
    case believed(UInt32)
    /// It was not heard before.
    case new
    case waits
  }

  /// Somebody says that an origin's history begins at an ID. Only a proven neighbour's word agrees with another's.
  mutating func hear(_ claim: Claim, isProven: Bool) -> Verdict {
    guard let place = places[claim.origin] else {
      guard !isFull else { return .waits }
      places[claim.origin] = claims.count
      claims.append(claim)
      return .new
    }
    let old = claims[place]
    guard isProven, old.from != claim.from else { return .waits }
    remove(at: place)
    return .believed(min(old.first, claim.first))
  }

  /// The claims that have waited long enough and that nothing has contradicted. Where something earlier has come since,
  /// the wait begins anew.
  mutating func due(at now: Instant, next: (WireText) -> UInt32) -> [Claim] {
    var ripe: [Claim] = []
    for place in claims.indices where claims[place].due <= now {
      let seen = next(claims[place].origin)
      if seen > claims[place].next, seen < claims[place].first {
        (claims[place].next, claims[place].due) = (seen, now + Self.knownWait)
      } else {
        ripe.append(claims[place])
      }
    }
    claims.removeAll { $0.due <= now }
    places = [:]
    for (place, claim) in claims.enumerated() { places[claim.origin] = place }
    return ripe.filter { next($0.origin) < $0.first }
  }

  /// The last one takes the place of one that goes.
  private mutating func remove(at place: Int) {
    places[claims[place].origin] = nil
    let last = claims.removeLast()
    guard place < claims.count else { return }
    claims[place] = last
    places[last.origin] = place
  }
}
