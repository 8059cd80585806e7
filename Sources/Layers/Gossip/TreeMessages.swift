// TreeMessages: what Strata nodes say to each other to keep a tree, the tree's settings and its events.
import PeersterVocabulary
import StackCore

/// How the tree works.
public struct TreeSettings: LayerConfig, Hashable {
  @Setting("How long announcements wait for others to go with them.", in: .milliseconds(1) ... .seconds(60), live: true)
  public var announceDelay = Duration.milliseconds(50)
  @Setting("How long an announced rumor may take to come by itself.", in: .milliseconds(2) ... .seconds(60), live: true)
  public var graftTimeout = Duration.milliseconds(300)
  @Setting(
    "By how many hops a path must be shorter to take the place of another; 0: none does.", in: 0...64, live: true)
  public var shorterBy = 4

  public init() {}
}

extension GossipField {
  static let announcements: UInt32 = 65
  static let graft: UInt32 = 66
  static let prune: UInt32 = 67
  static let grafted: UInt32 = 68
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

/// An edge of the tree was made eager by a graft.
public struct Grafted: Codable, Sendable {
  /// With whom, and whether it was we who asked.
  public var with: Address
  public var isOurs: Bool
  /// For how many missing rumors; for none when it is for a shorter path.
  public var wanted: Int
  static let port = EventPort<Grafted>("grafted", "A rumor was missing or a path shorter: an edge became eager.")
}

/// An edge of the tree was made lazy by a prune.
public struct Pruned: Codable, Sendable {
  /// With whom, and whether it was we who asked.
  public var with: Address
  public var isOurs: Bool
  static let port = EventPort<Pruned>("pruned", "A rumor came twice or a path was longer: an edge became lazy.")
}
