// Random: the seeded streams that every chance decision comes from, and the keyed hash behind cookies.

/// One stream of random numbers (xoshiro256**): the same seed gives the same numbers on every machine and in every
/// build.
@frozen public struct RandomStream: RandomNumberGenerator, Sendable {
  @usableFromInline var s0: UInt64
  @usableFromInline var s1: UInt64
  @usableFromInline var s2: UInt64
  @usableFromInline var s3: UInt64

  /// The stream of a seed.
  public init(seed: UInt64) {
    var state = seed
    s0 = Self.splitMix(&state)
    s1 = Self.splitMix(&state)
    s2 = Self.splitMix(&state)
    s3 = Self.splitMix(&state)
  }

  /// The stream that belongs to a name under a seed, so that each layer of each node draws its own.
  ///
  /// Four numbers in a row give a stream's state away, and by it the seed it began with. So that seed is a keyed hash
  /// of the name: who sees the numbers of one name learns nothing of the node's seed, nor of any other name's stream.
  public init(seed: UInt64, name: String) {
    self.init(seed: SipKey(k0: seed, k1: 0).hash([stableHash(name.utf8), UInt64(name.utf8.count), 0]))
  }

  private static func splitMix(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// The next 64 random bits.
  @inlinable public mutating func next() -> UInt64 {
    let product = s1 &* 5
    let result = ((product << 7) | (product >> 57)) &* 9
    let t = s1 << 17
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= t
    s3 = (s3 << 45) | (s3 >> 19)
    return result
  }

  /// A number in `0 ..< bound`, each as likely (by Lemire's multiplication; the same in every build).
  @inlinable public mutating func next(below bound: UInt64) -> UInt64 {
    precondition(bound > 0, "a random number below 0")
    var (high, low) = next().multipliedFullWidth(by: bound)
    if low < bound {
      let threshold = (0 &- bound) % bound
      while low < threshold { (high, low) = next().multipliedFullWidth(by: bound) }
    }
    return high
  }

  /// A number in `0 ..< 1`.
  @inlinable public mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }
}

/// A hash that is the same on every machine and in every run (FNV-1a), for seeds and traces; not against an adversary.
public func stableHash(_ bytes: some Sequence<UInt8>) -> UInt64 {
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
  return hash
}

/// SipHash-2-4 of whole words under a key: an unguessable mark for an address, without keeping a table.
struct SipKey: Sendable {
  let k0: UInt64
  let k1: UInt64

  init(k0: UInt64, k1: UInt64) {
    self.k0 = k0
    self.k1 = k1
  }

  /// The key that belongs to a name under a seed; its stream is used for nothing else.
  init(seed: UInt64, name: String) {
    var stream = RandomStream(seed: seed, name: name)
    k0 = stream.next()
    k1 = stream.next()
  }

  func hash(_ words: [3 of UInt64]) -> UInt64 {
    var v0 = k0 ^ 0x736f_6d65_7073_6575
    var v1 = k1 ^ 0x646f_7261_6e64_6f6d
    var v2 = k0 ^ 0x6c79_6765_6e65_7261
    var v3 = k1 ^ 0x7465_6462_7974_6573
    func rotate(_ x: UInt64, _ n: UInt64) -> UInt64 { (x << n) | (x >> (64 - n)) }
    func round() {
      v0 &+= v1
      v1 = rotate(v1, 13) ^ v0
      v0 = rotate(v0, 32)
      v2 &+= v3
      v3 = rotate(v3, 16) ^ v2
      v0 &+= v3
      v3 = rotate(v3, 21) ^ v0
      v2 &+= v1
      v1 = rotate(v1, 17) ^ v2
      v2 = rotate(v2, 32)
    }
    for index in words.indices {
      v3 ^= words[index]
      round()
      round()
      v0 ^= words[index]
    }
    let last = UInt64(24) << 56
    v3 ^= last
    round()
    round()
    v0 ^= last
    v2 ^= 0xff
    for _ in 0..<4 { round() }
    return v0 ^ v1 ^ v2 ^ v3
  }
}
