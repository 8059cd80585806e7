// SchemaProbe: finds what a Decodable type looks like in JSON, by decoding dummies and watching what it asks for.

/// A type that says itself what it looks like in JSON, for those whose `init(from:)` accepts only special text or does
/// more than a dummy can pass.
public protocol SchemaProviding: Decodable {
  /// What it looks like.
  static var schema: Schema { get }
  /// Any value, so that the type around it can be looked at.
  static var schemaSample: Self { get }
}

/// A type whose parts say what it looks like, and which has a value without them.
private protocol SchemaContainer {
  static func schema(_ probe: SchemaProbe) -> Schema
  static var without: Self { get }
}

extension Optional: SchemaContainer {
  fileprivate static func schema(_ probe: SchemaProbe) -> Schema {
    var schema = probe.schema(of: Wrapped.self)
    schema.nullable = true
    return schema
  }
  fileprivate static var without: Self { nil }
}

extension Array: SchemaContainer {
  fileprivate static func schema(_ probe: SchemaProbe) -> Schema { Schema(.array(probe.schema(of: Element.self))) }
  fileprivate static var without: Self { [] }
}

extension Set: SchemaContainer {
  fileprivate static func schema(_ probe: SchemaProbe) -> Schema { Schema(.array(probe.schema(of: Element.self))) }
  fileprivate static var without: Self { [] }
}

extension Dictionary: SchemaContainer {
  fileprivate static func schema(_ probe: SchemaProbe) -> Schema {
    Schema(Key.self == String.self ? .map(probe.schema(of: Value.self)) : .any)
  }
  fileprivate static var without: Self { [:] }
}

/// One look at a type and all the types in it.
final class SchemaProbe {
  /// What a type turned out to be, and a value of it if one could be made.
  struct Finding {
    var schema: Schema
    var value: Any?
  }

  /// Outputs may get more keys in a later version, and leave out what is nil; settings and inputs are exact.
  let isOutput: Bool
  private var inProgress: [ObjectIdentifier] = []
  private var known: [ObjectIdentifier: Finding] = [:]

  /// More types than this, one in the other, are not looked into.
  private static let maxDepth = 32
  /// How many kinds of dummies are tried on a type that refuses one.
  private static let attempts = 4

  init(isOutput: Bool) { self.isOutput = isOutput }

  /// What any type looks like; `.any` when that can't be found.
  func schema(of type: Any.Type) -> Schema {
    func find<T: Decodable>(_ type: T.Type) -> Schema { self.find(type).schema }
    guard let type = type as? any Decodable.Type else { return Schema(.any) }
    return find(type)
  }

  /// What a type looks like, and a value of it.
  func find<T: Decodable>(_ type: T.Type, attempt: Int = 0) -> Finding {
    if let leaf = leaf(type, attempt: attempt) { return leaf }
    let id = ObjectIdentifier(type)
    if let finding = known[id] { return finding }
    if inProgress.contains(id) || inProgress.count >= Self.maxDepth { return Finding(schema: Schema(.any)) }
    inProgress.append(id)
    defer { inProgress.removeLast() }
    let finding = look(type)
    known[id] = finding
    return finding
  }

  private func look<T: Decodable>(_ type: T.Type) -> Finding {
    switch type {
    case let provider as any SchemaProviding.Type:
      return Finding(schema: provider.schema, value: provider.schemaSample)
    case let container as any SchemaContainer.Type:
      return Finding(schema: container.schema(self), value: container.without)
    case let config as any LayerConfig.Type:
      let defaults = config.init()
      return Finding(schema: schema(ofDefaults: defaults), value: defaults)
    default: break
    }
    if let words = words(of: type) { return wordFinding(type, words) }
    return dummies(type)
  }

  private func wordFinding<T: Decodable>(_ type: T.Type, _ words: [String]) -> Finding {
    let value = words.first.flatMap { try? JSON.string($0).decode(T.self) }
    return Finding(schema: Schema(.string(allowed: words, minCount: nil, maxCount: nil)), value: value)
  }

  /// Decodes dummies until one is accepted.
  private func dummies<T: Decodable>(_ type: T.Type) -> Finding {
    var best: ProbeNode?
    for attempt in 0..<Self.attempts {
      let node = ProbeNode(probe: self, attempt: attempt)
      if let value = try? T(from: ProbeDecoder(node: node)) {
        return Finding(schema: node.schema(isComplete: true), value: value)
      }
      if node.weight > best?.weight ?? 0 { best = node }
    }
    return Finding(schema: best?.schema(isComplete: false) ?? Schema(.any))
  }

