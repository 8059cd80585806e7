// WireText: a name or a text as it came over the wire, which should be UTF-8 but is never refused.
import StackCore

/// A text that others wrote. Peersters put any bytes into their texts: one that is not UTF-8 is kept and passed on as
/// it is, and shown with its odd bytes replaced. Two are equal when
/// their bytes are; they are in the order of their bytes.
public struct WireText: Hashable, Comparable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// What stands on the wire.
  public var bytes: [UInt8]

  /// A text of these bytes.
  public init(bytes: [UInt8]) { self.bytes = bytes }
  /// A text of ours.
  public init(_ text: String) { bytes = Array(text.utf8) }
  public init(stringLiteral value: String) { self.init(value) }

  /// The text for people, with a replacement character for what is not UTF-8.
  public var text: String { String(decoding: bytes, as: UTF8.self) }
  public var description: String { text }
  /// Whether there is nothing in it.
  public var isEmpty: Bool { bytes.isEmpty }

  /// All bytes at once: an array by itself is hashed byte by byte.
  public func hash(into hasher: inout Hasher) {
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
  }

  public static func < (left: WireText, right: WireText) -> Bool { left.compare(right) < 0 }

  /// Below 0 when this one comes first, 0 when they are equal.
  public func compare(_ other: WireText) -> Int {
    let common = min(bytes.count, other.bytes.count)
    var place = 0
    while place < common {
      if bytes[place] != other.bytes[place] { return bytes[place] < other.bytes[place] ? -1 : 1 }
      place += 1
    }
    return bytes.count - other.bytes.count
  }
}

extension WireText: WireValue {
  @inlinable public static var wireType: WireType { .bytes }
  public static var protoName: String { "string" }
  public static func read(from cursor: inout WireCursor) throws(WireError) -> WireText {
    WireText(bytes: [UInt8](try cursor.readBytes()))
  }
  public func write(to writer: inout WireWriter) { writer.writeBytes(bytes.span.bytes) }
}

extension WireText: Codable, JSONWritable, SchemaProviding {
  /// The text, as JSON.
  public var json: JSON { .string(text) }
  public static var schema: Schema { Schema(.string(allowed: nil, minCount: nil, maxCount: nil)) }
  public static var schemaSample: WireText { WireText("") }
  public init(from decoder: any Decoder) throws {
    self.init(try decoder.singleValueContainer().decode(String.self))
  }
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }
}
