// TraceHash: all that a simulated network did, as one number.

/// A running hash over everything delivered and dropped. Two runs with the same number did the same, byte for byte; it
/// is no defence against somebody who wants two runs to look alike.
struct TraceHash {
  private(set) var value: UInt64 = 0x9e37_79b9_7f4a_7c15

  @inline(__always) mutating func mix(_ word: UInt64) {
    let product = (value ^ word).multipliedFullWidth(by: 0xd6e8_feb8_6659_fd93)
    value = (product.high ^ product.low) &+ 0x2545_f491_4f6c_dd1d
  }

  @inline(__always) mutating func mix(_ bytes: UnsafeRawPointer, _ count: Int) {
    var at = 0
    while at + 8 <= count {
      mix(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)))
      at += 8
    }
    var tail: UInt64 = 0
    while at < count {
      tail = tail << 8 | UInt64(bytes.load(fromByteOffset: at, as: UInt8.self))
      at += 1
    }
    mix(tail)
  }
}
