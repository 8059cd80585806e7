// RoutingConfig: the settings of Routing and the events by which it tells what happens.
import PeersterVocabulary
import StackCore

/// How much a mailbox keeps.
public struct MailboxLimits: LayerConfig, Hashable {
  @Setting("How many messages are kept; the oldest go first.", in: 1...100_000, live: true)
  public var count = 1_000
  @Setting("How many bytes of messages are kept; the oldest go first.", in: ByteCount.kib(64)..., live: true)
  public var bytes = ByteCount.mib(16)
  @Setting("How long a message is kept.", in: .seconds(1) ... .seconds(31_536_000), live: true)
  public var age = Duration.seconds(604_800)

  public init() {}
}

/// How Routing works.
public struct RoutingConfig: LayerConfig {
  @Setting("How often a route rumor shows others the way to us; 0: never.", in: .zero ... .seconds(86_400))
  public var routeRumor = Duration.seconds(30)
  @Setting("How many nodes a message of ours may pass.", in: 1...32, live: true)
  public var hopLimit = 10
  @Setting(
    "How long a receipt is awaited; each time twice as long.", in: .milliseconds(10) ... .seconds(600), live: true)
  public var receiptTimeout = Duration.seconds(2)
  @Setting("How often a message is sent before it is given up.", in: 1...16, live: true)
  public var tries = 5
  @Setting("How long a way is used that no rumor has confirmed; 0: for ever.", in: .zero..., live: true)
  public var routeAge = Duration.seconds(3_600)
  @Setting("How many messages are listed; the oldest go first.", in: 16...1_000_000, live: true)
  public var messages = 10_000
  @Setting("How many messages that came are remembered, so that none comes twice.", in: 256...10_000_000, live: true)
  public var remembered = 100_000
  @Setting("How many messages and receipts a second are taken from one neighbour.", in: 1...1_000_000, live: true)
  public var rate = 1_000
  @Setting("How many messages of other layers a second are taken from one neighbour.", in: 1...1_000_000, live: true)
  public var routedRate = 10_000
  @Setting("Whether messages are kept for origins out of reach: our own, and those that would pass here.", live: true)
  public var mailbox = false
  @Setting("How much the mailbox keeps.", live: true)
  public var mailboxLimits = MailboxLimits()

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
  /// The state for people, with the time it took.
  public var says: String
  static let port = EventPort<MessageChanged>("message", "Something has become of a message of ours.")
}

/// The way to an origin is another.
public struct RouteChanged: Codable, Sendable {
  /// Where it leads, and over whom; over nobody when there is none any more.
  public var destination: WireText
  public var nextHop: Address?
  static let port = EventPort<RouteChanged>("route", "The way to an origin is another.")
}

/// The mailbox has taken a message, or let one go.
public struct MailboxChanged: Codable, Sendable {
  /// What can happen.
  public enum Change: String, Codable, Sendable, CaseIterable {
    case kept, sent, delivered
    case tooOld = "too old"
    case gaveWay = "gave way"
  }
  /// Whose message, for whom, and what has happened.
  public var origin: WireText
  public var destination: WireText
  public var change: Change
  static let port = EventPort<MailboxChanged>("mailbox", "The mailbox has taken a message, or let one go.")
}

extension Duration {
  /// As exact as people want to know it.
  var rounded: Duration {
    let step: Int64 =
      switch self {
      case ..<Duration.milliseconds(1): 1_000
      case ..<Duration.seconds(1): 100_000
      case ..<Duration.seconds(60): 10_000_000
      default: 1_000_000_000
      }
    return .nanoseconds((nanoseconds + step / 2) / step * step)
  }
}
