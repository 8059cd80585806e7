// DiskFiles: a layer's files on the real file system, within what the person who runs the node chose.
import CFiles
import Glibc
import StackCore

/// A layer's files in a folder of its own, and wherever the person who runs the node points it to.
///
/// Relative paths are walked one part at a time, each opened below the last and none through a link, so neither a name
/// from a peer nor a link planted meanwhile leads out of the folder. (This needs no `openat2`, which older kernels and
/// some containers refuse.) In an absolute path only the last part may not be a link: its directories are the person's
/// own choice, and a home that is a link to another disk is a common one.
public final class DiskFiles: LayerFiles {
  private let root: String

  /// The files of a layer whose own folder is this one; it is made when the layer first writes there.
  public init(root: String) { self.root = root }

  public func below(_ folder: String) -> any LayerFiles { DiskFiles(root: resolve(folder)) }

  public func resolve(_ path: String) -> String {
    if path.utf8.first == UInt8(ascii: "/") { return path }
    return path.isEmpty ? root : root + "/" + path
  }

  public func facts(_ path: String) throws(FileError) -> FileFacts {
    let place = try place(path)
    return FileFacts(name: place.name, try place.status())
  }

  public func list(_ path: String, limit: Int) throws(FileError) -> [FileFacts] {
    let place = try place(path)
    guard try place.status().st_mode & S_IFMT == S_IFDIR else {
      throw FileError(.notRegular, "\(place.path): not a directory")
    }
    let here = try place.open(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    var found: [FileFacts] = []
    for name in try names(in: here, path: place.path, limit: limit) {
      // One that has gone since is left out.
      var status = stat()
      if fstatat(here.number, name, &status, AT_SYMLINK_NOFOLLOW) == 0 { found.append(FileFacts(name: name, status)) }
    }
    return found
  }

  public func open(_ path: String) throws(FileError) -> any ReadableFile {
    let place = try place(path)
    // Asked before it is opened, since opening alone can wake a device; and again after, since it may have changed.
    try place.checkRegular(try place.status())
    let file = try place.open(O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    try place.checkRegular(try file.status(place.path))
    return DiskReadable(file, name: place.name, path: place.path)
  }

  public func create(_ path: String, reserving: Int64, resuming: Bool) throws(FileError) -> any WritableFile {
    let checked = try CheckedPath(path)
    let name = try checked.fileName()
    if !checked.isAbsolute { try makeDirectories(root) }
    let place = try place(path)
    let part = temporaryName(for: name)
    let file = try place.openTemporary(part, resuming: resuming)
    let size = Int64(try file.status(place.path).st_size)
    if resuming, reserving > 0, size > reserving, ftruncate(file.number, off_t(reserving)) != 0 {
      throw FileError(errno: errno, place.path)
    }
    do throws(FileError) {
      try place.reserve(file, reserving)
    } catch {
      // What was left by an earlier run stays; what was claimed in vain goes back.
      if size == 0 { unlinkat(place.directory.number, part, 0) } else { ftruncate(file.number, off_t(size)) }
      throw error
    }
    return DiskWritable(file, at: place, temporary: part)
  }

  public func makeDirectory(_ path: String) throws(FileError) {
    let checked = try CheckedPath(path)
    if checked.isAbsolute { return try makeDirectories(path) }
    try makeDirectories(root)
    var here = try Descriptor.place(root)
    var shown = root
    for part in checked.parts {
      shown += "/" + part
      if mkdirat(here.number, part, 0o777) != 0, errno != EEXIST { throw FileError(errno: errno, shown) }
      here = try here.step(part, path: shown)
    }
  }

  public func remove(_ path: String) throws(FileError) {
    do throws(FileError) {
      let place = try place(path)
      guard try place.status().st_mode & S_IFMT != S_IFDIR else {
        throw FileError(.notRegular, "\(place.path): a directory; only files are removed")
      }
      if unlinkat(place.directory.number, place.name, 0) != 0 { throw FileError(errno: errno, place.path) }
    } catch {
      if error.kind != .notFound { throw error }
    }
  }

  public func watch() -> (any FolderWatch)? { DiskWatch(self) }

  /// An open folder, for a watch.
  func folder(_ path: String) throws(FileError) -> Descriptor {
    try place(path).open(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
  }

  /// Opens the directory that a path's last part is in. The folder itself is the entry `.` of itself.
  private func place(_ path: String) throws(FileError) -> Place {
    let checked = try CheckedPath(path)
    let name = checked.parts.last ?? "."
    if checked.isAbsolute {
      let parent = "/" + checked.parts.dropLast().joined(separator: "/")
      return Place(directory: try Descriptor.place(parent), name: name, path: path)
    }
    var here = try Descriptor.place(root)
    var shown = root
    for part in checked.parts.dropLast() {
      shown += "/" + part
      here = try here.step(part, path: shown)
    }
    return Place(directory: here, name: name, path: resolve(path))
  }
}

/// An open file or directory, closed with its object.
final class Descriptor: Sendable {
  let number: Int32

  init(_ number: Int32) { self.number = number }

  deinit { close(number) }

  /// A directory to start from; links on the way are followed.
  static func place(_ path: String) throws(FileError) -> Descriptor {
    let number = cfiles_open_place(AT_FDCWD, path, 1)
    guard number >= 0 else { throw FileError(errno: errno, path) }
    return Descriptor(number)
  }

  /// A directory in this one, which is no link; `path` is its name for messages.
  func step(_ part: String, path: String) throws(FileError) -> Descriptor {
    let next = cfiles_open_place(number, part, 0)
    if next >= 0 { return Descriptor(next) }
    let code = errno
    var facts = stat()
    if fstatat(number, part, &facts, AT_SYMLINK_NOFOLLOW) == 0, facts.st_mode & S_IFMT == S_IFLNK {
      throw FileError(errno: ELOOP, path)
    }
    throw FileError(errno: code, path)
  }

  func status(_ path: String) throws(FileError) -> stat {
    var facts = stat()
    guard fstat(number, &facts) == 0 else { throw FileError(errno: errno, path) }
    return facts
  }

  /// Reads until the buffer is full or the file ends.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64, _ path: String) throws(FileError) -> Int {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let got = pread(number, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
      if got == 0 { break }
      if got > 0 { done += got } else if errno != EINTR { throw FileError(errno: errno, path) }
    }
    return done
  }

  /// Writes all of the bytes.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64, _ path: String) throws(FileError) {
    var done = 0
    while done < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
      let put = pwrite(number, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
      if put >= 0 { done += put } else if errno != EINTR { throw FileError(errno: errno, path) }
    }
  }

