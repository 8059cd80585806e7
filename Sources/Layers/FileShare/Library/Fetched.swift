// Fetched: files that were fetched are shared on from where they lie, after a restart too, until they are changed.
import PeersterVocabulary
import StackCore

extension Share {
  /// In which folder of a share of single files a path is: `own` and below is the layer's own folder, which moves with
  /// the node's data; `abs` and below is the disk. Nil for no file's path.
  static func kept(_ path: String) -> (folder: String, name: String)? {
    guard let checked = try? CheckedPath(path), let name = checked.parts.last, name != ".." else { return nil }
    return (([checked.isAbsolute ? "abs" : "own"] + checked.parts.dropLast()).joined(separator: "/"), name)
  }

  /// Where a folder, or a file in it, of a share of single files is, for the layer's files.
  static func keptPlace(_ folder: String, _ name: String?) -> String {
    var parts = folder.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
    let isAbsolute = parts.first == "abs"
    parts = Array(parts.dropFirst()) + (name.map { [$0] } ?? [])
    return (isAbsolute ? "/" : "") + parts.joined(separator: "/")
  }
}

extension Library {
  /// The file that was fetched and lies at an absolute path, which may lead into the layer's own folder.
  func fetchedPlace(_ path: String, own: String) -> Int32? {
    let isOwn = path.utf8.starts(with: (own + "/").utf8)
    return Share.kept(isOwn ? String(path.dropFirst(own.count + 1)) : path).flatMap {
      index.place(of: $0.name, in: FolderKey(share: Self.fetched, path: $0.folder))
    }
  }
}

extension FetchedSource {
  /// Keeps the hashes where those of shared files are: in a file of the layer's own folder, or, where they are few, by
  /// answering them. To be called in a job.
  func keepTree(_ number: UInt32, _ own: any LayerFiles) throws(FileError) -> [UInt8]? {
    let count = shape.hashOffset(level: shape.height)
    if !shape.isLarge { return try readHashes(Int(count), at: 0) }
    try own.makeDirectory("trees")
    let kept = try own.create(LibraryStore.treePath(number), reserving: count, resuming: false)
    do throws(FileError) {
      var offset: Int64 = 0
      while offset < count {
        let bytes = try readHashes(Int(min(count - offset, 1 << 18)), at: offset)
        try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) in
          try kept.write(UnsafeRawBufferPointer(buffer), at: offset)
        }
        offset += Int64(bytes.count)
      }
      try kept.commit(replacing: true)
    } catch {
      kept.discard()
      throw error
    }
    return nil
  }

  private func readHashes(_ count: Int, at offset: Int64) throws(FileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let read = try bytes.withUnsafeMutableBufferPointer { (room) throws(FileError) in
      count == 0 ? 0 : try tree.read(into: UnsafeMutableRawBufferPointer(room), at: offset)
    }
    guard read == count else { throw FileError(.other, "the hashes of a fetched file are gone") }
    return bytes
  }
}

extension FileShare {
  /// A file that has been fetched whole is shared from now on. Its hashes are known, so nothing is read for that but
  /// these.
  func takeUp(_ source: FetchedSource, of download: Download, _ context: borrowing LayerContext<FileShare>) {
    guard library.count < config.files, let kept = Share.kept(download.path) else { return }
    let isList = "own/" + Library.listsPlace(Library.fetched) == kept.folder
    guard isList || config.shareFetched, !isList || library.listCount < Library.mostLists else { return }
    let number = library.nextNumber
    library.nextNumber += 1
    let own = context.files
    let (root, path) = (download.root, download.path)
    typealias Taken = Result<[UInt8]?, FileError>
    let work: @Sendable () -> Taken = {
      do throws(FileError) { return .success(try source.keepTree(number, own)) } catch { return .failure(error) }
    }
    let then: (FileShare) -> (Taken, borrowing LayerContext<FileShare>) -> Void = { layer in
      { taken, context in
        guard case .success(let hashes) = taken else {
          return context.log(.warning, "\(path) can't be shared on after a restart: its hashes could not be kept")
        }
        let folder = FolderKey(share: isList ? Library.lists : Library.fetched, path: kept.folder)
        layer.enter(
          HashWork(
            folder: folder, name: kept.name, files: own, path: path, size: source.shape.size, stamp: source.stamp),
          shape: source.shape, root: root, number: number, hashes: hashes, context)
        layer.transfers.fetched.removeAll { $0.root == root }
      }
    }
    if !context.offload(work, then: then) { then(self)(work(), context) }
  }

  // MARK: What others see

  /// Calls `body` for each file that is shared whole, folder by folder, until it answers false.
  func forEachShared(_ body: (HeldFile) -> Bool) {
    library.index.forEach { _, file, folder in
      folder.key.share == Library.lists || body(library.held(file, folder))
    }
  }

  /// A file that is on its way; nil while nobody has proven how large it is.
  private func arriving(_ download: Download) -> HeldFile? {
    guard download.state == .fetching, download.claimer == nil, let descriptor = download.descriptor else { return nil }
    let ranges = download.mapToKeep?.runs(limit: Self.mostRuns) ?? []
    let isWhole = ranges == [0..<descriptor.shape.chunkCount]
    return HeldFile(
      name: download.name, path: download.name, size: descriptor.size, chunkSize: descriptor.chunkSize,
      root: download.root, held: isWhole ? .all : .ranges(ranges))
  }

  /// The most runs of chunks that are told of a file.
  private static let mostRuns = 256
}

extension FileShare: FilesService {
  /// Grows whenever a shared file comes, goes or changes.
  public var revision: UInt64 { library.index.changes.revision }
  /// Grows whenever a download comes to another state.
  public var arrivingRevision: UInt64 { transfers.revision }
  /// How many files are held whole.
  public var fileCount: Int { library.count }

  /// Calls `body` with what has changed after a revision, until it answers false.
  public func forEachChange(after revision: UInt64, _ body: (FileChange) -> Bool) {
    library.changesToldAt = nil
    library.index.changes.forEach(after: revision) { revision, place in
      body(FileChange(revision: revision, place: Int(place), file: file(at: Int(place))))
    }
  }

  /// The file at a place, where one is that others may see.
  public func file(at place: Int) -> HeldFile? {
    guard let file = Int32(exactly: place).flatMap({ library.index[$0] }),
      let folder = library.index.folder(file.folder), folder.key.share != Library.lists
    else { return nil }
    return library.held(file, folder)
  }

  /// The files that are on their way, of which parts are here and can be had.
  public var arriving: [HeldFile] {
    transfers.downloads.compactMap { arriving($0) }
  }

  /// The file of this root.
  public func file(root: Hash256) -> HeldFile? {
    for place in library.index.places(root: root, limit: Library.mostTried) {
      if let file = file(at: Int(place)) { return file }
    }
    return transfers.download(root).flatMap { arriving($0) }
  }

  /// Tells whoever keeps an index that something has changed; once for all that happens at a time before anybody looks.
  func tellOfChanges(_ context: borrowing LayerContext<FileShare>) {
    guard library.changesToldAt != context.now else { return }
    library.changesToldAt = context.now
    context.publish(FilesChanged(), on: FilesChanged.port)
  }
}
