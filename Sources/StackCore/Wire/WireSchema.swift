// WireSchema: what a message's fields are called and hold, for the .proto file and for showing packets to people.

/// One field of a message, as people see it.
public struct WireFieldSchema: Sendable, Hashable {
  /// What a field holds.
  public indirect enum Kind: Sendable, Hashable {
    /// A single value, by its name in a .proto file, and whether text or bytes are exactly 32 bytes.
    case value(protoName: String)
    case message(WireSchema)
    /// A message inside itself: named, not described again.
    case recursion(messageName: String)
  }
  /// How often it stands there.
  public enum Presence: Sendable, Hashable { case always, optional, repeated }

  /// As the message's own list of fields says.
  public var number: UInt32
  public var name: String
  public var kind: Kind
  public var presence: Presence

  /// A field.
  public init(number: UInt32, name: String, kind: Kind, presence: Presence) {
    self.number = number
    self.name = name
    self.kind = kind
    self.presence = presence
  }
}

/// A message's fields.
public struct WireSchema: Sendable, Hashable {
  /// The message's name.
  public var name: String
  public var fields: [WireFieldSchema]

  /// A message of these fields.
  public init(name: String, fields: [WireFieldSchema]) {
    self.name = name
    self.fields = fields
  }

  /// The schema of a message type.
  public static func of<M: WireMessage>(_: M.Type) -> WireSchema {
    var describer = FieldDescriber(enclosing: [M.messageName])
    var sample = M()
    // A message whose default is refused by its own rule is described up to there.
    try? sample.fields(&describer)
    return WireSchema(name: M.messageName, fields: describer.fields)
  }
}

/// Notes each field's number, name and type.
struct FieldDescriber: WireFields {
  let enclosing: [String]
  var fields: [WireFieldSchema] = []

  private mutating func note(
    _ number: UInt32, _ name: StaticString, _ kind: WireFieldSchema.Kind, _ presence: WireFieldSchema.Presence
  ) {
    precondition(
      number > (fields.last?.number ?? 0),
      "\(enclosing.last ?? ""): field \(number) (\(name)) must come before the fields with larger numbers")
    fields.append(.init(number: number, name: "\(name)", kind: kind, presence: presence))
  }

  private func kind<M: WireMessage>(of _: M.Type) -> WireFieldSchema.Kind {
    let name = M.messageName
    if enclosing.contains(name) { return .recursion(messageName: name) }
    var inner = FieldDescriber(enclosing: enclosing + [name])
    var sample = M()
    try? sample.fields(&inner)
    return .message(WireSchema(name: name, fields: inner.fields))
  }

  mutating func callAsFunction<V: WireValue>(
    _ number: UInt32, _ name: StaticString, _ value: inout V
  ) throws(WireError) { note(number, name, .value(protoName: V.protoName), .always) }

  mutating func callAsFunction<V: WireValue>(
    _ number: UInt32, _ name: StaticString, _ value: inout V?
  ) throws(WireError) { note(number, name, .value(protoName: V.protoName), .optional) }

  mutating func callAsFunction<V: WireValue>(
    _ number: UInt32, _ name: StaticString, _ values: inout [V], limit: Int
  ) throws(WireError) { note(number, name, .value(protoName: V.protoName), .repeated) }

  mutating func callAsFunction<M: WireMessage>(
    _ number: UInt32, _ name: StaticString, _ value: inout M
  ) throws(WireError) { note(number, name, kind(of: M.self), .always) }

  mutating func callAsFunction<M: WireMessage>(
    _ number: UInt32, _ name: StaticString, _ value: inout M?
  ) throws(WireError) { note(number, name, kind(of: M.self), .optional) }

  mutating func callAsFunction<M: WireMessage>(
    _ number: UInt32, _ name: StaticString, _ values: inout [M], limit: Int
  ) throws(WireError) { note(number, name, kind(of: M.self), .repeated) }
}
