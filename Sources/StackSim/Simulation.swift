// Simulation: thousands of nodes in virtual time, driven exactly as a real node's driver drives one.
import StackCore

/// Nodes in virtual time, on simulated links. The same scenario and seed do the same, to the last byte, on any machine.
public final class Simulation {
  /// What it was made from.
  public let scenario: Scenario
  /// The seed of all its chance.
  public let seed: UInt64
  /// The present virtual time; it starts at 0.
  public internal(set) var now = Instant(nanoseconds: 0)
  /// Called with every event a node publishes.
  public var onEvent: ((_ node: Int, _ event: EventRecord) -> Void)?
  /// Called with every log line, kept or not.
  public var onLog: ((_ node: Int, _ line: LogRecord) -> Void)?
  /// Called with every datagram as it is delivered, for tests that look at the wire.
  public var onDelivery: ((_ from: Address, _ node: Int, _ bytes: [UInt8]) -> Void)?
  /// The latest log lines, oldest first.
  public internal(set) var logs: [(node: Int, line: LogRecord)] = []
  /// Why it has ended, once it has.
  public internal(set) var ending: Ending?
  /// What went wrong in the simulation itself, such as a node that could not be built again.
  public internal(set) var failures: [String] = []

  let catalog: [any ProtocolLayer.Type]
  let network: Network
  var places: [Place] = []
  var tally = Tally()
  var conditions: ConditionState
  var random: RandomStream
  /// How often each action has been done.
  var repetitions: [Int]
  let edges: [[Int32]]

  /// A node's place: what stays when the node itself is gone.
  struct Place {
    var node: Node?
    var sections: LayerSections
    var peers: [Int32]
    let storage: SimStorage
    let disk: SimDisk
    /// When the node is to be woken; `.max` for never.
    var wake = Int64.max
    var incarnation: UInt64 = 0
    var received: UInt64 = 0
    var sent: UInt64 = 0
  }

  /// How a simulation has ended.
  public enum Ending: Hashable, Sendable {
    /// The time was up, and there was no condition to meet.
    case time
    /// Every condition of `stop.when` held.
    case conditions
    /// The time was up before the conditions held.
    case unmet([String])
    /// A condition of `stop.never` held.
    case forbidden(String)
    /// There were too many deliveries.
    case deliveries

    /// Whether that is as it should be.
    public var isPassed: Bool { self == .time || self == .conditions }

    /// In words.
    public var text: String {
      switch self {
      case .time: "the time was up"
      case .conditions: "every condition held"
      case .unmet(let conditions): "the time was up before this held: " + conditions.joined(separator: "; ")
      case .forbidden(let condition): "this must never hold: \(condition)"
      case .deliveries: "there were too many deliveries"
      }
    }
  }

  /// Builds all nodes; they start as the virtual time begins to pass. `seed` replaces the scenario's own.
  public init(_ scenario: Scenario, catalog: [any ProtocolLayer.Type], seed: UInt64? = nil) throws {
    try scenario.check(catalog)
    self.scenario = scenario
    self.catalog = catalog
    self.seed = seed ?? scenario.seed
    random = RandomStream(seed: self.seed, name: "simulation")
    network = Network(scenario.link, random: RandomStream(seed: self.seed, name: "network"))
    conditions = ConditionState(scenario.stop)
    repetitions = Array(repeating: 0, count: scenario.actions.count)
    var shape = RandomStream(seed: self.seed, name: "topology")
    edges = scenario.topology.neighbours(nodes: scenario.nodes, &shape)
    for node in 0..<scenario.nodes { addPlace(sections: sections(of: node), peers: edges[node]) }
    for node in 0..<scenario.nodes { places[node].node = try build(node) }
    try checkNames()
    for link in scenario.links { change(link) }
    schedule()
  }

  /// A simulation put together by a program: so many nodes of these layers.
  public convenience init(
    nodes: Int, _ layers: LayerSections, topology: Topology = Topology(), link: LinkSettings = LinkSettings(),
    seed: UInt64 = 1, catalog: [any ProtocolLayer.Type]
  ) throws {
    var scenario = Scenario()
    scenario.nodes = nodes
    scenario.node.layers = layers
    scenario.topology = topology
    scenario.link = link
    scenario.seed = seed
    try self.init(scenario, catalog: catalog)
  }

  // MARK: Building

  private func sections(of node: Int) -> LayerSections {
    var layers = scenario.node.layers
    for override in scenario.overrides {
      var none = random
      let nodes = override.nodes.resolve(count: scenario.nodes, running: { [] }, &none)
      if nodes.contains(node) { layers = layers.merged(with: override.layers) }
    }
    return layers
  }

