// MerkleTree: all hashes of one file side by side, as they stand on disk, and PartialTree: those that have come so far.
import Hashing
import StackCore

/// A whole tree in memory: for files small enough, and for tests.
public struct MerkleTree: Hashable, Sendable {
  /// Its shape.
  public let shape: TreeShape
  /// The root: the hash that names the file.
  public let root: Hash256
  /// The hashes of all pieces but the topmost, 32 bytes each: the chunks' first, then level by level.
  public let hashes: [UInt8]

  /// The tree over a file's content.
  public init?(of content: UnsafeRawBufferPointer, chunkSize: Int = TreeShape.usualChunkSize) {
    guard let shape = TreeShape(size: Int64(content.count), chunkSize: chunkSize) else { return nil }
    var leaves = [UInt8](repeating: 0, count: shape.chunkCount * 32)
    leaves.withUnsafeMutableBytes { SHA256.hashChunks(of: content, chunkSize: chunkSize, into: $0) }
    self.init(shape: shape, leaves: leaves)
  }

  /// The tree over a file's content.
  public init?(of content: [UInt8], chunkSize: Int = TreeShape.usualChunkSize) {
    guard let tree = content.withUnsafeBytes({ MerkleTree(of: $0, chunkSize: chunkSize) }) else { return nil }
    self = tree
  }

  /// The tree over chunks whose hashes are known; nil when there are too many or too few of them.
  public init?(shape: TreeShape, leaves: [UInt8]) {
    guard leaves.count == shape.chunkCount * 32 else { return nil }
    var builder = TreeBuilder(chunkSize: shape.chunkSize)
    var levels = [[UInt8]](repeating: [], count: shape.pieceCounts.count)
    func note(_ piece: TreePiece, _ hash: Hash256) { hash.withBytes { levels[piece.level] += $0 } }
    leaves.withUnsafeBytes { builder.add($0, note) }
    root = builder.finish(note)
    self.shape = shape
    hashes = levels.reduce(into: leaves) { $0 += $1 }
  }

  /// The hash of a piece; nil when there is no such piece.
  public func hash(_ piece: TreePiece) -> Hash256? {
    guard shape.contains(piece) else { return nil }
    if piece == shape.top { return root }
    let start = Int(shape.hashOffset(level: piece.level)) + piece.index * 32
    return Hash256(Array(hashes[start..<start + 32]))
  }

  /// The bytes of a piece of hashes; nil for a chunk and for what isn't there.
  public func bytes(_ piece: TreePiece) -> [UInt8]? {
    guard piece.level > 0, shape.contains(piece) else { return nil }
    let start = Int(shape.hashOffset(level: piece.level - 1) + shape.offset(piece))
    return Array(hashes[start..<start + shape.byteCount(piece)])
  }
}

/// What is known of a tree while it comes from others: nothing counts until it has been checked up to the root.
///
/// Pieces of hashes are taken from the top down. A piece is checked against its hash and against the length that the
/// shape says it has; so a node can't pass for a chunk, nor a chunk for a node, of a file whose size is right.
public struct PartialTree: Sendable {
  /// What came of a piece that was offered.
  public enum Verdict: Hashable, Sendable {
    /// It is what it should be.
    case verified
    /// It is not; who sent it is wrong or lies.
    case wrong
    /// It can't be checked yet, since the piece above it hasn't come.
    case unknown
    /// The tree has no such piece.
    case absent
  }

  /// The shape of the tree.
  public let shape: TreeShape
  /// The hash that names the file.
  public let root: Hash256
  /// The pieces of hashes that have been verified.
  private var nodes: [TreePiece: [UInt8]] = [:]

  /// A tree of which only the root is known.
  public init(shape: TreeShape, root: Hash256) {
    self.shape = shape
    self.root = root
  }

  /// How many pieces of hashes are held; each takes up to a chunk's size.
  public var nodeCount: Int { nodes.count }

  /// The hash that a piece must have; nil while it isn't known, or when there is no such piece.
  public func expectedHash(_ piece: TreePiece) -> Hash256? {
    guard shape.contains(piece) else { return nil }
    guard let (parent, offset) = shape.parent(piece) else { return root }
    guard let bytes = nodes[parent], offset + 32 <= bytes.count else { return nil }
    return bytes.withUnsafeBytes { Hash256(UnsafeRawBufferPointer(rebasing: $0[offset..<offset + 32])) }
  }

  /// Checks a piece.
  public func check(_ piece: TreePiece, _ bytes: UnsafeRawBufferPointer) -> Verdict {
    guard shape.contains(piece) else { return .absent }
    guard bytes.count == shape.byteCount(piece) else { return .wrong }
    guard let expected = expectedHash(piece) else { return .unknown }
    return SHA256.hash(bytes) == expected ? .verified : .wrong
  }

  /// Checks a piece, and keeps it where it is one of hashes and verified.
  public mutating func accept(_ piece: TreePiece, _ bytes: UnsafeRawBufferPointer) -> Verdict {
    let verdict = check(piece, bytes)
    if verdict == .verified, piece.level > 0 { nodes[piece] = [UInt8](bytes) }
    return verdict
  }

  /// Whether a piece of hashes is held.
  public func holds(_ piece: TreePiece) -> Bool { nodes[piece] != nil }

  /// The bytes of a piece of hashes, where it is held.
  public func bytes(_ piece: TreePiece) -> [UInt8]? { nodes[piece] }

  /// Lets go of a piece of hashes that is not needed any more.
  public mutating func forget(_ piece: TreePiece) { nodes[piece] = nil }

  /// The next piece to be asked for so that a chunk can be checked: the highest on its path that isn't held; nil when
  /// its hash is known.
  public func missing(for chunk: Int) -> TreePiece? { shape.path(to: chunk).first { nodes[$0] == nil } }
}
