// JSONEncoding: any Encodable value to JSON. Durations and sizes become text, bytes become hex text.

extension JSON {
  /// The value as JSON. A `Duration` and a `ByteCount` become text, `[UInt8]` lower-case hex; the keys of dictionaries
  /// and the elements of sets come in order, so that the same value always gives the same text.
  public init(encoding value: some Encodable) throws(JSONCodingError) {
    do {
      self = try encoded(value, at: .root(""))
    } catch {
      throw codingError(error, in: nil, base: "")
    }
  }
}

/// A value that knows its JSON, which must be what its `encode` writes: then it need not be put together piece by
/// piece, which takes several times as long. For what comes by the thousand.
public protocol JSONWritable: Encodable {
  /// The value as JSON.
  var json: JSON { get }
}

/// Lower-case hex text of bytes.
func hexText(_ bytes: [UInt8]) -> String {
  String(unsafeUninitializedCapacity: bytes.count * 2) { buffer in
    for (index, byte) in bytes.enumerated() {
      buffer[index * 2] = hexText(byte >> 4)
      buffer[index * 2 + 1] = hexText(byte & 0x0F)
    }
    return bytes.count * 2
  }
}

/// A collection whose order is random, so that its JSON must be sorted.
private protocol Unordered {
  /// Puts its JSON in order.
  static func ordered(_ json: JSON) -> JSON
}

extension Dictionary: Unordered {
  fileprivate static func ordered(_ json: JSON) -> JSON {
    switch json {
    case .object(let members): return .object(members.sorted())
    case .array(let list):
      // Keys that are not text: key, value, key, value.
      let pairs = stride(from: 0, to: list.count - 1, by: 2).map { (list[$0], list[$0 + 1]) }
      return .array(pairs.sorted { $0.0.text() < $1.0.text() }.flatMap { [$0.0, $0.1] })
    default: return json
    }
  }
}

extension Set: Unordered {
  fileprivate static func ordered(_ json: JSON) -> JSON {
    guard case .array(let list) = json else { return json }
    if list.allSatisfy({ $0.doubleValue != nil }) {
      return .array(list.sorted { $0.doubleValue ?? 0 < $1.doubleValue ?? 0 })
    }
    return .array(list.map { ($0.text(), $0) }.sorted { $0.0 < $1.0 }.map(\.1))
  }
}

/// The JSON of any value.
func encoded<T: Encodable>(_ value: T, at trail: @autoclosure () -> CodingTrail) throws -> JSON {
  if let value = value as? any JSONWritable { return value.json }
  if let leaf = encodedLeaf(value) { return leaf }
  let slot = JSONSlot()
  try value.encode(to: SlotEncoder(slot: slot, trail: trail()))
  let json = slot.finish()
  if let unordered = T.self as? any Unordered.Type { return unordered.ordered(json) }
  return json
}

/// The JSON of a value that is not made of others.
private func encodedLeaf<T>(_ value: T) -> JSON? {
  switch T.self {
  case is String.Type: (value as? String).map { .string($0) }
  case is Bool.Type: (value as? Bool).map { .bool($0) }
  case is Double.Type: (value as? Double).map { .number($0) }
  // By way of text: 0.1 as a Float is to print as 0.1.
  case is Float.Type: (value as? Float).flatMap { Double("\($0)") }.map { .number($0) }
  case is Duration.Type: (value as? Duration).map { .string($0.text) }
  case is ByteCount.Type: (value as? ByteCount).map { .string($0.text) }
  case is [UInt8].Type: (value as? [UInt8]).map { .string(hexText($0)) }
  case is JSON.Type: value as? JSON
  case let type as any FixedWidthInteger.Type: integer(type, value)
  default: nil
  }
}

private func integer<I: FixedWidthInteger>(_: I.Type, _ value: Any) -> JSON? {
  guard let value = value as? I else { return nil }
  if let signed = Int64(exactly: value) { return .integer(signed) }
  return UInt64(exactly: value).map { JSON($0) }
}

/// A value that has nothing to say and is left out: an argument that was never given.
protocol PerhapsAbsent {
  var isAbsent: Bool { get }
}

/// Where one value is put together.
final class JSONSlot {
  private enum Shape { case value, array, object }
  private var shape = Shape.value
  private var value = JSON.null
  private var array: [JSON] = []
  private var object = JSONObject()
  /// Containers handed out whose content is taken in when all is done.
  private var pendingElements: [(Int, JSONSlot)] = []
  private var pendingMembers: [(String, JSONSlot)] = []

