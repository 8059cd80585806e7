// EventLoop: one thread's loop over libevent: sockets, timers, signals, and what other threads post.
import CEvent
import Glibc
import StackCore
import Synchronization

/// A loop that waits for the kernel and runs what was asked for. It belongs to the thread that made it.
///
/// It never wakes without a cause: no timer of its own ticks. `LoopHandle` is the part other threads may hold.
public final class EventLoop {
  /// libevent's own loop.
  let core: LoopCore
  /// What other threads may hold of this loop.
  public let handle: LoopHandle
  /// Runs after each turn, when everything that was ready has had its callback. The loop holds it: take it back (nil)
  /// when it holds the loop in turn.
  public var onTurn: (() -> Void)?
  /// How often the loop has woken.
  public private(set) var turns = 0

  /// What waits for the end of the present turn.
  private var late: [() -> Void] = []
  private var isStopped = false
  private let wallStart: Int64
  private let bootStart: Int64
  private var waker: EventSource?
  /// What waits for an answer from another thread, by ticket.
  private var waiting: [UInt64: (any Sendable) -> Void] = [:]
  private var nextTicket: UInt64 = 1

  /// Makes a loop. From then on the process ignores SIGPIPE, as a program with sockets must.
  public init() throws(SocketError) {
    signal(SIGPIPE, SIG_IGN)
    guard let configuration = event_config_new() else { throw SocketError(.exhausted, "no memory for the event loop") }
    defer { event_config_free(configuration) }
    // Without it a timer is only as fine as the kernel's millisecond wait.
    event_config_set_flag(configuration, Int32(EVENT_BASE_FLAG_PRECISE_TIMER.rawValue))
    event_config_set_flag(configuration, Int32(EVENT_BASE_FLAG_NOLOCK.rawValue))
    guard let base = event_base_new_with_config(configuration), let handle = LoopHandle() else {
      throw SocketError(.exhausted, "the event loop can't start: \(errorText(errno))")
    }
    core = LoopCore(base)
    self.handle = handle
    wallStart = Self.read(CLOCK_REALTIME)
    bootStart = Self.read(CLOCK_BOOTTIME)
    waker = onReadable(handle.fd) { [unowned self] in
      for job in self.handle.take() { job() }
    }
  }

  deinit {
    handle.shut()
  }

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// The time now: the wall clock as read when the loop was made, counted on by a clock that never goes back.
  public var now: Instant { Instant(nanoseconds: wallStart + Self.read(CLOCK_BOOTTIME) - bootStart) }

  /// Runs `body` whenever the descriptor is readable; with `persist` false, once, until it is enabled again.
  public func onReadable(_ fd: Int32, persist: Bool = true, _ body: @escaping () -> Void) -> EventSource {
    let source = EventSource(core, fd, Int32(EV_READ) | (persist ? Int32(EV_PERSIST) : 0), body)
    source.enable()
    return source
  }

  /// Runs `body` once when the descriptor is writable, each time the source is enabled. It starts disabled.
  public func onWritable(_ fd: Int32, persist: Bool = false, _ body: @escaping () -> Void) -> EventSource {
    EventSource(core, fd, Int32(EV_WRITE) | (persist ? Int32(EV_PERSIST) : 0), body)
  }

  /// Runs `body` on the loop whenever the process gets this signal.
  public func onSignal(_ signal: Int32, _ body: @escaping () -> Void) -> EventSource {
    let source = EventSource(core, signal, Int32(EV_SIGNAL) | Int32(EV_PERSIST), body)
    source.enable()
    return source
  }

  /// A timer that runs `body` each time it has been set and its time has come.
  public func timer(_ body: @escaping () -> Void) -> LoopTimer { LoopTimer(self, body) }

  /// Runs until `stop`.
  public func run() {
    isStopped = false
    while !isStopped { turn() }
  }

  /// Waits for something to happen, runs the callbacks of all that is ready, and answers.
  public func turn() {
    event_base_loop(core.base, Int32(EVLOOP_ONCE))
    turns += 1
    let due = late
    late = []
    for body in due { body() }
    onTurn?()
  }

  /// Runs `body` once at the end of the present turn, before anything that was given to a connection in it leaves.
  func atEndOfTurn(_ body: @escaping () -> Void) { late.append(body) }

  /// Ends `run` after the turn that is under way.
  public func stop() {
    isStopped = true
    event_base_loopbreak(core.base)
  }

