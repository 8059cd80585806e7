// PeersterMessages: what Go Peersters say to each other in packet fields 1 to 4, with our own fields after theirs.
import StackCore

/// The packet fields of the Peersters' messages.
public enum PeersterField {
  /// Where `Simple` stands.
  public static let simple: UInt32 = 1
  /// Where `Rumor` stands.
  public static let rumor: UInt32 = 2
  /// Where `Status` stands.
  public static let status: UInt32 = 3
  /// Where `Private` stands.
  public static let privateMessage: UInt32 = 4
  /// What some of them read at the most of a datagram; what is longer they cut.
  public static let largestDatagram = 9_216
}

/// A message of the exercise's first part: it floods, and each node writes its own address into it.
public struct Simple: WireMessage, Hashable {
  /// The name of the node that said it first.
  public var originalName: WireText = ""
  /// The address of the node that passed it on.
  public var relayPeerAddr: WireText = ""
  /// What is said.
  public var contents: WireText = ""

  public init() {}
  /// A message.
  public init(originalName: WireText, relayPeerAddr: WireText, contents: WireText) {
    self.originalName = originalName
    self.relayPeerAddr = relayPeerAddr
    self.contents = contents
  }

  public mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "originalName", &originalName)
    try field(2, "relayPeerAddr", &relayPeerAddr)
    try field(3, "contents", &contents)
  }
}

/// News of an origin, numbered by it from 1. Without a text it is a route rumor: it only shows the way to its origin.
public struct Rumor: WireMessage, Hashable {
  /// The name of the node that said it.
  public var origin: WireText = ""
  /// The origin's number for it.
  public var id: UInt32 = 0
  /// What is said.
  public var text: WireText = ""
  /// What it is about. Lost where a Peerster passes it on, like all that follows.
  public var topic: WireText?
  /// How many nodes have passed it on. Where it is there, only Strata nodes have.
  public var hops: UInt32?
  /// When its origin said it, by its own clock.
  public var published: Instant?

  public init() {}
  /// A rumor.
  public init(
    origin: WireText, id: UInt32, text: WireText, topic: WireText? = nil, hops: UInt32? = nil,
    published: Instant? = nil
  ) {
    self.origin = origin
    self.id = id
    self.text = text
    self.topic = topic
    self.hops = hops
    self.published = published
  }

  public mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "id", &id)
    try field(3, "text", &text)
    try field(32, "topic", &topic)
    try field(33, "hops", &hops)
    try field(34, "published", &published)
  }

  /// Whether it only shows the way to its origin.
  public var isRoute: Bool { text.isEmpty }
  /// The longest name that is taken for an origin's.
  public static let longestOrigin = 255
  /// The most bytes in a text that is taken: what any node can pass on, whatever it adds.
  public static let longestText = 60_000
  /// Whether it can be one: it has an origin, and an ID after which there is another.
  public var isSound: Bool {
    !origin.isEmpty && origin.bytes.count <= Self.longestOrigin && id > 0 && id < .max
      && text.bytes.count <= Self.longestText && (topic?.bytes.count ?? 0) <= Self.longestOrigin
  }
}

/// Of an origin, the first ID that a node has not seen.
public struct PeerStatus: WireMessage, Hashable {
  /// The origin's name.
  public var identifier: WireText = ""
  /// The first ID not seen; never 0.
  public var nextID: UInt32 = 0

  public init() {}
  /// What is wanted next of an origin.
  public init(identifier: WireText, nextID: UInt32) {
    self.identifier = identifier
    self.nextID = nextID
  }

  public mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "identifier", &identifier)
    try field(2, "nextID", &nextID)
  }
}

/// What a node has seen of all origins, or between Strata nodes of some.
public struct Status: WireMessage, Hashable {
  /// Of each origin, what is wanted next.
  public var want: [PeerStatus] = []
  /// Whether it speaks only of the origins that it names.
  public var isPartial: Bool?
  /// The first name that it speaks of, where it is one part of several.
  public var from: WireText?
  /// The name before which it ends, where it is one part of several.
  public var upTo: WireText?

  public init() {}
  /// A status.
  public init(want: [PeerStatus], isPartial: Bool? = nil, from: WireText? = nil, upTo: WireText? = nil) {
    self.want = want
    self.isPartial = isPartial
    self.from = from
    self.upTo = upTo
  }

  public mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "want", &want)
    try field(32, "isPartial", &isPartial)
    try field(33, "from", &from)
    try field(34, "upTo", &upTo)
  }

  /// Whether it speaks of a name that it does not list.
  public func covers(_ name: WireText) -> Bool {
    if isPartial == true { return false }
    if let from, name < from { return false }
    if let upTo, name >= upTo { return false }
    return true
  }
}

/// A message from one node to another, passed on hop by hop.
public struct Private: WireMessage, Hashable {
  /// The sender's name.
  public var origin: WireText = ""
  /// Always 0: it has no order among others.
  public var id: UInt32 = 0
  /// What is said.
  public var text: WireText = ""
  /// The receiver's name.
  public var destination: WireText = ""
  /// How often it may still be passed on.
  public var hopLimit: UInt32 = 0
  /// The sender's number for it, under which its arrival is confirmed. Lost where a Peerster passes it on.
  public var messageID: Fixed64?
  /// The mailbox that keeps it until it hears that it has arrived.
  public var keeper: WireText?

  public init() {}
  /// A message.
  public init(
    origin: WireText, text: WireText, destination: WireText, hopLimit: UInt32, messageID: Fixed64? = nil,
    keeper: WireText? = nil
  ) {
    self.origin = origin
    self.text = text
    self.destination = destination
    self.hopLimit = hopLimit
    self.messageID = messageID
    self.keeper = keeper
  }

  public mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "id", &id)
    try field(3, "text", &text)
    try field(4, "destination", &destination)
    try field(5, "hopLimit", &hopLimit)
    try field(32, "messageID", &messageID)
    try field(33, "keeper", &keeper)
  }
}
