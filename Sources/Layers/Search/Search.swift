// Search: finds files by words, at neighbours and beyond: by an expanding ring, as Peersters do, or by a flood.
import PeersterVocabulary
import StackCore

/// Looks for files among all nodes, and answers others that look for ours.
///
/// A ring asks few nodes at first and twice as many each second (the Peersters' way); a flood asks all within so many
/// hops. What comes back is only believed of files that were asked for, and nothing of it is proven: that is left to
/// whoever fetches the file by its root.
public final class Search: ProtocolLayer {
  public typealias Config = SearchConfig
  /// What Search waits for.
  public enum Timer: Hashable {
    /// A ring is due, or a search's time is up.
    case searches
    /// What is stale goes.
    case sweep
    /// The index goes on, or a search that waited for it.
    case index
  }

  public static let manifest = LayerManifest(
    "search", "Finds files by words, also among Go Peersters.", uses: [ServiceKey.files, ServiceKey.routing])

  var config: SearchConfig
  let me: WireText
  let files: (any FilesService)?
  let routing: (any RoutingService)?
  var locals: LocalFiles
  var traces: QueryTraces
  var cache: HitCache
  var numbers = ResultNumbers()
  var searches: [OwnSearch] = []
  /// The floods that went to neighbours who may be Peersters, and answer as these do.
  var gateways: [TraceKey] = []
  /// How many queries and answers each neighbour may have taken: so many a second, and twice as many at once.
  var queryLimits: RateLimiter
  var answerLimits: RateLimiter
  var work: WorkAllowance
  var reach = ReachAllowance()
  let counts: Counts
  static let mostSearches = 1_024
  static let mostGateways = 64

  /// The metrics of the layer.
  struct Counts {
    let queries: Counter
    let duplicates: Counter
    let passed: Counter
    let refused: Counter
    let unsearched: Counter
    let answered: Counter
    let unreached: Counter
    let hits: Counter
    let relayed: Counter
    let unasked: Counter
    let unfit: Counter
    let stale: Counter

    init(_ setup: LayerSetup<Search>) {
      queries = setup.counter("queries", "Queries of others that were heard for the first time.")
      duplicates = setup.counter("duplicates", "Queries of others that came once more.")
      passed = setup.counter("passed", "Messages by which queries were sent out or passed on.")
      refused = setup.counter(
        "refused", "Queries and answers beyond what one neighbour may send, or that make no sense.")
      unsearched = setup.counter("unsearched", "Queries of others that were passed on unanswered, to save work.")
      answered = setup.counter("answered", "Queries of others that were answered.")
      unreached = setup.counter(
        "unreached", "Messages not sent to addresses that have not shown that they receive there.")
      hits = setup.counter("hits", "Files in answers to our searches.")
      relayed = setup.counter("relayed", "Answers that were passed back.")
      unasked = setup.counter("unasked", "Answers that nobody had asked for.")
      unfit = setup.counter("unfit", "Files in answers that were not asked for, or can't be.")
      stale = setup.counter("stale", "Hits and queries that were forgotten for their age.")
    }
  }

  public init(config: SearchConfig, setup: LayerSetup<Search>) throws {
    self.config = config
    me = WireText(setup.nodeName)
    files = setup.find(.files)
    routing = setup.find(.routing)
    locals = LocalFiles(limit: config.files)
    traces = QueryTraces(limit: config.recent)
    cache = HitCache(limit: config.cache, age: config.cacheAge)
    queryLimits = RateLimiter(perSecond: config.rate, burst: config.rate * 2)
    answerLimits = queryLimits
    work = WorkAllowance(perSecond: config.scan.bytes)
    counts = Counts(setup)
    setup.gauge("files", "Local files that can be found.") { Double($0.locals.count) }
    setup.gauge("leftOut", "Local files for which there was no room.") { layer in
      layer.locals.isShort ? Double(max(0, (layer.files?.fileCount ?? 0) - layer.locals.count)) : 0
    }
    setup.gauge("indexBytes", "Bytes that the index takes.") { Double($0.locals.memoryBytes) }
    setup.gauge("searches", "Searches of ours that are under way.") { Double($0.searches.count) }
    setup.gauge("traces", "Queries that are remembered.") { Double($0.traces.count) }
    setup.gauge("cached", "Hits that are kept.") { Double($0.cache.count) }
    setup.on(PeersterField.searchRequest, SearchRequest.self, Search.heardRequest)
    setup.on(PeersterField.searchReply, SearchReply.self, Search.heardReply)
    setup.on(FloodQuery.field, FloodQuery.self, Search.heardFlood)
    setup.on(FloodHit.field, FloodHit.self, Search.heardHit)
    setup.event(FileHolders.port)
    setup.event(SearchStarted.port)
    setup.event(SearchRound.port)
    setup.event(QueryHeard.port)
    setup.event(QueryPassed.port)
    setup.event(QueryAnswered.port)
    setup.event(SearchHit.port)
    setup.event(SearchEnded.port)
    setup.subscribe(NeighbourChange.port, Search.neighbourChanged)
    setup.subscribe(FilesChanged.port, Search.filesChanged)
    declareCommands(setup)
  }

