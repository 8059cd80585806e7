// HTTPRequest: one request that came in, and the one answer it gets.
import CEvent
import Glibc
import StackCore

/// A header or a query item: a name and a value.
public struct HTTPField: Hashable, Sendable {
  /// The name, in the case it came in.
  public var name: String
  /// The value, without spaces around it.
  public var value: String
  /// A field of this name and value.
  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

/// A request to an `HTTPServer`. It belongs to the server's loop, and must be answered there, once, sooner or later.
///
/// Every way to answer is safe at any time: when the client is gone, or the server closed, it does nothing.
public final class HTTPRequest {
  /// GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS or TRACE; `unknown` for any other.
  public let method: String
  /// The path as it came, without the query.
  public let rawPath: String
  /// The path, percent-decoded; a request whose path isn't clean UTF-8 text never gets here.
  public let path: String
  /// The path's parts between slashes, each percent-decoded, so that `%2F` doesn't part one.
  public let pathParts: [String]
  /// The query's items, decoded, in order.
  public let query: [HTTPField]
  /// The headers, in order.
  public let headers: [HTTPField]
  /// The body's bytes.
  public let body: [UInt8]
  /// Who asks.
  public let remote: Address?
  /// Runs once when the client goes, or the server closes, before the answer has been given in full.
  public var onClose: (() -> Void)?

  /// Runs when what was written last has left.
  private var sent: (() -> Void)?

  enum State { case waiting, streaming, finished, gone }
  private(set) var state = State.waiting
  /// libevent's request; nil once it is libevent's alone, or gone.
  private var raw: OpaquePointer?
  private weak var connection: HTTPConnection?

  init?(_ raw: OpaquePointer, on connection: HTTPConnection, remote: Address?) {
    guard let method = Self.methods[evhttp_request_get_command(raw).rawValue],
      let uri = evhttp_request_get_evhttp_uri(raw)
    else { return nil }
    self.method = method
    rawPath = evhttp_uri_get_path(uri).map { String(cString: $0) } ?? ""
    guard let path = percentDecode(rawPath.utf8[...], plusIsSpace: false) else { return nil }
    self.path = path
    var parts: [String] = []
    for part in rawPath.utf8.split(separator: UInt8(ascii: "/")) {
      guard let part = percentDecode(part, plusIsSpace: false) else { return nil }
      parts.append(part)
    }
    pathParts = parts
    let queryText = evhttp_uri_get_query(uri).map { String(cString: $0) } ?? ""
    guard let query = Self.items(queryText) else { return nil }
    self.query = query
    headers = Self.read(evhttp_request_get_input_headers(raw))
    body = Self.drain(evhttp_request_get_input_buffer(raw))
    self.remote = remote
    self.raw = raw
    self.connection = connection
  }

  /// The method of a request whose own libevent doesn't know.
  public static let unknown = "UNKNOWN"
  /// libevent's number for such a method.
  private static let unknownCommand: UInt32 = 1 << 15

  static let methods: [UInt32: String] = [
    EVHTTP_REQ_GET.rawValue: "GET", EVHTTP_REQ_POST.rawValue: "POST", EVHTTP_REQ_HEAD.rawValue: "HEAD",
    EVHTTP_REQ_PUT.rawValue: "PUT", EVHTTP_REQ_DELETE.rawValue: "DELETE", EVHTTP_REQ_OPTIONS.rawValue: "OPTIONS",
    EVHTTP_REQ_PATCH.rawValue: "PATCH", EVHTTP_REQ_TRACE.rawValue: "TRACE", unknownCommand: unknown,
  ]

  /// Whether its method may have a body here.
  var takesBody: Bool { ["POST", "PUT", "PATCH"].contains(method) }

  /// Whether it announces a body although its method has none: the connection ends with the answer, so that nothing of
  /// the body can be taken for another request.
  public var hasStrayBody: Bool { !takesBody && header("Content-Length").map { $0 != "0" } ?? false }

  /// The first header of this name, in whatever case; nil if there is none.
  public func header(_ name: String) -> String? {
    let wanted = name.lowercased()
    return headers.first { $0.name.lowercased() == wanted }?.value
  }

  /// The first query item of this name; nil if there is none.
  public func queryItem(_ name: String) -> String? { query.first { $0.name == name }?.value }

  // MARK: answering

  /// Answers in full. A HEAD request gets the headers that go with the body, without it.
  public func respond(status: Int, headers: [HTTPField] = [], body: [UInt8] = []) {
    guard state == .waiting, let raw, let buffer = evbuffer_new() else { return }
    defer { evbuffer_free(buffer) }
    state = .finished
    self.raw = nil
    onClose = nil
    add(headers, to: raw)
    if method == "HEAD" {
      add([HTTPField("Content-Length", String(body.count))], to: raw)
    } else {
      _ = body.withUnsafeBytes { evbuffer_add(buffer, $0.baseAddress, $0.count) }
    }
    connection?.answered(bytes: body.count)
    evhttp_send_reply(raw, Int32(status), httpReason(status), buffer)
  }

  /// Starts an answer whose body comes bit by bit; the connection closes at its end.
  public func startStream(status: Int, headers: [HTTPField] = []) {
    guard state == .waiting, let raw else { return }
    state = .streaming
    add(headers + [HTTPField("Connection", "close")], to: raw)
    evhttp_send_reply_start(raw, Int32(status), httpReason(status))
  }

