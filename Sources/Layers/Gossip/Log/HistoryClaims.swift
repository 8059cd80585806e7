// HistoryClaims: what neighbours say of where origins' histories begin, until it is believed.
import PeersterVocabulary
import StackCore

/// A proven neighbour that says "of this origin I keep rumors only from here on" could hide a history by that. So it is
/// believed when a second one says so too (then what they both say, the earlier of the two), or when for a
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
    /// How long it has to wait each time.
    var wait = HistoryClaims.knownWait
  }

  /// How long nobody must have brought anything earlier: of an origin that is unknown where there is nobody else to
  /// ask; where others were asked; and of an origin of which something is known. There much is lost if it is a lie, and
  /// others who could know would say so too: where there are any, it has to be silent for long.
  static let aloneWait = Duration.seconds(2)
  static let askedWait = Duration.seconds(10)
  static let knownWait = Duration.seconds(30)
  static let doubtedWait = Duration.seconds(600)

  private(set) var claims: [Claim] = []
  private var places: [WireText: Int] = [:]
  private var heard: [Address: Int] = [:]
  let limit: Int
  /// How many of them may be one neighbour's, so that its claims leave room for others'.
  var limitOfOne: Int { max(1, limit / 4) }

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

  /// A neighbour says that an origin's history begins at an ID.
  mutating func hear(_ claim: Claim) -> Verdict {
    guard let place = places[claim.origin] else {
      guard !isFull, heard[claim.from, default: 0] < limitOfOne else { return .waits }
      heard[claim.from, default: 0] += 1
      places[claim.origin] = claims.count
      claims.append(claim)
      return .new
    }
    let old = claims[place]
    guard old.from != claim.from else { return .waits }
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
        (claims[place].next, claims[place].due) = (seen, now + max(claims[place].wait, Self.knownWait))
      } else {
        ripe.append(claims[place])
      }
    }
    claims.removeAll { $0.due <= now }
    (places, heard) = ([:], [:])
    for (place, claim) in claims.enumerated() {
      places[claim.origin] = place
      heard[claim.from, default: 0] += 1
    }
    return ripe.filter { next($0.origin) < $0.first }
  }

  /// The last one takes the place of one that goes.
  private mutating func remove(at place: Int) {
    places[claims[place].origin] = nil
    let left = heard[claims[place].from, default: 1] - 1
    heard[claims[place].from] = left > 0 ? left : nil
    let last = claims.removeLast()
    guard place < claims.count else { return }
    claims[place] = last
    places[last.origin] = place
  }
}
