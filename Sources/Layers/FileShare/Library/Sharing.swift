// Sharing: what is shared is looked through, folder by folder, and what has changed is hashed.
import PeersterVocabulary
import StackCore

extension FileShare {
  /// How many jobs of sharing run at a time: enough for all cores, few enough that their buffers stay small.
  static let mostJobs = 16
  /// While so many files wait to be hashed, no further folder is looked through.
  static let enoughWorks = 20_000

  // MARK: Starting

  /// Takes up what was shared in the last run.
  func startSharing(_ context: borrowing LayerContext<FileShare>) {
    library.pieces = HashIndex(limit: config.pieces, salt: context.unguessable())
    for id in [Library.fetched, Library.lists] {
      library.add(
        Share(id: id, path: "", name: "", isFolder: true, isKept: true, files: context.files, watch: nil))
    }
    do { try load(context) } catch { context.log(.error, "what is shared: \(error)") }
    if !config.shared.isEmpty {
      let path = context.files.resolve(config.shared)
      if !config.shared.utf8.starts(with: "/".utf8) { try? context.files.makeDirectory(config.shared) }
      // Its number is a constant one, so that its files are known again.
      addShare(id: 0, path, isFolder: true, isSetting: true, context)
    }
    for share in library.shares { scan(FolderKey(share: share.id, path: ""), isFull: true) }
    pump(context)
  }

  private func load(_ context: borrowing LayerContext<FileShare>) throws {
    let store = LibraryStore(storage: context.storage)
    var shares: [(UInt32, StoredShare)] = []
    try store.scan(LibraryStore.share) { number, bytes in
      if let share = try? StoredShare(decoding: bytes) { shares.append((number, share)) }
    }
    for (number, share) in shares {
      library.nextShare = max(library.nextShare, Int32(number) + 1)
      addShare(id: Int32(number), share.path, isFolder: share.isFolder, isSetting: false, context)
    }
    var lost: [UInt32] = []
    try store.scan(LibraryStore.file) { number, bytes in
      library.nextNumber = max(library.nextNumber, number + 1)
      let isOfSetting: Bool
      guard let file = try? StoredFile(decoding: bytes) else { return lost.append(number) }
      isOfSetting = file.share == 0 && !config.shared.isEmpty
      guard isOfSetting || library.share(Int32(clamping: file.share)) != nil,
        TreeShape(size: Int64(clamping: file.size), chunkSize: Int(file.chunkSize)) != nil
      else { return lost.append(number) }
      let folder = library.index.addFolder(FolderKey(share: Int32(clamping: file.share), path: file.folder))
      library.index.add(
        SharedFile(
          folder: folder, name: file.name, size: Int64(file.size), stamp: file.stamp.value,
          chunkSize: Int(file.chunkSize), number: number, root: file.root))
    }
    for number in lost { try forget(number, context) }
    var large: [UInt32] = []
    library.index.forEach { _, file, _ in
      if TreeShape(size: file.size, chunkSize: Int(file.chunkSize))?.isLarge == true { large.append(file.number) }
      return true
    }
    try store.scan(LibraryStore.tree) { number, hashes in indexPieces(number, hashes) }
    for number in large { indexLarge(number, context) }
  }

  func addShare(
    id: Int32, _ path: String, isFolder: Bool, isSetting: Bool, _ context: borrowing LayerContext<FileShare>
  ) {
    let files = isFolder ? context.files.below(path) : context.files
    let name = (try? CheckedPath(path))?.parts.last ?? "shared"
    let watch = isFolder ? files.watch() : nil
    library.add(
      Share(id: id, path: path, name: name, isFolder: isFolder, isSetting: isSetting, files: files, watch: watch))
    if watch != nil, !context.isArmed(.watch) { context.arm(.watch, after: Self.watchInterval) }
  }

  /// How often the watches are asked.
  static let watchInterval = Duration.seconds(1)

  /// Looks through everything anew, unless that is still going on.
  func rescan(_ context: borrowing LayerContext<FileShare>) {
    for share in library.shares where share.pending == 0 { scan(FolderKey(share: share.id, path: ""), isFull: true) }
    pump(context)
  }

