// TestFiles: a layer that holds files in name only, for Search to find.
import PeersterVocabulary
import StackCore

/// Provides files that are only names. A file's root comes from its path, or from `same` where that is given.
final class TestFiles: ProtocolLayer, FilesService {
  struct Config: LayerConfig {
    @Setting("The paths of the files.") var paths: [String] = []
    @Setting("The bytes in each.") var size = 20_000
    @Setting("How many chunks of each are here; none: all.") var chunks: Int?
  }
  struct AddInput: CommandInput {
    @Argument("A path.") var path: String
  }
  static let manifest = LayerManifest("files", "Holds files in name only.", provides: [ServiceKey.files])

  private(set) var held: [HeldFile] = []
  private(set) var revision: UInt64 = 1
  var fileCount: Int { held.count }
  private let config: Config
  private(set) var told: [FileHolders] = []

  init(config: Config, setup: LayerSetup<TestFiles>) {
    self.config = config
    held = config.paths.sorted().map { Self.file($0, config) }
    setup.provide(.files, self)
    setup.command("add", "Adds a file.", TestFiles.add)
    setup.command("told", "Who is said to hold files.", TestFiles.told)
    setup.subscribe(FileHolders.port, TestFiles.heard)
  }

  static func root(of path: String) -> Hash256 {
    var stream = RandomStream(seed: stableHash(path.utf8))
    var bytes: [UInt8] = []
    for _ in 0..<32 { bytes.append(UInt8(truncatingIfNeeded: stream.next())) }
    return Hash256(bytes) ?? Hash256()
  }

  static func file(_ path: String, _ config: Config) -> HeldFile {
    let name = path.split(separator: "/").last.map(String.init) ?? path
    let held = config.chunks.map { HeldChunks.ranges($0 > 0 ? [0..<$0] : []) } ?? .all
    return HeldFile(
      name: name, path: path, size: Int64(config.size), chunkSize: 8_192, root: root(of: name), held: held)
  }

  private func add(_ input: AddInput, _ context: borrowing LayerContext<TestFiles>) throws -> Int {
    held.append(Self.file(input.path, config))
    held.sort { $0.path < $1.path }
    revision += 1
    return held.count
  }

  private func heard(_ news: FileHolders, _ context: borrowing LayerContext<TestFiles>) { told.append(news) }
  private func told(_ input: NoInput, _ context: borrowing LayerContext<TestFiles>) throws -> [FileHolders] { told }

  func forEachFile(_ body: (HeldFile) -> Bool) { for file in held where !body(file) { return } }
  func file(root: Hash256) -> HeldFile? { held.first { $0.root == root } }
}
