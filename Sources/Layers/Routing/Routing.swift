// Routing: private messages and those of other layers, which find their way from neighbour to neighbour.
import PeersterVocabulary
import StackCore

/// The Peersters' private messages, hop by hop, and messages of any layer, with receipts where all between are Strata
/// nodes.
public final class Routing: ProtocolLayer, RoutingService {
  public typealias Config = RoutingConfig
  /// What Routing waits for.
  public enum Timer: Hashable {
    case routeRumor, sweep
    /// A receipt is overdue.
    case retry
    /// Something in the mailbox is to be tried.
    case mailbox
    /// A hop has not answered a probe.
    case trace
  }

  public static let manifest = LayerManifest(
    "routing", "Brings private messages to anybody whose rumors were heard.", provides: [ServiceKey.routing],
    requires: [ServiceKey.gossip])

  var config: RoutingConfig
  let me: WireText
  let gossip: any GossipService
  var table = RoutingTable()
  /// Messages of our own that are under way.
  var pending: [Pending] = []
  /// Those given up for which a receipt may come yet; the oldest go first.
  var overdue: [Overdue] = []
  static let mostOverdue = 1_024
  var nextNumber: UInt64 = 1
  /// How many messages are in the book, and which marks of those that came.
  var listed = 0
  var marks: Range<UInt64> = 1..<1
  /// Messages that were handed to other layers, until one has taken them.
  var arrivals: [Arrival] = []
  var nextArrival: UInt64 = 1
  var mailbox: Mailbox
  var nextKept: UInt64 = 1
  var traces: [Trace] = []
  var passings = RecentPassings()
  var takings = Takings()
  var routedTakings = Takings()
  let counts: Counts

  /// The metrics of the layer.
  struct Counts {
    let forwarded: Counter
    let received: Counter
    let routedReceived: Counter
    let duplicates: Counter
    let unclaimed: Counter
    let unreadable: Counter
    let noWay: Counter
    let hopLimit: Counter
    let tooMany: Counter
    let unsound: Counter
    let kept: Counter
    let letGo: Counter
    let roundTrip: Histogram

    init(_ setup: LayerSetup<Routing>) {
      forwarded = setup.counter("forwarded", "Messages, receipts and probes that were passed on.")
      received = setup.counter("received", "Private messages that have come to us, each counted once.")
      routedReceived = setup.counter("routedReceived", "Messages of other layers that have come and were taken.")
      duplicates = setup.counter("duplicates", "Messages that came once more.")
      unclaimed = setup.counter("unclaimed", "Messages for other layers that no layer here takes.")
      unreadable = setup.counter("unreadable", "Messages for other layers that these could not read.")
      noWay = setup.counter("noWay", "Messages that went no further for want of a way.")
      hopLimit = setup.counter("hopLimit", "Messages that went no further because of their hop limit.")
      tooMany = setup.counter("tooMany", "Messages beyond what is taken of one neighbour.")
      unsound = setup.counter("unsound", "Messages with a name or a body that is too long, or no hop left at all.")
      kept = setup.counter("kept", "Messages that the mailbox has taken in.")
      letGo = setup.counter("letGo", "Messages that the mailbox let go undelivered, for their age or for others.")
      roundTrip = setup.histogram("roundTrip", "Seconds from sending a message until its receipt came.")
    }
  }

  public init(config: RoutingConfig, setup: LayerSetup<Routing>) throws {
    self.config = config
    me = WireText(setup.nodeName)
    gossip = try setup.require(.gossip)
    counts = Counts(setup)
    mailbox = Mailbox(limits: config.mailboxLimits)
    setup.gauge("routes", "Origins to which there is a way.") { Double($0.table.count) }
    setup.gauge("pending", "Messages whose receipts are awaited.") { Double($0.pending.count) }
    setup.gauge("mailboxCount", "Messages in the mailbox.") { Double($0.mailbox.entries.count) }
    setup.gauge("mailboxBytes", "Bytes of messages in the mailbox.") { Double($0.mailbox.bytes) }
    setup.on(PeersterField.privateMessage, Private.self, Routing.heardPrivate)
    setup.on(RoutingField.receipt, Receipt.self, Routing.heardReceipt)
    setup.on(RoutingField.routed, Routed.self, Routing.heardRouted)
    setup.on(RoutingField.probe, TraceProbe.self, Routing.heardProbe)
    setup.on(RoutingField.probeReply, TraceReply.self, Routing.heardReply)
    setup.event(PublishRumor.port)
    setup.event(PrivateReceived.port)
    setup.event(MessageChanged.port)
    setup.event(RouteChanged.port)
    setup.event(MailboxChanged.port)
    setup.event(TraceHop.port)
    setup.event(RoutedArrival.port)
    setup.event(RouteOutcome.port)
    setup.subscribe(RumorSighting.port, Routing.sighted)
    setup.subscribe(NeighbourChange.port, Routing.neighbourChanged)
    setup.subscribe(RouteRequest.port, Routing.requested)
    setup.subscribe(RoutedTaken.port, Routing.taken)
    if config.routeRumor > .zero { setup.every(config.routeRumor, .routeRumor) }
    setup.every(.seconds(10), .sweep)
    declareCommands(setup)
    setup.provide(.routing, self)
  }

