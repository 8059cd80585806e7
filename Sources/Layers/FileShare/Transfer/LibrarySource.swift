// LibrarySource: the shared files, as transfers see them.
import Hashing
import StackCore

/// A whole file with its tree in memory.
final class WholeSource: PieceSource {
  let tree: MerkleTree
  let file: any ReadableFile
  let stamp: UInt64
  var shape: TreeShape { tree.shape }

  init(tree: MerkleTree, file: any ReadableFile, stamp: UInt64) {
    self.tree = tree
    self.file = file
    self.stamp = stamp
  }

  func read(level: Int, at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
    if level == 0 {
      guard (try? file.read(into: buffer, at: offset)) == buffer.count else { return false }
      return (try? file.facts())?.stamp == stamp
    }
    let start = Int(shape.hashOffset(level: level - 1) + offset)
    tree.hashes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + buffer.count])) }
    return true
  }
}

extension FileShare {
  /// The shared file of a root.
  func librarySource(_ root: Hash256) -> (source: any PieceSource, name: String)? { transfers.offered[root] }

  /// A download is whole.
  func fetched(_ download: Download, _ context: borrowing LayerContext<FileShare>) {}

  struct OfferInput: CommandInput { @Argument("path") var path = "" }
  func offer(_ input: OfferInput, _ context: borrowing LayerContext<FileShare>) throws -> String {
    let file = try context.files.open(input.path)
    let facts = try file.facts()
    guard let shape = TreeShape(size: facts.size) else { return "" }
    var leaves = [UInt8](repeating: 0, count: shape.chunkCount * 32)
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    var offset: Int64 = 0
    while offset < facts.size {
      let count = try buffer.withUnsafeMutableBytes { try file.read(into: $0, at: offset) }
      let start = Int(offset) / 8192 * 32
      leaves.withUnsafeMutableBytes { out in
        buffer.withUnsafeBytes {
          SHA256.hashChunks(
            of: UnsafeRawBufferPointer(rebasing: $0[..<count]), chunkSize: 8192,
            into: UnsafeMutableRawBufferPointer(rebasing: out[start...]))
        }
      }
      offset += Int64(count)
    }
    guard let tree = MerkleTree(shape: shape, leaves: leaves) else { return "" }
    transfers.offered[tree.root] = (WholeSource(tree: tree, file: file, stamp: facts.stamp), facts.name)
    return FileDescriptor(name: facts.name, size: facts.size, root: tree.root)?.link ?? ""
  }
}
