// Routing: private messages that find their way from neighbour to neighbour, and receipts that find it back.
import PeersterVocabulary
import StackCore

/// How Routing works.
public struct RoutingConfig: LayerConfig {
  @Setting("How often a route rumor shows others the way to us; 0: never.", in: .zero ... .seconds(86_400))
  public var routeRumor = Duration.seconds(30)
  @Setting("How many nodes a message of ours may pass.", in: 1...32, live: true)
  public var hopLimit = 10
  @Setting("How long a receipt is awaited at first; each time twice as long.", in: .milliseconds(10)..., live: true)
  public var receiptTimeout = Duration.seconds(2)
  @Setting("How often a message is sent before it is given up.", in: 1...16, live: true)
  public var tries = 5
  @Setting("How long a way is used that no rumor has confirmed; 0: for ever.", in: .zero..., live: true)
  public var routeAge = Duration.seconds(3_600)
  @Setting("How many messages are kept; the oldest go first.", in: 16...1_000_000, live: true)
  public var messages = 10_000
  @Setting("How many messages a second are taken from one neighbour.", in: 1...1_000_000, live: true)
  public var rate = 1_000

  public init() {}
}

/// A private message has come to us.
public struct PrivateReceived: Codable, Sendable {
  /// Who sent it (not checked by anybody), and what it says.
  public var origin: WireText
  public var text: WireText
  static let port = EventPort<PrivateReceived>("private", "A private message has come to us.")
}

/// A message of ours has come to an end, or is under way.
public struct MessageChanged: Codable, Sendable {
  /// Its number here, to whom it goes, and what has become of it.
  public var number: UInt64
  public var destination: WireText
  public var state: MessageState
  static let port = EventPort<MessageChanged>("message", "Something has become of a message of ours.")
}

/// The way to an origin is another.
public struct RouteChanged: Codable, Sendable {
  /// Where it leads, and over whom; over nobody when there is none any more.
  public var destination: WireText
  public var nextHop: Address?
  static let port = EventPort<RouteChanged>("route", "The way to an origin is another.")
}

/// Confirms the arrival of a message.
struct Receipt: WireMessage {
  var origin: WireText = ""
  var destination: WireText = ""
  var hopLimit: UInt32 = 0
  var messageID = Fixed64(0)

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "destination", &destination)
    try field(3, "hopLimit", &hopLimit)
    try field(4, "messageID", &messageID)
  }
  static let field: UInt32 = 96
}

/// The Peersters' private messages, hop by hop, with receipts where both ends and all between are Strata nodes.
public final class Routing: ProtocolLayer, RoutingService {
  public typealias Config = RoutingConfig
  /// What Routing waits for.
  public enum Timer: Hashable { case routeRumor, retry, sweep }

  public static let manifest = LayerManifest(
    "routing", "Brings private messages to anybody whose rumors were heard.", provides: [ServiceKey.routing],
    requires: [ServiceKey.gossip])

  /// A message of ours that waits for its receipt.
  struct Pending {
    var number: UInt64
    var message: StoredMessage
    var due: Instant
    var call: CommandCall<MessageChanged, MessageChanged>?
  }

  var config: RoutingConfig
  let me: WireText
  var table = RoutingTable()
  var pending: [Pending] = []
  var nextNumber: UInt64 = 1
  var kept = 0
  /// How many messages each neighbour has sent in the present second.
  private var taken: [Address: Int] = [:]
  private var takenSince = Instant()
  private let forwarded: Counter
  private let received: Counter
  private let duplicates: Counter
  private let dropped: Counter
  static let mostPending = 1_024

  public init(config: RoutingConfig, setup: LayerSetup<Routing>) throws {
    self.config = config
    me = WireText(setup.nodeName)
    forwarded = setup.counter("forwarded", "Messages and receipts that were passed on.")
    received = setup.counter("received", "Private messages that have come to us, each counted once.")
    duplicates = setup.counter("duplicates", "Private messages that came once more.")
    dropped = setup.counter("dropped", "Messages without a way or at their hop limit, or too many of one neighbour.")
    _ = try setup.require(.gossip)
    setup.gauge("routes", "Origins to which there is a way.") { Double($0.table.count) }
    setup.gauge("pending", "Messages whose receipts are awaited.") { Double($0.pending.count) }
    setup.on(PeersterField.privateMessage, Private.self, Routing.heardPrivate)
    setup.on(Receipt.field, Receipt.self, Routing.heardReceipt)
    setup.event(PublishRumor.port)
    setup.event(PrivateReceived.port)
    setup.event(MessageChanged.port)
    setup.event(RouteChanged.port)
    setup.subscribe(RumorSighting.port, Routing.sighted)
    setup.subscribe(NeighbourChange.port, Routing.neighbourChanged)
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
    let timeout = config.receiptTimeout
    do {
      try MessageBook(storage: context.storage).scan { number, message in
        nextNumber = max(nextNumber, number + 1)
        kept += 1
        if message.state == .waiting, pending.count < Self.mostPending {
          pending.append(.init(number: number, message: message, due: context.now + timeout))
        }
        return true
      }
    } catch { failed(error, context) }
    armRetry(context)
    if config.routeRumor > .zero { showWay(context) }
  }

