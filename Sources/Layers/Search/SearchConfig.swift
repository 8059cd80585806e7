// SearchConfig: the settings of Search.
import StackCore

/// How a query spreads.
public enum SearchMode: String, Codable, Sendable, CaseIterable {
  /// To a few nodes at first, then to twice as many, and so on, as Peersters do.
  case ring
  /// To everybody within so many hops.
  case flood
}

/// How Search works.
public struct SearchConfig: LayerConfig {
  @Setting("How a query spreads unless told otherwise: ring by ring, or as a flood.", live: true)
  public var mode = SearchMode.ring
  @Setting(
    "How many files, held whole by others, end a search; 0: only the timeout ends it.", in: 0...1_000, live: true)
  public var matches = 2
  @Setting("How long answers are awaited.", in: .milliseconds(10) ... .seconds(3_600), live: true)
  public var timeout = Duration.seconds(10)
  @Setting("How many nodes the first ring may ask.", in: 1...1_000_000, live: true)
  public var budget = 2
  @Setting("Up to how many nodes the rings grow.", in: 1...1_000_000, live: true)
  public var largestBudget = 32
  @Setting("How long after a ring the next one is sent.", in: .milliseconds(10) ... .seconds(3_600), live: true)
  public var ringInterval = Duration.seconds(1)
  @Setting("The most nodes that a request of others may ask through us; a larger budget is cut.", in: 1...1_000_000)
  public var budgetLimit = 128
  @Setting("Within what time a ring's request that comes again is ignored.", in: .zero ... .seconds(60), live: true)
  public var duplicateWindow = Duration.milliseconds(500)
  @Setting("How many hops a flood goes.", in: 1...32, live: true)
  public var timeToLive = 7
  @Setting("The most hops that a flood of others may still go; more is cut.", in: 1...32)
  public var timeToLiveLimit = 10
  @Setting("To how many neighbours a query is passed at the most.", in: 1...1_024, live: true)
  public var neighbours = 32
  @Setting("How many nodes an answer to a ring may pass.", in: 1...32, live: true)
  public var hopLimit = 10
  @Setting("How many files a query of others is answered with at the most.", in: 1...1_000, live: true)
  public var results = 64
  @Setting(
    "How many queries, and how many answers, a second are taken from one neighbour.", in: 1...1_000_000, live: true)
  public var rate = 500
  @Setting("How many bytes of names are looked through a second for others' queries.", in: .kib(64)..., live: true)
  public var scan = ByteCount.mib(256)
  @Setting("How many local files can be found; further ones are left out.", in: 1...10_000_000)
  public var files = 1_000_000
  @Setting("How long a hit is kept; one that is asked for often up to ten times as long.", in: .zero..., live: true)
  public var cacheAge = Duration.seconds(60)
  @Setting("How many hits are kept; 0: none.", in: 0...100_000, live: true)
  public var cache = 2_048
  @Setting("Whether floods of others are answered with hits that are kept, too.", live: true)
  public var answerFromCache = true
  @Setting("How long a query that came by is remembered.", in: .seconds(1) ... .seconds(86_400), live: true)
  public var stale = Duration.seconds(60)
  @Setting("How many queries are remembered; the oldest go first.", in: 16...100_000, live: true)
  public var recent = 4_096

  public init() {}
}
