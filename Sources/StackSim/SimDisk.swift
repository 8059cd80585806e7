// SimDisk: one simulated node's disk: what is in its files, with limited room and a crash model.
import StackCore
import Synchronization

/// One simulated node's disk. It outlives the node's own objects, as `SimStorage` does.
///
/// A mutex stands around everything: the simulator is single-threaded, so it is never waited for, but it makes the
/// files `Sendable` in a way that the compiler can check.
public final class SimDisk: Sendable {
  let state: Mutex<SimDiskState>

  /// An empty disk with room for so many bytes of files.
  public init(capacity: Int = .max) { state = Mutex(SimDiskState(capacity: capacity)) }

  /// The files of a layer: relative paths are in this folder.
  public func files(root: String) -> SimFiles { SimFiles(disk: self, root: root) }

  /// Whether of every file every second 64 KiB have to be waited for, as on a disk of which half is in memory: they are
  /// left to jobs.
  public var isCold: Bool {
    get { state.withLock { $0.isCold } }
    set { state.withLock { $0.isCold = newValue } }
  }

  /// The bytes in files, and reserved for files being written.
  public var usedBytes: Int { state.withLock { $0.used } }

  /// Puts a file there from outside, with its directories, over the content of any that was there: for a test's scene.
  public func place(_ path: String, _ content: [UInt8]) throws(FileError) {
    let parts = try CheckedPath(path).parts
    state.withLock { $0.place(parts, content) }
  }

  /// The content of a file, if it is there.
  public func contents(_ path: String) -> [UInt8]? {
    guard let parts = try? CheckedPath(path).parts else { return nil }
    return state.withLock { state in
      guard case .file(let id)? = state.entries[key(parts)] else { return nil }
      return state.inodes[id]?.content
    }
  }

  /// The node crashes: files being written fall back to what was synced, and what was open is closed.
  public func crash() { state.withLock { $0.crash() } }

  /// The disk is lost: every file is gone.
  public func erase() { state.withLock { $0 = SimDiskState(capacity: $0.capacity, after: $0.last) } }
}

/// What a file holds.
struct SimInode {
  var content: [UInt8] = []
  /// What a crash leaves of a file being written; nil: nothing was ever synced.
  var synced: [UInt8]?
  /// The bytes claimed for it before they were written.
  var reserved = 0
  /// Grows with each change.
  var changes: UInt64 = 0
  /// Which writer has it open.
  var writer: UInt64?
  /// How many readers have it open, and whether it has a name: when neither, it goes.
  var readers = 0
  var isNamed = true
  let id: UInt64

  var charge: Int { Swift.max(content.count, reserved) }

  func facts(_ name: String) -> FileFacts {
    FileFacts(name: name, kind: .file, size: Int64(content.count), stamp: id << 32 ^ changes)
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64, _ name: String) throws(FileError) -> Int {
    guard offset >= 0 else { throw FileError(.other, "\(name): no byte is before the first") }
    guard offset < Int64(content.count) else { return 0 }
    let part = content[Int(offset)...].prefix(buffer.count)
    buffer.copyBytes(from: part)
    return part.count
  }
}

/// What a name in a directory stands for.
enum SimEntry {
  case directory
  case file(UInt64)
}

/// All that is on a disk.
struct SimDiskState {
  /// By the bytes of the path.
  var entries = OrderedBytes<SimEntry>()
  /// Files being written, by the path they are to have.
  var temporaries = OrderedBytes<UInt64>()
  /// Only looked up, never iterated.
  var inodes: [UInt64: SimInode] = [:]
  var used = 0
  var isCold = false
  let capacity: Int
  /// The last number given to an inode or a writer.
  var last: UInt64

  init(capacity: Int, after last: UInt64 = 0) {
    self.capacity = capacity
    self.last = last
  }

  mutating func number() -> UInt64 {
    last += 1
    return last
  }

  func inode(_ id: UInt64, _ name: String) throws(FileError) -> SimInode {
    guard let inode = inodes[id] else { throw FileError(.other, "\(name): the disk was lost") }
    return inode
  }

