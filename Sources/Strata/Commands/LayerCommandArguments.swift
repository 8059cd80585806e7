// LayerCommandArguments: a command's input as words of the command line, and those words as the input.
import StackCore

/// How a layer's command is typed: what must be given by place, all else as options.
struct LayerCommandArguments {
  private let schema: Schema
  /// What stands by place: what must be given, in the order of declaration, but a list last.
  private let places: [Schema.Property]
  private let optional: [Schema.Property]

  /// Options of every command, whose names an argument can't have.
  static let reserved = ["config", "control", "token-file", "json", "input", "help"]

  init(_ schema: Schema) {
    self.schema = schema
    let required = schema.properties.filter(\.required)
    let list = required.firstIndex { $0.schema.isArray }
    places = required.enumerated().filter { $0.offset != list }.map(\.element) + (list.map { [required[$0]] } ?? [])
    optional = schema.properties.filter { !$0.required && !Self.reserved.contains($0.name) }
  }

  /// The command's place in the table of commands.
  func spec(layer: String, name: String, summary: String, examples: [String]) -> CommandSpec {
    CommandSpec(
      name: name, summary: summary,
      positionals: places.map {
        PositionalSpec(
          name: $0.name, summary: Self.about($0), unless: "input", takesRest: $0.schema.isArray,
          completes: Self.completes($0))
      },
      options: optional.map(Self.option) + [
        OptionSpec(
          name: "input", value: "JSON", summary: "The whole input: JSON, @FILE, or - for standard input.")
      ],
      examples: examples.map { "\(layer) \(name) \($0)" })
  }

  private static func about(_ property: Schema.Property) -> String {
    let kind = if case .any = property.schema.kind { "JSON" } else { property.schema.summary }
    return property.description.isEmpty ? kind : "\(property.description) (\(kind))"
  }

  private static func option(_ property: Schema.Property) -> OptionSpec {
    var option = OptionSpec(name: property.name, value: property.name.uppercased(), summary: about(property))
    switch property.schema.kind {
    case .boolean where property.defaultValue == true:
      option = OptionSpec(name: "no-\(property.name)", summary: "Not: \(property.description)")
    case .boolean where !property.schema.nullable:
      option = OptionSpec(name: property.name, summary: property.description)
    case .array: option.repeats = true
    default: break
    }
    if option.value != nil { option.completes = completes(property) }
    if let value = property.defaultValue, option.value != nil, !value.isNull {
      option.summary += " Default: \(value.stringValue ?? value.text())."
    }
    return option
  }

  /// What a shell may offer for a value.
  private static func completes(_ property: Schema.Property) -> Completes {
    let schema = if case .array(let element) = property.schema.kind { element } else { property.schema }
    if schema.form == Address.schema.form { return .neighbours }
    switch schema.kind {
    case .string(let words?, _, _): return .words(words)
    case .boolean: return .words(["true", "false"])
    default: return ["path", "paths", "file", "files"].contains(property.name) ? .files : .nothing
    }
  }

  // MARK: Reading

  /// The input that words mean; all that is wrong with it is one usage error.
  func input(_ parsed: ParsedArguments, standardInput: () throws -> [UInt8]) throws -> JSON {
    let json =
      if let text = parsed.option("input") {
        try Self.whole(text, parsed, places: places, optional: optional, standardInput)
      } else { try gathered(parsed) }
    let errors = schema.check(json, at: "")
    guard errors.isEmpty else { throw UsageError(errors.map(\.description).joined(separator: "; ")) }
    return json
  }

  private static func whole(
    _ text: String, _ parsed: ParsedArguments, places: [Schema.Property], optional: [Schema.Property],
    _ standardInput: () throws -> [UInt8]
  ) throws -> JSON {
    if let other = places.first(where: { parsed.positionals[$0.name] != nil })
      ?? optional.first(where: { parsed.has($0.name) || parsed.has("no-\($0.name)") })
    {
      throw UsageError("found --input and \(other.name) too, expected either the whole input or single arguments")
    }
    do {
      if text == "-" { return try JSON.parse(try standardInput()) }
      if text.hasPrefix("@") { return try JSON.parse(try readFile(String(text.dropFirst()))) }
      return try JSON.parse(text)
    } catch let error as JSONError {
      throw UsageError("--input: \(error)")
    }
  }

  private func gathered(_ parsed: ParsedArguments) throws -> JSON {
    var input = JSONObject()
    for property in places {
      guard let words = parsed.positionals[property.name] else { continue }
      input[property.name] = try Self.value(words, property)
    }
    for property in optional {
      if parsed.has("no-\(property.name)") {
        input[property.name] = false
      } else if let words = parsed.options[property.name] {
        let isFlag = if case .boolean = property.schema.kind { !property.schema.nullable } else { false }
        input[property.name] = isFlag ? true : try Self.value(words, property)
      }
    }
    return .object(input)
  }

  private static func value(_ words: [String], _ property: Schema.Property) throws -> JSON {
    if case .array(let element) = property.schema.kind {
      return .array(try words.map { try value($0, element, property.name) })
    }
    return try value(words.last ?? "", property.schema, property.name)
  }

  /// What a word means where a value of a kind is expected; a wrong word is left to the check.
  private static func value(_ word: String, _ schema: Schema, _ name: String) throws -> JSON {
    switch schema.kind {
    case .string, .duration, .hex, .byteCount: return .string(word)
    case .boolean:
      return ["true": true, "yes": true, "false": false, "no": false][word] ?? .string(word)
    case .integer, .number:
      // "1e3" and " 5" are left to the check too: what isn't JSON's number isn't one.
      if let json = try? JSON.parse(word), json.doubleValue != nil { return json }
      return .string(word)
    case .any: return (try? JSON.parse(word)) ?? .string(word)
    case .array, .map, .object:
      do throws(JSONError) { return try JSON.parse(word) } catch {
        throw UsageError("\(name): found \"\(harmless(word))\", expected \(schema.summary) as JSON (\(error.message))")
      }
    }
  }
}

extension Schema {
  /// Whether it is a list.
  fileprivate var isArray: Bool { if case .array = kind { true } else { false } }

  /// What a JSON Schema says, as far as the command line needs it; all else is anything.
  init(jsonSchema json: JSON) {
    let names = json["type"]?.arrayValue?.compactMap(\.stringValue) ?? [json["type"]?.stringValue ?? ""]
    let type = names.first { $0 != "null" } ?? ""
    let kind: Kind
    switch type {
    case "boolean": kind = .boolean
    case "integer":
      kind = .integer(
        min: json["minimum"]?.integerValue.map { Int128($0) }, max: json["maximum"]?.integerValue.map { Int128($0) })
    case "number": kind = .number(min: json["minimum"]?.doubleValue, max: json["maximum"]?.doubleValue)
    case "string":
      // Sizes are text or numbers; either is given as text.
      kind = .string(allowed: json["enum"]?.arrayValue?.compactMap(\.stringValue), minCount: nil, maxCount: nil)
    case "array": kind = .array(Schema(jsonSchema: json["items"] ?? [:]))
    case "object":
      let required = (json["required"]?.arrayValue ?? []).compactMap(\.stringValue)
      let members = json["properties"]?.objectValue ?? [:]
      kind = .object(
        members.map { name, value in
          Property(
            name: name, schema: Schema(jsonSchema: value), description: value["description"]?.stringValue ?? "",
            required: required.contains(name), defaultValue: value["default"])
        })
    default: kind = .any
    }
    self.init(
      kind, nullable: names.contains("null"), closed: json["additionalProperties"] == false,
      format: json["format"]?.stringValue.flatMap { Format(rawValue: $0) })
  }
}
