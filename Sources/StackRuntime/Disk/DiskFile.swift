// DiskReadable and DiskWritable: one open file, to read or to write; and the replacing of a whole file in one step.
import CFiles
import Glibc
import StackCore
import Synchronization

/// A file open for reading. The descriptor never changes and reads name their offset, so any thread may read.
final class DiskReadable: ReadableFile {
  private let file: Descriptor
  private let name: String
  private let path: String

  init(_ file: Descriptor, name: String, path: String) {
    self.file = file
    self.name = name
    self.path = path
  }

  func facts() throws(FileError) -> FileFacts { FileFacts(name: name, try file.status(path)) }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
    try file.read(into: buffer, at: offset, path)
  }

  func readNow(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int? {
    try file.readNow(into: buffer, at: offset, path)
  }
}

/// A lock that many may hold together, or one alone.
///
/// `@unchecked Sendable` is sound because the pointer never changes, and what it points to is the system's own lock.
private final class SharedLock: @unchecked Sendable {
  private let lock = UnsafeMutablePointer<pthread_rwlock_t>.allocate(capacity: 1)

  init() {
    lock.initialize(to: pthread_rwlock_t())
    pthread_rwlock_init(lock, nil)
  }
  deinit {
    pthread_rwlock_destroy(lock)
    lock.deallocate()
  }

  func together<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    pthread_rwlock_rdlock(lock)
    defer { pthread_rwlock_unlock(lock) }
    return try body()
  }
  func alone<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    pthread_rwlock_wrlock(lock)
    defer { pthread_rwlock_unlock(lock) }
    return try body()
  }
}

/// A file being written under its temporary name.
final class DiskWritable: WritableFile {
  private let place: Place
  private let temporary: String
  /// The open file; nil once committed or discarded.
  private let file: Mutex<Descriptor?>
  /// The same file, open a second time, for writing past the kernel's cache; nil for small files, and where the file
  /// system can't.
  private let direct: Descriptor?
  /// How far the file was written, and how long it is. `nonisolated(unsafe)` is sound because it is only touched with
  /// `extentLock` held: a lock of the system's, which the thread sanitizer sees also where it has to be waited for.
  private nonisolated(unsafe) var extent: Extent
  private let extentLock = Lock()

  private struct Extent: Sendable {
    /// Where what was written ends.
    var end: Int64
    /// The size that the file has. It grows ahead of what is written directly: a write that makes a file longer keeps
    /// all others waiting, awake.
    var size: Int64
    /// What was reserved, beyond which it doesn't grow ahead.
    let reserved: Int64
    static let step: Int64 = 64 << 20
  }
  /// Held together by reads, writes and syncs, which don't wait for each other, and alone by what ends the file: so no
  /// job still writes to a file that another thread is giving its name.
  private let lock = SharedLock()

  init(
    _ file: Descriptor, direct: Descriptor?, size: Int64, reserved: Int64, at place: Place, temporary: String
  ) {
    self.place = place
    self.temporary = temporary
    self.file = Mutex(file)
    self.direct = direct
    extent = Extent(end: size, size: size, reserved: reserved)
  }

  private func use<Result: Sendable>(
    _ body: (Descriptor) throws(FileError) -> Result
  ) throws(FileError) -> Result {
    try lock.together { () throws(FileError) in
      guard let file = file.withLock({ $0 }) else { throw FileError(.other, "\(place.path): the file was closed") }
      return try body(file)
    }
  }

  func facts() throws(FileError) -> FileFacts {
    var facts = try use { (file) throws(FileError) in FileFacts(name: place.name, try file.status(place.path)) }
    facts.size = extentLock.with { extent.end }
    return facts
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FileError) {
    try use { (file) throws(FileError) in
      let end = offset + Int64(bytes.count)
      var done = 0
      // Short writes grow it first as well: who ends beyond the noted size would be cut off by the next to grow it.
      if let direct, grow(file, to: end), bytes.count >= Self.longWrite {
        done = direct.writeDirectly(bytes, at: offset)
      }
      if done < bytes.count {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
        try file.write(rest, at: offset + Int64(done), place.path)
      }
      extentLock.with {
        extent.end = max(extent.end, end)
        extent.size = max(extent.size, end)
      }
    }
  }

  /// Writes from this length on go past the kernel's cache: each waits for the disk, which many short ones would do in
  /// vain.
  private static let longWrite = 128 << 10

