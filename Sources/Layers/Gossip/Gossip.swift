// Gossip: news that reaches everyone: rumors, told from neighbour to neighbour, as Peersters do.
import PeersterVocabulary
import StackCore

/// Rumor mongering with anti-entropy (Demers et al. 1987), on the Peersters' wire.
///
/// A new rumor goes to one random neighbour. Who gets one answers with its vector clock; each side then sends what the
/// other lacks, one message after the other, until both have seen the same. Then a coin decides whether the rumor goes
/// on to another neighbour. Now and then a random neighbour is told the vector clock anyway.
public final class Gossip: ProtocolLayer {
  public typealias Config = GossipConfig
  /// What Gossip waits for.
  public enum Timer: Hashable {
    /// An answer to a rumor is overdue.
    case answers
    /// Statuses are owed to those whose rumors have come.
    case owed
    case antiEntropy
    /// Batches under way are overdue.
    case flows
    /// What was said of an origin's history has waited long enough.
    case history
    /// Old rumors go, and what waits for a gap to close.
    case sweep
    /// Lazy neighbours are to be told what there is.
    case announce
    /// Rumors that were announced have not come.
    case graft
    /// Neighbours have had their time to say which of our IDs they know.
    case ownIDs
  }

  public static let manifest = LayerManifest(
    "gossip", "Spreads rumors to everybody, also among Go Peersters.", provides: [ServiceKey.gossip])

  var config: GossipConfig
  let me: WireText
  var log: RumorLog
  var mongering = MongeringState()
  var allowances: Allowances
  var owed: [Owed] = []
  var simples = RecentSimples()
  var follows: [Follow] = []
  /// To which Peersters a rumor beyond a gap was offered lately, and when.
  var gapOffers: [Address: Instant] = [:]
  /// Which refused texts were reported lately.
  var reported: [UInt64] = []
  /// What is said of rumors that are gone before we have seen them.
  var history = HistoryClaims()
  /// The backlogs that go to neighbours.
  var flows: [NeighbourFlow] = []
  /// When we last began an exchange of ranges with a neighbour that has not answered it.
  var openings: [Address: Instant] = [:]
  /// Whether nothing of our own was in storage, and when we started.
  var isFresh = false
  var startedAt = Instant()
  /// What other layers asked to publish before neighbours could say which of our IDs they know.
  var early: [PublishRumor] = []
  /// The rank with which the next full status to a Peerster goes on.
  var rotation = 0
  var tree = BroadcastTree()
  /// How many messages about the tree each neighbour may still send.
  var treeAllowances: Allowances
  let counts: Counts
  let treeCounts: TreeCounts

  /// The metrics of the layer.
  struct Counts {
    let accepted: Counter
    let duplicates: Counter
    let held: Counter
    let refused: Counter
    let equivocations: Counter
    let statusesIn: Counter
    let statusesIgnored: Counter
    let dropped: Counter
    let forgotten: Counter
    let rangesIn: Counter
    let rangesOut: Counter
    let rangesRefused: Counter
    let batchesOut: Counter
    let delay: Histogram

    init(_ setup: LayerSetup<Gossip>) {
      accepted = setup.counter("accepted", "Rumors that were heard for the first time.")
      duplicates = setup.counter("duplicates", "Rumors that were known already.")
      held = setup.counter("held", "Rumors that came ahead of others and were held.")
      refused = setup.counter(
        "refused", "Rumors too far ahead, of too many origins, or with a name or ID that is none.")
      equivocations = setup.counter("equivocations", "Second texts under a known origin and ID.")
      statusesIn = setup.counter("statusesIn", "Statuses that were answered or needed no answer.")
      statusesIgnored = setup.counter("statusesIgnored", "Statuses beyond what one neighbour is answered.")
      dropped = setup.counter("dropped", "Rumors that retention has dropped.")
      forgotten = setup.counter("forgotten", "Origins that were forgotten to make room for others.")
      rangesIn = setup.counter("rangesIn", "Ranges of origins that neighbours have told of.")
      rangesOut = setup.counter("rangesOut", "Ranges of origins that neighbours were told of.")
      rangesRefused = setup.counter("rangesRefused", "Messages whose ranges overlap, or are none.")
      batchesOut = setup.counter("batchesOut", "Batches of rumors that were sent.")
      delay = setup.histogram("delay", "Seconds from a rumor's publication until it was heard here.")
    }
  }

  /// A call of `follow` that is under way.
  struct Follow {
    var call: CommandCall<RumorHeard, Followed>
    var topic: WireText?
    var told = 0
  }

