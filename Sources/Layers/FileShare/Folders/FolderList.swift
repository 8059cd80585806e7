// FolderList: a folder as a list of what is in it, shared like a file and named by its root, and the link to it.
import StackCore

/// One file or folder in a folder.
public struct FolderEntry: WireMessage, Hashable {
  /// Its name, which is a safe one.
  public var name = ""
  /// Whether it is a folder; then what follows is of its list.
  public var isFolder = false
  /// Its bytes, the bytes in a chunk, and the root of its tree.
  public var size: UInt64 = 0
  public var chunkSize: UInt32 = 0
  public var root = Hash256()

  public init() {}
  /// A file, or a folder by its list.
  public init(name: SafeName, isFolder: Bool, size: Int64, chunkSize: Int, root: Hash256) {
    self.name = name.text
    self.isFolder = isFolder
    self.size = UInt64(max(0, size))
    self.chunkSize = UInt32(clamping: chunkSize)
    self.root = root
  }

  public mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "name", &name)
    try field(2, "isFolder", &isFolder)
    try field(3, "size", &size)
    try field(4, "chunkSize", &chunkSize)
    try field(5, "root", &root)
  }

  /// The file, or the list, as it is fetched; nil when its sizes are not possible ones.
  public var descriptor: FileDescriptor? {
    Int64(exactly: size).flatMap { FileDescriptor(name: name, size: $0, chunkSize: Int(chunkSize), root: root) }
  }
}

/// What is in a folder. The same content always has the same bytes, and so the same root: entries stand in the order of
/// their names' bytes, each name once and a safe one.
public struct FolderList: Hashable, Sendable {
  /// Files and folders, in order.
  public let entries: [FolderEntry]

  /// The most bytes that a list has.
  public static let mostBytes: Int64 = 16 << 20
  /// The most entries that it has.
  public static let mostEntries = 100_000

  private struct Message: WireMessage {
    var entries: [FolderEntry] = []
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "entries", &entries, limit: FolderList.mostEntries)
    }
  }

  /// A list of entries, brought into order; of names that become the same safe name, the later ones get a number. Nil
  /// when there are too many.
  public init?(_ entries: [FolderEntry]) {
    guard entries.count <= Self.mostEntries else { return nil }
    var taken: Set<[UInt8]> = []
    var named: [FolderEntry] = []
    // Of each beginning the next number: those before it are taken.
    var numbers: [[UInt8]: Int] = [:]
    for entry in entries.sorted(by: { precedes($0.name, $1.name) }) {
      var entry = entry
      entry.name = SafeName(entry.name).text
      let stem = String(entry.name.unicodeScalars.prefix(50))
      while !taken.insert(Array(entry.name.utf8)).inserted {
        let number = numbers[Array(stem.utf8), default: 2]
        numbers[Array(stem.utf8)] = number + 1
        entry.name = SafeName("\(stem) (\(number))").text
      }
      named.append(entry)
    }
    self.entries = named.sorted { precedes($0.name, $1.name) }
  }

  /// The list as it is shared.
  public var encoded: [UInt8] {
    var message = Message()
    message.entries = entries
    return message.encoded()
  }

  /// Reads a list that a stranger has made. Refused: names that are not safe, twice there or out of order, sizes that
  /// can't be, and bytes that mean the same but are written otherwise.
  public init(decoding bytes: [UInt8]) throws(LinkError) {
    guard bytes.count <= Self.mostBytes else { throw LinkError(message: "a folder's list is too long") }
    let message: Message
    do throws(WireError) { message = try Message(decoding: bytes) } catch {
      throw LinkError(message: "a folder's list can't be read: \(error)")
    }
    var before: String?
    for entry in message.entries {
      let shown = SafeName(entry.name)
      guard shown.text.utf8.elementsEqual(entry.name.utf8) else {
        throw LinkError(message: "a folder's list has a name that isn't safe: \(shown)")
      }
      if let before, !precedes(before, entry.name) {
        throw LinkError(message: "a folder's list has a name twice or out of order: \(shown)")
      }
      guard entry.descriptor != nil, !entry.isFolder || entry.size <= UInt64(Self.mostBytes) else {
        throw LinkError(message: "a folder's list has a size that can't be: \(shown)")
      }
      before = entry.name
    }
    guard message.encoded() == bytes else { throw LinkError(message: "a folder's list isn't written as it should be") }
    entries = message.entries
  }
}

/// A folder by its name and its list.
public struct FolderDescriptor: Hashable, Sendable {
  /// Its list, as a file of the folder's name.
  public let list: FileDescriptor
  static let prefix = "strata:folder?"

  /// A folder; nil when its list is too long.
  public init?(list: FileDescriptor) {
    guard list.size <= FolderList.mostBytes else { return nil }
    self.list = list
  }

  /// The link: as a file's, but that it begins with `strata:folder?`.
  public var link: String { list.link(prefix: Self.prefix) }

  /// Reads a link.
  public init(link: String) throws(LinkError) {
    let list = try FileDescriptor(link: link, prefix: Self.prefix)
    guard let folder = FolderDescriptor(list: list) else {
      throw LinkError(message: "a folder's list has at most \(FolderList.mostBytes) bytes")
    }
    self = folder
  }
}