  /// Makes the file long enough for a write, with room for the next ones; false where it can't be.
  private func grow(_ file: Descriptor, to end: Int64) -> Bool {
    extentLock.with {
      guard end > extent.size else { return true }
      let size = max(end, min(extent.reserved, end + Extent.step))
      guard ftruncate(file.number, off_t(size)) == 0 else { return false }
      extent.size = size
      return true
    }
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
    try use { (file) throws(FileError) in try file.read(into: buffer, at: offset, place.path) }
  }

  func readNow(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int? {
    try use { (file) throws(FileError) in try file.readNow(into: buffer, at: offset, place.path) }
  }

  func sync() throws(FileError) {
    try use { (file) throws(FileError) in try file.sync(place.path) }
  }

  func commit(replacing: Bool) throws(FileError) {
    try lock.alone { () throws(FileError) in
      guard let file = file.withLock({ $0 }) else { throw FileError(.other, "\(place.path): the file was closed") }
      // Gives back what was reserved beyond the end.
      let end = extentLock.with { extent.end }
      if ftruncate(file.number, off_t(end)) != 0 { throw FileError(errno: errno, place.path) }
      try file.sync(place.path)
      let directory = place.directory
      guard cfiles_rename(directory.number, temporary, directory.number, place.name, replacing ? 1 : 0) == 0 else {
        if errno == EISDIR { throw FileError(.exists, "\(place.path): a directory is there already") }
        throw FileError(errno: errno, place.path)
      }
      self.file.withLock { $0 = nil }
      try directory.syncDirectory(place.path)
    }
  }

  func discard() {
    lock.alone {
      guard file.withLock({ $0 }) != nil else { return }
      // It is ours to remove: the lock on it keeps every other writer from taking its name.
      unlinkat(place.directory.number, temporary, 0)
      file.withLock { $0 = nil }
    }
  }
}

/// Replaces the content of a file in one step: whoever reads it finds the old content or the new, whole, also after a
/// loss of power. A file that is there keeps its mode unless one is given, a link keeps pointing and what it points to
/// is replaced; a new file gets `mode`, or 0644 if none is given.
public func replaceContents(_ path: String, _ bytes: [UInt8], mode: mode_t? = nil) throws(FileError) {
  var target = path
  if let real = realpath(path, nil) {
    target = String(cString: real)
    free(real)
  }
  var facts = stat()
  let isThere = stat(target, &facts) == 0
  if isThere, facts.st_mode & S_IFMT != S_IFREG { throw FileError(.notRegular, "\(path): not a regular file") }
  let newMode = mode ?? (isThere ? facts.st_mode & 0o777 : 0o644)
  try putInPlace(target, bytes, mode: newMode, replacing: true)
}

/// Writes a file beside its name, makes it durable, and gives it the name.
func putInPlace(_ path: String, _ bytes: [UInt8], mode: mode_t, replacing: Bool) throws(FileError) {
  let checked = try CheckedPath(path)
  let name = try checked.fileName()
  let parent = (checked.isAbsolute ? "/" : "./") + checked.parts.dropLast().joined(separator: "/")
  let directory = try Descriptor.place(parent)
  // A name that nobody can foresee, so that two who replace at once don't meet. It leaves out the file's own, which
  // could be as long as a name may be.
  let temporary = ".\(hexadecimal(try randomBytes(8))).strata-new"
  let number = openat(directory.number, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
  guard number >= 0 else { throw FileError(errno: errno, path) }
  let file = Descriptor(number)
  do throws(FileError) {
    // The mode is set on its own, since a mask would take from it what is asked for.
    if fchmod(number, mode) != 0 { throw FileError(errno: errno, path) }
    try file.write(bytes, path)
    try file.sync(path)
    guard cfiles_rename(directory.number, temporary, directory.number, name, replacing ? 1 : 0) == 0 else {
      throw FileError(errno: errno, path)
    }
  } catch {
    unlinkat(directory.number, temporary, 0)
    throw error
  }
  try directory.syncDirectory(path)
}

/// Fresh random bytes from the kernel.
func randomBytes(_ count: Int) throws(FileError) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: count)
  guard cfiles_random(&bytes, count) == 0 else { throw FileError(.other, "no random bytes: \(reason(errno))") }
  return bytes
}

/// Two small hexadecimal digits a byte.
func hexadecimal(_ bytes: [UInt8]) -> String {
  var text = ""
  for byte in bytes {
    text += byte < 16 ? "0" : ""
    text += String(byte, radix: 16)
  }
  return text
}
