// FuzzWire: any bytes to the wire reader, to a message with every kind of field, and to a node's front door.
import FuzzSupport
import StackCore

/// What libFuzzer calls with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzWire(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: start == nil ? 0 : count))
  walk(WireReader(bytes.span.bytes), deep: 0)
  roundTrip(bytes)
  frontDoor(bytes)
  return 0
}

/// Reads every field in every way its wire type allows.
private func walk(_ start: WireReader, deep: Int) {
  var reader = start
  var left = reader.remaining
  do throws(WireError) {
    while let tag = try reader.nextTag() {
      promise(tag.number >= 1 && tag.number < 1 << 29, "field number \(tag.number)")
      if tag.type == .bytes {
        var copy = reader
        _ = try? copy.readString()
        copy = reader
        if deep < 6, let nested = try? copy.readNested() { walk(nested, deep: deep + 1) }
      }
      try reader.skip(tag)
      promise(reader.remaining >= 0 && reader.remaining < left, "a field of no length")
      left = reader.remaining
    }
  } catch { promise(reader.remaining >= 0, "the cursor has left the bytes") }
}

/// What can be read is written the same every time, and read back as it was.
private func roundTrip(_ bytes: [UInt8]) {
  guard let message = try? Everything(decoding: bytes) else { return }
  let once = message.encoded()
  guard let again = try? Everything(decoding: once) else { return promise(false, "what was written can't be read") }
  promise(again.encoded() == once, "what was read back is written otherwise")
}

/// A node that never spoke with the sender takes it as a datagram, and goes on.
private func frontDoor(_ bytes: [UInt8]) {
  let node = fuzzNode("door", at: Address(ipv4: 0x0a00_0002, port: 2), peerster: bytes.count & 1 == 0)
  let stranger = Address(ipv4: 0x0a00_0003, port: 3)
  _ = node.takeDatagrams()
  node.receive(bytes, from: stranger, at: Instant(nanoseconds: 1))
  node.checkPromises()
  let answers = node.takeDatagrams()
  let size = answers.reduce(0) { $0 + $1.bytes.count }
  promise(size <= 512 + 64 * bytes.count, "\(bytes.count) bytes were answered by \(size)")
  promise(answers.count <= 4 + bytes.count / 2, "\(bytes.count) bytes were answered by \(answers.count) datagrams")
}
