// Schema: what a type looks like in JSON: its properties, their types, limits, defaults and descriptions.

/// A description of the JSON that a type is read from and written to. The command line, the control API, its OpenAPI
/// document and the schema of the configuration are all made from it.
public struct Schema: Sendable, Hashable {
  /// What sort of value it is; a limit that is nil isn't there.
  public indirect enum Kind: Sendable, Hashable {
    case boolean
    case integer(min: Int128?, max: Int128?)
    case number(min: Double?, max: Double?)
    /// Text, perhaps one of a few words, of so many characters.
    case string(allowed: [String]?, minCount: Int?, maxCount: Int?)
    /// Text such as "250ms".
    case duration(min: Duration?, max: Duration?)
    /// Text such as "8KiB", or a number of bytes.
    case byteCount(min: ByteCount?, max: ByteCount?)
    /// Bytes as hex text.
    case hex
    case array(Schema)
    /// An object of any keys, all with values of one sort.
    case map(Schema)
    case object([Property])
    /// Anything: nothing more is known.
    case any
  }

  /// One member of an object.
  public struct Property: Sendable, Hashable {
    /// The key.
    public var name: String
    /// What its value is.
    public var schema: Schema
    /// One line about it; may be empty.
    public var description: String
    /// Whether it must be there.
    public var required: Bool
    /// What is taken when it isn't; nil when there is no default, or that is to have no value.
    public var defaultValue: JSON?
    /// Whether a reload can change it without a restart.
    public var live: Bool

    /// A property.
    public init(
      name: String, schema: Schema, description: String = "", required: Bool = false, defaultValue: JSON? = nil,
      live: Bool = false
    ) {
      self.name = name
      self.schema = schema
      self.description = description
      self.required = required
      self.defaultValue = defaultValue
      self.live = live
    }
  }

  /// What sort of value it is.
  public var kind: Kind
  /// One line about it; may be empty.
  public var description: String
  /// Whether `null` may stand for it.
  public var nullable: Bool
  /// For an object: whether keys that it doesn't name are refused.
  public var closed: Bool
  /// For an array, a map and hex: how many elements or bytes it may have.
  public var count: ClosedRange<Int>?
  /// For text of a form of its own: what is right, for people and for machines.
  public var form: TextForm?

  /// What a number means beyond being one; nil where nothing more is known.
  public var format: Format?

  /// What a number can mean. It stands as `format` in JSON Schema.
  public enum Format: String, Sendable, Hashable, CaseIterable {
    /// Seconds since 1970-01-01 UTC, as `Instant` stands in JSON.
    case unixTime = "unix-time"
  }

  /// Text of a special form, such as an address, which its type reads and judges.
  public struct TextForm: Sendable, Hashable {
    /// What would be right, in a few words.
    public var summary: String
    /// A regular expression (ECMA-262) that every right text matches; some wrong ones may as well.
    public var pattern: String
    /// Whether a text is right.
    public var accepts: @Sendable (String) -> Bool

    /// A form of text.
    public init(_ summary: String, pattern: String, accepts: @escaping @Sendable (String) -> Bool) {
      self.summary = summary
      self.pattern = pattern
      self.accepts = accepts
    }
    /// Whether two forms are told in the same words.
    public static func == (left: TextForm, right: TextForm) -> Bool {
      left.summary == right.summary && left.pattern == right.pattern
    }
    public func hash(into hasher: inout Hasher) {
      hasher.combine(summary)
      hasher.combine(pattern)
    }
  }

  /// A schema of a kind.
  public init(
    _ kind: Kind, description: String = "", nullable: Bool = false, closed: Bool = false,
    count: ClosedRange<Int>? = nil, form: TextForm? = nil, format: Format? = nil
  ) {
    self.kind = kind
    self.description = description
    self.nullable = nullable
    self.closed = closed
    self.count = count
    self.form = form
    self.format = format
  }

  /// The properties, if it is an object; else none.
  public var properties: [Property] {
    if case .object(let properties) = kind { properties } else { [] }
  }

  /// The property of a name, if it is an object that has it.
  public func property(_ name: String) -> Property? { properties.first { $0.name == name } }

  /// What would be right, in a few words, for an error or a help text: `a whole number from 1 to 16`.
  public var summary: String {
    if let form { return form.summary }
    if format == .unixTime { return "a time in seconds since 1970" }
    return switch kind {
    case .boolean: "true or false"
    case .integer(let min, let max): "a whole number" + Self.bounds(min, max)
    case .number(let min, let max): "a number" + Self.bounds(min, max)
    case .string(let allowed?, _, _): listed(allowed)
    case .string(nil, let min, let max): "text" + Self.counted(min, max, "characters")
    case .duration(let min, let max):
      if min ?? .zero == .zero, max == nil {
        Duration.expectedText
      } else {
        "a duration" + Self.bounds(min?.text, max?.text)
      }
    case .byteCount(let min, let max):
      if min ?? 0 == 0, max == nil { ByteCount.expected } else { "a size" + Self.bounds(min?.text, max?.text) }
    case .hex: "hex text" + Self.counted(count, "bytes")
    case .array: "an array" + Self.counted(count, "elements")
    case .map: "an object" + Self.counted(count, "keys")
    case .object: "an object"
    case .any: "any value"
    }
  }

  private static func bounds<T>(_ min: T?, _ max: T?) -> String {
    switch (min, max) {
    case (let min?, let max?): " from \(min) to \(max)"
    case (let min?, nil): " of at least \(min)"
    case (nil, let max?): " of at most \(max)"
    case (nil, nil): ""
    }
  }

  private static func counted(_ range: ClosedRange<Int>?, _ unit: String) -> String {
    counted(range?.lowerBound, range?.upperBound, unit)
  }

  private static func counted(_ min: Int?, _ max: Int?, _ unit: String) -> String {
    if let min, min == max { return " of \(min) \(unit)" }
    let bounds = bounds((min ?? 0) == 0 && max != nil ? nil : min, max == .max ? nil : max)
    if bounds.isEmpty { return "" }
    return (bounds.hasPrefix(" from") ? " of\(bounds.dropFirst(5))" : bounds) + " \(unit)"
  }
}
