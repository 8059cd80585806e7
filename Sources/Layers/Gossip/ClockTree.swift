// ClockTree: the vector clock of a log: ordered blocks of origins, each with the sum of its fingerprints.
import PeersterVocabulary
import StackCore

/// Of each origin, the first ID not seen, in the order of the names. What a node has seen is all IDs below.
///
/// Entries stand in leaves of at most 128, and leaves in groups of at most 128. Each leaf and each group knows how many
/// entries it has and the sum of their fingerprints, so that to insert, to advance, to find an origin's rank, and to
/// sum any range of ranks costs some hundred steps at a million origins.
struct ClockTree: Sendable {
  private struct Leaf {
    var entries: [PeerStatus] = []
    var marks: [UInt128] = []
    var sum: UInt128 = 0
  }
  private struct Group {
    var leaves: [Leaf] = []
    var count = 0
    var sum: UInt128 = 0
  }
  private struct Place {
    var group: Int
    var leaf: Int
    var index: Int
  }

  private static let most = 128
  private var groups: [Group] = []
  /// How many origins there are.
  private(set) var count = 0

  init() {}

  // MARK: Looking

  /// All entries. That takes as long as there are origins: for commands and sweeps.
  var entries: [PeerStatus] {
    var all: [PeerStatus] = []
    all.reserveCapacity(count)
    for group in groups { for leaf in group.leaves { all += leaf.entries } }
    return all
  }

  /// The first ID not seen of an origin.
  func next(of origin: WireText) -> UInt32 {
    guard let place = find(origin), let entry = entry(place), entry.identifier == origin else { return 1 }
    return entry.nextID
  }

  /// How many origins stand before a name.
  func rank(of origin: WireText) -> Int {
    guard let place = find(origin) else { return 0 }
    var rank = place.index
    for group in groups[..<place.group] { rank += group.count }
    for leaf in groups[place.group].leaves[..<place.leaf] { rank += leaf.entries.count }
    return rank
  }

  /// The ranks of the names from one up to, not including, another.
  func ranks(from: WireText?, upTo: WireText?) -> Range<Int> {
    let start = from.map { rank(of: $0) } ?? 0
    return start..<max(start, upTo.map { rank(of: $0) } ?? count)
  }

  subscript(rank: Int) -> PeerStatus {
    let place = place(rank: rank)
    return groups[place.group].leaves[place.leaf].entries[place.index]
  }

  /// Visits entries in order until the body answers false.
  func visit(_ ranks: Range<Int>, _ body: (PeerStatus) -> Bool) {
    guard !ranks.isEmpty else { return }
    var place = place(rank: ranks.lowerBound)
    for _ in ranks {
      guard body(groups[place.group].leaves[place.leaf].entries[place.index]) else { return }
      place.index += 1
      guard place.index == groups[place.group].leaves[place.leaf].entries.count else { continue }
      place = Place(group: place.group, leaf: place.leaf + 1, index: 0)
      guard place.leaf == groups[place.group].leaves.count else { continue }
      place = Place(group: place.group + 1, leaf: 0, index: 0)
      if place.group == groups.count { return }
    }
  }

  /// The entries of some ranks.
  func slice(_ ranks: Range<Int>) -> [PeerStatus] {
    var found: [PeerStatus] = []
    found.reserveCapacity(ranks.count)
    visit(ranks) {
      found.append($0)
      return true
    }
    return found
  }

  /// The sum of the fingerprints of some ranks, from what is kept.
  func sum(_ ranks: Range<Int>) -> UInt128 { sum(below: ranks.upperBound) &- sum(below: ranks.lowerBound) }

  /// The sum of the fingerprints of some ranks under a salt: as much work as there are entries.
  func sum(_ ranks: Range<Int>, salt: UInt64) -> UInt128 {
    let fingerprint = Fingerprint(salt: salt)
    var sum: UInt128 = 0
    visit(ranks) {
      sum &+= fingerprint.mark($0.identifier, $0.nextID)
      return true
    }
    return sum
  }

