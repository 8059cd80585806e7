// HTTPServer: a small HTTP/1.1 server over libevent's, for a node's control port.
import CDatagram
import CEvent
import Glibc
import StackCore

/// What an HTTP server takes from its clients.
public struct HTTPLimits: Sendable {
  /// Bytes of request line and headers.
  public var headerBytes = 16 << 10
  /// Bytes of a request's body.
  public var bodyBytes = 1 << 20
  /// Bytes of a streamed answer that a client may leave unread before it is sent more.
  public var streamBytes = 1 << 20
  /// How long a client may take to send a whole request, and to take some of the answer; also how long an idle
  /// connection is kept.
  public var timeout = Duration.seconds(10)
  /// Connections at once; one more gets a 503 and is closed.
  public var connections = 64
  /// The usual limits.
  public init() {}
}

/// An HTTP server on an event loop. It belongs to the loop's thread.
///
/// A client that dawdles over a request gets a 408, one that sends too much a 413 before any of it is read, one whose
/// request is broken a 400, and one too many a 503; none of them reaches the handler.
public final class HTTPServer {
  /// What the server has met, for the metrics.
  public struct Counters: Sendable, Hashable {
    /// Connections taken, those that were turned away included.
    public var connections = 0
    /// Whole requests.
    public var requests = 0
    /// Connections turned away because there were too many.
    public var refused = 0
    /// Connections cut because their client took too long.
    public var timedOut = 0
  }

  /// Where it listens, with the port that the kernel chose if none was given.
  public let localAddress: Address
  /// What it takes.
  public let limits: HTTPLimits
  /// What it has met so far.
  public private(set) var counters = Counters()
  /// Answers requests.
  public var handler: (HTTPRequest) -> Void
  /// Words a refusal that doesn't come from the handler; plain text unless it is set.
  public var refusal: (_ status: Int, _ code: String, _ text: String) -> (contentType: String, body: [UInt8]) = {
    ("text/plain; charset=utf-8", Array("\($2)\n".utf8))
  }

  private let loop: EventLoop
  private var http: OpaquePointer?
  private var bound: OpaquePointer?
  private var connections: [HTTPConnection] = []
  private var sweeper: LoopTimer?
  private var isDraining = false
  private var drainDeadline: Instant?
  private var whenDrained: (() -> Void)?

  /// Listens on an address. Port 0 lets the kernel choose one.
  public init(
    loop: EventLoop, address: Address, limits: HTTPLimits = HTTPLimits(), handler: @escaping (HTTPRequest) -> Void
  ) throws(SocketError) {
    self.loop = loop
    self.limits = limits
    self.handler = handler
    let (fd, local) = try Self.listen(address)
    localAddress = local
    guard let http = evhttp_new(loop.core.base), let bound = evhttp_accept_socket_with_handle(http, fd) else {
      Glibc.close(fd)
      throw SocketError(.exhausted, "no memory for the HTTP server")
    }
    self.http = http
    self.bound = bound
    sweeper = loop.timer { [weak self] in self?.sweep() }
    configure(http, bound)
  }

  deinit { close() }

