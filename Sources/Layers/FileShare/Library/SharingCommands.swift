// SharingCommands: what people and programs can ask of what is shared here.
import PeersterVocabulary
import StackCore

struct ShareInput: CommandInput {
  @Argument("The files and folders to share; absolute paths.", count: 1...256) var paths: [String]
}

struct UnshareInput: CommandInput {
  @Argument("The files and folders to share no more, as they were shared.", count: 1...256) var paths: [String]
}

/// How far sharing is.
struct SharingProgress: Codable, Sendable {
  var files: Int
  var bytes: Int64
  /// What there is to be done in all, as far as it is known.
  var ofBytes: Int64
}

/// What was shared.
struct SharingResult: Codable, Sendable {
  struct Entry: Codable, Sendable {
    var path: String
    /// Files that are shared there, and their bytes.
    var files: Int
    var bytes: Int64
    /// The link to the file, or to the folder as it is now; what changes in it later has another link.
    var link: String?
    /// What was left out, and why.
    var skipped: [String]
  }
  var shared: [Entry]
}

struct UnsharingResult: Codable, Sendable {
  var unshared: [String]
  var files: Int
}

struct VerifyInput: CommandInput {
  @Argument("Only the file of this root.") var root: Hash256?
}

struct VerifyProgress: Codable, Sendable {
  var path: String
  var bytes: Int64
  var of: Int64
}

/// What is not as it was hashed.
struct VerifyResult: Codable, Sendable {
  struct Fault: Codable, Sendable {
    var path: String
    var chunks: Int
  }
  var files: Int
  var bytes: Int64
  var damaged: [Fault]
}

/// A share whose end a command waits for.
struct WaitingShare {
  var call: CommandCall<SharingProgress, SharingResult>
  /// The shares that aren't done yet, and those that are.
  var open: [Int32]
  var ended: [SharingResult.Entry] = []
  var lastTold = Instant()
}

/// A verification that is under way.
final class Verification {
  let call: CommandCall<VerifyProgress, VerifyResult>
  var files: [UInt32]
  var result = VerifyResult(files: 0, bytes: 0, damaged: [])
  var total: Int64 = 0
  init(_ call: CommandCall<VerifyProgress, VerifyResult>, _ files: [UInt32]) {
    self.call = call
    self.files = files
  }
}

extension FileShare {
  func declareSharing(_ setup: LayerSetup<FileShare>) {
    setup.event(FileShared.port)
    setup.event(FileUnshared.port)
    setup.event(FilesChanged.port)
    setup.stream(
      "share", "Shares files and folders, in place; says how far it is.", examples: ["/srv/music", "/srv/film.mkv"],
      FileShare.share, cancelled: FileShare.shareCancelled)
    setup.command("unshare", "Shares files and folders no more.", examples: ["/srv/music"], FileShare.unshare)
    setup.stream(
      "verify", "Reads what is shared, and compares it with its hashes.", examples: [""], FileShare.verify)
    setup.on(PeersterField.dataRequest, DataRequest.self, FileShare.heardRequest)
    setup.on(PeersterField.dataReply, DataReply.self, FileShare.heardReply)
    setup.subscribe(NeighbourChange.port, FileShare.neighbourChanged)
    if config.rescan > .zero { setup.every(config.rescan, .rescan) }
  }

  func neighbourChanged(_ change: NeighbourChange, _ context: borrowing LayerContext<FileShare>) {
    if change.change == .removed { allowances.forget(change.address) }
  }

  // MARK: Share

  private func share(
    _ input: ShareInput, _ call: CommandCall<SharingProgress, SharingResult>,
    _ context: borrowing LayerContext<FileShare>
  ) throws {
    guard library.shares.count + input.paths.count <= Self.mostShares else {
      throw CommandError(.unavailable, code: "too-many", "at most \(Self.mostShares) files and folders are shared")
    }
    var found: [(path: String, isFolder: Bool)] = []
    for path in input.paths {
      guard path.utf8.first == UInt8(ascii: "/") else {
        throw CommandError(.invalid, code: "relative-path", "\(SafeName(path)): give the whole path, from / on")
      }
      let settled = "/" + (try CheckedPath(path)).parts.joined(separator: "/")
      let facts: FileFacts
      do { facts = try context.files.facts(settled) } catch {
        throw CommandError(error.kind == .notFound ? .notFound : .refused, error.message)
      }
      guard facts.kind != .other else {
        throw CommandError(
          .refused, code: "special", "\(settled): a link, a pipe or a device; only files and folders are shared")
      }
      found.append((settled, facts.kind == .directory))
    }
    var waiting = WaitingShare(call: call, open: [])
    for (path, isFolder) in found {
      var id = library.shares.first { $0.path == path }?.id
      if id == nil {
        id = library.nextShare
        library.nextShare += 1
        var stored = StoredShare()
        (stored.path, stored.isFolder) = (path, isFolder)
        try context.storage.set(LibraryStore.key(LibraryStore.share, UInt32(id ?? 0)), stored.encoded())
        addShare(id: id ?? 0, path, isFolder: isFolder, isSetting: false, context)
      }
      guard let id else { continue }
      waiting.open.append(id)
      scan(FolderKey(share: id, path: ""), isFull: true)
    }
    waitingShares.append(waiting)
    pump(context)
  }

