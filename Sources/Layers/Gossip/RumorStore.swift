// RumorStore: rumors in storage, one pair each, in the order of origins and IDs.
import PeersterVocabulary
import StackCore

/// A rumor as it is kept.
struct StoredRumor: WireMessage {
  /// When it was heard.
  var heard = Instant()
  /// The bytes of all rumors of its origin up to this one.
  var written: UInt64 = 0
  var text: WireText = ""
  var topic: WireText?
  var hops: UInt32?
  var published: Instant?

  init() {}
  init(_ rumor: Rumor, heard: Instant, written: UInt64) {
    self.heard = heard
    self.written = written
    text = rumor.text
    topic = rumor.topic
    hops = rumor.hops
    published = rumor.published
  }

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "heard", &heard)
    try field(2, "written", &written)
    try field(3, "text", &text)
    try field(4, "topic", &topic)
    try field(5, "hops", &hops)
    try field(6, "published", &published)
  }

  func rumor(_ origin: WireText, _ id: UInt32) -> Rumor {
    Rumor(origin: origin, id: id, text: text, topic: topic, hops: hops, published: published)
  }
}

/// Where an origin's kept history begins, once some of it was dropped.
struct StoredStart: WireMessage {
  var first: UInt32 = 1
  /// The bytes of all its rumors, of which none may be kept.
  var written: UInt64 = 0

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "first", &first)
    try field(2, "written", &written)
  }
}

/// The layer's storage, read and written as rumors.
///
/// Under 1, the length of the origin's name, the name and the ID (four bytes, the highest first) stands a
/// `StoredRumor`; under 2 and the name a `StoredStart`. The bytes that an origin has written stand in each of its
/// rumors, so that at the start only the first and the last of an origin have to be read.
struct RumorStore {
  let storage: any LayerStorage

  private static func key(_ origin: WireText, _ id: UInt32) -> [UInt8] {
    var key: [UInt8] = []
    key.reserveCapacity(origin.bytes.count + 6)
    key.append(1)
    key.append(UInt8(truncatingIfNeeded: origin.bytes.count))
    key.append(contentsOf: origin.bytes)
    for shift: UInt32 in [24, 16, 8, 0] { key.append(UInt8(truncatingIfNeeded: id >> shift)) }
    return key
  }
  private static func startKey(_ origin: WireText) -> [UInt8] { [2] + origin.bytes }
  /// Just after an origin's last rumor.
  private static func end(_ origin: WireText) -> [UInt8] { key(origin, .max) + [0] }

  private static func parse(_ key: [UInt8]) -> (origin: WireText, id: UInt32)? {
    guard key.count >= 7, key[0] == 1, key.count == Int(key[1]) + 6 else { return nil }
    let id = key.suffix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    guard id > 0, id < .max else { return nil }
    return (WireText(bytes: Array(key[2..<key.count - 4])), id)
  }

  func get(_ origin: WireText, _ id: UInt32) throws(StorageError) -> StoredRumor? {
    guard let value = try storage.get(Self.key(origin, id)) else { return nil }
    return try? StoredRumor(decoding: value)
  }

  func set(_ origin: WireText, _ id: UInt32, _ rumor: StoredRumor) throws(StorageError) {
    try storage.set(Self.key(origin, id), rumor.encoded())
  }

  /// Visits an origin's rumors from an ID on, or from the last one back, until the body answers false.
  func scan(
    _ origin: WireText, from: UInt32 = 0, reversed: Bool = false, limit: Int = .max,
    _ body: (UInt32, StoredRumor) -> Bool
  ) throws(StorageError) {
    try storage.scan(
      from: Self.key(origin, from), upTo: Self.end(origin), reversed: reversed, limit: limit
    ) { key, value in
      guard let (_, id) = Self.parse(key), let rumor = try? StoredRumor(decoding: value) else { return true }
      return body(id, rumor)
    }
  }

  /// Forgets an origin's rumors below an ID, and notes that its history begins there.
  func drop(_ origin: WireText, below first: UInt32, written: UInt64) throws(StorageError) {
    try storage.removeRange(from: Self.key(origin, 0), upTo: Self.key(origin, first))
    try storage.set(Self.startKey(origin), StoredStart(first: first, written: written).encoded())
  }

  /// Forgets an origin.
  func forget(_ origin: WireText) throws(StorageError) {
    try storage.removeRange(from: Self.key(origin, 0), upTo: Self.end(origin))
    try storage.remove(Self.startKey(origin))
  }

  /// Reads what is kept of all origins, in the order of their names.
  func load(_ found: (WireText, RumorLog.Run) -> Void) throws(StorageError) {
    var starts: [WireText: StoredStart] = [:]
    var names: [WireText] = []
    try storage.scan(from: [2], upTo: [3], reversed: false, limit: .max) { key, value in
      guard let start = try? StoredStart(decoding: value) else { return true }
      let name = WireText(bytes: Array(key.dropFirst()))
      starts[name] = start
      names.append(name)
      return true
    }
    var position: [UInt8] = [1]
    while let (origin, run) = try loadNext(from: position) {
      position = Self.end(origin)
      names.append(origin)
      starts[origin] = nil
      found(origin, run)
    }
    for name in names {
      guard let start = starts[name] else { continue }
      found(name, .init(first: start.first, next: start.first, written: start.written))
    }
  }

  private func loadNext(from position: [UInt8]) throws(StorageError) -> (WireText, RumorLog.Run)? {
    var first: (origin: WireText, id: UInt32, rumor: StoredRumor)?
    try storage.scan(from: position, upTo: [2], reversed: false, limit: .max) { key, value in
      guard let (origin, id) = Self.parse(key), let rumor = try? StoredRumor(decoding: value) else { return true }
      first = (origin, id, rumor)
      return false
    }
    guard let first else { return nil }
    var last = first
    try scan(first.origin, reversed: true) { id, rumor in
      last = (first.origin, id, rumor)
      return false
    }
    let size = UInt64(first.rumor.rumor(first.origin, first.id).logSize)
    let before = first.rumor.written - min(first.rumor.written, size)
    return (
      first.origin,
      RumorLog.Run(
        first: first.id, next: last.id + 1, written: last.rumor.written,
        bytes: last.rumor.written - min(last.rumor.written, before),
        oldest: first.rumor.heard, newest: last.rumor.heard)
    )
  }
}