  /// What the types that aren't made of others look like.
  private func leaf(_ type: Any.Type, attempt: Int) -> Finding? {
    switch type {
    case is Bool.Type: Finding(schema: Schema(.boolean), value: attempt == 1)
    case is String.Type:
      Finding(schema: Schema(.string(allowed: nil, minCount: nil, maxCount: nil)), value: Self.texts[attempt])
    case is Double.Type: Finding(schema: Schema(.number(min: nil, max: nil)), value: Double(attempt))
    case is Float.Type: Finding(schema: Schema(.number(min: nil, max: nil)), value: Float(attempt))
    case is Duration.Type:
      // What people set is not negative, unless a range says so.
      Finding(schema: Schema(.duration(min: isOutput ? nil : .zero, max: nil)), value: Duration.seconds(attempt))
    case is ByteCount.Type:
      Finding(schema: Schema(.byteCount(min: nil, max: nil)), value: ByteCount(bytes: Int64(attempt)))
    case is [UInt8].Type: Finding(schema: Schema(.hex), value: [UInt8](repeating: 0, count: [0, 32, 64, 1][attempt]))
    case is JSON.Type: Finding(schema: Schema(.any), value: JSON.null)
    case let type as any FixedWidthInteger.Type: Self.integer(type, attempt)
    default: nil
    }
  }

  /// Dummies: what plain text, keys and hashes, and addresses look like.
  private static let texts = ["", String(repeating: "0", count: 64), "127.0.0.1:1", "a"]

  private static func integer<I: FixedWidthInteger>(_: I.Type, _ attempt: Int) -> Finding {
    let min: Int128? = I.isSigned && I.bitWidth >= 64 ? nil : Int128(I.min)
    let max: Int128? = I.bitWidth >= 64 ? nil : Int128(I.max)
    return Finding(schema: Schema(.integer(min: min, max: max)), value: I(attempt))
  }
}

/// What one value asked for.
final class ProbeNode {
  private enum Shape { case nothing, value(Schema), members, elements }
  let probe: SchemaProbe
  let attempt: Int
  private var shape = Shape.nothing
  private var members: [(name: String, node: ProbeNode, isRequired: Bool)] = []
  private var elements: [ProbeNode] = []

  init(probe: SchemaProbe, attempt: Int) {
    self.probe = probe
    self.attempt = attempt
  }

  func isMembers() { shape = .members }
  func isElements() { shape = .elements }
  func isValue(_ schema: Schema) { shape = .value(schema) }
  var elementCount: Int { elements.count }

  func member(_ name: String, isRequired: Bool) -> ProbeNode {
    if let known = members.first(where: { $0.name == name }) { return known.node }
    let node = ProbeNode(probe: probe, attempt: attempt)
    members.append((name, node, isRequired))
    return node
  }

  func element() -> ProbeNode {
    let node = ProbeNode(probe: probe, attempt: attempt)
    elements.append(node)
    return node
  }

  /// How much was learned.
  var weight: Int {
    switch shape {
    case .nothing: 0
    case .value: 1
    case .members: members.count
    case .elements: elements.count
    }
  }

  func schema(isComplete: Bool) -> Schema {
    switch shape {
    // A struct without properties asks for nothing.
    case .nothing: return isComplete ? Schema(.object([]), closed: !probe.isOutput) : Schema(.any)
    case .value(let schema): return schema
    case .elements:
      let schemas = elements.map { $0.schema(isComplete: isComplete) }
      guard let first = schemas.first, schemas.allSatisfy({ $0 == first }) else { return Schema(.array(Schema(.any))) }
      return Schema(.array(first))
    case .members:
      let properties = members.map { name, node, isRequired in
        Schema.Property(name: name, schema: node.schema(isComplete: isComplete), required: isRequired)
      }
      return Schema(.object(properties), closed: isComplete && !probe.isOutput)
    }
  }

  /// Notes the type and gives a dummy of it.
  func decode<T: Decodable>(_ type: T.Type) throws -> T {
    let finding = probe.find(type, attempt: attempt)
    isValue(finding.schema)
    guard let value = finding.value as? T else { throw ProbeEnd() }
    return value
  }

  func optional(_ type: Any.Type) {
    var schema = probe.schema(of: type)
    // What is nil is left out of an output.
    if !probe.isOutput { schema.nullable = true }
    isValue(schema)
  }
}

/// The probe can't go on: there is no dummy of a type.
private struct ProbeEnd: Error {}