  func becomeArray() { shape = .array }
  func becomeObject() { shape = .object }
  func set(_ json: JSON) { value = json }
  var count: Int { array.count }
  func append(_ json: JSON) { array.append(json) }
  func set(_ key: String, _ json: JSON) { object[key] = json }

  func pendingElement() -> JSONSlot {
    let slot = JSONSlot()
    pendingElements.append((array.count, slot))
    array.append(.null)
    return slot
  }

  func pendingMember(_ key: String) -> JSONSlot {
    let slot = JSONSlot()
    pendingMembers.append((key, slot))
    object[key] = .null  // keeps the place
    return slot
  }

  /// The value, once everything has been put in.
  func finish() -> JSON {
    for (index, slot) in pendingElements { array[index] = slot.finish() }
    for (key, slot) in pendingMembers { object[key] = slot.finish() }
    switch shape {
    case .value: return value
    case .array: return .array(array)
    case .object: return .object(object)
    }
  }
}

private struct SlotEncoder: Encoder {
  let slot: JSONSlot
  let trail: CodingTrail
  var codingPath: [any CodingKey] { trail.codingPath }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    slot.becomeObject()
    return KeyedEncodingContainer(SlotMembers<Key>(slot: slot, trail: trail))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    slot.becomeArray()
    return SlotElements(slot: slot, trail: trail)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer { SlotValue(slot: slot, trail: trail) }
}

private struct SlotValue: SingleValueEncodingContainer {
  let slot: JSONSlot
  let trail: CodingTrail
  var codingPath: [any CodingKey] { trail.codingPath }

  func encodeNil() { slot.set(.null) }
  // The commonest without asking what they are.
  func encode(_ value: Bool) { slot.set(.bool(value)) }
  func encode(_ value: String) { slot.set(.string(value)) }
  func encode(_ value: Int) { slot.set(JSON(value)) }
  func encode(_ value: Int64) { slot.set(.integer(value)) }
  func encode(_ value: UInt64) { slot.set(JSON(value)) }
  func encode<T: Encodable>(_ value: T) throws { slot.set(try encoded(value, at: trail)) }
}

private struct SlotMembers<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let slot: JSONSlot
  let trail: CodingTrail
  var codingPath: [any CodingKey] { trail.codingPath }

  func encodeNil(forKey key: Key) { slot.set(key.stringValue, .null) }
  func encode(_ value: Bool, forKey key: Key) { slot.set(key.stringValue, .bool(value)) }
  func encode(_ value: String, forKey key: Key) { slot.set(key.stringValue, .string(value)) }
  func encode(_ value: Int, forKey key: Key) { slot.set(key.stringValue, JSON(value)) }
  func encode(_ value: Int64, forKey key: Key) { slot.set(key.stringValue, .integer(value)) }
  func encode(_ value: UInt64, forKey key: Key) { slot.set(key.stringValue, JSON(value)) }

  func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
    if let value = value as? any PerhapsAbsent, value.isAbsent { return }
    slot.set(key.stringValue, try encoded(value, at: .member(trail, key.stringValue)))
  }

  func nestedContainer<Nested>(keyedBy: Nested.Type, forKey key: Key) -> KeyedEncodingContainer<Nested> {
    inner(key.stringValue).container(keyedBy: Nested.self)
  }

  func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    inner(key.stringValue).unkeyedContainer()
  }

  func superEncoder() -> any Encoder { inner("super") }
  func superEncoder(forKey key: Key) -> any Encoder { inner(key.stringValue) }

  private func inner(_ key: String) -> SlotEncoder {
    SlotEncoder(slot: slot.pendingMember(key), trail: .member(trail, key))
  }
}

private struct SlotElements: UnkeyedEncodingContainer {
  let slot: JSONSlot
  let trail: CodingTrail
  var codingPath: [any CodingKey] { trail.codingPath }
  var count: Int { slot.count }

  func encodeNil() { slot.append(.null) }
  func encode(_ value: String) { slot.append(.string(value)) }
  func encode(_ value: Int) { slot.append(JSON(value)) }
  func encode<T: Encodable>(_ value: T) throws { slot.append(try encoded(value, at: .element(trail, slot.count))) }

  func nestedContainer<Nested>(keyedBy: Nested.Type) -> KeyedEncodingContainer<Nested> {
    inner().container(keyedBy: Nested.self)
  }

  func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { inner().unkeyedContainer() }
  func superEncoder() -> any Encoder { inner() }

  private func inner() -> SlotEncoder {
    let trail = CodingTrail.element(trail, slot.count)
    return SlotEncoder(slot: slot.pendingElement(), trail: trail)
  }
}
