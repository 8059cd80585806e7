// LayerSetup: where a layer declares, while it is built, all that it takes part in.

/// Lent to a layer's initialiser. What is declared here shows up in the command line, the HTTP API, the console, the
/// metrics and the .proto file by itself.
public final class LayerSetup<Layer: ProtocolLayer> {
  /// The node's own name.
  public let nodeName: String
  @usableFromInline let node: Node
  @usableFromInline let slot: LayerSlot<Layer>
  var failures: [BuildError] = []
  /// Run once the layer exists, to bind its methods to it.
  @usableFromInline var bindings: [(Layer) -> Void] = []

  init(node: Node, slot: LayerSlot<Layer>) {
    self.node = node
    self.slot = slot
    nodeName = node.name
  }

  private var path: String { "layers.\(slot.name)" }

  // MARK: Messages

  /// Takes part in the packet field `number` with messages of a type: each one that arrives is read and handed on.
  @inlinable public func on<Message: WireMessage>(
    _ number: UInt32, _: Message.Type,
    _ handler: @escaping (Layer) -> (Message, Address, borrowing LayerContext<Layer>) -> Void
  ) {
    guard let port = declare(number, Message.self) else { return }
    bindings.append { [self] layer in bind(port, handler(layer)) }
  }

  /// The same with a closure, which is given the layer, the message, its sender and the context.
  @inlinable public func on<Message: WireMessage>(
    _ number: UInt32, _: Message.Type,
    _ handler: @escaping (Layer, Message, Address, borrowing LayerContext<Layer>) -> Void
  ) {
    guard let port = declare(number, Message.self) else { return }
    bindings.append { [self] layer in bind(port) { handler(layer, $0, $1, $2) } }
  }

  @inlinable func bind<Message: WireMessage>(
    _ port: Int, _ handler: @escaping (Message, Address, borrowing LayerContext<Layer>) -> Void
  ) {
    // Sound: the node owns this closure through its port table, and owns the slot until it has dropped the closure, so
    // neither reference can outlive what it names. Counting references here costs a fifth of the packet path.
    node.bind(port) { [unowned(unsafe) node, unowned(unsafe) slot] (body, sender) throws(WireError) in
      var reader = WireReader(body)
      let message = try Message(from: &reader)
      node.accepted(from: sender)
      let context = LayerContext(node, slot)
      handler(message, sender, context)
    }
  }

  /// Like `on`, but hands over the reader itself, for messages too large to be copied. What can't be read must be
  /// thrown before anything is done.
  @inlinable public func onRaw<Message: WireMessage>(
    _ number: UInt32, _: Message.Type,
    _ handler: @escaping (Layer) -> (inout WireReader, Address, borrowing LayerContext<Layer>) throws(WireError) -> Void
  ) {
    guard let port = declare(number, Message.self) else { return }
    bindings.append { [node, slot] layer in
      let bound = handler(layer)
      // Sound as in `bind`.
      node.bind(port) { [unowned(unsafe) node, unowned(unsafe) slot] (body, sender) throws(WireError) in
        var reader = WireReader(body)
        let context = LayerContext(node, slot)
        try bound(&reader, sender, context)
        node.accepted(from: sender)
      }
    }
  }

  /// Declares a message that the layer sends and somebody else takes.
  public func sends<Message: WireMessage>(_ number: UInt32, _: Message.Type) {
    _ = declare(number, Message.self, sendOnly: true)
  }

  @usableFromInline func declare<Message: WireMessage>(
    _ number: UInt32, _: Message.Type, sendOnly: Bool = false
  ) -> Int? {
    do throws(BuildError) {
      return try node.ports.declare(
        number, owner: slot.index, layer: slot.name, sendOnly: sendOnly, type: Message.self)
    } catch {
      failures.append(error)
      return nil
    }
  }

  // MARK: Timers

  /// Has a timer fire again and again, from the node's start on; at most every millisecond.
  public func every(_ interval: Duration, _ timer: Layer.Timer) {
    slot.repeating[timer] = max(interval, .milliseconds(1))
    slot.firstRounds.append(timer)
  }

  // MARK: Commands

  /// A command that answers at once.
  public func command<Input: CommandInput, Output: Codable & Sendable>(
    _ name: String, _ summary: String, examples: [String] = [],
    _ handler: @escaping (Layer) -> (Input, borrowing LayerContext<Layer>) throws -> Output
  ) {
    let description = CommandDescription(
      layer: slot.name, name: name, summary: summary, input: Schema.of(input: Input.self),
      output: Schema.of(output: Output.self), progress: nil, examples: examples)
    add(description) { [unowned node, unowned slot] layer, input, sink, _ in
      let output = try handler(layer)(
        try decodeInput(Input.self, from: input, at: ""), LayerContext(node, slot))
      node.news.append(.reply(.finished(try JSON(encoding: output)), to: sink))
    }
  }

