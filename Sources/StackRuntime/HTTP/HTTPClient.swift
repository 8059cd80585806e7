// HTTPClient: a small HTTP/1.1 client that waits for its answers, for the command line.
import CDatagram
import Glibc
import StackCore

/// Why an HTTP request has no answer; the text says what a person can do about it.
public struct HTTPClientError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kinds of trouble there are.
  public enum Kind: String, Sendable { case unreachable, timeout, broken, tooLarge, badRequest }
  /// What kind of trouble it is.
  public var kind: Kind
  /// What happened, and with whom.
  public var message: String
  /// An error of this kind and text.
  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }
  /// The message.
  public var description: String { message }
}

/// An answer's status line and headers.
public struct HTTPHead: Hashable, Sendable {
  /// The status, such as 200.
  public var status: Int
  /// The headers, in order.
  public var headers: [HTTPField]
  /// The first header of this name, in whatever case; nil if there is none.
  public func header(_ name: String) -> String? {
    let wanted = name.lowercased()
    return headers.first { $0.name.lowercased() == wanted }?.value
  }
}

/// Asks an HTTP server, one connection a request. Calls wait; they are not for a loop's thread.
public struct HTTPClient: Sendable {
  /// The most bytes of status line and headers to take.
  public var headerLimit = 64 << 10
  /// The most bytes of a whole body to take; a streamed one may be of any length.
  public var bodyLimit = 64 << 20
  /// A client of the usual limits.
  public init() {}

  /// Sends a request and waits for the whole answer, no longer than `timeout`.
  public func request(
    _ method: String, host: String, port: UInt16, path: String, headers: [HTTPField] = [], body: [UInt8] = [],
    timeout: Duration = .seconds(30)
  ) throws(HTTPClientError) -> (head: HTTPHead, body: [UInt8]) {
    var whole: [UInt8] = []
    var isTooLarge = false
    let head = try exchange(
      method, host, port, path, headers, body, Deadline(timeout), idle: nil, onHead: { _ in true },
      onBytes: { bytes in
        isTooLarge = whole.count + bytes.count > bodyLimit
        if !isTooLarge { whole += bytes }
        return !isTooLarge
      })
    if isTooLarge {
      throw HTTPClientError(.tooLarge, "the answer of \(place(host, port)) is larger than \(bodyLimit) bytes")
    }
    return (head, whole)
  }

  /// Sends a request and hands over the answer's body as it comes, until it ends or a callback answers false.
  ///
  /// `timeout` is for the answer's headers to come; after that, silence may last `idle` (nil: for ever).
  public func stream(
    _ method: String, host: String, port: UInt16, path: String, headers: [HTTPField] = [], body: [UInt8] = [],
    timeout: Duration = .seconds(30), idle: Duration? = nil, onHead: (HTTPHead) -> Bool = { _ in true },
    onBytes: ([UInt8]) -> Bool
  ) throws(HTTPClientError) -> HTTPHead {
    try exchange(
      method, host, port, path, headers, body, Deadline(timeout), idle: .some(idle), onHead: onHead, onBytes: onBytes)
  }

  /// `idle` nil: the deadline holds to the end; otherwise it ends with the head, and each wait may last so long.
  private func exchange(
    _ method: String, _ host: String, _ port: UInt16, _ path: String, _ headers: [HTTPField], _ body: [UInt8],
    _ deadline: Deadline, idle: Duration??, onHead: (HTTPHead) -> Bool, onBytes: ([UInt8]) -> Bool
  ) throws(HTTPClientError) -> HTTPHead {
    let head = try compose(method, host, port, path, headers, body.count)
    let connection = try Connection(host, port, deadline)
    // A server may refuse a body it hasn't read, so a broken write still leaves an answer to look for.
    let writeError = connection.send(head + body, deadline)
    var reader = Reader(connection: connection, deadline: deadline)
    let answer: HTTPHead
    do { answer = try reader.head(limit: headerLimit) } catch { throw writeError ?? error }
    guard onHead(answer) else { return answer }
    if let idle { reader.waits = idle.map { .each($0) } ?? .forEver }
    if method == "HEAD" || answer.status == 204 || answer.status == 304 { return answer }
    try reader.body(answer, onBytes)
    return answer
  }