  private func sum(below rank: Int) -> UInt128 {
    var left = rank
    var sum: UInt128 = 0
    for group in groups {
      if left >= group.count {
        left -= group.count
        sum &+= group.sum
        continue
      }
      for leaf in group.leaves {
        guard left < leaf.entries.count else {
          left -= leaf.entries.count
          sum &+= leaf.sum
          continue
        }
        // From the nearer end.
        if left * 2 <= leaf.entries.count {
          for mark in leaf.marks[..<left] { sum &+= mark }
        } else {
          sum &+= leaf.sum
          for mark in leaf.marks[left...] { sum &-= mark }
        }
        return sum
      }
    }
    return sum
  }

  // MARK: Changing

  /// Moves an origin forward; never back.
  mutating func advance(_ origin: WireText, to next: UInt32) {
    guard let place = find(origin) else {
      let mark = Fingerprint.kept.mark(origin, max(1, next))
      let leaf = Leaf(entries: [PeerStatus(identifier: origin, nextID: max(1, next))], marks: [mark], sum: mark)
      groups = [Group(leaves: [leaf], count: 1, sum: mark)]
      count = 1
      return
    }
    if let entry = entry(place), entry.identifier == origin {
      if next > entry.nextID { change(place, to: next) }
    } else {
      insert(PeerStatus(identifier: origin, nextID: max(1, next)), place)
    }
  }

  private mutating func change(_ place: Place, to next: UInt32) {
    let origin = groups[place.group].leaves[place.leaf].entries[place.index].identifier
    let mark = Fingerprint.kept.mark(origin, next)
    let delta = mark &- groups[place.group].leaves[place.leaf].marks[place.index]
    groups[place.group].leaves[place.leaf].entries[place.index].nextID = next
    groups[place.group].leaves[place.leaf].marks[place.index] = mark
    groups[place.group].leaves[place.leaf].sum &+= delta
    groups[place.group].sum &+= delta
  }

  private mutating func insert(_ entry: PeerStatus, _ place: Place) {
    let mark = Fingerprint.kept.mark(entry.identifier, entry.nextID)
    groups[place.group].leaves[place.leaf].entries.insert(entry, at: place.index)
    groups[place.group].leaves[place.leaf].marks.insert(mark, at: place.index)
    groups[place.group].leaves[place.leaf].sum &+= mark
    groups[place.group].sum &+= mark
    groups[place.group].count += 1
    count += 1
    let size = groups[place.group].leaves[place.leaf].entries.count
    if size > Self.most { splitLeaf(place, size) }
  }

  /// Divides a leaf that has grown too large, and its group if that has. The last one keeps most, for names in order.
  private mutating func splitLeaf(_ place: Place, _ size: Int) {
    let isLast = place.group == groups.count - 1 && place.leaf == groups[place.group].leaves.count - 1
    let cut = isLast ? size * 7 / 8 : size / 2
    var tail = Leaf()
    tail.entries = Array(groups[place.group].leaves[place.leaf].entries[cut...])
    tail.marks = Array(groups[place.group].leaves[place.leaf].marks[cut...])
    tail.sum = tail.marks.reduce(0, &+)
    groups[place.group].leaves[place.leaf].entries.removeSubrange(cut...)
    groups[place.group].leaves[place.leaf].marks.removeSubrange(cut...)
    groups[place.group].leaves[place.leaf].sum &-= tail.sum
    groups[place.group].leaves.insert(tail, at: place.leaf + 1)
    let leaves = groups[place.group].leaves.count
    guard leaves > Self.most else { return }
    let half = isLast ? leaves * 7 / 8 : leaves / 2
    var second = Group(leaves: Array(groups[place.group].leaves[half...]))
    second.count = second.leaves.reduce(0) { $0 + $1.entries.count }
    second.sum = second.leaves.reduce(0) { $0 &+ $1.sum }
    groups[place.group].leaves.removeSubrange(half...)
    groups[place.group].count -= second.count
    groups[place.group].sum &-= second.sum
    groups.insert(second, at: place.group + 1)
  }

