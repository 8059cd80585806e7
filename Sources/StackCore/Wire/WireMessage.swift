// WireMessage: one list of fields, from which a message is read, written, described and shown.

/// A message on the wire.
///
/// A type lists its fields once, in ascending order of their numbers, and is thereby read, written, printed as .proto
/// and decoded to JSON:
///
/// ```swift
/// struct Rumor: WireMessage {
///   var origin = ""
///   var id: UInt32 = 0
///   mutating func fields(_ field: inout some WireFields) throws(WireError) {
///     try field(1, "origin", &origin)
///     try field(2, "id", &id)
///   }
/// }
/// ```
///
/// Plain values are always written, zero too; optionals and empty lists are left out; unknown fields are skipped. A
/// type for which that is too slow may write `init(from:)` and `encode(into:)` by hand.
public protocol WireMessage: Sendable {
  /// A message with every field at its default.
  init()
  /// Visits each field, in ascending order, and nothing else: it runs several times when fields come in another order,
  /// and not at all for an empty message. What the message's own rule forbids is refused by `check`.
  mutating func fields(_ field: inout some WireFields) throws(WireError)
  /// Refuses, by throwing, what the message's own rule forbids; called once all of it has been read.
  func check() throws(WireError)
  /// Reads a message to the reader's end. One written by hand sees to its own rule.
  init(from reader: inout WireReader) throws(WireError)
  /// Writes the message's fields.
  func encode(into writer: inout WireWriter)
  /// Its name in the .proto file and in what people read; the type's own name by default.
  static var messageName: String { get }
}

/// Something that visits a message's fields: the reader, the writer or the describer.
public protocol WireFields {
  /// A single value.
  mutating func callAsFunction<V: WireValue>(_ number: UInt32, _ name: StaticString, _ value: inout V) throws(WireError)
  /// A value that may be missing.
  mutating func callAsFunction<V: WireValue>(_ number: UInt32, _ name: StaticString, _ value: inout V?)
    throws(WireError)
  /// A list of values, at most `limit`; numbers are packed, as protobuf does by default.
  mutating func callAsFunction<V: WireValue>(
    _ number: UInt32, _ name: StaticString, _ values: inout [V], limit: Int
  ) throws(WireError)
  /// A nested message.
  mutating func callAsFunction<M: WireMessage>(_ number: UInt32, _ name: StaticString, _ value: inout M)
    throws(WireError)
  /// A nested message that may be missing.
  mutating func callAsFunction<M: WireMessage>(_ number: UInt32, _ name: StaticString, _ value: inout M?)
    throws(WireError)
  /// A list of messages, at most `limit`.
  mutating func callAsFunction<M: WireMessage>(
    _ number: UInt32, _ name: StaticString, _ values: inout [M], limit: Int
  ) throws(WireError)
}

extension WireFields {
  /// A list of values, as many as a message of 64 KiB can hold.
  @inlinable public mutating func callAsFunction<V: WireValue>(
    _ number: UInt32, _ name: StaticString, _ values: inout [V]
  ) throws(WireError) { try self(number, name, &values, limit: 65_536) }

  /// A list of messages, as many as a message of 64 KiB can hold.
  @inlinable public mutating func callAsFunction<M: WireMessage>(
    _ number: UInt32, _ name: StaticString, _ values: inout [M]
  ) throws(WireError) { try self(number, name, &values, limit: 65_536) }
}

extension WireMessage {
  public static var messageName: String { String(describing: Self.self) }

  /// Nothing is refused, unless a message says otherwise.
  @inlinable public func check() throws(WireError) {}

  @inlinable public init(from reader: inout WireReader) throws(WireError) {
    self.init()
    var visitor = try FieldReader(reader.cursor)
    while visitor.hasField {
      visitor.consumed = false
      try fields(&visitor)
      if !visitor.consumed { try visitor.skipField() }
    }
    try check()
    reader.cursor.position = reader.cursor.end
  }

  @inlinable public func encode(into writer: inout WireWriter) {
    var copy = self
    withUnsafeMutablePointer(to: &writer) { pointer in
      var visitor = FieldWriter(writer: pointer)
      // Writing refuses nothing.
      try? copy.fields(&visitor)
    }
  }

  /// The message's bytes, for tests and for keeping.
  public func encoded() -> [UInt8] {
    var writer = WireWriter()
    encode(into: &writer)
    return writer.copied()
  }

  /// A datagram that holds the message alone, as the packet field of a number; for tests and tools.
  public func packet(as number: UInt32) -> [UInt8] {
    var writer = WireWriter()
    writer.writeTag(number, .bytes)
    let start = writer.beginNested()
    encode(into: &writer)
    writer.endNested(start)
    return writer.copied()
  }

  /// Reads a message from bytes that hold nothing else.
  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = WireReader(bytes.span.bytes)
    try self.init(from: &reader)
  }
}

/// Reads fields into a message. One pass over the message's list takes all fields that come in ascending order.
@frozen public struct FieldReader: WireFields {
  @usableFromInline var cursor: WireCursor
  /// The current field's tag as it stands on the wire; 0 at the end.
  @usableFromInline var tag: UInt32
  @usableFromInline var consumed = false

  @inlinable init(_ cursor: WireCursor) throws(WireError) {
    self.cursor = cursor
    tag = try self.cursor.readRawTag()
  }

  @inlinable var hasField: Bool { tag != 0 }

  @inlinable @inline(__always) mutating func advance() throws(WireError) {
    consumed = true
    tag = try cursor.readRawTag()
  }

