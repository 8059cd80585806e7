// TokenBucket: so many bytes a second, and what may be saved up.
import StackCore

/// Lets bytes pass at a rate. A bucket without a rate lets everything pass.
struct TokenBucket: Sendable {
  /// Bytes a second; 0: as many as come.
  private(set) var rate: Int64
  /// What may pass now; below zero after one that was larger than what was left.
  private var tokens: Double = 0
  private var filledAt: Instant

  /// An empty bucket at a rate.
  init(rate: Int64, at now: Instant) {
    self.rate = max(0, rate)
    filledAt = now
  }

  /// What a bucket holds at the most: a twentieth of a second, but at least what one request brings.
  private var capacity: Double { max(Double(rate) / 20, 16_384) }

  /// Changes the rate from now on.
  mutating func set(rate: Int64, at now: Instant) {
    fill(at: now)
    self.rate = max(0, rate)
    tokens = min(tokens, capacity)
  }

  private mutating func fill(at now: Instant) {
    guard now > filledAt else { return }
    tokens = min(capacity, tokens + (now - filledAt).inSeconds * Double(rate))
    filledAt = now
  }

  /// How many bytes may pass now; a caller may take one message more than that, and is then made to wait for it.
  mutating func available(at now: Instant) -> Int {
    if rate == 0 { return .max }
    fill(at: now)
    return max(0, Int(tokens))
  }

  /// Takes bytes out, more than there are too.
  mutating func take(_ bytes: Int) { if rate > 0 { tokens -= Double(bytes) } }

  /// How long until so many bytes may pass, so far as a full bucket lets them.
  mutating func wait(for bytes: Int, at now: Instant) -> Duration {
    if rate == 0 { return .zero }
    fill(at: now)
    let missing = min(Double(bytes), capacity) - tokens
    return missing <= 0 ? .zero : .nanoseconds(Int64((missing / Double(rate) * 1e9).rounded(.up)))
  }
}
