// MailboxStore: the messages that a mailbox keeps, in storage.
import PeersterVocabulary
import StackCore

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
  private static func key(_ number: UInt64) -> [UInt8] { MessageBook.key([4], number) }

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
