// HTTPConnection: one client's connection to the HTTP server, its limits and its refusals.
import CDatagram
import CEvent
import Glibc
import StackCore

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
