// PacketSchema: the packet as one message, each field of which is a registered message.
import StackCore

/// A registered message in its field of the packet.
package struct PacketField {
  /// The field's number.
  package var number: UInt32
  /// Who registered it.
  package var layer: String
  /// What it holds.
  package var schema: WireSchema
  /// Its name in the packet: the message's, with a small first letter, and unique.
  package var name: String
}

extension PacketField {
  /// The fields of all messages, by number, of which two of one number are one; names are unique.
  package static func of(_ messages: [MessageDescription]) -> [PacketField] {
    var fields: [PacketField] = []
    for message in messages.sorted(by: { $0.number < $1.number }) where fields.last?.number != message.number {
      var name = lowered(message.schema.name)
      if taken(name, fields) { name = message.layer + message.schema.name }
      if taken(name, fields) { name += "\(message.number)" }
      fields.append(PacketField(number: message.number, layer: message.layer, schema: message.schema, name: name))
    }
    return fields
  }

  /// The core's own mark, which is a number and no message.
  package static let capability = WireFieldSchema(
    number: 34, name: "capability", kind: .value(protoName: "uint64"), presence: .optional)

  private static func taken(_ name: String, _ fields: [PacketField]) -> Bool {
    name == capability.name || fields.contains { $0.name == name }
  }

  private static func lowered(_ name: String) -> String {
    // "TLCMessage" becomes "tlcMessage", "Rumor" becomes "rumor".
    let capitals = name.prefix { $0.isUppercase || $0.isNumber }.count
    let count = capitals > 1 && capitals < name.count ? capitals - 1 : capitals
    return name.prefix(count).lowercased() + name.dropFirst(count)
  }
}

extension WireSchema {
  /// The packet that holds these fields. A packet may hold several of one, so each is shown as a list when it does.
  package static func packet(_ fields: [PacketField]) -> WireSchema {
    var all = fields.map {
      WireFieldSchema(number: $0.number, name: $0.name, kind: .message($0.schema), presence: .optional)
    }
    all.append(PacketField.capability)
    return WireSchema(name: "Packet", fields: all.sorted { $0.number < $1.number })
  }
}
