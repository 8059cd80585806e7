// FileSource: a shared file open for reading, with its tree, such that no byte that isn't the file's is given out.
import Hashing
import StackCore

/// Where a shared file and its tree are: all that a job needs to open them.
struct FileReference: Sendable {
  /// Where the hashes are.
  enum Tree: Sendable {
    /// All of them, as `MerkleTree.hashes`.
    case memory([UInt8])
    /// In a file of the layer's own folder, laid out the same.
    case file(String)
  }
  /// Where the file is, and by whose eyes: relative to the shared folder, so that no link leads out of it.
  var files: any LayerFiles
  var path: String
  var name: String
  var shape: TreeShape
  var root: Hash256
  /// What the file looked like when it was hashed.
  var stamp: UInt64
  var tree: Tree

  /// Opens the file, with the layer's own files for its tree; refused when it isn't what was hashed any more. To be
  /// called in a job.
  func open(_ own: any LayerFiles) throws(FileError) -> FileSource {
    let content = try files.open(path)
    var hashes: (any ReadableFile)?
    if case .file(let place) = tree { hashes = try own.open(place) }
    let source = FileSource(reference: self, content: content, hashes: hashes)
    guard try source.isUnchanged() else { throw FileError(.other, "\(path): it has changed since it was hashed") }
    return source
  }
}

/// A shared file open for reading. Safe to use from jobs.
struct FileSource: Sendable {
  let reference: FileReference
  let content: any ReadableFile
  let hashes: (any ReadableFile)?

  var shape: TreeShape { reference.shape }
  var root: Hash256 { reference.root }

  /// Whether the file still looks as it did when it was hashed. What was read before this was asked, and after it had
  /// been so once, is the file's content as hashed; but only `read(piece)` is proof.
  func isUnchanged() throws(FileError) -> Bool {
    let facts = try content.facts()
    return facts.stamp == reference.stamp && facts.size == shape.size
  }

  /// Reads from a level's bytes: 0 for the file's own; above that, for the hashes that the level's pieces are made of.
  /// Answers how many bytes were read. Nothing is checked.
  func read(
    level: Int, at offset: Int64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> Int {
    guard shape.pieceCounts.indices.contains(level), offset >= 0 else { return 0 }
    let end = level == 0 ? shape.size : Int64(shape.pieceCounts[level - 1]) * 32
    let count = Int(min(Int64(buffer.count), max(0, end - offset)))
    let room = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count])
    if level == 0 { return try content.read(into: room, at: offset) }
    return try readHashes(into: room, at: shape.hashOffset(level: level - 1) + offset)
  }

  /// The same for a stretch of the file itself that is wholly there; nil when a disk would have to be waited for.
  func readNow(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int? {
    guard offset >= 0, Int64(buffer.count) <= shape.size - offset else { return 0 }
    return try content.readNow(into: buffer, at: offset)
  }

  private func readHashes(into room: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int {
    if let hashes { return try hashes.read(into: room, at: offset) }
    guard case .memory(let bytes) = reference.tree, offset <= Int64(bytes.count) else { return 0 }
    let part = bytes[Int(offset)...].prefix(room.count)
    room.copyBytes(from: part)
    return part.count
  }

  /// The hash that a piece must have.
  func expectedHash(_ piece: TreePiece) throws(FileError) -> Hash256? {
    guard shape.contains(piece) else { return nil }
    if piece == shape.top { return root }
    var bytes = [UInt8](repeating: 0, count: 32)
    let offset = shape.hashOffset(level: piece.level) + Int64(piece.index) * 32
    let count = try bytes.withUnsafeMutableBufferPointer { (room) throws(FileError) in
      try readHashes(into: UnsafeMutableRawBufferPointer(room), at: offset)
    }
    return count == 32 ? Hash256(bytes) : nil
  }

  /// A piece's bytes, checked against its hash; nil when they are not there or not right any more.
  func read(_ piece: TreePiece) throws(FileError) -> [UInt8]? {
    guard let expected = try expectedHash(piece) else { return nil }
    var bytes = [UInt8](repeating: 0, count: shape.byteCount(piece))
    let count = try bytes.withUnsafeMutableBufferPointer { (room) throws(FileError) in
      try read(level: piece.level, at: shape.offset(piece), into: UnsafeMutableRawBufferPointer(room))
    }
    return count == bytes.count && SHA256.hash(bytes) == expected ? bytes : nil
  }

  /// Which of the chunks of a range are not what they should be; all of those that can't be read. The buffer must have
  /// room for all of them, and holds what was read.
  func check(_ chunks: Range<Int>, using buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> [Int] {
    let start = Int64(chunks.lowerBound) * Int64(shape.chunkSize)
    let wanted = Int(min(Int64(chunks.count) * Int64(shape.chunkSize), shape.size - start))
    let count = try read(level: 0, at: start, into: UnsafeMutableRawBufferPointer(rebasing: buffer[0..<wanted]))
    let found = SHA256.hashChunks(of: UnsafeRawBufferPointer(rebasing: buffer[0..<count]), chunkSize: shape.chunkSize)
    var expected = [UInt8](repeating: 0, count: chunks.count * 32)
    let known = try expected.withUnsafeMutableBufferPointer { (room) throws(FileError) in
      try readHashes(into: UnsafeMutableRawBufferPointer(room), at: Int64(chunks.lowerBound) * 32)
    }
    return expected.withUnsafeBytes { hashes in
      chunks.filter { chunk in
        let place = chunk - chunks.lowerBound
        guard place < found.count, (place + 1) * 32 <= known else { return true }
        return Hash256(UnsafeRawBufferPointer(rebasing: hashes[place * 32..<place * 32 + 32])) != found[place]
      }
    }
  }
}
