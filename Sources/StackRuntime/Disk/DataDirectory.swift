// DataDirectoryLock and the control token: what a node does with its data directory before it uses it.
import Glibc
import StackCore

/// The right to use a data directory, which one node has at a time. It ends with this object, or with the process
/// however that ends: the system, not the file, remembers the lock.
public final class DataDirectoryLock: Sendable {
  /// The file in the data directory that is locked; it names the process that holds it.
  public static let fileName = "node.lock"

  /// The data directory.
  public let directory: String
  private let file: Descriptor

  /// Makes the directory if it is missing (for this user only), and takes the lock. Refused with `.busy`, naming the
  /// holder, if another node has it.
  public init(directory: String) throws(StorageError) {
    self.directory = directory
    do throws(FileError) {
      try makeDirectories(directory, lastMode: 0o700)
    } catch {
      throw Self.refusal(error, directory)
    }
    let path = directory + "/" + Self.fileName
    let number = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0o600)
    guard number >= 0 else { throw Self.refusal(FileError(errno: errno, path), directory) }
    file = Descriptor(number)
    guard flock(number, LOCK_EX | LOCK_NB) == 0 else {
      if errno != EWOULDBLOCK { throw StorageError(.other, "\(path) can't be locked: \(reason(errno))") }
      throw StorageError(
        .busy,
        "the data directory \(directory) is in use by \(Self.holder(file)); stop it, or give this node another directory"
      )
    }
    try Self.sign(file, path, directory)
  }

  /// Said, not left to the closing: a process that another thread is about to start has the file for a moment too.
  deinit { flock(file.number, LOCK_UN) }

  /// Whether somebody has this right to a directory now, or may have it where that can't be seen. A process that was
  /// killed has it no more.
  public static func isHeld(directory: String) -> Bool {
    let number = open(directory + "/" + fileName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    guard number >= 0 else { return errno != ENOENT }
    let file = Descriptor(number)
    // Those who only ask don't stand in each other's way.
    return flock(file.number, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
  }

  /// Writes who holds the lock, for the one who will be refused.
  private static func sign(_ file: Descriptor, _ path: String, _ directory: String) throws(StorageError) {
    let text = [UInt8]("\(getpid())\n".utf8)
    do throws(FileError) {
      guard ftruncate(file.number, 0) == 0 else { throw FileError(errno: errno, path) }
      try file.write(text, path)
    } catch {
      throw refusal(error, directory)
    }
  }

  /// Who holds the lock, as far as can be told.
  private static func holder(_ file: Descriptor) -> String {
    var bytes = [UInt8](repeating: 0, count: 32)
    let count = pread(file.number, &bytes, bytes.count, 0)
    let digits = bytes.prefix(max(0, count)).prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    // A reader that comes between the holder's lock and its signature finds nothing.
    return digits.isEmpty ? "another process" : "process \(String(decoding: digits, as: UTF8.self))"
  }

  private static func refusal(_ error: FileError, _ directory: String) -> StorageError {
    switch error.kind {
    case .refused: return .readOnly(directory)
    case .full: return .full(directory, isLimited: false)
    case .notRegular: return StorageError(.other, "\(directory) is not a directory; choose another data directory")
    default: return StorageError(.other, "the data directory \(directory) can't be used: \(error.message)")
    }
  }
}

/// The file in the data directory that says where a running node's control port listens, such as `127.0.0.1:40123`.
public let controlAddressFileName = "control.address"

/// The file in the data directory that holds the control port's token.
public let tokenFileName = "control.token"

/// The secret that opens a node's control port: 64 hexadecimal digits, made at the first start and kept in the data
/// directory for its owner only. A token that others can read is refused, as is one that was cut short.
public func loadOrCreateToken(in directory: String) throws(FileError) -> String {
  let path = directory + "/" + tokenFileName
  if let token = try loadToken(path) { return token }
  let token = hexadecimal(try randomBytes(32))
  do throws(FileError) {
    try putInPlace(path, [UInt8]("\(token)\n".utf8), mode: 0o600, replacing: false)
    return token
  } catch {
    // Somebody was faster: theirs is the one that counts.
    guard error.kind == .exists, let theirs = try loadToken(path) else { throw error }
    return theirs
  }
}

/// The token that is there; nil if none is.
private func loadToken(_ path: String) throws(FileError) -> String? {
  let number = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
  if number < 0, errno == ENOENT { return nil }
  guard number >= 0 else { throw FileError(errno: errno, path) }
  let file = Descriptor(number)
  let facts = try file.status(path)
  guard facts.st_mode & S_IFMT == S_IFREG else { throw FileError(.notRegular, "\(path): not a regular file") }
  guard facts.st_mode & 0o077 == 0 else {
    throw FileError(
      .refused,
      "\(path): others on this machine may read or change it; `chmod 600` it, or remove it and a new token will be made"
    )
  }
  var bytes = [UInt8](repeating: 0, count: 128)
  let count = pread(number, &bytes, bytes.count, 0)
  guard count >= 0 else { throw FileError(errno: errno, path) }
  var text = bytes[..<count]
  while text.last == UInt8(ascii: "\n") || text.last == UInt8(ascii: "\r") { text.removeLast() }
  let isHexadecimal = text.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
  guard text.count == 64, isHexadecimal else {
    throw FileError(.other, "\(path): not a token of 64 hexadecimal digits; remove it and a new one will be made")
  }
  return String(decoding: text, as: UTF8.self)
}
