// FileShare: files that others may have, in place and by the hash of their content, and files had from others.
import PeersterVocabulary
import StackCore

/// Shares files with Strata nodes and Peersters, and fetches files from them.
public final class FileShare: ProtocolLayer {
  public typealias Config = FileShareConfig
  /// What FileShare waits for.
  public enum Timer: Hashable { case rescan, transfer, serve }

  public static let manifest = LayerManifest(
    "fileshare", "Shares files, and fetches them from all who hold them.", provides: [ServiceKey.files],
    uses: [ServiceKey.routing])

  var config: FileShareConfig
  let me: WireText
  let routing: (any RoutingService)?
  let transfers: Transfers

  public init(config: FileShareConfig, setup: LayerSetup<FileShare>) throws {
    self.config = config
    me = WireText(setup.nodeName)
    routing = setup.find(.routing)
    transfers = Transfers(setup)
    setup.provide(.files, self)
    declareTransfers(setup)
    setup.on(PeersterField.dataRequest, DataRequest.self, FileShare.tmpRequest)
    setup.on(PeersterField.dataReply, DataReply.self, FileShare.heardData)
  }
  func tmpRequest(_ r: DataRequest, from: Address, _ context: borrowing LayerContext<FileShare>) {}

  public func start(_ context: borrowing LayerContext<FileShare>) { startTransfers(context) }

  public func timerFired(_ timer: Timer, _ context: borrowing LayerContext<FileShare>) {
    switch timer {
    case .rescan: break
    case .transfer: tickTransfers(context)
    case .serve: serve(context)
    }
  }

  public func outboxDrained(_ context: borrowing LayerContext<FileShare>) { serve(context) }

  public func reconfigured(_ config: FileShareConfig, _ context: borrowing LayerContext<FileShare>) {
    self.config = config
    applyLimits(context)
  }
}

extension FileShare: FilesService {
  /// Grows whenever a file comes, goes or changes.
  public var revision: UInt64 { 0 }
  /// How many files are held.
  public var fileCount: Int { 0 }
  /// Calls `body` for each file, in the byte order of their paths, until it answers false.
  public func forEachFile(_ body: (HeldFile) -> Bool) {}
  /// The file of this root.
  public func file(root: Hash256) -> HeldFile? { nil }
}