  static let mostShares = 1_000

  private func shareCancelled(
    _ call: CommandCall<SharingProgress, SharingResult>, _ context: borrowing LayerContext<FileShare>
  ) {
    // Whoever waited waits no longer; what was asked to be shared is.
    waitingShares.removeAll { $0.call.id == call.id }
  }

  /// Tells those who wait how far it is, now and then.
  func tellProgress(_ context: borrowing LayerContext<FileShare>) {
    for place in waitingShares.indices
    where context.now - waitingShares[place].lastTold >= .milliseconds(250) {
      waitingShares[place].lastTold = context.now
      var progress = SharingProgress(files: 0, bytes: 0, ofBytes: 0)
      for id in waitingShares[place].open {
        guard let share = library.share(id) else { continue }
        progress.files += share.filesDone
        progress.bytes = sum(progress.bytes, share.bytesDone)
        progress.ofBytes = sum(progress.ofBytes, share.bytes)
      }
      waitingShares[place].call.progress(progress)
    }
  }

  /// Nothing is to be done for a share any more.
  func shareIsDone(_ share: Share, _ context: borrowing LayerContext<FileShare>) {
    guard waitingShares.contains(where: { $0.open.contains(share.id) }) else { return }
    var entry = SharingResult.Entry(path: share.path, files: 0, bytes: 0, skipped: [])
    for key in library.index.subtree(FolderKey(share: share.id, path: "")) {
      for place in library.index.folder(key)?.files ?? [] {
        guard let file = library.index[place] else { continue }
        entry.files += 1
        entry.bytes += file.size
        if !share.isFolder { entry.link = link(of: file) }
      }
    }
    entry.skipped = SkipReason.allCases.compactMap { reason in
      share.skipped[reason].map { "\($0) \(reason.rawValue)" }
    }
    guard share.isFolder else { return tellEnd(of: share, entry, context) }
    shareLists(of: share, context) { [entry] layer, made, context in
      var entry = entry
      switch made {
      case .success(let link): entry.link = link
      case .failure(let error): entry.skipped.append("the link: \(error.message)")
      }
      layer.tellEnd(of: share, entry, context)
    }
  }

  /// Those who wait for a share hear what came of it.
  private func tellEnd(
    of share: Share, _ entry: SharingResult.Entry, _ context: borrowing LayerContext<FileShare>
  ) {
    for place in waitingShares.indices where waitingShares[place].open.contains(share.id) {
      waitingShares[place].open.removeAll { $0 == share.id }
      waitingShares[place].ended.append(entry)
      if waitingShares[place].open.isEmpty {
        waitingShares[place].call.finish(SharingResult(shared: waitingShares[place].ended))
      }
    }
    waitingShares.removeAll { $0.open.isEmpty }
  }

  func link(of file: SharedFile) -> String? {
    FileDescriptor(
      name: String(file.name.prefix(200)), size: file.size, chunkSize: Int(file.chunkSize), root: file.root)?.link
  }

  // MARK: Unshare

