// SharingHashes: files on their way through the hashing jobs into the index.
import PeersterVocabulary
import StackCore

extension FileShare {
  /// What one job takes of small files.
  static let batchBytes: Int64 = 4 << 20
  static let batchFiles = 256
  /// How many large files are hashed at a time, so that all cores are busy while one of them ends.
  static let mostLarge = 4

  /// Starts one job; nil when there is none to start, false when it can't be started now.
  func startHashing(_ context: borrowing LayerContext<FileShare>) -> Bool? {
    for large in library.large {
      guard let (start, count) = large.next() else { continue }
      return startStretch(large, start, count, context)
    }
    guard library.worksHead < library.works.count else { return nil }
    let first = library.works[library.worksHead]
    if first.size > FileHashing.small {
      guard library.large.count < Self.mostLarge else { return nil }
      dropWorks(1)
      open(first, context)
      return true
    }
    var batch: [HashWork] = []
    var bytes: Int64 = 0
    for work in library.works[library.worksHead...] {
      guard work.size <= FileHashing.small, batch.count < Self.batchFiles, bytes < Self.batchBytes else { break }
      batch.append(work)
      bytes += work.size
    }
    let (works, chunkSize) = (batch, Int(config.chunkSize.bytes))
    let hasStarted = context.offload {
      FileHashing.hash(works, chunkSize: chunkSize)
    } then: { layer in
      { outcomes, context in layer.hashed(works, outcomes, context) }
    }
    guard hasStarted else { return false }
    dropWorks(batch.count)
    library.hashJobs += 1
    return true
  }

  private func dropWorks(_ count: Int) {
    library.worksHead += count
    if library.worksHead == library.works.count || library.worksHead > 4_096 {
      library.works.removeFirst(library.worksHead)
      library.worksHead = 0
    }
  }

  // MARK: Small files

  private func hashed(
    _ works: [HashWork], _ outcomes: [HashOutcome], _ context: borrowing LayerContext<FileShare>
  ) {
    library.hashJobs -= 1
    for (work, outcome) in zip(works, outcomes) {
      switch outcome {
      case .hashed(let tree):
        add(work, shape: tree.shape, root: tree.root, number: nil, hashes: tree.hashes, context)
      case .changed: again(work)
      case .failed(let error): failed(work, error, context)
      }
      done(work, context)
    }
    pump(context)
  }

  /// A file was changed while it was hashed: what is known of it goes, and the next look finds it anew.
  private func again(_ work: HashWork) { counts.changed.add() }

  private func failed(_ work: HashWork, _ error: FileError, _ context: borrowing LayerContext<FileShare>) {
    if let share = library.sharePlace(work.folder.share) {
      library.shares[share].skipped[.unreadable, default: 0] += 1
    }
    counts.skipped[.unreadable]?.add()
    context.log(.warning, error.message)
    if let place = library.index.place(of: work.name, in: work.folder) { remove(place, context) }
  }

  private func done(_ work: HashWork, _ context: borrowing LayerContext<FileShare>) {
    if let share = library.sharePlace(work.folder.share) {
      library.shares[share].bytesDone = sum(library.shares[share].bytesDone, work.size)
      library.shares[share].filesDone += 1
    }
    settled(work.folder.share, context)
  }

  // MARK: Large files

  private func open(_ work: HashWork, _ context: borrowing LayerContext<FileShare>) {
    guard let shape = TreeShape(size: work.size, chunkSize: Int(config.chunkSize.bytes)) else {
      return done(work, context)
    }
    let number = library.nextNumber
    library.nextNumber += 1
    let own = context.files
    typealias Opened = Result<(any ReadableFile, any WritableFile)?, FileError>
    let hasStarted = context.offload { () -> Opened in
      do throws(FileError) {
        let file = try work.files.open(work.path)
        let facts = try file.facts()
        guard facts.stamp == work.stamp, facts.size == work.size else { return .success(nil) }
        try own.makeDirectory("trees")
        let tree = try own.create(
          LibraryStore.treePath(number), reserving: shape.hashOffset(level: shape.height),
          resuming: false)
        return .success((file, tree))
      } catch { return .failure(error) }
    } then: { layer in
      { (opened: Opened, context: borrowing LayerContext<FileShare>) in
        layer.library.hashJobs -= 1
        switch opened {
        case .success(let (file, tree)?):
          layer.library.large.append(LargeHashing(work, shape: shape, number: number, file: file, tree: tree))
        case .success(nil):
          layer.again(work)
          layer.done(work, context)
        case .failure(let error):
          layer.failed(work, error, context)
          layer.done(work, context)
        }
        layer.pump(context)
      }
    }
    if hasStarted {
      library.hashJobs += 1
    } else {
      library.works.append(work)
    }
  }