  func addPlace(sections: LayerSections, peers: [Int32]) {
    places.append(
      Place(
        sections: sections, peers: peers, storage: SimStorage(capacity: Int(scenario.node.storage.bytes)),
        disk: SimDisk(capacity: Int(scenario.node.storage.bytes))))
    network.addNode()
  }

  /// Builds the node of a place from what the place has kept.
  func build(_ place: Int) throws -> Node {
    let layers: [(type: any ProtocolLayer.Type, section: JSON)] = places[place].sections.sections.compactMap { entry in
      catalog.first { $0.manifest.name == entry.key }.map { ($0, entry.value) }
    }
    var chance = RandomStream(seed: seed, name: "node.\(place).\(places[place].incarnation)")
    var blueprint = NodeBlueprint(
      name: "node\(place)", address: Network.address(of: place),
      peers: places[place].peers.map { Network.address(of: Int($0)) }, layers: layers, seed: chance.next())
    blueprint.limits.neighbours = scenario.node.neighbours
    blueprint.limits.pathLimit = scenario.node.pathLimit
    let disk = places[place].disk
    let node = try Node(blueprint, storage: places[place].storage) { disk.files(root: "/data/\($0)") }
    node.observesEvents = scenario.report.events
    node.logLevel = scenario.report.logLevel
    return node
  }

  /// Queues what is known from the start.
  private func schedule() {
    let within = UInt64(max(0, scenario.node.startWithin.nanoseconds))
    for node in 0..<scenario.nodes {
      network.queue.push(.start, Int32(node), at: within == 0 ? 0 : Int64(random.next(below: within)))
    }
    for (place, action) in scenario.actions.enumerated() {
      network.queue.push(.action, Int32(place), at: action.at.nanoseconds)
    }
    if conditions.areOverMetrics { network.queue.push(.check, 0, at: scenario.stop.check.nanoseconds) }
  }

  // MARK: Looking

  /// How many nodes there are or were.
  public var nodeCount: Int { places.count }
  /// A node; nil while it doesn't run.
  public func node(_ place: Int) -> Node? { places.indices.contains(place) ? places[place].node : nil }
  /// Where a node is heard.
  public func address(of node: Int) -> Address { Network.address(of: node) }
  /// The node that has an address.
  public func node(at address: Address) -> Int? {
    let node = network.node(at: address)
    return node < 0 ? nil : Int(node)
  }
  /// What a node keeps, whether it runs or not.
  public func storage(of node: Int) -> SimStorage { places[node].storage }
  /// A node's files, whether it runs or not.
  public func disk(of node: Int) -> SimDisk { places[node].disk }
  /// The neighbours that a node started with.
  public func peers(of node: Int) -> [Int] { places[node].peers.map { Int($0) } }
  /// The nodes that run.
  public var running: [Int] { places.indices.filter { places[$0].node != nil } }
  /// The hash over all that was delivered and dropped so far.
  public var traceHash: UInt64 { network.trace.value }
  /// How many datagrams have been delivered.
  public var deliveries: UInt64 { network.delivered }

  // MARK: Running

  /// Runs to the end that the scenario names.
  @discardableResult public func run() -> SimulationReport {
    let deadline = scenario.stop.after.nanoseconds
    while ending == nil, let time = network.queue.nextTime, time <= deadline {
      next()
      if network.delivered >= UInt64(scenario.stop.deliveries) { ending = ending ?? .deliveries }
    }
    if ending == nil {
      now = max(now, Instant(nanoseconds: deadline))
      ending = conditions.verdict(self)
    }
    return report()
  }

  /// Runs until a time, whatever the scenario says about its end.
  public func run(until time: Instant) {
    while let next = network.queue.nextTime, next <= time.nanoseconds { self.next() }
    now = max(now, time)
  }

  /// Runs for so long.
  public func run(for duration: Duration) { run(until: now + duration) }

  /// Runs until something holds, looked at after each step, for so long at the most; answers whether it came to hold.
  @discardableResult public func run(within duration: Duration, until holds: (Simulation) -> Bool) -> Bool {
    let deadline = now + duration
    while !holds(self) {
      guard let next = network.queue.nextTime, next <= deadline.nanoseconds else {
        now = max(now, deadline)
        return holds(self)
      }
      self.next()
    }
    return true
  }

  /// Does the next thing; false when nothing will ever happen any more.
  @discardableResult public func step() -> Bool {
    if network.queue.count == 0 { return false }
    next()
    return true
  }

