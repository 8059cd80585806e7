// Mailbox: which messages are kept for origins out of reach, when each is tried next, and which has to give way.
import PeersterVocabulary
import StackCore

/// What a mailbox keeps, in the order in which it came. The messages themselves stand in storage under their numbers.
struct Mailbox {
  /// A message that is kept.
  struct Entry: Equatable {
    var number: UInt64
    var destination: WireText
    /// 0: it has none, and is sent once only.
    var messageID: UInt64
    var size: Int
    var at: Instant
    var tries = 0
    var lastSent: Instant?
    var due: Instant
  }

  var limits: MailboxLimits
  private(set) var entries: [Entry] = []
  private(set) var bytes = 0
  private var numbers: [UInt64: UInt64] = [:]

  init(limits: MailboxLimits) { self.limits = limits }

  /// Takes a message in, numbered higher than all before. Answers which others had to give way, the oldest first; nil
  /// when there is no place for it however many do, or it is kept already.
  mutating func add(_ entry: Entry) -> [Entry]? {
    guard entry.size <= limits.bytes.bytes, limits.count > 0, !has(entry.messageID) else { return nil }
    precondition(entry.number > (entries.last?.number ?? 0))
    entries.append(entry)
    bytes += entry.size
    if entry.messageID != 0 { numbers[entry.messageID] = entry.number }
    return shrink()
  }

  /// Lets the oldest go until all limits are kept.
  mutating func shrink() -> [Entry] {
    var gone = 0
    var left = bytes
    while gone < entries.count, entries.count - gone > limits.count || left > limits.bytes.bytes {
      left -= entries[gone].size
      gone += 1
    }
    return take(first: gone)
  }

  /// Takes out what came before a time.
  mutating func expire(before time: Instant) -> [Entry] {
    take(first: entries.firstIndex { $0.at >= time } ?? entries.count)
  }

  private mutating func take(first count: Int) -> [Entry] {
    guard count > 0 else { return [] }
    let taken = Array(entries.prefix(count))
    entries.removeFirst(count)
    for entry in taken { forget(entry) }
    return taken
  }

  private mutating func forget(_ entry: Entry) {
    bytes -= entry.size
    if entry.messageID != 0 { numbers[entry.messageID] = nil }
  }

  /// Whether a message is kept.
  func has(_ messageID: UInt64) -> Bool { messageID != 0 && numbers[messageID] != nil }

  /// The message of an ID.
  func find(_ messageID: UInt64) -> Entry? {
    numbers[messageID].flatMap { place(of: $0) }.map { entries[$0] }
  }

  /// Takes a message out.
  @discardableResult mutating func remove(_ number: UInt64) -> Entry? {
    guard let place = place(of: number) else { return nil }
    let entry = entries.remove(at: place)
    forget(entry)
    return entry
  }

  private func place(of number: UInt64) -> Int? {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].number < number { low = middle + 1 } else { high = middle }
    }
    return low < entries.count && entries[low].number == number ? low : nil
  }

  /// An origin was heard of: its messages are tried again now, but for those that were sent just before. Answers
  /// whether there are any.
  mutating func wake(_ destination: WireText, at now: Instant, notSentFor pause: Duration) -> Bool {
    var isAny = false
    for place in entries.indices where entries[place].destination == destination {
      if let sent = entries[place].lastSent, now - sent < pause { continue }
      entries[place].due = min(entries[place].due, now)
      isAny = true
    }
    return isAny
  }

  /// The messages that are to be tried now, the oldest first.
  func due(at now: Instant, limit: Int) -> [Entry] { Array(entries.lazy.filter { $0.due <= now }.prefix(limit)) }

  /// When the next one is to be tried.
  var nextDue: Instant? { entries.lazy.map(\.due).min() }

  /// A message was sent, or found no way; it is tried again at a time.
  mutating func tried(_ number: UInt64, sent: Instant?, again: Instant) {
    guard let place = place(of: number) else { return }
    if let sent {
      entries[place].tries += 1
      entries[place].lastSent = sent
    }
    entries[place].due = again
  }
}
