// Instant: a point on a node's one time line, in nanoseconds since the Unix epoch.

/// A point in time as its node sees it: nanoseconds since 1970-01-01 UTC.
///
/// A real node reads the wall clock once, when it starts, and counts on with a monotonic clock, so an `Instant` never
/// goes backwards while the node runs. A simulated node starts at `Instant(nanoseconds: 0)`.
public struct Instant: Hashable, Comparable, Sendable, Codable {
  /// Nanoseconds since the Unix epoch.
  public var nanoseconds: Int64

  /// The instant so many nanoseconds after the epoch.
  @inlinable public init(nanoseconds: Int64 = 0) { self.nanoseconds = nanoseconds }

  /// An instant stands in JSON as seconds since the epoch, to the microsecond.
  public init(from decoder: any Decoder) throws {
    let seconds = try decoder.singleValueContainer().decode(Double.self)
    guard seconds.magnitude < 9e9 else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "seconds since 1970, less than 9e9"))
    }
    self.init(nanoseconds: Int64((seconds * 1e6).rounded()) * 1000)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode((Double(nanoseconds) / 1000).rounded() / 1e6)
  }

  @inlinable public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

  /// The instant a duration later; saturates at the end of time.
  @inlinable public static func + (left: Instant, right: Duration) -> Instant {
    let (sum, overflow) = left.nanoseconds.addingReportingOverflow(right.nanoseconds)
    return Instant(nanoseconds: overflow ? (right.nanoseconds > 0 ? .max : .min) : sum)
  }

  /// The instant a duration earlier; saturates.
  @inlinable public static func - (left: Instant, right: Duration) -> Instant {
    let (difference, overflow) = left.nanoseconds.subtractingReportingOverflow(right.nanoseconds)
    return Instant(nanoseconds: overflow ? (right.nanoseconds > 0 ? .min : .max) : difference)
  }

  /// The time from `right` to `left`; saturates at 292 years.
  @inlinable public static func - (left: Instant, right: Instant) -> Duration {
    let (difference, overflow) = left.nanoseconds.subtractingReportingOverflow(right.nanoseconds)
    return .nanoseconds(overflow ? (left.nanoseconds > 0 ? .max : -.max) : difference)
  }
}

extension Instant: SchemaProviding {
  /// A number of seconds since 1970, and marked as such, so that it can be shown as a time of day.
  public static var schema: Schema { Schema(.number(min: nil, max: nil), format: .unixTime) }
  /// The epoch.
  public static let schemaSample = Instant()
}

extension Duration {
  /// The whole duration in nanoseconds; saturates at 292 years.
  @inlinable public var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    if overflow { return seconds > 0 ? .max : -.max }
    let (sum, overflow2) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    return overflow2 ? (seconds > 0 ? .max : -.max) : sum
  }

  /// The duration in seconds, as a number for plots and metrics.
  @inlinable public var inSeconds: Double { Double(nanoseconds) / 1e9 }
}
