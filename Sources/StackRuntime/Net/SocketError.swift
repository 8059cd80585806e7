// SocketError: why a socket could not be had, in words that say what to do.
import CDatagram
import Glibc
import StackCore

/// Why a socket could not be opened or bound; the text names the address and what would be right.
public struct SocketError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kinds of trouble there are.
  public enum Kind: String, Sendable { case inUse, permission, notHere, unsupported, exhausted, refused, other }
  /// What kind of trouble it is.
  public var kind: Kind
  /// Which address it is about, and what would be right.
  public var message: String
  /// An error of this kind and text.
  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }
  /// The message.
  public var description: String { message }

  /// The error for an `errno` met while an address was being bound.
  static func binding(_ address: Address, _ code: Int32) -> SocketError {
    switch code {
    case EADDRINUSE:
      SocketError(.inUse, "\(address) is in use by another program; stop that one, or choose another port")
    case EACCES, EPERM:
      if (1..<1024).contains(address.port) {
        SocketError(.permission, "\(address): ports below 1024 need more rights; choose a higher port")
      } else {
        SocketError(.permission, "\(address): permission denied")
      }
    case EADDRNOTAVAIL, ENODEV:
      SocketError(.notHere, "\(address.host) is not an address of this machine")
    case EAFNOSUPPORT:
      SocketError(.unsupported, "\(address): this machine has no \(address.isIPv4 ? "IPv4" : "IPv6")")
    case EMFILE, ENFILE: SocketError(.exhausted, "\(address): too many files are open")
    default: SocketError(.other, "\(address): \(errorText(code))")
    }
  }
}

/// What the system says of an `errno`.
func errorText(_ code: Int32) -> String {
  var buffer = [CChar](repeating: 0, count: 128)
  // The XSI or the GNU variant may be in use; the latter may leave the buffer alone and answer its own text.
  return buffer.withUnsafeMutableBufferPointer { space in
    guard let start = space.baseAddress, strerror_r(code, start, space.count) == 0 else { return "error \(code)" }
    return String(cString: start)
  }
}

extension Address {
  /// The address as the C side writes it.
  init(_ other: cdatagram_address) {
    self.init(high: other.high, low: other.low, port: other.port, scope: other.scope)
  }

  /// The address as the C side reads it.
  var forC: cdatagram_address { cdatagram_address(high: high, low: low, scope: scope, port: port) }

  /// The socket family that speaks to it.
  var family: Int32 { isIPv4 ? AF_INET : AF_INET6 }

  /// Reads what `getsockname`, `accept` and the like have written.
  init?(_ storage: inout sockaddr_storage, _ size: socklen_t) {
    var out = cdatagram_address()
    let result = withUnsafePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { cdatagram_from_sockaddr($0, size, &out) }
    }
    guard result == 0 else { return nil }
    self.init(out)
  }

  /// Reads one of `getaddrinfo`'s answers.
  init?(_ entry: addrinfo) {
    guard let name = entry.ai_addr else { return nil }
    var out = cdatagram_address()
    guard cdatagram_from_sockaddr(name, entry.ai_addrlen, &out) == 0 else { return nil }
    self.init(out)
  }

  /// Calls `body` with the address as a `sockaddr` for a socket of the family; nil if the family can't reach it.
  func withSockaddr<R>(family: Int32, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R? {
    var storage = sockaddr_storage()
    var plain = forC
    let size = cdatagram_to_sockaddr(&plain, family, &storage)
    guard size > 0 else { return nil }
    return withUnsafePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, size) }
    }
  }

  /// The address a socket is bound to.
  static func local(of fd: Int32) -> Address? {
    var storage = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(fd, $0, &size) }
    }
    return result == 0 ? Address(&storage, size) : nil
  }
}

/// The kinds of socket, which are enumerators in C and so a type of their own in Swift.
enum SocketKind {
  static let datagram = Int32(SOCK_DGRAM.rawValue)
  static let stream = Int32(SOCK_STREAM.rawValue)
  /// For a send that neither waits nor kills the process when the other side is gone.
  static let sendFlags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
  /// Never waits, and isn't handed to child processes.
  static let nonBlocking = Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
}