  /// Looks through what the watches tell of.
  func askWatches(_ context: borrowing LayerContext<FileShare>) {
    var isWatching = false
    for share in library.shares {
      guard let watch = share.watch else { continue }
      isWatching = true
      if let changed = watch.changes() {
        for path in changed { scan(FolderKey(share: share.id, path: path), isFull: false) }
      } else if share.pending == 0 {
        scan(FolderKey(share: share.id, path: ""), isFull: true)
      }
    }
    if isWatching { context.arm(.watch, after: Self.watchInterval) }
    pump(context)
  }

  // MARK: Looking through

  func scan(_ key: FolderKey, isFull: Bool) {
    guard let share = library.sharePlace(key.share), library.queued.insert(key).inserted else { return }
    library.shares[share].pending += 1
    library.scans.append((key, isFull))
  }

  /// Starts as much of what waits as may run.
  func pump(_ context: borrowing LayerContext<FileShare>) {
    while library.scansRunning < 2, library.scansHead < library.scans.count,
      library.works.count - library.worksHead < Self.enoughWorks
    {
      let next = library.scans[library.scansHead]
      guard startScan(next.key, isFull: next.isFull, context) else { return retryLater(context) }
      library.scansHead += 1
      if library.scansHead == library.scans.count || library.scansHead > 4_096 {
        library.scans.removeFirst(library.scansHead)
        library.scansHead = 0
      }
    }
    while library.hashJobs < Self.mostJobs {
      guard let hasStarted = startHashing(context) else { return }
      if !hasStarted { return retryLater(context) }
    }
  }

  /// Too many jobs of other layers are under way.
  private func retryLater(_ context: borrowing LayerContext<FileShare>) {
    if !context.isArmed(.pump) { context.arm(.pump, after: .milliseconds(50)) }
  }

  private func startScan(_ key: FolderKey, isFull: Bool, _ context: borrowing LayerContext<FileShare>) -> Bool {
    guard let share = library.share(key.share) else {
      library.queued.remove(key)
      return true
    }
    let known = (library.index.folder(key)?.files ?? []).compactMap { place in
      library.index[place].map { KnownFile(name: $0.name, size: $0.size, stamp: $0.stamp) }
    }
    let question = FolderScan.Question(
      key: key, files: share.files, path: share.place(key.path), only: share.isFolder ? nil : share.name, known: known,
      limit: max(1, config.files - library.index.count + known.count + 1), isKept: share.isKept,
      folders: share.isKept ? library.index.folder(key)?.folders ?? [] : [])
    let watch = share.watch
    let hasStarted = context.offload { () -> FolderScan in
      // Watched before it is looked through: what changes in between is seen by one or the other.
      _ = watch?.add(key.path)
      return FolderScan(question)
    } then: { layer in
      { scan, context in layer.scanned(scan, isFull: isFull, context) }
    }
    if hasStarted { library.scansRunning += 1 }
    return hasStarted
  }

  private func scanned(_ scan: FolderScan, isFull: Bool, _ context: borrowing LayerContext<FileShare>) {
    library.scansRunning -= 1
    library.queued.remove(scan.key)
    defer {
      settled(scan.key.share, context)
      pump(context)
    }
    guard let place = library.sharePlace(scan.key.share) else { return }
    for reason in SkipReason.allCases {
      guard let count = scan.skipped[reason] else { continue }
      skip(reason, count, place)
    }
    if let trouble = scan.trouble {
      skip(.unreadable, 1, place)
      context.log(.warning, trouble.message)
      return
    }
    if scan.isGone { return removeFolder(scan.key, context) }
    library.index.addFolder(scan.key)
    for name in scan.gone {
      if let file = library.index.place(of: name, in: scan.key) { remove(file, context) }
    }
    lookBelow(scan, isFull: isFull, place, context)
    let share = library.shares[place]
    if share.isKept, !scan.key.path.isEmpty { library.index.removeFolder(scan.key) }
    for file in scan.changed {
      guard library.index.count + library.works.count - library.worksHead < config.files else {
        skip(.tooMany, 1, place)
        continue
      }
      library.works.append(
        HashWork(
          folder: scan.key, name: file.name, files: share.files, path: share.place(scan.key.path, file.name),
          size: file.size, stamp: file.stamp))
      library.shares[place].pending += 1
      library.shares[place].bytes = sum(library.shares[place].bytes, file.size)
    }
  }

