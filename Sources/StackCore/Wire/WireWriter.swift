// WireWriter: writes protobuf's wire format into one growing buffer, each value once.

/// A buffer that messages are written into.
///
/// It grows as needed up to its limit; what would go beyond is not written, and `overflowed` says so.
@frozen public struct WireWriter: ~Copyable {
  @usableFromInline var base: UnsafeMutableRawPointer
  @usableFromInline var capacity: Int
  /// How many bytes have been written.
  @usableFromInline var written: Int
  @usableFromInline var limit: Int
  /// Whether something was left out because the limit was met.
  @inlinable public var overflowed: Bool { hasOverflowed }
  @usableFromInline var hasOverflowed: Bool

  /// An empty buffer that takes no memory until it is written to.
  @inlinable public init(limit: Int = .max) {
    base = UnsafeMutableRawPointer.allocate(byteCount: 0, alignment: 8)
    capacity = 0
    written = 0
    self.limit = limit
    hasOverflowed = false
  }

  @inlinable deinit { base.deallocate() }

  /// How many bytes have been written.
  @inlinable public var count: Int { written }

  /// The bytes written so far.
  @inlinable public var bytes: RawSpan {
    @_lifetime(borrow self) get {
      let span = RawSpan(_unsafeStart: UnsafeRawPointer(base), byteCount: written)
      return _overrideLifetime(span, borrowing: self)
    }
  }

  /// The bytes written so far, as an array of their own.
  public func copied() -> [UInt8] { [UInt8](UnsafeRawBufferPointer(start: base, count: written)) }

  /// Makes room for so many more bytes; false, and `overflowed`, when the limit forbids it.
  @inlinable @inline(__always) mutating func reserve(_ more: Int) -> Bool {
    if written &+ more <= capacity { return true }
    return grow(more)
  }

  @usableFromInline @inline(never) mutating func grow(_ more: Int) -> Bool {
    guard !hasOverflowed, more <= limit - written else {
      hasOverflowed = true
      return false
    }
    let wanted = min(limit, max(written + more, capacity * 2, 256))
    let larger = UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: 8)
    larger.copyMemory(from: base, byteCount: written)
    base.deallocate()
    base = larger
    capacity = wanted
    return true
  }

  /// Forgets everything from an offset on; keeps the memory. Only for who owns the whole buffer: a message that writes
  /// itself shares it with all that waits to be sent.
  @inlinable mutating func truncate(to count: Int) {
    precondition(count >= 0 && count <= written)
    written = count
    hasOverflowed = false
  }

  @inlinable @inline(__always) mutating func writeByte(_ byte: UInt8) {
    guard reserve(1) else { return }
    base.storeBytes(of: byte, toByteOffset: written, as: UInt8.self)
    written &+= 1
  }

  /// A number of one to ten bytes.
  @inlinable @inline(__always) public mutating func writeVarint(_ value: UInt64) {
    if value < 0x80 { return writeByte(UInt8(truncatingIfNeeded: value)) }
    writeLongVarint(value)
  }

  @inlinable @inline(never) mutating func writeLongVarint(_ value: UInt64) {
    guard reserve(10) else { return }
    var rest = value
    while rest >= 0x80 {
      base.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: written, as: UInt8.self)
      written &+= 1
      rest >>= 7
    }
    base.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: written, as: UInt8.self)
    written &+= 1
  }

  /// A field's tag.
  @inlinable @inline(__always) public mutating func writeTag(_ number: UInt32, _ type: WireType) {
    writeVarint(UInt64(number) << 3 | UInt64(type.rawValue))
  }

  /// Four bytes, little-endian.
  @inlinable @inline(__always) public mutating func writeFixed32(_ value: UInt32) {
    guard reserve(4) else { return }
    base.storeBytes(of: value.littleEndian, toByteOffset: written, as: UInt32.self)
    written &+= 4
  }

  /// Eight bytes, little-endian.
  @inlinable @inline(__always) public mutating func writeFixed64(_ value: UInt64) {
    guard reserve(8) else { return }
    base.storeBytes(of: value.littleEndian, toByteOffset: written, as: UInt64.self)
    written &+= 8
  }

  /// Bytes as they are, without a length before them.
  @inlinable public mutating func writeRaw(_ bytes: RawSpan) {
    bytes.withUnsafeBytes { writeRaw($0) }
  }

  /// Bytes as they are, without a length before them.
  @inlinable public mutating func writeRaw(_ buffer: UnsafeRawBufferPointer) {
    guard let start = buffer.baseAddress, reserve(buffer.count) else { return }
    (base + written).copyMemory(from: start, byteCount: buffer.count)
    written &+= buffer.count
  }

  /// A length, and that many bytes.
  @inlinable public mutating func writeBytes(_ bytes: RawSpan) {
    writeVarint(UInt64(bytes.byteCount))
    writeRaw(bytes)
  }

  /// A length, and a text in UTF-8.
  @inlinable public mutating func writeString(_ text: String) {
    var text = text
    text.withUTF8 { utf8 in
      writeVarint(UInt64(utf8.count))
      writeRaw(UnsafeRawBufferPointer(utf8))
    }
  }

  /// Starts something whose length stands before it; give the answer to `endNested`.
  @inlinable public mutating func beginNested() -> Int {
    writeByte(0)
    return written
  }

  /// The same for something that will take about so many bytes: when its length takes as many bytes as theirs, nothing
  /// is moved.
  @inlinable mutating func beginNested(expecting size: Int) -> Int {
    var rest = size
    repeat {
      writeByte(0)
      rest >>= 7
    } while rest > 0
    return written
  }

  /// Ends what `beginNested(expecting:)` started with this size.
  @inlinable mutating func endNested(_ start: Int, expected size: Int) {
    let room = Self.varintBytes(size)
    if room == 1 { return endNested(start) }
    if hasOverflowed { return }
    let length = written - start
    let needed = Self.varintBytes(length)
    if needed != room {
      guard reserve(max(0, needed - room)) else { return }
      (base + start + needed - room).copyMemory(from: base + start, byteCount: length)
    }
    written = start - room
    writeVarint(UInt64(length))
    written += length
  }

  /// How many bytes a number takes.
  @inlinable static func varintBytes(_ value: Int) -> Int { (70 - (value | 1).leadingZeroBitCount) / 7 }

  /// Ends what `beginNested` started: writes its length, moving it up when the length takes more than a byte.
  @inlinable public mutating func endNested(_ start: Int) {
    if hasOverflowed { return }
    precondition(start > 0 && start <= written, "endNested was given what beginNested didn't answer")
    let length = written - start
    if length < 0x80 {
      base.storeBytes(of: UInt8(truncatingIfNeeded: length), toByteOffset: start - 1, as: UInt8.self)
      return
    }
    var extra = 0
    var rest = length >> 7
    while rest > 0 {
      extra += 1
      rest >>= 7
    }
    guard reserve(extra) else { return }
    (base + start + extra).copyMemory(from: base + start, byteCount: length)
    written = start - 1
    writeVarint(UInt64(length))
    written += length
  }
}
