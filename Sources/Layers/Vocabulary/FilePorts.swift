// FilePorts: where other layers meet FileShare: which files are held here, and who else holds them.
import StackCore

/// Which chunks of a file somebody holds.
public enum HeldChunks: Hashable, Sendable, Codable {
  /// All of them.
  case all
  /// Stretches of them, in order and apart; chunks are counted from 0.
  case ranges([Range<Int>])

  /// Whether a chunk is among them.
  public func contains(_ chunk: Int) -> Bool {
    switch self {
    case .all: true
    case .ranges(let ranges): ranges.contains { $0.contains(chunk) }
    }
  }
  /// Whether it is none.
  public var isEmpty: Bool { self == .ranges([]) }
}

/// A file that is held here, whole or in part.
public struct HeldFile: Hashable, Sendable {
  /// Its own name, and its place below what was shared, with slashes between the parts; both as on this disk.
  public var name: String
  public var path: String
  /// Its bytes, the bytes in a chunk, and the root of its tree.
  public var size: Int64
  public var chunkSize: Int
  public var root: Hash256
  /// Which chunks are here.
  public var held: HeldChunks
  /// How many chunks it has.
  public var chunkCount: Int { chunkSize > 0 ? Int((size + Int64(chunkSize) - 1) / Int64(chunkSize)) : 0 }

  /// A file.
  public init(
    name: String, path: String, size: Int64, chunkSize: Int, root: Hash256, held: HeldChunks = .all
  ) {
    self.name = name
    self.path = path
    self.size = size
    self.chunkSize = chunkSize
    self.root = root
    self.held = held
  }
}

/// What stands at a place since a change.
public struct FileChange: Sendable {
  /// The number of the change.
  public var revision: UInt64
  /// The place: a small number, given to another file once this one is gone.
  public var place: Int
  /// The file that stands there now; nil when there is none any more.
  public var file: HeldFile?
  /// A change.
  public init(revision: UInt64, place: Int, file: HeldFile?) {
    self.revision = revision
    self.place = place
    self.file = file
  }
}

/// What FileShare can be asked.
public protocol FilesService: AnyObject {
  /// The number of the latest change: it grows whenever a file that is held whole comes, goes or changes.
  var revision: UInt64 { get }
  /// How many files are held whole.
  var fileCount: Int { get }
  /// Calls `body` with each place that has changed after a revision, once and in the order of the changes, until it
  /// answers false: so who keeps an index goes on from where it was, by as much at a time as it likes. After 0, that is
  /// every file.
  func forEachChange(after revision: UInt64, _ body: (FileChange) -> Bool)
  /// The file that stands at a place now.
  func file(at place: Int) -> HeldFile?
  /// The files that are on their way, of which parts are here: few.
  var arriving: [HeldFile] { get }
  /// Grows whenever a download comes to another state.
  var arrivingRevision: UInt64 { get }
  /// The file of this root, whole or in part; where several have it, one of them.
  func file(root: Hash256) -> HeldFile?
}

extension ServiceKey where Service == any FilesService {
  /// The service of FileShare.
  public static var files: ServiceKey<any FilesService> { ServiceKey("files") }
}

/// A file is shared from now on: it was shared for the first time, or its content is another.
public struct FileShared: Codable, Sendable {
  /// Its path below what was shared, its bytes, its root, and the link to it.
  public var path: String
  public var size: Int64
  public var chunkSize: Int
  public var root: Hash256
  public var link: String
  /// News of a file.
  public init(path: String, size: Int64, chunkSize: Int, root: Hash256, link: String) {
    self.path = path
    self.size = size
    self.chunkSize = chunkSize
    self.root = root
    self.link = link
  }

  /// Where FileShare tells of it.
  public static let port = EventPort<FileShared>("shared", "A file is shared from now on.")
}

/// A file is shared no more: it was taken back, removed, or has changed.
public struct FileUnshared: Codable, Sendable {
  /// Its path below what was shared, and its root.
  public var path: String
  public var root: Hash256
  /// News of a file.
  public init(path: String, root: Hash256) {
    self.path = path
    self.root = root
  }

  /// Where FileShare tells of it.
  public static let port = EventPort<FileUnshared>("unshared", "A file is shared no more.")
}

/// Files have come, gone or changed: who keeps an index may go on with it. Told once for all that happens at a time.
public struct FilesChanged: Codable, Sendable {
  /// News of files.
  public init() {}

  /// Where FileShare tells of it.
  public static let port = EventPort<FilesChanged>("files-changed", "Files have come, gone or changed.")
}

/// Somebody who holds a file.
public struct FileHolder: Codable, Sendable, Hashable {
  /// The holder's name, and its address where it is known; one of them at least.
  public var name: WireText?
  public var address: Address?
  /// Which chunks it says it holds.
  public var held: HeldChunks
  /// A holder.
  public init(name: WireText?, address: Address?, held: HeldChunks = .all) {
    self.name = name
    self.address = address
    self.held = held
  }
}

/// By this, Search tells FileShare who holds a file. Whoever tells it declares the port as an event of its own.
public struct FileHolders: Codable, Sendable {
  /// The file, and what the holders call it; nothing of it is checked.
  public var root: Hash256
  public var name: WireText
  /// Its bytes and its chunk size, where they were told.
  public var size: Int64?
  public var chunkSize: Int?
  /// Who holds it.
  public var holders: [FileHolder]
  /// The number by which people name it, where it was found by a search of ours.
  public var number: Int?
  /// News of holders.
  public init(
    root: Hash256, name: WireText, size: Int64?, chunkSize: Int?, holders: [FileHolder], number: Int? = nil
  ) {
    self.root = root
    self.name = name
    self.size = size
    self.chunkSize = chunkSize
    self.holders = holders
    self.number = number
  }

  /// Where FileShare takes it.
  public static let port = EventPort<FileHolders>("file-holders", "Somebody holds a file.")
}