  private func compose(
    _ method: String, _ host: String, _ port: UInt16, _ path: String, _ headers: [HTTPField], _ length: Int
  ) throws(HTTPClientError) -> [UInt8] {
    let isPathClean = path.utf8.first == UInt8(ascii: "/") && path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
    guard isPathClean else { throw HTTPClientError(.badRequest, "\"\(path)\" is not the path of a URL") }
    var text = "\(method) \(path) HTTP/1.1\r\n"
    if !headers.contains(where: { $0.name.lowercased() == "host" }) { text += "Host: \(place(host, port))\r\n" }
    text += "Connection: close\r\n"
    if length > 0 || ["POST", "PUT", "PATCH"].contains(method) { text += "Content-Length: \(length)\r\n" }
    for field in headers {
      guard (field.name + field.value).utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
        throw HTTPClientError(.badRequest, "the header \(field.name) has a control character in it")
      }
      text += "\(field.name): \(field.value)\r\n"
    }
    return Array((text + "\r\n").utf8)
  }
}

/// A host and a port as a URL writes them.
private func place(_ host: String, _ port: UInt16) -> String {
  host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
}

/// A point in time by a clock that no one sets.
private struct Deadline {
  private let at: Int64
  init(_ after: Duration) {
    let (sum, overflow) = Self.now.addingReportingOverflow(after.nanoseconds)
    at = overflow ? .max : sum
  }
  private static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
  /// The time left in milliseconds, as `poll` takes it: 0 when it is over.
  var milliseconds: Int32 { Int32(clamping: max((at - Self.now + 999_999) / 1_000_000, 0)) }
}

/// One connection to a server.
private final class Connection {
  let name: String
  private var fd: Int32 = -1

  init(_ host: String, _ port: UInt16, _ deadline: Deadline) throws(HTTPClientError) {
    name = place(host, port)
    var last = HTTPClientError(.unreachable, "\(name): no address")
    for address in try Self.addresses(host, port) {
      let code = connect(address, deadline)
      if code == 0 { return }
      last = Self.error(name, code)
      if code == ETIMEDOUT { break }
    }
    throw last
  }

  deinit { if fd >= 0 { close(fd) } }

  private static func addresses(_ host: String, _ port: UInt16) throws(HTTPClientError) -> [Address] {
    if let address = Address(host: host, port: port) { return [address] }
    switch Resolver.lookUp(host, port) {
    case .success(let addresses): return addresses
    case .failure(let error): throw HTTPClientError(.unreachable, error.message)
    }
  }

  private static func error(_ name: String, _ code: Int32) -> HTTPClientError {
    switch code {
    case ECONNREFUSED: HTTPClientError(.unreachable, "nothing listens on \(name)")
    case ETIMEDOUT: HTTPClientError(.timeout, "\(name) doesn't answer")
    case EPIPE, ECONNRESET: HTTPClientError(.broken, "\(name) has closed the connection before its answer was whole")
    default: HTTPClientError(.unreachable, "\(name): \(errorText(code))")
    }
  }

  /// Connects; 0 or an errno.
  private func connect(_ address: Address, _ deadline: Deadline) -> Int32 {
    if fd >= 0 { close(fd) }
    fd = socket(address.family, SocketKind.stream | SocketKind.nonBlocking, 0)
    guard fd >= 0 else { return errno }
    let result =
      address.withSockaddr(family: address.family) { Glibc.connect(fd, $0, $1) == 0 ? 0 : errno } ?? EAFNOSUPPORT
    guard result == EINPROGRESS || result == EINTR else { return result }
    guard wait(Int16(POLLOUT), deadline.milliseconds) else { return ETIMEDOUT }
    var code: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno
  }

  /// Waits until something can be done, so long (-1: for ever); false when the time is over.
  private func wait(_ what: Int16, _ milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: fd, events: what, revents: 0)
    while true {
      let result = poll(&entry, 1, milliseconds)
      if result >= 0 { return result > 0 }
      // A signal starts the wait anew, which may stretch it a little; one that never ends is the caller's own.
      if errno != EINTR { return false }
    }
  }

  /// Sends everything; what went wrong, if anything.
  func send(_ bytes: [UInt8], _ deadline: Deadline) -> HTTPClientError? {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(fd, $0.baseAddress.map { $0 + sent }, bytes.count - sent, SocketKind.sendFlags)
      }
      if count >= 0 {
        sent += count
      } else if errno == EAGAIN {
        guard wait(Int16(POLLOUT), deadline.milliseconds) else { return Self.error(name, ETIMEDOUT) }
      } else if errno != EINTR {
        return Self.error(name, errno)
      }
    }
    return nil
  }

  /// Appends what the server sends next to `bytes`; false at the end.
  func receive(into bytes: inout [UInt8], _ milliseconds: Int32) throws(HTTPClientError) -> Bool {
    while true {
      var code: Int32 = 0
      let more = [UInt8](unsafeUninitializedCapacity: 16 << 10) { space, filled in
        let count = recv(fd, space.baseAddress, space.count, 0)
        code = count < 0 ? errno : 0
        filled = max(count, 0)
      }
      if code == 0 {
        bytes += more
        return !more.isEmpty
      }
      if code == EAGAIN {
        guard wait(Int16(POLLIN), milliseconds) else { throw Self.error(name, ETIMEDOUT) }
      } else if code != EINTR {
        throw Self.error(name, code)
      }
    }
  }

  var closedEarly: HTTPClientError { Self.error(name, ECONNRESET) }
  func broken(_ what: String) -> HTTPClientError { HTTPClientError(.broken, "\(name) doesn't speak HTTP: \(what)") }
}

