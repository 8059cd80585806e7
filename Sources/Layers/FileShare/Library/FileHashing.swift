// FileHashing: reads files and hashes their chunks, in jobs: many small files at a time, large ones in stretches.
import Hashing
import StackCore

/// A file that waits to be hashed.
struct HashWork: Sendable {
  var folder: FolderKey
  var name: String
  /// Where it is.
  var files: any LayerFiles
  var path: String
  var size: Int64
  var stamp: UInt64
}

/// What came of hashing a small file.
enum HashOutcome: Sendable {
  case hashed(MerkleTree)
  /// It was changed meanwhile: it looks like this now.
  case changed
  case failed(FileError)
}

/// The work itself, without any state.
enum FileHashing {
  /// What is read before it is hashed: little enough to stay in a core's own cache between the two, and at least a
  /// chunk for each lane.
  static func stretch(_ chunkSize: Int) -> Int { max(1 << 18, SHA256.lanes * chunkSize) }
  /// What one job hashes of a large file.
  static let segment = 1 << 22
  /// Up to here a file is a small one, which is hashed as a whole.
  static let small: Int64 = 1 << 20

  /// Hashes small files one after the other.
  static func hash(_ works: [HashWork], chunkSize: Int) -> [HashOutcome] {
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(small), alignment: 64)
    defer { room.deallocate() }
    return works.map { work in
      do throws(FileError) {
        let file = try work.files.open(work.path)
        let before = try file.facts()
        guard before.stamp == work.stamp, before.size == work.size else { return .changed }
        let part = UnsafeMutableRawBufferPointer(rebasing: room[0..<Int(work.size)])
        guard try file.read(into: part, at: 0) == part.count, try file.facts().stamp == work.stamp,
          let tree = MerkleTree(of: UnsafeRawBufferPointer(part), chunkSize: chunkSize)
        else { return .changed }
        return .hashed(tree)
      } catch { return .failed(error) }
    }
  }

  /// The hashes of the chunks in a stretch of a file; nil when it ends early. They are written to the tree's file too.
  static func hashes(
    of file: any ReadableFile, at start: Int64, count: Int, chunkSize: Int, into tree: any WritableFile
  ) throws(FileError) -> [UInt8]? {
    let stretch = stretch(chunkSize)
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: stretch, alignment: 64)
    defer { room.deallocate() }
    var hashes = [UInt8](repeating: 0, count: (count + chunkSize - 1) / chunkSize * 32)
    var done = 0
    while done < count {
      let part = UnsafeMutableRawBufferPointer(rebasing: room[0..<min(stretch, count - done)])
      guard try file.read(into: part, at: start + Int64(done)) == part.count else { return nil }
      hashes.withUnsafeMutableBytes { all in
        let place = UnsafeMutableRawBufferPointer(rebasing: all[(done / chunkSize * 32)...])
        SHA256.hashChunks(of: UnsafeRawBufferPointer(part), chunkSize: chunkSize, into: place)
      }
      done += part.count
    }
    try hashes.withUnsafeBufferPointer { (bytes) throws(FileError) in
      try tree.write(UnsafeRawBufferPointer(bytes), at: start / Int64(chunkSize) * 32)
    }
    return hashes
  }
}

/// A large file that is being hashed, in stretches that several threads work on.
final class LargeHashing {
  let work: HashWork
  let shape: TreeShape
  let number: UInt32
  let file: any ReadableFile
  let tree: any WritableFile
  private var builder: TreeBuilder
  /// The hashes above the chunks', level by level.
  private(set) var upper: [[UInt8]]
  private(set) var root: Hash256?
  /// How many bytes have been given to jobs.
  private(set) var given: Int64 = 0
  /// How many bytes have been taken in order, and stretches that came before their turn.
  private(set) var taken: Int64 = 0
  private var early: [Int64: [UInt8]] = [:]
  var jobs = 0
  var hasFailed = false

  init(_ work: HashWork, shape: TreeShape, number: UInt32, file: any ReadableFile, tree: any WritableFile) {
    self.work = work
    self.shape = shape
    self.number = number
    self.file = file
    self.tree = tree
    builder = TreeBuilder(chunkSize: shape.chunkSize)
    upper = Array(repeating: [], count: shape.pieceCounts.count)
  }

  /// The next stretch to be hashed; nil when all have been given.
  func next() -> (start: Int64, count: Int)? {
    guard given < shape.size, !hasFailed else { return nil }
    let start = given
    let count = Int(min(Int64(FileHashing.segment), shape.size - start))
    given += Int64(count)
    return (start, count)
  }

  /// A stretch could not be given to a job after all; it was the last one given.
  func giveBack(_ start: Int64) { given = start }

  /// How many bytes have come back from jobs, in order or not.
  private(set) var bytesCounted: Int64 = 0

  /// Takes the hashes of a stretch; the root is known once all have come.
  func take(_ hashes: [UInt8], at start: Int64) {
    early[start] = hashes
    bytesCounted += min(Int64(FileHashing.segment), shape.size - start)
    while let next = early.removeValue(forKey: taken) {
      next.withUnsafeBytes { builder.add($0, note) }
      taken = min(shape.size, taken + Int64(next.count / 32) * Int64(shape.chunkSize))
    }
    if taken == shape.size, root == nil { root = builder.finish(note) }
  }

  private func note(_ piece: TreePiece, _ hash: Hash256) { hash.withBytes { upper[piece.level] += $0 } }

  /// Writes what stands above the chunks' hashes and gives the tree's file its name; false when the file was changed
  /// meanwhile. To be called in a job.
  static func finish(
    _ file: any ReadableFile, _ tree: any WritableFile, upper: [UInt8], at offset: Int64, stamp: UInt64
  ) throws(FileError) -> Bool {
    guard try file.facts().stamp == stamp else {
      tree.discard()
      return false
    }
    try upper.withUnsafeBufferPointer { (bytes) throws(FileError) in
      try tree.write(UnsafeRawBufferPointer(bytes), at: offset)
    }
    try tree.commit(replacing: true)
    return true
  }
}