  /// Writes a whole small file.
  func write(_ bytes: [UInt8], _ path: String) throws(FileError) {
    try bytes.withUnsafeBufferPointer { (bytes) throws(FileError) in
      try write(UnsafeRawBufferPointer(bytes), at: 0, path)
    }
  }

  /// Makes the content durable.
  func sync(_ path: String) throws(FileError) {
    while fsync(number) != 0 {
      if errno != EINTR { throw FileError(errno: errno, path) }
    }
  }

  /// Makes the names in a directory durable, where the file system knows how.
  func syncDirectory(_ path: String) throws(FileError) {
    let directory = Glibc.openat(number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw FileError(errno: errno, path) }
    defer { close(directory) }
    if fsync(directory) != 0, errno != EINVAL, errno != EROFS { throw FileError(errno: errno, path) }
  }
}

/// Where an entry is: the open directory, the name in it, and the whole path for messages.
struct Place: Sendable {
  let directory: Descriptor
  let name: String
  let path: String

  /// What the entry is, without following it.
  func status() throws(FileError) -> stat {
    var facts = stat()
    guard fstatat(directory.number, name, &facts, AT_SYMLINK_NOFOLLOW) == 0 else { throw FileError(errno: errno, path) }
    return facts
  }

  func checkRegular(_ facts: stat) throws(FileError) {
    switch facts.st_mode & S_IFMT {
    case S_IFREG: return
    case S_IFLNK: throw FileError(errno: ELOOP, path)
    default: throw FileError(.notRegular, "\(path): not a regular file")
    }
  }

  func open(_ flags: Int32) throws(FileError) -> Descriptor {
    let number = openat(directory.number, name, flags)
    guard number >= 0 else { throw FileError(errno: errno, path) }
    return Descriptor(number)
  }