  // MARK: Life

  public func start(_ context: borrowing LayerContext<Search>) { armIndex(context) }

  public func timerFired(_ timer: Timer, _ context: borrowing LayerContext<Search>) {
    switch timer {
    case .searches: goOn(context)
    case .index: goOnIndexing(context)
    case .sweep:
      let gone = traces.expire(before: context.now - config.stale) + cache.expire(at: context.now)
      counts.stale.add(UInt64(gone))
      gateways.removeAll { traces[$0] == nil }
      if traces.count + cache.count > 0 { armSweep(context) }
    }
  }

  /// A node that nobody asks anything need not wake.
  func armSweep(_ context: borrowing LayerContext<Search>) {
    if !context.isArmed(.sweep) { context.arm(.sweep, after: .seconds(10)) }
  }

  public func reconfigured(_ config: SearchConfig, _ context: borrowing LayerContext<Search>) {
    self.config = config
    traces.limit = max(4, config.recent)
    (cache.limit, cache.age) = (config.cache, config.cacheAge)
    queryLimits.set(perSecond: config.rate, burst: config.rate * 2)
    answerLimits.set(perSecond: config.rate, burst: config.rate * 2)
    work.perSecond = Double(config.scan.bytes)
  }

  func neighbourChanged(_ change: NeighbourChange, _ context: borrowing LayerContext<Search>) {
    guard change.change == .removed else { return }
    queryLimits.forget(change.address)
    answerLimits.forget(change.address)
    reach.forget(change.address)
  }

  // MARK: Our own files

  /// How long after a slice of the index, or after a change, the next slice is due: all else has its turn in between.
  /// Less while a search waits for it.
  static let indexPause = Duration.milliseconds(5)
  static let shortPause = Duration.milliseconds(1)

  func filesChanged(_ change: FilesChanged, _ context: borrowing LayerContext<Search>) { armIndex(context) }

  /// Sees that the index goes on, as long as there is something to go on with.
  func armIndex(_ context: borrowing LayerContext<Search>) {
    if context.isArmed(.index) { return }
    if searches.contains(where: { $0.awaited != nil }) {
      context.arm(.index, after: Self.shortPause)
    } else if isBehind {
      context.arm(.index, after: Self.indexPause)
    }
  }

  var isBehind: Bool { files.map { locals.isBehind($0) } ?? false }

  /// Takes up a slice of what has changed; or has one of the searches that waited for the index go on, so that no turn
  /// takes long.
  private func goOnIndexing(_ context: borrowing LayerContext<Search>) {
    if let place = searches.firstIndex(where: { $0.awaited.map { $0 <= locals.revision } ?? false }) {
      tellTheRest(place, context)
    } else if let files {
      locals.follow(files)
    }
    armIndex(context)
  }

  /// The files of ours that a query means, each root once. Of others' queries, some are not looked for, to save work.
  func local(
    _ query: Query, most: Int, isOurs: Bool, _ context: borrowing LayerContext<Search>
  ) -> [HeldFile] {
    guard let files else { return [] }
    locals.follow(files)
    armIndex(context)
    if locals.count == 0 { return [] }
    let cost = locals.scanBytes * (query.isAny ? query.terms.count : 1)
    guard isOurs || work.take(cost, at: context.now) else {
      counts.unsearched.add()
      return []
    }
    return locals.find(query, most: most, files)
  }

  // MARK: Sending

  /// Sends a message to a neighbour that has shown that it receives, or to another while it is little.
  func send(
    _ message: some WireMessage, as field: UInt32, to peer: Address, _ context: borrowing LayerContext<Search>
  ) -> Bool {
    guard let neighbour = context.neighbour(peer) else {
      counts.unreached.add()
      return false
    }
    // Only of strangers the size matters.
    if !neighbour.isProven, !neighbour.configured, !reach.take(message.encoded().count + 8, for: neighbour) {
      counts.unreached.add()
      return false
    }
    context.send(message, as: field, to: peer)
    return true
  }

  /// The most bytes of files in one message: what Peersters can read.
  static let messageBytes = 8_000

  /// Parts a list so that each part fits a message.
  static func parts(_ results: [SearchResult]) -> [[SearchResult]] {
    var parts: [[SearchResult]] = []
    var bytes = messageBytes
    for result in results {
      let size = result.encoded().count + 4
      if bytes + size > messageBytes {
        parts.append([])
        bytes = 0
      }
      bytes += size
      parts[parts.count - 1].append(result)
    }
    return parts
  }

  /// A number of a query, as people see it.
  static func text(_ id: UInt64) -> String {
    let digits = String(id, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }
}
