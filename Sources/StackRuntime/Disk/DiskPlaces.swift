// DiskPlaces: open files and directories, and entries in them, reached without following links.
import CFiles
import Glibc
import StackCore

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

  /// Reads until the buffer is full or the file ends; nil when that takes more than what is in memory.
  func readNow(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int64, _ path: String
  ) throws(FileError) -> Int? {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let got = cfiles_read_now(number, rest.baseAddress, rest.count, offset + Int64(done))
      if got == 0 { break }
      if got > 0 {
        done += got
      } else if errno == EAGAIN {
        return nil
      } else if errno != EINTR {
        throw FileError(errno: errno, path)
      }
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

  /// Writes what can go to the disk as it is: whole blocks, from a block of memory to a block of the file. Answers how
  /// many bytes that were; what is left is written in the usual way, which also tells what went wrong.
  func writeDirectly(_ bytes: UnsafeRawBufferPointer, at offset: Int64) -> Int {
    guard let base = bytes.baseAddress, Int(bitPattern: base) % Self.block == 0, offset % Int64(Self.block) == 0
    else { return 0 }
    let most = bytes.count / Self.block * Self.block
    var done = 0
    while done < most {
      let put = pwrite(number, base + done, most - done, off_t(offset) + off_t(done))
      if put < 0, errno == EINTR { continue }
      // After a part of a block nothing goes directly any more.
      guard put > 0, put % Self.block == 0 else { break }
      done += put
    }
    return done
  }
  /// Blocks that every disk takes directly.
  private static let block = 4_096

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

  /// Opens a file a second time, to write to it past the kernel's cache; nil where the file system can't.
  func openDirectly(_ part: String, as file: Descriptor) -> Descriptor? {
    let number = cfiles_open_direct(directory.number, part)
    guard number >= 0 else { return nil }
    let direct = Descriptor(number)
    // The name could be another file's by now.
    guard let one = try? file.status(path), let other = try? direct.status(path), one.st_dev == other.st_dev,
      one.st_ino == other.st_ino
    else { return nil }
    return direct
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
