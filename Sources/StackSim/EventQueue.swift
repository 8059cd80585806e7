// EventQueue: what happens next in a simulation, by time and then by order of coming.

/// Something that is to happen.
struct QueuedEvent {
  /// What sort of thing it is.
  enum Kind: UInt8 { case delivery, wake, action, start, check, resume }

  var time: Int64
  /// The order among those of one time, and in its low bits the kind.
  private var order: UInt64
  /// Which datagram, node or action.
  var index: Int32

  init(time: Int64, sequence: UInt64, kind: Kind, index: Int32) {
    self.time = time
    order = sequence << 3 | UInt64(kind.rawValue)
    self.index = index
  }

  var kind: Kind { Kind(rawValue: UInt8(truncatingIfNeeded: order & 7)) ?? .check }

  @inline(__always) static func precedes(_ left: QueuedEvent, _ right: QueuedEvent) -> Bool {
    left.time == right.time ? left.order < right.order : left.time < right.time
  }
}

/// What is to happen, in three parts, so that most of it lies still: a small heap of what comes at once, a wheel of
/// slots that are only sorted when their time has come, and a heap of what is farther away than the wheel is round.
struct EventQueue: ~Copyable {
  /// Events of one stretch of time, in no order.
  private struct Slot {
    var events: [QueuedEvent] = []
  }
  /// A slot is 2^17 ns (131 µs) long, and the wheel 134 ms round: longer than most links.
  private static let shift: Int64 = 17
  private static let slotCount: Int64 = 1024

  private var near = EventHeap()
  private var far = EventHeap()
  private var slots = [Slot](repeating: Slot(), count: Int(slotCount))
  private var inSlots = 0
  /// The first slot that is not in `near` yet, counted from the beginning of time.
  private var first: Int64 = 0
  private var sequence: UInt64 = 0

  /// How much is to happen.
  var count: Int { near.count + inSlots + far.count }

  /// When the next thing happens; nil when nothing will.
  var nextTime: Int64? { near.nextTime }

  mutating func push(_ kind: QueuedEvent.Kind, _ index: Int32, at time: Int64) {
    sequence += 1
    place(QueuedEvent(time: time, sequence: sequence, kind: kind, index: index))
    if near.count == 0 { fetch() }
  }

  /// Takes the next event. There must be one.
  mutating func pop() -> QueuedEvent {
    let event = near.pop()
    if near.count == 0 { fetch() }
    return event
  }

  private mutating func place(_ event: QueuedEvent) {
    let slot = event.time >> Self.shift
    if slot < first {
      near.push(event)
    } else if slot - first < Self.slotCount {
      slots[Int(slot & (Self.slotCount - 1))].events.append(event)
      inSlots += 1
    } else {
      far.push(event)
    }
  }

  /// Turns the wheel until something is near.
  private mutating func fetch() {
    while near.count == 0 {
      if inSlots == 0 {
        guard let time = far.nextTime else { return }
        first = max(first, time >> Self.shift)
      }
      while let time = far.nextTime, (time >> Self.shift) - first < Self.slotCount { place(far.pop()) }
      let slot = Int(first & (Self.slotCount - 1))
      first += 1
      inSlots -= slots[slot].events.count
      for event in slots[slot].events { near.push(event) }
      slots[slot].events.removeAll(keepingCapacity: slots[slot].events.count < 4096)
    }
  }
}

/// A heap with four children a place: shallower than a binary one, and the four stand side by side in memory.
struct EventHeap: ~Copyable {
  private var base: UnsafeMutablePointer<QueuedEvent>
  private var capacity: Int
  private(set) var count = 0

  init() {
    capacity = 256
    base = .allocate(capacity: capacity)
  }

  deinit { base.deallocate() }

  /// When the next thing happens; nil when nothing will.
  var nextTime: Int64? { count == 0 ? nil : base[0].time }

  mutating func push(_ event: QueuedEvent) {
    if count == capacity { grow() }
    var place = count
    count += 1
    while place > 0 {
      let parent = (place - 1) >> 2
      guard QueuedEvent.precedes(event, base[parent]) else { break }
      base[place] = base[parent]
      place = parent
    }
    base[place] = event
  }

  /// Takes the next event. There must be one.
  mutating func pop() -> QueuedEvent {
    precondition(count > 0)
    let first = base[0]
    count -= 1
    if count > 0 { sink(base[count]) }
    return first
  }

  /// Puts an event in from the top.
  private mutating func sink(_ event: QueuedEvent) {
    var place = 0
    while true {
      let start = (place << 2) + 1
      guard start < count else { break }
      var best = start
      let end = min(start + 4, count)
      var child = start + 1
      while child < end {
        if QueuedEvent.precedes(base[child], base[best]) { best = child }
        child += 1
      }
      guard QueuedEvent.precedes(base[best], event) else { break }
      base[place] = base[best]
      place = best
    }
    base[place] = event
  }

  private mutating func grow() {
    let larger = UnsafeMutablePointer<QueuedEvent>.allocate(capacity: capacity * 2)
    larger.update(from: base, count: count)
    base.deallocate()
    base = larger
    capacity *= 2
  }
}