  private func skip(_ reason: SkipReason, _ count: Int, _ share: Int) {
    counts.skipped[reason]?.add(UInt64(count))
    library.shares[share].skipped[reason, default: 0] += count
  }

  /// Goes on with the folders of a folder: those that are gone, those that are new, and on a full look all.
  private func lookBelow(
    _ scan: FolderScan, isFull: Bool, _ share: Int, _ context: borrowing LayerContext<FileShare>
  ) {
    let known = library.index.folder(scan.key)?.folders ?? []
    func key(_ name: String) -> FolderKey {
      FolderKey(share: scan.key.share, path: scan.key.path.isEmpty ? name : scan.key.path + "/" + name)
    }
    let found = Set(scan.folders.map { Array($0.utf8) })
    for name in known where !found.contains(Array(name.utf8)) { removeFolder(key(name), context) }
    let depth = scan.key.path.utf8.reduce(1) { $0 + ($1 == UInt8(ascii: "/") ? 1 : 0) }
    let old = Set(known.map { Array($0.utf8) })
    for name in scan.folders where isFull || !old.contains(Array(name.utf8)) {
      if depth > Self.deepest { skip(.tooLarge, 1, share) } else { self.scan(key(name), isFull: true) }
    }
  }

  /// How many folders may lie within each other.
  static let deepest = 64

  /// A scan or a file of a share is done; the last one ends what waits for the share.
  func settled(_ id: Int32, _ context: borrowing LayerContext<FileShare>) {
    guard let place = library.sharePlace(id) else { return }
    library.shares[place].pending -= 1
    tellProgress(context)
    guard library.shares[place].pending == 0 else { return }
    shareIsDone(library.shares[place], context)
    // Whoever was told of it may have shared something else.
    guard let place = library.sharePlace(id) else { return }
    (library.shares[place].bytes, library.shares[place].bytesDone) = (0, 0)
    library.shares[place].filesDone = 0
    library.shares[place].skipped = [:]
  }

  // MARK: Forgetting

  func removeFolder(_ key: FolderKey, _ context: borrowing LayerContext<FileShare>) {
    for here in library.index.subtree(key) {
      for file in library.index.folder(here)?.files ?? [] { remove(file, context) }
      library.index.removeFolder(here)
    }
  }

  /// Shares a file no more; or knows it anew, then a list of a folder stays on disk.
  func remove(_ place: Int32, isKnownAnew: Bool = false, _ context: borrowing LayerContext<FileShare>) {
    guard let file = library.index[place], let folder = library.index.folder(file.folder) else { return }
    let shown = library.held(file, folder).path
    library.index.remove(place)
    tellOfChanges(context)
    library.open.removeAll { $0.number == file.number }
    library.stalePieces += 1 + Int(file.size / Int64(file.chunkSize))
    if library.stalePieces > 4_096 + library.pieces.count / 4 {
      library.stalePieces = 0
      let index = library.index
      library.pieces.keep { index.place(number: $0) != nil }
    }
    do { try forget(file.number, context) } catch { context.log(.error, "what is shared: \(error)") }
    if TreeShape(size: file.size, chunkSize: Int(file.chunkSize))?.isLarge == true {
      try? context.files.remove(LibraryStore.treePath(file.number))
    }
    guard folder.key.share != Library.lists else {
      if !isKnownAnew { try? context.files.remove(Share.keptPlace(folder.key.path, file.name)) }
      return
    }
    counts.unshared.add()
    context.publish(FileUnshared(path: shown, root: file.root), on: FileUnshared.port)
  }

  private func forget(_ number: UInt32, _ context: borrowing LayerContext<FileShare>) throws {
    try context.storage.remove(LibraryStore.key(LibraryStore.file, number))
    try context.storage.remove(LibraryStore.key(LibraryStore.tree, number))
  }
}

/// A sum that stops at the largest number: files with holes may claim any size, and all together more than that.
func sum(_ one: Int64, _ other: Int64) -> Int64 {
  let (sum, isTooMuch) = one.addingReportingOverflow(other)
  return isTooMuch ? .max : sum
}

extension TreeShape {
  /// Whether the file is hashed in stretches, and the tree's hashes are kept in a file, not in storage.
  var isLarge: Bool { size > FileHashing.small }
}