  /// A command that answers over time: it tells its progress, ends later, and can be cancelled.
  public func stream<Input: CommandInput, Progress: Codable & Sendable, Output: Codable & Sendable>(
    _ name: String, _ summary: String, examples: [String] = [],
    _ handler:
      @escaping (Layer) -> (
        Input, CommandCall<Progress, Output>, borrowing LayerContext<Layer>
      ) throws -> Void,
    cancelled: ((Layer) -> (CommandCall<Progress, Output>, borrowing LayerContext<Layer>) -> Void)? = nil
  ) {
    let description = CommandDescription(
      layer: slot.name, name: name, summary: summary, input: Schema.of(input: Input.self),
      output: Schema.of(output: Output.self), progress: Schema.of(output: Progress.self), examples: examples)
    add(description) { [unowned node, unowned slot] layer, input, sink, id in
      let decoded = try decodeInput(Input.self, from: input, at: "")
      let call = CommandCall<Progress, Output>(id: id, node: node, sink: sink)
      node.callStarted(id, owner: slot.index) { [unowned node, unowned slot] reason in
        if call.isOver { return }
        cancelled?(layer)(call, LayerContext(node, slot))
        call.fail(reason)
      }
      // Through the call, which ends once only: the handler may have ended it, or kept it, before it threw.
      do { try handler(layer)(decoded, call, LayerContext(node, slot)) } catch {
        call.fail(CommandError(describing: error))
      }
    }
  }

  private func add(
    _ description: CommandDescription,
    _ run: @escaping (Layer, JSON, @escaping (CommandReply) -> Void, UInt64) throws -> Void
  ) {
    if node.commands.contains(where: { $0.description.layer == slot.name && $0.description.name == description.name }) {
      failures.append(BuildError(path: path, "the command \(description.name) is declared twice"))
      return
    }
    bindings.append { [node, slot] layer in
      node.commands.append(
        .init(description: description, owner: slot.index) { [unowned layer] input, sink, id in
          try run(layer, input, sink, id)
        })
    }
  }

  // MARK: Events

  /// Declares an event that the layer publishes. To declare the same once more changes nothing, so that helpers that
  /// declare what they need can be used together.
  public func event<Event>(_ port: EventPort<Event>) {
    if let other = node.events.first(where: { $0.layer == slot.name && $0.name == port.name }) {
      if other.summary == port.summary, other.schema == Schema.of(output: Event.self) { return }
      failures.append(BuildError(path: path, "the event \(other.name) is declared twice"))
      return
    }
    node.events.append(
      .init(
        layer: slot.name, name: port.name, summary: port.summary, schema: Schema.of(output: Event.self),
        owner: slot.index))
  }

  /// Asks to be called with each event of a port, whoever publishes it.
  public func subscribe<Event>(
    _ port: EventPort<Event>, _ handler: @escaping (Layer) -> (Event, borrowing LayerContext<Layer>) -> Void
  ) {
    bindings.append { [node, slot] layer in
      let bound = handler(layer)
      node.subscriptions.append(
        .init(port: port.name, owner: slot.index) { [unowned node, unowned slot] event in
          // Two ports of one name and different types never meet.
          guard let event = event as? Event else { return }
          bound(event, LayerContext(node, slot))
        })
    }
  }

  // MARK: Services

  /// Provides a service under a key of the manifest.
  public func provide<Service>(_ key: ServiceKey<Service>, _ service: Service) {
    guard Layer.manifest.provides.contains(key.name) else {
      failures.append(BuildError(path: path, "provides \(key.name), which its manifest doesn't name"))
      return
    }
    node.services[key.name] = .init(owner: slot.index, layer: slot.name, value: service)
  }

  /// A service that the manifest requires.
  public func require<Service>(_ key: ServiceKey<Service>) throws(BuildError) -> Service {
    guard Layer.manifest.requires.contains(key.name) else {
      throw BuildError(path: path, "requires \(key.name), which its manifest doesn't name")
    }
    guard let entry = node.services[key.name] else {
      throw BuildError(path: path, "needs the service \(key.name), which no enabled layer provides")
    }
    guard let service = entry.value as? Service else {
      throw BuildError(
        path: path, "needs \(key.name) as \(Service.self), but layer \(entry.layer) provides \(type(of: entry.value))")
    }
    return service
  }

  /// A service that the manifest says it uses, where one is provided.
  public func find<Service>(_ key: ServiceKey<Service>) -> Service? {
    guard Layer.manifest.uses.contains(key.name) else {
      failures.append(BuildError(path: path, "uses \(key.name), which its manifest doesn't name"))
      return nil
    }
    return node.services[key.name]?.value as? Service
  }

  // MARK: Metrics

  /// A number that only grows.
  public func counter(_ name: String, _ summary: String) -> Counter {
    let counter = Counter()
    metric(name, summary, .counter(counter))
    return counter
  }

  /// A number that the layer sets.
  public func gauge(_ name: String, _ summary: String) -> Gauge {
    let gauge = Gauge()
    metric(name, summary, .gauge { gauge.value })
    return gauge
  }

  /// A number that is asked for when somebody looks.
  public func gauge(_ name: String, _ summary: String, _ value: @escaping (Layer) -> Double) {
    // A description may outlive the layer, in the hands of whoever shows the metrics.
    weak var built: Layer?
    bindings.append { built = $0 }
    metric(name, summary, .gauge { built.map(value) ?? 0 })
  }

  /// How often values of each size are seen. Without bounds: powers of two from 1 microsecond to 67 seconds.
  public func histogram(_ name: String, _ summary: String, bounds: [Double]? = nil) -> Histogram {
    let histogram = Histogram(bounds: bounds ?? (0...26).map { 1e-6 * Double(UInt64(1) << $0) })
    metric(name, summary, .histogram(histogram))
    return histogram
  }

  private func metric(_ name: String, _ summary: String, _ source: MetricDescription.Source) {
    if node.metrics.contains(where: { $0.description.layer == slot.name && $0.description.name == name }) {
      failures.append(BuildError(path: path, "the metric \(name) is declared twice"))
      return
    }
    node.metrics.append(
      .init(.init(layer: slot.name, name: name, summary: summary, source: source), owner: slot.index))
  }
}
