// WireReader: reads protobuf's wire format from borrowed bytes, copying nothing and trusting nothing.

/// A cursor over borrowed bytes in protobuf's wire format.
///
/// Every length is checked before it is used; a failed read throws and leaves the cursor inside the bytes. The reader
/// can't outlive the bytes it reads: the compiler sees to that.
@frozen public struct WireReader: ~Escapable {
  /// How deep messages (or groups) may be nested.
  public static var maximumDepth: Int { 32 }

  @usableFromInline var cursor: WireCursor

  /// A reader at the start of some bytes.
  @inlinable @_lifetime(copy span) public init(_ span: RawSpan, depth: Int = 0) {
    // The pointer is good as long as the span is; and the reader, by the line above, no longer than that.
    cursor = span.withUnsafeBytes { WireCursor($0, depth: depth) }
  }

  /// Whether all bytes have been read.
  @inlinable public var isAtEnd: Bool { cursor.isAtEnd }

  /// How many bytes are left.
  @inlinable public var remaining: Int { cursor.remaining }

  @inlinable var depth: Int { cursor.depth }

  /// The bytes that are left.
  @inlinable public var rest: RawSpan {
    @_lifetime(copy self) get {
      let span = RawSpan(_unsafeStart: cursor.position, byteCount: cursor.remaining)
      return _overrideLifetime(span, copying: self)
    }
  }

  /// The next field's tag, or nil at the end.
  @inlinable public mutating func nextTag() throws(WireError) -> WireTag? { WireTag(raw: try cursor.readRawTag()) }

  /// A number of one to ten bytes.
  @inlinable public mutating func readVarint() throws(WireError) -> UInt64 { try cursor.readVarint() }

  /// Four bytes, little-endian.
  @inlinable public mutating func readFixed32() throws(WireError) -> UInt32 { try cursor.readFixed32() }

  /// Eight bytes, little-endian.
  @inlinable public mutating func readFixed64() throws(WireError) -> UInt64 { try cursor.readFixed64() }

  /// A length, and that many bytes, borrowed.
  @inlinable @_lifetime(copy self) public mutating func readBytes() throws(WireError) -> RawSpan {
    let bytes = try cursor.readBytes()
    return _overrideLifetime(RawSpan(_unsafeBytes: bytes), copying: self)
  }

  /// A length, and that many bytes as text, which must be UTF-8.
  @inlinable public mutating func readString() throws(WireError) -> String { try cursor.readString() }

  /// A single value of a type.
  @inlinable public mutating func read<V: WireValue>(_: V.Type) throws(WireError) -> V { try V.read(from: &cursor) }

  /// A reader over a nested message.
  @inlinable @_lifetime(copy self) public mutating func readNested() throws(WireError) -> WireReader {
    guard depth < Self.maximumDepth else { throw .tooDeep }
    let bytes = try readBytes()
    return WireReader(bytes, depth: depth + 1)
  }

  /// Passes over the value of a field nobody here knows.
  @inlinable public mutating func skip(_ tag: WireTag) throws(WireError) { try cursor.skip(tag) }
}
