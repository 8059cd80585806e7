// SearchMessages: how Peersters look for files by name, in packet fields 7 and 8, with our own fields after theirs.
import StackCore

extension PeersterField {
  /// Where `SearchRequest` stands.
  public static let searchRequest: UInt32 = 7
  /// Where `SearchReply` stands.
  public static let searchReply: UInt32 = 8
}

/// Asks for files whose names hold any of some words. Who gets it looks at its own files, and passes the rest of the
/// budget on.
public struct SearchRequest: WireMessage, Hashable {
  /// Who asks.
  public var origin: WireText = ""
  /// How many nodes may still be asked; never 0.
  public var budget: UInt64 = 0
  /// The words.
  public var keywords: [WireText] = []
  /// The whole query, of which the words are only what Peersters understand. Lost where a Peerster passes it on, like
  /// all that follows.
  public var query: WireText?
  /// The search's number.
  public var id: Fixed64?
  /// Where it is there, this is a flood's query, told to somebody who may be no Strata node: how often it may still be
  /// passed on, and how often it was.
  public var timeToLive: UInt32?
  public var hops: UInt32?

  public init() {}
  /// A request.
  public init(
    origin: WireText, budget: UInt64, keywords: [WireText], query: WireText? = nil, id: Fixed64? = nil,
    timeToLive: UInt32? = nil, hops: UInt32? = nil
  ) {
    self.origin = origin
    self.budget = budget
    self.keywords = keywords
    self.query = query
    self.id = id
    self.timeToLive = timeToLive
    self.hops = hops
  }

  public mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "budget", &budget)
    try field(3, "keywords", &keywords, limit: 256)
    try field(32, "query", &query)
    try field(33, "id", &id)
    try field(34, "timeToLive", &timeToLive)
    try field(35, "hops", &hops)
  }
}

/// A file that somebody holds, whole or in part.
public struct SearchResult: WireMessage, Hashable {
  /// What the holder calls it.
  public var fileName: WireText = ""
  /// The root of its tree; of a file of up to 2 MiB that is what Peersters call the metafile's hash.
  public var metafileHash = Hash256()
  /// Which chunks are held, counted from 1.
  public var chunkMap: [UInt64] = []
  /// How many chunks it has.
  public var chunkCount: UInt64 = 0
  /// Its bytes, and the bytes in a chunk. Lost where a Peerster passes it on, like all that follows.
  public var size: UInt64?
  public var chunkSize: UInt32?
  /// Its place below what is shared, with its name last.
  public var path: WireText?
  /// Which chunks are held, shorter: the first of a stretch, counted from 0, and how many; and so on.
  public var stretches: [UInt64] = []
  /// Whether all of them are.
  public var isWhole: Bool?

  public init() {}
  /// A file.
  public init(fileName: WireText, metafileHash: Hash256, chunkMap: [UInt64], chunkCount: UInt64) {
    self.fileName = fileName
    self.metafileHash = metafileHash
    self.chunkMap = chunkMap
    self.chunkCount = chunkCount
  }

  public mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "fileName", &fileName)
    try field(2, "metafileHash", &metafileHash)
    try field(3, "chunkMap", &chunkMap)
    try field(4, "chunkCount", &chunkCount)
    try field(32, "size", &size)
    try field(33, "chunkSize", &chunkSize)
    try field(34, "path", &path)
    try field(35, "stretches", &stretches, limit: 2_048)
    try field(36, "isWhole", &isWhole)
  }
}

/// What a node has found among its own files. Passed on hop by hop.
public struct SearchReply: WireMessage, Hashable {
  /// Who holds the files, and who asked.
  public var origin: WireText = ""
  public var destination: WireText = ""
  /// How often it may still be passed on.
  public var hopLimit: UInt32 = 0
  /// The files.
  public var results: [SearchResult] = []
  /// The search's number, where the request had one. Lost where a Peerster passes it on, like all that follows.
  public var id: Fixed64?
  /// How many nodes have passed it on, and where its origin was heard by the first of them.
  public var hops: UInt32?
  public var address: WireText?

  public init() {}
  /// A reply.
  public init(
    origin: WireText, destination: WireText, hopLimit: UInt32, results: [SearchResult], id: Fixed64? = nil,
    hops: UInt32? = nil
  ) {
    self.origin = origin
    self.destination = destination
    self.hopLimit = hopLimit
    self.results = results
    self.id = id
    self.hops = hops
  }

  public mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "destination", &destination)
    try field(3, "hopLimit", &hopLimit)
    try field(4, "results", &results, limit: 1_024)
    try field(32, "id", &id)
    try field(33, "hops", &hops)
    try field(34, "address", &address)
  }
}
