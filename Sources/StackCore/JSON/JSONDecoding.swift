// JSONDecoding: JSON to any Decodable value, with errors that say where, what was found and what would be right.

extension JSON {
  /// The value as a type. `path` is where this JSON stands in a larger whole, for errors.
  public func decode<T: Decodable>(_ type: T.Type, at path: String = "") throws(JSONCodingError) -> T {
    do {
      return try decoded(type, self, at: .root(path))
    } catch {
      throw codingError(error, in: self, base: path)
    }
  }
}

/// Codes values to and from JSON text.
public struct JSONCoder: Hashable, Sendable {
  /// Whether text is written on indented lines.
  public var pretty: Bool
  /// What a text that is read may cost.
  public var limits: JSONLimits

  /// A coder; compact by default.
  public init(pretty: Bool = false, limits: JSONLimits = .standard) {
    self.pretty = pretty
    self.limits = limits
  }

  /// The value as JSON text.
  public func encode(_ value: some Encodable) throws(JSONCodingError) -> [UInt8] {
    var bytes: [UInt8] = []
    try JSON(encoding: value).write(into: &bytes, pretty: pretty)
    return bytes
  }

  /// Reads a value from JSON text.
  public func decode<T: Decodable>(_ type: T.Type, from text: [UInt8]) throws(JSONCodingError) -> T {
    let json: JSON
    do throws(JSONError) {
      json = try JSON.parse(text, limits: limits)
    } catch {
      throw JSONCodingError(
        path: "line \(error.line), column \(error.column)", found: error.message, expected: "JSON text")
    }
    return try json.decode(type)
  }
}

/// The bytes of hex text of either case; nil when it is anything else.
func bytes(hex text: String) -> [UInt8]? {
  let digits = text.utf8
  guard digits.count.isMultiple(of: 2) else { return nil }
  var bytes: [UInt8] = []
  bytes.reserveCapacity(digits.count / 2)
  var high: UInt8?
  for digit in digits {
    guard let worth = hexDigit(digit) else { return nil }
    if let first = high {
      bytes.append(first << 4 | worth)
      high = nil
    } else {
      high = worth
    }
  }
  return bytes
}

/// The texts an enum of words can have; nil for other types.
func words(of type: Any.Type) -> [String]? {
  func all<E: CaseIterable & RawRepresentable>(_: E.Type) -> [String]? {
    let words = E.allCases.compactMap { $0.rawValue as? String }
    return words.count == E.allCases.count ? words : nil
  }
  guard let type = type as? any (CaseIterable & RawRepresentable).Type else { return nil }
  return all(type)
}

/// Words in an error: `"line", "ring" or "star"`.
func listed(_ words: [String]) -> String {
  let quoted = words.map { JSON.string($0).text() }
  guard quoted.count > 1 else { return quoted.first ?? "nothing" }
  return quoted.dropLast().joined(separator: ", ") + " or " + (quoted.last ?? "")
}

/// A JSON value as any type.
func decoded<T: Decodable>(_ type: T.Type, _ json: JSON, at trail: @autoclosure () -> CodingTrail) throws -> T {
  if let leaf = decodedLeaf(type, json) {
    if let value = leaf.value as? T { return value }
    throw trail().error(found: json, expected: leaf.expected)
  }
  let trail = trail()
  if let words = words(of: type), !words.contains(json.stringValue ?? "") || json.stringValue == nil {
    throw trail.error(found: json, expected: listed(words))
  }
  return try T(from: ValueDecoder(json: json, trail: trail))
}

/// A value that is not made of others (nil inside when it isn't one), and what it should be; nil for types that are.
private func decodedLeaf<T>(_ type: T.Type, _ json: JSON) -> (value: Any?, expected: String)? {
  switch type {
  case is String.Type: (json.stringValue, "text")
  case is Bool.Type: (json.boolValue, "true or false")
  case is Double.Type: (json.doubleValue, "a number")
  case is Float.Type: (json.doubleValue.map { Float($0) }, "a number")
  case is Duration.Type: (json.stringValue.flatMap { Duration(text: $0) }, Duration.expectedText)
  case is ByteCount.Type: (byteCount(json), ByteCount.expected)
  case is [UInt8].Type: (json.stringValue.flatMap { bytes(hex: $0) }, "hex text such as \"00ff\"")
  case is JSON.Type: (json, "any value")
  case let type as any FixedWidthInteger.Type: integer(type, json)
  default: nil
  }
}