  func checkWriter(_ id: UInt64, _ token: UInt64, _ name: String) throws(FileError) {
    guard inodes[id]?.writer == token else { throw FileError(.other, "\(name): the file was closed") }
  }

  func isDirectory(_ parts: [String]) -> Bool {
    if parts.isEmpty { return true }
    if case .directory? = entries[key(parts)] { return true }
    return false
  }

  func facts(_ parts: [String]) throws(FileError) -> FileFacts {
    let name = parts.last ?? "."
    if isDirectory(parts) { return FileFacts(name: name, kind: .directory, size: 0, stamp: 0) }
    guard case .file(let id)? = entries[key(parts)] else { throw notFound(parts) }
    return try inode(id, name).facts(name)
  }

  func list(_ parts: [String], limit: Int) throws(FileError) -> [FileFacts] {
    guard isDirectory(parts) else {
      throw entries[key(parts)] == nil ? notFound(parts) : FileError(.notRegular, "\(text(parts)): not a directory")
    }
    let prefix = key(parts) + [UInt8(ascii: "/")]
    var names: [String] = []
    // The entries of a directory are those that begin as it does and have no further slash. In the order of whole
    // paths `a/b` stands between `a-` and `a0`, but names alone keep their order.
    entries.scan(from: prefix, upTo: key(parts) + [UInt8(ascii: "/") + 1]) { path, _ in
      let name = path[prefix.count...]
      if !name.contains(UInt8(ascii: "/")) { names.append(String(decoding: name, as: UTF8.self)) }
      return names.count < limit
    }
    var found: [FileFacts] = []
    for name in names.prefix(max(0, limit)) { found.append(try facts(parts + [name])) }
    return found
  }

  mutating func open(_ parts: [String]) throws(FileError) -> UInt64 {
    guard let entry = entries[key(parts)] else {
      throw parts.isEmpty ? FileError(.notRegular, "/: not a regular file") : notFound(parts)
    }
    guard case .file(let id) = entry else { throw FileError(.notRegular, "\(text(parts)): not a regular file") }
    inodes[id]?.readers += 1
    return id
  }

  mutating func close(_ id: UInt64) {
    inodes[id]?.readers -= 1
    sweep(id)
  }

  /// Drops a file that has neither name nor reader.
  private mutating func sweep(_ id: UInt64) {
    guard let inode = inodes[id], !inode.isNamed, inode.readers == 0 else { return }
    used -= inode.charge
    inodes[id] = nil
  }

  mutating func create(
    _ parts: [String], reserving: Int64, resuming: Bool
  ) throws(FileError) -> (id: UInt64, token: UInt64) {
    guard isDirectory(parts.dropLast()) else { throw notFound(parts.dropLast()) }
    let path = key(parts)
    let earlier = temporaries[path]
    if let earlier, inodes[earlier]?.writer != nil {
      throw FileError(.exists, "\(text(parts)): it is being written already; wait for that to end")
    }
    let id = earlier ?? number()
    var inode = inodes[id] ?? SimInode(id: id)
    let before = earlier == nil ? 0 : inode.charge
    let wanted = Int(clamping: reserving)
    if !resuming { inode.content = [] }
    if wanted > 0, inode.content.count > wanted { inode.content.removeSubrange(wanted...) }
    inode.reserved = wanted
    let needed = inode.charge - before
    guard needed <= capacity - used else { throw full(parts, needed) }
    used += needed
    inode.writer = number()
    inode.changes += 1
    inodes[id] = inode
    temporaries.set(path, id)
    return (id, last)
  }

  mutating func sync(_ id: UInt64) {
    guard let content = inodes[id]?.content else { return }
    inodes[id]?.synced = content
  }

  mutating func write(_ id: UInt64, _ bytes: [UInt8], at offset: Int64, _ name: String) throws(FileError) {
    // Only the number is taken out: a copy of the inode would make the write copy all of the content.
    guard offset >= 0, let charge = inodes[id]?.charge else {
      throw FileError(.other, "\(name): no byte is before the first")
    }
    guard !bytes.isEmpty else { return }
    let start = Int(offset)
    let (end, overflow) = start.addingReportingOverflow(bytes.count)
    let needed = max(charge, end) - charge
    guard !overflow, needed <= capacity - used else { throw full([name], needed) }
    used += needed
    inodes[id]?.put(bytes, at: start)
  }

