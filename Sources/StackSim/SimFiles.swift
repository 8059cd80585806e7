// SimFiles: what a layer of a simulated node sees of its disk: files read, written and watched.
import StackCore
import Synchronization

/// A layer's files on a `SimDisk`. The same promises and errors as on a real disk, but for links, which it hasn't.
public final class SimFiles: LayerFiles {
  private let disk: SimDisk
  private let root: String

  init(disk: SimDisk, root: String) {
    self.disk = disk
    self.root = root
  }

  public func below(_ folder: String) -> any LayerFiles { SimFiles(disk: disk, root: resolve(folder)) }

  public func resolve(_ path: String) -> String {
    if path.utf8.first == UInt8(ascii: "/") { return path }
    return path.isEmpty ? root : root + "/" + path
  }

  public func facts(_ path: String) throws(FileError) -> FileFacts {
    let parts = try parts(path)
    return try disk.state.withLock { (state) throws(FileError) in try state.facts(parts) }
  }

  public func list(_ path: String, limit: Int) throws(FileError) -> [FileFacts] {
    let parts = try parts(path)
    return try disk.state.withLock { (state) throws(FileError) in try state.list(parts, limit: limit) }
  }

  public func open(_ path: String) throws(FileError) -> any ReadableFile {
    let parts = try parts(path)
    let id = try disk.state.withLock { (state) throws(FileError) in try state.open(parts) }
    return SimReadable(disk: disk, name: parts.last ?? "", id: id)
  }

  public func create(_ path: String, reserving: Int64, resuming: Bool) throws(FileError) -> any WritableFile {
    let name = try CheckedPath(path).fileName()
    let parts = try parts(path)
    let isRelative = try !CheckedPath(path).isAbsolute
    let folder = isRelative ? try CheckedPath(root).parts : []
    let writer = try disk.state.withLock { (state) throws(FileError) in
      if isRelative { try state.makeDirectory(folder) }
      return try state.create(parts, reserving: reserving, resuming: resuming)
    }
    return SimWritable(disk: disk, parts: parts, name: name, id: writer.id, token: writer.token)
  }

  public func makeDirectory(_ path: String) throws(FileError) {
    let parts = try parts(path)
    try disk.state.withLock { (state) throws(FileError) in try state.makeDirectory(parts) }
  }

  public func remove(_ path: String) throws(FileError) {
    let parts = try parts(path)
    try disk.state.withLock { (state) throws(FileError) in try state.remove(parts) }
  }

  public func watch() -> (any FolderWatch)? { SimWatch(self) }

  /// The parts of the absolute path that a path means.
  private func parts(_ path: String) throws(FileError) -> [String] {
    let checked = try CheckedPath(path)
    return checked.isAbsolute ? checked.parts : try CheckedPath(root).parts + checked.parts
  }
}

/// A watch over simulated folders: it remembers what was in them.
private final class SimWatch: FolderWatch {
  private let files: SimFiles
  private let known = Mutex<[(path: String, entries: [FileFacts])]>([])

  init(_ files: SimFiles) { self.files = files }

  func add(_ path: String) -> Bool {
    guard let entries = try? files.list(path, limit: .max) else { return false }
    known.withLock { known in
      known.removeAll { $0.path == path }
      known.append((path, entries))
    }
    return true
  }

  func changes() -> [String]? {
    known.withLock { known in
      var changed: [String] = []
      for place in known.indices.reversed() {
        let entries = try? files.list(known[place].path, limit: .max)
        if entries == known[place].entries { continue }
        changed.append(known[place].path)
        if let entries { known[place].entries = entries } else { known.remove(at: place) }
      }
      return changed.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
  }
}

/// A file open for reading.
private final class SimReadable: ReadableFile {
  private let disk: SimDisk
  private let name: String
  private let id: UInt64

  init(disk: SimDisk, name: String, id: UInt64) {
    self.disk = disk
    self.name = name
    self.id = id
  }

  deinit { disk.state.withLock { $0.close(id) } }

  func facts() throws(FileError) -> FileFacts {
    let inode = try disk.state.withLock { (state) throws(FileError) in try state.inode(id, name) }
    return inode.facts(name)
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
    let inode = try disk.state.withLock { (state) throws(FileError) in try state.inode(id, name) }
    return try inode.read(into: buffer, at: offset, name)
  }

  func readNow(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int? {
    if disk.isCold, (offset >> 16) % 2 != 0 { return nil }
    return try read(into: buffer, at: offset)
  }
}

/// A file being written. A crash of the disk ends its right to write, which its token stands for.
private final class SimWritable: WritableFile {
  private let disk: SimDisk
  private let parts: [String]
  private let name: String
  private let id: UInt64
  private let token: UInt64

  init(disk: SimDisk, parts: [String], name: String, id: UInt64, token: UInt64) {
    self.disk = disk
    self.parts = parts
    self.name = name
    self.id = id
    self.token = token
  }

  deinit { disk.state.withLock { $0.release(id, token) } }

  func facts() throws(FileError) -> FileFacts { try current().facts(name) }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FileError) {
    let added = [UInt8](bytes)
    try disk.state.withLock { (state) throws(FileError) in
      try state.checkWriter(id, token, name)
      try state.write(id, added, at: offset, name)
    }
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
    try current().read(into: buffer, at: offset, name)
  }

  func sync() throws(FileError) {
    try disk.state.withLock { (state) throws(FileError) in
      try state.checkWriter(id, token, name)
      state.sync(id)
    }
  }

  func commit(replacing: Bool) throws(FileError) {
    try disk.state.withLock { (state) throws(FileError) in
      try state.checkWriter(id, token, name)
      try state.commit(id, parts, replacing: replacing)
    }
  }

  func discard() {
    disk.state.withLock { state in
      guard state.inodes[id]?.writer == token else { return }
      state.discard(id, parts)
    }
  }

  private func current() throws(FileError) -> SimInode {
    try disk.state.withLock { (state) throws(FileError) in
      try state.checkWriter(id, token, name)
      return try state.inode(id, name)
    }
  }
}