  public init(config: GossipConfig, setup: LayerSetup<Gossip>) throws {
    self.config = config
    me = WireText(setup.nodeName)
    log = RumorLog(limits: Self.limits(config))
    allowances = Allowances(perSecond: config.statuses)
    treeAllowances = Allowances(perSecond: config.statuses)
    counts = Counts(setup)
    treeCounts = TreeCounts(setup)
    setup.gauge("origins", "Origins that are known.") { Double($0.log.clock.count) }
    setup.gauge("rumors", "Rumors that are kept.") { Double($0.log.count) }
    setup.gauge("bytes", "Bytes of rumors that are kept.") { Double($0.log.bytes) }
    setup.gauge("flows", "Neighbours to which a backlog is on its way.") { Double($0.flows.count) }
    setup.gauge("waits", "Answers that are awaited.") { Double($0.mongering.waits.count) }
    setup.on(PeersterField.simple, Simple.self, Gossip.heardSimple)
    setup.on(PeersterField.rumor, Rumor.self, Gossip.heardRumor)
    setup.on(PeersterField.status, Status.self, Gossip.heardStatus)
    setup.on(GossipField.batch, RumorBatch.self, Gossip.heardBatch)
    setup.on(GossipField.ranges, ClockRanges.self, Gossip.heardRanges)
    setup.on(GossipField.seen, BatchesSeen.self, Gossip.heardSeen)
    setup.event(RumorHeard.port)
    setup.event(RumorSighting.port)
    setup.event(SimpleHeard.port)
    setup.event(Mongering.port)
    setup.event(InSync.port)
    setup.event(CoinFlipped.port)
    setup.event(OriginDiscovered.port)
    setup.event(Equivocation.port)
    setup.subscribe(PublishRumor.port, Gossip.asked)
    setup.subscribe(NeighbourChange.port, Gossip.neighbourChanged)
    if config.antiEntropy > .zero { setup.every(config.antiEntropy, .antiEntropy) }
    setup.every(.seconds(30), .sweep)
    declareTree(setup)
    declareCommands(setup)
    setup.provide(.gossip, self)
  }

  static func limits(_ config: GossipConfig) -> RumorLog.Limits {
    RumorLog.Limits(origins: config.origins, gap: UInt32(clamping: config.gap))
  }

  // MARK: Life

  /// Takes up the log where the last run left it, and tells a neighbour what has been seen.
  public func start(_ context: borrowing LayerContext<Gossip>) {
    startedAt = context.now
    var found: [(WireText, RumorLog.Run)] = []
    do { try RumorStore(storage: context.storage).load { found.append(($0, $1)) } } catch { failed(error, context) }
    // In the order of the names, so that each finds its place at the end.
    for (origin, run) in found.sorted(by: { $0.0 < $1.0 }) { log.load(origin, run, at: context.now) }
    isFresh = log.run(of: me) == nil
    if isFresh { askForOwnIDs(context) }
    if config.spread == .tree {
      startTree(context)
    } else if config.antiEntropy > .zero {
      greet(context)
    }
  }

  public func timerFired(_ timer: Timer, _ context: borrowing LayerContext<Gossip>) {
    switch timer {
    case .answers:
      for wait in mongering.expired(at: context.now) { flipCoin(wait, context) }
      armAnswers(context)
    case .owed: payOwed(context)
    case .antiEntropy: greet(context)
    case .flows: reviveFlows(context)
    case .history: believeOld(context)
    case .sweep: sweep(context)
    case .announce: announce(context)
    case .graft: graft(context)
    case .ownIDs: publishEarly(context)
    }
  }

  public func reconfigured(_ config: GossipConfig, _ context: borrowing LayerContext<Gossip>) {
    self.config = config
    log.limits = Self.limits(config)
    allowances.perSecond = Double(config.statuses)
    treeAllowances.perSecond = Double(config.statuses)
    sweep(context)
  }

  func neighbourChanged(_ change: NeighbourChange, _ context: borrowing LayerContext<Gossip>) {
    treeChanged(change, context)
    switch change.change {
    case .removed:
      allowances.forget(change.address)
      gapOffers[change.address] = nil
      openings[change.address] = nil
      flows.removeAll { $0.peer == change.address }
    // Now it can be sent many rumors at once, so it should say which.
    case .proven: sendStatus(to: change.address, context)
    case .added, .strata: break
    }
  }

  /// Storage could not be read or written. The driver sends nothing any more; people should know why.
  func failed(_ error: any Error, _ context: borrowing LayerContext<Gossip>) {
    context.log(.error, "the rumor log: \(error)")
  }

  /// Whether a rumor is of interest here. One without a topic always is: it may have lost it on the way.
  func isOfInterest(_ topic: WireText?) -> Bool {
    guard let topic, !config.topics.isEmpty else { return true }
    return config.topics.contains { WireText($0) == topic }
  }
}

extension Gossip: GossipService {
  /// The origins that are known, in the order of their names.
  public var origins: [WireText] { log.clock.entries.map(\.identifier) }
  /// Of an origin, the first ID not seen.
  public func nextID(of origin: WireText) -> UInt32 { log.next(of: origin) }
}
