// WireReader: reads protobuf's wire format from borrowed bytes, copying nothing and trusting nothing.

/// A cursor over borrowed bytes in protobuf's wire format.
///
/// Every length is checked before it is used; a failed read throws and leaves the cursor inside the bytes. The reader
/// can't outlive the bytes it reads: the compiler sees to that.
@frozen public struct WireReader: ~Escapable {
  /// How deep messages (or groups) may be nested.
  public static var maximumDepth: Int { 32 }

  @usableFromInline var span: RawSpan
  @usableFromInline var offset: Int
  @usableFromInline var depth: Int

  /// A reader at the start of some bytes.
  @inlinable @_lifetime(copy span) public init(_ span: RawSpan, depth: Int = 0) {
    self.span = span
    offset = 0
    self.depth = depth
  }

  /// Whether all bytes have been read.
  @inlinable public var isAtEnd: Bool { offset >= span.byteCount }

  /// How many bytes are left.
  @inlinable public var remaining: Int { span.byteCount - offset }

  /// The bytes that are left.
  @inlinable public var rest: RawSpan {
    @_lifetime(copy self) get { span.extracting(offset..<span.byteCount) }
  }

  /// The next field's tag, or nil at the end.
  @inlinable public mutating func nextTag() throws(WireError) -> WireTag? {
    if isAtEnd { return nil }
    let raw = try readVarint()
    guard raw < 1 << 32, raw >= 8, let type = WireType(rawValue: UInt8(raw & 7)) else { throw .badTag }
    return WireTag(number: UInt32(truncatingIfNeeded: raw >> 3), type: type)
  }

  /// A number of one to ten bytes.
  @inlinable public mutating func readVarint() throws(WireError) -> UInt64 {
    let end = span.byteCount
    guard offset < end else { throw .truncated }
    let first = span.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    if first < 0x80 {
      offset += 1
      return UInt64(first)
    }
    return try readLongVarint()
  }

  @inlinable mutating func readLongVarint() throws(WireError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while offset < span.byteCount {
      let byte = span.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
      offset += 1
      if shift == 63, byte > 1 { throw .overlongNumber }
      value |= UInt64(byte & 0x7f) &<< shift
      if byte < 0x80 { return value }
      shift += 7
      if shift > 63 { throw .overlongNumber }
    }
    throw .truncated
  }

  /// Four bytes, little-endian.
  @inlinable public mutating func readFixed32() throws(WireError) -> UInt32 {
    guard remaining >= 4 else { throw .truncated }
    defer { offset += 4 }
    return UInt32(littleEndian: span.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  /// Eight bytes, little-endian.
  @inlinable public mutating func readFixed64() throws(WireError) -> UInt64 {
    guard remaining >= 8 else { throw .truncated }
    defer { offset += 8 }
    return UInt64(littleEndian: span.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  /// A length, and that many bytes, borrowed.
  @inlinable @_lifetime(copy self) public mutating func readBytes() throws(WireError) -> RawSpan {
    let length = try readVarint()
    guard length <= UInt64(remaining) else { throw .truncated }
    let start = offset
    offset += Int(length)
    return span.extracting(start..<offset)
  }

  /// A length, and that many bytes as text, which must be UTF-8.
  @inlinable public mutating func readString() throws(WireError) -> String {
    let bytes = try readBytes()
    return try bytes.withUnsafeBytes { (buffer) throws(WireError) in
      guard let text = String(validating: buffer, as: UTF8.self) else { throw .badText }
      return text
    }
  }

  /// A reader over a nested message.
  @inlinable @_lifetime(copy self) public mutating func readNested() throws(WireError) -> WireReader {
    guard depth < Self.maximumDepth else { throw .tooDeep }
    let bytes = try readBytes()
    return WireReader(bytes, depth: depth + 1)
  }

  /// Passes over the value of a field nobody here knows.
  @inlinable public mutating func skip(_ tag: WireTag) throws(WireError) {
    switch tag.type {
    case .varint: _ = try readVarint()
    case .fixed64: _ = try readFixed64()
    case .fixed32: _ = try readFixed32()
    case .bytes: _ = try readBytes()
    case .groupStart: try skipGroup(tag.number)
    case .groupEnd: throw .badTag
    }
  }

  /// Passes over a group, with all that is nested in it, without recursion.
  @usableFromInline mutating func skipGroup(_ number: UInt32) throws(WireError) {
    var open = [number]
    while let last = open.last {
      guard let tag = try nextTag() else { throw .truncated }
      switch tag.type {
      case .groupStart:
        guard open.count + depth < Self.maximumDepth else { throw .tooDeep }
        open.append(tag.number)
      case .groupEnd:
        guard tag.number == last else { throw .badTag }
        open.removeLast()
      default: try skip(tag)
      }
    }
  }
}
