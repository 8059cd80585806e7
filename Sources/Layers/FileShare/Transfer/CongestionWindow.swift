// CongestionWindow: how many bytes may be under way from one holder: a full path, and their part for others.
import StackCore

/// The receiver's window over one holder's path.
///
/// The receiver asks and so decides what is sent. The window grows as CUBIC's does (RFC 9438) and shrinks as CUBIC's
/// does, but only for losses that tell of a full queue: when the round trip is longer than the path's own by more than
/// a little, or when more is lost than mere chance loses. So it stands beside TCP as one more TCP does, and a path that
/// loses a piece in twenty by itself stays full. Whatever the losses, it never asks for more than the path delivers in
/// its own round trip and a tenth of a second.
struct CongestionWindow: Sendable {
  /// What one request's first answer is compared with later.
  struct Mark: Sendable, Hashable {
    /// When it was asked for.
    var askedAt: Instant
    /// What had arrived by then, and when the last of it had.
    var arrived: Int64
    var arrivedAt: Instant
  }

  /// How many bytes may be under way.
  private(set) var window: Double
  /// The path's own round trip, without queues; nil before anything came.
  private(set) var baseRoundTrip: Duration?
  /// The round trip as of late.
  private(set) var smoothedRoundTrip: Duration?
  /// How much round trips vary.
  private(set) var variation = Duration.zero
  /// How many bytes a second were delivered of late, at the best.
  private(set) var deliveryRate: Double = 0
  /// How often the window was made smaller for a full queue, and how often a loss was taken for chance.
  private(set) var reductions = 0
  private(set) var forgiven = 0
  /// The most that may ever be under way, such as what our own buffers hold.
  var ceiling: Double

  private var isStarting = true
  /// What had arrived in all, and when the last of it did.
  private var arrivedBytes: Int64 = 0
  private var arrivedAt: Instant
  /// CUBIC's own: where it was, since when it grows, what a Reno window would be.
  private var before: Double = 0
  private var epoch: Instant?
  private var origin: Double = 0
  private var timeToOrigin: Double = 0
  private var friendly: Double = 0
  /// Requests up to this instant belong to the round in which the window was last made smaller.
  private var recoveringUntil: Instant
  private var roundEnd: Instant
  private var bestRates: [Double] = []
  /// The shortest round trip of this minute and of the one before.
  private var minuteBegan: Instant
  private var thisMinute: Duration?
  private var lastMinute: Duration?
  private var seen = 0.0
  private var missed = 0.0

  /// What TCP counts as one packet; keeps the growth the same as its.
  static let segment = 1_448.0
  static let smallest = 8_192.0
  static let first = 32_768.0
  private static let beta = 0.7
  private static let aggressiveness = 0.4
  /// How much the window grows in a round trip while there is no queue; after a few of them up to eight times as much.
  private static let idleGrowth = 1.0 / 16
  /// The standing queue that is never exceeded, losses or none.
  private static let longestQueue = 0.1
  /// A greater part lost than this is never chance.
  private static let mostChance = 0.10

  init(at now: Instant, ceiling: Double = 16_777_216) {
    window = Self.first
    self.ceiling = ceiling
    arrivedAt = now
    recoveringUntil = now
    roundEnd = now
    minuteBegan = now
  }

  /// What to keep with a request that is sent now.
  func mark(at now: Instant, isIdle: Bool) -> Mark {
    Mark(askedAt: now, arrived: arrivedBytes, arrivedAt: isIdle ? now : arrivedAt)
  }

  /// How long to wait for an answer before it is given up for lost.
  var timeout: Duration {
    guard let smoothedRoundTrip else { return .milliseconds(400) }
    // Where round trips are short, a busy machine takes longer than the path.
    let least = (baseRoundTrip ?? .zero) < .milliseconds(5) ? Duration.milliseconds(100) : .milliseconds(20)
    return min(.seconds(10), max(least, smoothedRoundTrip + max(variation * 4, smoothedRoundTrip / 2)))
  }

  /// How long a later answer may overtake an earlier one.
  var reordering: Duration { max(.milliseconds(1), (smoothedRoundTrip ?? .milliseconds(100)) / 4) }

