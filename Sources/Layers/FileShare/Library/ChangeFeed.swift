// ChangeFeed: which places have changed, in order, so that who keeps an index goes on from where it was.

/// Changes at places that are used again, each with its number. Of a place only the latest change counts, so the feed
/// is never longer than in proportion to the places: whoever begins with 0 gets all there is.
struct ChangeFeed {
  private struct Change {
    var revision: UInt64
    var place: Int32
  }

  /// The number of the latest change.
  private(set) var revision: UInt64 = 0
  /// By place its latest change; 0: none.
  private var latest: [UInt64] = []
  private var log: [Change] = []

  /// How many changes are kept, those that no longer count among them.
  var count: Int { log.count }

  /// Notes a change at a place.
  mutating func note(_ place: Int32) {
    revision += 1
    while latest.count <= Int(place) { latest.append(0) }
    latest[Int(place)] = revision
    log.append(Change(revision: revision, place: place))
    if log.count > 2 * latest.count + 1_024 { log.removeAll { latest[Int($0.place)] != $0.revision } }
  }

  /// Calls `body` with each place that has changed after a revision, once and in the order of the changes, until it
  /// answers false.
  func forEach(after revision: UInt64, _ body: (UInt64, Int32) -> Bool) {
    var (low, high) = (0, log.count)
    while low < high {
      let middle = (low + high) / 2
      if log[middle].revision <= revision { low = middle + 1 } else { high = middle }
    }
    for change in log[low...] where latest[Int(change.place)] == change.revision {
      if !body(change.revision, change.place) { return }
    }
  }
}
