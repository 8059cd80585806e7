// JSONSchema: a schema as JSON Schema 2020-12, in the words that OpenAPI 3.1 has too.

extension Schema {
  /// The schema as JSON Schema, for editors and for an OpenAPI document.
  public func jsonSchema() -> JSON { jsonSchema(description: description, defaultValue: nil) }

  private func jsonSchema(description: String, defaultValue: JSON?) -> JSON {
    var schema = JSONObject()
    if let type { schema["type"] = nullable ? .array([.string(type), "null"]) : .string(type) }
    describeKind(in: &schema)
    if let format { schema["format"] = .string(format.rawValue) }
    let text = description.isEmpty ? self.description : description
    let note = [text, limits].compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: "; ")
    if !note.isEmpty { schema["description"] = .string(note) }
    if let defaultValue { schema["default"] = defaultValue }
    return .object(schema)
  }

  /// The name of the type; nil for those of more than one.
  private var type: String? {
    switch kind {
    case .boolean: "boolean"
    case .integer: "integer"
    case .number: "number"
    case .string, .duration, .hex: "string"
    case .array: "array"
    case .map, .object: "object"
    case .byteCount, .any: nil
    }
  }

  /// Limits that JSON Schema has no words for.
  private var limits: String? {
    switch kind {
    case .duration(let min, let max): min ?? .zero == .zero && max == nil ? nil : summary
    case .byteCount(let min, let max): min ?? 0 == 0 && max == nil ? nil : summary
    default: nil
    }
  }

  /// What each kind adds.
  private func describeKind(in schema: inout JSONObject) {
    switch kind {
    case .boolean, .any: break
    case .integer(let min, let max):
      schema["minimum"] = min.flatMap(Self.number)
      schema["maximum"] = max.flatMap(Self.number)
    case .number(let min, let max):
      schema["minimum"] = min.map { .number($0) }
      schema["maximum"] = max.map { .number($0) }
    case .string(let allowed, let min, let max):
      schema["enum"] = allowed.map { .array($0.map { .string($0) } + (nullable ? [.null] : [])) }
      Self.put(min, max, "Length", in: &schema)
      schema["pattern"] = form.map { .string($0.pattern) }
    case .duration(let min, _):
      let sign = min.map { $0 >= .zero } ?? false ? "" : "-?"
      schema["pattern"] = .string("^" + sign + #"([0-9]+(\.[0-9]+)?(d|h|m|s|ms|us|µs|ns))+$"#)
    case .byteCount:
      schema["type"] = nullable ? ["string", "integer", "null"] : ["string", "integer"]
      schema["pattern"] = #"^[0-9]+(\.[0-9]+)?([kKMGTP]i?)?B?$"#
      schema["minimum"] = 0
    case .hex:
      schema["pattern"] = "^([0-9a-fA-F]{2})*$"
      Self.put(count.map { $0.lowerBound * 2 }, count.flatMap { Self.doubled($0.upperBound) }, "Length", in: &schema)
    case .array(let element):
      schema["items"] = element.jsonSchema()
      Self.put(count?.lowerBound, count?.upperBound, "Items", in: &schema)
    case .map(let value):
      schema["additionalProperties"] = value.jsonSchema()
      Self.put(count?.lowerBound, count?.upperBound, "Properties", in: &schema)
    case .object(let properties):
      describe(properties, in: &schema)
    }
  }

  private func describe(_ properties: [Property], in schema: inout JSONObject) {
    schema["properties"] = .object(
      JSONObject(
        properties.map { property in
          let json = property.schema.jsonSchema(
            description: property.description, defaultValue: property.defaultValue)
          return (property.name, json)
        }))
    let required = properties.filter(\.required).map { JSON.string($0.name) }
    if !required.isEmpty { schema["required"] = .array(required) }
    if closed { schema["additionalProperties"] = false }
  }

  private static func number(_ value: Int128) -> JSON? {
    Int64(exactly: value).map { .integer($0) } ?? UInt64(exactly: value).map { JSON($0) }
  }

  private static func doubled(_ count: Int) -> Int? {
    let (twice, overflow) = count.multipliedReportingOverflow(by: 2)
    return overflow ? nil : twice
  }

  /// `minLength`, `maxItems` and so on; a limit of none is none.
  private static func put(_ min: Int?, _ max: Int?, _ what: String, in schema: inout JSONObject) {
    if let min, min > 0 { schema["min" + what] = JSON(min) }
    if let max, max < .max { schema["max" + what] = JSON(max) }
  }
}
