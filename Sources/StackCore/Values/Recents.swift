// Recents: a bounded memory of what came of late, in which the oldest makes room for the newest.

/// What is known of the latest keys, so many of them. A key keeps its place when its value changes; for a new one the
/// oldest goes.
public struct Recents<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private var values: [Key: Value] = [:]
  /// In the order in which they came, from `oldest` on and round.
  private var ring: [Key] = []
  private var oldest = 0
  /// How many keys are remembered.
  public let limit: Int

  /// An empty memory of so many keys.
  public init(limit: Int) { self.limit = max(1, limit) }

  /// How many keys are remembered now.
  public var count: Int { values.count }

  /// What is known of a key; nil when it never came, or had to go.
  public subscript(key: Key) -> Value? { values[key] }

  /// Notes something of a key; answers what was known before.
  @discardableResult public mutating func note(_ key: Key, _ value: Value) -> Value? {
    if let before = values.updateValue(value, forKey: key) { return before }
    if ring.count < limit {
      ring.append(key)
    } else {
      values[ring[oldest]] = nil
      ring[oldest] = key
      oldest = (oldest + 1) % limit
    }
    return nil
  }
}
