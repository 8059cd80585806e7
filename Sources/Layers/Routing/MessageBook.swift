// MessageBook: the private messages that came and went, with what has become of them, in storage.
import PeersterVocabulary
import StackCore

/// What has become of a message.
public enum MessageState: String, Codable, Sendable, CaseIterable {
  /// It came to us.
  case received
  /// It was sent, and its receipt is awaited.
  case waiting
  /// Its receipt has come.
  case delivered
  /// It was sent to where no receipts come from.
  case sent = "sent, no receipts"
  /// There was no way to its receiver.
  case noRoute = "no route"
  /// It was sent several times, and no receipt came.
  case noAnswer = "no answer"
  /// A mailbox keeps it, ours or one on the way, until it is delivered.
  case kept

  /// Whether nothing more will become of it.
  var isFinal: Bool { self != .waiting && self != .kept }
}

/// A message as it is kept.
struct StoredMessage: WireMessage {
  var peer: WireText = ""
  var text: WireText = ""
  var at = Instant()
  var messageID = Fixed64(0)
  /// Where its state stands among all states.
  var stateNumber: UInt32 = 0
  /// When it came into that state.
  var changed: Instant?

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "peer", &peer)
    try field(2, "text", &text)
    try field(3, "at", &at)
    try field(4, "messageID", &messageID)
    try field(5, "stateNumber", &stateNumber)
    try field(7, "changed", &changed)
  }

  var state: MessageState {
    get {
      let all = MessageState.allCases
      return all.indices.contains(Int(stateNumber)) ? all[Int(stateNumber)] : .received
    }
    set { stateNumber = UInt32(MessageState.allCases.firstIndex(of: newValue) ?? 0) }
  }

  /// The state for people.
  var says: String {
    let after = max(.zero, (changed ?? at) - at).rounded.text
    return switch state {
    case .received, .sent, .noRoute: state.rawValue
    case .waiting: "waiting for its receipt"
    case .delivered: "delivered after \(after)"
    case .noAnswer: "no answer after \(after)"
    case .kept: "kept by a mailbox"
    }
  }
}

/// Inbox and outbox in one, in the order of arrival, and which messages have come before. Under 1 and a number (eight
/// bytes, the highest first) stands a message. Under 2, a sender's name and its number for a message stands a mark that
/// it came, with the mark's own number; under 3 and a mark's number, that name and number, so that the oldest can go.
struct MessageBook {
  let storage: any LayerStorage

  static func bytes(_ number: UInt64) -> [UInt8] {
    stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> UInt64($0)) }
  }
  static func number(_ key: [UInt8]) -> UInt64 { key.suffix(8).reduce(0) { $0 << 8 | UInt64($1) } }
  private static func key(_ number: UInt64) -> [UInt8] { [1] + bytes(number) }
  private static func mark(_ origin: WireText, _ messageID: UInt64) -> [UInt8] {
    [2] + origin.bytes.prefix(Rumor.longestOrigin) + bytes(messageID)
  }

  func get(_ number: UInt64) throws(StorageError) -> StoredMessage? {
    guard let value = try storage.get(Self.key(number)) else { return nil }
    return try? StoredMessage(decoding: value)
  }

  func set(_ number: UInt64, _ message: StoredMessage) throws(StorageError) {
    try storage.set(Self.key(number), message.encoded())
  }

  func remove(_ number: UInt64) throws(StorageError) { try storage.remove(Self.key(number)) }

  /// Visits all messages, the newest first, until the body answers false.
  func scan(reversed: Bool = true, _ body: (UInt64, StoredMessage) -> Bool) throws(StorageError) {
    try storage.scan(from: [1], upTo: [2], reversed: reversed, limit: .max) { key, value in
      guard let message = try? StoredMessage(decoding: value) else { return true }
      return body(Self.number(key), message)
    }
  }

  // MARK: Marks

  /// The numbers of the marks that there are.
  func marks() throws(StorageError) -> Range<UInt64> {
    var first: UInt64?
    var last: UInt64 = 0
    try storage.scan(from: [3], upTo: [4], reversed: false, limit: 1) { key, _ in
      first = Self.number(key)
      return false
    }
    try storage.scan(from: [3], upTo: [4], reversed: true, limit: 1) { key, _ in
      last = Self.number(key)
      return false
    }
    return first.map { $0..<last + 1 } ?? 1..<1
  }

  /// Whether a message has come before.
  func hasReceived(_ origin: WireText, _ messageID: UInt64) throws(StorageError) -> Bool {
    try storage.get(Self.mark(origin, messageID)) != nil
  }

  /// Notes that a message has come, and forgets the oldest marks beyond so many. They don't go with their messages: a
  /// sender that has not had its receipt sends again what was long removed here.
  func noteReceived(
    _ origin: WireText, _ messageID: UInt64, marks: inout Range<UInt64>, most: Int
  ) throws(StorageError) {
    let mark = Self.mark(origin, messageID)
    try storage.set(mark, Self.bytes(marks.upperBound))
    try storage.set([3] + Self.bytes(marks.upperBound), mark)
    marks = marks.lowerBound..<marks.upperBound + 1
    // Two at a time, so that a limit that was lowered is met in the end.
    for _ in 0..<2 where marks.count > most {
      let key = [3] + Self.bytes(marks.lowerBound)
      if let mark = try storage.get(key) { try storage.remove(mark) }
      try storage.remove(key)
      marks = marks.lowerBound + 1..<marks.upperBound
    }
  }
}

/// A message that a mailbox keeps, as it stands in storage.
struct KeptMessage: WireMessage {
  var text: Private?
  var message: Routed?
  var at = Instant()
  /// For one of our own: its number in the book, or the layer that sent it and its token.
  var number: UInt64?
  var layer: String?
  var token: Fixed64?

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "text", &text)
    try field(2, "message", &message)
    try field(3, "at", &at)
    try field(4, "number", &number)
    try field(5, "layer", &layer)
    try field(6, "token", &token)
  }

  var parcel: Parcel? {
    get { text.map { .text($0) } ?? message.map { .message($0) } }
    set {
      (text, message) = (nil, nil)
      if case .text(let private_)? = newValue { text = private_ }
      if case .message(let routed)? = newValue { message = routed }
    }
  }
}

/// What a mailbox keeps, in storage, under 4 and a number.
struct MailboxStore {
  let storage: any LayerStorage
  private static func key(_ number: UInt64) -> [UInt8] { [4] + MessageBook.bytes(number) }

  func get(_ number: UInt64) throws(StorageError) -> KeptMessage? {
    guard let value = try storage.get(Self.key(number)) else { return nil }
    return try? KeptMessage(decoding: value)
  }

  func set(_ number: UInt64, _ message: KeptMessage) throws(StorageError) {
    try storage.set(Self.key(number), message.encoded())
  }

  func remove(_ number: UInt64) throws(StorageError) { try storage.remove(Self.key(number)) }

  /// Visits all that is kept, the oldest first.
  func scan(_ body: (UInt64, KeptMessage) -> Void) throws(StorageError) {
    try storage.scan(from: [4], upTo: [5], reversed: false, limit: .max) { key, value in
      if let message = try? KeptMessage(decoding: value) { body(MessageBook.number(key), message) }
      return true
    }
  }
}
