// Downloading: a download's life: files are opened, what is there is looked through, and at the end it gets its name.
import Hashing
import PeersterVocabulary
import StackCore

extension FileShare {
  // MARK: Beginning

  /// Begins or goes on: opens the files where the file's size is known, else looks for somebody who knows it.
  func begin(_ download: Download, _ context: borrowing LayerContext<FileShare>) {
    download.cameAt = context.now
    download.isStuck = false
    guard let descriptor = download.descriptor else {
      change(download, to: .locating, context)
      for place in download.holders.indices where download.holders[place].stalls == 0 {
        download.holders[place].askAgainAt = context.now
      }
      return armTransfers(context)
    }
    do throws(FileError) {
      let source = try open(download, descriptor, context)
      change(download, to: .checking, context)
      look(through: source, download, context)
    } catch {
      guard let id = download.claimer, error.kind == .full || error.kind == .refused else {
        return fail(download, error.message, context)
      }
      // Nobody vouches for this size: another may say one that there is room for.
      if let place = download.place(of: id) { download.holders[place].stall(at: context.now) }
      download.trouble = error.message
      forgetClaim(of: download)
      begin(download, context)
    }
  }

  private func open(
    _ download: Download, _ descriptor: FileDescriptor, _ context: borrowing LayerContext<FileShare>
  ) throws(FileError) -> PartialSource {
    if download.path.isEmpty { download.path = try targetPath(download, descriptor, context) }
    if !download.isReplacing {
      var found: FileFacts?
      do throws(FileError) { found = try context.files.facts(download.path) } catch {
        if error.kind != .notFound { throw error }
      }
      if found != nil { throw FileError(.exists, "\(download.path) is there already; name another place with --to") }
    }
    let data = try context.files.create(download.path, reserving: descriptor.size, resuming: true)
    let tree = try context.files.create(Self.treePath(download.root), reserving: 0, resuming: true)
    return PartialSource(shape: descriptor.shape, data: data, tree: tree)
  }

  /// Where the hashes of a file being fetched are.
  static func treePath(_ root: Hash256) -> String { "partial/\(root.hex).tree" }

  /// Where a file goes: into the folder of downloads, or where the person said.
  private func targetPath(
    _ download: Download, _ descriptor: FileDescriptor, _ context: borrowing LayerContext<FileShare>
  ) throws(FileError) -> String {
    try context.files.makeDirectory("partial")
    let name = descriptor.safeName.text
    guard let target = download.target else {
      try context.files.makeDirectory(config.downloads)
      return config.downloads.isEmpty ? name : config.downloads + "/" + name
    }
    if (try? context.files.facts(target))?.kind == .directory { return target + "/" + name }
    return target
  }

  /// What was found of an earlier run.
  private struct Found: Sendable {
    var root: Hash256
    var era: UInt64
    /// The highest level that isn't whole.
    var level = 0
    var map: ChunkMap
    var failure: FileError?
  }

  /// Looks, elsewhere, through what an earlier run has left: all hashes, and of the data what wasn't known for durable.
  private func look(
    through source: PartialSource, _ download: Download, _ context: borrowing LayerContext<FileShare>
  ) {
    let count = source.shape.chunkCount
    let known: ChunkMap
    do throws(StorageError) {
      known = try DownloadBook(storage: context.storage).map(root: download.root, count: count)
    } catch { return fail(download, error.message, context) }
    let root = download.root
    let era = download.era
    let work: @Sendable () -> Found = {
      var found = Found(root: root, era: era, map: known)
      do throws(FileError) {
        found.level = try source.highestUnfinished(root: root)
        if found.level == 0 { try source.lookThrough(&found.map) } else { found.map = ChunkMap(count: count) }
      } catch { found.failure = error }
      return found
    }
    let then: (FileShare) -> (Found, borrowing LayerContext<FileShare>) -> Void = { layer in
      { found, context in
        guard download.era == found.era, download.state == .checking else { return }
        if let failure = found.failure { return layer.fail(download, failure.message, context) }
        layer.fetch(download, source, found.map, from: found.level, context)
      }
    }
    if !context.offload(work, then: then) { then(self)(work(), context) }
  }

