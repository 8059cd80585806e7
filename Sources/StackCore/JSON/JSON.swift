// JSON: a JSON value, exact for 64-bit integers, with its keys in the order in which they were written.

/// A JSON value. Numbers compare by what they are worth: `.integer(5) == .number(5)`; the order of keys doesn't count.
public enum JSON: Sendable {
  case null
  case bool(Bool)
  /// A whole number, exact.
  case integer(Int64)
  /// A whole number above `Int64.max`, exact.
  case unsigned(UInt64)
  /// Any other number.
  case number(Double)
  case string(String)
  case array([JSON])
  case object(JSONObject)
}

extension JSON {
  /// The value for a whole number: `.integer` where it fits, else `.unsigned`.
  public init(_ value: UInt64) {
    self = value <= UInt64(Int64.max) ? .integer(Int64(value)) : .unsigned(value)
  }

  /// The value for a whole number.
  public init(_ value: Int) { self = .integer(Int64(value)) }

  /// The value under a key; nil when there is none or this is not an object. Setting makes this an object; setting nil
  /// removes the key.
  public subscript(key: String) -> JSON? {
    get {
      guard case .object(let object) = self else { return nil }
      return object[key]
    }
    set {
      guard case .object(var object) = self else {
        if let newValue { self = .object([key: newValue]) }
        return
      }
      self = .null  // so that the object is not copied
      object[key] = newValue
      self = .object(object)
    }
  }

  /// The element at an index; nil when there is none or this is not an array.
  public subscript(index: Int) -> JSON? {
    guard case .array(let array) = self, array.indices.contains(index) else { return nil }
    return array[index]
  }

  /// The text, if this is a string.
  public var stringValue: String? {
    if case .string(let value) = self { value } else { nil }
  }

  /// The truth value, if this is one.
  public var boolValue: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// The whole number, if this is one and fits 64 bits with a sign.
  public var integerValue: Int64? { whole(Int64.self) }

  /// The number, if this is one; large whole numbers are rounded.
  public var doubleValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .unsigned(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }

  /// The elements, if this is an array.
  public var arrayValue: [JSON]? {
    if case .array(let value) = self { value } else { nil }
  }

  /// The keys and values, if this is an object.
  public var objectValue: JSONObject? {
    if case .object(let value) = self { value } else { nil }
  }

  /// Whether this is `null`.
  public var isNull: Bool {
    if case .null = self { true } else { false }
  }

  /// The whole number as an integer of some width, if it is one and fits exactly.
  func whole<I: FixedWidthInteger>(_: I.Type) -> I? {
    switch self {
    case .integer(let value): I(exactly: value)
    case .unsigned(let value): I(exactly: value)
    case .number(let value): I(exactly: value)
    default: nil
    }
  }
}

extension JSON: Hashable {
  public static func == (left: JSON, right: JSON) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.bool(let a), .bool(let b)): a == b
    case (.string(let a), .string(let b)): a == b
    case (.array(let a), .array(let b)): a == b
    case (.object(let a), .object(let b)): a == b
    case (.number(let a), .number(let b)): a == b
    case (.number(let a), _): right.equals(a)
    case (_, .number(let b)): left.equals(b)
    case (.integer(let a), .integer(let b)): a == b
    case (.integer(let a), .unsigned(let b)): a == b
    case (.unsigned(let a), .integer(let b)): a == b
    case (.unsigned(let a), .unsigned(let b)): a == b
    default: false
    }
  }

  /// Whether this is a whole number worth exactly `number`.
  private func equals(_ number: Double) -> Bool {
    switch self {
    case .integer(let value): Int64(exactly: number) == value
    case .unsigned(let value): UInt64(exactly: number) == value
    default: false
    }
  }

  public func hash(into hasher: inout Hasher) {
    switch self {
    case .null: hasher.combine(0)
    case .bool(let value): hasher.combine(value)
    case .integer, .unsigned, .number: hashNumber(into: &hasher)
    case .string(let value): hasher.combine(value)
    case .array(let value): hasher.combine(value)
    case .object(let value): hasher.combine(value)
    }
  }

  /// Equal numbers hash alike, whichever case holds them.
  private func hashNumber(into hasher: inout Hasher) {
    if let value = whole(Int64.self) {
      hasher.combine(value)
    } else if let value = whole(UInt64.self) {
      hasher.combine(value)
    } else if case .number(let value) = self {
      hasher.combine(value)
    }
  }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
}

extension JSON: ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral {
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(arrayLiteral elements: JSON...) { self = .array(elements) }
  public init(dictionaryLiteral elements: (String, JSON)...) { self = .object(JSONObject(elements)) }
}

extension JSON: CustomStringConvertible {
  /// The value as compact JSON text.
  public var description: String { text() }
}

extension JSON: Codable {
  public init(from decoder: any Decoder) throws {
    if let keyed = try? decoder.container(keyedBy: JSONKey.self) {
      var object = JSONObject()
      for key in keyed.allKeys { object[key.stringValue] = try keyed.decode(JSON.self, forKey: key) }
      self = .object(object)
      return
    }
    if var list = try? decoder.unkeyedContainer() {
      var array: [JSON] = []
      while !list.isAtEnd { array.append(try list.decode(JSON.self)) }
      self = .array(array)
      return
    }
    self = try JSON(single: decoder.singleValueContainer())
  }

  /// The value of a container that holds neither an object nor an array.
  private init(single: any SingleValueDecodingContainer) throws {
    if single.decodeNil() {
      self = .null
    } else if let value = try? single.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? single.decode(Int64.self) {
      self = .integer(value)
    } else if let value = try? single.decode(UInt64.self) {
      self = .unsigned(value)
    } else if let value = try? single.decode(Double.self) {
      self = .number(value)
    } else {
      self = .string(try single.decode(String.self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    switch self {
    case .array(let array):
      var list = encoder.unkeyedContainer()
      for element in array { try list.encode(element) }
    case .object(let object):
      var keyed = encoder.container(keyedBy: JSONKey.self)
      for (key, value) in object { try keyed.encode(value, forKey: JSONKey(key)) }
    default:
      var single = encoder.singleValueContainer()
      try encode(into: &single)
    }
  }

  private func encode(into single: inout any SingleValueEncodingContainer) throws {
    switch self {
    case .bool(let value): try single.encode(value)
    case .integer(let value): try single.encode(value)
    case .unsigned(let value): try single.encode(value)
    case .number(let value): try single.encode(value)
    case .string(let value): try single.encode(value)
    case .null, .array, .object: try single.encodeNil()
    }
  }
}