  private func startStretch(
    _ large: LargeHashing, _ start: Int64, _ count: Int, _ context: borrowing LayerContext<FileShare>
  ) -> Bool {
    let (file, tree, chunkSize) = (large.file, large.tree, large.shape.chunkSize)
    typealias Hashes = Result<[UInt8]?, FileError>
    let hasStarted = context.offload { () -> Hashes in
      do throws(FileError) {
        return .success(
          try FileHashing.hashes(of: file, at: start, count: count, chunkSize: chunkSize, into: tree))
      } catch { return .failure(error) }
    } then: { [large] layer in
      { (hashes: Hashes, context: borrowing LayerContext<FileShare>) in
        layer.library.hashJobs -= 1
        layer.took(large, start, count, hashes, context)
        layer.pump(context)
      }
    }
    if hasStarted {
      library.hashJobs += 1
      large.jobs += 1
    } else {
      large.giveBack(start)
    }
    return hasStarted
  }

  private func took(
    _ large: LargeHashing, _ start: Int64, _ count: Int, _ hashes: Result<[UInt8]?, FileError>,
    _ context: borrowing LayerContext<FileShare>
  ) {
    large.jobs -= 1
    switch hashes {
    case .success(let hashes?):
      large.take(hashes, at: start)
      if let share = library.sharePlace(large.work.folder.share) {
        library.shares[share].bytesDone = sum(library.shares[share].bytesDone, Int64(count))
      }
    case .success(nil):
      if !large.hasFailed { again(large.work) }
      large.hasFailed = true
    case .failure(let error):
      if !large.hasFailed { failed(large.work, error, context) }
      large.hasFailed = true
    }
    tellProgress(context)
    if large.hasFailed {
      if large.jobs == 0 { end(large, nil, context) }
    } else if let root = large.root {
      finish(large, root, context)
    }
  }

  private func finish(_ large: LargeHashing, _ root: Hash256, _ context: borrowing LayerContext<FileShare>) {
    let (file, tree, upper, stamp) = (large.file, large.tree, large.upper.flatMap { $0 }, large.work.stamp)
    let offset = large.shape.hashOffset(level: 1)
    typealias Finished = Result<Bool, FileError>
    let hasStarted = context.offload { () -> Finished in
      do throws(FileError) {
        return .success(try LargeHashing.finish(file, tree, upper: upper, at: offset, stamp: stamp))
      } catch { return .failure(error) }
    } then: { [large] layer in
      { (finished: Finished, context: borrowing LayerContext<FileShare>) in
        layer.library.hashJobs -= 1
        switch finished {
        case .success(true): layer.end(large, root, context)
        case .success(false):
          layer.again(large.work)
          layer.end(large, nil, context)
        case .failure(let error):
          layer.failed(large.work, error, context)
          layer.end(large, nil, context)
        }
        layer.pump(context)
      }
    }
    if hasStarted { library.hashJobs += 1 } else { end(large, nil, context) }
  }

  /// A large file has come to its end: with a root it is shared.
  private func end(_ large: LargeHashing, _ root: Hash256?, _ context: borrowing LayerContext<FileShare>) {
    library.large.removeAll { $0 === large }
    if let share = library.sharePlace(large.work.folder.share) {
      // `done` counts all of it.
      library.shares[share].bytesDone -= large.bytesCounted
    }
    if let root {
      add(large.work, shape: large.shape, root: root, number: large.number, hashes: nil, context)
    } else {
      large.tree.discard()
    }
    done(large.work, context)
  }

  // MARK: Into the index

  /// A file has been hashed: it is shared from now on. One that was fetched is only while it is what was fetched.
  private func add(
    _ work: HashWork, shape: TreeShape, root: Hash256, number: UInt32?, hashes: [UInt8]?,
    _ context: borrowing LayerContext<FileShare>
  ) {
    if library.share(work.folder.share)?.isKept == true {
      let old = library.index.place(of: work.name, in: work.folder)
      guard let old, library.index[old]?.root == root else {
        if let old { remove(old, context) }
        if let number { try? context.files.remove(LibraryStore.treePath(number)) }
        return
      }
    }
    enter(work, shape: shape, root: root, number: number, hashes: hashes, context)
  }

  /// Takes a file with its tree into the index and into storage.
  func enter(
    _ work: HashWork, shape: TreeShape, root: Hash256, number: UInt32?, hashes: [UInt8]?,
    _ context: borrowing LayerContext<FileShare>
  ) {
    guard let share = library.share(work.folder.share) else {
      if let number { try? context.files.remove(LibraryStore.treePath(number)) }
      return
    }
    if let old = library.index.place(of: work.name, in: work.folder) { remove(old, isKnownAnew: true, context) }
    let number = number ?? library.nextNumber
    if number == library.nextNumber { library.nextNumber += 1 }
    let folder = library.index.addFolder(work.folder)
    library.index.add(
      SharedFile(
        folder: folder, name: work.name, size: shape.size, stamp: work.stamp, chunkSize: shape.chunkSize,
        number: number, root: root))
    tellOfChanges(context)
    var stored = StoredFile()
    (stored.share, stored.folder, stored.name) = (UInt32(work.folder.share), work.folder.path, work.name)
    (stored.size, stored.stamp, stored.root) = (UInt64(shape.size), Fixed64(work.stamp), root)
    stored.chunkSize = UInt32(shape.chunkSize)
    do {
      try context.storage.set(LibraryStore.key(LibraryStore.file, number), stored.encoded())
      if let hashes { try keep(number, shape, hashes, context) }
    } catch { context.log(.error, "what is shared: \(error)") }
    if shape.isLarge { indexLarge(number, context) } else { indexPieces(number, hashes ?? []) }
    guard work.folder.share != Library.lists else { return }
    counts.shared.add()
    let path = share.shownPath(work.folder.path, work.name)
    let link = FileDescriptor(
      name: String(work.name.prefix(200)), size: shape.size, chunkSize: shape.chunkSize, root: root)?.link
    context.publish(
      FileShared(path: path, size: shape.size, chunkSize: shape.chunkSize, root: root, link: link ?? ""),
      on: FileShared.port)
  }

