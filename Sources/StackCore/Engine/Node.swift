// Node: the engine. It owns the layers and is driven from outside: datagrams and time in, datagrams and news out.

/// A node, without a clock, a socket or a thread of its own.
///
/// A driver (the event loop of a real node, or the simulator) calls it with what happens and when, then takes what it
/// has to send and to say. Every call belongs to one thread at a time. After each round the driver calls `commit()`,
/// and only then `withOutgoing` and `takeNews`: nothing leaves the node before what it rests on is on disk.
public final class Node {
  /// The node's name.
  public let name: String
  /// The address the node speaks from; the driver sets it once it is bound.
  public var address: Address
  /// The time of the present call.
  public internal(set) var now = Instant(nanoseconds: 0)
  /// Whether anybody takes the events.
  public var observesEvents = false
  /// How many bytes of datagrams the driver can keep until the node takes them: what may come at once without loss.
  public var receiveBuffer = 256 << 10
  /// The least important log level that is wanted.
  public var logLevel = LogLevel.info

  let limits: NodeLimits
  let storageRoot: any NodeStorage
  private let filesFor: (String) -> any LayerFiles
  let seed: UInt64
  var peers: [Address]

  var slots: [AnyLayerSlot?] = []
  var ports = PortTable()
  @usableFromInline var outbox: Outbox
  var neighbours: NeighbourTable
  var timers = TimerQueue()
  var reassembler = Reassembler()
  /// Marks and numbers on the wire come from keys of their own, so that none gives another away.
  let cookieKey: SipKey
  private let numberKey: SipKey
  private var numbersDrawn: UInt64 = 0
  var scratch = WireWriter(limit: NodeLimits.largestMessage + 64)

  var commands: [RegisteredCommand] = []
  var contents: [RegisteredContent] = []
  var events: [RegisteredEvent] = []
  var metrics: [RegisteredMetric] = []
  var subscriptions: [Subscription] = []
  var services: [String: RegisteredService] = [:]
  var news: [NodeNews] = []

  private var queue: [(subscription: Subscription, event: Any)] = []
  private var settling = false
  /// The layers that want to know when the outbox has room.
  private var awaitingRoom: [Int32] = []
  private var jobs: [Job] = []
  private var completions: [UInt64: (owner: Int32, then: (any Sendable) -> Void)] = [:]
  private var openCalls: [(id: UInt64, owner: Int32, cancel: (CommandError) -> Void)] = []
  private var nextNumber: UInt64 = 1
  private(set) var isRunning = false

  var drops = [UInt64](repeating: 0, count: DropReason.allCases.count)
  var datagramsIn: UInt64 = 0
  var bytesIn: UInt64 = 0
  var datagramsOut: UInt64 = 0
  var bytesOut: UInt64 = 0
  var unknownFields: UInt64 = 0
  var timersFired: UInt64 = 0
  /// The port whose message is being sent, and to whom.
  private var sendingPort = 0
  private var sendingTo = Address(high: 0, low: 0, port: 0)
  private var sendingPlace: Int?
  /// The size of the datagram being received, and whether its sender's neighbour has yet to be credited with it.
  private(set) var receivingBytes = 0
  var receivingIsNew = false
  /// What the core may still answer to the present datagram's sender if that is no neighbour.
  var strangerAllowance = 0
  /// Whether the core has answered the present datagram: once is enough, however many questions it holds.
  var coreHasAnswered = false
  /// The field being received.
  private var receivingNumber: UInt32 = 0
  /// Whether the packet that is being read says that its sender is a Strata node.
  private var receivingCapability = false
  /// Whether a layer speaks the Peersters' own messages, so that a neighbour may be one of them.
  private(set) var speaksPeerster = false
  var armedCoreTimers: Set<Int32> = []
  /// The bytes of all large messages that wait for an introduction.
  var totalWaiting = 0

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

  var jobsUnderWay: Int { completions.count }
  var callsOpen: Int { openCalls.count }

  // MARK: Building

  /// Builds a node and its layers, providers first. Nothing is started; on an error nothing remains.
  public init(
    _ blueprint: NodeBlueprint, storage: any NodeStorage, files: @escaping (_ layer: String) -> any LayerFiles
  ) throws {
    name = blueprint.name
    address = blueprint.address
    peers = blueprint.peers
    limits = blueprint.limits
    seed = blueprint.seed
    storageRoot = storage
    filesFor = files
    outbox = Outbox(limit: blueprint.limits.outboxBytes)
    neighbours = NeighbourTable(limit: blueprint.limits.neighbours)
    cookieKey = SipKey(seed: blueprint.seed, name: "core.cookies")
    numberKey = SipKey(seed: blueprint.seed, name: "core.numbers")
    try declareCorePorts()
    for (type, section) in try buildOrder(blueprint.layers) { try add(type, section: section) }
  }

