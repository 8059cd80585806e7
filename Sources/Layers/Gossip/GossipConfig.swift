// GossipConfig: the settings of Gossip, its events, and the messages that only Strata nodes understand.
import PeersterVocabulary
import StackCore

/// How much of the past is kept.
public struct RumorRetention: LayerConfig, Hashable {
  @Setting("How many rumors of one origin are kept.", in: 1...100_000_000, live: true)
  public var originCount = 100_000
  @Setting("How many bytes of one origin's rumors are kept.", in: ByteCount.kib(64)..., live: true)
  public var originBytes = ByteCount.mib(64)
  @Setting("How many rumors are kept in all.", in: 1...1_000_000_000, live: true)
  public var count = 1_000_000
  @Setting("How many bytes of rumors are kept in all.", in: ByteCount.kib(64)..., live: true)
  public var bytes = ByteCount.gib(1)
  @Setting("How long a rumor is kept; 0: as long as there is room.", in: .zero ... .seconds(864_000_000), live: true)
  public var age = Duration.zero

  public init() {}
}

/// How Gossip works.
public struct GossipConfig: LayerConfig {
  /// How a new rumor sets out.
  public enum Spread: String, Codable, Sendable, CaseIterable { case mongering, flood, tree }
  /// Which rumors are passed on.
  public enum Relay: String, Codable, Sendable, CaseIterable { case all, subscribed }

  @Setting(
    """
    How rumors spread: to one random neighbour after another (mongering), to all at once (flood), or along a tree that \
    the Strata nodes agree on (tree), which Peersters hear by mongering.
    """)
  public var spread = Spread.mongering
  @Setting("Whether what is published here goes out as a simple message, which floods, is not numbered and not kept.")
  public var simple = false
  @Setting("How long a neighbour's answer to a rumor is awaited.", in: .milliseconds(1) ... .seconds(3600), live: true)
  public var ackTimeout = Duration.seconds(1)
  @Setting("How often a random neighbour is told what we have seen; 0: never.", in: .zero ... .seconds(86_400))
  public var antiEntropy = Duration.seconds(10)
  @Setting("The topics that are of interest here; none: all.", live: true)
  public var topics: [String] = []
  @Setting("Which rumors are passed on at once: all, or those that are of interest here.", live: true)
  public var relay = Relay.all
  @Setting("How many origins are known at the most; only silent ones make room.", in: 16...1_000_000, live: true)
  public var origins = 100_000
  @Setting("How far a rumor may be ahead of what was seen of its origin.", in: 0...65_536, live: true)
  public var gap = 256
  @Setting("How many statuses a second are answered to one neighbour.", in: 1...1_000_000, live: true)
  public var statuses = 1_000
  @Setting("How much of the past is kept.", live: true)
  public var retention = RumorRetention()
  @Setting("How the tree works, where rumors spread along one.", live: true)
  public var tree = TreeSettings()

  public init() {}
}

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

/// Packet fields of Gossip that only Strata nodes understand.
enum GossipField {
  static let batch: UInt32 = 64
  static let ranges: UInt32 = 70
  static let seen: UInt32 = 71
}
