// Reassembler: puts split messages together again, within bounds that no sender can stretch.

/// What came of a piece.
enum PieceOutcome {
  /// More pieces are to come.
  case kept
  /// The message is whole: the slot to read it from, and then to release.
  case whole(Int)
  /// Already had.
  case duplicate
  /// It contradicts the other pieces or itself.
  case malformed
}

/// The messages that are being put together.
///
/// Only pieces that show the cookie we gave to their sender come here, so whoever sends one receives at the address it
/// sends from. A sender has at most `perSource` unfinished messages, all senders together `slotLimit`; beyond that the
/// oldest unfinished one of the same sender goes, then the oldest of all. A message's buffer is its claimed size, at
/// most
/// 64 KiB, and counts within these limits whether filled or not.
struct Reassembler: ~Copyable {
  /// The largest message that may be split.
  static let largestMessage = 65_536
  static let smallestPiece = 256

  struct Slot {
    var source: Address
    var message: UInt64
    var total: Int
    var pieceSize: Int
    var received: [4 of UInt64]
    var missing: Int
    var deadline: Instant
    var buffer: UnsafeMutableRawPointer
    var inUse: Bool
  }

  private(set) var slots: [Slot] = []
  private var last = 0
  private var finished: [(Address, UInt64)] = []
  private var finishedNext = 0
  let slotLimit: Int
  let perSource: Int
  let timeout: Duration
  private(set) var expired: UInt64 = 0
  private(set) var pushedOut: UInt64 = 0
  /// How many unfinished messages there are.
  private(set) var unfinished = 0

  init(slotLimit: Int = 64, perSource: Int = 32, timeout: Duration = .seconds(3)) {
    self.slotLimit = slotLimit
    self.perSource = perSource
    self.timeout = timeout
  }

  deinit { for slot in slots { slot.buffer.deallocate() } }

  /// When the first unfinished message runs out of time.
  var nextDeadline: Instant? {
    var first: Instant?
    for slot in slots where slot.inUse { first = min(first ?? slot.deadline, slot.deadline) }
    return first
  }

  /// Takes a piece in.
  mutating func add(
    from source: Address, message: UInt64, total: Int, pieceSize: Int, index: Int, data: RawSpan, at now: Instant
  ) -> PieceOutcome {
    guard total > 0, total <= Self.largestMessage, pieceSize >= Self.smallestPiece else { return .malformed }
    let pieces = (total + pieceSize - 1) / pieceSize
    guard pieces <= 256, index >= 0, index < pieces else { return .malformed }
    let offset = index * pieceSize
    guard data.byteCount == min(pieceSize, total - offset) else { return .malformed }
    let place: Int
    if let known = find(source, message) {
      place = known
    } else {
      if finished.contains(where: { $0.1 == message && $0.0 == source }) { return .duplicate }
      place = open(source, message, total, pieceSize, pieces, now)
    }
    guard slots[place].total == total, slots[place].pieceSize == pieceSize else { return .malformed }
    let bit = UInt64(1) << UInt64(index & 63)
    guard slots[place].received[index >> 6] & bit == 0 else { return .duplicate }
    slots[place].received[index >> 6] |= bit
    data.withUnsafeBytes { bytes in
      if let start = bytes.baseAddress {
        (slots[place].buffer + offset).copyMemory(from: start, byteCount: bytes.count)
      }
    }
    slots[place].missing -= 1
    return slots[place].missing == 0 ? .whole(place) : .kept
  }

  /// The message in a slot that is whole.
  func bytes(of place: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: slots[place].buffer, count: slots[place].total)
  }

  /// Gives a finished slot back, and remembers the message so that late copies of its pieces are known.
  mutating func release(_ place: Int) {
    let entry = (slots[place].source, slots[place].message)
    if finished.count < 32 { finished.append(entry) } else { finished[finishedNext] = entry }
    finishedNext = (finishedNext + 1) % 32
    free(place)
  }

  /// Forgets the unfinished messages whose time is up.
  mutating func expire(at now: Instant) {
    for place in slots.indices where slots[place].inUse && slots[place].deadline <= now {
      expired += 1
      free(place)
    }
    // Buffers that nobody uses any more go back, but for a few.
    while slots.count > 4, let slot = slots.last, !slot.inUse {
      slot.buffer.deallocate()
      slots.removeLast()
    }
    last = 0
  }

  private mutating func free(_ place: Int) {
    slots[place].inUse = false
    unfinished -= 1
  }

  private mutating func find(_ source: Address, _ message: UInt64) -> Int? {
    func matches(_ slot: Slot) -> Bool { slot.message == message && slot.inUse && slot.source == source }
    if last < slots.count, matches(slots[last]) { return last }
    for place in slots.indices where matches(slots[place]) {
      last = place
      return place
    }
    return nil
  }

  private mutating func open(
    _ source: Address, _ message: UInt64, _ total: Int, _ pieceSize: Int, _ pieces: Int, _ now: Instant
  ) -> Int {
    let place = freePlace(for: source)
    slots[place].source = source
    slots[place].message = message
    slots[place].total = total
    slots[place].pieceSize = pieceSize
    slots[place].received = [0, 0, 0, 0]
    slots[place].missing = pieces
    slots[place].deadline = now + timeout
    slots[place].inUse = true
    unfinished += 1
    last = place
    return place
  }

  private mutating func freePlace(for source: Address) -> Int {
    var mine = 0
    var oldestMine: Int?
    var oldest: Int?
    var unused: Int?
    for place in slots.indices {
      guard slots[place].inUse else {
        unused = unused ?? place
        continue
      }
      if oldest.map({ slots[place].deadline < slots[$0].deadline }) ?? true { oldest = place }
      guard slots[place].source == source else { continue }
      mine += 1
      if oldestMine.map({ slots[place].deadline < slots[$0].deadline }) ?? true { oldestMine = place }
    }
    if mine >= perSource, let oldestMine {
      pushedOut += 1
      free(oldestMine)
      return oldestMine
    }
    if let unused { return unused }
    if slots.count >= slotLimit, let victim = oldestMine ?? oldest {
      pushedOut += 1
      free(victim)
      return victim
    }
    slots.append(
      Slot(
        source: source, message: 0, total: 0, pieceSize: 0, received: [0, 0, 0, 0], missing: 0,
        deadline: Instant(nanoseconds: 0),
        buffer: .allocate(byteCount: Self.largestMessage, alignment: 8), inUse: false))
    return slots.count - 1
  }
}
