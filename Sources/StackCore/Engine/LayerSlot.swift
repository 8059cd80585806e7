// LayerSlot: a layer's place in its node, with what belongs to it alone: timers, chance, storage, files.

/// A slot as the node sees it, whatever layer is in it.
@usableFromInline class AnyLayerSlot {
  let name: String
  let summary: String
  let index: Int32
  let storage: any LayerStorage
  let files: any LayerFiles
  /// The layer's section of the configuration, with the defaults filled in.
  var settings: JSON = .null

  init(name: String, summary: String, index: Int32, storage: any LayerStorage, files: any LayerFiles) {
    self.name = name
    self.summary = summary
    self.index = index
    self.storage = storage
    self.files = files
  }

  func start(_ node: Node) {}
  func stop(_ node: Node) {}
  func fire(_ number: Int32, _ node: Node) {}
  func cancelTimers(_ node: Node) {}
  func outboxDrained(_ node: Node) {}
  func reconfigure(_ json: JSON, _ node: Node) throws {}
}

/// The slot of one layer type.
@usableFromInline final class LayerSlot<Layer: ProtocolLayer>: AnyLayerSlot {
  @usableFromInline var layer: Layer?
  @usableFromInline var random: RandomStream
  /// The layer's armed timers, and their tickets in the node's queue.
  var tickets: [Layer.Timer: (number: Int32, ticket: Int32)] = [:]
  /// The timers that fire again and again, and those among them in the order they were declared.
  var repeating: [Layer.Timer: Duration] = [:]
  var firstRounds: [Layer.Timer] = []
  private var timers: [Layer.Timer?] = []
  private var free: [Int32] = []

  init(
    name: String, summary: String, index: Int32, random: RandomStream, storage: any LayerStorage, files: any LayerFiles
  ) {
    self.random = random
    super.init(name: name, summary: summary, index: index, storage: storage, files: files)
  }

  func arm(_ timer: Layer.Timer, at deadline: Instant, _ node: Node) {
    if let armed = tickets[timer] {
      node.timers.move(armed.ticket, to: deadline)
      return
    }
    let number = free.popLast() ?? Int32(timers.count)
    if number == timers.count { timers.append(timer) } else { timers[Int(number)] = timer }
    tickets[timer] = (number, node.timers.arm(.init(owner: index, number: number), at: deadline))
  }

  func cancel(_ timer: Layer.Timer, _ node: Node) {
    guard let armed = tickets.removeValue(forKey: timer) else { return }
    node.timers.cancel(armed.ticket)
    release(armed.number)
  }

  private func release(_ number: Int32) {
    timers[Int(number)] = nil
    free.append(number)
  }

  override func fire(_ number: Int32, _ node: Node) {
    guard let timer = timers[Int(number)], let layer else { return }
    tickets[timer] = nil
    release(number)
    if let interval = repeating[timer] { arm(timer, at: node.now + interval, node) }
    layer.timerFired(timer, LayerContext(node, self))
  }

  override func cancelTimers(_ node: Node) {
    for timer in timers { if let timer { cancel(timer, node) } }
  }

  override func start(_ node: Node) {
    for timer in firstRounds { if let interval = repeating[timer] { arm(timer, at: node.now + interval, node) } }
    layer?.start(LayerContext(node, self))
  }

  override func outboxDrained(_ node: Node) { layer?.outboxDrained(LayerContext(node, self)) }

  override func stop(_ node: Node) { layer?.stop(LayerContext(node, self)) }

  override func reconfigure(_ json: JSON, _ node: Node) throws {
    let config = try decodeSettings(Layer.Config.self, from: json, at: "layers.\(name)")
    settings = try JSON(encoding: config)
    layer?.reconfigured(config, LayerContext(node, self))
  }
}
