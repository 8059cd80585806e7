// LibrarySource: shared files, and files that have been fetched, as transfers read them.
import PeersterVocabulary
import StackCore

/// A shared file, read in place.
final class LibrarySource: PieceSource {
  let file: FileSource
  var shape: TreeShape { file.shape }

  init(_ file: FileSource) { self.file = file }

  func read(level: Int, at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
    do throws(FileError) {
      guard try file.read(level: level, at: offset, into: buffer) == buffer.count else { return false }
      // Asked after the bytes were read: what they are is what was hashed.
      if level > 0 { return true }
      return try file.isUnchanged()
    } catch { return false }
  }

  func readNow(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) -> Bool? {
    do throws(FileError) {
      guard let count = try file.readNow(at: offset, into: buffer) else { return nil }
      guard count == buffer.count else { return false }
      return try file.isUnchanged()
    } catch { return false }
  }
}

/// A file that was fetched and has its name, with its hashes.
final class FetchedSource: PieceSource {
  let shape: TreeShape
  let data: any ReadableFile
  let tree: any ReadableFile
  /// What the file looked like when it was whole.
  let stamp: UInt64

  init(shape: TreeShape, data: any ReadableFile, tree: any ReadableFile) throws(FileError) {
    self.shape = shape
    self.data = data
    self.tree = tree
    stamp = try data.facts().stamp
  }

  func read(level: Int, at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
    let start = level == 0 ? offset : shape.hashOffset(level: level - 1) + offset
    do throws(FileError) {
      guard try (level == 0 ? data : tree).read(into: buffer, at: start) == buffer.count else { return false }
      if level > 0 { return true }
      return try data.facts().stamp == stamp
    } catch { return false }
  }

  func readNow(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) -> Bool? {
    do throws(FileError) {
      guard let count = try data.readNow(into: buffer, at: offset) else { return nil }
      guard count == buffer.count else { return false }
      return try data.facts().stamp == stamp
    } catch { return false }
  }
}

extension FileShare {
  /// The shared file of a root, open.
  func librarySource(
    _ root: Hash256, _ context: borrowing LayerContext<FileShare>
  ) -> (source: any PieceSource, name: String)? {
    for place in library.index.places(root: root, limit: Library.mostTried) {
      guard let file = library.index[place], let reference = reference(place, context) else { continue }
      if let known = library.open.first(where: { $0.number == file.number })?.source {
        if (try? known.isUnchanged()) == true { return (LibrarySource(known), file.name) }
        library.open.removeAll { $0.number == file.number }
      }
      guard let source = try? reference.open(context.files) else { continue }
      library.open.append((file.number, source))
      if library.open.count > Self.mostOpen { library.open.removeFirst() }
      return (LibrarySource(source), file.name)
    }
    return transfers.fetched.first { $0.root == root }.map { ($0.source, $0.name) }
  }
}
