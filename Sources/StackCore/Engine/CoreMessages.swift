// CoreMessages: what the core itself says on the wire: introductions, pieces of split messages, path probes.

/// The packet fields the core uses.
enum CoreField {
  static let piece: UInt32 = 32
  static let hello: UInt32 = 33
  /// A number after one of the Peersters' own messages: the sender speaks Strata. They skip it.
  static let capability: UInt32 = 34
  static let probe: UInt32 = 35
  static let probeReply: UInt32 = 36
}

/// One piece of a message too large for the path.
struct Piece: WireMessage {
  /// What the receiver gave the sender to show: proof that the sender receives at its address.
  var cookie = Fixed64(0)
  /// The message's own random number.
  var message = Fixed64(0)
  /// The whole message's size.
  var total = Fixed32(0)
  /// The size of every piece but the last.
  var pieceSize = Fixed32(0)
  var index = Fixed32(0)
  var data: [UInt8] = []

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "cookie", &cookie)
    try field(2, "message", &message)
    try field(3, "total", &total)
    try field(4, "pieceSize", &pieceSize)
    try field(5, "index", &index)
    try field(6, "data", &data)
  }

  /// The most that a piece's packet has beside its data.
  static let overhead = 42
}

/// An introduction between Strata nodes, by which each learns that the other receives at its address.
struct Hello: WireMessage {
  /// Which optional parts of the core's protocol the sender speaks; none yet.
  var capabilities: UInt64 = 1
  /// To be shown by whoever sends split messages to the sender.
  var cookie = Fixed64(0)
  /// What the receiver gave the sender before; 0 if nothing.
  var echo = Fixed64(0)
  var wantsReply = false
  /// The sender's name, at most 40 bytes; a label, not an identity.
  var name = ""

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "capabilities", &capabilities)
    try field(2, "cookie", &cookie)
    try field(3, "echo", &echo)
    try field(4, "wantsReply", &wantsReply)
    try field(5, "name", &name)
  }
  static let longestName = 40
  /// The bytes of its datagram without the name.
  static let namelessSize = 27

  /// Whether a name may be shown to people: short, and nothing in it moves a cursor or turns the writing around.
  static func isShowable(_ name: String) -> Bool {
    guard !name.isEmpty, name.utf8.count <= longestName else { return false }
    return name.unicodeScalars.allSatisfy { scalar in
      switch scalar.properties.generalCategory {
      case .control, .lineSeparator, .paragraphSeparator: false
      default: !scalar.properties.isBidiControl
      }
    }
  }
}

/// A datagram as large as a path might allow, to see whether it arrives.
struct PathProbeMessage: WireMessage {
  var nonce = Fixed64(0)
  var padding: [UInt8] = []
  static var messageName: String { "Probe" }

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "nonce", &nonce)
    try field(2, "padding", &padding)
  }
}

/// The answer to a probe that arrived.
struct PathProbeReply: WireMessage {
  var nonce = Fixed64(0)
  static var messageName: String { "ProbeReply" }

  mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "nonce", &nonce) }
}

/// Where the search for a path's largest datagram stands.
struct PathProbe: Sendable {
  /// Sizes worth trying: Ethernet with IPv6 and a tunnel's margin, jumbo frames.
  static let candidates = [1_452, 8_952]
  static let largest = 8_952 - 8
  var candidate = 0
  var tries = 0
  var nonce: UInt64 = 0
  var isDone: Bool { candidate >= Self.candidates.count }
}
