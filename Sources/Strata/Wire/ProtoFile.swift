// ProtoFile: the .proto file of all registered messages, for any protobuf tool and for Wireshark.
import StackCore
import StackRuntime

/// Prints messages as a .proto file.
struct ProtoFile {
  /// The messages printed so far, each with the name that it got.
  private var named: [(schema: WireSchema, name: String)] = []
  /// Names that are taken.
  private var taken: [String] = ["Packet"]
  private var lines: [String] = []
  private var layer = ""

  /// The text of the file for a packet's fields.
  static func text(_ fields: [PacketField], program: String) -> String {
    var file = ProtoFile()
    var packet: [(number: UInt32, line: String)] = []
    for field in fields {
      file.layer = field.layer
      let name = file.name(of: field.schema)
      packet.append((field.number, "  \(name) \(identifier(field.name)) = \(field.number);  // \(field.layer)"))
    }
    let mark = PacketField.capability
    packet.append((mark.number, "  optional uint64 \(mark.name) = \(mark.number);  // core"))
    var text = [
      "// All messages of \(program), as `\(program) proto` prints them. One datagram is one Packet.",
      "syntax = \"proto3\";", "", "package strata;", "", "message Packet {",
    ]
    text += packet.sorted { $0.number < $1.number }.map(\.line)
    return (text + ["}"] + file.lines).joined(separator: "\n") + "\n"
  }

  /// The name of a message, which is printed when it is met for the first time.
  private mutating func name(of schema: WireSchema) -> String {
    if let known = named.first(where: { $0.schema == schema }) { return known.name }
    let name = freeName(schema.name)
    named.append((schema, name))
    var body: [String] = []
    for field in schema.fields { body.append("  " + line(field, in: schema, name) + ";") }
    lines += ["", "message \(name) {"] + body + ["}"]
    return name
  }

  /// The message's own name, or with its layer's before it, or with a number behind it.
  private mutating func freeName(_ wanted: String) -> String {
    let plain = Self.identifier(wanted)
    let withLayer = Self.identifier(layer.prefix(1).uppercased() + layer.dropFirst() + plain)
    var number = 2
    var name = taken.contains(plain) ? withLayer : plain
    while taken.contains(name) {
      name = withLayer + "\(number)"
      number += 1
    }
    taken.append(name)
    return name
  }

  private mutating func line(_ field: WireFieldSchema, in schema: WireSchema, _ name: String) -> String {
    var type: String
    switch field.kind {
    case .value(let protoName): type = ProtoScalar(protoName).rawValue
    // A leading dot, for a field may be called like a message.
    case .message(let inner): type = ".strata." + self.name(of: inner)
    case .recursion(let message):
      let known = message == schema.name ? name : named.last { $0.schema.name == message }?.name ?? message
      type = ".strata." + Self.identifier(known)
    }
    switch (field.presence, field.kind) {
    case (.repeated, _): type = "repeated " + type
    case (.optional, .value): type = "optional " + type
    default: break
    }
    return "\(type) \(Self.identifier(field.name)) = \(field.number)"
  }

  /// A name in the letters that a .proto file has.
  private static func identifier(_ name: String) -> String {
    let text = String(
      name.map { $0.isASCII && ($0.isLetter || $0.isNumber) || $0 == "_" ? $0 : "_" })
    return text.first.map { $0.isLetter || $0 == "_" } ?? false ? text : "_" + text
  }
}
