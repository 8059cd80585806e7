// RoutingEvents: what Routing tells people of.
import PeersterVocabulary
import StackCore

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
