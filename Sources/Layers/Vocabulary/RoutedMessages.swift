// RoutedMessages: how any layer sends a message of its own to any origin, and gets those that are sent to it.
import StackCore

/// What has become of a message that was sent with a token.
public enum RouteResult: String, Codable, Sendable, CaseIterable {
  /// A layer at its destination has taken it.
  case delivered
  /// A mailbox keeps it until there is a way; another outcome follows.
  case kept
  /// There is no way of Strata nodes to its destination.
  case noRoute = "no route"
  /// It was sent several times, and no receipt came.
  case noAnswer = "no answer"
  /// It is too long, or too many wait already.
  case refused
}

/// What has become of a message of a layer's own.
public struct RouteOutcome: Codable, Sendable, Hashable {
  /// The layer that sent it, and the token that it gave.
  public var layer: String
  public var token: UInt64
  /// The packet field it was sent as, and to whom.
  public var field: UInt32
  public var destination: WireText
  /// What has become of it, and how long after it was sent.
  public var result: RouteResult
  public var after: Duration
  /// An outcome.
  public init(
    layer: String, token: UInt64, field: UInt32, destination: WireText, result: RouteResult, after: Duration
  ) {
    self.layer = layer
    self.token = token
    self.field = field
    self.destination = destination
    self.result = result
    self.after = after
  }

  /// Where Routing tells of outcomes.
  public static let port = EventPort<RouteOutcome>(
    "routed-outcome", "Something has become of a layer's routed message.")
}

/// A message's bytes, which people see only the size of.
public struct RoutedBody: Codable, Sendable, Hashable, SchemaProviding {
  /// The bytes.
  public var bytes: [UInt8]
  /// A body of these bytes.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }
  /// The most bytes that a routed message may have.
  public static let limit = 32_768

  public static var schema: Schema { Schema(.string(allowed: nil, minCount: nil, maxCount: nil)) }
  public static var schemaSample: RoutedBody { RoutedBody([]) }
  public init(from decoder: any Decoder) throws {
    _ = try decoder.singleValueContainer().decode(String.self)
    bytes = []
  }
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode("\(bytes.count) bytes")
  }
}

/// A layer asks Routing to bring a message to an origin. Made by `LayerContext.route`.
public struct RouteRequest: Codable, Sendable {
  /// The layer that asks.
  public var layer: String
  /// The packet field, the message's bytes, and to whom it goes.
  public var field: UInt32
  public var body: RoutedBody
  public var destination: WireText
  /// With a token a receipt is awaited, and the layer is told the outcome; without, it is sent once and forgotten.
  public var token: UInt64?
  /// A request.
  public init(layer: String, field: UInt32, body: RoutedBody, destination: WireText, token: UInt64?) {
    self.layer = layer
    self.field = field
    self.body = body
    self.destination = destination
    self.token = token
  }

  /// Where Routing takes requests.
  public static let port = EventPort<RouteRequest>(
    "route-request", "A layer asks Routing to bring a message to an origin.")
}

/// A routed message has come for this node; the layer that takes its field reads it.
public struct RoutedArrival: Codable, Sendable {
  /// By what the answer of the layer that takes it is known.
  public var number: UInt64
  /// Who sent it (not checked by anybody), as which field, and its bytes.
  public var origin: WireText
  public var field: UInt32
  public var body: RoutedBody
  /// An arrival.
  public init(number: UInt64, origin: WireText, field: UInt32, body: RoutedBody) {
    self.number = number
    self.origin = origin
    self.field = field
    self.body = body
  }

  /// Where Routing hands messages over.
  public static let port = EventPort<RoutedArrival>("routed-arrival", "A routed message has come for a layer.")
}

/// A layer answers an arrival: only then is a receipt sent. An arrival that nobody answers is counted as unclaimed.
public struct RoutedTaken: Codable, Sendable {
  /// The arrival's number, and whether its bytes were a message of that field.
  public var number: UInt64
  public var isReadable: Bool
  /// An answer.
  public init(number: UInt64, isReadable: Bool) {
    self.number = number
    self.isReadable = isReadable
  }

