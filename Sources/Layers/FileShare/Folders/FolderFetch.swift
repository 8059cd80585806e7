// FolderFetch: a folder that is being fetched: what is known of what is in it, and how much of that is here.
import PeersterVocabulary
import StackCore

/// A folder being fetched: its lists from the top down, and then its files, a few at a time.
final class FolderFetch {
  /// A file, or the list of a folder, and where in the fetched folder it belongs.
  struct Part {
    var path: String
    var file: FileDescriptor
    var depth: Int
  }

  let folder: FolderDescriptor
  /// Where the new folder is: an absolute path that a person gave, or one below the layer's own folder.
  let target: String
  /// As the command said.
  let from: String
  let rate: Int64
  let isReplacing: Bool

  var state = DownloadState.fetching
  var note: String?
  /// Lists that aren't read yet, and files that aren't begun yet from `next` on.
  var lists: [Part]
  var files: [Part] = []
  var next = 0
  /// Files that are being fetched, and those of which a job looks whether they are there.
  var running: [Part] = []
  var checking = 0
  /// Whether a list is being read.
  var isReading = false
  /// Lists that were asked for: those that are not there although they were fetched can't be had.
  var asked: Set<Hash256> = []
  var filesDone = 0
  var bytesDone: Int64 = 0
  var total: Int64 = 0
  private var entries = 0
  private var pathBytes = 0
  /// Grows when it is stopped, so that jobs of before are known for old.
  var era = 0
  var watchers: [CommandCall<DownloadProgress, DownloadProgress>] = []
  var toldAt: Instant

  /// The most files and folders in a fetched folder, all levels together, and the bytes of their paths.
  static let mostEntries = 100_000
  static let mostPathBytes = 16 << 20
  static let longestPath = 2_000

  init(_ folder: FolderDescriptor, target: String, from: String, rate: Int64, isReplacing: Bool, at now: Instant) {
    self.folder = folder
    self.target = target
    self.from = from
    self.rate = rate
    self.isReplacing = isReplacing
    lists = [Part(path: "", file: folder.list, depth: 0)]
    toldAt = now
  }

  var root: Hash256 { folder.list.root }
  var name: String { folder.list.safeName.text }

  /// Where a part is on disk, or will be.
  func place(_ part: Part) -> String { part.path.isEmpty ? target : target + "/" + part.path }

  /// Begins anew; what is on disk is found again.
  func restart() {
    era += 1
    lists = [Part(path: "", file: folder.list, depth: 0)]
    (files, running, asked) = ([], [], [])
    (next, checking, filesDone, entries, pathBytes) = (0, 0, 0, 0, 0)
    (bytesDone, total) = (0, 0)
    isReading = false
    note = nil
  }

  /// Takes what is in one of the folders; says why not where that would go beyond what is believed of a folder.
  func take(_ list: FolderList, of part: Part) -> String? {
    entries += list.entries.count
    guard entries <= Self.mostEntries else { return "the folder has more than \(Self.mostEntries) files and folders" }
    for entry in list.entries {
      guard let file = entry.descriptor else { return "a size in the folder can't be" }
      let path = part.path.isEmpty ? entry.name : part.path + "/" + entry.name
      pathBytes += path.utf8.count
      guard path.utf8.count <= Self.longestPath, pathBytes <= Self.mostPathBytes, part.depth < SafePath.deepest else {
        return "the folder goes too deep, or its names are too long"
      }
      let found = Part(path: path, file: file, depth: part.depth + 1)
      guard !entry.isFolder else {
        lists.append(found)
        continue
      }
      total += file.size
      guard total <= TreeShape.largestSize else { return "the folder claims to have more than any disk" }
      files.append(found)
    }
    return nil
  }

  /// How far it is; `under` are the downloads of its files.
  func progress(_ under: [Download]) -> DownloadProgress {
    let bytes = bytesDone + under.reduce(0) { $0 + $1.bytes }
    let speed = under.reduce(0) { $0 + $1.rate.bytesPerSecond }
    let isKnown = lists.isEmpty
    return DownloadProgress(
      root: root, name: name, state: state, size: isKnown ? total : nil, bytes: bytes, rate: Int64(speed),
      secondsLeft: isKnown && speed > 1 ? (Double(total - bytes) / speed * 10).rounded() / 10 : nil,
      holders: under.map { $0.holders.count { $0.state == .ready } }.max() ?? 0,
      wasted: under.reduce(0) { $0 + $1.wasted }, note: note ?? (isKnown ? "\(filesDone) of \(files.count) files" : nil)
    )
  }
}

/// A folder being fetched, as it is kept.
struct StoredFolder: WireMessage, Hashable {
  var link = ""
  var target = ""
  var from = ""
  var rate: UInt64 = 0
  var isReplacing = false
  var isPaused = false

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "link", &link)
    try field(2, "target", &target)
    try field(3, "from", &from)
    try field(4, "rate", &rate)
    try field(5, "isReplacing", &isReplacing)
    try field(6, "isPaused", &isPaused)
  }

  static let prefix = Array("folder.".utf8)
  static func key(_ root: Hash256) -> [UInt8] { prefix + root.bytes }
}
