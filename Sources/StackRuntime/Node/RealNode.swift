// RealNode: a node on a real machine: one loop drives the engine with a socket, a clock, a disk and a control port.
import Glibc
import StackCore

/// A node that runs: it owns the data directory, the socket, the storage and the control port of one node.
///
/// It belongs to the thread of its loop. Each turn of the loop ends with one round: what layers wrote is made durable,
/// and only then do datagrams, answers and events leave. When the storage fails, nothing leaves; the layers are stopped
/// and later built anew from what is on disk, as after a restart.
public final class RealNode {
  /// How far a node is.
  public enum State: Sendable, Equatable {
    /// Built, and not started.
    case built
    case running
    /// The storage has failed; it is tried again from time to time.
    case failing(StorageError)
    case stopping
    case stopped
  }

  /// The loop that drives it.
  public let loop: EventLoop
  /// The engine. After a storage failure there is a new one.
  public internal(set) var node: Node
  /// The control port, if there is one.
  public private(set) var control: ControlPort?
  /// The secret that opens the control port.
  public let token: String
  /// Where log lines go.
  public let log: LogSink
  /// What the node is made from, as of the last reload.
  public internal(set) var options: RealNodeOptions
  /// How far it is.
  public internal(set) var state = State.built
  /// When it was built.
  public let builtAt: Instant
  /// Where it is bound, with the port that the kernel chose if none was given.
  public var address: Address { socket.localAddress }
  /// Called once when the node has stopped.
  public var onStopped: (() -> Void)?

  let socket: DatagramSocket
  let pool: WorkerPool
  let seed: UInt64
  var storage: any NodeStorage
  var lock: DataDirectoryLock?
  var peers: PeerBook?
  var readable: EventSource?
  var writable: EventSource?
  var timer: LoopTimer?
  /// The deadline that the timer is set for.
  var armedFor: Instant?
  var retry: LoopTimer?
  var stopTimer: LoopTimer?
  var signals: [EventSource] = []
  /// Whether the kernel had no room for more datagrams; then the writable source tells when it has.
  var isBlocked = false
  /// Whether the storage has failed while the node was stopping, or before that.
  var isStorageLost = false
  var isDraining = false
  /// How often the storage has failed; how often in a row; and when that was last said.
  var storageFailed: UInt64 = 0
  var storageFailures = 0
  var storageComplaint: Instant?
  /// Entries gathered for the socket; kept, so that a round allocates nothing.
  var gathered: [OutgoingDatagram] = []
  /// What watches the events, by number.
  var observers: [(number: Int, observe: (EventRecord) -> Void)] = []
  var nextObserver = 0

  /// How many batches of datagrams are read before a round.
  static let batchesInRound = 8
  /// How many bytes end the reading of a round.
  static let enoughToSend = 32 << 10

  /// How many bytes that came in end the reading of a round when there is something to send.
  static let enoughHeard = 256 << 10

  /// Builds a node: takes the data directory, opens the storage, builds the layers and binds the ports. Nothing has
  /// been started when it throws.
  public init(_ options: RealNodeOptions, loop: EventLoop? = nil, log: LogSink) throws(RuntimeError) {
    try Self.check(options)
    self.options = options
    self.log = log
    log.level = options.logLevel
    do {
      self.loop = try loop ?? EventLoop()
      builtAt = self.loop.now
      lock = try DataDirectoryLock(directory: options.dataDirectory)
      token = try loadOrCreateToken(in: options.dataDirectory)
      seed = try options.seed ?? Self.randomSeed()
      storage = try Self.openStorage(options)
      let literal = options.peers.compactMap { Address($0) }
      node = try Self.makeNode(options, seed: seed, address: options.listen, peers: literal, storage)
    } catch {
      throw RuntimeError(building: error)
    }
    do throws(SocketError) {
      socket = try DatagramSocket(bind: options.listen, options: options.socket)
    } catch {
      throw RuntimeError(.network, path: "listen", error.message)
    }
    pool = WorkerPool(threads: options.workers, capacity: max(options.limits.jobs, 1))
    node.address = socket.localAddress
    node.receiveBuffer = socket.receiveBufferSize / 2
    try openControl()
  }

  private static func check(_ options: RealNodeOptions) throws(RuntimeError) {
    try PeerBook.check(options.peers)
    if let control = options.control, !control.isLoopback {
      throw RuntimeError(
        .configuration, path: "control",
        "found \(control), expected an address of this machine only, such as 127.0.0.1:\(control.port); "
          + "to reach it from elsewhere, forward the port through SSH")
    }
  }

  private static func randomSeed() throws(FileError) -> UInt64 {
    try randomBytes(8).reduce(0) { $0 << 8 | UInt64($1) }
  }

  static func openStorage(_ options: RealNodeOptions) throws(StorageError) -> any NodeStorage {
    if let open = options.openStorage { return try open() }
    return try SQLiteStorage(
      directory: options.dataDirectory, durability: options.durability, maximumBytes: options.storageBytes)
  }

  static func makeNode(
    _ options: RealNodeOptions, seed: UInt64, address: Address, peers: [Address], _ storage: any NodeStorage
  ) throws -> Node {
    var blueprint = NodeBlueprint(
      name: options.name, address: address, peers: peers, layers: options.layers, seed: seed)
    blueprint.limits = options.limits
    let root = options.dataDirectory + "/files"
    let node = try Node(blueprint, storage: storage) { DiskFiles(root: root).below($0) }
    node.logLevel = options.logLevel
    return node
  }

  var controlAddressPath: String { options.dataDirectory + "/" + controlAddressFileName }

