// Outbox: the datagrams a node wants to send, encoded once, side by side, until the driver takes them.

/// One datagram, or one run of equal-sized datagrams, that waits in the outbox.
@frozen public struct OutgoingDatagrams: Sendable {
  /// Whom it goes to.
  public var destination: Address
  /// Where its first byte stands in the lent bytes.
  public internal(set) var offset: Int
  /// How many bytes it has in all.
  public var byteCount: Int
  /// When not 0: the bytes are datagrams of this size one after the other, the last may be shorter.
  public var segmentSize: Int
  /// Whether it may be cut by the network: only a message to a node that can't put split messages together.
  public var mayFragment: Bool

  /// How many datagrams it is.
  @inlinable public var count: Int {
    segmentSize == 0 ? 1 : (byteCount + segmentSize - 1) / segmentSize
  }
}

/// A bounded buffer of outgoing datagrams.
@usableFromInline struct Outbox: ~Copyable {
  @usableFromInline var writer: WireWriter
  @usableFromInline var entries: [OutgoingDatagrams] = []
  /// How many entries the driver has taken already.
  @usableFromInline var taken = 0
  @usableFromInline let limit: Int
  @usableFromInline let entryLimit: Int

  init(limit: Int) {
    self.limit = limit
    entryLimit = max(64, limit / 64)
    writer = WireWriter(limit: limit)
  }

  @usableFromInline var isEmpty: Bool { taken == entries.count }

  /// How many bytes wait.
  var waitingBytes: Int { isEmpty ? 0 : writer.count - entries[taken].offset }

  /// How many entries wait.
  var waiting: Int { entries.count - taken }

  /// Forgets what was taken; the memory stays for the next round, unless it was a rare burst.
  mutating func settle() {
    if isEmpty {
      entries.removeAll(keepingCapacity: entries.count <= 4096)
      taken = 0
      if writer.count > 1 << 20 { writer = WireWriter(limit: limit) } else { writer.truncate(to: 0) }
      return
    }
    // The rest of a long queue moves to the front once the gap is larger than what is left.
    let gap = entries[taken].offset
    guard taken > 0, gap > writer.count - gap else { return }
    writer.removeFirst(gap)
    entries.removeFirst(taken)
    taken = 0
    for index in entries.indices { entries[index].offset -= gap }
  }
}

extension WireWriter {
  /// Moves the bytes after the first `count` to the front.
  mutating func removeFirst(_ count: Int) {
    precondition(count >= 0 && count <= written)
    // Both ranges lie in this buffer; copyMemory allows them to overlap.
    base.copyMemory(from: base + count, byteCount: written - count)
    written -= count
    hasOverflowed = false
  }
}
