// DiskFiles: a layer's files on the real file system, within what the person who runs the node chose.
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
    var size = Int64(try file.status(place.path).st_size)
    if resuming, reserving > 0, size > reserving, ftruncate(file.number, off_t(reserving)) != 0 {
      throw FileError(errno: errno, place.path)
    }
    if resuming, reserving > 0 { size = min(size, reserving) }
    do throws(FileError) {
      try place.reserve(file, reserving)
    } catch {
      // What was left by an earlier run stays; what was claimed in vain goes back.
      if size == 0 { unlinkat(place.directory.number, part, 0) } else { ftruncate(file.number, off_t(size)) }
      throw error
    }
    let direct = reserving >= Self.largeFile ? place.openDirectly(part, as: file) : nil
    return DiskWritable(file, direct: direct, size: size, reserved: reserving, at: place, temporary: part)
  }

  /// Files from this size on are written past the kernel's cache, where whole blocks are: they would drive out of it
  /// what others use, and cost a copy.
  private static let largeFile: Int64 = 16 << 20

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
