// FolderFetching: folders are fetched step by step: lists, and then files, each by a download of its own.
import Hashing
import PeersterVocabulary
import StackCore

extension FileShare {
  /// How many folders are fetched at a time, and how many files of each.
  static let mostFolders = 64
  static let mostAtOnce = 8
  private static let interval = Duration.milliseconds(250)

  // MARK: Commands

  /// Begins to fetch a folder, or goes on with one.
  func downloadFolder(
    _ input: DownloadInput, _ call: CommandCall<DownloadProgress, DownloadProgress>,
    _ context: borrowing LayerContext<FileShare>
  ) throws {
    let folder: FolderDescriptor
    do { folder = try FolderDescriptor(link: input.file) } catch {
      throw CommandError(.invalid, code: "bad-link", error.message)
    }
    if let known = folders.first(where: { $0.root == folder.list.root }) {
      known.watchers.append(call)
      if known.state != .fetching { resume(known, context) }
      return
    }
    guard folders.count < Self.mostFolders else {
      throw CommandError(.unavailable, code: "too-many", "\(Self.mostFolders) folders are under way already")
    }
    if !input.to.isEmpty, input.to.utf8.first != UInt8(ascii: "/") {
      throw CommandError(.invalid, code: "relative-path", "--to needs an absolute path")
    }
    let name = folder.list.safeName.text
    let place = config.downloads.isEmpty ? name : config.downloads + "/" + name
    let target = input.to.isEmpty ? place : input.to
    if !input.replace, let facts = try? context.files.facts(target) {
      throw CommandError(
        .conflict, code: "exists", "\(target): \(facts.name) is there already; name another place with --to")
    }
    let fetch = FolderFetch(
      folder, target: target, from: input.from, rate: input.rate.bytes, isReplacing: input.replace, at: context.now)
    fetch.watchers.append(call)
    folders.append(fetch)
    keep(fetch, context)
    step(fetch, context)
  }

  /// The folder of a root, by its first digits.
  func folder(_ root: String) -> FolderFetch? {
    root.isEmpty ? nil : folders.first { $0.root.hex.hasPrefix(root) }
  }

  func pause(_ fetch: FolderFetch, _ context: borrowing LayerContext<FileShare>) {
    for download in downloads(of: fetch) where [.locating, .checking, .fetching].contains(download.state) {
      pause(download, context)
    }
    fetch.state = .paused
    keep(fetch, context)
  }

  func resume(_ fetch: FolderFetch, _ context: borrowing LayerContext<FileShare>) {
    for download in downloads(of: fetch) where download.state == .paused { begin(download, context) }
    fetch.state = .fetching
    fetch.restart()
    keep(fetch, context)
    step(fetch, context)
  }

  /// Gives a folder up: files that are whole stay, what is there of others goes.
  func cancel(_ fetch: FolderFetch, _ context: borrowing LayerContext<FileShare>) {
    let under = downloads(of: fetch)
    end(fetch, .cancelled, "it was cancelled", context)
    for download in under where !download.state.isOver { cancel(download, context) }
  }

  // MARK: Life

  /// Takes up the folders that were under way.
  func startFolders(_ context: borrowing LayerContext<FileShare>) {
    var found: [StoredFolder] = []
    var upTo = StoredFolder.prefix
    upTo[upTo.count - 1] += 1
    do throws(StorageError) {
      try context.storage.scan(
        from: StoredFolder.prefix, upTo: upTo, reversed: false, limit: Self.mostFolders
      ) { _, value in
        if let stored = try? StoredFolder(decoding: value) { found.append(stored) }
        return true
      }
    } catch { context.log(.error, "the folders under way: \(error)") }
    for stored in found {
      guard let folder = try? FolderDescriptor(link: stored.link) else { continue }
      let fetch = FolderFetch(
        folder, target: stored.target, from: stored.from, rate: Int64(clamping: stored.rate),
        isReplacing: stored.isReplacing, at: context.now)
      if stored.isPaused { fetch.state = .paused }
      folders.append(fetch)
      step(fetch, context)
    }
  }

  private func keep(_ fetch: FolderFetch, _ context: borrowing LayerContext<FileShare>) {
    var stored = StoredFolder()
    (stored.link, stored.target, stored.from) = (fetch.folder.link, fetch.target, fetch.from)
    (stored.rate, stored.isReplacing) = (UInt64(max(0, fetch.rate)), fetch.isReplacing)
    stored.isPaused = fetch.state == .paused
    do { try context.storage.set(StoredFolder.key(fetch.root), stored.encoded()) } catch {
      context.log(.error, "the folders under way: \(error)")
    }
  }

