// TreeBuilder: grows a tree from the hashes of a file's chunks, in order, and gives out each hash as it is known.
import Hashing
import StackCore

/// Builds the levels above the chunks while these come. It holds a piece a level, whatever the file's size.
public struct TreeBuilder {
  /// The chunk size.
  public let chunkSize: Int
  /// How many hashes of chunks have come.
  public private(set) var chunkCount = 0
  /// Of each level the hashes that wait to be hashed together, from the chunks' on.
  private var waiting: [[UInt8]] = [[]]
  /// How many pieces of each level above the chunks have been hashed.
  private var made: [Int] = []

  /// A builder that knows of no chunk yet.
  public init(chunkSize: Int = TreeShape.usualChunkSize) { self.chunkSize = chunkSize }

  /// Takes the next chunks' hashes, 32 bytes each. `emit` gets the hash of each piece above them that is whole, but for
  /// the topmost, with the piece's place.
  public mutating func add<E: Error>(
    _ hashes: UnsafeRawBufferPointer, _ emit: (TreePiece, Hash256) throws(E) -> Void
  ) throws(E) {
    precondition(hashes.count % 32 == 0, "hashes have 32 bytes each")
    var rest = hashes[...]
    while !rest.isEmpty {
      // A full piece is hashed only when more comes: until then it might be the topmost.
      if waiting[0].count == chunkSize { try close(level: 0, emit) }
      let part = rest.prefix(chunkSize - waiting[0].count)
      waiting[0] += part
      chunkCount += part.count / 32
      rest = rest.dropFirst(part.count)
    }
  }

  /// Takes the next chunks' hashes, for who wants only the root.
  public mutating func add(_ hashes: UnsafeRawBufferPointer) { add(hashes) { _, _ in } }

  /// The root. After this nothing may be added.
  public mutating func finish<E: Error>(_ emit: (TreePiece, Hash256) throws(E) -> Void) throws(E) -> Hash256 {
    var level = 0
    while level < made.count {
      try close(level: level, emit)
      level += 1
    }
    return SHA256.hash(waiting[level])
  }

  /// The root, for who wants nothing else.
  public mutating func finish() -> Hash256 { finish { _, _ in } }

  /// Hashes what waits on a level, and has the hash wait on the next.
  private mutating func close<E: Error>(
    level: Int, _ emit: (TreePiece, Hash256) throws(E) -> Void
  ) throws(E) {
    if made.count == level {
      made.append(0)
      waiting.append([])
    }
    if waiting[level + 1].count == chunkSize { try close(level: level + 1, emit) }
    let hash = SHA256.hash(waiting[level])
    try emit(TreePiece(level: level + 1, index: made[level]), hash)
    made[level] += 1
    waiting[level].removeAll(keepingCapacity: true)
    hash.withBytes { waiting[level + 1] += $0 }
  }
}
