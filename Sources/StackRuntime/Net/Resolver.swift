// Resolver: names to addresses, off the loop.
import Glibc
import StackCore

/// Why a name has no address; the text says which name and what is wrong.
public struct ResolveError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Which name it is about, and what is wrong.
  public var message: String
  /// Whether it may be otherwise later: the network or the name server is away.
  public var isTemporary: Bool
  /// The message.
  public var description: String { message }
}

/// Looks names up on a thread of its own, so that a slow name server holds nothing up. It belongs to its loop's thread.
public final class Resolver {
  private let loop: EventLoop
  private let pool: WorkerPool

  /// A resolver with at most so many lookups at once, and so many waiting.
  public init(loop: EventLoop, threads: Int = 1, capacity: Int = 1024) {
    self.loop = loop
    pool = WorkerPool(threads: threads, capacity: capacity)
  }

  // A lookup may hang for half a minute, and its answer isn't wanted any more.
  deinit { pool.abandon() }

  /// The addresses of `host:port`, where the host is a name or an address, in the system's order of preference and
  /// without doubles. The answer comes on the loop, later, also when the text was an address already.
  public func resolve(_ text: String, _ body: @escaping (Result<[Address], ResolveError>) -> Void) {
    let completion = loop.expect(body)
    if let address = Address(text) { return completion.finish(.success([address])) }
    guard let (host, port) = Self.split(text) else {
      return completion.finish(
        .failure(
          ResolveError(message: "\"\(text)\" is not a name and port, such as \"example.org:5000\"", isTemporary: false))
      )
    }
    let isTaken = pool.submit { completion.finish(Self.lookUp(host, port)) }
    if !isTaken {
      completion.finish(.failure(ResolveError(message: "too many names are being looked up", isTemporary: true)))
    }
  }

  /// The name and the port of a text; nil if it isn't a host name (letters, digits, dots, hyphens) and a port.
  static func split(_ text: String) -> (host: String, port: UInt16)? {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, (1...253).contains(parts[0].utf8.count), (1...5).contains(parts[1].utf8.count),
      parts[1].utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let port = UInt16(parts[1])
    else { return nil }
    let isName = parts[0].utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
    // What has only digits and dots is a miswritten address, which the C library would read in its own ways.
    let isNumber = parts[0].utf8.allSatisfy {
      $0 == UInt8(ascii: ".") || $0 < UInt8(ascii: "A") && $0 != UInt8(ascii: "-")
    }
    return isName && !isNumber ? (String(parts[0]), port) : nil
  }

  /// Asks the system, and waits for its answer: for worker threads and command-line tools.
  public static func lookUp(_ host: String, _ port: UInt16) -> Result<[Address], ResolveError> {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = SocketKind.datagram
    var list: UnsafeMutablePointer<addrinfo>?
    let result = getaddrinfo(host, nil, &hints, &list)
    guard result == 0 else {
      let isTemporary = result == EAI_AGAIN || result == EAI_SYSTEM || result == EAI_MEMORY
      let reason = gai_strerror(result).map { String(cString: $0) } ?? "error \(result)"
      return .failure(ResolveError(message: "\(host): \(reason)", isTemporary: isTemporary))
    }
    defer { freeaddrinfo(list) }
    var addresses: [Address] = []
    var next = list
    while let entry = next, addresses.count < 16 {
      if let found = Address(entry.pointee)?.with(port: port), !addresses.contains(found) { addresses.append(found) }
      next = entry.pointee.ai_next
    }
    guard !addresses.isEmpty else {
      return .failure(ResolveError(message: "\(host): no address", isTemporary: false))
    }
    return .success(addresses)
  }
}
