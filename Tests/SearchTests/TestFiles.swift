// TestFiles: a layer that holds files in name only, for Search to find.
import Glibc
import PeersterVocabulary
import StackCore

/// Files at places, and their changes, without anything clever: what an index is held against.
struct PlacedFiles {
  private(set) var files: [HeldFile?] = []
  private var changedAt: [UInt64] = []
  private(set) var revision: UInt64 = 0

  var held: [HeldFile] { files.compactMap { $0 } }

  /// Puts a file at a place, or nothing.
  mutating func set(_ place: Int, _ file: HeldFile?) {
    revision += 1
    files[place] = file
    changedAt[place] = revision
  }

  /// Adds a file at the first free place.
  mutating func add(_ file: HeldFile) {
    var place = files.count
    // Only looked for where there may be one.
    if files.count < 1_000, let free = files.firstIndex(where: { $0 == nil }) { place = free }
    if place == files.count {
      files.append(nil)
      changedAt.append(0)
    }
    set(place, file)
  }

  func forEachChange(after revision: UInt64, _ body: (FileChange) -> Bool) {
    let changed = files.indices.filter { changedAt[$0] > revision }.sorted { changedAt[$0] < changedAt[$1] }
    for place in changed {
      if !body(FileChange(revision: changedAt[place], place: place, file: files[place])) { return }
    }
  }
}

/// Provides files that are only names. A file's root comes from its name.
final class TestFiles: ProtocolLayer, FilesService {
  struct Config: LayerConfig {
    @Setting("The paths of the files.") var paths: [String] = []
    @Setting("The bytes in each.") var size = 20_000
    @Setting("How many chunks of each are here; none: all.") var chunks: Int?
    @Setting("How many more files there are: number 0.bin and so on.") var many = 0
  }
  struct PathInput: CommandInput {
    @Argument("A path.") var path: String
    @Argument("What it is called from now on.") var to: String?
  }
  static let manifest = LayerManifest("files", "Holds files in name only.", provides: [ServiceKey.files])

  private var placed = PlacedFiles()
  var revision: UInt64 { placed.revision }
  var fileCount: Int { placed.held.count }
  let arrivingRevision: UInt64 = 0
  let arriving: [HeldFile] = []
  private let config: Config
  private(set) var told: [FileHolders] = []

  init(config: Config, setup: LayerSetup<TestFiles>) {
    self.config = config
    for path in config.paths.sorted() { placed.add(Self.file(path, config)) }
    for number in 0..<config.many { placed.add(Self.file("many/number \(number).bin", config)) }
    setup.provide(.files, self)
    setup.event(FilesChanged.port)
    setup.command("add", "Adds a file.", TestFiles.add)
    setup.command("rename", "Renames a file; without a name, it is gone.", TestFiles.rename)
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

  private func add(_ input: PathInput, _ context: borrowing LayerContext<TestFiles>) throws -> Int {
    placed.add(Self.file(input.path, config))
    context.publish(FilesChanged(), on: FilesChanged.port)
    return fileCount
  }

  private func rename(_ input: PathInput, _ context: borrowing LayerContext<TestFiles>) throws -> Int {
    guard let place = placed.files.firstIndex(where: { $0?.path == input.path }), var file = placed.files[place] else {
      throw CommandError(.notFound, "no such file")
    }
    placed.set(place, nil)
    if let path = input.to {
      (file.path, file.name) = (path, path)
      placed.add(file)
    }
    context.publish(FilesChanged(), on: FilesChanged.port)
    return fileCount
  }

  private func heard(_ news: FileHolders, _ context: borrowing LayerContext<TestFiles>) { told.append(news) }
  private func told(_ input: NoInput, _ context: borrowing LayerContext<TestFiles>) throws -> [FileHolders] { told }

  func forEachChange(after revision: UInt64, _ body: (FileChange) -> Bool) {
    placed.forEachChange(after: revision, body)
  }
  func file(at place: Int) -> HeldFile? { placed.files[place] }
  func file(root: Hash256) -> HeldFile? { placed.files.first { $0?.root == root } ?? nil }
}

/// Files for an index, without a layer.
final class Names: FilesService {
  var placed = PlacedFiles()
  var arriving: [HeldFile] = []
  var arrivingRevision: UInt64 = 0
  var revision: UInt64 { placed.revision }
  var fileCount: Int { placed.held.count }
  init(_ held: [HeldFile] = []) { for file in held { placed.add(file) } }
  func forEachChange(after revision: UInt64, _ body: (FileChange) -> Bool) {
    placed.forEachChange(after: revision, body)
  }
  func file(at place: Int) -> HeldFile? { placed.files[place] }
  func file(root: Hash256) -> HeldFile? { (placed.held + arriving).first { $0.root == root } }
}

/// How long this thread computes for something: what else runs on the machine doesn't count.
func computing(_ body: () -> Void) -> Duration {
  func spent() -> Duration {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }
  let before = spent()
  body()
  return spent() - before
}
