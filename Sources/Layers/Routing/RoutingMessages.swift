// RoutingMessages: what only Strata nodes say to each other about messages on their way.
import PeersterVocabulary
import StackCore

/// Packet fields of Routing that only Strata nodes understand.
enum RoutingField {
  static let receipt: UInt32 = 96
  static let routed: UInt32 = 97
  static let probe: UInt32 = 98
  static let probeReply: UInt32 = 99
}

/// Tells the sender of a message what has become of it.
struct Receipt: WireMessage, Hashable {
  /// What it tells.
  enum Standing: UInt32, CaseIterable { case delivered, kept, letGo }

  /// Who tells: the receiver, or a mailbox.
  var origin: WireText = ""
  /// Who sent the message, or keeps it.
  var destination: WireText = ""
  var hopLimit: UInt32 = 0
  var messageID = Fixed64(0)
  /// Not there: it has arrived.
  var standingNumber: UInt32?

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "destination", &destination)
    try field(3, "hopLimit", &hopLimit)
    try field(4, "messageID", &messageID)
    try field(5, "standing", &standingNumber)
  }

  /// What it tells; nil when it is something that this node doesn't know.
  var standing: Standing? {
    get { Standing(rawValue: standingNumber ?? 0) }
    set { standingNumber = newValue == .delivered ? nil : newValue?.rawValue }
  }
}

/// A message of any layer, on its way to an origin.
struct Routed: WireMessage, Hashable {
  var origin: WireText = ""
  var destination: WireText = ""
  var hopLimit: UInt32 = 0
  /// Which packet field it would be if it went to a neighbour, and its bytes.
  var field: UInt32 = 0
  var body: [UInt8] = []
  /// The sender's number for it, where a receipt is wanted.
  var messageID: Fixed64?
  /// The mailbox that keeps it until it hears that it has arrived.
  var keeper: WireText?

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "destination", &destination)
    try field(3, "hopLimit", &hopLimit)
    try field(4, "field", &self.field)
    try field(5, "body", &body)
    try field(6, "messageID", &messageID)
    try field(7, "keeper", &keeper)
  }
}

/// Asks the node at which its hop limit ends to answer.
struct TraceProbe: WireMessage, Hashable {
  var origin: WireText = ""
  var destination: WireText = ""
  var hopLimit: UInt32 = 0
  var number = Fixed64(0)
  /// Makes it at least as large as its answer.
  var padding: [UInt8] = []

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "destination", &destination)
    try field(3, "hopLimit", &hopLimit)
    try field(4, "number", &number)
    try field(5, "padding", &padding)
  }
}

/// Answers a probe.
struct TraceReply: WireMessage, Hashable {
  /// Who answers, and who asked.
  var origin: WireText = ""
  var destination: WireText = ""
  var hopLimit: UInt32 = 0
  var number = Fixed64(0)
  /// Where the probe would have gone on to, if anywhere.
  var nextHop: WireText?
  /// Whether that is a Strata node.
  var isStrata: Bool?

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "destination", &destination)
    try field(3, "hopLimit", &hopLimit)
    try field(4, "number", &number)
    try field(5, "nextHop", &nextHop)
    try field(6, "isStrata", &isStrata)
  }
}

/// A message on its way: a private text, or one of another layer.
enum Parcel: Hashable, Sendable {
  case text(Private)
  case message(Routed)

  var origin: WireText {
    switch self {
    case .text(let message): message.origin
    case .message(let message): message.origin
    }
  }
  var destination: WireText {
    switch self {
    case .text(let message): message.destination
    case .message(let message): message.destination
    }
  }
  var hopLimit: UInt32 {
    get {
      switch self {
      case .text(let message): message.hopLimit
      case .message(let message): message.hopLimit
      }
    }
    set {
      change {
        $0.hopLimit = newValue
      } message: {
        $0.hopLimit = newValue
      }
    }
  }
  /// 0: it has none.
  var messageID: UInt64 {
    switch self {
    case .text(let message): message.messageID?.value ?? 0
    case .message(let message): message.messageID?.value ?? 0
    }
  }
  var keeper: WireText? {
    get {
      switch self {
      case .text(let message): message.keeper
      case .message(let message): message.keeper
      }
    }
    set {
      change {
        $0.keeper = newValue
      } message: {
        $0.keeper = newValue
      }
    }
  }

  private mutating func change(text: (inout Private) -> Void, message: (inout Routed) -> Void) {
    switch self {
    case .text(var changed):
      text(&changed)
      self = .text(changed)
    case .message(var changed):
      message(&changed)
      self = .message(changed)
    }
  }

  /// Whether it can only travel from Strata node to Strata node: others lose its number, or all of it.
  var needsStrata: Bool { if case .message = self { true } else { messageID != 0 } }
  /// Whether a mailbox may keep it.
  var isKeepable: Bool { if case .message = self { messageID != 0 } else { true } }
  /// Whether its names and its body are within bounds.
  var isSound: Bool {
    let names = [origin, destination] + (keeper.map { [$0] } ?? [])
    guard names.allSatisfy({ $0.bytes.count <= Rumor.longestOrigin }) else { return false }
    switch self {
    case .text(let message): return message.text.bytes.count <= Rumor.longestText
    case .message(let message): return message.body.count <= RoutedBody.limit
    }
  }
  /// About how many bytes it takes.
  var size: Int {
    let names = origin.bytes.count + destination.bytes.count + 64
    switch self {
    case .text(let message): return names + message.text.bytes.count
    case .message(let message): return names + message.body.count
    }
  }
}
