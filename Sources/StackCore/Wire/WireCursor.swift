// WireCursor: where a read stands in borrowed bytes; the part of a reader that is quick to pass around.

/// A place in bytes that somebody else keeps. It is lent to `WireValue.read` for one call and must not be kept.
///
/// Every length is checked before it is used; a failed read throws and leaves the cursor inside the bytes.
@frozen public struct WireCursor {
  @usableFromInline var position: UnsafeRawPointer
  @usableFromInline let end: UnsafeRawPointer
  @usableFromInline let depth: Int

  @inlinable init(_ bytes: UnsafeRawBufferPointer, depth: Int) {
    // Of no bytes there may be no address; any will do, since nothing is read from it.
    let start = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 8).unsafelyUnwrapped
    position = start
    end = start + bytes.count
    self.depth = depth
  }

  @inlinable init(from position: UnsafeRawPointer, to end: UnsafeRawPointer, depth: Int) {
    self.position = position
    self.end = end
    self.depth = depth
  }

  /// Whether all bytes have been read.
  @inlinable public var isAtEnd: Bool { position >= end }

  /// How many bytes are left.
  @inlinable public var remaining: Int { end - position }

  /// A number of one to ten bytes.
  @inlinable @inline(__always) public mutating func readVarint() throws(WireError) -> UInt64 {
    guard position < end else { throw .truncated }
    let first = position.load(as: UInt8.self)
    if first < 0x80 {
      position += 1
      return UInt64(first)
    }
    return try readLongVarint()
  }

  @inlinable @inline(never) mutating func readLongVarint() throws(WireError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < end {
      let byte = position.load(as: UInt8.self)
      position += 1
      if shift == 63, byte > 1 { throw .overlongNumber }
      value |= UInt64(byte & 0x7f) &<< shift
      if byte < 0x80 { return value }
      shift &+= 7
      if shift > 63 { throw .overlongNumber }
    }
    throw .truncated
  }

  /// Four bytes, little-endian.
  @inlinable @inline(__always) public mutating func readFixed32() throws(WireError) -> UInt32 {
    guard remaining >= 4 else { throw .truncated }
    let value = UInt32(littleEndian: position.loadUnaligned(as: UInt32.self))
    position += 4
    return value
  }

  /// Eight bytes, little-endian.
  @inlinable @inline(__always) public mutating func readFixed64() throws(WireError) -> UInt64 {
    guard remaining >= 8 else { throw .truncated }
    let value = UInt64(littleEndian: position.loadUnaligned(as: UInt64.self))
    position += 8
    return value
  }

  /// A length, and that many bytes, where they stand.
  @inlinable @inline(__always) public mutating func readBytes() throws(WireError) -> UnsafeRawBufferPointer {
    let length = try readVarint()
    guard length <= UInt64(remaining) else { throw .truncated }
    let bytes = UnsafeRawBufferPointer(start: position, count: Int(length))
    position += Int(length)
    return bytes
  }

  /// A length, and that many bytes as text, which must be UTF-8.
  @inlinable public mutating func readString() throws(WireError) -> String {
    guard let text = String(validating: try readBytes(), as: UTF8.self) else { throw .badText }
    return text
  }

  /// A field's tag as it stands on the wire: the number and, in the lowest three bits, the wire type. 0 at the end.
  @inlinable @inline(__always) mutating func readRawTag() throws(WireError) -> UInt32 {
    guard position < end else { return 0 }
    let raw = try readVarint()
    guard raw < 1 << 32, raw >= 8, raw & 7 < 6 else { throw .badTag }
    return UInt32(truncatingIfNeeded: raw)
  }

  /// Passes over the value of a field nobody here knows.
  @inlinable mutating func skip(_ tag: WireTag) throws(WireError) {
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
      guard let tag = WireTag(raw: try readRawTag()) else { throw .truncated }
      switch tag.type {
      case .groupStart:
        guard open.count + depth < WireReader.maximumDepth else { throw .tooDeep }
        open.append(tag.number)
      case .groupEnd:
        guard tag.number == last else { throw .badTag }
        open.removeLast()
      default: try skip(tag)
      }
    }
  }
}
