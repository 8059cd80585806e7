// Transfers: all downloads and all that is being served, and where FileShare declares what they take part in.
import PeersterVocabulary
import StackCore

/// The state of FileShare's transfers.
final class Transfers {
  var downloads: [Download] = []
  /// Of each request under way, whose it is.
  var requests: [UInt32: (download: Download, holder: Int32)] = [:]
  var down = TokenBucket(rate: 0, at: Instant(nanoseconds: 0))
  var server = ChunkServer()
  /// Files that were fetched since the node started, still served; the oldest go first.
  var fetched: [(root: Hash256, source: any PieceSource, name: String)] = []
  /// What searches have found, and who holds it.
  var found = FoundBook()
  /// Who has sent what is wrong.
  var bans = BanBook()
  /// Grows whenever a download comes to another state.
  var revision: UInt64 = 0
  /// Reads that wait for bytes of downloads; bounded as all open calls are.
  var reads: [(read: ContentRead, root: Hash256)] = []
  /// Which download is served first next time.
  var turn = 0
  /// How often those of the settings that say nothing were greeted.
  var greetings = 0

  let bytesIn: Counter
  let bytesOut: Counter
  let unasked: Counter
  let wasted: Counter
  let wrong: Counter
  let lost: Counter
  let refused: Counter

  static let mostDownloads = 1_024
  static let mostHolders = 64
  static let mostFetched = 64
  static let mostGreetings = 8

  init(_ setup: LayerSetup<FileShare>) {
    bytesIn = setup.counter("fetchedBytes", "Bytes of files that have come and were asked for.")
    bytesOut = setup.counter("sentBytes", "Bytes of files that were sent.")
    unasked = setup.counter("unasked", "Pieces that nobody had asked for, or no more.")
    wasted = setup.counter("wastedBytes", "Bytes of files that came twice or were wrong.")
    wrong = setup.counter("wrongChunks", "Chunks that didn't have their hash.")
    lost = setup.counter("lostBytes", "Bytes that were asked for and never came.")
    refused = setup.counter("refusedRanges", "Requests for ranges that were refused.")
  }

  /// The download of a root.
  func download(_ root: Hash256) -> Download? { downloads.first { $0.root == root } }

  /// A number for a request, which is under way from now on. No holder can tell another's from its own, or it could
  /// write noise in that one's name.
  func number(for download: Download, _ holder: Int32, _ context: borrowing LayerContext<FileShare>) -> UInt32 {
    var number: UInt32
    repeat { number = UInt32(truncatingIfNeeded: context.unguessable()) } while requests[number] != nil
    requests[number] = (download, holder)
    return number
  }
}

extension FileShare {
  /// Declares the messages, commands, events and metrics of downloads.
  func declareTransfers(_ setup: LayerSetup<FileShare>) {
    setup.on(TransferField.holdingsRequest, HoldingsRequest.self, FileShare.askedForHoldings)
    setup.on(TransferField.holdings, Holdings.self, FileShare.heardHoldings)
    setup.on(TransferField.rangeRequest, RangeRequest.self, FileShare.askedForRanges)
    setup.onRaw(TransferField.filePiece, FilePiece.self, FileShare.heardPiece)
    setup.on(TransferField.rangeRefusal, RangeRefusal.self, FileShare.heardRefusal)
    setup.event(DownloadProgress.port)
    setup.event(DownloadHolders.port)
    setup.event(DownloadChanged.port)
    setup.event(HolderBanned.port)
    setup.subscribe(FileHolders.port, FileShare.toldOfHolders)
    setup.subscribe(NeighbourChange.port, FileShare.neighbourChangedForTransfers)
    setup.gauge("downloads", "Downloads that are not over.") { layer in
      Double(layer.transfers.downloads.count { !$0.state.isOver })
    }
    setup.gauge("banned", "Holders that sent what is wrong of a file and are asked no more for it.") {
      Double($0.transfers.bans.count)
    }
    setup.gauge("served", "Requests for ranges that wait to be served.") { Double($0.transfers.server.waiting) }
    declareDownloadCommands(setup)
    declareStreaming(setup)
  }

  // MARK: Life

  /// Takes up the downloads that were not over.
  func startTransfers(_ context: borrowing LayerContext<FileShare>) {
    transfers.server.token = context.random()
    applyLimits(context)
    do {
      for (root, stored) in try DownloadBook(storage: context.storage).all(limit: Transfers.mostDownloads) {
        resume(stored, root: root, context)
      }
    } catch { context.log(.error, "the downloads: \(error)") }
    greetUnheard(context)
  }

  /// Takes over the limits of the settings.
  func applyLimits(_ context: borrowing LayerContext<FileShare>) {
    transfers.down.set(rate: config.downloadLimit.bytes, at: context.now)
    transfers.server.bucket.set(rate: config.uploadLimit.bytes, at: context.now)
    serve(context)
  }

