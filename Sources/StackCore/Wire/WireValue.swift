// WireValue: the single values a field can hold, and how each stands on the wire.

/// A value that stands in one field: a number, a text, bytes.
public protocol WireValue: Sendable {
  /// The wire type it has.
  static var wireType: WireType { get }
  /// Its name in a .proto file.
  static var protoName: String { get }
  /// Reads one, the tag having been read.
  static func read(from cursor: inout WireCursor) throws(WireError) -> Self
  /// Writes it, the tag having been written.
  func write(to writer: inout WireWriter)
}

extension UInt64: WireValue {
  @inlinable public static var wireType: WireType { .varint }
  public static var protoName: String { "uint64" }
  @inlinable @inline(__always) public static func read(from cursor: inout WireCursor) throws(WireError) -> UInt64 {
    try cursor.readVarint()
  }
  @inlinable @inline(__always) public func write(to writer: inout WireWriter) { writer.writeVarint(self) }
}

extension UInt32: WireValue {
  @inlinable public static var wireType: WireType { .varint }
  public static var protoName: String { "uint32" }
  /// A larger number keeps its low 32 bits, as in every protobuf implementation.
  @inlinable @inline(__always) public static func read(from cursor: inout WireCursor) throws(WireError) -> UInt32 {
    UInt32(truncatingIfNeeded: try cursor.readVarint())
  }
  @inlinable @inline(__always) public func write(to writer: inout WireWriter) { writer.writeVarint(UInt64(self)) }
}

extension Int64: WireValue {
  @inlinable public static var wireType: WireType { .varint }
  public static var protoName: String { "sint64" }
  @inlinable @inline(__always) public static func read(from cursor: inout WireCursor) throws(WireError) -> Int64 {
    let raw = try cursor.readVarint()
    return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
  }
  @inlinable @inline(__always) public func write(to writer: inout WireWriter) {
    writer.writeVarint(UInt64(bitPattern: (self << 1) ^ (self >> 63)))
  }
}

extension Int32: WireValue {
  @inlinable public static var wireType: WireType { .varint }
  public static var protoName: String { "sint32" }
  @inlinable @inline(__always) public static func read(from cursor: inout WireCursor) throws(WireError) -> Int32 {
    let raw = UInt32(truncatingIfNeeded: try cursor.readVarint())
    return Int32(bitPattern: raw >> 1) ^ -Int32(bitPattern: raw & 1)
  }
  @inlinable @inline(__always) public func write(to writer: inout WireWriter) {
    writer.writeVarint(UInt64(UInt32(bitPattern: (self << 1) ^ (self >> 31))))
  }
}

extension Bool: WireValue {
  @inlinable public static var wireType: WireType { .varint }
  public static var protoName: String { "bool" }
  @inlinable @inline(__always) public static func read(from cursor: inout WireCursor) throws(WireError) -> Bool {
    try cursor.readVarint() != 0
  }
  @inlinable @inline(__always) public func write(to writer: inout WireWriter) { writer.writeVarint(self ? 1 : 0) }
}

extension Float: WireValue {
  @inlinable public static var wireType: WireType { .fixed32 }
  public static var protoName: String { "float" }
  @inlinable @inline(__always) public static func read(from cursor: inout WireCursor) throws(WireError) -> Float {
    Float(bitPattern: try cursor.readFixed32())
  }
  @inlinable @inline(__always) public func write(to writer: inout WireWriter) { writer.writeFixed32(bitPattern) }
}

extension Double: WireValue {
  @inlinable public static var wireType: WireType { .fixed64 }
  public static var protoName: String { "double" }
  @inlinable @inline(__always) public static func read(from cursor: inout WireCursor) throws(WireError) -> Double {
    Double(bitPattern: try cursor.readFixed64())
  }
  @inlinable @inline(__always) public func write(to writer: inout WireWriter) { writer.writeFixed64(bitPattern) }
}

/// A 32-bit number that always takes four bytes on the wire.
@frozen public struct Fixed32: WireValue, Hashable {
  public var value: UInt32
  @inlinable public init(_ value: UInt32) { self.value = value }
  @inlinable public static var wireType: WireType { .fixed32 }
  public static var protoName: String { "fixed32" }
  @inlinable @inline(__always) public static func read(from cursor: inout WireCursor) throws(WireError) -> Fixed32 {
    Fixed32(try cursor.readFixed32())
  }
  @inlinable @inline(__always) public func write(to writer: inout WireWriter) { writer.writeFixed32(value) }
}

/// A 64-bit number that always takes eight bytes on the wire.
@frozen public struct Fixed64: WireValue, Hashable {
  public var value: UInt64
  @inlinable public init(_ value: UInt64) { self.value = value }
  @inlinable public static var wireType: WireType { .fixed64 }
  public static var protoName: String { "fixed64" }
  @inlinable @inline(__always) public static func read(from cursor: inout WireCursor) throws(WireError) -> Fixed64 {
    Fixed64(try cursor.readFixed64())
  }
  @inlinable @inline(__always) public func write(to writer: inout WireWriter) { writer.writeFixed64(value) }
}

extension String: WireValue {
  @inlinable public static var wireType: WireType { .bytes }
  public static var protoName: String { "string" }
  @inlinable @inline(__always) public static func read(from cursor: inout WireCursor) throws(WireError) -> String {
    try cursor.readString()
  }
  @inlinable @inline(__always) public func write(to writer: inout WireWriter) { writer.writeString(self) }
}

extension [UInt8]: WireValue {
  @inlinable public static var wireType: WireType { .bytes }
  public static var protoName: String { "bytes" }
  @inlinable @inline(__always) public static func read(from cursor: inout WireCursor) throws(WireError) -> [UInt8] {
    [UInt8](try cursor.readBytes())
  }
  @inlinable @inline(__always) public func write(to writer: inout WireWriter) { writer.writeBytes(span.bytes) }
}

extension Hash256: WireValue {
  @inlinable public static var wireType: WireType { .bytes }
  public static var protoName: String { "bytes" }
  @inlinable @inline(__always) public static func read(from cursor: inout WireCursor) throws(WireError) -> Hash256 {
    guard let value = Hash256(try cursor.readBytes()) else { throw .badLength }
    return value
  }
  @inlinable @inline(__always) public func write(to writer: inout WireWriter) {
    guard writer.reserve(33) else { return }
    let place = writer.base + writer.written
    place.storeBytes(of: 32, as: UInt8.self)
    place.storeBytes(of: a.bigEndian, toByteOffset: 1, as: UInt64.self)
    place.storeBytes(of: b.bigEndian, toByteOffset: 9, as: UInt64.self)
    place.storeBytes(of: c.bigEndian, toByteOffset: 17, as: UInt64.self)
    place.storeBytes(of: d.bigEndian, toByteOffset: 25, as: UInt64.self)
    writer.written &+= 33
  }
}

extension Instant: WireValue {
  @inlinable public static var wireType: WireType { .varint }
  public static var protoName: String { "sint64" }
  @inlinable @inline(__always) public static func read(from cursor: inout WireCursor) throws(WireError) -> Instant {
    Instant(nanoseconds: try Int64.read(from: &cursor))
  }
  @inlinable @inline(__always) public func write(to writer: inout WireWriter) { nanoseconds.write(to: &writer) }
}