  private func unshare(_ input: UnshareInput, _ context: borrowing LayerContext<FileShare>) throws -> UnsharingResult {
    var ids: [Int32] = []
    var fetched: [Int32] = []
    for path in input.paths {
      let settled = "/" + (try CheckedPath(path)).parts.joined(separator: "/")
      if let place = library.fetchedPlace(settled, own: context.files.resolve("")) {
        fetched.append(place)
        continue
      }
      guard let share = library.shares.first(where: { $0.path == settled }) else {
        throw CommandError(.notFound, "\(settled) is not shared; see fileshare list")
      }
      guard !share.isSetting else {
        throw CommandError(.conflict, code: "setting", "\(settled) is shared by the setting layers.fileshare.shared")
      }
      ids.append(share.id)
    }
    let before = library.count
    for place in fetched { remove(place, context) }
    library.works.removeFirst(library.worksHead)
    library.worksHead = 0
    for id in ids {
      removeFolder(FolderKey(share: id, path: ""), context)
      removeFolder(Library.listsFolder(id), context)
      library.shares.removeAll { $0.id == id }
      library.works.removeAll { $0.folder.share == id }
      try context.storage.remove(LibraryStore.key(LibraryStore.share, UInt32(id)))
      for place in waitingShares.indices { waitingShares[place].open.removeAll { $0 == id } }
    }
    for waiting in waitingShares where waiting.open.isEmpty {
      waiting.call.fail(CommandError(.cancelled, "it was taken back meanwhile"))
    }
    waitingShares.removeAll { $0.open.isEmpty }
    return UnsharingResult(unshared: input.paths, files: before - library.count)
  }

  // MARK: Verify

  private func verify(
    _ input: VerifyInput, _ call: CommandCall<VerifyProgress, VerifyResult>,
    _ context: borrowing LayerContext<FileShare>
  ) throws {
    var numbers: [UInt32] = []
    var total: Int64 = 0
    library.index.forEach { _, file, folder in
      guard folder.key.share != Library.lists, input.root == nil || file.root == input.root else { return true }
      numbers.append(file.number)
      total += file.size
      return true
    }
    guard !numbers.isEmpty || input.root == nil else { throw CommandError(.notFound, "no such file is shared") }
    let verification = Verification(call, numbers.reversed())
    verification.total = total
    verifyNext(verification, context)
  }

  private func verifyNext(_ verification: Verification, _ context: borrowing LayerContext<FileShare>) {
    guard !verification.call.isOver else { return }
    while let number = verification.files.popLast() {
      guard let place = library.index.place(number: number), let file = library.index[place],
        let folder = library.index.folder(file.folder), let reference = reference(place, context)
      else { continue }
      let path = library.held(file, folder).path
      verification.call.progress(
        VerifyProgress(path: path, bytes: verification.result.bytes, of: verification.total))
      return verify(reference, path, from: 0, wrong: 0, verification, context)
    }
    verification.call.finish(verification.result)
  }

  /// Checks a stretch of a file, and goes on with the next.
  private func verify(
    _ reference: FileReference, _ path: String, from start: Int, wrong: Int, _ verification: Verification,
    _ context: borrowing LayerContext<FileShare>
  ) {
    let shape = reference.shape
    let end = min(shape.chunkCount, start + FileHashing.segment / shape.chunkSize)
    let own = context.files
    let hasStarted = context.offload {
      FileSource.wrongChunks(reference, start..<end, own)
    } then: { layer in
      { found, context in
        let wrong = wrong + found
        if end < shape.chunkCount, !verification.call.isOver {
          return layer.verify(reference, path, from: end, wrong: wrong, verification, context)
        }
        verification.result.files += 1
        verification.result.bytes += shape.size
        if wrong > 0, verification.result.damaged.count < 1_000 {
          verification.result.damaged.append(.init(path: path, chunks: wrong))
        }
        layer.verifyNext(verification, context)
      }
    }
    if !hasStarted { verification.call.fail(CommandError(.unavailable, "too much else is being done")) }
  }
}

extension FileSource {
  /// How many of some chunks are not what was hashed, whatever the file's stamp says. To be called in a job.
  static func wrongChunks(_ reference: FileReference, _ chunks: Range<Int>, _ own: any LayerFiles) -> Int {
    do throws(FileError) {
      let content = try reference.files.open(reference.path)
      var hashes: (any ReadableFile)?
      if case .file(let place) = reference.tree { hashes = try own.open(place) }
      let source = FileSource(reference: reference, content: content, hashes: hashes)
      if chunks.isEmpty { return try content.facts().size == reference.shape.size ? 0 : 1 }
      let room = UnsafeMutableRawBufferPointer.allocate(
        byteCount: chunks.count * reference.shape.chunkSize, alignment: 64)
      defer { room.deallocate() }
      return try source.check(chunks, using: room).count
    } catch {
      return max(1, chunks.count)
    }
  }
}