  /// Looks after folders, and tells how far they are.
  func tickFolders(_ context: borrowing LayerContext<FileShare>) {
    for fetch in folders where fetch.state == .fetching { step(fetch, context) }
    for fetch in folders where context.now - fetch.toldAt >= .milliseconds(500) {
      fetch.toldAt = context.now
      let progress = progress(fetch)
      for watcher in fetch.watchers { watcher.progress(progress) }
    }
  }

  func progress(_ fetch: FolderFetch) -> DownloadProgress { fetch.progress(downloads(of: fetch)) }

  private func downloads(of fetch: FolderFetch) -> [Download] {
    fetch.running.compactMap { part in
      transfers.download(part.file.root).flatMap { $0.target == fetch.place(part) ? $0 : nil }
    }
  }

  private func end(
    _ fetch: FolderFetch, _ state: DownloadState, _ note: String?, _ context: borrowing LayerContext<FileShare>
  ) {
    fetch.era += 1
    fetch.state = state
    fetch.note = note ?? fetch.note
    let progress = fetch.progress([])
    for watcher in fetch.watchers {
      if state == .finished {
        watcher.finish(progress)
      } else {
        watcher.fail(CommandError(state == .cancelled ? .cancelled : .failed, note ?? "the folder was given up"))
      }
    }
    fetch.watchers = []
    folders.removeAll { $0 === fetch }
    do { try context.storage.remove(StoredFolder.key(fetch.root)) } catch {
      context.log(.error, "the folders under way: \(error)")
    }
    context.publish(
      DownloadChanged(root: fetch.root, name: fetch.name, state: state, path: fetch.target, note: note),
      on: DownloadChanged.port)
  }

  /// It can't go on for now; it is kept, so that the same command or `resume` takes it up again.
  private func fail(_ fetch: FolderFetch, _ why: String, _ context: borrowing LayerContext<FileShare>) {
    fetch.era += 1
    fetch.isReading = false
    fetch.state = .paused
    fetch.note = why
    keep(fetch, context)
    for watcher in fetch.watchers { watcher.fail(CommandError(.failed, why)) }
    fetch.watchers = []
    context.publish(
      DownloadChanged(root: fetch.root, name: fetch.name, state: .paused, path: fetch.target, note: why),
      on: DownloadChanged.port)
  }

  // MARK: Steps

  /// Does what can be done now.
  private func step(_ fetch: FolderFetch, _ context: borrowing LayerContext<FileShare>) {
    guard fetch.state == .fetching else { return }
    if !context.isArmed(.folders) { context.arm(.folders, after: Self.interval) }
    guard !fetch.isReading else { return }
    if let part = fetch.lists.last { return list(part, fetch, context) }
    for part in fetch.running {
      guard let download = transfers.download(part.file.root), download.target == fetch.place(part),
        download.state.isOver
      else { continue }
      guard download.state == .finished else {
        return fail(fetch, "\(part.path): \(download.note ?? "it was given up")", context)
      }
      fetch.running.removeAll { $0.path == part.path }
      // Of a folder with many files nobody wants to see each.
      transfers.downloads.removeAll { $0 === download }
      isThere(part, fetch)
    }
    while fetch.next < fetch.files.count, fetch.running.count + fetch.checking < Self.mostAtOnce {
      let part = fetch.files[fetch.next]
      // The same content at two places: one after the other.
      if let other = transfers.download(part.file.root), !other.state.isOver, other.target != fetch.place(part) {
        break
      }
      fetch.next += 1
      look(for: part, fetch, context)
      guard fetch.state == .fetching else { return }
    }
    if fetch.filesDone == fetch.files.count { end(fetch, .finished, nil, context) }
  }

  private func isThere(_ part: FolderFetch.Part, _ fetch: FolderFetch) {
    fetch.filesDone += 1
    fetch.bytesDone += part.file.size
  }

  /// Reads a list where it is here, else fetches it.
  private func list(
    _ part: FolderFetch.Part, _ fetch: FolderFetch, _ context: borrowing LayerContext<FileShare>
  ) {
    let place = Library.listsPlace(Library.fetched) + "/" + part.file.root.hex
    let download = transfers.download(part.file.root)
    if let download, !download.state.isOver { return }
    guard (try? context.files.facts(place)) == nil else { return read(part, place, fetch, context) }
    guard fetch.asked.insert(part.file.root).inserted else {
      return fail(fetch, "the list of \(fetch.name): \(download?.note ?? "it is gone")", context)
    }
    do {
      try context.files.makeDirectory(Library.listsPlace(Library.fetched))
      try beginDownload(
        FileChoice(root: part.file.root, descriptor: part.file), target: place, isReplacing: true, rate: fetch.rate,
        from: fetch.from, context)
    } catch { fail(fetch, "the list of \(fetch.name): \(error)", context) }
  }

