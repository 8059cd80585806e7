// SearchEvents: what Search tells of each step.
import PeersterVocabulary
import StackCore

/// A search of ours has begun.
public struct SearchStarted: Codable, Sendable {
  /// Its number, what is looked for, and how.
  public var id: String
  public var query: String
  public var mode: SearchMode
  static let port = EventPort<SearchStarted>("started", "A search of ours has begun.")
}

/// A search of ours was sent out: a ring of it, or the flood.
public struct SearchRound: Codable, Sendable {
  /// Which search, how many nodes it may ask or how many hops it may go, and to how many neighbours it went.
  public var id: String
  public var budget: UInt64?
  public var timeToLive: UInt32?
  public var neighbours: Int
  static let port = EventPort<SearchRound>("round", "A search of ours was sent out.")
}

/// A query of somebody else was heard for the first time.
public struct QueryHeard: Codable, Sendable {
  /// What is looked for, how, who brought it, and how many nodes have passed it on, where that is told.
  public var query: String
  public var mode: SearchMode
  public var from: Address
  public var hops: UInt32?
  static let port = EventPort<QueryHeard>("query", "A query of somebody else was heard for the first time.")
}

/// A query of somebody else was passed on.
public struct QueryPassed: Codable, Sendable {
  /// What is looked for, and to how many neighbours it went.
  public var query: String
  public var mode: SearchMode
  public var neighbours: Int
  static let port = EventPort<QueryPassed>("passed", "A query of somebody else was passed on.")
}

/// A query of somebody else was answered.
public struct QueryAnswered: Codable, Sendable {
  /// What is looked for, with how many files of ours, and with how many that others are said to hold.
  public var query: String
  public var mode: SearchMode
  public var files: Int
  public var cached: Int
  static let port = EventPort<QueryAnswered>("answered", "A query of somebody else was answered.")
}

/// Somebody has answered a search of ours.
public struct SearchHit: Codable, Sendable {
  /// Which search, the file's number, its root, what it is called, and who holds it.
  public var id: String
  public var number: Int
  public var root: Hash256
  public var name: WireText
  public var holder: WireText
  public var address: Address?
  public var isWhole: Bool
  static let port = EventPort<SearchHit>("hit", "Somebody has answered a search of ours.")
}

/// Why a search has ended.
public enum SearchEnding: String, Codable, Sendable, CaseIterable {
  /// There were enough full matches, or the first answer was all that was wanted.
  case enough, first
  /// The time was up.
  case timeout
}

/// A search of ours has ended.
public struct SearchEnded: Codable, Sendable {
  /// Which search, why it has ended, how many files it has found, and how many of them others hold whole.
  public var id: String
  public var ending: SearchEnding
  public var files: Int
  public var fullMatches: Int
  static let port = EventPort<SearchEnded>("ended", "A search of ours has ended.")
}