  private func fetch(
    _ download: Download, _ source: PartialSource, _ map: ChunkMap, from level: Int,
    _ context: borrowing LayerContext<FileShare>
  ) {
    download.begin(source, held: map)
    while download.level > level { download.descend(to: download.level - 1) }
    download.syncedAt = context.now
    download.cameAt = context.now
    if source.shape.size == 0 {
      return SHA256.hash([]) == download.root
        ? finish(download, context) : fail(download, "the link names no file of this size", context)
    }
    keepBook(of: download, context)
    hasten(download)
    change(download, to: .fetching, context)
    if download.level == 0, download.scheduler.isWhole { return finish(download, context) }
    for place in download.holders.indices where download.holders[place].state != .banned {
      if download.holders[place].state != .ready { download.holders[place].askAgainAt = context.now }
    }
    pump(download, context)
    tickTransfers(context)
  }

  // MARK: Keeping

  /// Keeps what the download is, so that a restart finds it.
  func keepBook(of download: Download, _ context: borrowing LayerContext<FileShare>) {
    var stored = StoredDownload()
    if let descriptor = download.descriptor, download.claimer == nil {
      stored.name = descriptor.name
      stored.size = UInt64(descriptor.size)
      stored.chunkSize = UInt32(descriptor.chunkSize)
    }
    stored.target = download.target
    stored.isReplacing = download.isReplacing
    stored.isPaused = download.state == .paused
    stored.isOpenToAll = download.isOpenToAll
    stored.rate = UInt64(max(0, download.cap.rate))
    for holder in download.holders where holder.state != .banned {
      if let name = holder.name, holder.isPlain {
        stored.names.append(name)
      } else {
        stored.addresses.append("\(holder.address)")
      }
    }
    do throws(StorageError) {
      try DownloadBook(storage: context.storage).keep(stored, root: download.root)
    } catch { return context.log(.error, "the downloads: \(error)") }
    for place in download.holders.indices where download.holders[place].state != .banned {
      download.holders[place].isKept = true
    }
  }

  /// A holder turns out to have the file, or to bring it: one that came to the download after it was begun isn't in the
  /// book yet, and a node that was started again may hear of it from nobody else.
  func keepBook(
    of download: Download, withHolder place: Int, _ context: borrowing LayerContext<FileShare>
  ) {
    if !download.holders[place].isKept { keepBook(of: download, context) }
  }

  /// Makes durable what was written, now and then, and only then notes it as there.
  func syncIfDue(_ download: Download, _ context: borrowing LayerContext<FileShare>) {
    guard download.level == 0, !download.isSyncing, download.unsynced > 0 else { return }
    let waited = context.now - download.syncedAt
    // A two-hundredth of the file, but no more than a fifth of the time: a disk that syncs slowly has other work to do.
    let isMuch = download.unsynced >= min(8 << 20, (download.descriptor?.size ?? 0) / 200)
    guard waited >= .seconds(1) || isMuch && waited >= max(.milliseconds(50), download.syncTook * 4) else { return }
    sync(download, context)
  }

  /// Makes durable what was written so far.
  func sync(_ download: Download, _ context: borrowing LayerContext<FileShare>) {
    guard let source = download.source, let map = download.mapToKeep else { return }
    download.isSyncing = true
    download.unsynced = 0
    download.syncedAt = context.now
    let began = context.now
    let era = download.era
    let work: @Sendable () -> FileError? = {
      do throws(FileError) {
        try source.tree.sync()
        try source.data.sync()
        return nil
      } catch { return error }
    }
    let then: (FileShare) -> (FileError?, borrowing LayerContext<FileShare>) -> Void = { layer in
      { failure, context in
        download.isSyncing = false
        // The file may have got its name meanwhile, and be closed: that is no failure, nor of use any more.
        guard download.era == era, !download.state.isOver, download.state != .finishing else { return }
        if let failure { return layer.fail(download, failure.message, context) }
        download.syncedAt = context.now
        download.syncTook = context.now - began
        do throws(StorageError) {
          try DownloadBook(storage: context.storage).keep(map, root: download.root)
        } catch { context.log(.error, "the downloads: \(error)") }
      }
    }
    if !context.offload(work, then: then) { then(self)(work(), context) }
  }

