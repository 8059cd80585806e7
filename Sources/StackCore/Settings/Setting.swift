// Setting and Argument: the wrappers by which a configuration or a command's input describes itself.

/// A layer's section of the node's file: a struct whose properties all have defaults, each marked `@Setting`. The
/// compiler makes `init()` and the coding; only a `public` struct must say `public init() {}`.
public protocol LayerConfig: Codable, Sendable {
  /// The defaults.
  init()
}

/// The configuration of a layer that has none.
public struct NoConfig: LayerConfig, Hashable {
  public init() {}
}

/// What a command is given: a struct of properties marked `@Argument`. The compiler makes `init()` and the coding; only
/// a `public` struct must say `public init() {}`.
public protocol CommandInput: Codable, Sendable {
  /// The defaults; arguments that must be given have none yet.
  init()
}

/// The input of a command that takes none.
public struct NoInput: CommandInput, Hashable {
  public init() {}
}

/// What a wrapper says about its property, beside the value.
public struct SettingFacts<Value: Sendable>: Sendable {
  var summary = ""
  var minimum: Value?
  var maximum: Value?
  var count: ClosedRange<Int>?
  var isLive = false
}

/// A setting: a value with a default, a line that says what it does, and what it may be.
///
/// It stands in JSON as the bare value. A range is checked by `decodeSettings`, not when the property is set. Two
/// settings are equal when their values are. `live` says that a reload may change it without a restart.
@propertyWrapper public struct Setting<Value: Codable & Sendable>: Sendable {
  public var wrappedValue: Value
  var facts: SettingFacts<Value>

  /// The facts stand beside; they are known to the defaults only, not to a value that was decoded.
  init(_ value: Value, _ summary: String, _ live: Bool, count: ClosedRange<Int>? = nil) {
    wrappedValue = value
    facts = SettingFacts(summary: summary, count: count, isLive: live)
  }

  /// A setting of any value.
  public init(wrappedValue: Value, _ summary: String, live: Bool = false) {
    self.init(wrappedValue, summary, live)
  }

  /// A setting within bounds.
  public init(wrappedValue: Value, _ summary: String, in range: ClosedRange<Value>, live: Bool = false)
  where Value: Comparable {
    self.init(wrappedValue, summary, live)
    (facts.minimum, facts.maximum) = (range.lowerBound, range.upperBound)
  }

  /// A setting with a lower bound.
  public init(wrappedValue: Value, _ summary: String, in range: PartialRangeFrom<Value>, live: Bool = false)
  where Value: Comparable {
    self.init(wrappedValue, summary, live)
    facts.minimum = range.lowerBound
  }

  /// A setting with an upper bound.
  public init(wrappedValue: Value, _ summary: String, in range: PartialRangeThrough<Value>, live: Bool = false)
  where Value: Comparable {
    self.init(wrappedValue, summary, live)
    facts.maximum = range.upperBound
  }

  /// A setting that may be absent, else within bounds.
  public init<Bound: Comparable>(
    wrappedValue: Value, _ summary: String, in range: ClosedRange<Bound>, live: Bool = false
  ) where Value == Bound? {
    self.init(wrappedValue, summary, live)
    (facts.minimum, facts.maximum) = (.some(range.lowerBound), .some(range.upperBound))
  }

  /// A setting of so many elements or characters (bytes, for `[UInt8]`).
  public init(wrappedValue: Value, _ summary: String, count: ClosedRange<Int>, live: Bool = false)
  where Value: Collection {
    self.init(wrappedValue, summary, live, count: count)
  }

  /// A setting that may be absent, else of so many elements or characters.
  public init<Content: Collection>(
    wrappedValue: Value, _ summary: String, count: ClosedRange<Int>, live: Bool = false
  ) where Value == Content? {
    self.init(wrappedValue, summary, live, count: count)
  }

  /// A setting that is absent by default.
  public init<Content>(_ summary: String, live: Bool = false) where Value == Content? {
    self.init(nil, summary, live)
  }
}

extension Setting: Equatable where Value: Equatable {
  public static func == (left: Setting, right: Setting) -> Bool { left.wrappedValue == right.wrappedValue }
}

extension Setting: Hashable where Value: Hashable {
  public func hash(into hasher: inout Hasher) { hasher.combine(wrappedValue) }
}

