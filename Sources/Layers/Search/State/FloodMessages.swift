// FloodMessages: the packet fields by which Strata nodes flood a query and bring its hits back.
import PeersterVocabulary
import StackCore

/// A query that floods: to all neighbours, and by them to all of theirs, until its time to live has gone.
struct FloodQuery: WireMessage, Hashable {
  static let field: UInt32 = 160

  /// The query's number, drawn by who asks; nobody learns from it who that is.
  var id = Fixed64(0)
  /// How often it may still be passed on, this time counted; and how often it was.
  var timeToLive: UInt32 = 0
  var hops: UInt32 = 0
  /// What is looked for.
  var query: WireText = ""
  /// Whether any of the words is enough.
  var isAny: Bool = false

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "id", &id)
    try field(2, "timeToLive", &timeToLive)
    try field(3, "hops", &hops)
    try field(4, "query", &query)
    try field(5, "isAny", &isAny)
  }
}

/// What somebody holds of what a query means, on its way back to who asked.
struct FloodHit: WireMessage, Hashable {
  static let field: UInt32 = 161

  /// The query's number.
  var id = Fixed64(0)
  /// How many nodes have passed it on.
  var hops: UInt32 = 0
  /// The holder's name. Its address is written by the first to whom it comes.
  var holder: WireText = ""
  var address: WireText?
  /// What it holds.
  var results: [SearchResult] = []
  /// Whether somebody else has told it who had heard of it before.
  var isCached: Bool = false

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "id", &id)
    try field(2, "hops", &hops)
    try field(3, "holder", &holder)
    try field(4, "address", &address)
    try field(5, "results", &results, limit: 1_024)
    try field(6, "isCached", &isCached)
  }
}