  // MARK: Ending

  /// All is there: it is made durable and gets its name.
  func finish(_ download: Download, _ context: borrowing LayerContext<FileShare>) {
    guard let source = download.source else { return }
    change(download, to: .finishing, context)
    let isReplacing = download.isReplacing
    let files = context.files
    let (path, treePath) = (download.path, Self.treePath(download.root))
    let work: @Sendable () -> Ending = {
      do throws(FileError) {
        try source.data.commit(replacing: isReplacing)
        return Ending(source: try? source.committed(path, treePath, files))
      } catch { return Ending(failure: error) }
    }
    let era = download.era
    let then: (FileShare) -> (Ending, borrowing LayerContext<FileShare>) -> Void = { layer in
      { ending, context in
        guard download.era == era, download.state == .finishing else { return }
        if let failure = ending.failure { return layer.fail(download, failure.message, context) }
        if let source = ending.source {
          layer.note(source, of: download)
          layer.takeUp(source, of: download, context)
        }
        layer.forget(download, context)
        download.isWhole = true
        layer.stop(download)
        layer.change(download, to: .finished, context)
      }
    }
    if !context.offload(work, then: then) { then(self)(work(), context) }
  }

  /// How the last step of a download ended.
  private struct Ending: Sendable {
    var source: FetchedSource?
    var failure: FileError?
  }

  /// A file that was fetched is served to others.
  private func note(_ source: FetchedSource, of download: Download) {
    transfers.fetched.removeAll { $0.root == download.root }
    transfers.fetched.append((download.root, source, download.name))
    if transfers.fetched.count > Transfers.mostFetched { transfers.fetched.removeFirst() }
  }

  /// A download can't go on; what is there stays, and it can be taken up again.
  func fail(_ download: Download, _ why: String, _ context: borrowing LayerContext<FileShare>) {
    guard !download.state.isOver else { return }
    stop(download)
    forget(download, context)
    change(download, to: .failed, because: why, context)
  }

  /// Lets go of all that is under way.
  func stop(_ download: Download) {
    for place in download.holders.indices {
      giveUp(download.holders[place].takeAll(at: download.startedAt), of: download, place)
    }
    transfers.server.drop(download.root)
    download.halt()
  }

  private func forget(_ download: Download, _ context: borrowing LayerContext<FileShare>) {
    do throws(StorageError) { try DownloadBook(storage: context.storage).forget(root: download.root) } catch {
      context.log(.error, "the downloads: \(error)")
    }
  }

  /// Gives a download up and removes what is there of it.
  func cancel(_ download: Download, _ context: borrowing LayerContext<FileShare>) {
    let source = download.source
    stop(download)
    forget(download, context)
    source?.data.discard()
    source?.tree.discard()
    if source == nil, let descriptor = download.descriptor, let files = try? open(download, descriptor, context) {
      files.data.discard()
      files.tree.discard()
    }
    change(download, to: .cancelled, because: "it was cancelled", context)
  }

  /// Stops a download for now; what is there is kept.
  func pause(_ download: Download, _ context: borrowing LayerContext<FileShare>) {
    if let map = download.mapToKeep, let source = download.source {
      do {
        try source.tree.sync()
        try source.data.sync()
        try DownloadBook(storage: context.storage).keep(map, root: download.root)
      } catch { context.log(.error, "a paused download: \(error)") }
    }
    stop(download)
    download.isSyncing = false
    change(download, to: .paused, context)
    keepBook(of: download, context)
  }

  // MARK: Locating

  /// Who said how large the file is brings nothing, or what is wrong. Another who says the same answers for it from now
  /// on. Without one, what is there is kept until somebody says otherwise, unless it was a lie.
  func doubtClaim(of download: Download, _ context: borrowing LayerContext<FileShare>) {
    guard let id = download.claimer else { return }
    let others = download.holders.filter { $0.id != id && $0.state == .ready && !$0.isPlain }
    if let other = others.first(where: \.holdsEnd) ?? others.first {
      download.claimer = other.id
      return
    }
    let isBanned = download.place(of: id).map { download.holders[$0].state == .banned } ?? false
    if isBanned || download.isContradicted { return locateAgain(download, context) }
    for place in download.holders.indices where download.holders[place].stalls == 0 {
      download.holders[place].askAgainAt = context.now
    }
  }

