// RumorLog: which rumors a node has seen and which it still keeps, of each origin one run without gaps.
import PeersterVocabulary
import StackCore

/// The book over all rumors; their texts are in storage. Of each origin all IDs below `next` have been seen, and those
/// from `first` on are kept. What retention drops stays seen, so that it is never asked for again.
struct RumorLog {
  /// How much there may be.
  struct Limits: Equatable {
    /// How many origins are known at the most. For more, only those make room that `victim` allows to.
    var origins = 100_000
    /// How far ahead of the first unseen ID a rumor may be to be held.
    var gap: UInt32 = 256
    /// How many rumors are held for such a gap to close, and their bytes.
    var held = 4_096
    var heldBytes = 4 << 20
  }

  /// What is seen and kept of one origin.
  struct Run: Equatable {
    var first: UInt32 = 1
    var next: UInt32 = 1
    /// The bytes of all its rumors ever, by which those of a part are found.
    var written: UInt64 = 0
    /// The bytes of those that are kept.
    var bytes: UInt64 = 0
    /// When the oldest and the newest that are kept were heard.
    var oldest = Instant()
    var newest = Instant()
    /// By a hash, which neighbour brought it first, and whether a second one did too.
    var bringer: UInt32 = 0
    var isVouched = false
    var count: UInt32 { next - first }
  }

  /// What a rumor is to this log.
  enum Verdict: Equatable {
    /// The next of its origin.
    case new
    /// Beyond the next, but near enough to be held.
    case ahead
    /// Too far beyond.
    case far
    /// Seen before; whether it is kept still.
    case known(isKept: Bool)
    /// Of an origin for which there is no room.
    case full
  }

  /// A rumor that waits for those before it.
  struct Held: Equatable {
    var rumor: Rumor
    var from: Address?
    var at: Instant
  }

  var limits: Limits
  private(set) var clock = ClockTree()
  private var runs: [WireText: Run] = [:]
  private var held: [WireText: [Held]] = [:]
  private(set) var heldCount = 0
  private(set) var heldBytes = 0
  /// How many rumors are kept, and their bytes.
  private(set) var count = 0
  private(set) var bytes: UInt64 = 0
  /// Who may be forgotten, the first to go last, and when they were looked for.
  private var victims: [WireText] = []
  private var lookedAt: Instant?

  init(limits: Limits = Limits()) { self.limits = limits }

  func run(of origin: WireText) -> Run? { runs[origin] }
  func next(of origin: WireText) -> UInt32 { runs[origin]?.next ?? 1 }

  /// Takes in a run that was stored.
  mutating func load(_ origin: WireText, _ run: Run, at now: Instant = Instant()) {
    var run = run
    // Of an origin of which nothing is kept it is not known when it was heard.
    if run.count == 0 { run.newest = now }
    runs[origin] = run
    clock.advance(origin, to: run.next)
    count += Int(run.count)
    bytes += run.bytes
  }

  func judge(_ origin: WireText, _ id: UInt32) -> Verdict {
    guard let run = runs[origin] else {
      if runs.count >= limits.origins { return .full }
      return id == 1 ? .new : id - 1 <= limits.gap ? .ahead : .far
    }
    if id < run.next { return .known(isKept: id >= run.first) }
    return id == run.next ? .new : id - run.next <= limits.gap ? .ahead : .far
  }

  /// Notes the next rumor of an origin, and answers the bytes that its origin has written with it.
  mutating func append(_ origin: WireText, size: Int, at now: Instant) -> UInt64 {
    var run = runs[origin] ?? Run()
    if run.count == 0 { run.oldest = now }
    run.next += 1
    run.newest = now
    run.written += UInt64(size)
    run.bytes += UInt64(size)
    count += 1
    bytes += UInt64(size)
    runs[origin] = run
    clock.advance(origin, to: run.next)
    return run.written
  }

  /// Takes for seen all of an origin below an ID, where its history begins as others tell.
  mutating func skip(_ origin: WireText, to first: UInt32, at now: Instant = Instant()) {
    guard first > next(of: origin), runs[origin] != nil || runs.count < limits.origins else { return }
    var run = runs[origin] ?? Run()
    count -= Int(run.count)
    bytes -= run.bytes
    run.first = first
    run.next = first
    run.bytes = 0
    run.newest = now
    runs[origin] = run
    clock.advance(origin, to: first)
    release(origin) { $0.rumor.id >= first }
  }

  /// Notes that an origin's rumors below an ID are no longer kept, and of how many bytes and of when the rest is.
  mutating func drop(_ origin: WireText, below first: UInt32, bytesLeft: UInt64, oldest: Instant) {
    guard var run = runs[origin], first > run.first, first <= run.next else { return }
    count -= Int(first - run.first)
    bytes -= run.bytes - min(run.bytes, bytesLeft)
    run.first = first
    run.bytes = min(run.bytes, bytesLeft)
    run.oldest = oldest
    runs[origin] = run
  }

  /// The origin of which the most is kept, by bytes or by number: it gives way when there is too much in all.
  func largest(byBytes: Bool) -> WireText? {
    var best: (origin: WireText, amount: UInt64)?
    for entry in clock.entries {
      guard let run = runs[entry.identifier] else { continue }
      let amount = byBytes ? run.bytes : UInt64(run.count)
      if amount > best?.amount ?? 0 { best = (entry.identifier, amount) }
    }
    return best?.origin
  }