  public func route(to destination: WireText) -> Route? {
    table.candidates(destination).first.map { Route(destination: destination, nextHop: $0.nextHop, hops: $0.hops) }
  }

  // MARK: Life

  public func start(_ context: borrowing LayerContext<Routing>) {
    do {
      loadMailbox(try readMailbox(context), context)
      try loadBook(context)
    } catch { failed(error, context) }
    armRetry(context)
    if config.routeRumor > .zero { showWay(context) }
  }

  public func timerFired(_ timer: Timer, _ context: borrowing LayerContext<Routing>) {
    switch timer {
    case .routeRumor: showWay(context)
    case .retry: retry(context)
    case .mailbox: openMailbox(context)
    case .trace: traceOverdue(context)
    case .sweep: sweep(context)
    }
  }

  public func reconfigured(_ config: RoutingConfig, _ context: borrowing LayerContext<Routing>) {
    self.config = config
    mailbox.limits = config.mailboxLimits
    for entry in mailbox.shrink() { letGo(entry, .gaveWay, context) }
  }

  private func sweep(_ context: borrowing LayerContext<Routing>) {
    settleArrivals(context)
    for entry in mailbox.expire(before: context.now - config.mailboxLimits.age) { letGo(entry, .tooOld, context) }
    guard config.routeAge > .zero else { return }
    for origin in table.expire(before: context.now - config.routeAge) { tellRoute(origin, context) }
  }

  /// Has Gossip spread a rumor without a text, by which others learn the way to us.
  private func showWay(_ context: borrowing LayerContext<Routing>) {
    context.publish(PublishRumor(text: ""), on: PublishRumor.port)
  }

  func failed(_ error: any Error, _ context: borrowing LayerContext<Routing>) {
    context.log(.error, "the messages: \(error)")
  }

  // MARK: Ways

  func sighted(_ sighting: RumorSighting, _ context: borrowing LayerContext<Routing>) {
    guard sighting.origin != me else { return }
    let isNews = sighting.id > (table.candidates(sighting.origin).first?.id ?? 0)
    if table.note(sighting, at: context.now) { tellRoute(sighting.origin, context) }
    if isNews { wakeMailbox(sighting.origin, context) }
  }

  func neighbourChanged(_ change: NeighbourChange, _ context: borrowing LayerContext<Routing>) {
    guard change.change == .removed else { return }
    for origin in table.drop(change.address) { tellRoute(origin, context) }
  }

  private func tellRoute(_ origin: WireText, _ context: borrowing LayerContext<Routing>) {
    context.publish(
      RouteChanged(destination: origin, nextHop: route(to: origin)?.nextHop), on: RouteChanged.port)
  }

  /// The next hops for something, the best first, but for the neighbour that brought it. What only Strata nodes
  /// understand goes to those only, and first where all between are.
  func ways(
    to destination: WireText, except peer: Address?, needsStrata: Bool, _ context: borrowing LayerContext<Routing>
  ) -> [Address] {
    let all = table.candidates(destination).filter { $0.nextHop != peer }
    guard needsStrata else { return all.map(\.nextHop) }
    var found = all.filter { $0.hops != nil }.map(\.nextHop)
    // Of ways on which something lost its hops only the best is worth a try: others may lead back.
    if let best = all.first, best.hops == nil, context.neighbour(best.nextHop)?.isStrata == true {
      found.append(best.nextHop)
    }
    return found
  }
  /// The way for another try: every other time the best, since most often a datagram was only lost, and between these
  /// the others by turns.
  func way(_ ways: [Address], try number: Int) -> Address {
    if number % 2 == 0 || ways.count == 1 { return ways[0] }
    return ways[1 + number / 2 % (ways.count - 1)]
  }
}