private func integer<I: FixedWidthInteger>(_: I.Type, _ json: JSON) -> (value: Any?, expected: String) {
  if let value = json.whole(I.self) { return (value, "") }
  return (nil, json.doubleValue == nil ? "a whole number" : "a whole number from \(I.min) to \(I.max)")
}

/// A size: its text, or a plain number of bytes.
func byteCount(_ json: JSON) -> ByteCount? {
  if let text = json.stringValue { return ByteCount(text: text) }
  guard let bytes = json.integerValue, bytes >= 0 else { return nil }
  return ByteCount(bytes: bytes)
}

private struct ValueDecoder: Decoder {
  let json: JSON
  let trail: CodingTrail
  var codingPath: [any CodingKey] { trail.codingPath }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard case .object(let members) = json else { throw trail.error(found: json, expected: "an object") }
    return KeyedDecodingContainer(ValueMembers<Key>(members: members, trail: trail))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard case .array(let elements) = json else { throw trail.error(found: json, expected: "an array") }
    return ValueElements(elements: elements, trail: trail)
  }

  func singleValueContainer() -> any SingleValueDecodingContainer { SingleValue(json: json, trail: trail) }
}

private struct SingleValue: SingleValueDecodingContainer {
  let json: JSON
  let trail: CodingTrail
  var codingPath: [any CodingKey] { trail.codingPath }

  func decodeNil() -> Bool { json.isNull }
  func decode<T: Decodable>(_ type: T.Type) throws -> T { try decoded(type, json, at: trail) }
}

private struct ValueMembers<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let members: JSONObject
  let trail: CodingTrail
  var codingPath: [any CodingKey] { trail.codingPath }
  var allKeys: [Key] { members.keys.compactMap { Key(stringValue: $0) } }

  func contains(_ key: Key) -> Bool { members[key.stringValue] != nil }
  func decodeNil(forKey key: Key) throws -> Bool { try json(key.stringValue).isNull }

  func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
    try decoded(type, json(key.stringValue), at: .member(trail, key.stringValue))
  }

  func nestedContainer<Nested>(keyedBy: Nested.Type, forKey key: Key) throws -> KeyedDecodingContainer<Nested> {
    try inner(key.stringValue).container(keyedBy: Nested.self)
  }

  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try inner(key.stringValue).unkeyedContainer()
  }

  func superDecoder() throws -> any Decoder { try inner("super") }
  func superDecoder(forKey key: Key) throws -> any Decoder { try inner(key.stringValue) }

  private func inner(_ key: String) throws -> ValueDecoder {
    ValueDecoder(json: try json(key), trail: .member(trail, key))
  }

  private func json(_ key: String) throws -> JSON {
    if let json = members[key] { return json }
    throw CodingTrail.member(trail, key).error(found: nil, expected: "a value")
  }
}

private struct ValueElements: UnkeyedDecodingContainer {
  let elements: [JSON]
  let trail: CodingTrail
  var currentIndex = 0
  var codingPath: [any CodingKey] { trail.codingPath }
  var count: Int? { elements.count }
  var isAtEnd: Bool { currentIndex >= elements.count }

  init(elements: [JSON], trail: CodingTrail) {
    self.elements = elements
    self.trail = trail
  }

  mutating func decodeNil() throws -> Bool {
    guard try current().isNull else { return false }
    currentIndex += 1
    return true
  }

  mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
    let value = try decoded(type, current(), at: .element(trail, currentIndex))
    currentIndex += 1
    return value
  }

  mutating func nestedContainer<Nested>(keyedBy: Nested.Type) throws -> KeyedDecodingContainer<Nested> {
    try inner().container(keyedBy: Nested.self)
  }

  mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try inner().unkeyedContainer() }
  mutating func superDecoder() throws -> any Decoder { try inner() }

  private mutating func inner() throws -> ValueDecoder {
    let decoder = ValueDecoder(json: try current(), trail: .element(trail, currentIndex))
    currentIndex += 1
    return decoder
  }

  private func current() throws -> JSON {
    if currentIndex < elements.count { return elements[currentIndex] }
    throw CodingTrail.element(trail, currentIndex).error(found: nil, expected: "another element")
  }
}
