// Holder: somebody who has a file, as one download sees it: what it has, what was asked of it, how fast it is.
import PeersterVocabulary
import StackCore

/// A request under way.
struct RangeRecord: Sendable {
  let number: UInt32
  let level: Int
  let ranges: [UnitRange]
  let bytes: Int
  /// How many bytes of it haven't come.
  var left: Int
  let mark: CongestionWindow.Mark
  var isAnswered = false
  /// Whether it asks again for what another request has under way: it takes no room and its loss tells nothing.
  var isRepeated = false
  /// Since when a later request has been answered.
  var overtakenAt: Instant?
}

/// A holder of a file.
struct Holder: Sendable {
  /// How far it is known.
  enum State: String, Sendable, Codable, CaseIterable {
    /// It was asked what it holds.
    case asked
    /// It says what it holds, and is asked for it.
    case ready
    /// It doesn't have the file, or doesn't answer; asked again from time to time.
    case away
    /// It sent what is wrong; asked no more for this file.
    case banned
  }

  let id: Int32
  /// Where it is reached; for one known by name only, the next hop to it.
  var address: Address
  /// Its name, for those that speak no Strata or are some hops away.
  var name: WireText?
  /// Whether it is asked chunk by chunk with the Peersters' messages.
  var isPlain = false
  /// Whether it stands in the book, so that it is asked again after a restart.
  var isKept = false
  var state = State.asked
  /// What it holds; nil: all.
  var holding: ChunkMap?
  var window: CongestionWindow
  private(set) var requests: [RangeRecord] = []
  /// Bytes asked for that have neither come nor been lost.
  private(set) var inFlight = 0
  /// What has come from it and was right.
  var bytes: Int64 = 0
  var rate = RateMeter()
  var lastArrival: Instant
  /// Whether the end of what was asked for was given up since something came; after that silence decides.
  private var hasGivenUpTail = false
  /// How often in a row it didn't answer, and when it is asked what it holds again.
  var silences = 0
  var askAgainAt: Instant
  /// It isn't asked for anything before this, for it said so.
  var restsUntil: Instant
  var rateLookedAt: Instant
  /// The number of the question what it holds, when it was asked first, and how often.
  var question: UInt64 = 0
  var questionAskedAt: Instant
  var questionTries = 0
  /// When it was asked again last for what is under way, without waiting for its loss.
  var repeatedAt: Instant
  /// How often in a row it refused what was asked of it.
  var refusals = 0
  /// How often it fell silent for good since it last brought a right chunk.
  var stalls = 0
  /// Of each hundredth of the file, how many chunks came from here.
  var cells = [UInt32](repeating: 0, count: DownloadProgress.cells)

  init(id: Int32, address: Address, name: WireText?, at now: Instant) {
    self.id = id
    self.address = address
    self.name = name
    window = CongestionWindow(at: now)
    lastArrival = now
    askAgainAt = now
    restsUntil = now
    rateLookedAt = now
    questionAskedAt = now
    repeatedAt = now
  }

  /// Whether it says that it has the file's last chunk.
  var holdsEnd: Bool { holding.map { $0[$0.count - 1] } ?? true }

  /// How many more bytes may be asked for.
  var room: Int { Int(window.window) - inFlight }

  /// Notes a request that is sent now.
  mutating func asked(_ number: UInt32, level: Int, _ ranges: [UnitRange], bytes: Int, at now: Instant) {
    if requests.isEmpty { lastArrival = now }
    requests.append(
      RangeRecord(
        number: number, level: level, ranges: ranges, bytes: bytes, left: bytes,
        mark: window.mark(at: now, isIdle: inFlight == 0)))
    inFlight += bytes
  }

  /// Notes a request that asks again for what is under way.
  mutating func askedAgain(_ number: UInt32, level: Int, _ ranges: [UnitRange], at now: Instant) {
    requests.append(
      RangeRecord(
        number: number, level: level, ranges: ranges, bytes: 0, left: 0, mark: window.mark(at: now, isIdle: false),
        isRepeated: true))
    repeatedAt = now
  }

