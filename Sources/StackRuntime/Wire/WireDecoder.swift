// WireDecoder: a packet's bytes as JSON, by the registered types' descriptions; and where bytes are no packet.
import StackCore

/// Bytes that are not a message, and where.
package struct WireDecodeError: Error, Hashable, CustomStringConvertible {
  /// The byte, from 0, at which the field stands that can't be read.
  package var offset: Int
  /// The way to it: `rumor.id`.
  package var path: String
  /// What is wrong.
  package var message: String

  package var description: String {
    "byte \(offset)\(path.isEmpty ? "" : " (\(path))"): \(message)"
  }
}

/// Reads any message whose description is known.
package struct WireDecoder {
  /// The messages around the present one, from the outermost, for those that hold themselves.
  private var enclosing: [WireSchema] = []
  private var path: [String] = []

  /// The bytes of a message as JSON. Fields come by name; those that nobody knows under `unknownFields`, each with its
  /// number, wire type and value.
  package static func json(_ bytes: [UInt8], as schema: WireSchema) throws(WireDecodeError) -> JSON {
    var decoder = WireDecoder()
    return try decoder.message(WireReader(bytes.span.bytes), base: 0, schema)
  }

  private func fault(_ error: WireError, at offset: Int) -> WireDecodeError {
    WireDecodeError(offset: offset, path: path.joined(separator: "."), message: error.inWords)
  }

  private mutating func message(
    _ given: consuming WireReader, base: Int, _ schema: WireSchema
  ) throws(WireDecodeError) -> JSON {
    var reader = given
    let size = reader.remaining
    enclosing.append(schema)
    defer { enclosing.removeLast() }
    var members = JSONObject()
    var lists: [String: [JSON]] = [:]
    var unknown: [JSON] = []
    while !reader.isAtEnd {
      let start = base + size - reader.remaining
      let tag: WireTag
      do throws(WireError) {
        guard let next = try reader.nextTag() else { break }
        tag = next
      } catch { throw fault(error, at: start) }
      if let field = schema.fields.first(where: { $0.number == tag.number }) {
        path.append(field.name)
        let found = try take(field, tag, &reader, base: base, size: size, start: start)
        // A list gathers; of a single field the last one counts, as for every reader.
        if field.presence == .repeated {
          if lists[field.name] == nil { members[field.name] = [] }
          lists[field.name, default: []] += found
        } else if let last = found.last {
          members[field.name] = last
        }
        path.removeLast()
      } else {
        unknown.append(try self.unknown(tag, &reader, start: start))
      }
    }
    for field in schema.fields { if let list = lists[field.name] { members[field.name] = .array(list) } }
    if !unknown.isEmpty { members["unknownFields"] = .array(unknown) }
    return .object(members)
  }

  /// Reads one known field; packed into one, there may be several values.
  private mutating func take(
    _ field: WireFieldSchema, _ tag: WireTag, _ reader: inout WireReader, base: Int, size: Int, start: Int
  ) throws(WireDecodeError) -> [JSON] {
    var found: [JSON] = []
    switch field.kind {
    case .value(let name):
      let type = ProtoScalar(name)
      do throws(WireError) {
        if tag.type == .bytes, type.wireType != .bytes, field.presence == .repeated {
          var packed = WireReader(try reader.readBytes())
          while !packed.isAtEnd { found.append(try type.read(&packed)) }
        } else {
          guard tag.type == type.wireType else { throw .wrongType }
          found.append(try type.read(&reader))
        }
      } catch { throw fault(error, at: start) }
    case .message(let schema):
      found.append(try nested(tag, &reader, base: base, size: size, start: start, schema))
    case .recursion(let name):
      let schema = enclosing.last { $0.name == name } ?? WireSchema.unknown(name)
      found.append(try nested(tag, &reader, base: base, size: size, start: start, schema))
    }
    return found
  }

  private mutating func nested(
    _ tag: WireTag, _ reader: inout WireReader, base: Int, size: Int, start: Int, _ schema: WireSchema
  ) throws(WireDecodeError) -> JSON {
    guard tag.type == .bytes else { throw fault(.wrongType, at: start) }
    guard enclosing.count <= WireReader.maximumDepth else { throw fault(.tooDeep, at: start) }
    let bytes: RawSpan
    do throws(WireError) { bytes = try reader.readBytes() } catch { throw fault(error, at: start) }
    return try message(WireReader(bytes), base: base + size - reader.remaining - bytes.byteCount, schema)
  }

  private func unknown(
    _ tag: WireTag, _ reader: inout WireReader, start: Int
  ) throws(WireDecodeError) -> JSON {
    var json: JSON = ["number": .integer(Int64(tag.number))]
    do throws(WireError) {
      switch tag.type {
      case .varint:
        json["type"] = "varint"
        json["value"] = JSON(try reader.readVarint())
      case .fixed32:
        json["type"] = "fixed32"
        json["hex"] = .string(hex(UInt64(try reader.readFixed32()), bytes: 4))
      case .fixed64:
        json["type"] = "fixed64"
        json["hex"] = .string(hex(try reader.readFixed64(), bytes: 8))
      case .bytes:
        json["type"] = "bytes"
        json["hex"] = .string(try reader.readBytes().withUnsafeBytes { [UInt8]($0) }.hex)
      case .groupStart, .groupEnd:
        json["type"] = "group"
        try reader.skip(tag)
      }
    } catch { throw fault(error, at: start) }
    return json
  }

  /// Bytes as they stand on the wire, the lowest first.
  private func hex(_ value: UInt64, bytes: Int) -> String {
    (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }.hex
  }
}

