// GossipEvents: what Gossip tells people of, beside the news that other layers meet it by.
import PeersterVocabulary
import StackCore

/// A simple message was heard.
public struct SimpleHeard: Codable, Sendable {
  /// Who said it first, what was said, and who brought it.
  public var name: WireText
  public var contents: WireText
  public var from: Address?
  static let port = EventPort<SimpleHeard>("simple", "A simple message was heard for the first time.")
}

/// A rumor was told to a neighbour.
public struct Mongering: Codable, Sendable {
  /// Which rumor, and to whom.
  public var origin: WireText
  public var id: UInt32
  public var with: Address
  static let port = EventPort<Mongering>("mongering", "A rumor was told to a neighbour.")
}

/// A neighbour has seen what we have seen.
public struct InSync: Codable, Sendable {
  /// Who.
  public var with: Address
  static let port = EventPort<InSync>("in-sync", "A neighbour has seen what we have seen.")
}

/// The coin was flipped that decides whether a rumor is told on.
public struct CoinFlipped: Codable, Sendable {
  /// Which rumor.
  public var origin: WireText
  public var id: UInt32
  /// To whom it goes next; nobody when the coin said no.
  public var next: Address?
  static let port = EventPort<CoinFlipped>("coin", "A coin decided whether a rumor is told on.")
}

/// An origin was heard of for the first time.
public struct OriginDiscovered: Codable, Sendable {
  /// Its name, and who told.
  public var origin: WireText
  public var from: Address?
  static let port = EventPort<OriginDiscovered>("origin", "An origin was heard of for the first time.")
}

/// A second text came under the same origin and ID.
public struct Equivocation: Codable, Sendable {
  /// Whose rumor, its number, and the text that was refused.
  public var origin: WireText
  public var id: UInt32
  public var refused: WireText
  /// Who brought it.
  public var from: Address
  static let port = EventPort<Equivocation>("equivocation", "A second text came under the same origin and ID.")
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