  private func next() {
    let event = network.queue.pop()
    if event.time > now.nanoseconds { now = Instant(nanoseconds: event.time) }
    switch event.kind {
    case .delivery: deliver(event.index)
    case .wake: wake(Int(event.index), event.time)
    case .start: startFirst(Int(event.index))
    case .action: perform(Int(event.index))
    case .check:
      conditions.look(self)
      network.queue.push(.check, 0, at: now.nanoseconds + scenario.stop.check.nanoseconds)
    case .resume: if let node = places[Int(event.index)].node { settle(Int(event.index), node) }
    }
  }

  private func deliver(_ index: Int32) {
    let flight = network.pool[index]
    let place = Int(flight.receiver)
    defer { network.pool.remove(index) }
    guard let node = places[place].node else {
      return network.drop(.down, flight.from, flight.receiver, at: now.nanoseconds)
    }
    if network.areApart(flight.from, flight.receiver) {
      return network.drop(.partition, flight.from, flight.receiver, at: now.nanoseconds)
    }
    network.deliver(flight, at: now.nanoseconds)
    places[place].received &+= 1
    let datagram = UnsafeRawBufferPointer(start: flight.bytes, count: Int(flight.byteCount))
    if let onDelivery { onDelivery(flight.sender, place, Array(datagram)) }
    node.receive(datagram.bytes, from: flight.sender, at: now)
    settle(place, node)
  }

  private func wake(_ place: Int, _ time: Int64) {
    // A wake-up that was brought forward left this one behind.
    guard places[place].wake == time, let node = places[place].node else { return }
    places[place].wake = .max
    node.fireTimers(at: now)
    settle(place, node)
  }

  private func startFirst(_ place: Int) {
    guard places[place].incarnation == 0, let node = places[place].node else { return }
    node.start(at: now)
    settle(place, node)
  }

  /// What a driver does after each round: makes durable, sends, tells, works; and again as long as there is work.
  func settle(_ place: Int, _ node: Node) {
    var rounds = 0
    while true {
      let failure = commit(node)
      if node.hasOutgoing { send(place, node, failure) }
      if node.hasNews { tell(place, node, failure) }
      // Whoever listens may have stopped the node.
      guard places[place].node === node else { return }
      let jobs = node.takeJobs()
      if jobs.isEmpty, !node.hasOutgoing { break }
      for job in jobs { node.complete(job.id, job.run(), at: now) }
      rounds += 1
      if rounds == 64 {
        // Work that begets work without end takes time at least.
        network.queue.push(.resume, Int32(place), at: now.nanoseconds + 1_000_000)
        break
      }
    }
    guard let deadline = node.nextDeadline?.nanoseconds else { return }
    let wake = deadline <= now.nanoseconds ? now.nanoseconds + 1_000 : deadline
    if wake < places[place].wake {
      places[place].wake = wake
      network.queue.push(.wake, Int32(place), at: wake)
    }
  }

  private func commit(_ node: Node) -> StorageError? {
    do throws(StorageError) {
      try node.commit()
      return nil
    } catch { return error }
  }

  private func send(_ place: Int, _ node: Node, _ failure: StorageError?) {
    if failure != nil { return node.dropOutgoing(.storage) }
    let address = node.address
    var count: UInt64 = 0
    node.withOutgoing { bytes, entries in
      for entry in entries {
        let segment = entry.segmentSize == 0 ? entry.byteCount : entry.segmentSize
        var at = 0
        repeat {
          network.send(
            bytes + entry.offset + at, min(segment, entry.byteCount - at), from: Int32(place), address,
            to: entry.destination, mayFragment: entry.mayFragment, at: now.nanoseconds)
          count &+= 1
          at += segment
        } while at < entry.byteCount
      }
      return (entries.count, 0)
    }
    places[place].sent &+= count
  }

  private func tell(_ place: Int, _ node: Node, _ failure: StorageError?) {
    for news in node.takeNews() {
      switch news {
      case .reply(let reply, let sink):
        if let failure, reply.isLast {
          sink(.failed(CommandError(.unavailable, code: "storage-\(failure.kind.rawValue)", failure.message)))
        } else {
          sink(reply)
        }
      case .event(let record):
        let kind = tally.note(record, node: place, at: now.nanoseconds)
        conditions.noted(kind, node: place, self)
        onEvent?(place, record)
      case .log(let line): log(place, line)
      }
    }
  }

  func log(_ place: Int, _ line: LogRecord) {
    onLog?(place, line)
    let most = scenario.report.logLines
    guard most > 0 else { return }
    // Half of a full list goes at once, so that each line costs little.
    if logs.count >= most * 2 { logs.removeFirst(most) }
    logs.append((place, line))
  }
}