  private func read(
    _ part: FolderFetch.Part, _ place: String, _ fetch: FolderFetch, _ context: borrowing LayerContext<FileShare>
  ) {
    fetch.isReading = true
    let own = context.files
    let (file, era, folder) = (part.file, fetch.era, fetch.place(part))
    typealias Read = Result<FolderList, LinkError>
    let work: @Sendable () -> Read = {
      do {
        let bytes = try FolderLists.read(file, place, own)
        let list = try FolderList(decoding: bytes)
        try own.makeDirectory(folder)
        return .success(list)
      } catch let error as LinkError {
        return .failure(error)
      } catch { return .failure(LinkError(message: "\(error)")) }
    }
    let then: (FileShare) -> (Read, borrowing LayerContext<FileShare>) -> Void = { layer in
      { read, context in
        guard fetch.era == era else { return }
        fetch.isReading = false
        fetch.lists.removeAll { $0.path == part.path }
        switch read {
        case .failure(let error): layer.fail(fetch, error.message, context)
        case .success(let list):
          if let why = fetch.take(list, of: part) { return layer.fail(fetch, why, context) }
          layer.step(fetch, context)
        }
      }
    }
    if !context.offload(work, then: then) { then(self)(work(), context) }
  }

  /// Looks whether a file is there already, as after a restart; where it isn't, it is fetched.
  private func look(
    for part: FolderFetch.Part, _ fetch: FolderFetch, _ context: borrowing LayerContext<FileShare>
  ) {
    let place = fetch.place(part)
    if let running = transfers.download(part.file.root), !running.state.isOver { return fetch.running.append(part) }
    guard (try? context.files.facts(place)) != nil else { return fetchFile(part, fetch, context) }
    let own = context.files
    let (file, era) = (part.file, fetch.era)
    fetch.checking += 1
    let work: @Sendable () -> Bool = { FolderLists.isThere(file, place, own) }
    let then: (FileShare) -> (Bool, borrowing LayerContext<FileShare>) -> Void = { layer in
      { isThere, context in
        guard fetch.era == era else { return }
        fetch.checking -= 1
        if isThere { layer.isThere(part, fetch) } else { layer.fetchFile(part, fetch, context) }
        layer.step(fetch, context)
      }
    }
    if !context.offload(work, then: then) { then(self)(work(), context) }
  }

  private func fetchFile(
    _ part: FolderFetch.Part, _ fetch: FolderFetch, _ context: borrowing LayerContext<FileShare>
  ) {
    fetch.running.append(part)
    do {
      try beginDownload(
        FileChoice(root: part.file.root, descriptor: part.file), target: fetch.place(part),
        isReplacing: fetch.isReplacing, rate: fetch.rate, from: fetch.from, context)
    } catch { fail(fetch, "\(part.path): \(error)", context) }
  }
}

extension FolderLists {
  /// A list's bytes, which must be those that its root names.
  static func read(
    _ list: FileDescriptor, _ place: String, _ own: any LayerFiles
  ) throws(FileError) -> [UInt8] {
    let file = try own.open(place)
    var bytes = [UInt8](repeating: 0, count: Int(list.size))
    let count = try bytes.withUnsafeMutableBufferPointer { (room) throws(FileError) in
      room.isEmpty ? 0 : try file.read(into: UnsafeMutableRawBufferPointer(room), at: 0)
    }
    guard count == bytes.count, MerkleTree(of: bytes, chunkSize: list.chunkSize)?.root == list.root else {
      try own.remove(place)
      throw FileError(.other, "a folder's list was damaged on disk; try again")
    }
    return bytes
  }

  /// Whether a file is at a place and has the content that its root names. To be called in a job.
  static func isThere(_ wanted: FileDescriptor, _ place: String, _ files: any LayerFiles) -> Bool {
    guard let file = try? files.open(place), (try? file.facts())?.size == wanted.size else { return false }
    var builder = TreeBuilder(chunkSize: wanted.chunkSize)
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { room.deallocate() }
    var offset: Int64 = 0
    while offset < wanted.size {
      let count = Int(min(Int64(room.count), wanted.size - offset))
      let part = UnsafeMutableRawBufferPointer(rebasing: room[0..<count])
      guard (try? file.read(into: part, at: offset)) == count else { return false }
      var hashes = [UInt8](repeating: 0, count: (count + wanted.chunkSize - 1) / wanted.chunkSize * 32)
      hashes.withUnsafeMutableBytes {
        SHA256.hashChunks(of: UnsafeRawBufferPointer(part), chunkSize: wanted.chunkSize, into: $0)
      }
      hashes.withUnsafeBytes { builder.add($0) }
      offset += Int64(count)
    }
    return builder.finish() == wanted.root
  }
}
