// GossipMessages: what only Strata nodes say to each other about rumors: batches, announcements, grafts and prunes.
import PeersterVocabulary
import StackCore

/// Packet fields of Gossip that only Strata nodes understand.
enum GossipField {
  static let batch: UInt32 = 64
  static let announcements: UInt32 = 65
  static let graft: UInt32 = 66
  static let prune: UInt32 = 67
  static let grafted: UInt32 = 68
  static let ranges: UInt32 = 70
  static let seen: UInt32 = 71
}

/// Several rumors at once, in answer to a status; one of a stream of which some are under way at a time.
struct RumorBatch: WireMessage {
  /// The rumors, of each origin in ascending order without a gap.
  var rumors: [Rumor] = []
  /// Of some origins, where the sender's history begins.
  var starts: [PeerStatus] = []
  /// What the status spoke of that this answers; so does the answer to this.
  var isPartial: Bool?
  var from: WireText?
  var upTo: WireText?
  /// Which stream it is of, and its number there.
  var stream: Fixed32?
  var number: UInt32?
  /// Whether nothing waits behind it, so that a status should answer it.
  var isLast: Bool?

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "rumors", &rumors, limit: 4_096)
    try field(2, "starts", &starts, limit: 4_096)
    try field(3, "isPartial", &isPartial)
    try field(4, "from", &from)
    try field(5, "upTo", &upTo)
    try field(6, "stream", &stream)
    try field(7, "number", &number)
    try field(8, "isLast", &isLast)
  }
}

/// Which batches of a stream have come, and how many of their rumors were of use.
struct BatchesSeen: WireMessage {
  var stream = Fixed32(0)
  var numbers: [UInt32] = []
  var accepted: UInt32 = 0

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "stream", &stream)
    try field(2, "numbers", &numbers, limit: 256)
    try field(3, "accepted", &accepted)
  }
}

/// Some rumors of one origin that the sender has.
struct Announcement: WireMessage, Equatable {
  var origin: WireText = ""
  /// The first ID, and how many there are from it on.
  var first: UInt32 = 0
  var count: UInt32 = 0
  /// What the `hops` of the rumor would be if it came from there; unknown where a Peerster passed it on.
  var hops: UInt32?
  /// Whether nobody is sent it unasked, so that there is nothing to wait for.
  var isOffer: Bool?

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "first", &first)
    try field(3, "count", &count)
    try field(4, "hops", &hops)
    try field(5, "isOffer", &isOffer)
  }

  /// The IDs it speaks of; nil when it can't be.
  var ids: ClosedRange<UInt32>? { Self.ids(origin, first, count) }

  static func ids(_ origin: WireText, _ first: UInt32, _ count: UInt32) -> ClosedRange<UInt32>? {
    guard !origin.isEmpty, origin.bytes.count <= Rumor.longestOrigin, first > 0, count > 0 else { return nil }
    let (last, overflow) = first.addingReportingOverflow(count - 1)
    return overflow || last == .max ? nil : first...last
  }

  /// About what it takes on the wire.
  var size: Int { origin.bytes.count + 24 }
}

/// Announcements of rumors, some at a time, for neighbours that are not sent them.
struct Announcements: WireMessage {
  var announcements: [Announcement] = []
  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "announcements", &announcements, limit: 1_024)
  }
}

/// Some rumors of one origin that the sender wants.
struct WantedRumors: WireMessage, Equatable {
  var origin: WireText = ""
  var first: UInt32 = 0
  var count: UInt32 = 0

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "first", &first)
    try field(3, "count", &count)
  }
  var ids: ClosedRange<UInt32>? { Announcement.ids(origin, first, count) }
}

/// Makes an edge eager, and asks for rumors; for none when it is for a shorter path.
struct Graft: WireMessage {
  var wanted: [WantedRumors] = []
  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "wanted", &wanted, limit: 1_024)
  }
}

/// Makes an edge lazy: a rumor came over it that had come before.
struct Prune: WireMessage {
  var origin: WireText = ""
  var id: UInt32 = 0
  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "id", &id)
  }
}
