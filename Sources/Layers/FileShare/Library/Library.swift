// Library: all that FileShare knows of what is shared, and what is kept of it in storage.
import PeersterVocabulary
import StackCore

/// A file or a folder that the person who runs the node has shared.
struct Share {
  var id: Int32
  /// Where it is, absolute, and its last part.
  var path: String
  var name: String
  var isFolder: Bool
  /// Whether it comes from the settings; then it isn't kept, and can't be taken back.
  var isSetting = false
  /// Whether it is none of the person's, but holds single files wherever they are: only these are looked after, and
  /// nothing is looked for beside them. Its folders' paths begin with `own` or `abs`.
  var isKept = false
  /// The layer's access to it: below it, for a folder, so that no link leads out.
  var files: any LayerFiles
  var watch: (any FolderWatch)?
  /// Scans and files that are not done yet.
  var pending = 0
  /// What was found to be hashed since nothing was pending, and what of it is done.
  var bytes: Int64 = 0
  var bytesDone: Int64 = 0
  var filesDone = 0
  var skipped: [SkipReason: Int] = [:]

  /// Where a file or a folder in it is, for `files`.
  func place(_ folder: String, _ name: String? = nil) -> String {
    guard isFolder else { return path }
    if isKept { return Self.keptPlace(folder, name) }
    guard let name else { return folder }
    return folder.isEmpty ? name : folder + "/" + name
  }

  /// What others see of where a file is.
  func shownPath(_ folder: String, _ file: String) -> String {
    guard isFolder, !isKept else { return file }
    return name + "/" + (folder.isEmpty ? "" : folder + "/") + file
  }
}

/// A share as it is kept.
struct StoredShare: WireMessage {
  var path = ""
  var isFolder = false

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "path", &path)
    try field(2, "isFolder", &isFolder)
  }
}

/// A file as it is kept.
struct StoredFile: WireMessage {
  var share: UInt32 = 0
  var folder = ""
  var name = ""
  var size: UInt64 = 0
  var stamp = Fixed64(0)
  var chunkSize: UInt32 = 0
  var root = Hash256()

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "share", &share)
    try field(2, "folder", &folder)
    try field(3, "name", &name)
    try field(4, "size", &size)
    try field(5, "stamp", &stamp)
    try field(6, "chunkSize", &chunkSize)
    try field(7, "root", &root)
  }
}

/// What is kept: under 1 and a number a file, under 2 and the same number the hashes of its tree where they are few,
/// under 3 and a number a share. The hashes of a larger tree are in a file of the layer's own folder.
struct LibraryStore {
  let storage: any LayerStorage
  static let (file, tree, share): (UInt8, UInt8, UInt8) = (1, 2, 3)

  static func key(_ kind: UInt8, _ number: UInt32) -> [UInt8] {
    [kind] + stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> UInt32($0)) }
  }
  static func number(_ key: [UInt8]) -> UInt32 { key.dropFirst().reduce(0) { $0 << 8 | UInt32($1) } }
  /// Where the tree of a file is kept when it is large.
  static func treePath(_ number: UInt32) -> String { "trees/\(number)" }

  func scan(_ kind: UInt8, _ body: (UInt32, [UInt8]) -> Void) throws(StorageError) {
    try storage.scan(from: [kind], upTo: [kind + 1], reversed: false, limit: .max) { key, value in
      body(Self.number(key), value)
      return true
    }
  }
}

/// The state of sharing.
struct Library {
  var index = SharedIndex()
  var pieces: HashIndex
  /// Pieces whose hashes stand in a node that was given out lately, of files too large for the index.
  var recent = HashIndex(limit: 65_536)
  /// How many pieces in the index are of files that are gone.
  var stalePieces = 0
  /// How many files' pieces didn't fit.
  var unindexed = 0
  /// In the order of their IDs: there may be a thousand, and each file looks for its own.
  var shares: [Share] = []
  var nextShare: Int32 = 1
  var nextNumber: UInt32 = 1
  /// When it was last told that files have changed; nil once somebody has looked what.
  var changesToldAt: Instant?
  /// How many files of one root are tried, should the first be gone.
  static let mostTried = 16

  /// Folders that wait to be looked through, with whether all below them are too.
  var scans: [(key: FolderKey, isFull: Bool)] = []
  var scansHead = 0
  var queued: Set<FolderKey> = []
  var scansRunning = 0
  /// Files that wait to be hashed.
  var works: [HashWork] = []
  var worksHead = 0
  /// Names under way, so that a later look doesn't have them hashed twice.
  var large: [LargeHashing] = []
  var hashJobs = 0
  /// Open files, the last used last.
  var open: [(number: UInt32, source: FileSource)] = []
  var serving = 0

  init(limit: Int) { pieces = HashIndex(limit: limit) }

  /// The shares of files that were fetched, and of lists of folders.
  static let (fetched, lists): (Int32, Int32) = (.max, .max - 1)

  func share(_ id: Int32) -> Share? { sharePlace(id).map { shares[$0] } }

  func sharePlace(_ id: Int32) -> Int? {
    let place = place(for: id)
    return place < shares.count && shares[place].id == id ? place : nil
  }

  mutating func add(_ share: Share) { shares.insert(share, at: place(for: share.id)) }

  /// How many shares have smaller IDs.
  private func place(for id: Int32) -> Int {
    var (low, high) = (0, shares.count)
    while low < high {
      let middle = (low + high) / 2
      if shares[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Whether anything is being looked through or hashed.
  var isBusy: Bool { shares.contains { $0.pending > 0 } }

  /// A file as other layers see it.
  func held(_ file: SharedFile, _ folder: SharedFolder) -> HeldFile {
    let share = share(folder.key.share)
    return HeldFile(
      name: file.name, path: share?.shownPath(folder.key.path, file.name) ?? file.name, size: file.size,
      chunkSize: Int(file.chunkSize), root: file.root)
  }
}
