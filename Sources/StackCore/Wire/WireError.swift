// WireError and WireType: what a field on the wire can be, and what can be wrong with it.

/// Why bytes could not be read as a message.
public enum WireError: String, Error, Hashable, Sendable, CustomStringConvertible {
  /// The bytes end inside a field.
  case truncated
  /// A number of more than ten bytes, or of more than 64 bits.
  case overlongNumber
  /// A field number of 0 or above 2^29 - 1, or a wire type that does not exist.
  case badTag
  /// A known field came with another wire type.
  case wrongType
  /// Text that is not UTF-8.
  case badText
  /// Bytes of another length than the field has (a hash that is not 32 bytes).
  case badLength
  /// More elements, or a longer text, than the field may have.
  case tooMany
  /// Messages nested more than `WireReader.maximumDepth` deep.
  case tooDeep
  /// The message's own rule refuses a value.
  case badValue

  public var description: String { rawValue }
}

/// The wire types of protobuf.
@frozen public enum WireType: UInt8, Sendable {
  case varint = 0
  case fixed64 = 1
  case bytes = 2
  case groupStart = 3
  case groupEnd = 4
  case fixed32 = 5
}

/// A field's tag: its number and its wire type.
@frozen public struct WireTag: Hashable, Sendable {
  public var number: UInt32
  public var type: WireType
  @inlinable public init(number: UInt32, type: WireType) {
    self.number = number
    self.type = type
  }

  /// The tag that stands so on the wire; nil of 0 and of a wire type that doesn't exist.
  @inlinable init?(raw: UInt32) {
    guard raw >= 8, let type = WireType(rawValue: UInt8(truncatingIfNeeded: raw & 7)) else { return nil }
    self.init(number: raw >> 3, type: type)
  }
}
