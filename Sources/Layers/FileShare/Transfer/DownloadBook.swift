// DownloadBook: what is kept of downloads, so that they go on after a crash.
import PeersterVocabulary
import StackCore

/// A download as it is kept.
struct StoredDownload: WireMessage, Hashable {
  var name = ""
  var size: UInt64?
  var chunkSize: UInt32 = 8_192
  var target: String?
  var isReplacing = false
  var isPaused = false
  var rate: UInt64 = 0
  /// Who has it: addresses as text, and names.
  var addresses: [String] = []
  var names: [WireText] = []
  /// Whether others are asked as well.
  var isOpenToAll = false

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "name", &name)
    try field(2, "size", &size)
    try field(3, "chunkSize", &chunkSize)
    try field(4, "target", &target)
    try field(5, "isReplacing", &isReplacing)
    try field(6, "isPaused", &isPaused)
    try field(7, "rate", &rate)
    try field(8, "addresses", &addresses, limit: 64)
    try field(9, "names", &names, limit: 64)
    try field(10, "isOpenToAll", &isOpenToAll)
  }
}

/// The downloads in a layer's storage: under `transfer.d` what each is, under `transfer.m` which chunks are durable.
struct DownloadBook {
  let storage: any LayerStorage

  private static func key(_ kind: Character, _ root: Hash256) -> [UInt8] { prefix(kind) + root.bytes }
  private static func prefix(_ kind: Character) -> [UInt8] { Array("transfer.\(kind).".utf8) }

  func keep(_ download: StoredDownload, root: Hash256) throws(StorageError) {
    try storage.set(Self.key("d", root), download.encoded())
  }

  func keep(_ map: ChunkMap, root: Hash256) throws(StorageError) { try storage.set(Self.key("m", root), map.stored) }

  /// The chunks that are durable; none where nothing is kept or it is of another file.
  func map(root: Hash256, count: Int) throws(StorageError) -> ChunkMap {
    try storage.get(Self.key("m", root)).flatMap { ChunkMap(stored: $0, count: count) } ?? ChunkMap(count: count)
  }

  func forget(root: Hash256) throws(StorageError) {
    try storage.remove(Self.key("d", root))
    try storage.remove(Self.key("m", root))
  }

  /// All downloads, in the order of their roots.
  func all(limit: Int) throws(StorageError) -> [(root: Hash256, download: StoredDownload)] {
    var found: [(root: Hash256, download: StoredDownload)] = []
    let prefix = Self.prefix("d")
    try storage.scan(from: prefix, upTo: Self.prefix("e"), reversed: false, limit: limit) { key, value in
      if let root = Hash256(Array(key.dropFirst(prefix.count))), let download = try? StoredDownload(decoding: value) {
        found.append((root, download))
      }
      return true
    }
    return found
  }
}
