// ChunkMap: which chunks of a file are there, a bit each.
import StackCore

/// A set of chunks `0 ..< count`.
struct ChunkMap: Sendable, Hashable {
  /// How many chunks the file has.
  let count: Int
  /// How many of them are in the set.
  private(set) var held = 0
  private var words: [UInt64]

  /// The empty set, of a file with so many chunks.
  init(count: Int) {
    self.count = max(0, count)
    words = Array(repeating: 0, count: (self.count + 63) / 64)
  }

  /// Whether every chunk is in it.
  var isWhole: Bool { held == count }

  /// Whether a chunk is in it; false of one that the file doesn't have.
  subscript(_ chunk: Int) -> Bool {
    chunk >= 0 && chunk < count && words[chunk >> 6] >> UInt64(chunk & 63) & 1 != 0
  }

  /// Adds a chunk.
  mutating func insert(_ chunk: Int) {
    guard chunk >= 0, chunk < count, !self[chunk] else { return }
    words[chunk >> 6] |= 1 << UInt64(chunk & 63)
    held += 1
  }

  /// Adds a run of chunks.
  mutating func insert(_ chunks: Range<Int>) {
    let chunks = chunks.clamped(to: 0..<count)
    var chunk = chunks.lowerBound
    while chunk < chunks.upperBound {
      let end = min((chunk | 63) + 1, chunks.upperBound)
      let bits = (end - chunk == 64 ? UInt64.max : (1 << UInt64(end - chunk)) - 1) << UInt64(chunk & 63)
      held += (bits & ~words[chunk >> 6]).nonzeroBitCount
      words[chunk >> 6] |= bits
      chunk = end
    }
  }

  /// Takes a chunk out.
  mutating func remove(_ chunk: Int) {
    guard self[chunk] else { return }
    words[chunk >> 6] &= ~(1 << UInt64(chunk & 63))
    held -= 1
  }

  /// The first chunk at or after a place that is in the set, or that isn't; nil when there is none.
  func first(_ isHeld: Bool, from start: Int) -> Int? {
    var chunk = max(0, start)
    while chunk < count {
      let word = isHeld ? words[chunk >> 6] : ~words[chunk >> 6]
      let rest = word >> UInt64(chunk & 63)
      if rest != 0 {
        chunk += rest.trailingZeroBitCount
        return chunk < count ? chunk : nil
      }
      chunk = (chunk | 63) + 1
    }
    return nil
  }

  /// The first chunk at or after a place that is in another set of the same file and not in this one.
  func firstMissing(from start: Int, in other: ChunkMap) -> Int? {
    let end = min(count, other.count)
    var chunk = max(0, start)
    while chunk < end {
      let rest = (other.words[chunk >> 6] & ~words[chunk >> 6]) >> UInt64(chunk & 63)
      if rest != 0 { return chunk + rest.trailingZeroBitCount }
      chunk = (chunk | 63) + 1
    }
    return nil
  }

  /// The runs of chunks in the set (or of those that aren't), in order, at most `limit`.
  func runs(_ isHeld: Bool = true, limit: Int = .max) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var place = 0
    while result.count < limit, let start = first(isHeld, from: place) {
      let end = first(!isHeld, from: start) ?? count
      result.append(start..<end)
      place = end
    }
    return result
  }

  /// The runs as numbers for the wire: each time how many are missing and how many follow that are there.
  func lengths(limit: Int = .max) -> [UInt64] {
    var numbers: [UInt64] = []
    var place = 0
    for run in runs(limit: limit) {
      numbers.append(UInt64(run.lowerBound - place))
      numbers.append(UInt64(run.count))
      place = run.upperBound
    }
    return numbers
  }

  /// Reads what `lengths` wrote; nil when it leads out of the file.
  init?(lengths: [UInt64], count: Int) {
    self.init(count: count)
    guard lengths.count % 2 == 0 else { return nil }
    var place: UInt64 = 0
    for pair in stride(from: 0, to: lengths.count, by: 2) {
      let (missing, there) = (lengths[pair], lengths[pair + 1])
      guard missing <= UInt64(self.count) - place, there <= UInt64(self.count) - place - missing else { return nil }
      insert(Int(place + missing)..<Int(place + missing + there))
      place += missing + there
    }
  }

  /// The set as bytes to keep: its runs, or its bits where those take less.
  var stored: [UInt8] {
    var writer = WireWriter()
    let numbers = lengths(limit: words.count)
    // A run takes two bytes at the least.
    if numbers.count < words.count * 2 {
      writer.writeVarint(0)
      for number in numbers { writer.writeVarint(number) }
    } else {
      writer.writeVarint(1)
      for word in words { writer.writeFixed64(word) }
    }
    return writer.copied()
  }

  /// Reads what `stored` wrote; nil when it is of another file or damaged.
  init?(stored: [UInt8], count: Int) {
    var reader = WireReader(stored.span.bytes)
    do throws(WireError) {
      if try reader.readVarint() == 0 {
        var numbers: [UInt64] = []
        while !reader.isAtEnd { numbers.append(try reader.readVarint()) }
        self.init(lengths: numbers, count: count)
        return
      }
      self.init(count: count)
      for place in words.indices { words[place] = try reader.readFixed64() }
      guard reader.isAtEnd else { return nil }
    } catch { return nil }
    if self.count & 63 != 0, let last = words.last, last >> UInt64(self.count & 63) != 0 { return nil }
    held = words.reduce(0) { $0 + $1.nonzeroBitCount }
  }
}