private struct ProbeDecoder: Decoder {
  let node: ProbeNode
  var codingPath: [any CodingKey] { [] }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
    node.isMembers()
    return KeyedDecodingContainer(ProbeMembers<Key>(node: node))
  }

  func unkeyedContainer() -> any UnkeyedDecodingContainer {
    node.isElements()
    return ProbeElements(node: node)
  }

  func singleValueContainer() -> any SingleValueDecodingContainer { ProbeValue(node: node) }
}

private struct ProbeValue: SingleValueDecodingContainer {
  let node: ProbeNode
  var codingPath: [any CodingKey] { [] }
  func decodeNil() -> Bool { false }
  func decode<T: Decodable>(_ type: T.Type) throws -> T { try node.decode(type) }
}

private struct ProbeMembers<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let node: ProbeNode
  var codingPath: [any CodingKey] { [] }
  var allKeys: [Key] { [] }

  func contains(_ key: Key) -> Bool { true }
  func decodeNil(forKey key: Key) -> Bool { false }

  func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
    try node.member(key.stringValue, isRequired: !(T.self is any OptionalType.Type)).decode(type)
  }

  func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) -> T? { absent(type, key) }
  // One for each type of the protocol, whose own would be preferred to the one above.
  func decodeIfPresent(_ type: Bool.Type, forKey key: Key) -> Bool? { absent(type, key) }
  func decodeIfPresent(_ type: String.Type, forKey key: Key) -> String? { absent(type, key) }
  func decodeIfPresent(_ type: Double.Type, forKey key: Key) -> Double? { absent(type, key) }
  func decodeIfPresent(_ type: Float.Type, forKey key: Key) -> Float? { absent(type, key) }
  func decodeIfPresent(_ type: Int.Type, forKey key: Key) -> Int? { absent(type, key) }
  func decodeIfPresent(_ type: Int8.Type, forKey key: Key) -> Int8? { absent(type, key) }
  func decodeIfPresent(_ type: Int16.Type, forKey key: Key) -> Int16? { absent(type, key) }
  func decodeIfPresent(_ type: Int32.Type, forKey key: Key) -> Int32? { absent(type, key) }
  func decodeIfPresent(_ type: Int64.Type, forKey key: Key) -> Int64? { absent(type, key) }
  func decodeIfPresent(_ type: UInt.Type, forKey key: Key) -> UInt? { absent(type, key) }
  func decodeIfPresent(_ type: UInt8.Type, forKey key: Key) -> UInt8? { absent(type, key) }
  func decodeIfPresent(_ type: UInt16.Type, forKey key: Key) -> UInt16? { absent(type, key) }
  func decodeIfPresent(_ type: UInt32.Type, forKey key: Key) -> UInt32? { absent(type, key) }
  func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) -> UInt64? { absent(type, key) }

  private func absent<T: Decodable>(_ type: T.Type, _ key: Key) -> T? {
    node.member(key.stringValue, isRequired: false).optional(type)
    return nil
  }

  func nestedContainer<Nested>(keyedBy: Nested.Type, forKey key: Key) -> KeyedDecodingContainer<Nested> {
    inner(key.stringValue).container(keyedBy: Nested.self)
  }

  func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedDecodingContainer {
    inner(key.stringValue).unkeyedContainer()
  }

  func superDecoder() -> any Decoder { inner("super") }
  func superDecoder(forKey key: Key) -> any Decoder { inner(key.stringValue) }
  private func inner(_ key: String) -> ProbeDecoder { ProbeDecoder(node: node.member(key, isRequired: true)) }
}

private struct ProbeElements: UnkeyedDecodingContainer {
  let node: ProbeNode
  var codingPath: [any CodingKey] { [] }
  var count: Int? { nil }
  /// One element is enough to know the type; those who expect more just take them.
  var isAtEnd: Bool { node.elementCount > 0 }
  var currentIndex: Int { node.elementCount }

  func decodeNil() -> Bool { false }
  func decode<T: Decodable>(_ type: T.Type) throws -> T { try node.element().decode(type) }
  func nestedContainer<Nested>(keyedBy: Nested.Type) -> KeyedDecodingContainer<Nested> {
    ProbeDecoder(node: node.element()).container(keyedBy: Nested.self)
  }
  func nestedUnkeyedContainer() -> any UnkeyedDecodingContainer {
    ProbeDecoder(node: node.element()).unkeyedContainer()
  }
  func superDecoder() -> any Decoder { ProbeDecoder(node: node.element()) }
}

/// Marks optionals among types.
protocol OptionalType {
  /// No value.
  static var absent: Self { get }
}
extension Optional: OptionalType {
  static var absent: Self { nil }
}
