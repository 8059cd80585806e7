// RoomTests: a layer that fills the outbox as it drains, and writes its messages in place.
import Testing

@testable import StackCore

/// Sends a hundred messages of 16 KiB, eight at a time, each time the outbox has drained.
private final class PouringLayer: ProtocolLayer {
  static let manifest = LayerManifest("pouring", "Sends much.")
  struct Blob: WireMessage {
    var data: [UInt8] = []
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "data", &data) }
  }
  private var left = 100
  private let data = [UInt8](repeating: 9, count: 16_384)

  init(config: NoConfig, setup: LayerSetup<PouringLayer>) { setup.sends(1000, Blob.self) }

  func start(_ context: borrowing LayerContext<PouringLayer>) { outboxDrained(context) }

  func outboxDrained(_ context: borrowing LayerContext<PouringLayer>) {
    for number in 0..<min(8, left) {
      left -= 1
      // What is expected may be too much, too little or right.
      let expected = [0, 200, 16_390, 1 << 22][number % 4]
      context.send(as: 1000, to: address(2, loopback: true), expecting: expected) { writer in
        writer.writeTag(1, .bytes)
        writer.writeVarint(UInt64(data.count))
        data.withUnsafeBytes { writer.writeRaw($0) }
      }
    }
    if left > 0 { context.callWhenDrained() }
  }
}

@Suite struct RoomTests {
  @Test func aLayerHearsWhenTheOutboxHasDrained() throws {
    var blueprint = NodeBlueprint(
      name: "a", address: address(1, loopback: true), layers: [(PouringLayer.self, [:])], seed: 1)
    blueprint.limits.outboxBytes = 1 << 18
    let node = try Node(blueprint, storage: NoStorage()) { _ in NoFiles() }
    node.start(at: Instant())
    var messages = 0
    var rounds = 0
    while node.hasOutgoing, rounds < 1_000 {
      rounds += 1
      #expect(node.outgoingBytes <= 9 * 16_500)
      for datagram in node.takeDatagrams() {
        messages += 1
        let bytes = datagram.bytes
        var reader = WireReader(bytes.span.bytes)
        _ = try reader.nextTag()
        let length = Int(try reader.readVarint())
        let isWhole = reader.remaining == length
        _ = try reader.nextTag()
        let count = Int(try reader.readVarint())
        let rest = reader.remaining
        #expect(isWhole && count == 16_384 && rest == count)
      }
    }
    #expect(messages == 100)
    #expect(node.dropped(.outboxFull) == 0)
  }
}
