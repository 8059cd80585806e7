// VectorClock: what a neighbour claims to have seen: of each origin, the first ID not yet seen.
import PeersterVocabulary
import StackCore

/// The claims of one message, in the order of the origins' names. Of every origin all IDs below `next(of:)` were seen;
/// one that isn't listed is at 1. Our own clock is a `ClockTree`.
struct VectorClock: Sendable, Equatable {
  /// The origins, ascending, each once, none at 1 unless it was put there.
  private(set) var entries: [PeerStatus] = []

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

  /// The entries whose names are in a range.
  func entries(from: WireText?, upTo: WireText?) -> ArraySlice<PeerStatus> {
    let start = from.map { place(of: $0) } ?? 0
    return entries[start..<max(start, upTo.map { place(of: $0) } ?? entries.count)]
  }
}
