// FolderSharing: lists are made of a shared folder and of all folders in it, and shared in turn, so that it has a link.
import PeersterVocabulary
import StackCore

/// A folder as it is when its list is made.
struct FolderSnapshot: Sendable {
  var path: String
  var name: String
  var files: [FolderEntry]
  var folders: [String]

  /// Where a folder in it is.
  func path(of folder: String) -> String { path.isEmpty ? folder : path + "/" + folder }
}

/// A list that lies in the layer's own folder.
struct MadeList: Sendable {
  var place: String
  var tree: MerkleTree
  var stamp: UInt64
  var number: UInt32
}

/// The work of making lists, without any state. To be called in a job.
enum FolderLists {
  /// Makes the lists of folders, of which those within others come first; the last is the one that all are in.
  static func make(
    _ folders: [FolderSnapshot], into place: String, numbers first: UInt32, _ own: any LayerFiles
  ) throws(FileError) -> [MadeList] {
    var made: [MadeList] = []
    var known: [String: FolderEntry] = [:]
    try own.makeDirectory(place)
    for (index, folder) in folders.enumerated() {
      let below = folder.folders.compactMap { known.removeValue(forKey: folder.path(of: $0)) }
      guard let list = FolderList(folder.files + below) else {
        throw FileError(.other, "\(folder.name): more than \(FolderList.mostEntries) files and folders in one")
      }
      let bytes = list.encoded
      guard bytes.count <= FolderList.mostBytes, let tree = MerkleTree(of: bytes) else {
        throw FileError(.other, "\(folder.name): its list would have over \(FolderList.mostBytes) bytes")
      }
      let path = place + "/" + tree.root.hex
      try write(bytes, path, own)
      let number = first + UInt32(index)
      if tree.shape.isLarge {
        try own.makeDirectory("trees")
        try write(tree.hashes, LibraryStore.treePath(number), own)
      }
      made.append(MadeList(place: path, tree: tree, stamp: try own.facts(path).stamp, number: number))
      known[folder.path] = FolderEntry(
        name: SafeName(folder.name), isFolder: true, size: Int64(bytes.count), chunkSize: TreeShape.usualChunkSize,
        root: tree.root)
    }
    return made
  }

  /// Writes a file unless it is there: what it holds follows from its name.
  private static func write(_ bytes: [UInt8], _ path: String, _ own: any LayerFiles) throws(FileError) {
    if (try? own.facts(path))?.size == Int64(bytes.count) { return }
    let file = try own.create(path, reserving: Int64(bytes.count), resuming: false)
    do throws(FileError) {
      try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) in
        try file.write(UnsafeRawBufferPointer(buffer), at: 0)
      }
      try file.commit(replacing: true)
    } catch {
      file.discard()
      throw error
    }
  }
}

extension Library {
  /// Where the lists of a share's folders are; of `fetched`, those that came from others.
  static func listsPlace(_ share: Int32) -> String {
    share == fetched ? "folders/fetched" : "folders/\(share)"
  }
  static func listsFolder(_ share: Int32) -> FolderKey {
    FolderKey(share: lists, path: "own/" + listsPlace(share))
  }

  /// How many lists of folders are shared.
  var listCount: Int {
    let all = FolderKey(share: Self.lists, path: "own/folders")
    return (index.folder(all)?.folders ?? []).reduce(0) { sum, name in
      sum + (index.folder(FolderKey(share: Self.lists, path: all.path + "/" + name))?.files.count ?? 0)
    }
  }
  /// How many files are shared; lists of folders are none.
  var count: Int { index.count - listCount }
  /// The most lists of folders that are shared.
  static let mostLists = 65_536
}

extension FileShare {
  /// Makes the lists of a shared folder as it is now, and calls `then` with its link or with why it has none.
  func shareLists(
    of share: Share, _ context: borrowing LayerContext<FileShare>,
    _ then: @escaping (FileShare, Result<String, FileError>, borrowing LayerContext<FileShare>) -> Void
  ) {
    let folders = snapshot(share)
    guard library.listCount + folders.count <= Library.mostLists else {
      return then(self, .failure(FileError(.other, "too many folders to make a link of")), context)
    }
    let first = library.nextNumber
    library.nextNumber += UInt32(folders.count)
    let own = context.files
    let (id, place, name) = (share.id, Library.listsPlace(share.id), share.name)
    typealias Made = Result<[MadeList], FileError>
    let work: @Sendable () -> Made = {
      do throws(FileError) {
        return .success(try FolderLists.make(folders, into: place, numbers: first, own))
      } catch { return .failure(error) }
    }
    let done: (FileShare) -> (Made, borrowing LayerContext<FileShare>) -> Void = { layer in
      { made, context in
        switch made {
        case .failure(let error): then(layer, .failure(error), context)
        case .success(let lists):
          // It may have been taken back meanwhile.
          guard layer.library.share(id) != nil else { return }
          for list in lists { layer.enter(list, of: id, context) }
          let link = lists.last.flatMap { list in
            FileDescriptor(
              name: String(name.prefix(200)), size: list.tree.shape.size, chunkSize: list.tree.shape.chunkSize,
              root: list.tree.root)
          }.flatMap { FolderDescriptor(list: $0)?.link }
          then(layer, link.map { .success($0) } ?? .failure(FileError(.other, "its list is too long")), context)
        }
      }
    }
    if !context.offload(work, then: done) { done(self)(work(), context) }
  }

  private func snapshot(_ share: Share) -> [FolderSnapshot] {
    library.index.subtree(FolderKey(share: share.id, path: "")).map { key in
      let folder = library.index.folder(key)
      let files = (folder?.files ?? []).compactMap { place in
        library.index[place].map { file in
          var entry = FolderEntry()
          (entry.name, entry.size, entry.root) = (file.name, UInt64(file.size), file.root)
          entry.chunkSize = UInt32(file.chunkSize)
          return entry
        }
      }
      let name = key.path.utf8.split(separator: UInt8(ascii: "/")).last.map { String(Substring($0)) } ?? share.name
      return FolderSnapshot(path: key.path, name: name, files: files, folders: folder?.folders ?? [])
    }
  }

  /// Takes a list into what is served, unless it is there already.
  private func enter(_ list: MadeList, of share: Int32, _ context: borrowing LayerContext<FileShare>) {
    let name = list.tree.root.hex
    let folder = Library.listsFolder(share)
    guard library.index.place(of: name, in: folder) == nil else {
      if list.tree.shape.isLarge { try? context.files.remove(LibraryStore.treePath(list.number)) }
      return
    }
    enter(
      HashWork(
        folder: folder, name: name, files: context.files, path: list.place, size: list.tree.shape.size,
        stamp: list.stamp),
      shape: list.tree.shape, root: list.tree.root, number: list.number,
      hashes: list.tree.shape.isLarge ? nil : list.tree.hashes, context)
  }
}
