// PieceSource: where the chunks of a file and the hashes above them are read from, to be sent to others.
import Hashing
import StackCore

/// A file that can be served: one that is shared, or one that is being fetched, so far as it is here.
protocol PieceSource: AnyObject, Sendable {
  /// The shape of its tree.
  var shape: TreeShape { get }
  /// Reads a stretch of a level into a buffer, wholly; false when it isn't here, or isn't any more what it was.
  func read(level: Int, at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) -> Bool
  /// The same of the file itself; nil when a disk would have to be waited for.
  func readNow(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) -> Bool?
}

/// A file that is being fetched: its data and its hashes, each in a file being written.
final class PartialSource: PieceSource {
  let shape: TreeShape
  let data: any WritableFile
  let tree: any WritableFile

  init(shape: TreeShape, data: any WritableFile, tree: any WritableFile) {
    self.shape = shape
    self.data = data
    self.tree = tree
  }

  func read(level: Int, at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
    let file = level == 0 ? data : tree
    let start = level == 0 ? offset : shape.hashOffset(level: level - 1) + offset
    return (try? file.read(into: buffer, at: start)) == buffer.count
  }

  func readNow(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) -> Bool? {
    do throws(FileError) { return try data.readNow(into: buffer, at: offset).map { $0 == buffer.count } } catch {
      return false
    }
  }

  /// The hashes that chunks of a level must have, 32 bytes each.
  func hashes(level: Int, _ chunks: Range<Int>, root: Hash256) throws(FileError) -> [UInt8] {
    if level == shape.height { return root.withBytes { Array($0) } }
    var result = [UInt8](repeating: 0, count: chunks.count * 32)
    let offset = shape.hashOffset(level: level) + Int64(chunks.lowerBound) * 32
    var failure: FileError?
    var count = 0
    result.withUnsafeMutableBytes { buffer in
      do throws(FileError) { count = try tree.read(into: buffer, at: offset) } catch { failure = error }
    }
    if let failure { throw failure }
    guard count == result.count else { throw FileError(.other, "the hashes of a download are gone from its file") }
    return result
  }

  /// Checks chunks that came, and keeps those that are right; says of each whether it is.
  func keep(level: Int, _ chunks: Range<Int>, _ bytes: PageBuffer, root: Hash256) throws(FileError) -> [Bool] {
    let expected = try hashes(level: level, chunks, root: root)
    let good = bytes.withUnsafeBytes { Self.compare($0, chunkSize: shape.chunkSize, expected) }
    let file = level == 0 ? data : tree
    let base = level == 0 ? 0 : shape.hashOffset(level: level - 1)
    var start = 0
    while start < good.count {
      guard good[start] else {
        start += 1
        continue
      }
      var end = start
      while end < good.count, good[end] { end += 1 }
      let from = start * shape.chunkSize
      let upTo = min(end * shape.chunkSize, bytes.count)
      let offset = base + Int64(chunks.lowerBound) * Int64(shape.chunkSize) + Int64(from)
      var failure: FileError?
      bytes.withUnsafeBytes { all in
        let part = UnsafeRawBufferPointer(rebasing: all[from..<upTo])
        do throws(FileError) { try file.write(part, at: offset) } catch { failure = error }
      }
      if let failure { throw failure }
      start = end
    }
    return good
  }

  /// Which of the chunks side by side in a buffer have these hashes.
  static func compare(_ bytes: UnsafeRawBufferPointer, chunkSize: Int, _ expected: [UInt8]) -> [Bool] {
    let count = (bytes.count + chunkSize - 1) / chunkSize
    var found = [UInt8](repeating: 0, count: count * 32)
    found.withUnsafeMutableBytes { SHA256.hashChunks(of: bytes, chunkSize: chunkSize, into: $0) }
    guard expected.count == found.count else { return Array(repeating: false, count: count) }
    return (0..<count).map { found[$0 * 32..<$0 * 32 + 32] == expected[$0 * 32..<$0 * 32 + 32] }
  }
}