  /// Opens the temporary file, and holds it against other writers for as long as it is open.
  func openTemporary(_ part: String, resuming: Bool) throws(FileError) -> Descriptor {
    // Others may take the name away or put one there in between: look again, a few times.
    for _ in 0..<8 {
      let fresh = openat(directory.number, part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
      if fresh >= 0 {
        let file = Descriptor(fresh)
        try hold(file)
        return file
      }
      guard errno == EEXIST else { throw FileError(errno: errno, path) }
      if let file = try takeUp(part, resuming: resuming) { return file }
    }
    throw FileError(.exists, "\(path): something else keeps making \(part) beside it")
  }

  /// Opens a temporary file that is there, if it is one of ours; removes it and answers nil if not.
  private func takeUp(_ part: String, resuming: Bool) throws(FileError) -> Descriptor? {
    let number = openat(directory.number, part, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    if number < 0, errno == ENOENT { return nil }
    let file = number >= 0 ? Descriptor(number) : nil
    var open = stat()
    // A link, or a file that somebody else owns or has another name for, was planted: writing there would harm it.
    guard let file, fstat(file.number, &open) == 0, open.st_mode & S_IFMT == S_IFREG, open.st_nlink == 1,
      open.st_uid == geteuid()
    else {
      if unlinkat(directory.number, part, 0) != 0, errno != ENOENT { throw FileError(errno: errno, path) }
      return nil
    }
    try hold(file)
    // Its writer may have given it its name, or removed it, just before we held it.
    var named = stat()
    guard fstatat(directory.number, part, &named, AT_SYMLINK_NOFOLLOW) == 0, named.st_ino == open.st_ino,
      named.st_dev == open.st_dev
    else { return nil }
    if !resuming, ftruncate(file.number, 0) != 0 { throw FileError(errno: errno, path) }
    return file
  }

  private func hold(_ file: Descriptor) throws(FileError) {
    if flock(file.number, LOCK_EX | LOCK_NB) == 0 { return }
    guard errno == EWOULDBLOCK else { throw FileError(errno: errno, path) }
    throw FileError(.exists, "\(path): it is being written already; wait for that to end")
  }

  /// Claims disk space for so many bytes.
  func reserve(_ file: Descriptor, _ bytes: Int64) throws(FileError) {
    guard bytes > 0 else { return }
    let needed = bytes - Int64(try file.status(path).st_blocks) * 512
    // Asked first: to claim in vain could fill the disk to the brim for a moment.
    let free = freeBytes(file)
    if let free, needed > free { throw full(needed, free) }
    if cfiles_reserve(file.number, bytes) == 0 { return }
    switch errno {
    case EOPNOTSUPP, ENOSYS: return
    case ENOSPC, EDQUOT: throw full(needed, freeBytes(file) ?? 0)
    case EFBIG:
      throw FileError(.refused, "\(path): \(readable(bytes)) is larger than this file system lets a file be")
    case let code: throw FileError(errno: code, path)
    }
  }

  private func full(_ needed: Int64, _ free: Int64) -> FileError {
    FileError(
      .full,
      "\(path): needs \(readable(needed)), but only \(readable(free)) are free there; free some space "
        + "or choose another folder")
  }

  private func freeBytes(_ file: Descriptor) -> Int64? {
    var facts = statvfs()
    guard fstatvfs(file.number, &facts) == 0 else { return nil }
    let (bytes, overflow) = UInt64(facts.f_bavail).multipliedReportingOverflow(by: UInt64(facts.f_frsize))
    return overflow ? .max : Int64(clamping: bytes)
  }
}

extension FileFacts {
  /// What the system says of an entry.
  init(name: String, _ status: stat) {
    let kind: Kind =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .directory
      default: .other
      }
    var stamp: UInt64 = 0
    // The time of the last change to the inode can't be set back, as the other can.
    for part in [
      Int64(status.st_mtim.tv_sec), Int64(status.st_mtim.tv_nsec), Int64(status.st_ctim.tv_sec),
      Int64(status.st_ctim.tv_nsec), Int64(status.st_size), Int64(truncatingIfNeeded: status.st_ino),
    ] {
      stamp = (stamp ^ UInt64(bitPattern: part)) &* 0x9E37_79B9_7F4A_7C15
      stamp ^= stamp >> 29
    }
    self.init(name: name, kind: kind, size: Int64(status.st_size), stamp: stamp)
  }
}

extension FileError {
  /// What a system error means for a path.
  init(errno code: Int32, _ path: String) {
    switch code {
    case ENOENT: self.init(.notFound, "\(path): not found")
    case ELOOP: self.init(.link, "\(path): a symbolic link, and none is followed here; name what it points to")
    case EEXIST, ENOTEMPTY: self.init(.exists, "\(path): a file of this name is there already")
    case ENOSPC, EDQUOT: self.init(.full, "\(path): the disk is full; free some space or choose another folder")
    case EROFS: self.init(.refused, "\(path): the disk can only be read; choose another folder")
    case EACCES, EPERM: self.init(.refused, "\(path): this user has no right to it; change its owner or mode")
    case ENAMETOOLONG: self.init(.badName, "\(path): the name is too long for this file system")
    case EISDIR: self.init(.notRegular, "\(path): a directory, not a file")
    case ENOTDIR: self.init(.notRegular, "\(path): not a directory, or below something that isn't one")
    case ENXIO, ENODEV: self.init(.notRegular, "\(path): not a regular file")
    default: self.init(.other, "\(path): \(reason(code))")
    }
  }
}

/// The name under which a file is written before it has its own: beside it, hidden, and known again on resuming. A name
/// too long to carry the mark is cut, and told apart by a hash.
func temporaryName(for name: String) -> String {
  let whole = ".\(name)\(temporaryMark)"
  if whole.utf8.count <= 255 { return whole }
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
  let digits = String(hash, radix: 16)
  var start = "."
  for scalar in name.unicodeScalars {
    guard start.utf8.count + 4 + 1 + 16 + temporaryMark.utf8.count <= 255 else { break }
    start.unicodeScalars.append(scalar)
  }
  return start + "-" + String(repeating: "0", count: 16 - digits.utf8.count) + digits + temporaryMark
}

/// What the name of a file being written ends with.
private let temporaryMark = ".strata-part"

/// The first names in a directory, in byte order, but for dot, dot-dot and temporary files.
private func names(in directory: Descriptor, path: String, limit: Int) throws(FileError) -> [String] {
  // The stream closes the descriptor that it is given, so it gets one of its own.
  let own = fcntl(directory.number, F_DUPFD_CLOEXEC, 0)
  guard own >= 0 else { throw FileError(errno: errno, path) }
  guard let stream = fdopendir(own) else {
    close(own)
    throw FileError(.other, "\(path): out of memory")
  }
  defer { closedir(stream) }
  let nameOffset = MemoryLayout<dirent>.offset(of: \dirent.d_name) ?? 19
  let limit = max(0, limit)
  var names: [String] = []
  func cut() {
    names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    if names.count > limit { names.removeSubrange(limit...) }
  }
  while true {
    errno = 0
    guard let entry = readdir(stream) else { break }
    let bytes = (UnsafeRawPointer(entry) + nameOffset).assumingMemoryBound(to: CChar.self)
    guard let name = String(validatingCString: bytes), name != ".", name != ".." else { continue }
    if name.utf8.first == UInt8(ascii: "."), name.hasSuffix(temporaryMark) { continue }
    names.append(name)
    // However many there are, no more than about twice the limit are held.
    if names.count >= limit &* 2 &+ 64, limit < 1 << 30 { cut() }
  }
  guard errno == 0 else { throw FileError(errno: errno, path) }
  cut()
  return names
}

/// Makes a directory and its parents.
func makeDirectories(_ path: String, lastMode: mode_t = 0o777) throws(FileError) {
  let checked = try CheckedPath(path)
  var here = checked.isAbsolute ? "" : "."
  for (index, part) in checked.parts.enumerated() {
    here += "/" + part
    let isLast = index == checked.parts.count - 1
    if mkdir(here, isLast ? lastMode : 0o777) == 0 { continue }
    let code = errno
    var facts = stat()
    // What is there may be refused for other reasons than being there (a read-only disk): that is no matter.
    guard stat(here, &facts) == 0 else { throw FileError(errno: code, here) }
    guard facts.st_mode & S_IFMT == S_IFDIR else { throw FileError(errno: ENOTDIR, here) }
  }
}

/// So many bytes as a person says it: 512 bytes, 3.2 GiB.
func readable(_ bytes: Int64) -> String {
  let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
  var unit = 0
  var scale: Int64 = 1
  while unit + 1 < units.count, bytes / scale >= 1024 {
    scale *= 1024
    unit += 1
  }
  let tenths = unit == 0 ? 0 : min(9, (bytes % scale) / (scale / 10))
  return "\(bytes / scale)" + (unit == 0 ? "" : ".\(tenths)") + " " + units[unit]
}
