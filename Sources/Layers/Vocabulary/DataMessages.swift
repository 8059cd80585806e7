// DataMessages: how Peersters ask each other for pieces of files, in packet fields 5 and 6.
import StackCore

extension PeersterField {
  /// Where `DataRequest` stands.
  public static let dataRequest: UInt32 = 5
  /// Where `DataReply` stands.
  public static let dataReply: UInt32 = 6
}

/// Asks a node for what has a hash: a chunk of a file, or a piece of the hashes above the chunks. Passed on hop by hop.
public struct DataRequest: WireMessage, Hashable {
  /// Who asks, and whom.
  public var origin: WireText = ""
  public var destination: WireText = ""
  /// How often it may still be passed on.
  public var hopLimit: UInt32 = 0
  /// What is asked for; a hash of another length than 32 bytes is refused.
  public var hashValue = Hash256()

  public init() {}
  /// A request.
  public init(origin: WireText, destination: WireText, hopLimit: UInt32, hashValue: Hash256) {
    self.origin = origin
    self.destination = destination
    self.hopLimit = hopLimit
    self.hashValue = hashValue
  }

  public mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "destination", &destination)
    try field(3, "hopLimit", &hopLimit)
    try field(4, "hashValue", &hashValue)
  }
}

/// Brings what has a hash; without data it says that it isn't there.
public struct DataReply: WireMessage, Hashable {
  /// Who answers, and whom.
  public var origin: WireText = ""
  public var destination: WireText = ""
  /// How often it may still be passed on.
  public var hopLimit: UInt32 = 0
  /// What was asked for, and what has that hash.
  public var hashValue = Hash256()
  public var data: [UInt8] = []

  public init() {}
  /// A reply.
  public init(origin: WireText, destination: WireText, hopLimit: UInt32, hashValue: Hash256, data: [UInt8]) {
    self.origin = origin
    self.destination = destination
    self.hopLimit = hopLimit
    self.hashValue = hashValue
    self.data = data
  }

  public mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "destination", &destination)
    try field(3, "hopLimit", &hopLimit)
    try field(4, "hashValue", &hashValue)
    try field(5, "data", &data)
  }
}