  private static func listen(_ address: Address) throws(SocketError) -> (fd: Int32, local: Address) {
    let fd = socket(address.family, SocketKind.stream | SocketKind.nonBlocking, 0)
    guard fd >= 0 else { throw .binding(address, errno) }
    // Connections of a server that ran here before may still be winding down.
    var on: Int32 = 1
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    // Connections take it over: an answer of several segments is not to wait until the client confirms the first.
    setsockopt(fd, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    let result = address.withSockaddr(family: address.family) { Glibc.bind(fd, $0, $1) } ?? -1
    guard result == 0, Glibc.listen(fd, 128) == 0, let local = Address.local(of: fd) else {
      let code = errno
      Glibc.close(fd)
      throw .binding(address, code)
    }
    return (fd, local)
  }

  private func configure(_ http: OpaquePointer, _ bound: OpaquePointer) {
    // The server frees libevent's before it goes itself, so the unretained pointer never outlives it.
    let me = Unmanaged.passUnretained(self).toOpaque()
    evhttp_set_max_headers_size(http, limits.headerBytes)
    evhttp_set_max_body_size(http, limits.bodyBytes)
    // libevent keeps the pointer, which a static string's may be.
    Self.plainText.withUTF8Buffer { text in
      UnsafeRawPointer(text.baseAddress).map {
        evhttp_set_default_content_type(http, $0.assumingMemoryBound(to: CChar.self))
      }
    }
    evhttp_set_allowed_methods(http, HTTPRequest.methods.keys.reduce(0) { $0 | UInt16(truncatingIfNeeded: $1) })
    // Only against a client that takes nothing: those that send too slowly are ours to time, from first byte to last.
    var time = limits.timeout.asTime
    evhttp_set_timeout_tv(http, &time)
    evhttp_set_bevcb(http, { _, context in HTTPServer.from(context)?.accepting() }, me)
    evhttp_set_gencb(
      http,
      { raw, context in
        if let raw { HTTPServer.from(context)?.handle(raw) }
      }, me)
    HTTPServers.shared.add(self, http)
    let listener = evhttp_bound_socket_get_listener(bound)
    evconnlistener_set_error_cb(listener) { _, http in HTTPServers.shared.server(http)?.acceptFailed() }
  }

  /// The type of an answer that names none.
  private static let plainText: StaticString = "text/plain; charset=utf-8"

  private static func from(_ context: UnsafeMutableRawPointer?) -> HTTPServer? {
    context.map { Unmanaged<HTTPServer>.fromOpaque($0).takeUnretainedValue() }
  }

  // MARK: connections

  /// Makes the buffers for a connection that is being accepted; nil leaves that to libevent.
  private func accepting() -> OpaquePointer? {
    forgetClosed()
    // Without "close on free", libevent's HTTP closes the descriptor itself, although we hold on to the buffers.
    guard let buffers = bufferevent_socket_new(loop.core.base, -1, 0) else { return nil }
    // What libevent writes at once; its own 16 KiB would part an answer over many turns of the loop.
    bufferevent_set_max_single_write(buffers, 256 << 10)
    let connection = HTTPConnection(buffers, self, limits, loop)
    counters.connections += 1
    if connections.count >= limits.connections {
      counters.refused += 1
      connection.isRefused = true
      // The descriptor comes only after this call.
      sweeper?.set(after: .zero)
    }
    connections.append(connection)
    connection.startReading(until: loop.now + limits.timeout)
    return buffers
  }

  /// The process has no descriptor left for another connection: trying again at once would only spin.
  fileprivate func acceptFailed() {
    if let bound { evconnlistener_disable(evhttp_bound_socket_get_listener(bound)) }
    sweeper?.set(after: .milliseconds(200))
  }

  /// Sees to it that the sweeper runs when the next connection's time is up.
  func watch(_ deadline: Instant) {
    guard let sweeper else { return }
    if let set = sweeper.deadline, set <= deadline { return }
    sweeper.set(at: deadline)
  }

  func connectionClosed() { if isDraining { sweeper?.set(after: .zero) } }

  private func forgetClosed() { connections.removeAll { $0.isClosed } }

  private func sweep() {
    forgetClosed()
    if let bound { evconnlistener_enable(evhttp_bound_socket_get_listener(bound)) }
    let now = loop.now
    for connection in connections {
      if connection.isRefused {
        connection.turnAway(503, "too-many-connections", "there are too many connections")
      } else if let deadline = connection.deadline, deadline <= now {
        counters.timedOut += 1
        if connection.isReading {
          connection.turnAway(408, "too-slow", "the request took too long to come")
        } else {
          connection.cut()
        }
      }
    }
    if isDraining, connections.isEmpty || drainDeadline.map({ $0 <= now }) == true { return finishDraining() }
    var next = connections.compactMap(\.deadline).min()
    if let drainDeadline { next = min(next ?? drainDeadline, drainDeadline) }
    if let next { sweeper?.set(at: next) }
  }

  // MARK: requests

  private func handle(_ raw: OpaquePointer) {
    let lower = evhttp_request_get_connection(raw)
    let buffers = evhttp_connection_get_bufferevent(lower)
    guard let lower, let connection = connections.first(where: { $0.buffers == buffers }) else {
      return evhttp_send_error(raw, 503, nil)
    }
    counters.requests += 1
    connection.startServing(lower, raw)
    let request = HTTPRequest(raw, on: connection, remote: connection.remote)
    // What libevent doesn't see as a body would be taken for a request of its own.
    if let request, request.hasStrayBody { connection.closesAfterAnswer = true }
    guard let request, !Self.isAmbiguous(request) else {
      let (type, body) = refusal(400, "bad-request", "the request can't be read")
      let headers = evhttp_request_get_output_headers(raw)
      evhttp_add_header(headers, "Connection", "close")
      evhttp_add_header(headers, "Content-Type", type)
      let answer = evbuffer_new()
      _ = body.withUnsafeBytes { evbuffer_add(answer, $0.baseAddress, $0.count) }
      evhttp_send_reply(raw, 400, httpReason(400), answer)
      evbuffer_free(answer)
      return
    }
    connection.request = request
    handler(request)
  }

  /// Whether it can't be told where a request's body ends.
  private static func isAmbiguous(_ request: HTTPRequest) -> Bool {
    let lengths = request.headers.filter { $0.name.lowercased() == "content-length" }
    if let coding = request.header("Transfer-Encoding") {
      return !request.takesBody || coding.lowercased() != "chunked" || !lengths.isEmpty
    }
    return lengths.count > 1
  }

  // MARK: closing

  /// Takes no more connections, lets the answers under way be given, then closes and runs `then`; at the latest after
  /// this long.
  public func drain(within time: Duration, then: @escaping () -> Void = {}) {
    guard let http, !isDraining else { return }
    isDraining = true
    drainDeadline = loop.now + time
    whenDrained = then
    if let bound { evhttp_del_accept_socket(http, bound) }
    bound = nil
    for connection in connections {
      connection.closesAfterAnswer = true
      if connection.isReading { connection.cut() }
    }
    sweeper?.set(after: .zero)
  }

  private func finishDraining() {
    close()
    let told = whenDrained
    whenDrained = nil
    told?()
  }

  /// Closes at once: every connection is cut, and requests that wait for an answer see their `onClose`.
  public func close() {
    guard let http else { return }
    self.http = nil
    bound = nil
    sweeper?.cancel()
    HTTPServers.shared.remove(http)
    for connection in connections { connection.still() }
    evhttp_free(http)
    // Any that libevent didn't tell of, lest a request waits for ever.
    for connection in connections { connection.lost() }
    connections = []
  }
}

/// Which server belongs to which of libevent's: its accept-error callback is told no more than the latter.
///
/// `@unchecked Sendable` is sound because the table is only touched with its lock held, and a server is only reached
/// from the thread of the loop that calls back.
private final class HTTPServers: @unchecked Sendable {
  static let shared = HTTPServers()
  private final class Entry { weak var server: HTTPServer? }
  private let lock = Lock()
  private var entries: [UnsafeMutableRawPointer: Entry] = [:]
  func add(_ server: HTTPServer, _ http: OpaquePointer) {
    let entry = Entry()
    entry.server = server
    lock.with { entries[UnsafeMutableRawPointer(http)] = entry }
  }
  func remove(_ http: OpaquePointer) { _ = lock.with { entries.removeValue(forKey: UnsafeMutableRawPointer(http)) } }
  func server(_ http: UnsafeMutableRawPointer?) -> HTTPServer? {
    guard let http else { return nil }
    return lock.with { entries[http]?.server }
  }
}

extension Duration {
  /// The duration as libevent takes it; at least a microsecond, as zero means none.
  var asTime: timeval {
    let microseconds = max(nanoseconds / 1000, 1)
    return timeval(tv_sec: Int(microseconds / 1_000_000), tv_usec: Int(microseconds % 1_000_000))
  }
}
