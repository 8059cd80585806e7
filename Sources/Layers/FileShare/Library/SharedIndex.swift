// SharedIndex: the files that are shared, folder by folder and by their roots, as a value without any input or output.
import StackCore

/// A folder within a share; the empty path is the share itself.
struct FolderKey: Hashable, Comparable, Sendable {
  var share: Int32
  var path: String

  static func < (left: FolderKey, right: FolderKey) -> Bool {
    if left.share != right.share { return left.share < right.share }
    return precedes(left.path, right.path)
  }
}

/// Whether a text comes before another in the order of their bytes, in which disks list names.
func precedes(_ left: String, _ right: String) -> Bool { left.utf8.lexicographicallyPrecedes(right.utf8) }

/// A shared file.
struct SharedFile: Sendable, Hashable {
  /// Which folder it is in, by number, and its name there.
  var folder: Int32
  var name: String
  var size: Int64
  /// What it looked like when it was hashed.
  var stamp: UInt64
  var chunkSize: Int32
  /// Under this its tree is kept; never given to another file.
  var number: UInt32
  var root: Hash256
  /// The next file of the same root, and the one before.
  fileprivate(set) var nextAlike: Int32 = -1
  fileprivate var previousAlike: Int32 = -1

  init(folder: Int32, name: String, size: Int64, stamp: UInt64, chunkSize: Int, number: UInt32, root: Hash256) {
    self.folder = folder
    self.name = name
    self.size = size
    self.stamp = stamp
    self.chunkSize = Int32(chunkSize)
    self.number = number
    self.root = root
  }
}

/// A folder's files and folders, in the order of their names' bytes.
struct SharedFolder: Sendable {
  var key: FolderKey
  fileprivate(set) var files: [Int32] = []
  fileprivate(set) var folders: [String] = []
}

/// All files that are shared, each at a place that it keeps.
struct SharedIndex {
  private(set) var files: [SharedFile?] = []
  private var freeFiles: [Int32] = []
  private(set) var folders: [SharedFolder?] = []
  private var freeFolders: [Int32] = []
  /// Only looked up, never gone through.
  private var folderPlaces: [FolderKey: Int32] = [:]
  private var byRoot: [Hash256: Int32] = [:]
  private var byNumber: [UInt32: Int32] = [:]
  private(set) var count = 0
  private(set) var bytes: Int64 = 0
  /// Which places have changed, and how often anything has.
  private(set) var changes = ChangeFeed()

  subscript(place: Int32) -> SharedFile? {
    files.indices.contains(Int(place)) ? files[Int(place)] : nil
  }
  func folder(_ place: Int32) -> SharedFolder? {
    folders.indices.contains(Int(place)) ? folders[Int(place)] : nil
  }
  func folder(_ key: FolderKey) -> SharedFolder? { folderPlaces[key].flatMap { folder($0) } }
  func folderPlace(_ key: FolderKey) -> Int32? { folderPlaces[key] }

  /// A file by its number.
  func place(number: UInt32) -> Int32? { byNumber[number] }
  /// A file of a root, the first that came.
  func place(root: Hash256) -> Int32? { byRoot[root] }
  /// The files of a root, at most so many: there may be any number of empty ones.
  func places(root: Hash256, limit: Int = .max) -> [Int32] {
    var found: [Int32] = []
    var next = byRoot[root] ?? -1
    while found.count < limit, next >= 0, let file = self[next] {
      found.append(next)
      next = file.nextAlike
    }
    return found
  }

  /// Where in a folder a name stands, or would stand.
  private func search(_ name: String, in folder: SharedFolder) -> (place: Int, isThere: Bool) {
    var (low, high) = (0, folder.files.count)
    // Listings come in order: most names go to the end.
    if let last = folder.files.last, let file = self[last], precedes(file.name, name) { return (high, false) }
    while low < high {
      let middle = (low + high) / 2
      if precedes(self[folder.files[middle]]?.name ?? "", name) { low = middle + 1 } else { high = middle }
    }
    // By bytes: texts compare equal that a disk keeps apart.
    let isThere = low < folder.files.count && self[folder.files[low]]?.name.utf8.elementsEqual(name.utf8) == true
    return (low, isThere)
  }

  /// A file by its folder and its name.
  func place(of name: String, in key: FolderKey) -> Int32? {
    guard let folder = folder(key) else { return nil }
    let (place, isThere) = search(name, in: folder)
    return isThere ? folder.files[place] : nil
  }