  private func openControl() throws(RuntimeError) {
    guard let address = options.control else { return }
    do throws(SocketError) {
      control = try ControlPort(node: self, address: address, limits: options.controlLimits)
    } catch {
      throw RuntimeError(.control, path: "control", error.message)
    }
    // A port that the kernel chose is found through this file.
    guard let control else { return }
    do throws(FileError) {
      try putInPlace(controlAddressPath, Array("\(control.address)\n".utf8), mode: 0o600, replacing: true)
    } catch {
      throw RuntimeError(.data, path: "data", error.message)
    }
  }

  // MARK: Running

  /// Starts the layers and takes part; the loop must be turned for anything to happen.
  public func start() {
    guard state == .built else { return }
    state = .running
    let before = loop.onTurn
    loop.onTurn = { [weak self] in
      before?()
      self?.round()
    }
    readable = loop.onReadable(socket.fd) { [unowned self] in self.receive() }
    writable = loop.onWritable(socket.fd) { [unowned self] in self.isBlocked = false }
    timer = loop.timer { [unowned self] in self.timerFired() }
    openPeers()
    log.attach(loop)
    note(.info, "\(options.name) listens at \(address)")
    if let control { note(.info, "the control port is http://\(control.address)") }
    node.start(at: loop.now)
    peers?.lookUp()
    loop.handle.wake()
  }

  private func openPeers() {
    let own = socket.localAddress
    // A socket bound to all of IPv6 speaks IPv4 too.
    let takesAll = !own.isIPv4 && own.isUnspecified
    peers = PeerBook(
      loop: loop, isReachable: { takesAll || $0.isIPv4 == own.isIPv4 },
      log: { [unowned self] in self.note($0, $1) },
      changed: { [unowned self] in
        guard self.state == .running else { return }
        self.node.reload(peers: self.peers?.addresses ?? [], at: self.loop.now)
      })
    peers?.set(options.peers)
  }

  /// Starts the node and turns the loop until it has stopped, by `stop` or by SIGINT or SIGTERM. SIGHUP reloads.
  public func run() {
    handleSignals()
    start()
    while state != .stopped { loop.turn() }
  }

  /// Turns the loop once: waits for something to happen, and does it.
  public func step() { loop.turn() }

  /// Stops on SIGINT and SIGTERM, and reloads on SIGHUP. A second SIGINT or SIGTERM ends the process at once.
  public func handleSignals() {
    // Whoever started the process may have blocked them, which a process inherits.
    var wanted = sigset_t()
    sigemptyset(&wanted)
    for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&wanted, number) }
    pthread_sigmask(SIG_UNBLOCK, &wanted, nil)
    for number in [SIGINT, SIGTERM] {
      signals.append(loop.onSignal(number) { [unowned self] in self.stopBySignal(number) })
    }
    signals.append(
      loop.onSignal(SIGHUP) { [unowned self] in
        do throws(RuntimeError) { _ = try self.reload() } catch { self.note(.error, "not reloaded: \(error)") }
      })
  }

  private func stopBySignal(_ number: Int32) {
    signals = []
    // Whatever the node is at then: storage is safe against an end at any point.
    for number in [SIGINT, SIGTERM] { signal(number) { number in _exit(128 + number) } }
    // What comes too late to reload must not end the process in its own way.
    signal(SIGHUP, SIG_IGN)
    note(.info, "stopping on \(number == SIGINT ? "SIGINT" : "SIGTERM"); a second one ends it at once")
    stop()
  }

  /// Writes a line of the node's own to the log.
  func note(_ level: LogLevel, _ message: @autoclosure () -> String) {
    log.log(level, "node", at: loop.now, message())
  }

  // MARK: Commands and events

  /// Calls a command; the pieces of the answer come to the sink after what they rest on is on disk. The answer is the
  /// call's number.
  @discardableResult public func call(
    _ layer: String, _ command: String, _ input: JSON, _ sink: @escaping (CommandReply) -> Void
  ) -> UInt64 {
    switch state {
    case .running:
      loop.handle.wake()
      return node.call(layer, command, input, at: loop.now, sink)
    case .failing(let error): sink(.failed(Self.storageRefusal(error)))
    case .built: sink(.failed(CommandError(.unavailable, code: "not-started", "the node has not started")))
    case .stopping, .stopped: sink(.failed(CommandError(.unavailable, code: "stopping", "the node stops")))
    }
    return 0
  }

  /// Asks a layer for the next piece of some content; the one answer comes in a later turn.
  @discardableResult public func read(
    _ layer: String, _ content: String, key: String, _ range: Range<Int64>, limit: Int,
    _ sink: @escaping (Result<ContentPiece, CommandError>) -> Void
  ) -> UInt64 {
    guard state == .running else {
      sink(.failure(CommandError(.unavailable, code: "not-running", "the node is not running")))
      return 0
    }
    loop.handle.wake()
    return node.read(layer, content, key: key, range, limit: limit, at: loop.now, sink)
  }

  /// Ends a call that is under way.
  public func cancel(call id: UInt64) {
    guard state == .running, id != 0 else { return }
    loop.handle.wake()
    node.cancel(call: id, at: loop.now)
  }

  /// Watches the events from now on; the answer is for `unobserve`.
  public func observe(_ body: @escaping (EventRecord) -> Void) -> Int {
    nextObserver += 1
    observers.append((nextObserver, body))
    node.observesEvents = true
    return nextObserver
  }

  /// Watches no more.
  public func unobserve(_ number: Int) {
    observers.removeAll { $0.number == number }
    node.observesEvents = !observers.isEmpty
  }

  static func storageRefusal(_ error: StorageError) -> CommandError {
    CommandError(.unavailable, code: "storage-\(error.kind.rawValue)", error.message)
  }
}
