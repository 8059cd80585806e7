// EventQueue: what happens next in a simulation: plain entries in a heap, by time and then by order of coming.

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

/// A heap with four children a place: shallower than a binary one, and the four stand side by side in memory.
struct EventQueue: ~Copyable {
  private var base: UnsafeMutablePointer<QueuedEvent>
  private var capacity: Int
  private(set) var count = 0
  private var sequence: UInt64 = 0

  init() {
    capacity = 1024
    base = .allocate(capacity: capacity)
  }

  deinit { base.deallocate() }

  /// When the next thing happens; nil when nothing will.
  var nextTime: Int64? { count == 0 ? nil : base[0].time }

  mutating func push(_ kind: QueuedEvent.Kind, _ index: Int32, at time: Int64) {
    if count == capacity { grow() }
    sequence += 1
    let event = QueuedEvent(time: time, sequence: sequence, kind: kind, index: index)
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