  private func declareCorePorts() throws(BuildError) {
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

  // MARK: The driver's side

  /// Starts the layers, in the order they were built.
  public func start(at time: Instant) {
    advance(to: time)
    isRunning = true
    for peer in peers { configure(peer) }
    for slot in slots { slot?.start(self) }
    settle()
  }

  /// Stops the layers, in reverse order. What they sent still waits to be taken.
  public func stop(at time: Instant) {
    advance(to: time)
    for call in openCalls { call.cancel(CommandError(.unavailable, code: "stopping", "the node stops")) }
    for slot in slots.reversed() { slot?.stop(self) }
    settle()
    // Only now, for the last events may have armed some.
    for slot in slots { slot?.cancelTimers(self) }
    awaitingRoom = []
    isRunning = false
  }

  /// A datagram has come in.
  public func receive(_ datagram: RawSpan, from sender: Address, at time: Instant) {
    advance(to: time)
    datagramsIn &+= 1
    bytesIn &+= UInt64(datagram.byteCount)
    if datagram.byteCount == 0 { return drop(.empty) }
    guard sender.canBeNeighbour else { return drop(.badSender) }
    receivingBytes = datagram.byteCount
    receivingIsNew = true
    coreHasAnswered = false
    strangerAllowance = 3 * (datagram.byteCount + Neighbour.headerBytes)
    do throws(WireError) { try dispatch(datagram, from: sender, whole: false) } catch { drop(.malformed) }
    if !queue.isEmpty { settle() }
  }

  /// When the node next wants to be called, if ever.
  public var nextDeadline: Instant? { timers.nextDeadline }

  /// Fires the timers that are due.
  public func fireTimers(at time: Instant) {
    advance(to: time)
    // What a timer arms for the present instant waits for the next call, so that this one ends.
    var budget = timers.count
    while budget > 0, let key = timers.popDue(at: now) {
      budget -= 1
      timersFired &+= 1
      if key.owner < 0 { coreTimer(key.number) } else { slots[Int(key.owner)]?.fire(key.number, self) }
      settle()
    }
  }

  /// The work that layers have offloaded since the last call.
  public func takeJobs() -> [Job] {
    if jobs.isEmpty { return [] }
    defer { jobs = [] }
    return jobs
  }

  /// A job's result has come.
  public func complete(_ id: UInt64, _ result: any Sendable, at time: Instant) {
    advance(to: time)
    completions.removeValue(forKey: id)?.then(result)
    settle()
  }

  /// Makes durable what layers have written. Until it succeeds, nothing may leave the node.
  public func commit() throws(StorageError) { if storageRoot.isDirty { try storageRoot.commit() } }

  /// Lends the datagrams that wait. The body answers how many entries it has sent whole, and how many bytes of the next
  /// one (a multiple of its segment size).
  public func withOutgoing(
    _ body: (_ bytes: UnsafeRawPointer, _ entries: UnsafeBufferPointer<OutgoingDatagrams>) -> (entries: Int, bytes: Int)
  ) {
    if outbox.isEmpty { return tellRoom() }
    let taken = outbox.entries.withUnsafeBufferPointer { all in
      body(UnsafeRawPointer(outbox.writer.base), UnsafeBufferPointer(rebasing: all[outbox.taken...]))
    }
    precondition(taken.entries >= 0 && taken.entries <= outbox.waiting)
    for place in outbox.taken..<outbox.taken + taken.entries {
      datagramsOut &+= UInt64(outbox.entries[place].count)
      bytesOut &+= UInt64(outbox.entries[place].byteCount)
    }
    outbox.taken += taken.entries
    if taken.bytes > 0, !outbox.isEmpty {
      precondition(taken.bytes < outbox.entries[outbox.taken].byteCount)
      outbox.entries[outbox.taken].offset += taken.bytes
      outbox.entries[outbox.taken].byteCount -= taken.bytes
      bytesOut &+= UInt64(taken.bytes)
      datagramsOut &+= UInt64(taken.bytes / max(1, outbox.entries[outbox.taken].segmentSize))
    }
    outbox.settle()
    tellRoom()
  }

  /// How many bytes may still wait when layers are told that the outbox has drained.
  static let drainedBytes = 64 << 10

  /// Calls the layers that wait for the outbox to drain, each once.
  private func tellRoom() {
    guard !awaitingRoom.isEmpty, outbox.waitingBytes <= Self.drainedBytes else { return }
    let waiting = awaitingRoom
    awaitingRoom.removeAll(keepingCapacity: true)
    for owner in waiting { slots[Int(owner)]?.outboxDrained(self) }
    settle()
  }

  func callWhenDrained(_ slot: AnyLayerSlot) {
    if isRunning, !awaitingRoom.contains(slot.index) { awaitingRoom.append(slot.index) }
  }

  /// Whether a layer waits for room in an outbox that has it: then `withOutgoing` is to be called though nothing waits.
  var isOwedRoom: Bool { !awaitingRoom.isEmpty && outbox.waitingBytes <= Self.drainedBytes }

  /// Whether datagrams wait to be taken, or a layer waits to fill the outbox.
  public var hasOutgoing: Bool { !outbox.isEmpty || isOwedRoom }

  /// How many bytes of datagrams wait.
  public var outgoingBytes: Int { outbox.waitingBytes }

  /// Gives up all datagrams that wait.
  public func dropOutgoing(_ reason: DropReason) {
    let waiting = outbox.entries[outbox.taken...].reduce(0) { $0 + $1.count }
    drop(reason, UInt64(waiting))
    outbox.taken = outbox.entries.count
    outbox.settle()
    if isRunning { tellRoom() } else { awaitingRoom = [] }
  }

  /// Counts what the driver could not send.
  public func countDrop(_ reason: DropReason, _ amount: Int = 1) { drop(reason, UInt64(amount)) }

  /// Answers, events and log lines, in the order they came about.
  public func takeNews() -> [NodeNews] {
    if news.isEmpty { return [] }
    defer { news = [] }
    return news
  }

  /// Whether answers, events or log lines wait.
  public var hasNews: Bool { !news.isEmpty }

  /// Calls a command. The sink gets the pieces of the answer through `takeNews`; the answer is the call's number.
  @discardableResult
  public func call(
    _ layer: String, _ command: String, _ input: JSON, at time: Instant, _ sink: @escaping (CommandReply) -> Void
  ) -> UInt64 {
    advance(to: time)
    let id = nextNumber
    nextNumber += 1
    func fail(_ error: CommandError) { news.append(.reply(.failed(error), to: sink)) }
    if let found = commands.first(where: { $0.description.layer == layer && $0.description.name == command }) {
      if found.description.progress != nil, openCalls.count >= limits.calls {
        fail(CommandError(.unavailable, code: "too-many-calls", "\(limits.calls) commands are under way already"))
      } else {
        do { try found.run(input, sink, id) } catch { fail(CommandError(describing: error)) }
      }
    } else {
      fail(unknownCommand(layer, command))
    }
    settle()
    return id
  }

  /// Asks a layer for the next piece of some content. The sink gets the one answer through `takeNews`, at the latest
  /// when the layer goes; the number is for `cancel`.
  @discardableResult
  public func read(
    _ layer: String, _ content: String, key: String, _ range: Range<Int64>, limit: Int, at time: Instant,
    _ sink: @escaping (Result<ContentPiece, CommandError>) -> Void
  ) -> UInt64 {
    advance(to: time)
    let read = ContentRead(id: nextNumber, key: key, range: range, limit: max(1, limit), node: self, sink: sink)
    nextNumber += 1
    if openCalls.count >= limits.calls {
      read.fail(CommandError(.unavailable, code: "too-many-calls", "\(limits.calls) calls are under way already"))
    } else if let found = contents.first(where: { $0.description.layer == layer && $0.description.name == content }) {
      found.run(read)
    } else {
      read.fail(CommandError(.notFound, code: "unknown-content", "there is no content \(layer)/\(content)"))
    }
    settle()
    return read.id
  }

  private func unknownCommand(_ layer: String, _ command: String) -> CommandError {
    let layers = slots.compactMap { $0?.name }
    guard layers.contains(layer) else {
      return CommandError(
        .notFound, code: "unknown-layer",
        "this node has no layer \(layer); it has \(layers.isEmpty ? "none" : layers.joined(separator: ", "))")
    }
    let known = commands.filter { $0.description.layer == layer }.map(\.description.name)
    return CommandError(
      .notFound, code: "unknown-command",
      "layer \(layer) has no command \(command); it has \(known.isEmpty ? "none" : known.joined(separator: ", "))")
  }

  /// Ends a call that is under way; its layer is told. No matter if it has ended.
  public func cancel(call id: UInt64, at time: Instant) {
    advance(to: time)
    openCalls.first { $0.id == id }?.cancel(CommandError(.cancelled, "the call was cancelled"))
    settle()
  }

  // MARK: The layers' side

  func callStarted(_ id: UInt64, owner: Int32, _ cancel: @escaping (CommandError) -> Void) {
    openCalls.append((id, owner, cancel))
  }

  func callEnded(_ id: UInt64) { openCalls.removeAll { $0.id == id } }

  /// Ends the calls of one layer.
  func cancelCalls(owner: Int32, _ reason: CommandError) {
    for call in openCalls where call.owner == owner { call.cancel(reason) }
  }

  func publish<Event>(_ event: Event, on port: EventPort<Event>, from layer: String) where Event: Codable & Sendable {
    // By number: to go through the entries themselves would copy each, schema and all.
    var place = 0
    while place < events.count, events[place].name != port.name || events[place].layer != layer { place += 1 }
    guard place < events.count else {
      preconditionFailure("layer \(layer) publishes \(port.name), which it has not declared with setup.event")
    }
    events[place].count &+= 1
    if observesEvents {
      if news.count < limits.news {
        news.append(
          .event(.init(layer: layer, name: port.name, time: now) { (try? JSON(encoding: event)) ?? .null }))
      } else {
        drop(.newsFull)
      }
    }
    for number in subscriptions.indices where subscriptions[number].port == port.name {
      if queue.count < limits.queuedEvents {
        queue.append((subscriptions[number], event))
      } else {
        drop(.newsFull)
      }
    }
  }

  func log(_ level: LogLevel, layer: String, _ message: @autoclosure () -> String) {
    guard level >= logLevel else { return }
    if news.count < limits.news {
      news.append(.log(.init(level: level, layer: layer, time: now, message: message())))
    } else {
      drop(.newsFull)
    }
  }

  func offload<Result: Sendable>(
    owner: Int32, _ work: @escaping @Sendable () -> Result, then: @escaping (any Sendable) -> Void
  ) -> Bool {
    guard completions.count < limits.jobs else { return false }
    let id = nextNumber
    nextNumber += 1
    completions[id] = (owner, then)
    jobs.append(Job(id: id, run: work))
    return true
  }

  // MARK: Inside

  /// A number that nobody can guess from those before it.
  func drawNumber() -> UInt64 {
    numbersDrawn += 1
    return numberKey.hash([numbersDrawn, 0, 0])
  }

  func advance(to time: Instant) { if time > now { now = time } }

  @usableFromInline func drop(_ reason: DropReason) { drop(reason, 1) }

  func drop(_ reason: DropReason, _ amount: UInt64) {
    guard let place = DropReason.allCases.firstIndex(of: reason) else { return }
    drops[place] &+= amount
  }

  /// Hands queued events to their subscribers, until there are none.
  func settle() {
    if settling || queue.isEmpty { return }
    settling = true
    defer { settling = false }
    var next = 0
    // Layers that answer each other's events for ever are stopped here; what they would still say is dropped.
    let most = limits.queuedEvents * 4
    while next < queue.count, next < most {
      let (subscription, event) = queue[next]
      next += 1
      if slots[Int(subscription.owner)] != nil { subscription.deliver(event) }
    }
    if next < queue.count { drop(.newsFull, UInt64(queue.count - next)) }
    queue.removeAll(keepingCapacity: queue.count < 256)
  }

  @usableFromInline func bind(_ place: Int, _ handler: @escaping PortHandler) { ports.ports[place].handler = handler }

  /// Reads a packet: first its shape, then each message it holds.
  func dispatch(_ packet: RawSpan, from sender: Address, whole: Bool) throws(WireError) {
    // A packet of one message, as most are, has its shape checked by reading it.
    receivingCapability = false
    var first = WireReader(packet)
    if let tag = try first.nextTag(), tag.type == .bytes, !PortTable.core.contains(tag.number) {
      let body = try first.readBytes()
      if first.isAtEnd { return try deliver(tag.number, body, from: sender) }
    }
    var shape = WireReader(packet)
    while let tag = try shape.nextTag() {
      if tag.number == CoreField.capability, tag.type == .varint { receivingCapability = true }
      try shape.skip(tag)
    }
    var reader = WireReader(packet)
    while let tag = try reader.nextTag() {
      guard tag.type == .bytes else {
        if tag.number == CoreField.capability, tag.type == .varint { heard(sender, strata: true) }
        try reader.skip(tag)
        continue
      }
      let body = try reader.readBytes()
      if PortTable.core.contains(tag.number) {
        try receiveCore(tag.number, body, from: sender, whole: whole)
      } else {
        try deliver(tag.number, body, from: sender)
      }
    }
  }

  private func deliver(_ number: UInt32, _ body: RawSpan, from sender: Address) throws(WireError) {
    guard let place = ports.find(number), let handler = ports.ports[place].handler else {
      unknownFields &+= 1
      heard(sender, strata: number >= 32)
      return
    }
    ports.ports[place].counts.pointee.messagesIn &+= 1
    ports.ports[place].counts.pointee.bytesIn &+= Self.fieldBytes(number, body.byteCount)
    receivingNumber = number
    do throws(WireError) { try handler(body, sender) } catch {
      // A handler may have switched its layer off, and the port's place with it.
      if let again = ports.find(number) { ports.ports[again].counts.pointee.malformed &+= 1 }
      throw error
    }
  }

  /// What a message takes in its packet, with its number and its length, so that both ends count alike.
  static func fieldBytes(_ number: UInt32, _ bodyBytes: Int) -> UInt64 {
    func varintBytes(_ value: Int) -> Int { (70 - (value | 1).leadingZeroBitCount) / 7 }
    return UInt64(varintBytes(Int(number) << 3) + varintBytes(bodyBytes) + bodyBytes)
  }

  /// A message has been read: its sender is a neighbour. Where the packet says so further on, it is known for a Strata
  /// node already, so that a layer may answer the first message of one in Strata's own words.
  @usableFromInline func accepted(from sender: Address) {
    heard(sender, strata: receivingNumber >= 32 || receivingCapability)
  }

  // MARK: Sending

  /// Starts a message to a neighbour: writes its tag and answers where its length will stand; nil when it can't go.
  @usableFromInline func beginSend(_ number: UInt32, to destination: Address, expecting size: Int = 0) -> Int? {
    guard let place = ports.find(number) else {
      preconditionFailure("field \(number) is sent but not declared; use setup.on or setup.sends")
    }
    sendingPlace = neighbours.find(destination)
    if number >= 32, speaksPeerster, !(sendingPlace.map { neighbours[$0].isStrata } ?? false) {
      drop(.notStrata)
      return nil
    }
    guard outbox.waiting < outbox.entryLimit else {
      drop(.outboxFull)
      return nil
    }
    sendingPort = place
    sendingTo = destination
    outbox.writer.writeTag(number, .bytes)
    return outbox.writer.beginNested(expecting: size)
  }

  /// Ends a message: its length, our mark, and the way it will go.
  @usableFromInline func endSend(_ start: Int, expected size: Int = 0) {
    outbox.writer.endNested(start, expected: size)
    let number = ports.ports[sendingPort].number
    let isStrata = sendingPlace.map { neighbours[$0].isStrata } ?? !speaksPeerster
    if number < 32, !isStrata {
      outbox.writer.writeTag(CoreField.capability, .varint)
      outbox.writer.writeVarint(1)
    }
    let offset = packetStart
    if outbox.writer.overflowed {
      outbox.writer.truncate(to: offset)
      return drop(.outboxFull)
    }
    let size = outbox.writer.count - offset
    ports.ports[sendingPort].counts.pointee.messagesOut &+= 1
    ports.ports[sendingPort].counts.pointee.bytesOut &+= UInt64(size)
    enqueue(from: offset, to: sendingTo, place: sendingPlace, isStrata: isStrata)
  }

  /// Where the packet being written began: after the last entry.
  var packetStart: Int {
    guard let last = outbox.entries.last else { return 0 }
    return last.offset + last.byteCount
  }
}

extension CommandError {
  /// Any error a command may throw, as an answer.
  init(describing error: any Error) {
    switch error {
    case let error as CommandError: self = error
    case let error as JSONCodingError: self.init(.invalid, code: "invalid-input", error.description)
    case let error as FileError:
      self.init(error.kind == .notFound ? .notFound : .refused, code: "file-\(error.kind.rawValue)", error.message)
    case let error as StorageError:
      self.init(.unavailable, code: "storage-\(error.kind.rawValue)", error.message)
    default: self.init(.failed, "\(error)")
    }
  }
}
