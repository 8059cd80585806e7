// NodeBuilding: how layers come into the node and go out of it, and what the node knows of what they registered.

extension Node {
  struct RegisteredCommand {
    var description: CommandDescription
    var owner: Int32
    var run: (JSON, @escaping (CommandReply) -> Void, UInt64) throws -> Void
  }
  struct RegisteredContent {
    var description: ContentDescription
    var owner: Int32
    var run: (ContentRead) -> Void
  }
  struct RegisteredEvent {
    var layer: String
    var name: String
    var summary: String
    var schema: Schema
    var owner: Int32
    var count: UInt64 = 0
  }
  struct RegisteredMetric {
    var description: MetricDescription
    var owner: Int32
    init(_ description: MetricDescription, owner: Int32) {
      self.description = description
      self.owner = owner
    }
  }
  struct RegisteredService {
    var owner: Int32
    var layer: String
    var value: Any
  }
  struct Subscription {
    var port: String
    var owner: Int32
    var deliver: (Any) -> Void
  }

  func declareCorePorts() throws(BuildError) {
    func declare<M: WireMessage>(_ number: UInt32, _: M.Type) throws(BuildError) {
      _ = try ports.declare(
        number, owner: -1, layer: "core", sendOnly: false, type: M.self)
    }
    try declare(CoreField.piece, Piece.self)
    try declare(CoreField.hello, Hello.self)
    try declare(CoreField.probe, PathProbeMessage.self)
    try declare(CoreField.probeReply, PathProbeReply.self)
    events.append(
      .init(
        layer: "core", name: NeighbourChange.port.name, summary: NeighbourChange.port.summary,
        schema: Schema.of(output: NeighbourChange.self), owner: -1))
  }

  /// Builds one layer into the node; `start` is the caller's.
  func add<Layer: ProtocolLayer>(_: Layer.Type, section: JSON) throws {
    let manifest = Layer.manifest
    let path = "layers.\(manifest.name)"
    let config = try decodeSettings(Layer.Config.self, from: section, at: path)
    let slot = LayerSlot<Layer>(
      name: manifest.name, summary: manifest.summary, index: Int32(slots.count),
      random: RandomStream(seed: seed, name: "layer.\(manifest.name)"),
      storage: try storageRoot.namespace(manifest.name, version: manifest.storageVersion),
      files: filesFor(manifest.name))
    slot.settings = try JSON(encoding: config)
    slots.append(slot)
    let setup = LayerSetup<Layer>(node: self, slot: slot)
    // They hold the setup, and it holds the node: kept, they would keep the node for ever.
    defer { setup.bindings = [] }
    do {
      let layer = try Layer(config: config, setup: setup)
      if let failure = setup.failures.first { throw failure }
      for service in manifest.provides where services[service]?.owner != slot.index {
        throw BuildError(path: path, "its manifest names the service \(service), but it doesn't provide it")
      }
      slot.layer = layer
      for bind in setup.bindings { bind(layer) }
    } catch {
      withdraw(slot)
      slots.removeLast()
      throw error
    }
    noticePeersters()
  }

  /// Whether a neighbour may be a Peerster has changed: what was taken for granted of the unproven no longer is.
  private func noticePeersters() {
    guard speaksPeerster != ports.hasPeersterPorts else { return }
    speaksPeerster.toggle()
    for place in 0..<neighbours.count where !neighbours[place].isProven { neighbours[place].isStrata = !speaksPeerster }
  }

  /// Takes back all that a layer has registered.
  func withdraw(_ slot: AnyLayerSlot) {
    let owner = slot.index
    slot.cancelTimers(self)
    ports.remove(owner: owner)
    commands.removeAll { $0.owner == owner }
    contents.removeAll { $0.owner == owner }
    events.removeAll { $0.owner == owner }
    metrics.removeAll { $0.owner == owner }
    subscriptions.removeAll { $0.owner == owner }
    for name in services.filter({ $0.value.owner == owner }).keys.sorted() { services[name] = nil }
    for id in completions.filter({ $0.value.owner == owner }).keys.sorted() { completions[id] = nil }
    noticePeersters()
  }
}