  /// Forgets an origin.
  mutating func remove(_ origin: WireText) {
    guard let place = find(origin), let entry = entry(place), entry.identifier == origin else { return }
    let mark = groups[place.group].leaves[place.leaf].marks.remove(at: place.index)
    groups[place.group].leaves[place.leaf].entries.remove(at: place.index)
    groups[place.group].leaves[place.leaf].sum &-= mark
    groups[place.group].sum &-= mark
    groups[place.group].count -= 1
    count -= 1
    guard groups[place.group].leaves[place.leaf].entries.isEmpty else { return }
    groups[place.group].leaves.remove(at: place.leaf)
    if groups[place.group].leaves.isEmpty { groups.remove(at: place.group) }
  }

  // MARK: Places

  /// Where an origin stands or would stand: in the last leaf that begins at or before it; none while there is nothing.
  private func find(_ origin: WireText) -> Place? {
    guard !groups.isEmpty else { return nil }
    let group = Self.last(groups.count) { groups[$0].leaves[0].entries[0].identifier <= origin }
    let leaf = Self.last(groups[group].leaves.count) {
      groups[group].leaves[$0].entries[0].identifier <= origin
    }
    let size = groups[group].leaves[leaf].entries.count
    var (low, high) = (0, size)
    while low < high {
      let middle = (low + high) / 2
      if groups[group].leaves[leaf].entries[middle].identifier < origin { low = middle + 1 } else { high = middle }
    }
    return Place(group: group, leaf: leaf, index: low)
  }

  /// The last of so many for which something holds that holds of the first ones only; 0 if of none.
  private static func last(_ count: Int, _ holds: (Int) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if holds(middle) { low = middle + 1 } else { high = middle }
    }
    return max(0, low - 1)
  }

  private func entry(_ place: Place) -> PeerStatus? {
    let leaf = groups[place.group].leaves[place.leaf]
    return place.index < leaf.entries.count ? leaf.entries[place.index] : nil
  }

  private func place(rank: Int) -> Place {
    precondition(rank >= 0 && rank < count, "a rank that is none")
    var left = rank
    var group = 0
    while left >= groups[group].count {
      left -= groups[group].count
      group += 1
    }
    var leaf = 0
    while left >= groups[group].leaves[leaf].entries.count {
      left -= groups[group].leaves[leaf].entries.count
      leaf += 1
    }
    return Place(group: group, leaf: leaf, index: left)
  }

  // MARK: Differences

  /// What each side lacks of what the other has seen.
  struct Differences: Equatable {
    var theyLack: [VectorClock.Difference] = []
    var weLack: [VectorClock.Difference] = []
  }

  /// Against claims that speak of nothing but the origins they name.
  func differences(named claims: VectorClock) -> Differences {
    var found = Differences()
    for entry in claims.entries { Self.note(entry.identifier, next(of: entry.identifier), entry.nextID, &found) }
    return found
  }

  /// Against claims that speak of all names in some ranks. Of what they lack at most `limit` origins are told.
  func differences(from claims: ArraySlice<PeerStatus>, in ranks: Range<Int>, limit: Int) -> Differences {
    var found = Differences()
    var rest = claims
    visit(ranks) { mine in
      while let theirs = rest.first, theirs.identifier < mine.identifier {
        Self.note(theirs.identifier, 1, theirs.nextID, &found)
        rest.removeFirst()
      }
      var theirs: UInt32 = 1
      if let entry = rest.first, entry.identifier == mine.identifier {
        theirs = entry.nextID
        rest.removeFirst()
      }
      Self.note(mine.identifier, mine.nextID, theirs, &found)
      return found.theyLack.count < limit
    }
    // Cut short, the rest was not compared with anything.
    if found.theyLack.count < limit {
      for theirs in rest { Self.note(theirs.identifier, 1, theirs.nextID, &found) }
    }
    return found
  }

  private static func note(_ origin: WireText, _ mine: UInt32, _ theirs: UInt32, _ found: inout Differences) {
    if mine > theirs { found.theyLack.append(.init(origin: origin, ids: theirs..<mine)) }
    if mine < theirs { found.weLack.append(.init(origin: origin, ids: mine..<theirs)) }
  }
}
