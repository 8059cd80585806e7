// SchemaCheck: whether a JSON value is what a schema says, all that is wrong with it; and reading settings and inputs.

extension Schema {
  /// No more errors than this are gathered.
  private static let maxErrors = 64

  /// All that is wrong with a value (the first 64): unknown keys with the nearest known one, wrong types, values out of
  /// range, missing keys. `path` is where the value stands.
  public func check(_ json: JSON, at path: String) -> [JSONCodingError] {
    var errors: [JSONCodingError] = []
    check(json, at: path, into: &errors)
    return errors
  }

  private func check(_ json: JSON, at path: String, into errors: inout [JSONCodingError]) {
    if errors.count >= Self.maxErrors || (nullable && json.isNull) { return }
    switch (kind, json) {
    case (.object(let properties), .object(let members)):
      check(members, properties, at: path, into: &errors)
    case (.map(let value), .object(let members)) where allows(members.count):
      for (key, json) in members { value.check(json, at: JSONCodingError.path(path, key), into: &errors) }
    case (.array(let element), .array(let elements)) where allows(elements.count):
      for (index, json) in elements.enumerated() {
        element.check(json, at: JSONCodingError.path(path, index), into: &errors)
      }
    default:
      if accepts(json) { return }
      errors.append(JSONCodingError(path: path, found: found(json), expected: summary))
    }
  }

  /// What was found; where it is the number of parts that is wrong, that.
  private func found(_ json: JSON) -> String {
    switch (kind, json) {
    case (.array, .array(let elements)): "\(elements.count) elements"
    case (.map, .object(let members)): "\(members.count) keys"
    case (.hex, .string(let text)) where bytes(hex: text) != nil: "\(text.utf8.count / 2) bytes"
    case (.string(nil, _, _), .string(let text)) where text.count > 60: "\(text.count) characters"
    default: json.shown
    }
  }

  private func check(
    _ members: JSONObject, _ properties: [Property], at path: String, into errors: inout [JSONCodingError]
  ) {
    for property in properties {
      let path = JSONCodingError.path(path, property.name)
      if let json = members[property.name] {
        property.schema.check(json, at: path, into: &errors)
      } else if property.required {
        errors.append(JSONCodingError(path: path, found: "nothing", expected: property.schema.summary))
      }
    }
    guard closed else { return }
    let names = properties.map(\.name)
    for key in members.keys where errors.count < Self.maxErrors && !names.contains(key) {
      errors.append(
        JSONCodingError(
          path: JSONCodingError.path(path, key), found: "an unknown key", expected: Self.instead(of: key, names)))
    }
  }

  /// What an unknown key may have been meant to be.
  private static func instead(of key: String, _ names: [String]) -> String {
    if names.isEmpty { return "no keys here" }
    if let meant = nearest(key, among: names) { return "\(listed([meant])) (did you mean that?)" }
    return names.count == 1 ? listed(names) : "one of " + listed(names)
  }

  private func allows(_ count: Int) -> Bool { self.count?.contains(count) ?? true }

  /// Whether a value that has no parts is what it should be.
  private func accepts(_ json: JSON) -> Bool {
    switch kind {
    case .boolean: json.boolValue != nil
    case .integer(let min, let max): Self.isWithin(json.whole(Int128.self), min, max)
    case .number(let min, let max): Self.isWithin(json.doubleValue, min, max)
    case .duration(let min, let max): Self.isWithin(json.stringValue.flatMap { Duration(text: $0) }, min, max)
    case .byteCount(let min, let max): Self.isWithin(byteCount(json), min, max)
    case .hex: json.stringValue.flatMap { bytes(hex: $0) }.map { allows($0.count) } ?? false
    case .string(let allowed?, _, _): json.stringValue.map { allowed.contains($0) } ?? false
    case .string(nil, let min, let max):
      Self.isWithin(json.stringValue?.count, min, max) && form?.accepts(json.stringValue ?? "") ?? true
    case .any: true
    case .array, .map, .object: false
    }
  }

  private static func isWithin<T: Comparable>(_ value: T?, _ min: T?, _ max: T?) -> Bool {
    guard let value else { return false }
    return min.map { $0 <= value } ?? true && max.map { value <= $0 } ?? true
  }

  /// The value with the defaults of what isn't there.
  public func filled(_ json: JSON) -> JSON {
    switch (kind, json) {
    case (.object(let properties), .object(var members)):
      for property in properties {
        if let value = members[property.name] {
          members[property.name] = property.schema.filled(value)
        } else if !property.required, let value = property.defaultValue ?? (property.schema.nullable ? .null : nil) {
          members[property.name] = value
        }
      }
      return .object(members)
    case (.array(let element), .array(let elements)) where !element.properties.isEmpty:
      return .array(elements.map { element.filled($0) })
    case (.map(let value), .object(let members)) where !value.properties.isEmpty:
      return .object(JSONObject(members.map { ($0.key, value.filled($0.value)) }))
    default:
      return json
    }
  }

  /// Checks a value, fills in the defaults and decodes it; the first thing that is wrong is thrown.
  public func decode<T: Decodable>(_ type: T.Type, from json: JSON, at path: String) throws(JSONCodingError) -> T {
    if let error = check(json, at: path).first { throw error }
    return try filled(json).decode(type, at: path)
  }
}

/// Reads a layer's settings. What isn't there takes its default; unknown keys, wrong types and values out of range are
/// refused. Without any JSON it is all defaults.
public func decodeSettings<C: LayerConfig>(
  _ type: C.Type, from json: JSON?, at path: String
) throws(JSONCodingError) -> C {
  guard let json else { return C() }
  return try Schema.of(config: type).decode(type, from: json, at: path)
}

/// Reads a command's input; without any JSON it is as if `{}` was given. A caller that keeps the schema can lend it.
public func decodeInput<I: CommandInput>(
  _ type: I.Type, from json: JSON?, at path: String = "", schema: Schema? = nil
) throws(JSONCodingError) -> I {
  try (schema ?? Schema.of(input: type)).decode(type, from: json ?? [:], at: path)
}
