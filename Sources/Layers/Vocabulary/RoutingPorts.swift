// RoutingPorts: where other layers meet Routing: the way to an origin.
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
