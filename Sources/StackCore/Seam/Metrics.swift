// Metrics: numbers a layer counts, shown on /metrics and in reports without further ado.

/// A number that only grows.
public final class Counter {
  public private(set) var value: UInt64 = 0
  /// Adds to it.
  public func add(_ amount: UInt64 = 1) { value &+= amount }
}

/// A number that goes up and down.
public final class Gauge {
  public var value: Double = 0
}

/// How often values of each size were seen: powers of two from a microsecond up, when the values are seconds.
public final class Histogram {
  /// The upper bounds of the buckets; one more bucket holds the rest.
  public let bounds: [Double]
  public private(set) var counts: [UInt64]
  public private(set) var sum: Double = 0

  init(bounds: [Double]) {
    self.bounds = bounds
    counts = Array(repeating: 0, count: bounds.count + 1)
  }

  /// Notes a value.
  public func record(_ value: Double) {
    var place = 0
    while place < bounds.count, value > bounds[place] { place += 1 }
    counts[place] += 1
    sum += value
  }

  /// Notes a time, in seconds.
  public func record(_ duration: Duration) { record(duration.inSeconds) }
}

/// A metric as it stands in the registry.
public struct MetricDescription {
  /// Where its value comes from.
  public enum Source {
    case counter(Counter)
    case gauge(() -> Double)
    case histogram(Histogram)
  }
  /// Whose it is, what it is called, and where its value comes from.
  public var layer: String
  public var name: String
  public var summary: String
  public var source: Source
}