  private func keep(
    _ number: UInt32, _ shape: TreeShape, _ hashes: [UInt8], _ context: borrowing LayerContext<FileShare>
  ) throws {
    try context.storage.set(LibraryStore.key(LibraryStore.tree, number), hashes)
  }

  /// Makes the pieces of a small tree found by their hashes.
  func indexPieces(_ number: UInt32, _ hashes: [UInt8]) {
    guard let place = library.index.place(number: number), let file = library.index[place],
      let shape = TreeShape(size: file.size, chunkSize: Int(file.chunkSize))
    else { return }
    library.pieces.insert(file.root, PieceLocation(file: number, piece: shape.top))
    insert(number, shape, hashes, from: 0)
  }

  /// Makes pieces found whose hashes stand in a tree from a place on.
  private func insert(_ number: UInt32, _ shape: TreeShape, _ hashes: [UInt8], from first: Int) {
    hashes.withUnsafeBytes { bytes in
      var level = 0
      var start = 0
      for place in 0..<bytes.count / 32 {
        while first + place - start >= shape.pieceCounts[level], level < shape.height {
          start += shape.pieceCounts[level]
          level += 1
        }
        guard let hash = Hash256(UnsafeRawBufferPointer(rebasing: bytes[place * 32..<place * 32 + 32])) else { return }
        let piece = TreePiece(level: level, index: first + place - start)
        library.pieces.insert(hash, PieceLocation(file: number, piece: piece))
      }
    }
  }

  /// Makes the pieces of a large tree found: all where there is room for them, else the nodes. What then isn't found is
  /// found once the node above it has been asked for.
  func indexLarge(_ number: UInt32, _ context: borrowing LayerContext<FileShare>) {
    guard let place = library.index.place(number: number), let file = library.index[place],
      let shape = TreeShape(size: file.size, chunkSize: Int(file.chunkSize))
    else { return }
    library.pieces.insert(file.root, PieceLocation(file: number, piece: shape.top))
    let count = shape.pieceCounts.dropLast().reduce(0, +)
    let fits = library.pieces.count + count <= library.pieces.limit
    if !fits { library.unindexed += 1 }
    readPieces(number, shape, from: fits ? 0 : shape.chunkCount, upTo: count, context)
  }

  private func readPieces(
    _ number: UInt32, _ shape: TreeShape, from first: Int, upTo end: Int, _ context: borrowing LayerContext<FileShare>
  ) {
    guard first < end, library.pieces.count < library.pieces.limit else { return }
    let own = context.files
    let count = min(32_768, end - first)
    context.offload { () -> [UInt8] in
      var bytes = [UInt8](repeating: 0, count: count * 32)
      let read = try? bytes.withUnsafeMutableBytes { room in
        try own.open(LibraryStore.treePath(number)).read(into: room, at: Int64(first) * 32)
      }
      return read == bytes.count ? bytes : []
    } then: { layer in
      { hashes, context in
        guard !hashes.isEmpty, layer.library.index.place(number: number) != nil else { return }
        layer.insert(number, shape, hashes, from: first)
        layer.readPieces(number, shape, from: first + count, upTo: end, context)
      }
    }
  }

  // MARK: Out of the index

  /// Where a file and its tree are.
  func reference(_ place: Int32, _ context: borrowing LayerContext<FileShare>) -> FileReference? {
    guard let file = library.index[place], let folder = library.index.folder(file.folder),
      let share = library.share(folder.key.share),
      let shape = TreeShape(size: file.size, chunkSize: Int(file.chunkSize))
    else { return nil }
    var tree = FileReference.Tree.file(LibraryStore.treePath(file.number))
    if !shape.isLarge {
      guard let hashes = try? context.storage.get(LibraryStore.key(LibraryStore.tree, file.number)) else { return nil }
      tree = .memory(hashes)
    }
    return FileReference(
      files: share.files, path: share.place(folder.key.path, file.name), name: file.name, shape: shape,
      root: file.root, stamp: file.stamp, tree: tree)
  }

  /// Where a file of a root and its tree are: open it in a job, and read from it there. Nil when none is shared.
  func reference(root: Hash256, _ context: borrowing LayerContext<FileShare>) -> FileReference? {
    library.index.place(root: root).flatMap { reference($0, context) }
  }
}
