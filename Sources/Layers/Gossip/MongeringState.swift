// MongeringState: whose answers are waited for after a rumor was told, and until when.
import PeersterVocabulary
import StackCore

/// The rumors that are being told, each to one neighbour at a time.
struct MongeringState {
  /// A rumor that a neighbour was told and has not yet answered.
  struct Wait: Equatable {
    var peer: Address
    var origin: WireText
    var id: UInt32
    var until: Instant
  }

  /// What a wait is for, whatever its time.
  private struct Key: Hashable {
    var peer: Address
    var origin: WireText
    var id: UInt32

    init(_ wait: Wait) { (peer, origin, id) = (wait.peer, wait.origin, wait.id) }
  }

  /// In the order in which they began.
  private(set) var waits: [Wait] = []
  /// When the next answer is overdue.
  private(set) var nextDeadline: Instant?
  /// What is waited for, so that a rumor told for the first time, as nearly all are, costs no search.
  private var known: Set<Key> = []
  /// How many there are at the most; the oldest goes first.
  let limit: Int

  init(limit: Int = 1_024) { self.limit = limit }

  /// A rumor was told to a neighbour. Told again, it is waited for anew. Answers what had to give way: an eighth at
  /// once, so that a full table costs little.
  mutating func told(_ wait: Wait) -> [Wait] {
    let key = Key(wait)
    if !known.insert(key).inserted { waits.removeAll { Key($0) == key } }
    waits.append(wait)
    nextDeadline = nextDeadline.map { min($0, wait.until) } ?? wait.until
    guard waits.count > limit else { return [] }
    let oldest = Array(waits.prefix(max(1, limit / 8)))
    waits.removeFirst(oldest.count)
    for wait in oldest { known.remove(Key(wait)) }
    return oldest
  }

  /// A neighbour has sent its status: what it was told is no longer waited for.
  mutating func answered(by peer: Address) -> [Wait] { take { $0.peer == peer } }

  /// Those whose answers did not come in time.
  mutating func expired(at now: Instant) -> [Wait] {
    // The deadline may be that of a wait that has gone: never too late, so nothing is missed.
    guard let nextDeadline, nextDeadline <= now else { return [] }
    return take { $0.until <= now }
  }

  private mutating func take(_ matches: (Wait) -> Bool) -> [Wait] {
    var taken: [Wait] = []
    var rest: [Wait] = []
    for wait in waits { if matches(wait) { taken.append(wait) } else { rest.append(wait) } }
    for wait in taken { known.remove(Key(wait)) }
    waits = rest
    nextDeadline = rest.lazy.map(\.until).min()
    return taken
  }
}