  mutating func commit(_ id: UInt64, _ parts: [String], replacing: Bool) throws(FileError) {
    guard !isDirectory(parts) else { throw FileError(.exists, "\(text(parts)): a directory is there already") }
    let path = key(parts)
    if case .file(let old)? = entries[path] {
      guard replacing else { throw exists(parts) }
      inodes[old]?.isNamed = false
      sweep(old)
    }
    used -= inodes[id].map { $0.charge - $0.content.count } ?? 0
    inodes[id]?.reserved = 0
    inodes[id]?.writer = nil
    inodes[id]?.changes += 1
    temporaries.remove(path)
    entries.set(path, .file(id))
  }

  mutating func discard(_ id: UInt64, _ parts: [String]) {
    temporaries.remove(key(parts))
    inodes[id]?.isNamed = false
    sweep(id)
  }

  /// A writer is gone without commit or discard: its temporary file stays.
  mutating func release(_ id: UInt64, _ token: UInt64) {
    if inodes[id]?.writer == token { inodes[id]?.writer = nil }
  }

  mutating func crash() {
    var all: [(path: [UInt8], id: UInt64)] = []
    temporaries.scan(from: []) { path, id in
      all.append((path, id))
      return true
    }
    for (path, id) in all {
      guard var inode = inodes[id] else { continue }
      used -= inode.charge
      inodes[id] = nil
      temporaries.remove(path)
      guard let synced = inode.synced else { continue }
      inode.content = synced
      inode.writer = nil
      inodes[id] = inode
      temporaries.set(path, id)
      used += inode.charge
    }
  }

  mutating func makeDirectory(_ parts: [String]) throws(FileError) {
    for length in 0..<parts.count {
      let here = Array(parts[...length])
      if case .file? = entries[key(here)] {
        throw FileError(.notRegular, "\(text(here)): a file is there, not a directory")
      }
      entries.set(key(here), .directory)
    }
  }

  mutating func remove(_ parts: [String]) throws(FileError) {
    guard !isDirectory(parts) else {
      throw FileError(.notRegular, "\(text(parts)): a directory; only files are removed")
    }
    guard case .file(let id)? = entries.remove(key(parts)) else { return }
    inodes[id]?.isNamed = false
    sweep(id)
  }

  mutating func place(_ parts: [String], _ content: [UInt8]) {
    for length in 0..<max(0, parts.count - 1) { entries.set(key(Array(parts[...length])), .directory) }
    var id = number()
    if case .file(let there)? = entries[key(parts)] { id = there }
    var inode = inodes[id] ?? SimInode(id: id)
    used += content.count - (inodes[id]?.charge ?? 0)
    inode.content = content
    inode.changes += 1
    inodes[id] = inode
    entries.set(key(parts), .file(id))
  }

  private func full(_ parts: [String], _ needed: Int) -> FileError {
    FileError(.full, "\(text(parts)): needs \(needed) bytes, but only \(max(0, capacity - used)) are free")
  }
}

extension SimInode {
  /// Lays bytes over the content, which grows as it must (with zeros in a gap).
  mutating func put(_ bytes: [UInt8], at start: Int) {
    let end = start + bytes.count
    if start == content.count {
      content += bytes
    } else {
      if content.count < end { content += [UInt8](repeating: 0, count: end - content.count) }
      content.replaceSubrange(start..<end, with: bytes)
    }
    changes += 1
  }
}

/// The bytes of a path, for keys: equal exactly when the system would say so (strings compare more loosely).
private func key(_ parts: [String]) -> [UInt8] {
  var bytes: [UInt8] = []
  for part in parts {
    bytes.append(UInt8(ascii: "/"))
    bytes += part.utf8
  }
  return bytes
}

private func text(_ parts: [String]) -> String { "/" + parts.joined(separator: "/") }

private func notFound(_ parts: [String]) -> FileError { FileError(.notFound, "\(text(parts)): not found") }

private func exists(_ parts: [String]) -> FileError {
  FileError(.exists, "\(text(parts)): a file of this name is there already")
}