  /// Takes up a download of an earlier run.
  private func resume(_ stored: StoredDownload, root: Hash256, _ context: borrowing LayerContext<FileShare>) {
    let descriptor = stored.size.flatMap { size in
      Int64(exactly: size).flatMap {
        FileDescriptor(name: stored.name, size: $0, chunkSize: Int(stored.chunkSize), root: root)
      }
    }
    let download = Download(
      root: root, descriptor: descriptor, target: stored.target, isReplacing: stored.isReplacing,
      rate: Int64(clamping: stored.rate), at: context.now)
    transfers.downloads.append(download)
    download.isOpenToAll = stored.isOpenToAll
    if download.isOpenToAll { addEverybody(to: download, context) }
    for text in stored.addresses { if let address = Address(text) { addHolder(address, nil, to: download, context) } }
    for name in stored.names { addHolder(named: name, to: download, context) }
    if stored.isPaused {
      download.state = .paused
    } else {
      begin(download, context)
    }
  }

  // MARK: Time

  /// Looks after downloads: what is lost, who is silent, what is to be told.
  func tickTransfers(_ context: borrowing LayerContext<FileShare>) {
    for download in transfers.downloads where !download.state.isOver {
      if download.state == .fetching || download.state == .locating { look(after: download, context) }
      tell(download, context)
    }
    transfers.downloads.removeAll { $0.state.isOver && $0.watchers.isEmpty && context.now - $0.toldAt > .seconds(600) }
    armTransfers(context)
  }

  /// Arms the tick: often while something is under way, seldom while something is awaited, never without a download.
  func armTransfers(_ context: borrowing LayerContext<FileShare>) {
    if context.isArmed(.transfer) { return }
    var isWaiting = false
    for download in transfers.downloads where !download.state.isOver && download.state != .paused {
      isWaiting = true
      if download.inFlight > 0 || download.state == .fetching && (transfers.down.rate > 0 || download.cap.rate > 0) {
        return context.arm(.transfer, after: .milliseconds(5))
      }
    }
    if isWaiting { context.arm(.transfer, after: .milliseconds(50)) }
  }

  private func look(after download: Download, _ context: borrowing LayerContext<FileShare>) {
    for place in download.holders.indices {
      let lost = download.holders[place].takeLost(at: context.now)
      if !lost.isEmpty { giveUp(lost, of: download, place) }
      if download.holders[place].isSilent(at: context.now) { fellSilent(download, place, context) }
      let holder = download.holders[place]
      let isToBeAsked = holder.state != .banned && (holder.state != .ready || holder.holding != nil)
      if isToBeAsked, context.now >= holder.askAgainAt { askHoldings(download, place, context) }
      if context.now - holder.rateLookedAt >= .milliseconds(100) {
        download.holders[place].rateLookedAt = context.now
        download.holders[place].rate.look(at: context.now)
      }
    }
    if download.isOpenToAll, context.now - download.lookedAroundAt >= .seconds(1),
      !download.holders.contains(where: { $0.state == .ready })
    {
      addEverybody(to: download, context)
    }
    download.rate.look(at: context.now)
    sayIfStuck(download, context)
    syncIfDue(download, context)
    pump(download, context)
  }

  /// Something new has come of a download.
  func came(to download: Download, _ context: borrowing LayerContext<FileShare>) {
    download.cameAt = context.now
    guard download.isStuck else { return }
    download.isStuck = false
    change(download, to: download.state, context)
  }

  /// A download that nobody brings anything of says so, and why, until somebody does.
  private func sayIfStuck(_ download: Download, _ context: borrowing LayerContext<FileShare>) {
    guard !download.isStuck, context.now - download.cameAt >= Self.stuckAfter else { return }
    download.isStuck = true
    download.scheduler.dropSpare()
    change(download, to: download.state, because: download.whyStuck, context)
  }

  /// Long enough for lost questions, refusals and a few timeouts.
  static let stuckAfter = Duration.seconds(10)

  /// Tells how far a download is, now and then; at once when its state is another.
  func tell(_ download: Download, _ context: borrowing LayerContext<FileShare>, now: Bool = false) {
    if now || context.now - download.toldAt >= .milliseconds(500) {
      download.toldAt = context.now
      let progress = download.progress()
      context.publish(progress, on: DownloadProgress.port)
      for watcher in download.watchers { watcher.progress(progress) }
    }
    if context.now - download.mapToldAt >= .seconds(2) {
      download.mapToldAt = context.now
      context.publish(download.map(), on: DownloadHolders.port)
    }
  }

  /// A download comes to another state.
  func change(
    _ download: Download, to state: DownloadState, because note: String? = nil,
    _ context: borrowing LayerContext<FileShare>
  ) {
    download.state = state
    transfers.revision += 1
    download.note = note
    context.publish(
      DownloadChanged(root: download.root, name: download.name, state: state, path: download.path, note: note),
      on: DownloadChanged.port)
    tell(download, context, now: true)
    if state.isOver {
      let progress = download.progress()
      for watcher in download.watchers {
        if state == .finished {
          watcher.finish(progress)
        } else {
          watcher.fail(CommandError(state == .cancelled ? .cancelled : .failed, note ?? "the download was given up"))
        }
      }
      download.watchers = []
    }
    if state.isOver, !folders.isEmpty { context.arm(.folders, after: .zero) }
    armTransfers(context)
    if state != .checking { serveReads(of: download, context) }
  }
}
