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
  fileprivate func watch(_ deadline: Instant) {
    guard let sweeper else { return }
    if let set = sweeper.deadline, set <= deadline { return }
    sweeper.set(at: deadline)
  }

  fileprivate func connectionClosed() { if isDraining { sweeper?.set(after: .zero) } }

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

/// One client's connection: how far it is, and until when it may stay so.
final class HTTPConnection {
  let buffers: OpaquePointer
  let streamBytes: Int
  private let readLimit: Int
  private let timeout: Duration
  private weak var server: HTTPServer?
  // Held, as the buffers are registered with it.
  private let loop: EventLoop
  private var watch: OpaquePointer?
  /// When it is cut if nothing changes; nil while an answer is being made.
  private(set) var deadline: Instant?
  /// Whether a request is awaited or being read.
  private(set) var isReading = true
  var isRefused = false
  /// Whether libevent's own refusal is being put in our words.
  private var isReworded = false
  var closesAfterAnswer = false
  /// The request that waits for its answer, or for the rest of it.
  var request: HTTPRequest?

  init(_ buffers: OpaquePointer, _ server: HTTPServer, _ limits: HTTPLimits, _ loop: EventLoop) {
    self.buffers = buffers
    self.server = server
    streamBytes = limits.streamBytes
    readLimit = limits.headerBytes + limits.bodyBytes + 4096
    timeout = limits.timeout
    self.loop = loop
    // Ours to ask even after libevent's HTTP is done with them.
    bufferevent_incref(buffers)
    watchOutput()
  }

  deinit {
    if let watch { evbuffer_remove_cb_entry(bufferevent_get_output(buffers), watch) }
    bufferevent_decref(buffers)
  }

  /// Notices what libevent says of itself, while we have no request to answer.
  private func watchOutput() {
    // Taken away before this object goes.
    let me = Unmanaged.passUnretained(self).toOpaque()
    watch = evbuffer_add_cb(
      bufferevent_get_output(buffers),
      { _, info, context in
        guard let info, info.pointee.n_added > 0, let me = HTTPConnection.from(context) else { return }
        guard me.isReading, !me.isReworded else { return }
        me.isReworded = true
        me.loop.atEndOfTurn { [weak me] in me?.reword() }
      }, me)
  }

  /// Puts a refusal that libevent has written as a web page, and that hasn't left yet, into our own words.
  private func reword() {
    isReworded = false
    guard isReading, !isClosed, let status = statusToSend, status >= 400 else { return }
    isReworded = true
    let (code, text) =
      switch status {
      case 400: ("bad-request", "the request can't be read, or its headers are too large")
      case 413: ("too-large", "the request is larger than is taken here")
      default: ("refused", "the request is refused")
      }
    let answer = whole(status, code, text)
    let output = bufferevent_get_output(buffers)
    // A connection's output may only be taken from by the socket, unless it is unfrozen.
    evbuffer_unfreeze(output, 1)
    evbuffer_drain(output, evbuffer_get_length(output))
    evbuffer_freeze(output, 1)
    _ = answer.withUnsafeBytes { evbuffer_add(output, $0.baseAddress, $0.count) }
  }

  /// The status of the answer that waits to leave.
  private var statusToSend: Int? {
    var start = [UInt8](repeating: 0, count: 12)
    let count = evbuffer_copyout(bufferevent_get_output(buffers), &start, start.count)
    guard count == start.count, String(decoding: start[..<7], as: UTF8.self) == "HTTP/1." else { return nil }
    return Int(String(decoding: start[9...], as: UTF8.self))
  }

  /// A whole answer, after which the connection closes.
  private func whole(_ status: Int, _ code: String, _ text: String) -> [UInt8] {
    let (type, body) = server?.refusal(status, code, text) ?? ("text/plain", Array(text.utf8))
    var head = "HTTP/1.1 \(status) \(httpReason(status))\r\nContent-Type: \(type)\r\n"
    head += "Content-Length: \(body.count)\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    return Array(head.utf8) + body
  }

