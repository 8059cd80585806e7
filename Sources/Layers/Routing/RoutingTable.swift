// RoutingTable: to each origin the neighbours that brought its newest rumors, the best first.
import PeersterVocabulary
import StackCore

/// Next hops as in DSDV (Perkins and Bhagwat 1994), with the IDs of rumors as sequence numbers: only a newer rumor
/// changes the way, but one that comes straight from its origin wins a tie.
struct RoutingTable {
  /// A neighbour that has brought rumors of an origin.
  struct Candidate: Equatable {
    var nextHop: Address
    var id: UInt32
    var hops: UInt32?
    var at: Instant
    var isDirect: Bool { hops == 0 }
  }

  /// How many origins there are at the most; further ones are refused.
  let limit: Int
  /// How many neighbours are remembered for each.
  static let most = 4
  private var ways: [WireText: [Candidate]] = [:]

  init(limit: Int = 100_000) { self.limit = limit }

  var count: Int { ways.count }
  /// The origins, in the order of their names.
  var destinations: [WireText] { ways.keys.sorted() }

  /// The neighbours for an origin, the best first.
  func candidates(_ origin: WireText) -> [Candidate] { ways[origin] ?? [] }

  /// A neighbour has brought the newest rumor, or it once more. Answers whether the way is another now.
  @discardableResult mutating func note(_ sighting: RumorSighting, at now: Instant) -> Bool {
    let new = Candidate(nextHop: sighting.from, id: sighting.id, hops: sighting.hops, at: now)
    guard var list = ways[sighting.origin] else {
      if ways.count >= limit { return false }
      ways[sighting.origin] = [new]
      return true
    }
    let best = list[0]
    let known = list.firstIndex { $0.nextHop == new.nextHop }
    if let known, list[known].id > new.id { return false }
    if let known { list.remove(at: known) }
    // Newer first; of equally new ones a direct one, then the one that was there.
    let place = list.indices.first { other in
      if list[other].id != new.id { return list[other].id < new.id }
      if list[other].isDirect != new.isDirect { return new.isDirect }
      return known.map { $0 <= other } ?? false
    }
    list.insert(new, at: place ?? list.count)
    ways[sighting.origin] = Array(list.prefix(Self.most))
    return list[0].nextHop != best.nextHop
  }

  /// A neighbour is gone: the next-best ones take its place. Answers the origins that are reached another way now, or
  /// not at all.
  mutating func drop(_ neighbour: Address) -> [WireText] { keep { $0.nextHop != neighbour } }

  /// Drops what has not been confirmed since a time.
  mutating func expire(before time: Instant) -> [WireText] { keep { $0.at >= time } }

  private mutating func keep(_ stays: (Candidate) -> Bool) -> [WireText] {
    var changed: [WireText] = []
    for origin in destinations {
      guard let list = ways[origin] else { continue }
      let rest = list.filter(stays)
      if rest.first?.nextHop != list.first?.nextHop { changed.append(origin) }
      ways[origin] = rest.isEmpty ? nil : rest
    }
    return changed
  }
}
