// ByteSearch: where a word stands in a text, eight bytes at a step, and never worse than linear.
import StackCore

/// Looks for one word. Steps with its first and last byte, eight places at once; where these say yes too often, it goes
/// on by Knuth, Morris and Pratt, so that no text can make it slow.
struct ByteSearch: Sendable {
  let needle: [UInt8]
  /// For each length that has matched, how much of it still does when the next byte doesn't.
  private let fallback: [UInt32]

  init(_ needle: [UInt8]) {
    self.needle = needle
    var fallback: [UInt32] = [0]
    var length = 0
    for place in needle.indices.dropFirst() {
      while length > 0, needle[place] != needle[length] { length = Int(fallback[length - 1]) }
      if needle[place] == needle[length] { length += 1 }
      fallback.append(UInt32(length))
    }
    self.fallback = fallback
  }

  /// Whether it stands anywhere in a text.
  func isIn(_ text: [UInt8]) -> Bool { text.withUnsafeBytes { find(in: $0, from: 0, to: $0.count) >= 0 } }

  /// How often it stands in a stretch of a text, not counting what overlaps.
  func count(in text: UnsafeRawBufferPointer, _ stretch: Range<Int>) -> Int {
    var count = 0
    var place = stretch.lowerBound
    while case let hit = find(in: text, from: place, to: stretch.upperBound), hit >= 0 {
      count += 1
      place = hit + needle.count
    }
    return count
  }

  /// The first place in `from ..< to` where it stands whole; -1 when there is none.
  func find(in text: UnsafeRawBufferPointer, from: Int, to: Int) -> Int {
    let count = needle.count
    guard count > 0, from >= 0, to <= text.count, to - from >= count else { return -1 }
    return needle.withUnsafeBytes { needle in
      let first = UInt64(needle[0]) &* 0x0101_0101_0101_0101
      let last = UInt64(needle[count - 1]) &* 0x0101_0101_0101_0101
      let end = to - count + 1
      var place = from
      // What may be spent on comparing before it counts as too often: some for each byte passed.
      var spent = 0
      while place + 8 <= end {
        let heads = UInt64(littleEndian: text.loadUnaligned(fromByteOffset: place, as: UInt64.self)) ^ first
        let tails = UInt64(littleEndian: text.loadUnaligned(fromByteOffset: place + count - 1, as: UInt64.self)) ^ last
        var hits = Self.zeroBytes(heads | tails)
        while hits != 0 {
          let at = place + hits.trailingZeroBitCount / 8
          let same = Self.common(needle, text, at)
          if same == count { return at }
          spent += same + 1
          hits &= hits &- 1
        }
        place += 8
        if spent > 4 * (place - from) + 64 { return goOn(needle, text, from: place, to: to) }
      }
      return goOn(needle, text, from: place, to: to)
    }
  }

  /// The top bit of each byte that is 0. A 1 above a 0 may be marked too; every mark is looked at anyway.
  private static func zeroBytes(_ word: UInt64) -> UInt64 {
    (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
  }

  private static func common(_ needle: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer, _ at: Int) -> Int {
    var same = 0
    while same < needle.count, needle[same] == text[at + same] { same += 1 }
    return same
  }

  private func goOn(
    _ needle: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer, from: Int, to: Int
  ) -> Int {
    var matched = 0
    var place = from
    while place < to {
      while matched > 0, needle[matched] != text[place] { matched = Int(fallback[matched - 1]) }
      if needle[matched] == text[place] { matched += 1 }
      place += 1
      if matched == needle.count { return place - matched }
    }
    return -1
  }
}
