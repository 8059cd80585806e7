// Generators: random messages from their schemas, random inputs from theirs, and the ways to damage both.
import StackCore
import StackSim

/// Makes random bytes, messages and inputs.
struct Generator {
  var random: RandomStream

  init(seed: UInt64, name: String) { random = RandomStream(seed: seed, name: name) }

  /// A number in `0 ..< bound`.
  mutating func below(_ bound: Int) -> Int { Int(random.next(below: UInt64(max(1, bound)))) }
  mutating func coin() -> Bool { random.next() & 1 == 0 }
  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  /// A number that is often at an edge.
  mutating func number() -> UInt64 {
    switch below(6) {
    case 0: 0
    case 1: 1
    case 2: .max
    case 3: UInt64(1) << UInt64(below(64))
    case 4: random.next()
    default: UInt64(below(1000))
    }
  }

  mutating func text(_ most: Int = 40) -> String {
    let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789-_ ÄéЖ漢🙂")
    return String((0..<below(most + 1)).map { _ in pick(letters) })
  }

  // MARK: Messages

  /// A packet with one valid message in a field.
  mutating func packet(_ number: UInt32, _ schema: WireSchema) -> [UInt8] { Self.packet(number, message(schema)) }

  /// A packet with one field of any content.
  static func packet(_ number: UInt32, _ body: [UInt8]) -> [UInt8] {
    var writer = WireWriter()
    writer.writeTag(number, .bytes)
    writer.writeBytes(body.span.bytes)
    return writer.copied()
  }

  /// A message that its schema allows.
  mutating func message(_ schema: WireSchema, depth: Int = 0) -> [UInt8] {
    var writer = WireWriter()
    for field in schema.fields {
      let count =
        switch field.presence {
        case .always: 1
        case .optional: below(2)
        case .repeated: below(depth > 2 ? 2 : 5)
        }
      if isPacked(field) {
        if count > 0 { packed(field, count, &writer) }
      } else {
        for _ in 0..<count { one(field, depth, &writer) }
      }
    }
    return writer.copied()
  }

  private func isPacked(_ field: WireFieldSchema) -> Bool {
    guard field.presence == .repeated, case .value(let name) = field.kind else { return false }
    return name != "string" && name != "bytes"
  }

  private mutating func packed(_ field: WireFieldSchema, _ count: Int, _ writer: inout WireWriter) {
    guard case .value(let name) = field.kind else { return }
    writer.writeTag(field.number, .bytes)
    let start = writer.beginNested()
    for _ in 0..<count { value(name, nil, &writer) }
    writer.endNested(start)
  }

  private mutating func one(_ field: WireFieldSchema, _ depth: Int, _ writer: inout WireWriter) {
    switch field.kind {
    case .value(let name): value(name, field.number, &writer)
    case .message(let inner):
      let body = depth < 8 ? message(inner, depth: depth + 1) : []
      writer.writeTag(field.number, .bytes)
      writer.writeBytes(body.span.bytes)
    case .recursion:
      writer.writeTag(field.number, .bytes)
      writer.writeBytes([UInt8]().span.bytes)
    }
  }

  /// A single value, with its tag unless it is in a packed list.
  private mutating func value(_ name: String, _ tag: UInt32?, _ writer: inout WireWriter) {
    func write(_ type: WireType, _ body: (inout WireWriter) -> Void) {
      if let tag { writer.writeTag(tag, type) }
      body(&writer)
    }
    let number = number()
    switch name {
    case "string":
      let text = text()
      write(.bytes) { $0.writeString(text) }
    case "bytes":
      // Most fields of bytes are hashes and keys; the others take any length.
      let bytes = bytes(coin() ? 32 : below(100))
      write(.bytes) { $0.writeBytes(bytes.span.bytes) }
    case "bool": write(.varint) { $0.writeVarint(number & 1) }
    case "float", "fixed32", "sfixed32": write(.fixed32) { $0.writeFixed32(UInt32(truncatingIfNeeded: number)) }
    case "double", "fixed64", "sfixed64": write(.fixed64) { $0.writeFixed64(number) }
    case "uint32", "sint32", "int32": write(.varint) { $0.writeVarint(number & 0xffff_ffff) }
    default: write(.varint) { $0.writeVarint(number) }
    }
  }

