// FuzzText: any text as an address, a duration, a size and hex: refused, or written back to the same value.
import FuzzSupport
import StackCore

/// What libFuzzer calls with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzText(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: start == nil ? 0 : count))
  let text = String(decoding: bytes, as: UTF8.self)
  if let address = Address(text) {
    promise(Address(address.description) == address, "the address \(text) is written \(address)")
    promise(Address(host: address.host, port: address.port) == address, "the host of \(text) is \(address.host)")
  }
  if let duration = Duration(text: text) {
    promise(Duration(text: duration.text) == duration, "the duration \(text) is written \(duration.text)")
  }
  if let size = ByteCount(text: text) {
    promise(ByteCount(text: size.text) == size, "the size \(text) is written \(size.text)")
  }
  if let bytes = [UInt8](hex: text) {
    promise([UInt8](hex: bytes.hex) == bytes, "the bytes \(text) are written \(bytes.hex)")
  }
  if let hash = Hash256(hex: text) {
    promise(hash.hex == bytes.hex || Hash256(hex: hash.hex) == hash, "the hash \(text)")
  }
  _ = nearest(text, among: ["gossip", "routing", "interval", ""])
  return 0
}
