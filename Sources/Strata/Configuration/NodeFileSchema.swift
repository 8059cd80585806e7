// NodeFileSchema: the JSON Schema of a node's file, for editors, and a file to start from.
import StackCore

extension NodeFile {
  /// The JSON Schema (2020-12) of a node's file, with all layers of a catalog.
  public static func jsonSchema(catalog: [any ProtocolLayer.Type], program: String) -> JSON {
    var core = Schema.of(config: CoreSettings.self).jsonSchema()
    var properties = core["properties"]?.objectValue ?? [:]
    properties["name"]?["minLength"] = 1
    properties["name"]?["maxLength"] = 40
    properties["pathLimit"]?["anyOf"] = [
      ["const": "auto"], Schema(.byteCount(min: nil, max: nil)).jsonSchema(),
    ]
    // Both may be left out, but not be null, except for this one.
    properties["control"]?["type"] = ["string", "null", "boolean"]
    var sections = JSONObject()
    for type in catalog {
      var section = settingsSchema(of: type).jsonSchema()
      section["description"] = .string(type.manifest.summary)
      sections[type.manifest.name] = section
    }
    properties["layers"] = [
      "type": "object", "description": "The layers of this node; a layer is on when its section is there.",
      "properties": .object(sections), "additionalProperties": false, "default": [:],
    ]
    properties["$schema"] = ["type": "string", "description": "Where this schema is, for editors."]
    core["properties"] = .object(properties)
    core["additionalProperties"] = false
    var whole: JSON = [
      "$schema": "https://json-schema.org/draft/2020-12/schema",
      "title": .string("A node of \(program)"),
      "description": "Keys that start with // are comments.",
    ]
    for (key, value) in allowingComments(core).objectValue ?? [:] { whole[key] = value }
    return whole
  }

  /// A schema whose closed objects take keys that start with `//` as well.
  private static func allowingComments(_ schema: JSON) -> JSON {
    guard case .object(var members) = schema else { return schema }
    if members["additionalProperties"] == false { members["patternProperties"] = ["^//": true] }
    if let items = members["items"] { members["items"] = allowingComments(items) }
    if let properties = members["properties"]?.objectValue {
      members["properties"] = .object(JSONObject(properties.map { ($0.key, allowingComments($0.value)) }))
    }
    return .object(members)
  }

  /// A file to start from: every setting of the core and of some layers with its default, after a comment that says
  /// what it is. Settings that have no value by default stand in their comment only.
  public static func starting(
    name: String?, layers: [any ProtocolLayer.Type], schemaReference: String?
  ) -> JSON {
    var file = JSONObject()
    if let schemaReference { file["$schema"] = .string(schemaReference) }
    file["//"] = "Keys that start with // are comments. Every setting may be left out; these are the defaults."
    describe(Schema.of(config: CoreSettings.self), into: &file, given: ["name": name.map { .string($0) }])
    file["// layers"] = "A layer is on when its section is there."
    var sections = JSONObject()
    for type in layers {
      var section = JSONObject()
      section["//"] = .string(type.manifest.summary)
      describe(settingsSchema(of: type), into: &section, given: [:])
      sections[type.manifest.name] = .object(section)
    }
    file["layers"] = .object(sections)
    return .object(file)
  }

  private static func describe(_ schema: Schema, into object: inout JSONObject, given: [String: JSON?]) {
    for property in schema.properties {
      let value = given[property.name] ?? property.defaultValue
      object["// \(property.name)"] = .string(comment(property, hasValue: value != nil))
      if let value, !value.isNull { object[property.name] = value }
    }
  }

  /// What a setting is, what it may be, and whether a reload applies it.
  private static func comment(_ property: Schema.Property, hasValue: Bool) -> String {
    var text = property.description
    if case .any = property.schema.kind {
    } else {
      text += " (\(property.schema.summary)" + (property.live ? "; live)" : ")")
    }
    return text
  }
}
