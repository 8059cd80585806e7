// FileShare: files that others may have, in place and by the hash of their content, and files had from others.
import PeersterVocabulary
import StackCore

/// Shares files with Strata nodes and Peersters, and fetches files from them.
public final class FileShare: ProtocolLayer {
  public typealias Config = FileShareConfig
  /// What FileShare waits for.
  public enum Timer: Hashable { case rescan }

  public static let manifest = LayerManifest(
    "fileshare", "Shares files, and fetches them from all who hold them.", provides: [ServiceKey.files],
    uses: [ServiceKey.routing])

  var config: FileShareConfig
  let me: WireText
  let routing: (any RoutingService)?

  public init(config: FileShareConfig, setup: LayerSetup<FileShare>) throws {
    self.config = config
    me = WireText(setup.nodeName)
    routing = setup.find(.routing)
    setup.provide(.files, self)
    declareTransfers(setup)
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