  @usableFromInline mutating func skipField() throws(WireError) {
    guard let unknown = WireTag(raw: tag) else { throw .badTag }
    try cursor.skip(unknown)
    tag = try cursor.readRawTag()
  }

  /// Whether the current field is this one; as another wire type it is refused.
  @inlinable @inline(__always) func isAt(_ number: UInt32, _ type: WireType) throws(WireError) -> Bool {
    if tag == number &<< 3 | UInt32(type.rawValue) { return true }
    if tag &>> 3 == number { throw .wrongType }
    return false
  }

  @inlinable mutating func take<M: WireMessage>(_: M.Type) throws(WireError) -> M {
    guard cursor.depth < WireReader.maximumDepth else { throw .tooDeep }
    let bytes = try cursor.readBytes()
    let depth = cursor.depth + 1
    // The bytes stay where they are as long as this visitor's reader does.
    var nested = WireReader(RawSpan(_unsafeBytes: bytes), depth: depth)
    let value = try M(from: &nested)
    try advance()
    return value
  }

  @inlinable @inline(__always) public mutating func callAsFunction<V: WireValue>(
    _ number: UInt32, _ name: StaticString, _ value: inout V
  ) throws(WireError) {
    while try isAt(number, V.wireType) {
      value = try V.read(from: &cursor)
      try advance()
    }
  }

  @inlinable public mutating func callAsFunction<V: WireValue>(
    _ number: UInt32, _ name: StaticString, _ value: inout V?
  ) throws(WireError) {
    while try isAt(number, V.wireType) {
      value = try V.read(from: &cursor)
      try advance()
    }
  }

  @inlinable public mutating func callAsFunction<V: WireValue>(
    _ number: UInt32, _ name: StaticString, _ values: inout [V], limit: Int
  ) throws(WireError) {
    while tag &>> 3 == number {
      if tag & 7 == WireType.bytes.rawValue, V.wireType != .bytes {
        try takePacked(&values, limit: limit)
      } else {
        guard try isAt(number, V.wireType) else { return }
        guard values.count < limit else { throw .tooMany }
        values.append(try V.read(from: &cursor))
      }
      try advance()
    }
  }

  @inlinable mutating func takePacked<V: WireValue>(_ values: inout [V], limit: Int) throws(WireError) {
    var packed = WireCursor(try cursor.readBytes(), depth: cursor.depth)
    while !packed.isAtEnd {
      guard values.count < limit else { throw .tooMany }
      values.append(try V.read(from: &packed))
    }
  }

  @inlinable public mutating func callAsFunction<M: WireMessage>(
    _ number: UInt32, _ name: StaticString, _ value: inout M
  ) throws(WireError) {
    while try isAt(number, .bytes) { value = try take(M.self) }
  }

  @inlinable public mutating func callAsFunction<M: WireMessage>(
    _ number: UInt32, _ name: StaticString, _ value: inout M?
  ) throws(WireError) {
    while try isAt(number, .bytes) { value = try take(M.self) }
  }

  @inlinable public mutating func callAsFunction<M: WireMessage>(
    _ number: UInt32, _ name: StaticString, _ values: inout [M], limit: Int
  ) throws(WireError) {
    while try isAt(number, .bytes) {
      guard values.count < limit else { throw .tooMany }
      values.append(try take(M.self))
    }
  }
}

/// Writes a message's fields.
@frozen public struct FieldWriter: WireFields {
  @usableFromInline let writer: UnsafeMutablePointer<WireWriter>

  @inlinable init(writer: UnsafeMutablePointer<WireWriter>) { self.writer = writer }

  @inlinable @inline(__always) public mutating func callAsFunction<V: WireValue>(
    _ number: UInt32, _ name: StaticString, _ value: inout V
  ) throws(WireError) {
    writer.pointee.writeTag(number, V.wireType)
    value.write(to: &writer.pointee)
  }

  @inlinable public mutating func callAsFunction<V: WireValue>(
    _ number: UInt32, _ name: StaticString, _ value: inout V?
  ) throws(WireError) {
    guard let value else { return }
    writer.pointee.writeTag(number, V.wireType)
    value.write(to: &writer.pointee)
  }

  @inlinable public mutating func callAsFunction<V: WireValue>(
    _ number: UInt32, _ name: StaticString, _ values: inout [V], limit: Int
  ) throws(WireError) {
    if values.isEmpty { return }
    if V.wireType == .bytes {
      for value in values {
        writer.pointee.writeTag(number, .bytes)
        value.write(to: &writer.pointee)
      }
    } else {
      writer.pointee.writeTag(number, .bytes)
      let start = writer.pointee.beginNested()
      for value in values { value.write(to: &writer.pointee) }
      writer.pointee.endNested(start)
    }
  }

  @inlinable public mutating func callAsFunction<M: WireMessage>(
    _ number: UInt32, _ name: StaticString, _ value: inout M
  ) throws(WireError) {
    writer.pointee.writeTag(number, .bytes)
    let start = writer.pointee.beginNested()
    value.encode(into: &writer.pointee)
    writer.pointee.endNested(start)
  }

  @inlinable public mutating func callAsFunction<M: WireMessage>(
    _ number: UInt32, _ name: StaticString, _ value: inout M?
  ) throws(WireError) {
    guard var present = value else { return }
    try self(number, name, &present)
  }

  @inlinable public mutating func callAsFunction<M: WireMessage>(
    _ number: UInt32, _ name: StaticString, _ values: inout [M], limit: Int
  ) throws(WireError) {
    for index in values.indices { try self(number, name, &values[index]) }
  }
}
