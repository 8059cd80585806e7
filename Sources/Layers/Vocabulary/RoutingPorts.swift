// RoutingPorts: where other layers meet Routing: the way to an origin, and messages of any kind sent along it.
import StackCore

/// The way to an origin.
public struct Route: Codable, Sendable, Hashable {
  /// Where it leads.
  public var destination: WireText
  /// The neighbour that brought the destination's newest rumor.
  public var nextHop: Address
  /// How many nodes lie between; unknown where one of them is no Strata node.
  public var hops: UInt32?
  /// Whether all nodes on the way are Strata nodes, so that receipts come back.
  public var isStrata: Bool { hops != nil }
  /// A way.
  public init(destination: WireText, nextHop: Address, hops: UInt32?) {
    self.destination = destination
    self.nextHop = nextHop
    self.hops = hops
  }
}

/// What Routing can be asked. A layer whose messages carry a destination and a hop limit of their own sends them to the
/// next hop.
public protocol RoutingService: AnyObject {
  /// The way to an origin; nil when none is known.
  func route(to destination: WireText) -> Route?
}

extension ServiceKey where Service == any RoutingService {
  /// The service of Routing.
  public static var routing: ServiceKey<any RoutingService> { ServiceKey("routing") }
}

/// Asks Routing to bring a layer's message to an origin over Strata nodes. Whoever asks declares the port as an event
/// of its own.
public struct SendRouted: Codable, Sendable {
  /// Where to.
  public var destination: WireText
  /// What kind of message it is: the packet field that its layer has claimed for it.
  public var kind: UInt32
  /// The message's bytes, at most `largestBody`.
  public var body: [UInt8]
  /// The asker's number for it, under which its fate is told; nil when nobody wants to know, and no receipt is asked.
  public var token: UInt64?
  /// A request.
  public init(destination: WireText, kind: UInt32, body: [UInt8], token: UInt64? = nil) {
    self.destination = destination
    self.kind = kind
    self.body = body
    self.token = token
  }

  /// The largest message that can be brought.
  public static let largestBody = 60_000
  /// Where Routing takes requests.
  public static let port = EventPort<SendRouted>("send-routed", "A layer asks Routing to bring a message to an origin.")
}

/// A layer's message has come to us over any number of nodes.
public struct RoutedArrived: Codable, Sendable {
  /// Who sent it; not checked by anybody.
  public var origin: WireText
  /// What kind of message it is, and its bytes.
  public var kind: UInt32
  public var body: [UInt8]
  /// A message.
  public init(origin: WireText, kind: UInt32, body: [UInt8]) {
    self.origin = origin
    self.kind = kind
    self.body = body
  }

  /// Where Routing hands over what has come; a layer takes the kinds that are its own.
  public static let port = EventPort<RoutedArrived>("routed", "A layer's message came from another node.")
}

/// What has become of a layer's message.
public struct RoutedFate: Codable, Sendable {
  /// How it can end.
  public enum Outcome: String, Codable, Sendable, CaseIterable {
    case delivered
    case noRoute = "no route"
    case noAnswer = "no answer"
    case refused
  }
  /// The asker's number, the kind of message, and how it ended.
  public var token: UInt64
  public var kind: UInt32
  public var outcome: Outcome
  /// A fate.
  public init(token: UInt64, kind: UInt32, outcome: Outcome) {
    self.token = token
    self.kind = kind
    self.outcome = outcome
  }

  /// Where Routing tells it.
  public static let port = EventPort<RoutedFate>("fate", "A layer's message was delivered, or given up.")
}