extension Setting: Codable {
  public init(from decoder: any Decoder) throws {
    self.init(try decoder.singleValueContainer().decode(Value.self), "", false)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(wrappedValue)
  }
}

/// An argument of a command. Without a default it must be given, unless it is optional.
///
/// Reading one that must be given and never was is a programming error: `decodeInput` refuses such an input.
@propertyWrapper public struct Argument<Value: Codable & Sendable>: Sendable {
  var given: Value?
  var facts: SettingFacts<Value>

  /// The value that was given, or the default.
  public var wrappedValue: Value {
    get {
      guard let given else { preconditionFailure("an argument was read that was never given: \(facts.summary)") }
      return given
    }
    set { given = newValue }
  }

  init(given: Value?, _ summary: String, count: ClosedRange<Int>? = nil) {
    self.given = given ?? (Value.self as? any OptionalType.Type)?.absent as? Value
    facts = SettingFacts(summary: summary, count: count)
  }

  /// An argument that must be given, unless its type is optional.
  public init(_ summary: String) { self.init(given: nil, summary) }

  /// An argument with a default.
  public init(wrappedValue: Value, _ summary: String) { self.init(given: wrappedValue, summary) }

  /// An argument that must be given, within bounds.
  public init(_ summary: String, in range: ClosedRange<Value>) where Value: Comparable {
    self.init(given: nil, summary)
    (facts.minimum, facts.maximum) = (range.lowerBound, range.upperBound)
  }

  /// An argument that may be left out, else within bounds.
  public init<Bound: Comparable>(_ summary: String, in range: ClosedRange<Bound>) where Value == Bound? {
    self.init(given: .some(nil), summary)
    (facts.minimum, facts.maximum) = (.some(range.lowerBound), .some(range.upperBound))
  }

  /// An argument with a default, within bounds.
  public init(wrappedValue: Value, _ summary: String, in range: ClosedRange<Value>) where Value: Comparable {
    self.init(given: wrappedValue, summary)
    (facts.minimum, facts.maximum) = (range.lowerBound, range.upperBound)
  }

  /// An argument that may be left out, else within bounds.
  public init<Bound: Comparable>(wrappedValue: Value, _ summary: String, in range: ClosedRange<Bound>)
  where Value == Bound? {
    self.init(given: .some(wrappedValue), summary)
    (facts.minimum, facts.maximum) = (.some(range.lowerBound), .some(range.upperBound))
  }

  /// An argument that must be given, of so many elements or characters (bytes, for `[UInt8]`).
  public init(_ summary: String, count: ClosedRange<Int>) where Value: Collection {
    self.init(given: nil, summary, count: count)
  }

  /// An argument that may be left out, else of so many elements or characters.
  public init<Content: Collection>(_ summary: String, count: ClosedRange<Int>) where Value == Content? {
    self.init(given: .some(nil), summary, count: count)
  }

  /// An argument with a default, of so many elements or characters.
  public init(wrappedValue: Value, _ summary: String, count: ClosedRange<Int>) where Value: Collection {
    self.init(given: wrappedValue, summary, count: count)
  }

  /// An argument that may be left out, else of so many elements or characters.
  public init<Content: Collection>(wrappedValue: Value, _ summary: String, count: ClosedRange<Int>)
  where Value == Content? {
    self.init(given: .some(wrappedValue), summary, count: count)
  }
}

extension Argument: Equatable where Value: Equatable {
  public static func == (left: Argument, right: Argument) -> Bool { left.given == right.given }
}

extension Argument: Hashable where Value: Hashable {
  public func hash(into hasher: inout Hasher) { hasher.combine(given) }
}

extension Argument: Codable {
  public init(from decoder: any Decoder) throws {
    self.init(given: try decoder.singleValueContainer().decode(Value.self), "")
  }

  public func encode(to encoder: any Encoder) throws {
    guard let given else {
      throw EncodingError.invalidValue(
        "nothing", .init(codingPath: encoder.codingPath, debugDescription: "an argument (\(facts.summary))"))
    }
    var container = encoder.singleValueContainer()
    try container.encode(given)
  }
}

extension Argument: PerhapsAbsent {
  var isAbsent: Bool { given == nil }
}
