// GossipPorts: where other layers meet Gossip: what they may ask of it, and what it tells.
import StackCore

/// Asks Gossip to publish a rumor of this node. Whoever asks declares the port as an event of its own.
public struct PublishRumor: Codable, Sendable {
  /// What is said; empty for a route rumor.
  public var text: WireText
  /// What it is about.
  public var topic: WireText?
  /// A request.
  public init(text: WireText, topic: WireText? = nil) {
    self.text = text
    self.topic = topic
  }

  /// Where Gossip takes requests.
  public static let port = EventPort<PublishRumor>("publish-rumor", "A layer asks Gossip to publish a rumor.")
}

/// A rumor that was heard for the first time, or published here.
public struct RumorHeard: Codable, Sendable {
  /// Who said it, its number, what is said, and about what.
  public var origin: WireText
  public var id: UInt32
  public var text: WireText
  public var topic: WireText?
  /// The neighbour that brought it; none for one of our own.
  public var from: Address?
  /// How long it was under way, by its origin's clock and ours.
  public var delay: Duration?

  /// A rumor that was heard.
  public init(_ rumor: Rumor, from: Address?, at now: Instant) {
    origin = rumor.origin
    id = rumor.id
    text = rumor.text
    topic = rumor.topic
    self.from = from
    delay = rumor.published.map { max(.zero, now - $0) }
  }

  /// Where Gossip tells of rumors with a text, on the topics that this node subscribes to.
  public static let port = EventPort<RumorHeard>("rumor", "A rumor was heard for the first time.")
}

/// A neighbour has brought the newest rumor of an origin: one that is newer than all before, or the newest once more.
public struct RumorSighting: Codable, Sendable {
  /// Whose rumor it is, and its number.
  public var origin: WireText
  public var id: UInt32
  /// Who brought it.
  public var from: Address
  /// How many nodes have passed it on; unknown where one of them was no Strata node.
  public var hops: UInt32?
  /// A sighting.
  public init(origin: WireText, id: UInt32, from: Address, hops: UInt32?) {
    self.origin = origin
    self.id = id
    self.from = from
    self.hops = hops
  }

  /// Where Gossip tells of sightings.
  public static let port = EventPort<RumorSighting>("sighting", "A neighbour brought the newest rumor of an origin.")
}

/// What Gossip can be asked.
public protocol GossipService: AnyObject {
  /// The origins that are known, in the order of their names.
  var origins: [WireText] { get }
  /// Of an origin, the first ID not seen; 1 when nothing is known of it.
  func nextID(of origin: WireText) -> UInt32
}

extension ServiceKey where Service == any GossipService {
  /// The service of Gossip.
  public static var gossip: ServiceKey<any GossipService> { ServiceKey("gossip") }
}