  /// Makes a folder known, with those above it; answers its place.
  @discardableResult mutating func addFolder(_ key: FolderKey) -> Int32 {
    if let place = folderPlaces[key] { return place }
    let place: Int32
    if let free = freeFolders.popLast() {
      place = free
      folders[Int(free)] = SharedFolder(key: key)
    } else {
      place = Int32(folders.count)
      folders.append(SharedFolder(key: key))
    }
    folderPlaces[key] = place
    guard !key.path.isEmpty else { return place }
    let (above, name) = split(key.path)
    let parent = Int(addFolder(FolderKey(share: key.share, path: above)))
    let names = folders[parent]?.folders ?? []
    folders[parent]?.folders.insert(name, at: names.firstIndex { precedes(name, $0) } ?? names.count)
    return place
  }

  /// Adds a file, in place of one of the same name.
  @discardableResult mutating func add(_ file: SharedFile) -> Int32? {
    guard let folder = folder(file.folder) else { return nil }
    var (at, isThere) = search(file.name, in: folder)
    if isThere {
      remove(folder.files[at])
      (at, isThere) = search(file.name, in: self.folder(file.folder) ?? folder)
    }
    let place: Int32
    if let free = freeFiles.popLast() {
      place = free
    } else {
      place = Int32(files.count)
      files.append(nil)
    }
    var file = file
    (file.nextAlike, file.previousAlike) = (-1, -1)
    if let first = byRoot[file.root] {
      (file.nextAlike, file.previousAlike) = (files[Int(first)]?.nextAlike ?? -1, first)
      files[Int(first)]?.nextAlike = place
      if file.nextAlike >= 0 { files[Int(file.nextAlike)]?.previousAlike = place }
    } else {
      byRoot[file.root] = place
    }
    files[Int(place)] = file
    byNumber[file.number] = place
    folders[Int(file.folder)]?.files.insert(place, at: at)
    count += 1
    bytes += file.size
    changes.note(place)
    return place
  }

  /// Removes a file; its place may be given to another.
  mutating func remove(_ place: Int32) {
    guard let file = self[place] else { return }
    if let folder = folder(file.folder) {
      let (at, isThere) = search(file.name, in: folder)
      if isThere { folders[Int(file.folder)]?.files.remove(at: at) }
    }
    if file.previousAlike >= 0 {
      files[Int(file.previousAlike)]?.nextAlike = file.nextAlike
    } else {
      byRoot[file.root] = file.nextAlike >= 0 ? file.nextAlike : nil
    }
    if file.nextAlike >= 0 { files[Int(file.nextAlike)]?.previousAlike = file.previousAlike }
    files[Int(place)] = nil
    byNumber[file.number] = nil
    freeFiles.append(place)
    count -= 1
    bytes -= file.size
    changes.note(place)
  }

  /// Notes a file's new stamp: it was touched, and its content is the same.
  mutating func touch(_ place: Int32, stamp: UInt64) { files[Int(place)]?.stamp = stamp }

  /// A folder and all below it, from the lowest up.
  func subtree(_ key: FolderKey) -> [FolderKey] {
    var found: [FolderKey] = []
    var next = [key]
    while let here = next.popLast() {
      found.append(here)
      for name in folder(here)?.folders ?? [] {
        next.append(FolderKey(share: key.share, path: here.path.isEmpty ? name : here.path + "/" + name))
      }
    }
    return found.reversed()
  }

  /// Forgets a folder that holds nothing any more.
  mutating func removeFolder(_ key: FolderKey) {
    guard let place = folderPlaces[key], let folder = folder(place), folder.files.isEmpty, folder.folders.isEmpty
    else { return }
    folderPlaces[key] = nil
    folders[Int(place)] = nil
    freeFolders.append(place)
    guard !key.path.isEmpty else { return }
    let (above, name) = split(key.path)
    guard let parent = folderPlaces[FolderKey(share: key.share, path: above)] else { return }
    folders[Int(parent)]?.folders.removeAll { $0.utf8.elementsEqual(name.utf8) }
  }

  /// A path as the folder above and the last part.
  private func split(_ path: String) -> (above: String, name: String) {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return ("", path) }
    return (String(path[..<slash]), String(path[path.utf8.index(after: slash)...]))
  }

  /// Calls `body` for each file, folder by folder, until it answers false.
  func forEach(_ body: (Int32, SharedFile, SharedFolder) -> Bool) {
    for folder in folders {
      guard let folder else { continue }
      for place in folder.files {
        guard let file = self[place] else { continue }
        if !body(place, file, folder) { return }
      }
    }
  }
}
