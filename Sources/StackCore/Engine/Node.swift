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
  let filesFor: (String) -> any LayerFiles
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

  var queue: [(subscription: Subscription, event: Any)] = []
  var settling = false
  /// The layers that want to know when the outbox has room.
  private var awaitingRoom: [Int32] = []
  private var jobs: [Job] = []
  var completions: [UInt64: (owner: Int32, then: (any Sendable) -> Void)] = [:]
  var openCalls: [(id: UInt64, owner: Int32, cancel: (CommandError) -> Void)] = []
  var nextNumber: UInt64 = 1
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
  var receivingCapability = false
  /// Whether a layer speaks the Peersters' own messages, so that a neighbour may be one of them.
  var speaksPeerster = false
  var armedCoreTimers: Set<Int32> = []
  /// Until when round trips are measured, the probes under way, and whose turn it is next.
  var measuringUntil: Instant?
  var pulses: [Pulse] = []
  var pulseTurn = 0
  /// The bytes of all large messages that wait for an introduction.
  var totalWaiting = 0

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

  // MARK: The layers' side

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
