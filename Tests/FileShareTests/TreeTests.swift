// TreeTests: the tree against vectors computed elsewhere, against itself, and against those who lie.
import Foundation
import Hashing
import StackCore
import Testing

@testable import FileShare

@Suite struct TreeTests {
  /// The vectors stand beside the repository, where they are handed out; they are not part of it.
  private static let file =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("shared/vectors/merkle-8k/merkle-8k.json").path
  private static let isThere = FileManager.default.fileExists(atPath: file)

  @Test("Roots and levels as computed elsewhere", .enabled(if: isThere, "no tree vectors here"))
  func vectors() throws {
    let json = try JSON.parse(try String(contentsOfFile: Self.file, encoding: .utf8))
    let vectors = json["vectors"]?.arrayValue ?? []
    #expect(vectors.count == 9)
    for vector in vectors {
      let size = Int(try #require(vector["size"]?.integerValue))
      let root = try #require(Hash256(hex: vector["root"]?.stringValue ?? ""))
      let shape = try #require(TreeShape(size: Int64(size)))
      let levels = (vector["nodesPerLevel"]?.arrayValue ?? []).compactMap { $0.integerValue }
      #expect(shape.pieceCounts.dropLast().map { Int64($0) } == levels)
      var builder = TreeBuilder()
      if vector["content"] == "zero" {
        let hash = SHA256.hash([UInt8](repeating: 0, count: 8_192)).bytes
        for _ in 0..<shape.chunkCount { hash.withUnsafeBytes { builder.add($0) } }
        #expect(builder.finish() == root)
        continue
      }
      var x = UInt64(try #require(vector["seed"]?.integerValue))
      let content = (0..<size).map { _ in
        x = (x &* 1_103_515_245 &+ 12_345) & 0x7fff_ffff
        return UInt8(truncatingIfNeeded: x >> 16)
      }
      #expect(MerkleTree(of: content)?.root == root, "size \(size)")
    }
  }

  @Test func aPeerstersMetahashIsTheHashOfTheChunksHashes() throws {
    let content = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
    let chunks = content.withUnsafeBytes { SHA256.hashChunks(of: $0, chunkSize: 8_192) }
    #expect(MerkleTree(of: content)?.root == SHA256.hash(chunks.flatMap(\.bytes)))
  }

  /// Sizes around where levels begin, for small chunks.
  private static let sizes = [0, 1, 4_095, 4_096, 4_097, 524_287, 524_288, 524_289, 1_000_000, 3_333_333]

  @Test(arguments: sizes) func everyPieceIsVerifiedFromTheTopDown(_ size: Int) throws {
    var random = RandomStream(seed: UInt64(size))
    let content = (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let tree = try #require(MerkleTree(of: content, chunkSize: 4_096))
    let shape = tree.shape
    #expect(tree.hashes.count == Int(shape.hashOffset(level: shape.height)))
    var partial = PartialTree(shape: shape, root: tree.root)
    func bytes(_ piece: TreePiece) -> [UInt8] {
      if let node = tree.bytes(piece) { return node }
      let start = Int(shape.offset(piece))
      return Array(content[start..<start + shape.byteCount(piece)])
    }
    func offer(_ piece: TreePiece, _ bytes: [UInt8]) -> PartialTree.Verdict {
      bytes.withUnsafeBytes { partial.accept(piece, $0) }
    }
    // Bottom up nothing can be checked but the topmost.
    if shape.chunkCount > 0 { #expect(offer(.chunk(0), bytes(.chunk(0))) == .unknown) }
    for level in (0...shape.height).reversed() {
      for index in 0..<shape.pieceCounts[level] {
        let piece = TreePiece(level: level, index: index)
        let right = bytes(piece)
        #expect(SHA256.hash(right) == tree.hash(piece))
        if !right.isEmpty {
          var wrong = right
          wrong[random.next(below: UInt64(right.count)).toInt] ^= 1
          #expect(offer(piece, wrong) == .wrong)
          #expect(offer(piece, Array(right.dropLast())) == .wrong)
        }
        #expect(offer(piece, right + [0]) == .wrong)
        #expect(offer(piece, right) == .verified)
        for child in shape.children(piece) {
          let below = TreePiece(level: level - 1, index: child)
          #expect(shape.parent(below)?.piece == piece && partial.expectedHash(below) == tree.hash(below))
        }
      }
      #expect(offer(TreePiece(level: level, index: shape.pieceCounts[level]), [1]) == .absent)
    }
    #expect(offer(TreePiece(level: -1, index: 0), []) == .absent)
    #expect(partial.nodeCount == shape.nodeCount)
  }

  @Test func aNodeDoesNotPassForAChunk() throws {
    let content = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 / 3) }
    let tree = try #require(MerkleTree(of: content, chunkSize: 4_096))
    var partial = PartialTree(shape: tree.shape, root: tree.root)
    let top = try #require(tree.bytes(tree.shape.top))
    #expect(top.withUnsafeBytes { partial.accept(.chunk(0), $0) } == .wrong)
    #expect(top.withUnsafeBytes { partial.accept(tree.shape.top, $0) } == .verified)
    let node = try #require(tree.bytes(TreePiece(level: 1, index: 0)))
    #expect(node.withUnsafeBytes { partial.accept(.chunk(0), $0) } == .unknown)
    #expect(node.withUnsafeBytes { partial.accept(TreePiece(level: 1, index: 0), $0) } == .verified)
    #expect(node.withUnsafeBytes { partial.accept(.chunk(0), $0) } == .wrong)
  }

  @Test func theBuilderSaysTheSameHoweverHashesCome() throws {
    var random = RandomStream(seed: 9)
    for count in [0, 1, 127, 128, 129, 16_384, 16_385, 20_000] {
      let leaves = (0..<count * 32).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let shape = try #require(TreeShape(size: Int64(count) * 4_096, chunkSize: 4_096))
      let tree = try #require(MerkleTree(shape: shape, leaves: leaves))
      var builder = TreeBuilder(chunkSize: 4_096)
      var emitted: [TreePiece: Hash256] = [:]
      var place = 0
      while place < count {
        let part = min(count - place, 1 + random.next(below: 300).toInt)
        leaves[place * 32..<(place + part) * 32].withUnsafeBytes { builder.add($0) { emitted[$0] = $1 } }
        place += part
      }
      #expect(builder.finish { emitted[$0] = $1 } == tree.root)
      #expect(emitted.count == shape.nodeCount - 1)
      for (piece, hash) in emitted { #expect(tree.hash(piece) == hash) }
    }
  }

  @Test func sizesThatCannotBeAreRefused() {
    #expect(TreeShape(size: -1) == nil)
    #expect(TreeShape(size: 1 << 60) == nil)
    #expect(TreeShape(size: .max) == nil)
    for chunk in [0, 1, 4_095, 12_288, 131_072, -8_192] { #expect(TreeShape(size: 1, chunkSize: chunk) == nil) }
    // The largest that is believed costs nothing to reckon with.
    let shape = TreeShape(size: TreeShape.largestSize, chunkSize: 4_096)
    #expect(shape?.height == 6 && shape?.chunkCount == 1 << 38)
    #expect(shape?.path(to: 1 << 37).count == 6)
  }
}

extension UInt64 {
  var toInt: Int { Int(self) }
}