  /// Whether whoever said how large the file is can show it.
  func hasClaimer(_ download: Download) -> Bool {
    guard let place = download.claimer.flatMap({ download.place(of: $0) }) else { return false }
    return download.holders[place].state == .ready && download.holders[place].holdsEnd
  }

  /// Who says how large the file is has to bring the end of it; where it can't, another who says the same takes over.
  func passClaimOn(of download: Download) {
    guard download.claimer != nil, !hasClaimer(download) else { return }
    let other = download.holders.first { $0.state == .ready && !$0.isPlain && $0.holdsEnd }
    download.claimer = other?.id ?? download.claimer
  }

  private func forgetClaim(of download: Download) {
    download.claimer = nil
    download.isContradicted = false
    download.descriptor = nil
    download.path = ""
    // What they said fits a size that isn't believed any more.
    for place in download.holders.indices where download.holders[place].state == .ready {
      download.holders[place].state = .asked
      download.holders[place].holding = nil
    }
  }

  /// What a holder said of the file's size is not believed any more: ask others.
  func locateAgain(_ download: Download, _ context: borrowing LayerContext<FileShare>) {
    guard let id = download.claimer else { return }
    if let place = download.place(of: id), download.holders[place].state == .banned {
      download.note(liar: download.holders[place].address)
    }
    let source = download.source
    stop(download)
    source?.data.discard()
    source?.tree.discard()
    forgetClaim(of: download)
    begin(download, context)
  }
}

extension PartialSource {
  /// The file under its own name, with its hashes, which stay readable while somebody reads them and then are gone.
  func committed(_ path: String, _ treePath: String, _ files: any LayerFiles) throws(FileError) -> FetchedSource {
    try tree.commit(replacing: true)
    let hashes = try files.open(treePath)
    try files.remove(treePath)
    return try FetchedSource(shape: shape, data: files.open(path), tree: hashes)
  }

  /// The highest level of which not all is there and right; 0 when all hashes are.
  func highestUnfinished(root: Hash256) throws(FileError) -> Int {
    for level in stride(from: shape.height, to: 0, by: -1) {
      let map = try present(level: level, among: ChunkMap(count: shape.pieceCounts[level]), root: root)
      if !map.isWhole { return level }
    }
    return 0
  }

  /// Adds to a map the chunks that are there and right, looking only at those that it doesn't have.
  func lookThrough(_ map: inout ChunkMap) throws(FileError) { map = try present(level: 0, among: map, root: Hash256()) }

  /// The chunks of a level that are there and right, besides those known to be.
  private func present(level: Int, among known: ChunkMap, root: Hash256) throws(FileError) -> ChunkMap {
    var map = known
    let file = level == 0 ? data : tree
    let base = level == 0 ? 0 : shape.hashOffset(level: level - 1)
    let size = try file.facts().size
    let most = max(1, (1 << 20) / shape.chunkSize)
    for run in known.runs(false) {
      var first = run.lowerBound
      while first < run.upperBound {
        let chunks = first..<min(first + most, run.upperBound)
        first = chunks.upperBound
        let start = base + shape.offset(TreePiece(level: level, index: chunks.lowerBound))
        if start >= size { return map }
        let count = chunks.reduce(0) { $0 + shape.byteCount(TreePiece(level: level, index: $1)) }
        let bytes = try read(file, count, at: start)
        let expected = try hashes(level: level, chunks, root: root)
        let good = bytes.withUnsafeBytes { Self.compare($0, chunkSize: shape.chunkSize, expected) }
        for (place, isGood) in good.enumerated() where isGood { map.insert(chunks.lowerBound + place) }
      }
    }
    return map
  }

  /// Reads bytes of a file being written; what isn't there reads as zeros.
  private func read(_ file: any WritableFile, _ count: Int, at offset: Int64) throws(FileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var failure: FileError?
    bytes.withUnsafeMutableBytes { buffer in
      do throws(FileError) { _ = try file.read(into: buffer, at: offset) } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
  }
}
