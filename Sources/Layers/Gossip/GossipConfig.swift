// GossipConfig: the settings of Gossip.
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
