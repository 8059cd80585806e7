// LayerTalk: what the attacker says to the layers that come with Strata, and what their user asks of them.
import FuzzSupport
import StackCore
import Strata

/// All layers of the catalogue, with small limits, so that a short story reaches them.
func fullLayers(_ mode: UInt8) -> [(type: any ProtocolLayer.Type, section: JSON)] {
  let spreads = ["mongering", "flood", "tree", "tree"]
  let gossip: JSON = [
    "spread": .string(spreads[Int(mode & 3)]), "antiEntropy": "1s", "origins": 16, "gap": 8,
    "retention": ["originCount": 4, "count": 24],
  ]
  let routing: JSON = [
    "routeRumor": "2s", "mailbox": .bool(mode & 4 != 0), "messages": 16, "remembered": 256,
    "mailboxLimits": ["count": 4, "age": "30s"],
  ]
  let sections = ["gossip": gossip, "routing": routing]
  return Catalog.standard.map { ($0, sections[$0.manifest.name] ?? [:]) }
}

extension Story {
  /// The packet fields of all layers.
  private static let fields: [UInt32] = [1, 2, 3, 4, 64, 65, 66, 67, 68, 70, 71, 96, 97, 98, 99]
  /// Names that both sides know, so that messages meet.
  private static let names = ["node", "real", "a", "b", "c", "d", "e", "f"]

  /// One message of any layer, from an address of the attacker's or the real node's; or a command.
  mutating func talk(from who: Int) {
    let choice = Int(input.byte())
    if choice >= 248 { return command(choice & 7) }
    let number = Self.fields[choice % Self.fields.count]
    let count = Int(input.byte() & 15)
    var writer = WireWriter()
    writer.writeTag(number, .bytes)
    let start = writer.beginNested()
    for _ in 0..<count { writeField(&writer, depth: 0) }
    writer.endNested(start)
    if choice & 1 != 0 {
      // The mark by which a Strata node is known.
      writer.writeTag(34, .varint)
      writer.writeVarint(1)
    }
    node.receive(writer.copied(), from: who == 4 ? Self.realHome : attacker(who), at: now)
  }

  /// A field of a likely number and kind, perhaps with fields in it.
  private mutating func writeField(_ writer: inout WireWriter, depth: Int) {
    let shape = input.byte()
    let number = shape & 7 == 0 ? 32 + UInt32(input.byte() & 3) : UInt32(shape & 7)
    switch shape >> 3 & 7 {
    case 0, 1:
      writer.writeTag(number, .varint)
      writer.writeVarint(input.number(bytes: shape & 128 != 0 ? 5 : 1))
    case 2, 3:
      writer.writeTag(number, .bytes)
      writer.writeBytes(Array(Self.names[Int(input.byte() & 7)].utf8).span.bytes)
    case 4:
      writer.writeTag(number, .fixed64)
      writer.writeFixed64(input.number(bytes: shape & 128 != 0 ? 8 : 1))
    case 5:
      writer.writeTag(number, .bytes)
      writer.writeBytes(input.take(Int(input.byte())).span.bytes)
    case 6:
      writer.writeTag(number, .fixed32)
      writer.writeFixed32(UInt32(input.byte()))
    default:
      writer.writeTag(number, .bytes)
      let start = writer.beginNested()
      if depth < 2 { for _ in 0..<Int(input.byte() & 7) { writeField(&writer, depth: depth + 1) } }
      writer.endNested(start)
    }
  }

  private mutating func command(_ choice: Int) {
    let name = JSON.string(Self.names[Int(input.byte() & 7)])
    switch choice {
    case 0, 1: node.call("gossip", "publish", ["text": name], at: now) { _ in }
    case 2: real.call("gossip", "publish", ["text": name], at: now) { _ in }
    case 3, 4: node.call("routing", "send", ["name": name, "text": "hello"], at: now) { _ in }
    case 5: real.call("routing", "send", ["name": name, "text": "hello"], at: now) { _ in }
    case 6: node.call("routing", "trace", ["name": name], at: now) { _ in }
    default: node.call("gossip", "rumors", [:], at: now) { _ in }
    }
  }
}
