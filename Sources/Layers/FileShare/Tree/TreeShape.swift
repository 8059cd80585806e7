// TreeShape: how many pieces a file's tree has at which level, from the file's size and its chunk size alone.
import StackCore

/// A piece of a tree: what can be asked for by its hash, and is checked as a whole.
///
/// Level 0 is the file's chunks. A piece of level 1 is a stretch of the chunks' hashes, one of level 2 a stretch of
/// level 1's, and so on up to the one piece of the topmost level, whose hash names the file.
public struct TreePiece: Hashable, Comparable, Sendable, Codable {
  /// 0 for a chunk of the file.
  public var level: Int
  /// Its place among the pieces of its level.
  public var index: Int

  /// A piece.
  public init(level: Int, index: Int) {
    self.level = level
    self.index = index
  }

  /// A chunk of the file.
  public static func chunk(_ index: Int) -> TreePiece { TreePiece(level: 0, index: index) }

  /// Lower levels first.
  public static func < (left: TreePiece, right: TreePiece) -> Bool {
    (left.level, left.index) < (right.level, right.index)
  }
}

/// The shape of the tree over a file of a known size. All of it is arithmetic; nothing here is as large as the file.
///
/// The hashes of the chunks are laid side by side and cut into pieces of a chunk's size, these are hashed in turn, and
/// so on until all hashes fit into one piece.
public struct TreeShape: Hashable, Sendable {
  /// The bytes in the file.
  public let size: Int64
  /// The bytes in a chunk, and in a piece of hashes; the last of each level may be shorter.
  public let chunkSize: Int
  /// How many pieces each level has, from the chunks on; the last is always 1.
  public let pieceCounts: [Int]

  /// Chunk sizes that are possible: powers of two.
  public static let chunkSizes = 4_096...65_536
  /// The chunk size of the Peersters, and ours by default.
  public static let usualChunkSize = 8_192
  /// The largest file that is believed: 2^50 bytes.
  public static let largestSize: Int64 = 1 << 50

  /// The shape over so many bytes; nil when the size or the chunk size is not a possible one.
  public init?(size: Int64, chunkSize: Int = usualChunkSize) {
    guard size >= 0, size <= Self.largestSize, Self.isChunkSize(chunkSize) else { return nil }
    self.size = size
    self.chunkSize = chunkSize
    var count = Int(size) / chunkSize + (Int(size) % chunkSize == 0 ? 0 : 1)
    var counts = [count]
    let fanout = chunkSize / 32
    while count > fanout {
      count = (count + fanout - 1) / fanout
      counts.append(count)
    }
    pieceCounts = counts + [1]
  }

  /// Whether a number of bytes may be a chunk's.
  public static func isChunkSize(_ bytes: Int) -> Bool { chunkSizes.contains(bytes) && bytes & (bytes - 1) == 0 }

  /// How many hashes fit into a piece.
  public var fanout: Int { chunkSize / 32 }
  /// How many chunks the file has.
  public var chunkCount: Int { pieceCounts[0] }
  /// The topmost level, that of the piece whose hash is the root. At least 1.
  public var height: Int { pieceCounts.count - 1 }
  /// The topmost piece.
  public var top: TreePiece { TreePiece(level: height, index: 0) }
  /// How many pieces of hashes there are, on all levels above the chunks.
  public var nodeCount: Int { pieceCounts.dropFirst().reduce(0, +) }

  /// Whether the tree has this piece.
  public func contains(_ piece: TreePiece) -> Bool {
    pieceCounts.indices.contains(piece.level) && piece.index >= 0 && piece.index < pieceCounts[piece.level]
  }

  /// How many bytes a level has, all pieces together.
  private func bytes(onLevel level: Int) -> Int64 { level == 0 ? size : Int64(pieceCounts[level - 1]) * 32 }

  /// How many bytes a piece has; 0 for one that isn't there (and for the topmost of an empty file).
  public func byteCount(_ piece: TreePiece) -> Int {
    guard contains(piece) else { return 0 }
    return Int(min(Int64(chunkSize), bytes(onLevel: piece.level) - Int64(piece.index) * Int64(chunkSize)))
  }

  /// Where in the file a chunk begins, or where among all hashes of the level below a piece of hashes.
  public func offset(_ piece: TreePiece) -> Int64 { Int64(piece.index) * Int64(chunkSize) }

  /// The piece that holds this one's hash, and where in it that stands; nil for the topmost.
  public func parent(_ piece: TreePiece) -> (piece: TreePiece, offset: Int)? {
    guard piece.level < height else { return nil }
    return (TreePiece(level: piece.level + 1, index: piece.index / fanout), piece.index % fanout * 32)
  }

  /// The pieces whose hashes a piece holds, by their indices on the level below; none for a chunk.
  public func children(_ piece: TreePiece) -> Range<Int> {
    guard piece.level > 0, contains(piece) else { return 0..<0 }
    let first = piece.index * fanout
    return first..<min(first + fanout, pieceCounts[piece.level - 1])
  }

  /// The pieces of hashes that must be known to check a chunk, from the topmost down.
  public func path(to chunk: Int) -> [TreePiece] {
    var path: [TreePiece] = []
    var piece = TreePiece.chunk(chunk)
    while let parent = parent(piece) {
      path.append(parent.piece)
      piece = parent.piece
    }
    return path.reversed()
  }

  /// Where all hashes of a level begin when the levels' hashes are laid one after the other, the chunks' first.
  public func hashOffset(level: Int) -> Int64 { Int64(pieceCounts.prefix(level).reduce(0, +)) * 32 }
}