  /// Whether libevent has closed it: it takes its callbacks away then.
  var isClosed: Bool {
    var told: bufferevent_event_cb?
    bufferevent_getcb(buffers, nil, nil, &told, nil)
    return told == nil
  }

  var pendingBytes: Int { isClosed ? 0 : evbuffer_get_length(bufferevent_get_output(buffers)) }

  var remote: Address? {
    var storage = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(bufferevent_getfd(buffers), $0, &size) }
    }
    return result == 0 ? Address(&storage, size) : nil
  }

  func startReading(until deadline: Instant) {
    isReading = true
    self.deadline = deadline
    // libevent's own limits don't bind the length of a chunk's header; this does.
    bufferevent_setwatermark(buffers, Int16(EV_READ), 0, readLimit)
    server?.watch(deadline)
  }

  /// A whole request is here: from now on a client may only leave, or take the answer.
  func startServing(_ lower: OpaquePointer, _ raw: OpaquePointer) {
    isReading = false
    deadline = nil
    // The server keeps this object at least until libevent has closed the connection.
    let me = Unmanaged.passUnretained(self).toOpaque()
    evhttp_connection_set_closecb(lower, { _, context in HTTPConnection.from(context)?.lost() }, me)
    evhttp_request_set_on_complete_cb(raw, { _, context in HTTPConnection.from(context)?.completed() }, me)
    // libevent ends the process when a client sends on before it has its answer and the read callback is still there.
    // Reading itself stays on, to see the client leave, but takes no more than a little.
    var write: bufferevent_data_cb?
    var event: bufferevent_event_cb?
    var context: UnsafeMutableRawPointer?
    bufferevent_getcb(buffers, nil, &write, &event, &context)
    bufferevent_setcb(buffers, nil, write, event, context)
    bufferevent_setwatermark(buffers, Int16(EV_READ), 0, 4096)
    // A client that waits for its answer needn't say anything.
    var time = timeout.asTime
    bufferevent_set_timeouts(buffers, nil, &time)
    bufferevent_enable(buffers, Int16(EV_READ))
  }

  /// The answer is given in full, and has yet to leave: within a time that allows for 16 KiB a second.
  func answered(bytes: Int) {
    request = nil
    let deadline = loop.now + timeout + .seconds(bytes >> 14)
    self.deadline = deadline
    server?.watch(deadline)
  }

  /// The answer has left; libevent goes on to the next request, or closes.
  private func completed() {
    request = nil
    if closesAfterAnswer { return cut() }
    startReading(until: loop.now + timeout)
  }

  /// The client is gone, or the server is closing.
  func lost() {
    deadline = nil
    still()
    let request = request
    self.request = nil
    request?.connectionClosed()
    server?.connectionClosed()
  }

  /// Stops watching the descriptor: libevent is about to close it, and our hold on the buffers keeps them registered.
  func still() { bufferevent_disable(buffers, Int16(EV_READ | EV_WRITE)) }

  /// Ends the connection both ways; libevent then sees its end, and frees it.
  func cut() {
    guard !isClosed else { return }
    deadline = nil
    shutdown(bufferevent_getfd(buffers), Int32(SHUT_RDWR))
  }

  /// Answers past libevent, which has no request to answer yet, and ends the connection.
  func turnAway(_ status: Int, _ code: String, _ text: String) {
    guard !isClosed else { return }
    isRefused = false
    if pendingBytes == 0 {
      _ = whole(status, code, text).withUnsafeBytes {
        send(bufferevent_getfd(buffers), $0.baseAddress, $0.count, SocketKind.sendFlags)
      }
    }
    cut()
  }

  private static func from(_ context: UnsafeMutableRawPointer?) -> HTTPConnection? {
    context.map { Unmanaged<HTTPConnection>.fromOpaque($0).takeUnretainedValue() }
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
