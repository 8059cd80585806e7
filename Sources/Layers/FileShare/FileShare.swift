// FileShare: files that others may have, in place and by the hash of their content, and files had from others.
import PeersterVocabulary
import StackCore

/// Shares files with Strata nodes and Peersters, and fetches files from them.
public final class FileShare: ProtocolLayer {
  public typealias Config = FileShareConfig
  /// What FileShare waits for.
  public enum Timer: Hashable {
    /// Everything that is shared is looked through.
    case rescan
    /// The watches are asked what has changed.
    case watch
    /// What could not be started is tried again.
    case pump
    /// Lists that were asked for are overdue.
    case lists
    /// Downloads are looked after.
    case transfer
    /// Folders that are being fetched are looked after.
    case folders
    /// The limit of what is sent lets more go.
    case upload
  }

  public static let manifest = LayerManifest(
    "fileshare", "Shares files, and fetches them from all who hold them.", provides: [ServiceKey.files],
    uses: [ServiceKey.routing])

  var config: FileShareConfig
  let me: WireText
  let routing: (any RoutingService)?
  let counts: Counts
  let transfers: Transfers
  var library: Library
  var allowances = AnswerAllowances()
  /// How many messages each neighbour may have taken.
  var taken: RateLimiter
  var waitingShares: [WaitingShare] = []
  var listings: [Listing] = []
  var folders: [FolderFetch] = []
  var listBudget = ListBudget()

  /// The metrics of sharing.
  struct Counts {
    let shared: Counter
    let unshared: Counter
    let changed: Counter
    let requests: Counter
    let notFound: Counter
    let servedBytes: Counter
    let forwarded: Counter
    let dropped: Counter
    let refused: Counter
    let withheld: Counter
    let skipped: [SkipReason: Counter]

    init(_ setup: LayerSetup<FileShare>) {
      shared = setup.counter("shared", "Files that were shared, or shared anew.")
      unshared = setup.counter("unshared", "Files that were taken back, removed or changed.")
      changed = setup.counter("changed", "Files that turned out to have changed while they were read.")
      requests = setup.counter("requests", "Requests for pieces by their hashes.")
      notFound = setup.counter("notFound", "Requests for pieces that are not here.")
      servedBytes = setup.counter("servedBytes", "Bytes given out by requests for hashes.")
      forwarded = setup.counter("forwarded", "Requests and replies that were passed on.")
      dropped = setup.counter("dropped", "Requests and replies whose way ended here.")
      refused = setup.counter("refused", "Requests beyond what one neighbour, or all, are answered.")
      withheld = setup.counter("withheld", "Answers not sent to an address that hasn't shown that it receives.")
      skipped = [
        .special: setup.counter("skippedSpecial", "Links, pipes, sockets and devices that were left out."),
        .hidden: setup.counter("skippedHidden", "Files and folders left out since their names begin with a dot."),
        .unreadable: setup.counter("skippedUnreadable", "Files and folders that could not be read."),
        .tooLarge: setup.counter("skippedTooLarge", "Files too large, and folders too deep."),
        .tooMany: setup.counter("skippedTooMany", "Files left out since there are too many."),
      ]
    }
  }

  public init(config: FileShareConfig, setup: LayerSetup<FileShare>) throws {
    self.config = config
    me = WireText(setup.nodeName)
    routing = setup.find(.routing)
    library = Library(limit: config.pieces)
    taken = RateLimiter(perSecond: config.rate)
    counts = Counts(setup)
    transfers = Transfers(setup)
    setup.gauge("files", "Files that are shared.") { Double($0.library.count) }
    setup.gauge("bytes", "Bytes in files that are shared.") { Double($0.library.index.bytes) }
    setup.gauge("pieces", "Pieces that are found by their hashes.") { Double($0.library.pieces.count) }
    guard TreeShape.isChunkSize(Int(clamping: config.chunkSize.bytes)) else {
      throw BuildError(
        path: "layers.fileshare.chunkSize",
        "found \(config.chunkSize), expected 4KiB, 8KiB, 16KiB, 32KiB or 64KiB")
    }
    declareSharing(setup)
    declareListing(setup)
    declareTransfers(setup)
    setup.provide(.files, self)
  }

  /// Takes up what was shared, and looks what has changed since.
  public func start(_ context: borrowing LayerContext<FileShare>) {
    startSharing(context)
    startTransfers(context)
    startFolders(context)
  }

  public func timerFired(_ timer: Timer, _ context: borrowing LayerContext<FileShare>) {
    switch timer {
    case .rescan:
      rescan(context)
      greetUnheard(context)
    case .watch: askWatches(context)
    case .pump: pump(context)
    case .lists: endListings(context)
    case .transfer: tickTransfers(context)
    case .folders: tickFolders(context)
    case .upload: serve(context)
    }
  }

  public func outboxDrained(_ context: borrowing LayerContext<FileShare>) { serve(context) }

  public func reconfigured(_ config: FileShareConfig, _ context: borrowing LayerContext<FileShare>) {
    self.config = config
    taken.set(perSecond: config.rate)
    applyLimits(context)
  }
}