  /// The most to ask for at once: after a pause not the whole window, which as one burst would fill the path's queue.
  var burst: Int {
    (baseRoundTrip ?? .zero) < .milliseconds(10) ? .max : Int(max(Self.smallest * 2, window / 8))
  }

  /// How many bytes to ask for at a time: about half a millisecond's worth.
  func quantum(least: Int, most: Int) -> Int {
    let wanted = max(deliveryRate / 2_000, window / 64)
    return min(most, max(least, Int(min(wanted, window / 4))))
  }

  // MARK: What happens

  /// A question, not one for bytes, was answered after so long.
  mutating func answered(after sample: Duration, at now: Instant) {
    noteBase(sample, now)
    if smoothedRoundTrip != nil { return }
    smoothedRoundTrip = sample
    variation = sample / 2
  }

  /// The first bytes of an answer have come.
  mutating func answered(_ mark: Mark, at now: Instant) {
    let sample = now - mark.askedAt
    noteBase(sample, now)
    if let old = smoothedRoundTrip {
      variation = (variation * 3 + (sample > old ? sample - old : old - sample)) / 4
      smoothedRoundTrip = (old * 7 + sample) / 8
    } else {
      smoothedRoundTrip = sample
      variation = sample / 2
    }
    recent = recent.map { ($0 * 3 + sample) / 4 } ?? sample
    if queueIsLong { sawQueue = true }
    if mark.askedAt >= roundEnd { endRound(now) }
  }

  /// Round trips of the last few answers.
  private var recent: Duration?
  /// How many round trips in a row there was no queue, and whether there was one in this.
  private var idleRounds = 0
  private var sawQueue = false

  /// Bytes have come. `isWhole`: they end their request.
  mutating func arrived(_ bytes: Int, _ mark: Mark, isWhole: Bool, windowIsUsed: Bool, at now: Instant) {
    arrivedBytes += Int64(bytes)
    arrivedAt = now
    seen += Double(bytes)
    if isWhole { noteRate(mark, now) }
    if windowIsUsed { grow(Double(bytes), now) }
    window = min(window, bound)
  }

  /// Bytes asked for with this mark were lost.
  mutating func lost(_ bytes: Int, _ mark: Mark, at now: Instant) {
    missed += Double(bytes)
    let total = seen + missed
    // By three standard deviations of a count of packets: what is chance among few isn't taken for more.
    let doubt = 3 * (total * Self.mostChance * Double(Unit.bytes)).squareRoot()
    let isTooMuch = total > 131_072 && missed > total * Self.mostChance + doubt
    if total > 1_048_576 {
      seen /= 2
      missed /= 2
    }
    guard queueIsLong || isTooMuch else {
      forgiven += 1
      return
    }
    guard mark.askedAt > recoveringUntil else { return }
    if isTooMuch {
      seen = 0
      missed = 0
    }
    reduce(now)
  }

  /// Nothing has come for `timeout`.
  mutating func timedOut(at now: Instant) {
    before = window
    window = max(Self.smallest, window * 0.5)
    epoch = nil
    isStarting = false
    recoveringUntil = now
    variation = min(variation * 2, .seconds(2))
  }

  // MARK: How it changes

  /// The part of what was asked for that was lost of late; 0 while too little was asked for to tell.
  var lossShare: Double { seen + missed < 32_768 ? 0 : missed / (seen + missed) }

  /// When one request is given up that nothing follows, so that nothing can overtake it.
  var patience: Duration {
    guard let smoothedRoundTrip else { return timeout }
    let least = (baseRoundTrip ?? .zero) < .milliseconds(5) ? Duration.milliseconds(100) : .milliseconds(5)
    return smoothedRoundTrip + max(least, max(variation * 4, smoothedRoundTrip / 4))
  }

  /// Whether the path's queue is long enough for a loss to come from it.
  var queueIsLong: Bool {
    guard let baseRoundTrip, let recent else { return false }
    return recent - baseRoundTrip > max(.milliseconds(1), baseRoundTrip / 16)
  }

