// TimerQueue: what is to happen when, earliest first; a timer armed again moves, one cancelled is gone.

/// A queue of deadlines, each with an owner and the owner's own number for it. Equal deadlines go in the order armed.
///
/// A binary heap whose entries know their places, so that arming again and cancelling leave nothing stale behind.
struct TimerQueue {
  /// What a timer is for.
  struct Key {
    var owner: Int32
    var number: Int32
  }

  private struct Entry {
    var deadline: Instant
    var sequence: UInt64
    var key: Key
    /// Where the entry stands in the heap; -1 when it is free.
    var place: Int32
  }

  private var entries: [Entry] = []
  private var free: [Int32] = []
  private var heap: [Int32] = []
  private var sequence: UInt64 = 0

  /// How many timers are armed.
  var count: Int { heap.count }

  /// When the next one is due.
  var nextDeadline: Instant? { heap.first.map { entries[Int($0)].deadline } }

  /// Arms a timer and answers its ticket.
  mutating func arm(_ key: Key, at deadline: Instant) -> Int32 {
    sequence += 1
    let entry = Entry(deadline: deadline, sequence: sequence, key: key, place: Int32(heap.count))
    let ticket: Int32
    if let reused = free.popLast() {
      ticket = reused
      entries[Int(ticket)] = entry
    } else {
      ticket = Int32(entries.count)
      entries.append(entry)
    }
    heap.append(ticket)
    siftUp(heap.count - 1)
    return ticket
  }

  /// Gives an armed timer another deadline.
  mutating func move(_ ticket: Int32, to deadline: Instant) {
    sequence += 1
    entries[Int(ticket)].deadline = deadline
    entries[Int(ticket)].sequence = sequence
    let place = Int(entries[Int(ticket)].place)
    siftUp(place)
    siftDown(Int(entries[Int(ticket)].place))
  }

  /// Forgets an armed timer.
  mutating func cancel(_ ticket: Int32) {
    let place = Int(entries[Int(ticket)].place)
    remove(at: place)
  }

  /// Takes the earliest timer that is due at `now`.
  mutating func popDue(at now: Instant) -> Key? {
    guard let first = heap.first, entries[Int(first)].deadline <= now else { return nil }
    let key = entries[Int(first)].key
    remove(at: 0)
    return key
  }

  private mutating func remove(at place: Int) {
    let ticket = heap[place]
    entries[Int(ticket)].place = -1
    free.append(ticket)
    let last = heap.removeLast()
    if place < heap.count {
      put(last, at: place)
      siftUp(place)
      siftDown(Int(entries[Int(last)].place))
    }
  }

  private mutating func put(_ ticket: Int32, at place: Int) {
    heap[place] = ticket
    entries[Int(ticket)].place = Int32(place)
  }

  private func earlier(_ left: Int32, _ right: Int32) -> Bool {
    let a = entries[Int(left)]
    let b = entries[Int(right)]
    return a.deadline == b.deadline ? a.sequence < b.sequence : a.deadline < b.deadline
  }

  private mutating func siftUp(_ start: Int) {
    var place = start
    let ticket = heap[place]
    while place > 0 {
      let parent = (place - 1) / 2
      guard earlier(ticket, heap[parent]) else { break }
      put(heap[parent], at: place)
      place = parent
    }
    put(ticket, at: place)
  }

  private mutating func siftDown(_ start: Int) {
    var place = start
    let ticket = heap[place]
    while true {
      var child = 2 * place + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, earlier(heap[child + 1], heap[child]) { child += 1 }
      guard earlier(heap[child], ticket) else { break }
      put(heap[child], at: place)
      place = child
    }
    put(ticket, at: place)
  }
}
