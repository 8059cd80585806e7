// Download: one file that is being fetched: what is known of it, who has it, and what is there.
import PeersterVocabulary
import StackCore

/// A file being fetched. It fetches the levels of the tree from the top down, each checked by the one above, and then
/// the file itself.
final class Download {
  let root: Hash256
  /// What is known of the file; nil while it is being located.
  var descriptor: FileDescriptor?
  /// Where the person wants it: an absolute path, or nothing for the folder of downloads.
  let target: String?
  let isReplacing: Bool
  var path = ""
  var state = DownloadState.locating
  var note: String?

  var holders: [Holder] = []
  /// Who said how large the file is, where no link did. Until all is there nobody else is asked for the last chunk of a
  /// level, by which alone a wrong size shows: so it is known whose lie it was.
  var claimer: Int32?
  /// Whether somebody says another size than the claimer.
  var isContradicted = false
  /// Why what was claimed last could not even be begun.
  var trouble: String?
  /// Whether whoever has it is asked, not only whom the person named.
  var isOpenToAll = false
  /// When everybody was last thought of.
  var lookedAroundAt: Instant
  /// The holders that lied about the size.
  private(set) var liars: [Address] = []
  private var nextHolder: Int32 = 0
  private(set) var source: PartialSource?
  /// The level that is being fetched, and what of it is there.
  private(set) var level = 0
  var scheduler = ChunkScheduler(levelBytes: 0, chunkSize: 8_192, runBytes: 8_192, mostRuns: 1)
  /// Chunks of the file that are there, while a higher level is being fetched or looked through.
  var kept: ChunkMap?
  var cap: TokenBucket
  /// Streams of the `download` command that watch it.
  var watchers: [CommandCall<DownloadProgress, DownloadProgress>] = []
  /// Grows with each stop, so that jobs of before are known for old.
  var era: UInt64 = 0
  var isSyncing = false
  var unsynced: Int64 = 0
  var syncedAt: Instant
  /// How long it took last.
  var syncTook = Duration.zero
  /// When something came last, or it began to wait.
  var cameAt: Instant
  /// Whether everybody has been told that it waits for somebody to bring more.
  var isStuck = false
  var rate = RateMeter()
  var wasted: Int64 = 0
  /// Whether the file has got its name.
  var isWhole = false
  var toldAt: Instant
  var mapToldAt: Instant
  /// Hashes asked of Peersters: which chunk each is, of whom, until when.
  var plain = PlainRequests()
  /// What readers wait for.
  var wanted = WantedRanges()
  let startedAt: Instant

  init(root: Hash256, descriptor: FileDescriptor?, target: String?, isReplacing: Bool, rate: Int64, at now: Instant) {
    self.root = root
    self.descriptor = descriptor
    self.target = target
    self.isReplacing = isReplacing
    cap = TokenBucket(rate: rate, at: now)
    syncedAt = now
    cameAt = now
    lookedAroundAt = now
    toldAt = now
    mapToldAt = now
    startedAt = now
  }

  /// The name that is shown.
  var name: String { descriptor?.safeName.text ?? String(root.hex.prefix(16)) }

  /// The bytes of the file that are there and right.
  var bytes: Int64 {
    guard let shape = descriptor?.shape else { return 0 }
    let map = level == 0 && source != nil ? scheduler.held : kept ?? ChunkMap(count: 0)
    if isWhole || map.isWhole && map.count == shape.chunkCount { return shape.size }
    var bytes = Int64(map.held) * Int64(shape.chunkSize)
    let last = shape.chunkCount - 1
    if last >= 0, map[last] { bytes -= Int64(shape.chunkSize - shape.byteCount(.chunk(last))) }
    return bytes
  }

  /// How long a run of chunks is: a two-thousandth of the file, so that little is lost when all ends at once. From a
  /// GiB on it is 1 MiB, since a disk takes few long writes with less work than many.
  static func runBytes(size: Int64, chunkSize: Int) -> Int {
    if size >= 1 << 30 { return max(1 << 20, chunkSize) }
    var bytes = 1 << 19
    while bytes > chunkSize, Int64(bytes) * 2_000 > size { bytes >>= 1 }
    return max(bytes, chunkSize)
  }

  /// The most memory that runs take, being fetched and being checked.
  static let mostRunBytes = 20 << 20