/// Takes an answer apart as it comes.
private struct Reader {
  /// How long to wait for more.
  enum Waits { case until(Deadline), each(Duration), forEver }
  let connection: Connection
  var waits: Waits
  /// What has come and isn't used yet, from `start` on.
  private var buffer: [UInt8] = []
  private var start = 0

  init(connection: Connection, deadline: Deadline) {
    self.connection = connection
    waits = .until(deadline)
  }

  private mutating func fill() throws(HTTPClientError) -> Bool {
    if start > 0 {
      buffer.removeFirst(start)
      start = 0
    }
    let milliseconds: Int32
    switch waits {
    case .until(let deadline): milliseconds = deadline.milliseconds
    case .each(let duration): milliseconds = Deadline(duration).milliseconds
    case .forEver: milliseconds = -1
    }
    return try connection.receive(into: &buffer, milliseconds)
  }

  /// The next line, without its end.
  private mutating func line(limit: Int) throws(HTTPClientError) -> String {
    var searched = start
    while true {
      if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        var line = buffer[start..<end]
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        start = end + 1
        return String(decoding: line, as: UTF8.self)
      }
      guard buffer.count - start <= limit else { throw connection.broken("a line without end") }
      searched = buffer.count - start
      guard try fill() else { throw connection.closedEarly }
    }
  }

  mutating func head(limit: Int) throws(HTTPClientError) -> HTTPHead {
    while true {
      var room = limit
      let first = try line(limit: room)
      let parts = first.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count >= 2, parts[0].hasPrefix("HTTP/1."), parts[1].utf8.count == 3, let status = Int(parts[1]) else {
        throw connection.broken("its first line is odd")
      }
      var head = HTTPHead(status: status, headers: [])
      while true {
        let text = try line(limit: room)
        if text.isEmpty { break }
        room -= text.utf8.count + 2
        guard room > 0 else { throw connection.broken("too many headers") }
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
          throw connection.broken("a header without a colon")
        }
        let value = text[text.index(after: colon)...]
        head.headers.append(HTTPField(String(text[..<colon]), Self.trimmed(value)))
      }
      // "Continue" and the like come before the answer itself.
      if status >= 200 { return head }
    }
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text
    while text.first == " " || text.first == "\t" { text.removeFirst() }
    while text.last == " " || text.last == "\t" { text.removeLast() }
    return String(text)
  }

  /// Hands the body over as it comes.
  mutating func body(_ head: HTTPHead, _ onBytes: ([UInt8]) -> Bool) throws(HTTPClientError) {
    if head.header("Transfer-Encoding")?.lowercased() == "chunked" { return try chunks(onBytes) }
    guard let text = head.header("Content-Length") else {
      _ = try pass(nil, onBytes)
      return
    }
    guard let length = Int(text), length >= 0 else { throw connection.broken("an odd Content-Length") }
    _ = try pass(length, onBytes)
  }

  /// Hands over so many bytes (nil: all until the end); false if the callback wants no more.
  private mutating func pass(_ length: Int?, _ onBytes: ([UInt8]) -> Bool) throws(HTTPClientError) -> Bool {
    var left = length ?? .max
    while left > 0 {
      if start == buffer.count {
        guard try fill() else {
          if length == nil { return true }
          throw connection.closedEarly
        }
      }
      let count = min(buffer.count - start, left)
      let part = Array(buffer[start..<(start + count)])
      start += count
      left -= count
      guard onBytes(part) else { return false }
    }
    return true
  }

  private mutating func chunks(_ onBytes: ([UInt8]) -> Bool) throws(HTTPClientError) {
    while true {
      let text = try line(limit: 1024)
      let digits = text.utf8.prefix { $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: " ") }
      guard (1...15).contains(digits.count), let size = Int(Substring(digits), radix: 16), size >= 0 else {
        throw connection.broken("an odd chunk size")
      }
      if size == 0 { break }
      guard try pass(size, onBytes) else { return }
      guard try line(limit: 2).isEmpty else { throw connection.broken("an odd end of a chunk") }
    }
    // Trailers may follow; they matter to no one here.
    for _ in 0..<64 where try line(limit: 16 << 10).isEmpty { return }
  }
}
