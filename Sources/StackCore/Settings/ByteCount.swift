// ByteCount: a size in bytes, which people write as "8KiB" or "10MB".

/// A number of bytes. Stands in JSON as text ("8KiB", "512B"); a plain number is read as well.
public struct ByteCount: Hashable, Comparable, Sendable, ExpressibleByIntegerLiteral {
  /// How many bytes.
  public var bytes: Int64

  /// So many bytes.
  @inlinable public init(bytes: Int64) { self.bytes = bytes }
  @inlinable public init(integerLiteral value: Int64) { bytes = value }

  /// So many times 1024 bytes.
  @inlinable public static func kib(_ count: Int64) -> ByteCount { ByteCount(bytes: count << 10) }
  /// So many times 1024² bytes.
  @inlinable public static func mib(_ count: Int64) -> ByteCount { ByteCount(bytes: count << 20) }
  /// So many times 1024³ bytes.
  @inlinable public static func gib(_ count: Int64) -> ByteCount { ByteCount(bytes: count << 30) }

  @inlinable public static func < (left: ByteCount, right: ByteCount) -> Bool { left.bytes < right.bytes }

  /// What an error says was expected.
  static let expected = "a size such as \"512B\", \"8KiB\" or \"10MB\""

  /// Units by their names in lower case; of two forms of the same length the earlier is printed.
  private static let units: [(name: String, bytes: Int64)] = [
    ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("PiB", 1 << 50),
    ("kB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("PB", 1_000_000_000_000_000),
  ]

  /// Reads "8KiB", "1.5MiB", "10MB", "512B" or "512"; nil for anything else, and for parts of a byte.
  public init?(text: String) {
    var scanner = AmountScanner(text)
    guard let amount = scanner.amount() else { return nil }
    let name = scanner.rest.lowercased()
    guard let unit = name.isEmpty ? 1 : Self.units.first(where: { $0.name.lowercased() == name })?.bytes,
      let worth = amount.times(Int128(unit)), let bytes = Int64(exactly: worth)
    else { return nil }
    self.bytes = bytes
  }

  /// The shortest text that means exactly this.
  public var text: String {
    var best = "\(bytes)B"
    for unit in Self.units.dropFirst() where bytes != 0 && bytes % unit.bytes == 0 {
      let candidate = "\(bytes / unit.bytes)\(unit.name)"
      if candidate.utf8.count < best.utf8.count { best = candidate }
    }
    return best
  }
}

extension ByteCount: CustomStringConvertible {
  public var description: String { text }
}

extension ByteCount: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let value =
      if let bytes = try? container.decode(Int64.self), bytes >= 0 {
        ByteCount(bytes: bytes)
      } else {
        ByteCount(text: try container.decode(String.self))
      }
    guard let value else {
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: Self.expected))
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }
}

/// Reads amounts such as "1.5" from the front of a text.
struct AmountScanner {
  private var bytes: ArraySlice<UInt8>

  init(_ text: String) { bytes = Array(text.utf8.prefix(64))[...] }

  /// What has not been read yet.
  var rest: String { String(decoding: bytes, as: UTF8.self) }
  var isAtEnd: Bool { bytes.isEmpty }

  /// Takes a byte if it is next.
  mutating func take(_ byte: UInt8) -> Bool {
    guard bytes.first == byte else { return false }
    bytes.removeFirst()
    return true
  }

  /// Takes the letters that come next.
  mutating func letters() -> String {
    let taken = bytes.prefix { ($0 | 0x20) >= UInt8(ascii: "a") && ($0 | 0x20) <= UInt8(ascii: "z") || $0 >= 0x80 }
    bytes = bytes.dropFirst(taken.count)
    return String(decoding: taken, as: UTF8.self)
  }

  /// A decimal amount: `whole + fraction / scale`.
  struct Amount {
    var whole: Int128
    var fraction: Int128 = 0
    var scale: Int128 = 1

    /// The amount times a unit, if that is a whole number.
    func times(_ unit: Int128) -> Int128? {
      let (wholes, overflow) = whole.multipliedReportingOverflow(by: unit)
      let (parts, overflow2) = fraction.multipliedReportingOverflow(by: unit)
      if overflow || overflow2 || parts % scale != 0 { return nil }
      let (sum, overflow3) = wholes.addingReportingOverflow(parts / scale)
      return overflow3 ? nil : sum
    }
  }

  /// Takes an amount of at most 19 digits before the point and 18 after it.
  mutating func amount() -> Amount? {
    guard let whole = digits(), whole.count <= 19 else { return nil }
    var amount = Amount(whole: Self.number(whole))
    if take(UInt8(ascii: ".")) {
      guard let fraction = digits(), fraction.count <= 18 else { return nil }
      amount.fraction = Self.number(fraction)
      for _ in fraction { amount.scale *= 10 }
    }
    return amount
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> Int128 {
    digits.reduce(0) { $0 * 10 + Int128($1 & 0x0F) }
  }

  private mutating func digits() -> ArraySlice<UInt8>? {
    let taken = bytes.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    bytes = bytes.dropFirst(taken.count)
    return taken.isEmpty ? nil : taken
  }
}