  public func timerFired(_ timer: Timer, _ context: borrowing LayerContext<Routing>) {
    switch timer {
    case .routeRumor: showWay(context)
    case .retry: retry(context)
    case .sweep:
      guard config.routeAge > .zero else { return }
      for origin in table.expire(before: context.now - config.routeAge) { tellRoute(origin, context) }
    }
  }

  public func reconfigured(_ config: RoutingConfig, _ context: borrowing LayerContext<Routing>) { self.config = config }

  /// Has Gossip spread a rumor without a text, by which others learn the way to us.
  private func showWay(_ context: borrowing LayerContext<Routing>) {
    context.publish(PublishRumor(text: ""), on: PublishRumor.port)
  }

  func failed(_ error: any Error, _ context: borrowing LayerContext<Routing>) {
    context.log(.error, "the messages: \(error)")
  }

  // MARK: Ways

  func sighted(_ sighting: RumorSighting, _ context: borrowing LayerContext<Routing>) {
    if sighting.origin != me, table.note(sighting, at: context.now) { tellRoute(sighting.origin, context) }
  }

  func neighbourChanged(_ change: NeighbourChange, _ context: borrowing LayerContext<Routing>) {
    guard change.change == .removed else { return }
    for origin in table.drop(change.address) { tellRoute(origin, context) }
  }

  private func tellRoute(_ origin: WireText, _ context: borrowing LayerContext<Routing>) {
    context.publish(
      RouteChanged(destination: origin, nextHop: route(to: origin)?.nextHop), on: RouteChanged.port)
  }

  // MARK: Passing on

  /// Where a message goes on to, and with which hop limit; nil when its way ends here. A limit above 32 counts as 32.
  private func onward(_ destination: WireText, _ hopLimit: UInt32) -> (nextHop: Address, hopLimit: UInt32)? {
    let limit = min(hopLimit, 32)
    guard limit > 1, let route = route(to: destination) else {
      dropped.add()
      return nil
    }
    return (route.nextHop, limit - 1)
  }

  /// Whether a neighbour may have one more message taken this second.
  private func mayTake(_ peer: Address, _ now: Instant) -> Bool {
    if now - takenSince >= .seconds(1) {
      taken = [:]
      takenSince = now
    }
    let count = taken[peer] ?? 0
    guard count < config.rate, count > 0 || taken.count < 4_096 else {
      dropped.add()
      return false
    }
    taken[peer] = count + 1
    return true
  }

  func heardPrivate(_ message: Private, from peer: Address, _ context: borrowing LayerContext<Routing>) {
    guard mayTake(peer, context.now) else { return }
    if message.destination == me { return deliver(message, context) }
    guard let (nextHop, limit) = onward(message.destination, message.hopLimit) else { return }
    var onward = message
    onward.hopLimit = limit
    context.send(onward, as: PeersterField.privateMessage, to: nextHop)
    forwarded.add()
  }

  func heardReceipt(_ receipt: Receipt, from peer: Address, _ context: borrowing LayerContext<Routing>) {
    guard mayTake(peer, context.now) else { return }
    if receipt.destination == me {
      guard
        let place = pending.firstIndex(where: {
          $0.message.messageID == receipt.messageID && $0.message.peer == receipt.origin
        })
      else { return }
      return settle(place, .delivered, context)
    }
    guard let (nextHop, limit) = onward(receipt.destination, receipt.hopLimit) else { return }
    var onward = receipt
    onward.hopLimit = limit
    context.send(onward, as: Receipt.field, to: nextHop)
    forwarded.add()
  }

  /// A message for us: kept once, and confirmed as often as it comes.
  private func deliver(_ message: Private, _ context: borrowing LayerContext<Routing>) {
    let book = MessageBook(storage: context.storage)
    let messageID = message.messageID?.value ?? 0
    do {
      if messageID != 0, try book.hasReceived(message.origin, messageID) {
        duplicates.add()
      } else {
        if messageID != 0 { try book.noteReceived(message.origin, messageID) }
        take(message, messageID, context)
      }
    } catch { return failed(error, context) }
    guard messageID != 0, let way = route(to: message.origin) else { return }
    let receipt = Receipt(
      origin: me, destination: message.origin, hopLimit: UInt32(config.hopLimit), messageID: Fixed64(messageID))
    context.send(receipt, as: Receipt.field, to: way.nextHop)
  }

  func take(_ message: Private, _ messageID: UInt64, _ context: borrowing LayerContext<Routing>) {
    received.add()
    var stored = StoredMessage()
    (stored.peer, stored.text, stored.at) = (message.origin, message.text, context.now)
    (stored.messageID, stored.state) = (Fixed64(messageID), .received)
    _ = keep(stored, context)
    context.publish(PrivateReceived(origin: message.origin, text: message.text), on: PrivateReceived.port)
  }

  /// Keeps a message, and lets go of the oldest when there are too many.
  func keep(_ message: StoredMessage, _ context: borrowing LayerContext<Routing>) -> UInt64 {
    let book = MessageBook(storage: context.storage)
    let number = nextNumber
    nextNumber += 1
    kept += 1
    do {
      try book.set(number, message)
      guard kept > config.messages else { return number }
      var old: [UInt64] = []
      try book.scan(reversed: false) { number, message in
        if message.state.isFinal { old.append(number) }
        return old.count < config.messages / 16 + 1
      }
      for number in old { try book.remove(number) }
      kept -= old.count
    } catch { failed(error, context) }
    return number
  }
}