  // MARK: Room

  /// So long an origin must have been silent that only one neighbour has brought, and any of which nothing is kept.
  static let doubtfulSilence = Duration.seconds(600)
  static let emptySilence = Duration.seconds(3_600)

  var hasRoom: Bool { runs.count < limits.origins }

  /// A neighbour has brought a rumor of an origin that is known.
  mutating func vouched(_ origin: WireText, by peer: Address) {
    guard let run = runs[origin], !run.isVouched else { return }
    let words = [peer.high, peer.low, UInt64(peer.port)]
    let hash = UInt32(
      truncatingIfNeeded: stableHash(
        words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }))
    if run.bringer == 0 {
      runs[origin]?.bringer = max(1, hash)
    } else if run.bringer != max(1, hash) {
      runs[origin]?.isVouched = true
    }
  }

  /// The origin that is to be forgotten when there is no room for another, if any may be. To look for some takes as
  /// long as there are origins, so it is done every ten seconds at the most.
  ///
  /// An origin goes of which nothing is kept and that has been silent for an hour. Else one that has been silent for
  /// ten minutes and was brought by a single neighbour, the one that has brought the most such: who invents many
  /// origins pushes out its own.
  mutating func victim(at now: Instant, except me: WireText) -> WireText? {
    while let last = victims.last {
      if let run = runs[last], isDoubtful(run, now) || isEmpty(run, now) { return last }
      victims.removeLast()
    }
    if let lookedAt, now - lookedAt < .seconds(10) { return nil }
    lookedAt = now
    var brought: [UInt32: Int] = [:]
    for run in runs.values where !run.isVouched { brought[run.bringer, default: 0] += 1 }
    let most = brought.max { ($0.value, $0.key) < ($1.value, $1.key) }?.key
    var found: [(origin: WireText, isEmpty: Bool, at: Instant)] = []
    clock.visit(0..<clock.count) { entry in
      guard let run = runs[entry.identifier], entry.identifier != me else { return true }
      let isEmpty = isEmpty(run, now)
      if isEmpty || run.bringer == most && isDoubtful(run, now) {
        found.append((entry.identifier, isEmpty, run.newest))
      }
      return true
    }
    found.sort { ($0.isEmpty ? 0 : 1, $0.at, $0.origin) < ($1.isEmpty ? 0 : 1, $1.at, $1.origin) }
    victims = found.prefix(1_024).map(\.origin).reversed()
    return victims.last
  }

  private func isDoubtful(_ run: Run, _ now: Instant) -> Bool {
    !run.isVouched && now - run.newest >= Self.doubtfulSilence
  }
  private func isEmpty(_ run: Run, _ now: Instant) -> Bool {
    run.count == 0 && now - run.newest >= Self.emptySilence
  }

  /// Forgets an origin and all that was seen of it.
  mutating func forget(_ origin: WireText) {
    guard let run = runs.removeValue(forKey: origin) else { return }
    clock.remove(origin)
    count -= Int(run.count)
    bytes -= min(bytes, run.bytes)
    release(origin) { _ in false }
    if victims.last == origin { victims.removeLast() }
  }

  // MARK: Gaps

  /// Holds a rumor that is ahead; false when it is held already or there is no room.
  mutating func hold(_ rumor: Rumor, from: Address?, at now: Instant) -> Bool {
    let size = rumor.logSize
    guard heldCount < limits.held, heldBytes + size <= limits.heldBytes else { return false }
    var list = held[rumor.origin] ?? []
    if list.contains(where: { $0.rumor.id == rumor.id }) { return false }
    list.append(Held(rumor: rumor, from: from, at: now))
    held[rumor.origin] = list
    heldCount += 1
    heldBytes += size
    return true
  }

  /// Gives out the rumor of an origin that has become the next.
  mutating func takeHeld(_ origin: WireText) -> Held? {
    let next = next(of: origin)
    guard let found = held[origin]?.first(where: { $0.rumor.id == next }) else { return nil }
    release(origin) { $0.rumor.id > next }
    return found
  }

  /// Of an origin the IDs below one that are neither seen nor held, in no more than so many runs.
  func lacking(_ origin: WireText, below end: UInt32, limit: Int) -> [Range<UInt32>] {
    var runs: [Range<UInt32>] = []
    var start = next(of: origin)
    for id in (held[origin] ?? []).map(\.rumor.id).sorted() where id < end && runs.count < limit {
      if start < id { runs.append(start..<id) }
      start = id + 1
    }
    if start < end, runs.count < limit { runs.append(start..<end) }
    return runs
  }

  /// Forgets what has waited too long.
  mutating func expireHeld(before time: Instant) {
    for origin in held.keys.sorted() { release(origin) { $0.at >= time } }
  }

  private mutating func release(_ origin: WireText, _ stays: (Held) -> Bool) {
    guard let list = held[origin] else { return }
    let rest = list.filter(stays)
    for gone in list where !stays(gone) {
      heldCount -= 1
      heldBytes -= gone.rumor.logSize
    }
    held[origin] = rest.isEmpty ? nil : rest
  }
}

extension Rumor {
  /// What it counts for in the log's limits: its own bytes, and about what keeping it costs.
  var logSize: Int { text.bytes.count + (topic?.bytes.count ?? 0) + origin.bytes.count + 48 }
}