  /// Begins with files to write to; `held` are the chunks known to be there.
  func begin(_ source: PartialSource, held: ChunkMap) {
    self.source = source
    kept = held
    descend(to: source.shape.height)
  }

  /// Turns to a level.
  func descend(to level: Int) {
    guard let shape = source?.shape else { return }
    self.level = level
    let bytes = level == 0 ? shape.size : Int64(shape.pieceCounts[level - 1]) * 32
    let runBytes = Self.runBytes(size: level == 0 ? bytes : bytes * 256, chunkSize: shape.chunkSize)
    scheduler = ChunkScheduler(
      levelBytes: bytes, chunkSize: shape.chunkSize, runBytes: runBytes,
      mostRuns: max(4, Self.mostRunBytes / runBytes), held: level == 0 ? kept : nil)
    if level == 0 { kept = nil }
  }

  /// The chunks to keep for the next start.
  var mapToKeep: ChunkMap? { source == nil ? nil : level == 0 ? scheduler.held : kept }

  /// Lets go of everything under way.
  func halt() {
    era += 1
    source = nil
    for place in holders.indices { _ = holders[place].takeAll(at: startedAt) }
    plain = PlainRequests()
    scheduler.drop()
  }

  /// A number for a new holder.
  func newHolderID() -> Int32 {
    nextHolder += 1
    return nextHolder
  }

  /// Where a holder stands.
  func place(of id: Int32) -> Int? { holders.firstIndex { $0.id == id } }

  /// How many bytes are asked for and haven't come, of all holders.
  var inFlight: Int { holders.reduce(0) { $0 + $1.inFlight } }

  /// Why nothing comes: who there is, and what is amiss with them.
  var whyStuck: String {
    let banned = holders.count { $0.state == .banned } + liars.count
    let others = holders.count { $0.state != .banned }
    var parts: [String] = []
    if banned > 0 { parts.append("\(banned) sent what is wrong and are asked no more") }
    if others > 0 {
      let what = others == 1 ? "1 brings nothing, and is asked" : "\(others) bring nothing, and are asked"
      parts.append("\(what) again from time to time")
    }
    if let trouble { parts.append(trouble) }
    return "it waits for a holder: " + (parts.isEmpty ? "none is known" : parts.joined(separator: "; "))
  }

  /// Remembers who lied about the size; of too many the oldest are forgotten.
  func note(liar: Address) {
    liars.append(liar)
    if liars.count > Self.mostLiars { liars.removeFirst() }
  }
  private static let mostLiars = 256

  /// How many chunks' holders there are, where not all have everything; nil where all have.
  var rarity: ((Int) -> Int)? {
    let maps = holders.filter { $0.state == .ready }.map(\.holding)
    if maps.allSatisfy({ $0 == nil }) { return nil }
    return { chunk in maps.reduce(0) { $0 + ($1.map { $0[chunk] ? 1 : 0 } ?? 1) } }
  }

  // MARK: To be shown

  func progress() -> DownloadProgress {
    let bytes = bytes
    let left = (descriptor?.size).map { Double($0 - bytes) }
    let speed = rate.bytesPerSecond
    return DownloadProgress(
      root: root, name: name, state: state, size: descriptor?.size, bytes: bytes, rate: Int64(speed),
      secondsLeft: left.flatMap { speed > 1 ? ($0 / speed * 10).rounded() / 10 : nil },
      holders: holders.count { $0.state == .ready }, wasted: wasted, note: note)
  }

  func map() -> DownloadHolders {
    let count = descriptor?.shape.chunkCount ?? 0
    let held = mapToKeep ?? ChunkMap(count: 0)
    func chunks(in cell: Int) -> Range<Int> {
      count * cell / DownloadProgress.cells..<count * (cell + 1) / DownloadProgress.cells
    }
    let cells = (0..<DownloadProgress.cells).map { cell in
      let range = chunks(in: cell)
      return range.isEmpty ? 0 : range.count { held[$0] } * 100 / range.count
    }
    let shown = holders.map { holder in
      HolderProgress(
        address: holder.address, name: holder.name, state: holder.state.rawValue, bytes: holder.bytes,
        rate: Int64(holder.rate.bytesPerSecond), window: Int64(holder.window.window), inFlight: Int64(holder.inFlight),
        cells: holder.cells.enumerated().map { Int($1) * 100 / max(1, chunks(in: $0).count) })
    }
    return DownloadHolders(root: root, holders: shown, cells: cells)
  }
}