  /// Sends some of a stream. False if the client is gone. A client that has left more unread than the server's
  /// `streamBytes` is cut off; how large one piece is doesn't matter.
  @discardableResult public func write(_ bytes: [UInt8]) -> Bool {
    guard state == .streaming, let raw, let connection else { return false }
    guard pendingBytes <= connection.streamBytes else {
      abort()
      return false
    }
    guard !bytes.isEmpty else { return true }
    guard let buffer = evbuffer_new() else { return false }
    defer { evbuffer_free(buffer) }
    _ = bytes.withUnsafeBytes { evbuffer_add(buffer, $0.baseAddress, $0.count) }
    evhttp_send_reply_chunk(raw, buffer)
    return true
  }

  /// Sends some of a stream, and says when all of it has left: how a long answer keeps pace with its client.
  func write(_ bytes: [UInt8], whenSent: @escaping () -> Void) {
    guard state == .streaming, let raw, let buffer = evbuffer_new() else { return }
    defer { evbuffer_free(buffer) }
    sent = whenSent
    _ = bytes.withUnsafeBytes { evbuffer_add(buffer, $0.baseAddress, $0.count) }
    // The connection holds this object until the request is over, and calls nobody after that.
    let me = Unmanaged.passUnretained(self).toOpaque()
    evhttp_send_reply_chunk_with_cb(
      raw, buffer,
      { _, context in
        guard let context else { return }
        let request = Unmanaged<HTTPRequest>.fromOpaque(context).takeUnretainedValue()
        let told = request.sent
        request.sent = nil
        told?()
      }, me)
  }

  /// Sends some text of a stream.
  @discardableResult public func write(_ text: String) -> Bool { write(Array(text.utf8)) }

  /// Ends a stream.
  public func end() {
    guard state == .streaming, let raw else { return }
    state = .finished
    self.raw = nil
    onClose = nil
    sent = nil
    connection?.answered(bytes: pendingBytes)
    // This may free the connection at once.
    evhttp_send_reply_end(raw)
  }

  /// How many bytes of the answer the client has yet to take.
  public var pendingBytes: Int { connection?.pendingBytes ?? 0 }

  /// Whether an answer, or more of it, can still reach the client.
  public var isOpen: Bool { state == .waiting || state == .streaming }

  /// Cuts the client off.
  public func abort() {
    guard isOpen else { return }
    connection?.cut()
  }

  /// The connection is going: the answer has nowhere to go.
  func connectionClosed() {
    guard isOpen else { return }
    state = .gone
    // Having lost its connection already, libevent's request is left for us to free; otherwise its connection does
    // that.
    if let raw, evhttp_request_get_connection(raw) == nil { evhttp_request_free(raw) }
    raw = nil
    let told = onClose
    onClose = nil
    sent = nil
    told?()
  }

  private func add(_ headers: [HTTPField], to raw: OpaquePointer) {
    let out = evhttp_request_get_output_headers(raw)
    // libevent refuses a value with a line break in it, so no header can smuggle in another.
    for header in headers { evhttp_add_header(out, header.name, header.value) }
    if connection?.closesAfterAnswer == true { evhttp_add_header(out, "Connection", "close") }
  }

  private static func read(_ list: UnsafeMutablePointer<evkeyvalq>?) -> [HTTPField] {
    var fields: [HTTPField] = []
    var next = list?.pointee.tqh_first
    while let entry = next?.pointee {
      if let key = entry.key, let value = entry.value {
        fields.append(HTTPField(String(cString: key), String(cString: value)))
      }
      next = entry.next.tqe_next
    }
    return fields
  }

  private static func drain(_ buffer: OpaquePointer?) -> [UInt8] {
    let count = evbuffer_get_length(buffer)
    guard count > 0 else { return [] }
    return [UInt8](unsafeUninitializedCapacity: count) { space, filled in
      filled = max(Int(evbuffer_remove(buffer, space.baseAddress, count)), 0)
    }
  }

  private static func items(_ text: String) -> [HTTPField]? {
    var fields: [HTTPField] = []
    for item in text.utf8.split(separator: UInt8(ascii: "&")) {
      let parts = item.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = percentDecode(parts[0], plusIsSpace: true),
        let value = parts.count == 2 ? percentDecode(parts[1], plusIsSpace: true) : ""
      else { return nil }
      fields.append(HTTPField(name, value))
    }
    return fields
  }
}

/// Undoes percent-encoding; nil if the encoding is broken or the result isn't UTF-8 text without control characters.
func percentDecode(_ text: Substring.UTF8View, plusIsSpace: Bool) -> String? {
  var bytes: [UInt8] = []
  var rest = text
  while let byte = rest.popFirst() {
    var byte = byte
    if byte == UInt8(ascii: "%") {
      guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
        return nil
      }
      byte = high << 4 | low
    } else if byte == UInt8(ascii: "+"), plusIsSpace {
      byte = UInt8(ascii: " ")
    }
    guard byte >= 0x20, byte != 0x7f else { return nil }
    bytes.append(byte)
  }
  return String(validating: bytes, as: UTF8.self)
}

/// The value of a hexadecimal digit.
func hexDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}

/// The words that go with a status.
func httpReason(_ status: Int) -> String {
  let known: [Int: String] = [
    200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content",
    304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 406: "Not Acceptable",
    408: "Request Timeout", 409: "Conflict", 411: "Length Required", 413: "Content Too Large",
    415: "Unsupported Media Type", 416: "Range Not Satisfiable", 421: "Misdirected Request",
    422: "Unprocessable Content", 429: "Too Many Requests",
    500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable", 504: "Gateway Timeout",
  ]
  return known[status] ?? "Status \(status)"
}