  /// Where Routing hears of it.
  public static let port = EventPort<RoutedTaken>("routed-taken", "A layer has taken a routed message.")
}

/// A layer that needs no routing of its own says what it takes and sends, and sends to names in place of addresses:
///
/// ```swift
/// final class Chess: ProtocolLayer {
///   static let manifest = LayerManifest("chess", "Chess by name.", requires: [ServiceKey.routing])
///
///   init(config: NoConfig, setup: LayerSetup<Chess>) throws {
///     _ = try setup.require(.routing)
///     setup.onRouted(1_000, Move.self, Chess.moved)
///     setup.sendsRouted(outcome: Chess.outcome)
///   }
///   func moved(_ move: Move, from origin: WireText, _ context: borrowing LayerContext<Chess>) {
///     context.route(answer(to: move), as: 1_000, to: origin, token: 7)
///   }
///   func outcome(_ outcome: RouteOutcome, _ context: borrowing LayerContext<Chess>) {
///     if outcome.result != .delivered { context.log(.warning, "\(outcome.destination): \(outcome.result.rawValue)") }
///   }
/// }
/// ```
extension LayerSetup {
  /// Takes the messages of a type that others route to this node as packet field `number`: each one is read and handed
  /// on with its sender's name, which nobody has checked. With a token it is handed on once; without, as often as the
  /// network brings it. The field is declared as the layer's own, unless `isDeclared` says that `on` or `sends` did so;
  /// that a message comes routed never makes it one for the handler of `on`, nor the other way round.
  public func onRouted<Message: WireMessage>(
    _ number: UInt32, _: Message.Type, isDeclared: Bool = false,
    _ handler: @escaping (Layer) -> (Message, WireText, borrowing LayerContext<Layer>) -> Void
  ) {
    if !isDeclared { sends(number, Message.self) }
    event(RoutedTaken.port)
    subscribe(RoutedArrival.port) { layer in
      let bound = handler(layer)
      return { (arrival: RoutedArrival, context: borrowing LayerContext<Layer>) in
        guard arrival.field == number else { return }
        let message = try? Message(decoding: arrival.body.bytes)
        context.publish(RoutedTaken(number: arrival.number, isReadable: message != nil), on: RoutedTaken.port)
        if let message { bound(message, arrival.origin, context) }
      }
    }
  }

  /// Says that the layer sends routed messages without tokens.
  public func sendsRouted() { event(RouteRequest.port) }

  /// Says that the layer sends routed messages, and asks to be told what has become of those with a token.
  public func sendsRouted(
    outcome handler: @escaping (Layer) -> (RouteOutcome, borrowing LayerContext<Layer>) -> Void
  ) {
    sendsRouted()
    subscribe(RouteOutcome.port) { layer in
      let bound = handler(layer)
      return { (outcome: RouteOutcome, context: borrowing LayerContext<Layer>) in
        if outcome.layer == Layer.manifest.name { bound(outcome, context) }
      }
    }
  }
}

extension LayerContext {
  /// Sends a message to an origin, whatever lies between; one to this node itself is delivered here. The layer has said
  /// so with `sendsRouted`. Without a token it is sent once, as `send` does, and nothing is heard of it. With a token
  /// it is sent again until its receipt has come, its receiver takes it once, and the outcome comes with the token to
  /// the handler of `sendsRouted`. At most `RoutedBody.limit` bytes; more has the outcome `refused`.
  public func route<Message: WireMessage>(
    _ message: Message, as number: UInt32, to destination: WireText, token: UInt64? = nil
  ) {
    publish(
      RouteRequest(
        layer: Layer.manifest.name, field: number, body: RoutedBody(message.encoded()), destination: destination,
        token: token), on: RouteRequest.port)
  }
}
