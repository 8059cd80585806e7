// Outflow: the rumors that one neighbour lacks, on their way to it in batches of which a window is under way at a time.
import PeersterVocabulary
import StackCore

/// A backlog for one neighbour. Each batch has a number, and the neighbour says which have come. The window grows with
/// each and is halved when one was lost, as TCP's does, so that a slow path isn't flooded.
struct Outflow {
  /// A batch that is under way.
  struct Flight: Equatable {
    var number: UInt32
    var holds: [VectorClock.Difference]
    var sentAt: Instant
    /// How many with later numbers have come.
    var overtaken = 0
  }

  /// How many origins' rumors wait at the most; and how many batches are under way.
  static let longestQueue = 4_096
  static let widest = 64
  /// After so many batches in a row of which nothing was new over there, the rest stays here.
  static let patience = 16

  /// By what it is known to the neighbour.
  let stream: UInt32
  private var queue: [VectorClock.Difference] = []
  private var head = 0
  /// Of each origin that was added: from where on the neighbour said last that it lacks it, and from where on it may be
  /// added anew.
  private var known: [WireText: (low: UInt32, again: UInt32)] = [:]
  private(set) var flights: [Flight] = []
  private var lastNumber: UInt32 = 0
  private(set) var window = 4.0
  /// The number up to which losses count as one, since they come from one window.
  private var recovered: UInt32 = 0
  private var roundTrip: Duration?
  private var timeouts = 0
  private var useless = 0
  /// Whether any of it was new over there.
  private(set) var hasHelped = false

  init(stream: UInt32) { self.stream = stream }

  /// Adds what the neighbour lacks; of origins that are in it already only notes from where on. Answers whether there
  /// was room for all.
  @discardableResult mutating func add(_ missing: [VectorClock.Difference]) -> Bool {
    for gap in missing {
      if let old = known[gap.origin], gap.ids.lowerBound < old.again {
        known[gap.origin]?.low = max(old.low, gap.ids.lowerBound)
        continue
      }
      guard queue.count - head < Self.longestQueue, known.count < 2 * Self.longestQueue else { return false }
      known[gap.origin] = (gap.ids.lowerBound, .max)
      queue.append(gap)
    }
    return true
  }

  var isQueueEmpty: Bool { head == queue.count }
  /// Whether all has come, or there is no point in going on.
  var isOver: Bool { isQueueEmpty && flights.isEmpty || useless >= Self.patience || timeouts >= 5 }
  /// Whether another batch may set out.
  var mayFly: Bool { !isQueueEmpty && flights.count < Int(window) && !isOver }

  /// What is to be sent next.
  var next: VectorClock.Difference? {
    guard !isQueueEmpty else { return nil }
    var gap = queue[head]
    let low = min(max(gap.ids.lowerBound, known[gap.origin]?.low ?? 0), gap.ids.upperBound)
    gap.ids = low..<gap.ids.upperBound
    return gap
  }

  /// Of the next origin the IDs below one are in a batch, or gone.
  mutating func took(upTo id: UInt32) {
    guard !isQueueEmpty else { return }
    let ids = queue[head].ids
    if id < ids.upperBound { queue[head].ids = max(id, ids.lowerBound)..<ids.upperBound } else { head += 1 }
    if head > 1_024, head * 2 > queue.count {
      queue.removeFirst(head)
      head = 0
    }
  }

  /// Of the next origin only that its history begins at an ID was told; from there on it may be asked for again.
  mutating func begins(at first: UInt32) {
    guard let gap = next else { return }
    known[gap.origin]?.again = first
    took(upTo: gap.ids.upperBound)
  }

  /// A batch sets out; answers its number.
  mutating func fly(_ holds: [VectorClock.Difference], at now: Instant) -> UInt32 {
    lastNumber += 1
    flights.append(Flight(number: lastNumber, holds: holds, sentAt: now))
    return lastNumber
  }

  /// The neighbour says which batches have come, and how many of their rumors were of use to it.
  mutating func seen(_ numbers: [UInt32], accepted: UInt32, at now: Instant) {
    var latest: UInt32 = 0
    var count = 0
    for number in numbers {
      guard let place = flights.firstIndex(where: { $0.number == number }) else { continue }
      let took = now - flights[place].sentAt
      roundTrip = roundTrip.map { ($0 * 7 + took) / 8 } ?? took
      flights.remove(at: place)
      (latest, count) = (max(latest, number), count + 1)
    }
    guard count > 0 else { return }
    window = min(Double(Self.widest), window + Double(count))
    timeouts = 0
    useless = accepted > 0 ? 0 : useless + count
    hasHelped = hasHelped || accepted > 0
    for place in flights.indices where flights[place].number < latest { flights[place].overtaken += count }
    lose { $0.overtaken >= 3 }
  }

  /// What has been under way for too long is taken for lost.
  mutating func expire(at now: Instant) {
    let limit = patienceTime
    let before = flights.count
    lose { now - $0.sentAt >= limit }
    if flights.count < before { timeouts += 1 }
  }

  /// When the oldest batch will be taken for lost.
  var deadline: Instant? { flights.map(\.sentAt).min().map { $0 + patienceTime } }

  private var patienceTime: Duration {
    let base = roundTrip.map { max(.milliseconds(250), $0 * 4) } ?? .seconds(1)
    return min(.seconds(8), base * (1 << min(timeouts, 4)))
  }

  /// Puts what was lost back to the front.
  private mutating func lose(_ isLost: (Flight) -> Bool) {
    let lost = flights.filter(isLost)
    guard let latest = lost.map(\.number).max() else { return }
    flights.removeAll(where: isLost)
    queue.replaceSubrange(0..<head, with: lost.flatMap(\.holds))
    head = 0
    guard latest > recovered else { return }
    recovered = lastNumber
    window = max(2, window / 2)
  }
}
