// Latency: how long datagrams are under way, as a distribution that people write as "20ms" or "normal(20ms, 5ms)".
import StackCore

/// How the time that a datagram is under way is distributed.
///
/// Stands in JSON as text: `"20ms"`, `"10ms..30ms"`, `"normal(20ms, 5ms)"`, `"exponential(20ms)"`, `"lognormal(20ms,
/// 0.5)"`; or as an object, such as `{"kind": "normal", "mean": "20ms", "deviation": "5ms"}`. Never below a
/// microsecond.
public enum Latency: Hashable, Sendable {
  /// Always the same.
  case fixed(Duration)
  /// Between two times, each as likely.
  case uniform(Duration, Duration)
  /// The normal distribution, cut off at the bottom.
  case normal(mean: Duration, deviation: Duration)
  /// The exponential distribution: mostly short, sometimes long.
  case exponential(mean: Duration)
  /// The logarithm is normal: a steady median with a long tail, as the Internet has it.
  case logNormal(median: Duration, sigma: Double)

  /// The longest time under way; longer draws are cut to it.
  static let longest: Int64 = 3_600_000_000_000
  static let shortest: Int64 = 1_000

  /// Draws a time, in nanoseconds.
  func sample(_ random: inout RandomStream) -> Int64 {
    switch self {
    case .fixed(let time): Self.bounded(Double(time.nanoseconds))
    case .uniform(let low, let high):
      low.nanoseconds + Int64(random.next(below: UInt64(max(0, high.nanoseconds - low.nanoseconds) + 1)))
    case .normal(let mean, let deviation):
      Self.bounded(Double(mean.nanoseconds) + Double(deviation.nanoseconds) * random.nextNormal())
    case .exponential(let mean): Self.bounded(Double(mean.nanoseconds) * random.nextExponential())
    case .logNormal(let median, let sigma):
      Self.bounded(Double(median.nanoseconds) * ExactMath.exp(sigma * random.nextNormal()))
    }
  }

  private static func bounded(_ nanoseconds: Double) -> Int64 {
    Int64(max(Double(shortest), min(Double(longest), nanoseconds)))
  }
}

extension Latency: LosslessStringConvertible {
  /// The text form.
  public var description: String {
    switch self {
    case .fixed(let time): time.text
    case .uniform(let low, let high): "\(low.text)..\(high.text)"
    case .normal(let mean, let deviation): "normal(\(mean.text), \(deviation.text))"
    case .exponential(let mean): "exponential(\(mean.text))"
    case .logNormal(let median, let sigma): "lognormal(\(median.text), \(JSON.number(sigma).text()))"
    }
  }

  /// Reads the text form; nil for anything else.
  public init?(_ text: String) {
    let bytes = Array(text.utf8.prefix(100))
    if let open = bytes.firstIndex(of: UInt8(ascii: "(")), bytes.last == UInt8(ascii: ")") {
      let inside = String(decoding: bytes[(open + 1)..<(bytes.count - 1)], as: UTF8.self)
      let parts = inside.split(separator: ",", omittingEmptySubsequences: false).map(Self.trimmed)
      self.init(kind: Self.trimmed(Substring(String(decoding: bytes[..<open], as: UTF8.self))), parts)
    } else if let dots = Self.dots(bytes) {
      guard let low = Self.time(Self.trimmed(Substring(String(decoding: bytes[..<dots], as: UTF8.self)))),
        let high = Self.time(Self.trimmed(Substring(String(decoding: bytes[(dots + 2)...], as: UTF8.self)))),
        low <= high
      else { return nil }
      self = .uniform(low, high)
    } else {
      guard let time = Self.time(text) else { return nil }
      self = .fixed(time)
    }
  }

  private init?(kind: String, _ parts: [String]) {
    switch (kind, parts.count) {
    case ("fixed", 1): self.init(parts[0])
    case ("uniform", 2): self.init("\(parts[0])..\(parts[1])")
    case ("exponential", 1):
      guard let mean = Self.time(parts[0]) else { return nil }
      self = .exponential(mean: mean)
    case ("normal", 2):
      guard let mean = Self.time(parts[0]), let deviation = Self.time(parts[1]) else { return nil }
      self = .normal(mean: mean, deviation: deviation)
    case ("lognormal", 2):
      guard let median = Self.time(parts[0]), let sigma = Double(parts[1]), (0...10).contains(sigma) else { return nil }
      self = .logNormal(median: median, sigma: sigma)
    default: return nil
    }
  }

  private static func time(_ text: String) -> Duration? {
    guard let time = Duration(text: text), time >= .zero, time <= .nanoseconds(longest) else { return nil }
    return max(time, .nanoseconds(shortest))
  }

  /// Where ".." stands.
  private static func dots(_ bytes: [UInt8]) -> Int? {
    bytes.indices.dropLast().first { bytes[$0] == UInt8(ascii: ".") && bytes[$0 + 1] == UInt8(ascii: ".") }
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}

extension Latency: Codable, SchemaProviding {
  private static let expected =
    "a latency such as \"20ms\", \"10ms..30ms\", \"normal(20ms, 5ms)\", \"exponential(20ms)\" or \"lognormal(20ms, 0.5)\""

  /// Text or an object.
  public static var schema: Schema { Schema(.any, description: expected) }
  public static var schemaSample: Latency { .fixed(.milliseconds(10)) }

  /// The object form.
  private struct Parts: Decodable {
    var kind: String
    var time: Duration?
    var low: Duration?
    var high: Duration?
    var mean: Duration?
    var median: Duration?
    var deviation: Duration?
    var sigma: Double?

    var text: String? {
      switch kind {
      case "fixed": time?.text
      case "uniform": if let low, let high { "\(low.text)..\(high.text)" } else { nil }
      case "normal": if let mean, let deviation { "normal(\(mean.text), \(deviation.text))" } else { nil }
      case "exponential": mean.map { "exponential(\($0.text))" }
      case "lognormal": if let median, let sigma { "lognormal(\(median.text), \(sigma))" } else { nil }
      default: nil
      }
    }
  }

  public init(from decoder: any Decoder) throws {
    let text = (try? decoder.singleValueContainer().decode(String.self)) ?? (try? Parts(from: decoder))?.text
    guard let latency = text.flatMap({ Latency($0) }) else {
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: Self.expected))
    }
    self = latency
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
