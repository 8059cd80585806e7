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

  /// Whether nothing more will become of it.
  var isFinal: Bool { self != .waiting }
}

/// A message as it is kept.
struct StoredMessage: WireMessage {
  var peer: WireText = ""
  var text: WireText = ""
  var at = Instant()
  var messageID = Fixed64(0)
  /// Where its state stands among all states.
  var stateNumber: UInt32 = 0
  var tries: UInt32 = 0

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "peer", &peer)
    try field(2, "text", &text)
    try field(3, "at", &at)
    try field(4, "messageID", &messageID)
    try field(5, "stateNumber", &stateNumber)
    try field(6, "tries", &tries)
  }

  var state: MessageState {
    get {
      let all = MessageState.allCases
      return all.indices.contains(Int(stateNumber)) ? all[Int(stateNumber)] : .received
    }
    set { stateNumber = UInt32(MessageState.allCases.firstIndex(of: newValue) ?? 0) }
  }
}

/// Inbox and outbox in one, in the order of arrival. Under 1 and a number (eight bytes, the highest first) stands a
/// message; under 2, a sender's name and its number for a message the number under which that stands.
struct MessageBook {
  let storage: any LayerStorage

  private static func bytes(_ number: UInt64) -> [UInt8] {
    stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> UInt64($0)) }
  }
  private static func number(_ key: [UInt8]) -> UInt64 { key.suffix(8).reduce(0) { $0 << 8 | UInt64($1) } }
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

  /// Visits all messages, the newest first, until the body answers false.
  func scan(reversed: Bool = true, _ body: (UInt64, StoredMessage) -> Bool) throws(StorageError) {
    try storage.scan(from: [1], upTo: [2], reversed: reversed, limit: .max) { key, value in
      guard let message = try? StoredMessage(decoding: value) else { return true }
      return body(Self.number(key), message)
    }
  }

  /// Whether a message has come before.
  func hasReceived(_ origin: WireText, _ messageID: UInt64) throws(StorageError) -> Bool {
    try storage.get(Self.mark(origin, messageID)) != nil
  }

  func noteReceived(_ origin: WireText, _ messageID: UInt64) throws(StorageError) {
    try storage.set(Self.mark(origin, messageID), [])
  }

  func remove(_ number: UInt64) throws(StorageError) {
    guard let message = try get(number) else { return }
    try storage.remove(Self.key(number))
    if message.state == .received, message.messageID.value != 0 {
      try storage.remove(Self.mark(message.peer, message.messageID.value))
    }
  }
}
