// MissingRumors: the rumors that were announced but have not come, who announced them, and when to ask for them.
import PeersterVocabulary
import StackCore

/// Of each origin, how far others say that it has got, for as long as we are behind.
///
/// An announcement starts a wait, since the rumor itself may be on its way. When the wait is over and the rumor has not
/// come, the first of its announcers is asked; when it doesn't answer in time, the next. Each is asked only so often,
/// and then it is left to anti-entropy. As rumors are kept in order, an origin needs no more than a few numbers.
struct MissingRumors {
  /// How much is kept at the most; what comes beyond is not noted.
  struct Limits {
    /// Origins in all, and those for which one neighbour was the first to speak.
    var origins = 4_096
    var originsOfOne = 1_024
    /// Announcers and waits of one origin.
    var announcers = 8
    var waits = 16
    /// How often one announcer is asked without bringing anything.
    var tries = 2
  }

  /// Whom to ask for what: all of an origin that we lack below an ID.
  struct Request: Equatable {
    var peer: Address
    var origin: WireText
    var upTo: UInt32
  }

  fileprivate struct Announcer {
    var peer: Address
    /// The first ID that it does not have.
    var upTo: UInt32
    var tries = 0
  }
  fileprivate struct Wait {
    var upTo: UInt32
    var due: Instant
  }
  fileprivate struct Entry {
    let opener: Address
    var announcers: [Announcer]
    /// Ascending in both.
    var waits: [Wait]
  }

  let limits: Limits
  private var entries: [WireText: Entry] = [:]
  /// The origins in the order in which they were first announced.
  private var order: [WireText] = []
  private var opened: [Address: Int] = [:]
  /// No wait is over before; it may be earlier than the first that is.
  private(set) var nextDue: Instant?

  init(limits: Limits = Limits()) { self.limits = limits }

  /// Of how many origins something is missing, or was until lately.
  var count: Int { entries.count }

  /// A neighbour says that it has all of an origin below an ID. False when there is no room to note it.
  @discardableResult mutating func announced(
    _ origin: WireText, upTo: UInt32, by peer: Address, due: Instant
  ) -> Bool {
    var entry: Entry
    if let found = entries[origin] {
      entry = found
    } else {
      guard entries.count < limits.origins, opened[peer, default: 0] < limits.originsOfOne else { return false }
      entry = Entry(opener: peer, announcers: [], waits: [])
      order.append(origin)
      opened[peer, default: 0] += 1
    }
    if let place = entry.announcers.firstIndex(where: { $0.peer == peer }) {
      // Only who has more than before is worth asking anew.
      if upTo > entry.announcers[place].upTo {
        entry.announcers[place].upTo = upTo
        entry.announcers[place].tries = 0
      }
    } else if entry.announcers.count < limits.announcers {
      entry.announcers.append(Announcer(peer: peer, upTo: upTo))
    }
    entry.addWait(upTo: upTo, due: due, limit: limits.waits)
    entries[origin] = entry
    bringForward(to: due)
    return true
  }

  /// Takes out whom to ask now. `next` tells of an origin the first ID that we lack.
  mutating func due(at now: Instant, retry: Duration, next: (WireText) -> UInt32) -> [Request] {
    guard let first = nextDue, first <= now else { return [] }
    nextDue = nil
    var requests: [Request] = []
    var stays: [WireText] = []
    for origin in order {
      guard var entry = entries[origin] else { continue }
      if let request = entry.ask(origin, from: next(origin), at: now, retry: retry, tries: limits.tries) {
        requests.append(request)
      }
      if entry.waits.isEmpty {
        close(origin, entry.opener)
      } else {
        bringForward(to: entry.waits[0].due)
        entries[origin] = entry
        stays.append(origin)
      }
    }
    order = stays
    return requests
  }

  /// A neighbour has answered with something that we lacked: if there is more, it is asked on at once.
  mutating func answered(_ origin: WireText, by peer: Address, at now: Instant) {
    guard var entry = entries[origin], let place = entry.announcers.firstIndex(where: { $0.peer == peer }) else {
      return
    }
    var announcer = entry.announcers.remove(at: place)
    announcer.tries = 0
    entry.announcers.insert(announcer, at: 0)
    entry.waits[0].due = min(entry.waits[0].due, now)
    entries[origin] = entry
    bringForward(to: entry.waits[0].due)
  }

  /// A neighbour is gone: nobody asks it any more.
  mutating func forget(_ peer: Address) {
    for origin in order {
      guard var entry = entries[origin] else { continue }
      entry.announcers.removeAll { $0.peer == peer }
      entries[origin] = entry
      if entry.announcers.isEmpty { close(origin, entry.opener) }
    }
    order.removeAll { entries[$0] == nil }
  }

  private mutating func bringForward(to due: Instant) { nextDue = min(nextDue ?? due, due) }

  private mutating func close(_ origin: WireText, _ opener: Address) {
    entries[origin] = nil
    let left = opened[opener, default: 1] - 1
    opened[opener] = left > 0 ? left : nil
  }
}

extension MissingRumors.Entry {

  fileprivate mutating func addWait(upTo: UInt32, due: Instant, limit: Int) {
    guard let last = waits.last else { return waits.append(.init(upTo: upTo, due: due)) }
    if upTo > last.upTo {
      if waits.count >= limit { waits.removeLast() }
      waits.append(.init(upTo: upTo, due: max(last.due, due)))
    }
    // What is wanted sooner than noted: an offer, which need not be waited for.
    for place in waits.indices where waits[place].upTo <= upTo { waits[place].due = min(waits[place].due, due) }
  }

  fileprivate mutating func ask(
    _ origin: WireText, from next: UInt32, at now: Instant, retry: Duration, tries: Int
  ) -> MissingRumors.Request? {
    waits.removeAll { $0.upTo <= next }
    let over = waits.prefix { $0.due <= now }
    guard let upTo = over.last?.upTo else { return nil }
    waits.removeFirst(over.count)
    guard let place = announcers.firstIndex(where: { $0.tries < tries && $0.upTo > next }) else { return nil }
    var announcer = announcers.remove(at: place)
    announcer.tries += 1
    // Behind the others, whose turn it is if this one doesn't answer.
    announcers.append(announcer)
    waits.insert(.init(upTo: upTo, due: now + retry), at: 0)
    for place in waits.indices { waits[place].due = max(waits[place].due, now + retry) }
    return .init(peer: announcer.peer, origin: origin, upTo: min(upTo, announcer.upTo))
  }
}
