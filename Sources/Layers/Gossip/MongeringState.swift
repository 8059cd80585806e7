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

  /// In the order in which they began.
  private(set) var waits: [Wait] = []
  /// How many there are at the most; the oldest goes first.
  let limit: Int

  init(limit: Int = 1_024) { self.limit = limit }

  /// A rumor was told to a neighbour. Told again, it is waited for anew. Answers what had to give way.
  mutating func told(_ wait: Wait) -> Wait? {
    waits.removeAll { $0.peer == wait.peer && $0.id == wait.id && $0.origin == wait.origin }
    waits.append(wait)
    return waits.count > limit ? waits.removeFirst() : nil
  }

  /// A neighbour has sent its status: what it was told is no longer waited for.
  mutating func answered(by peer: Address) -> [Wait] { take { $0.peer == peer } }

  /// Those whose answers did not come in time.
  mutating func expired(at now: Instant) -> [Wait] { take { $0.until <= now } }

  /// When the next answer is overdue.
  var nextDeadline: Instant? { waits.lazy.map(\.until).min() }

  private mutating func take(_ matches: (Wait) -> Bool) -> [Wait] {
    guard waits.contains(where: matches) else { return [] }
    let taken = waits.filter(matches)
    waits.removeAll(where: matches)
    return taken
  }
}