  // MARK: Damage

  /// The first part of some bytes.
  mutating func truncated(_ bytes: [UInt8]) -> [UInt8] { Array(bytes.prefix(below(bytes.count))) }

  /// The bytes with a few bits flipped.
  mutating func flipped(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    guard !bytes.isEmpty else { return bytes }
    for _ in 0...below(4) { bytes[below(bytes.count)] ^= 1 << UInt8(below(8)) }
    return bytes
  }

  // MARK: Inputs

  /// A value that a schema allows.
  mutating func valid(_ schema: Schema, depth: Int = 0) -> JSON {
    if schema.nullable, below(3) == 0 { return .null }
    switch schema.kind {
    case .boolean: return .bool(coin())
    case .integer(let min, let max): return integer(min, max)
    case .number(let min, let max):
      let low = min ?? -1000
      return .number(low + random.nextUnit() * ((max ?? low + 2000) - low))
    case .string(let allowed?, _, _): return allowed.isEmpty ? "" : .string(pick(allowed))
    case .string(nil, let min, let max): return .string(text(min ?? 0, max ?? 40))
    case .duration(let min, let max):
      let low = (min ?? .zero).nanoseconds
      let high = Swift.min((max ?? .seconds(3600)).nanoseconds, low + 3_600_000_000_000)
      return .string(Duration.nanoseconds(low + Int64(random.next(below: UInt64(Swift.max(0, high - low)) + 1))).text)
    case .byteCount(let min, let max):
      let low = min?.bytes ?? 0
      let high = Swift.min(max?.bytes ?? .max, low + (1 << 20))
      return .string(ByteCount(bytes: low + Int64(random.next(below: UInt64(high - low) + 1))).text)
    case .hex: return .string(bytes(schema.count.map { $0.lowerBound } ?? below(64)).hex)
    case .array(let element):
      let low = schema.count?.lowerBound ?? 0
      let count = Swift.min(low + below(4), schema.count?.upperBound ?? .max)
      return .array((0..<count).map { _ in depth < 6 ? valid(element, depth: depth + 1) : .null })
    case .map(let value): return .object([text(8): valid(value, depth: depth + 1)])
    case .object(let properties):
      var object = JSONObject()
      for property in properties where property.required || coin() {
        object[property.name] = valid(property.schema, depth: depth + 1)
      }
      return .object(object)
    case .any: return pick([.string(text()), .integer(3), .null, ["a": 1], [1, 2]])
    }
  }

  private mutating func integer(_ min: Int128?, _ max: Int128?) -> JSON {
    let low = min ?? Int128(Int64.min)
    let high = Swift.min(max ?? Int128(UInt64.max), Int128(UInt64.max))
    let value: Int128 =
      switch below(4) {
      case 0: low
      case 1: high
      default: low + Int128(random.next() % UInt64(clamping: Swift.min(high - low, 1_000_000) + 1))
      }
    if let signed = Int64(exactly: value) { return .integer(signed) }
    return UInt64(exactly: value).map { JSON($0) } ?? .integer(0)
  }

  private mutating func text(_ low: Int, _ high: Int) -> String {
    var text = String(text(Swift.min(high, 200)).prefix(high))
    while text.count < low { text += "x" }
    return text
  }

  /// A value that is likely not what a schema allows.
  mutating func invalid(_ schema: Schema) -> JSON {
    let wrong: [JSON] = [
      .null, .bool(true), .integer(-1), .unsigned(.max), .number(1e300), "not that", [], ["a", 1], ["no-such-key": 1],
    ]
    guard below(3) > 0, case .object(var object) = valid(schema) else { return pick(wrong) }
    switch below(3) {
    case 0: object["no-such-key"] = 1
    case 1: if let key = object.keys.first { object[key] = nil }
    default: if let key = object.keys.last { object[key] = pick(wrong) }
    }
    return .object(object)
  }
}
