// OrderedBytes: a table from byte strings to values, kept in the byte order of its keys.

/// A value type that maps keys of bytes to values, ordered as bytes are compared (a prefix comes first).
///
/// Pairs stand in blocks of at most 128, sorted, and the blocks in one array. Looking up costs two binary searches and
/// changing one moves at most a block, so a million keys are no burden; an empty table has allocated nothing.
public struct OrderedBytes<Value> {
  /// A run of neighbouring pairs.
  fileprivate struct Block {
    var keys: [[UInt8]]
    var values: [Value]
  }

  /// Where a pair is: never past the end of a block, but `block == blocks.count` is the end of the table.
  private struct Position {
    var block: Int
    var index: Int
  }

  private var blocks: [Block] = []
  /// How many pairs there are.
  public private(set) var count = 0

  private static var most: Int { 128 }

  /// A table without pairs.
  public init() {}

  /// The value under a key.
  public subscript(key: [UInt8]) -> Value? {
    let place = lowerBound(key)
    guard place.block < blocks.count, blocks[place.block].keys[place.index] == key else { return nil }
    return blocks[place.block].values[place.index]
  }

  /// Keeps a value under a key; answers the one that was there.
  @discardableResult
  public mutating func set(_ key: [UInt8], _ value: Value) -> Value? {
    guard !blocks.isEmpty else {
      blocks.append(Block(keys: [key], values: [value]))
      count = 1
      return nil
    }
    let block = home(of: key)
    let index = blocks[block].keys.lowerBound(key)
    if index < blocks[block].keys.count, blocks[block].keys[index] == key {
      let old = blocks[block].values[index]
      blocks[block].values[index] = value
      return old
    }
    blocks[block].keys.insert(key, at: index)
    blocks[block].values.insert(value, at: index)
    count += 1
    if blocks[block].keys.count > Self.most { split(block) }
    return nil
  }

  /// Forgets a key; answers the value that was there.
  @discardableResult
  public mutating func remove(_ key: [UInt8]) -> Value? {
    let place = lowerBound(key)
    guard place.block < blocks.count, blocks[place.block].keys[place.index] == key else { return nil }
    blocks[place.block].keys.remove(at: place.index)
    let old = blocks[place.block].values.remove(at: place.index)
    count -= 1
    join(place.block)
    return old
  }

  /// Calls `body` for each pair in `from ..< upTo` (`upTo` nil: to the end), in order or backwards, until it answers
  /// false or `limit` pairs were shown.
  public func scan(
    from: [UInt8], upTo: [UInt8]? = nil, reversed: Bool = false, limit: Int = .max,
    _ body: (_ key: [UInt8], _ value: Value) -> Bool
  ) {
    if reversed {
      scanBackwards(from: from, upTo: upTo, limit: limit, body)
    } else {
      scanForwards(from: from, upTo: upTo, limit: limit, body)
    }
  }

  private func scanForwards(
    from: [UInt8], upTo: [UInt8]?, limit: Int, _ body: (_ key: [UInt8], _ value: Value) -> Bool
  ) {
    var place = lowerBound(from)
    var left = limit
    while left > 0, place.block < blocks.count {
      let key = blocks[place.block].keys[place.index]
      if let upTo, !precedes(key, upTo) { return }
      guard body(key, blocks[place.block].values[place.index]) else { return }
      left -= 1
      place.index += 1
      if place.index == blocks[place.block].keys.count { place = Position(block: place.block + 1, index: 0) }
    }
  }

  private func scanBackwards(
    from: [UInt8], upTo: [UInt8]?, limit: Int, _ body: (_ key: [UInt8], _ value: Value) -> Bool
  ) {
    var place = upTo.map(lowerBound) ?? Position(block: blocks.count, index: 0)
    var left = limit
    while left > 0 {
      if place.index == 0 {
        guard place.block > 0 else { return }
        place = Position(block: place.block - 1, index: blocks[place.block - 1].keys.count)
      }
      place.index -= 1
      let key = blocks[place.block].keys[place.index]
      if precedes(key, from) { return }
      guard body(key, blocks[place.block].values[place.index]) else { return }
      left -= 1
    }
  }

  /// The last block that begins at or before a key (or the first).
  private func home(of key: [UInt8]) -> Int {
    var low = 0
    var high = blocks.count
    while low < high {
      let middle = (low + high) / 2
      if precedes(key, blocks[middle].keys[0]) { high = middle } else { low = middle + 1 }
    }
    return Swift.max(0, low - 1)
  }

  /// Where the first pair at or after a key is.
  private func lowerBound(_ key: [UInt8]) -> Position {
    guard !blocks.isEmpty else { return Position(block: 0, index: 0) }
    let block = home(of: key)
    let index = blocks[block].keys.lowerBound(key)
    return index < blocks[block].keys.count
      ? Position(block: block, index: index) : Position(block: block + 1, index: 0)
  }

  /// Divides a block that has grown too large. At the end of the table it keeps most, for keys that come in order.
  private mutating func split(_ block: Int) {
    let size = blocks[block].keys.count
    let cut = block == blocks.count - 1 ? size * 7 / 8 : size / 2
    let tail = Block(keys: Array(blocks[block].keys[cut...]), values: Array(blocks[block].values[cut...]))
    blocks[block].keys.removeSubrange(cut...)
    blocks[block].values.removeSubrange(cut...)
    blocks.insert(tail, at: block + 1)
  }

  /// Drops a block that has become empty, and joins one that has become small with its neighbour.
  private mutating func join(_ block: Int) {
    let size = blocks[block].keys.count
    if size == 0 {
      blocks.remove(at: block)
    } else if size < Self.most / 4, block + 1 < blocks.count, size + blocks[block + 1].keys.count <= Self.most / 2 {
      let next = blocks.remove(at: block + 1)
      blocks[block].keys.append(contentsOf: next.keys)
      blocks[block].values.append(contentsOf: next.values)
    }
  }
}

extension OrderedBytes.Block: Sendable where Value: Sendable {}
extension OrderedBytes: Sendable where Value: Sendable {}

extension Array where Element == [UInt8] {
  /// The index of the first key that is not before another, in an array that is sorted.
  fileprivate func lowerBound(_ key: [UInt8]) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if precedes(self[middle], key) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// Whether one byte string stands before another: byte by byte, and a prefix before what is longer.
func precedes(_ left: [UInt8], _ right: [UInt8]) -> Bool {
  left.withUnsafeBytes { left in
    right.withUnsafeBytes { right in
      let shared = min(left.count, right.count)
      var at = 0
      // Eight at a time: read as one big-endian number, they compare as the bytes do.
      while at + 8 <= shared {
        let one = UInt64(bigEndian: left.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        let other = UInt64(bigEndian: right.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        if one != other { return one < other }
        at += 8
      }
      while at < shared {
        if left[at] != right[at] { return left[at] < right[at] }
        at += 1
      }
      return left.count < right.count
    }
  }
}