  /// A ticket that another thread finishes with a value; `body` then runs on the loop, at most once. `body` stays on
  /// the
  /// loop's thread, so it may hold what belongs there.
  public func expect<Value: Sendable>(_ body: @escaping (Value) -> Void) -> Completion<Value> {
    let ticket = nextTicket
    nextTicket += 1
    waiting[ticket] = { value in
      if let value = value as? Value { body(value) }
    }
    return Completion(ticket: ticket, loop: Unreached(self), handle: handle)
  }

  fileprivate func arrived(_ ticket: UInt64, _ value: (any Sendable)?) {
    guard let body = waiting.removeValue(forKey: ticket) else { return }
    if let value { body(value) }
  }
}

/// libevent's loop, held by all that is registered with it, so that it goes last.
final class LoopCore {
  let base: OpaquePointer
  init(_ base: OpaquePointer) { self.base = base }
  deinit { event_base_free(base) }
}

/// A loop that other threads carry but only its own thread reaches, which is why `@unchecked Sendable` is sound: the
/// reference is weak, and read only in what was posted to that loop.
private final class Unreached: @unchecked Sendable {
  weak var loop: EventLoop?
  init(_ loop: EventLoop) { self.loop = loop }
}

/// A promise to answer an event loop from any thread, once.
public final class Completion<Value: Sendable>: Sendable {
  private let ticket: UInt64
  private let loop: Unreached
  private let handle: LoopHandle
  private let isFinished = Atomic<Bool>(false)

  fileprivate init(ticket: UInt64, loop: Unreached, handle: LoopHandle) {
    self.ticket = ticket
    self.loop = loop
    self.handle = handle
  }

  /// Answers; the second answer to one ticket is dropped.
  public func finish(_ value: Value) {
    if isFinished.exchange(true, ordering: .relaxed) { return }
    handle.post { [loop, ticket] in loop.loop?.arrived(ticket, value) }
  }

  deinit {
    // Whoever forgets to answer must not leave the closure in the loop for good.
    if isFinished.load(ordering: .relaxed) { return }
    handle.post { [loop, ticket] in loop.loop?.arrived(ticket, nil) }
  }
}

/// Something an event loop watches: a descriptor or a signal. It is watched until it is disabled or let go.
public final class EventSource {
  private let core: LoopCore
  private var event: OpaquePointer?
  private var body: (() -> Void)?

  fileprivate init(_ core: LoopCore, _ fd: Int32, _ what: Int32, _ body: @escaping () -> Void) {
    self.core = core
    self.body = body
    // The event is freed when this object goes, so the unretained pointer never outlives it.
    event = event_new(
      core.base, fd, Int16(what), { _, _, context in EventSource.fire(context) },
      Unmanaged.passUnretained(self).toOpaque())
  }

  deinit { if let event { event_free(event) } }

  private static func fire(_ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    // Held for the call, as the body may let go of the source.
    let source = Unmanaged<EventSource>.fromOpaque(context).takeUnretainedValue()
    let body = source.body
    body?()
  }

  /// Watches (again).
  public func enable() { if let event { event_add(event, nil) } }

  /// Stops watching, until enabled again.
  public func disable() { if let event { event_del(event) } }

  /// Stops watching for good, and lets go of the closure.
  public func cancel() {
    disable()
    body = nil
  }

  fileprivate func enable(after time: inout timeval) { if let event { event_add(event, &time) } }
}

/// A timer that fires once each time it is set. It belongs to its loop's thread.
public final class LoopTimer {
  private let source: EventSource
  private unowned let loop: EventLoop
  /// When it will fire, if it is set.
  public private(set) var deadline: Instant?

  fileprivate init(_ loop: EventLoop, _ body: @escaping () -> Void) {
    self.loop = loop
    var forget: (() -> Void)?
    source = EventSource(loop.core, -1, 0) {
      forget?()
      body()
    }
    forget = { [weak self] in self?.deadline = nil }
  }

  /// Fires after this long, in place of any time set before; at the next turn if the time is past.
  public func set(after delay: Duration) {
    // Up, to the microsecond: a timer must not fire before its time. A year is as good as for ever.
    let nanoseconds = min(max(delay.nanoseconds, 0), 365 * 86_400 * 1_000_000_000)
    let microseconds = (nanoseconds + 999) / 1000
    deadline = loop.now + .nanoseconds(nanoseconds)
    var time = timeval(tv_sec: Int(microseconds / 1_000_000), tv_usec: Int(microseconds % 1_000_000))
    source.enable(after: &time)
  }

  /// Fires at this instant.
  public func set(at instant: Instant) { set(after: instant - loop.now) }

  /// Fires no more, until set again.
  public func cancel() {
    deadline = nil
    source.disable()
  }
}