  private var bound: Double {
    guard let baseRoundTrip, deliveryRate > 0 else { return ceiling }
    // While it starts, the rate is behind the window; double that rate is still in reach.
    let rate = isStarting ? deliveryRate * 2 : deliveryRate
    return min(ceiling, max(Self.first, rate * (baseRoundTrip.inSeconds * 1.25 + Self.longestQueue)))
  }

  private mutating func grow(_ bytes: Double, _ now: Instant) {
    if isStarting {
      window += bytes
      return
    }
    let roundTrip = (smoothedRoundTrip ?? .milliseconds(100)).inSeconds
    if epoch == nil { beginEpoch(now) }
    let time = (now - (epoch ?? now)).inSeconds + roundTrip
    let distance = time - timeToOrigin
    let target = origin + Self.aggressiveness * distance * distance * distance * Self.segment
    let reno = 3 * (1 - Self.beta) / (1 + Self.beta)
    friendly += (friendly < before ? reno : 1) * Self.segment * bytes / max(window, 1)
    if target > window { window += (min(target, window * 1.5) - window) / window * bytes }
    // Without a queue the path has room that nobody uses.
    if !queueIsLong { window += bytes * Self.idleGrowth * Double(1 << min(3, max(0, idleRounds - 3))) }
    window = max(window, min(friendly, window + bytes))
  }

  private mutating func beginEpoch(_ now: Instant) {
    epoch = now
    friendly = window
    if before > window {
      let segments = (before - window) / Self.segment / Self.aggressiveness
      timeToOrigin = cubeRoot(segments)
      origin = before
    } else {
      timeToOrigin = 0
      origin = window
    }
  }

  private mutating func reduce(_ now: Instant) {
    reductions += 1
    isStarting = false
    // Who had less than before gives way faster, so that newcomers find their part.
    before = window < before ? window * (1 + Self.beta) / 2 : window
    // What the path delivers without a queue isn't given up for one that is short.
    // On a path that loses much by itself nobody's TCP waits for what is given up. And what is lost there counts as
    // under way until it is missed; a request that is lost, with all that it asked for.
    let chance = min(lossShare, Self.mostChance)
    let part = (0.85 + min(0.1, chance * 2)) / (1 - chance * 2)
    let own = deliveryRate * (baseRoundTrip?.inSeconds ?? 0) * part
    window = max(Self.smallest, window * Self.beta, min(window, own))
    epoch = nil
    recoveringUntil = now
    idleRounds = 0
  }

  // MARK: What is measured

  private mutating func noteBase(_ sample: Duration, _ now: Instant) {
    if now - minuteBegan > .seconds(60) {
      lastMinute = thisMinute
      thisMinute = nil
      minuteBegan = now
    }
    thisMinute = min(thisMinute ?? sample, sample)
    baseRoundTrip = min(thisMinute ?? sample, lastMinute ?? sample)
  }

  private mutating func noteRate(_ mark: Mark, _ now: Instant) {
    let time = (now - mark.arrivedAt).inSeconds
    guard time > 0 else { return }
    let rate = Double(arrivedBytes - mark.arrived) / time
    if bestRates.isEmpty { bestRates.append(0) }
    bestRates[bestRates.count - 1] = max(bestRates[bestRates.count - 1], rate)
    deliveryRate = max(deliveryRate, rate)
  }

  private mutating func endRound(_ now: Instant) {
    roundEnd = now
    idleRounds = sawQueue ? 0 : idleRounds + 1
    sawQueue = false
    if isStarting, let baseRoundTrip, let recent, recent - baseRoundTrip > max(.milliseconds(4), baseRoundTrip / 8) {
      // The queue fills: the path carries no more.
      isStarting = false
      before = window
      epoch = nil
    }
    bestRates.append(0)
    if bestRates.count > 10 { bestRates.removeFirst() }
    deliveryRate = bestRates.max() ?? 0
  }

  /// The cube root of a number that isn't negative, by Newton's way.
  private func cubeRoot(_ value: Double) -> Double {
    guard value > 0 else { return 0 }
    var root = max(1, value.squareRoot())
    for _ in 0..<32 { root -= (root * root * root - value) / (3 * root * root) }
    return root
  }
}