/// The single values of a .proto file that a field's description can name.
package enum ProtoScalar: String {
  case uint64, uint32, sint64, sint32, bool, float, double, fixed32, fixed64, string, bytes

  /// The scalar of a name; one that isn't known is shown as its bytes.
  package init(_ name: String) { self = ProtoScalar(rawValue: name) ?? .bytes }

  /// How it stands on the wire.
  var wireType: WireType {
    switch self {
    case .uint64, .uint32, .sint64, .sint32, .bool: .varint
    case .float, .fixed32: .fixed32
    case .double, .fixed64: .fixed64
    case .string, .bytes: .bytes
    }
  }

  /// Reads one; bytes become hex.
  func read(_ reader: inout WireReader) throws(WireError) -> JSON {
    switch self {
    case .uint64: JSON(try reader.read(UInt64.self))
    case .uint32: .integer(Int64(try reader.read(UInt32.self)))
    case .sint64: .integer(try reader.read(Int64.self))
    case .sint32: .integer(Int64(try reader.read(Int32.self)))
    case .bool: .bool(try reader.read(Bool.self))
    case .float: .number(Double(try reader.read(Float.self)))
    case .double: .number(try reader.read(Double.self))
    case .fixed32: .integer(Int64(try reader.readFixed32()))
    case .fixed64: JSON(try reader.readFixed64())
    case .string: .string(try reader.readString())
    case .bytes: .string(try reader.read([UInt8].self).hex)
    }
  }
}

extension WireSchema {
  /// A message of which nothing but its name is known.
  static func unknown(_ name: String) -> WireSchema { WireSchema(name: name, fields: []) }
}

extension WireError {
  /// What it means, for people.
  var inWords: String {
    switch self {
    case .truncated: "the bytes end inside a field"
    case .overlongNumber: "a number longer than 64 bits"
    case .badTag: "not a field: its number or its wire type doesn't exist"
    case .wrongType: "a known field with another wire type than it has"
    case .badText: "text that is not UTF-8"
    case .badLength: "bytes of another length than the field has"
    case .tooMany: "more elements than the field may have"
    case .tooDeep: "messages nested more than \(WireReader.maximumDepth) deep"
    case .badValue: "a value that the message refuses"
    }
  }
}
