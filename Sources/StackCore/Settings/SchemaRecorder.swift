// SchemaRecorder: finds the properties of settings and inputs, with their defaults, by encoding an instance.

extension Schema {
  /// What a layer's settings are, with their defaults, limits and descriptions.
  public static func of<C: LayerConfig>(config: C.Type) -> Schema {
    SchemaProbe(isOutput: false).schema(ofDefaults: C())
  }

  /// What a command's input is.
  public static func of<I: CommandInput>(input: I.Type) -> Schema {
    SchemaProbe(isOutput: false).schema(ofDefaults: I())
  }

  /// What any type looks like in JSON; parts that can't be found out are `.any`.
  public static func of(output: any Decodable.Type) -> Schema {
    SchemaProbe(isOutput: true).schema(of: output)
  }
}

/// A wrapped property, which knows more about itself than its type.
private protocol DescribedProperty {
  func property(_ name: String, _ probe: SchemaProbe) -> Schema.Property
}

extension Setting: DescribedProperty {
  fileprivate func property(_ name: String, _ probe: SchemaProbe) -> Schema.Property {
    var property = probe.property(name, wrappedValue)
    facts.describe(&property)
    return property
  }
}

extension Argument: DescribedProperty {
  fileprivate func property(_ name: String, _ probe: SchemaProbe) -> Schema.Property {
    var property =
      given.map { probe.property(name, $0) }
      ?? Schema.Property(name: name, schema: probe.schema(of: Value.self), required: true)
    facts.describe(&property)
    return property
  }
}

extension SettingFacts {
  /// Puts the facts into a property's schema.
  fileprivate func describe(_ property: inout Schema.Property) {
    property.description = summary
    property.live = isLive
    property.schema.limit(minimum: minimum, maximum: maximum)
    if let count { property.schema.limit(count: count) }
  }
}

extension Schema {
  /// Narrows it to bounds that a range gave.
  fileprivate mutating func limit(minimum: Any?, maximum: Any?) {
    func whole(_ value: Any?) -> Int128? { (value as? any BinaryInteger).map { Int128(clamping: $0) } }
    func real(_ value: Any?) -> Double? { value as? Double ?? (value as? Float).map { Double($0) } }
    switch kind {
    case .integer(let min, let max): kind = .integer(min: whole(minimum) ?? min, max: whole(maximum) ?? max)
    case .number(let min, let max): kind = .number(min: real(minimum) ?? min, max: real(maximum) ?? max)
    case .duration(let min, let max):
      kind = .duration(min: minimum as? Duration ?? min, max: maximum as? Duration ?? max)
    case .byteCount(let min, let max):
      kind = .byteCount(min: minimum as? ByteCount ?? min, max: maximum as? ByteCount ?? max)
    default: break
    }
  }

  /// Narrows it to so many characters, elements, keys or bytes.
  fileprivate mutating func limit(count range: ClosedRange<Int>) {
    if case .string(let allowed, _, _) = kind {
      kind = .string(allowed: allowed, minCount: range.lowerBound, maxCount: range.upperBound)
    } else {
      count = range
    }
  }

  /// Takes a value's members as the defaults of the properties.
  fileprivate mutating func takeDefaults(_ json: JSON) {
    guard case .object(var properties) = kind, case .object(let members) = json else { return }
    for index in properties.indices {
      properties[index].required = false
      guard let value = members[properties[index].name] else { continue }
      properties[index].defaultValue = value
      properties[index].schema.takeDefaults(value)
    }
    kind = .object(properties)
  }
}

extension SchemaProbe {
  /// The schema of an instance that holds the defaults.
  func schema(ofDefaults value: some Encodable) -> Schema {
    let record = SchemaRecord(probe: self)
    // An encoding that fails half-way leaves what was seen so far, and then other keys can't be refused.
    let isComplete = (try? value.encode(to: RecordingEncoder(record: record))) != nil
    return Schema(.object(record.properties), closed: isComplete)
  }

  /// A property that stands as itself, with its default.
  fileprivate func property<T: Encodable>(_ name: String, _ value: T) -> Schema.Property {
    let json = try? JSON(encoding: value)
    var schema: Schema
    if value is any LayerConfig {
      schema = self.schema(ofDefaults: value)
    } else {
      schema = self.schema(of: T.self)
      if let json { schema.takeDefaults(json) }
    }
    return Schema.Property(name: name, schema: schema, defaultValue: json?.isNull == true ? nil : json)
  }
}

/// What an instance's encoding showed.
private final class SchemaRecord {
  let probe: SchemaProbe
  var properties: [Schema.Property] = []

  init(probe: SchemaProbe) { self.probe = probe }

