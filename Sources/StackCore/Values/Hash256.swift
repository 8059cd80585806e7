// Hash256: 32 bytes as one value, for hashes and keys, without an array behind it.

/// A value of exactly 32 bytes: a hash, a public key.
@frozen public struct Hash256: Hashable, Comparable, Sendable {
  @usableFromInline var a: UInt64
  @usableFromInline var b: UInt64
  @usableFromInline var c: UInt64
  @usableFromInline var d: UInt64

  /// 32 zero bytes.
  @inlinable public init() { (a, b, c, d) = (0, 0, 0, 0) }

  /// The 32 bytes given; nil for another number of them.
  @inlinable @inline(__always) public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count == 32 else { return nil }
    a = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
    b = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    c = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
    d = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
  }

  /// The 32 bytes given; nil for another number of them.
  @inlinable public init?(_ bytes: [UInt8]) {
    guard let value = bytes.withUnsafeBytes({ Hash256($0) }) else { return nil }
    self = value
  }

  /// The value that 64 hexadecimal digits write.
  public init?(hex: String) {
    guard let bytes = [UInt8](hex: hex) else { return nil }
    self.init(bytes)
  }

  /// The 32 bytes, lent to a function.
  @inlinable public func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    var words = (a.bigEndian, b.bigEndian, c.bigEndian, d.bigEndian)
    let result: Result<R, E> = withUnsafeBytes(of: &words) { buffer in
      do throws(E) { return .success(try body(buffer)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  /// The 32 bytes.
  public var bytes: [UInt8] { withBytes { [UInt8]($0) } }

  /// 64 lower-case hexadecimal digits.
  public var hex: String {
    withBytes { bytes in
      String(unsafeUninitializedCapacity: 64) { text in
        for (place, byte) in bytes.enumerated() {
          text[2 * place] = hexText(byte >> 4)
          text[2 * place + 1] = hexText(byte & 15)
        }
        return 64
      }
    }
  }

  @inlinable public static func < (left: Hash256, right: Hash256) -> Bool {
    if left.a != right.a { return left.a < right.a }
    if left.b != right.b { return left.b < right.b }
    if left.c != right.c { return left.c < right.c }
    return left.d < right.d
  }
}

extension Hash256: CustomStringConvertible, Codable, JSONWritable {
  public var description: String { hex }
  /// The digits, as JSON.
  public var json: JSON { .string(hex) }

  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let value = Hash256(hex: text) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "64 hexadecimal digits"))
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(hex)
  }
}

extension [UInt8] {
  /// The bytes that a hexadecimal text writes, two digits each; nil when it isn't one.
  public init?(hex: String) {
    let digits = Array(hex.utf8)
    guard digits.count % 2 == 0 else { return nil }
    self.init()
    reserveCapacity(digits.count / 2)
    var index = 0
    while index < digits.count {
      guard let high = Self.nibble(digits[index]), let low = Self.nibble(digits[index + 1]) else { return nil }
      append(high << 4 | low)
      index += 2
    }
  }

  private static func nibble(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// The bytes as lower-case hexadecimal digits.
  public var hex: String {
    let digits = Array<UInt8>("0123456789abcdef".utf8)
    var text = [UInt8]()
    text.reserveCapacity(count * 2)
    for byte in self {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }
}
