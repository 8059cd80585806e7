// Fingerprint: 128 bits that stand for what was seen of one origin; those of a range of origins are added up.
import PeersterVocabulary

/// A SipHash-2-4 of an origin's name and its next ID, with 128 bits, under a key.
///
/// Sums of these (modulo 2^128) change with one addition and one subtraction when an entry does, and can be taken over
/// any range. Under the key that everybody knows an adversary who chooses names can find two sets of one sum; so what
/// is equal by such a sum is looked at again, a bit at a time, under keys that nobody could know before
/// (`ClockRanges`).
struct Fingerprint {
  private let k0: UInt64
  private let k1: UInt64

  /// The key of the sums that are kept: the same everywhere, for they are compared.
  static let kept = Fingerprint(salt: 0)

  init(salt: UInt64) {
    k0 = salt ^ 0x243f_6a88_85a3_08d3
    k1 = salt &* 0x9e37_79b9_7f4a_7c15 ^ 0x1319_8a2e_0370_7344
  }

  /// The mark of an origin of which all IDs below `next` were seen.
  func mark(_ origin: WireText, _ next: UInt32) -> UInt128 {
    var state = State(k0, k1)
    let count = origin.bytes.count
    origin.bytes.withUnsafeBytes { bytes in
      var at = 0
      while at + 8 <= count {
        state.take(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)))
        at += 8
      }
      // The rest of the name with its length, so that no two names are one.
      var rest = UInt64(truncatingIfNeeded: count) << 56
      for place in at..<count { rest |= UInt64(bytes[place]) << UInt64((place - at) * 8) }
      state.take(rest)
    }
    state.take(UInt64(next) | 1 << 63)
    return state.finished()
  }

  private struct State {
    var v0: UInt64
    var v1: UInt64
    var v2: UInt64
    var v3: UInt64

    init(_ k0: UInt64, _ k1: UInt64) {
      v0 = k0 ^ 0x736f_6d65_7073_6575
      v1 = k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
      v2 = k0 ^ 0x6c79_6765_6e65_7261
      v3 = k1 ^ 0x7465_6462_7974_6573
    }

    @inline(__always) mutating func round() {
      v0 &+= v1
      v2 &+= v3
      v1 = (v1 << 13 | v1 >> 51) ^ v0
      v3 = (v3 << 16 | v3 >> 48) ^ v2
      v0 = v0 << 32 | v0 >> 32
      v2 &+= v1
      v0 &+= v3
      v1 = (v1 << 17 | v1 >> 47) ^ v2
      v3 = (v3 << 21 | v3 >> 43) ^ v0
      v2 = v2 << 32 | v2 >> 32
    }

    @inline(__always) mutating func take(_ word: UInt64) {
      v3 ^= word
      round()
      round()
      v0 ^= word
    }

    @inline(__always) mutating func finished() -> UInt128 {
      v2 ^= 0xee
      for _ in 0..<4 { round() }
      let low = v0 ^ v1 ^ v2 ^ v3
      v1 ^= 0xdd
      for _ in 0..<4 { round() }
      return UInt128(v0 ^ v1 ^ v2 ^ v3) << 64 | UInt128(low)
    }
  }
}
