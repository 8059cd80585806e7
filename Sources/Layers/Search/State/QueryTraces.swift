// QueryTraces: the queries that came by lately: from whom, to whom, when, and who answered.
import PeersterVocabulary
import StackCore

/// What a query is known by.
enum TraceKey: Hashable, Sendable {
  /// A flood's query, or a search of our own, by its number.
  case number(UInt64)
  /// A ring's request: who asks, the words, and where they were told the whole query and the search's number.
  case ring(WireText, [WireText], WireText?, Fixed64?)
}

/// An answer to a query, as it came by.
struct TraceAnswer: Hashable, Sendable {
  var root: Hash256
  var name: WireText
  var holder: WireText
  var address: Address?
  var at: Instant
}

/// A query that came by, or was ours.
struct QueryTrace: Sendable {
  let key: TraceKey
  /// Its number, where it has one.
  var id: UInt64
  var mode: SearchMode
  var query: Query
  /// Who asks, where that is told.
  var origin: WireText?
  /// Who brought it; nobody when it is ours.
  let from: Address?
  /// Where answers to it go: to who brought it last.
  var back: Address?
  /// Whether it is a search of ours that is under way: then it is not forgotten.
  var isActive = false
  /// To whom it went: the first of them, and how many in all.
  var to: [Address] = []
  var toCount = 0
  let first: Instant
  /// When it last came.
  var latest: Instant
  /// How far it could still go.
  var timeToLive: UInt32 = 0
  /// The answers that came by: the first of them, and how many in all.
  var answers: [TraceAnswer] = []
  var answerCount = 0
  /// Which answers have been passed back.
  var told: Set<UInt64> = []

  /// The most receivers and answers that are kept, and the most answers that are passed back.
  static let mostShown = 32
  static let mostTold = 512

  init(key: TraceKey, id: UInt64, mode: SearchMode, query: Query, origin: WireText?, from: Address?, at now: Instant) {
    (self.key, self.id, self.mode, self.query) = (key, id, mode, query)
    (self.origin, self.from, back, first, latest) = (origin, from, from, now, now)
  }

  /// Notes that it went to somebody.
  mutating func passed(to peer: Address) {
    toCount += 1
    if to.count < Self.mostShown { to.append(peer) }
  }

  /// Notes an answer.
  mutating func answered(_ answer: TraceAnswer) {
    answerCount += 1
    if answers.count < Self.mostShown { answers.append(answer) }
  }

  /// Whether an answer is to be passed back: each holder's each file once, and not too many.
  mutating func tell(_ root: Hash256, _ holder: WireText, whole: Bool) -> Bool {
    told.count < Self.mostTold && told.insert(stableHash(root.bytes + holder.bytes + [whole ? 1 : 0])).inserted
  }
}

/// The traces, bounded: the oldest goes first, and nobody may have more than a quarter of the room.
struct QueryTraces: Sendable {
  private var traces: [TraceKey: QueryTrace] = [:]
  private var order: [TraceKey] = []
  private var head = 0
  private var shares: [Address: Int] = [:]
  /// The newest ring's request of each who asks.
  private var rings: [WireText: TraceKey] = [:]
  var limit: Int

  init(limit: Int) { self.limit = max(4, limit) }

  var count: Int { traces.count }

  subscript(_ key: TraceKey) -> QueryTrace? {
    _read { yield traces[key] }
  }

  /// Changes a trace, where it is there.
  mutating func update<Result>(_ key: TraceKey, _ body: (inout QueryTrace) -> Result) -> Result? {
    guard let place = traces.index(forKey: key) else { return nil }
    return body(&traces.values[place])
  }

  /// Adds one; false when whoever brought it has too many already.
  mutating func add(_ trace: QueryTrace) -> Bool {
    if let from = trace.from {
      let share = shares[from] ?? 0
      guard share < max(1, limit / 4) else { return false }
      shares[from] = share + 1
    }
    while traces.count >= limit { removeOldest() }
    traces[trace.key] = trace
    order.append(trace.key)
    if let origin = trace.origin { rings[origin] = trace.key }
    return true
  }

  /// The newest request of somebody.
  func newest(of origin: WireText) -> TraceKey? { rings[origin] }

  /// Drops those that are stale; answers how many.
  mutating func expire(before time: Instant) -> Int {
    let before = count
    rotate()
    while head < order.count, let oldest = traces[order[head]], oldest.first < time, !oldest.isActive {
      removeOldest()
      rotate()
    }
    return before - count
  }

  /// Puts searches that are under way behind all others.
  private mutating func rotate() {
    for _ in 0..<traces.count {
      guard head < order.count, traces[order[head]]?.isActive == true else { return }
      order.append(order[head])
      head += 1
    }
  }

  private mutating func removeOldest() {
    rotate()
    guard head < order.count else { return }
    let gone = traces.removeValue(forKey: order[head])
    head += 1
    if head > 64, head * 2 > order.count {
      order.removeFirst(head)
      head = 0
    }
    if let origin = gone?.origin, rings[origin] == gone?.key { rings[origin] = nil }
    guard let from = gone?.from, let share = shares[from] else { return }
    shares[from] = share > 1 ? share - 1 : nil
  }

  /// The newest ones first, at most so many.
  func newest(_ most: Int) -> [QueryTrace] { order[head...].suffix(most).reversed().compactMap { traces[$0] } }
}
