// ProtocolLayer: the one thing a feature has to be.

/// A feature of a node: a deterministic state machine that shares the node's one socket with the other layers.
///
/// A layer is built once, declares in its initialiser all it takes part in, and then is only ever called by its node,
/// one call at a time. Whatever it wants of the world (time, chance, sending, timers, files) it asks of the context it
/// is lent, so that the same code runs on a socket and in a simulation of thousands of nodes.
public protocol ProtocolLayer: AnyObject, SendableMetatype {
  /// The layer's section of the node's JSON file.
  associatedtype Config: LayerConfig = NoConfig
  /// The layer's timers: a closed set, so that each is armed at most once.
  associatedtype Timer: Hashable = Never
  /// What the layer says of itself before it is built.
  static var manifest: LayerManifest { get }
  /// Builds the layer: declare messages, commands, events and services here.
  init(config: Config, setup: LayerSetup<Self>) throws
  /// The node has started.
  func start(_ context: borrowing LayerContext<Self>)
  /// A timer armed through the context is due.
  func timerFired(_ timer: Timer, _ context: borrowing LayerContext<Self>)
  /// What waited to be sent when the layer called `callWhenDrained` has left.
  func outboxDrained(_ context: borrowing LayerContext<Self>)
  /// Settings marked `live` have changed while the node runs.
  func reconfigured(_ config: Config, _ context: borrowing LayerContext<Self>)
  /// The node stops, or the layer is switched off; sends from here still leave.
  func stop(_ context: borrowing LayerContext<Self>)
}

extension ProtocolLayer {
  public func start(_ context: borrowing LayerContext<Self>) {}
  public func timerFired(_ timer: Timer, _ context: borrowing LayerContext<Self>) {}
  public func outboxDrained(_ context: borrowing LayerContext<Self>) {}
  public func reconfigured(_ config: Config, _ context: borrowing LayerContext<Self>) {}
  public func stop(_ context: borrowing LayerContext<Self>) {}
}