  func note<T: Encodable>(_ name: String, _ value: T) {
    if let described = value as? any DescribedProperty {
      properties.append(described.property(name, probe))
    } else {
      properties.append(probe.property(name, value))
    }
  }

  func note<T: Encodable>(_ name: String, optional value: T?) {
    if let value {
      properties.append(probe.property(name, value))
    } else {
      properties.append(Schema.Property(name: name, schema: probe.schema(of: T.self)))
    }
    properties[properties.count - 1].schema.nullable = true
  }
}

/// Settings are objects: anything else that an instance encodes is not recorded.
private struct RecordingEncoder: Encoder {
  let record: SchemaRecord
  var codingPath: [any CodingKey] { [] }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    KeyedEncodingContainer(RecordingMembers<Key>(record: record))
  }
  func unkeyedContainer() -> any UnkeyedEncodingContainer { Unrecorded() }
  func singleValueContainer() -> any SingleValueEncodingContainer { Unrecorded() }
}

private struct RecordingMembers<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let record: SchemaRecord
  var codingPath: [any CodingKey] { [] }

  func encodeNil(forKey key: Key) { record.note(key.stringValue, JSON.null) }
  func encode<T: Encodable>(_ value: T, forKey key: Key) { record.note(key.stringValue, value) }

  func encodeIfPresent<T: Encodable>(_ value: T?, forKey key: Key) { record.note(key.stringValue, optional: value) }
  // One for each type of the protocol, for a method with a type of its own is preferred to the one above.
  func encodeIfPresent(_ value: Bool?, forKey key: Key) { record.note(key.stringValue, optional: value) }
  func encodeIfPresent(_ value: String?, forKey key: Key) { record.note(key.stringValue, optional: value) }
  func encodeIfPresent(_ value: Double?, forKey key: Key) { record.note(key.stringValue, optional: value) }
  func encodeIfPresent(_ value: Float?, forKey key: Key) { record.note(key.stringValue, optional: value) }
  func encodeIfPresent(_ value: Int?, forKey key: Key) { record.note(key.stringValue, optional: value) }
  func encodeIfPresent(_ value: Int8?, forKey key: Key) { record.note(key.stringValue, optional: value) }
  func encodeIfPresent(_ value: Int16?, forKey key: Key) { record.note(key.stringValue, optional: value) }
  func encodeIfPresent(_ value: Int32?, forKey key: Key) { record.note(key.stringValue, optional: value) }
  func encodeIfPresent(_ value: Int64?, forKey key: Key) { record.note(key.stringValue, optional: value) }
  func encodeIfPresent(_ value: UInt?, forKey key: Key) { record.note(key.stringValue, optional: value) }
  func encodeIfPresent(_ value: UInt8?, forKey key: Key) { record.note(key.stringValue, optional: value) }
  func encodeIfPresent(_ value: UInt16?, forKey key: Key) { record.note(key.stringValue, optional: value) }
  func encodeIfPresent(_ value: UInt32?, forKey key: Key) { record.note(key.stringValue, optional: value) }
  func encodeIfPresent(_ value: UInt64?, forKey key: Key) { record.note(key.stringValue, optional: value) }

  func nestedContainer<Nested>(keyedBy: Nested.Type, forKey key: Key) -> KeyedEncodingContainer<Nested> {
    record.note(key.stringValue, JSON.null)
    return KeyedEncodingContainer(RecordingMembers<Nested>(record: SchemaRecord(probe: record.probe)))
  }

  func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    record.note(key.stringValue, JSON.null)
    return Unrecorded()
  }

  func superEncoder() -> any Encoder { aside("super") }
  func superEncoder(forKey key: Key) -> any Encoder { aside(key.stringValue) }

  /// Something by hand, of which only the key is known.
  private func aside(_ key: String) -> any Encoder {
    record.note(key, JSON.null)
    return RecordingEncoder(record: SchemaRecord(probe: record.probe))
  }
}

/// Takes anything and keeps nothing.
private struct Unrecorded: UnkeyedEncodingContainer, SingleValueEncodingContainer {
  var codingPath: [any CodingKey] { [] }
  var count: Int { 0 }
  func encodeNil() {}
  func encode<T: Encodable>(_ value: T) {}
  func nestedContainer<Nested>(keyedBy: Nested.Type) -> KeyedEncodingContainer<Nested> {
    KeyedEncodingContainer(RecordingMembers<Nested>(record: SchemaRecord(probe: SchemaProbe(isOutput: false))))
  }
  func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { self }
  func superEncoder() -> any Encoder {
    RecordingEncoder(record: SchemaRecord(probe: SchemaProbe(isOutput: false)))
  }
}
