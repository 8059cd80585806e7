// LocalFiles: the index of our own files, which follows their changes a slice at a time.
import PeersterVocabulary
import StackCore

/// Our own files, as far as the index has followed them.
struct LocalFiles {
  private var index = FileIndex()
  /// Up to which change the index is.
  private(set) var revision: UInt64 = 0
  /// Files on their way, at which revision of theirs: few enough to be taken up anew each time.
  private var arriving = FileIndex()
  private var arrivingRevision: UInt64?
  /// How many files there may be, and whether some were left out.
  let limit: Int
  private(set) var isShort = false

  /// How many changes are taken up at a time, and after how many bytes of paths no further one is: a few milliseconds.
  static let slice = 1_000
  static let sliceBytes = 1 << 18

  init(limit: Int) { self.limit = limit }

  var count: Int { index.count + arriving.count }
  var scanBytes: Int { index.scanBytes + arriving.scanBytes }
  var memoryBytes: Int { index.memoryBytes + arriving.memoryBytes }

  /// Whether there are changes that the index doesn't know of yet.
  func isBehind(_ files: any FilesService) -> Bool { revision != files.revision }

  /// Takes up what has changed, at most a slice of it.
  mutating func follow(_ files: any FilesService, slice: Int = slice) {
    if files.arrivingRevision != arrivingRevision {
      arrivingRevision = files.arrivingRevision
      arriving = FileIndex()
      for (place, file) in files.arriving.enumerated() { arriving.put(file, at: place) }
    }
    guard isBehind(files) else { return }
    var (changes, bytes, isAll, hasRoom) = (0, 0, true, false)
    files.forEachChange(after: revision) { change in
      if changes >= slice || bytes >= Self.sliceBytes {
        isAll = false
        return false
      }
      revision = change.revision
      changes += 1
      if let file = change.file {
        bytes += file.path.utf8.count
        if index.count < limit || index.holds(change.place) {
          index.put(file, at: change.place)
        } else {
          isShort = true
        }
      } else {
        index.remove(at: change.place)
        // What was left out comes in once there is some room: then all are gone through again.
        if isShort, index.count <= limit - max(1, limit / 16) { hasRoom = true }
      }
      return true
    }
    if isAll { revision = files.revision }
    if hasRoom { (revision, isShort) = (0, false) }
  }

  /// The files that a query means, each root once, at most so many, in the order of their paths. What is not in the
  /// index yet is missing; but what has gone, or been renamed, since is not in the answer.
  func find(_ query: Query, most: Int, _ files: any FilesService) -> [HeldFile] {
    var found: [HeldFile] = []
    var seen: Set<Hash256> = []
    let isBehind = isBehind(files)
    index.search(query) { hit in
      guard !seen.contains(hit.root), let file = files.file(at: hit.place), !isBehind || query.matches(file) else {
        return true
      }
      if seen.insert(file.root).inserted { found.append(file) }
      return found.count < most
    }
    if found.count < most, arriving.count > 0 {
      arriving.search(query) { hit in
        // Of some, nothing is here yet.
        guard !seen.contains(hit.root), let file = files.file(root: hit.root), !file.held.isEmpty, query.matches(file)
        else { return true }
        seen.insert(hit.root)
        found.append(file)
        return found.count < most
      }
    }
    found.sort { $0.path < $1.path }
    return found
  }
}

extension Query {
  /// Whether a file of ours is meant.
  fileprivate func matches(_ file: HeldFile) -> Bool {
    let folded = FoldedName(name: Array(file.name.utf8), path: Array(file.path.utf8))
    return matches(folded, size: file.size...file.size, root: file.root)
  }
}