  /// The request of a number, and where it stands.
  func request(_ number: UInt32) -> (place: Int, record: RangeRecord)? {
    guard let place = requests.firstIndex(where: { $0.number == number }) else { return nil }
    return (place, requests[place])
  }

  /// New bytes of a request have come. Answers whether they were its last.
  mutating func arrived(_ place: Int, bytes: Int, at now: Instant) -> Bool {
    let isFull = Double(inFlight) > window.window / 2
    // What comes once more is no news: else saying the same for ever would be enough to be waited for.
    if bytes > 0 {
      lastArrival = now
      silences = 0
      refusals = 0
      hasGivenUpTail = false
    }
    if !requests[place].isAnswered {
      requests[place].isAnswered = true
      window.answered(requests[place].mark, at: now)
    }
    for earlier in 0..<place where requests[earlier].overtakenAt == nil { requests[earlier].overtakenAt = now }
    let counted = min(bytes, requests[place].left)
    requests[place].left -= counted
    inFlight -= counted
    // One that was asked again may bring a piece of any of its ranges; it ends when it is overtaken.
    let isWhole = requests[place].left == 0 && !requests[place].isRepeated
    window.arrived(bytes, requests[place].mark, isWhole: isWhole, windowIsUsed: isFull, at: now)
    if isWhole { requests.remove(at: place) }
    return isWhole
  }

  /// The requests that a later one has overtaken by so much that what is missing of them is lost.
  mutating func takeLost(at now: Instant) -> [RangeRecord] {
    guard let first = requests.first else { return [] }
    let reordering = window.reordering
    // Nothing comes any more: what should have come by now was lost, though nothing has overtaken it.
    let isQuiet = !hasGivenUpTail && silences == 0 && now - lastArrival >= reordering
    guard first.overtakenAt != nil || isQuiet else { return [] }
    let patience = window.patience
    var lost: [RangeRecord] = []
    requests.removeAll { record in
      let isOvertaken = record.overtakenAt.map { now - $0 >= reordering } ?? false
      guard isOvertaken || isQuiet && now - record.mark.askedAt >= patience else { return false }
      if !isOvertaken { hasGivenUpTail = true }
      lost.append(record)
      return true
    }
    for record in lost where !record.isRepeated {
      inFlight -= record.left
      // When nothing at all of it came, it was most likely the request that was lost: one datagram.
      window.lost(record.isAnswered ? record.left : min(record.left, Unit.bytes), record.mark, at: now)
    }
    return lost
  }

  /// Whether nothing has come for so long that nothing will.
  func isSilent(at now: Instant) -> Bool {
    !requests.isEmpty && now - lastArrival > window.timeout * (1 << min(silences, 4))
  }

  /// It says what it has and doesn't bring it: it is asked again, ever more seldom.
  mutating func stall(at now: Instant) {
    state = .away
    askAgainAt = now + .milliseconds(250) * (1 << min(stalls, 8))
    stalls += 1
    refusals = 0
  }

  /// Takes back all that was asked for.
  mutating func takeAll(at now: Instant) -> [RangeRecord] {
    defer {
      requests = []
      inFlight = 0
    }
    return requests
  }

  /// Takes back one request, such as one that was refused.
  mutating func take(_ number: UInt32) -> RangeRecord? {
    guard let place = requests.firstIndex(where: { $0.number == number }) else { return nil }
    inFlight -= requests[place].left
    return requests.remove(at: place)
  }
}

/// How many bytes a second came of late.
struct RateMeter: Sendable {
  private(set) var bytesPerSecond: Double = 0
  private var counted: Int64 = 0
  private var since: Instant?

  /// Counts bytes.
  mutating func add(_ bytes: Int) { counted += Int64(bytes) }

  /// Looks at what came since it looked last; called a few times a second.
  mutating func look(at now: Instant) {
    guard let since else {
      self.since = now
      counted = 0
      return
    }
    let time = (now - since).inSeconds
    guard time > 0.05 else { return }
    let share = min(1, time)
    bytesPerSecond += (Double(counted) / time - bytesPerSecond) * share
    counted = 0
    self.since = now
  }
}
