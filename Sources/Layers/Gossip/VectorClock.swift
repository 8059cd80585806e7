// VectorClock: of each origin, the first ID not yet seen, in the order of the origins' names.
import PeersterVocabulary
import StackCore

/// What a node has seen: of every origin all IDs below `next(of:)`. An origin that it doesn't list is at 1.
struct VectorClock: Sendable, Equatable {
  /// The origins, ascending, each once, none at 1 unless it was put there.
  private(set) var entries: [PeerStatus] = []

  /// How two clocks stand to each other.
  enum Order { case equal, before, after, concurrent }

  /// An origin about which two clocks differ.
  struct Difference: Equatable {
    var origin: WireText
    /// The IDs that one has seen and the other has not.
    var ids: Range<UInt32>
  }

  init() {}

  /// What somebody claims. Names that are none, and IDs of 0, are left out; of an origin named twice the larger counts.
  init(claimed: [PeerStatus]) {
    let sound = claimed.filter {
      !$0.identifier.isEmpty && $0.identifier.bytes.count <= Rumor.longestOrigin && $0.nextID > 0
    }
    entries.reserveCapacity(sound.count)
    for entry in Self.sorted(sound) {
      if let last = entries.last, last.identifier == entry.identifier {
        entries[entries.count - 1].nextID = max(last.nextID, entry.nextID)
      } else {
        entries.append(entry)
      }
    }
  }

  /// Most claims come sorted already, which costs one look.
  private static func sorted(_ entries: [PeerStatus]) -> [PeerStatus] {
    var isSorted = true
    for place in entries.indices.dropFirst() where entries[place].identifier < entries[place - 1].identifier {
      isSorted = false
      break
    }
    return isSorted ? entries : entries.sorted { $0.identifier < $1.identifier }
  }

  var count: Int { entries.count }

  /// The first ID not seen of an origin.
  func next(of origin: WireText) -> UInt32 {
    let place = place(of: origin)
    return place < entries.count && entries[place].identifier == origin ? entries[place].nextID : 1
  }

  /// Where an origin stands, or would stand.
  func place(of origin: WireText) -> Int {
    if let last = entries.last, last.identifier < origin { return entries.count }
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].identifier < origin { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Moves an origin forward; never back.
  mutating func advance(_ origin: WireText, to next: UInt32) {
    let place = place(of: origin)
    if place < entries.count, entries[place].identifier == origin {
      entries[place].nextID = max(entries[place].nextID, next)
    } else {
      entries.insert(PeerStatus(identifier: origin, nextID: max(1, next)), at: place)
    }
  }

  /// Takes over all that another has seen.
  mutating func merge(_ other: VectorClock) {
    var merged: [PeerStatus] = []
    merged.reserveCapacity(max(count, other.count))
    walk(other) { mine, theirs in
      guard let entry = mine ?? theirs else { return }
      merged.append(
        PeerStatus(identifier: entry.identifier, nextID: max(mine?.nextID ?? 1, theirs?.nextID ?? 1)))
    }
    entries = merged
  }

  func compare(_ other: VectorClock) -> Order {
    var more = false
    var less = false
    walk(other) { mine, theirs in
      let (left, right) = (mine?.nextID ?? 1, theirs?.nextID ?? 1)
      if left > right { more = true }
      if left < right { less = true }
    }
    return more ? (less ? .concurrent : .after) : (less ? .before : .equal)
  }

  /// What each side lacks of what the other has seen, in the order of the origins. Of origins that the other doesn't
  /// list, those count about which `covers` says that it speaks of them.
  func differences(
    from other: VectorClock, covers: (WireText) -> Bool = { _ in true }
  ) -> (theyLack: [Difference], weLack: [Difference]) {
    var theyLack: [Difference] = []
    var weLack: [Difference] = []
    walk(other) { mine, theirs in
      guard let origin = (mine ?? theirs)?.identifier else { return }
      let (left, right) = (mine?.nextID ?? 1, theirs?.nextID ?? 1)
      if left > right, theirs != nil || covers(origin) { theyLack.append(.init(origin: origin, ids: right..<left)) }
      if left < right { weLack.append(.init(origin: origin, ids: left..<right)) }
    }
    return (theyLack, weLack)
  }

  /// Visits all origins that either lists, ascending.
  private func walk(_ other: VectorClock, _ visit: (PeerStatus?, PeerStatus?) -> Void) {
    var left = 0
    var right = 0
    while left < entries.count || right < other.entries.count {
      let order =
        left == entries.count
        ? 1
        : right == other.entries.count ? -1 : entries[left].identifier.compare(other.entries[right].identifier)
      visit(order <= 0 ? entries[left] : nil, order >= 0 ? other.entries[right] : nil)
      if order <= 0 { left += 1 }
      if order >= 0 { right += 1 }
    }
  }

  /// The entries whose names are in a range.
  func entries(from: WireText?, upTo: WireText?) -> ArraySlice<PeerStatus> {
    let start = from.map { place(of: $0) } ?? 0
    return entries[start..<max(start, upTo.map { place(of: $0) } ?? entries.count)]
  }
}
