// DemoFiles: the node files of a demo: found in a folder, moved to free ports together, copied to a temporary folder.
import Glibc
import StackCore
import StackRuntime

/// The nodes' files of a demo network.
struct DemoFiles {
  /// One node's file.
  struct Item {
    var name: String
    /// What its comment says of it.
    var about: String?
    var json: JSON
    var path: String
    /// The folder that it shares; nil for none.
    var shared: String?
  }
  private(set) var files: [Item] = []
  /// Says that this demo lives, as long as it does: a folder of copies without it is one that was left behind.
  private var lock: DataDirectoryLock?

  /// Reads all JSON files of a folder; each must be a node's, and right.
  init(folder: String, catalog: [any ProtocolLayer.Type]) throws {
    let names = try folderNames(folder).filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }.sorted()
    for name in names {
      let path = "\(folder)/\(name)"
      let file = try NodeFile.read(path, catalog: catalog)
      let json = try JSON.parse(try readFile(path))
      let shared = Path.absolute("\(folder)/files/\(file.name)")
      files.append(
        Item(
          name: file.name, about: json["//"]?.stringValue, json: json, path: path,
          shared: isFolder(shared) ? shared : nil))
    }
    guard !files.isEmpty else { throw FailedError("\(folder) holds no node's file, expected some .json") }
    guard files.count <= 64 else { throw FailedError("\(folder) holds \(files.count) files, expected 64 at the most") }
  }

  // MARK: Ports

  /// Every address a node binds, as its file says.
  private var addresses: [(address: Address, isStream: Bool)] {
    files.flatMap { item -> [(Address, Bool)] in
      let listen = item.json["listen"]?.stringValue.flatMap { Address($0) }.map { ($0, false) }
      let control = item.json["control"]?.stringValue.flatMap { Address($0) }.map { ($0, true) }
      return [listen, control].compactMap { $0 }
    }
  }

  /// Moves all ports on until each is free; what to tell the person, if anything.
  mutating func findPorts(any: Bool) throws -> String? {
    let wanted = addresses
    guard let taken = any ? wanted.first : wanted.first(where: { !Self.isFree($0.address, $0.isStream) }) else {
      return nil
    }
    let start = any ? 1000 + Int(getpid() % 400) * 100 : 100
    for offset in stride(from: start, through: start + 40_000, by: 100) {
      let moved = wanted.map { (Self.moved($0.address, by: offset), $0.isStream) }
      guard moved.allSatisfy({ $0.0.map { $0.port > 1023 } ?? false }) else { continue }
      guard moved.allSatisfy({ pair in pair.0.map { Self.isFree($0, pair.1) } ?? false }) else { continue }
      move(by: offset)
      return any ? nil : "Port \(taken.address.port) is taken here, so all ports of the demo move up by \(offset)."
    }
    throw FailedError("no free ports were found for the demo near \(taken.address.port)")
  }

  private static func moved(_ address: Address, by offset: Int) -> Address? {
    guard let port = UInt16(exactly: (Int(address.port) + offset) % 64_000) else { return nil }
    var result = address
    result.port = port
    return result
  }

  /// Whether an address can be bound now.
  private static func isFree(_ address: Address, _ isStream: Bool) -> Bool {
    guard let loop = try? EventLoop() else { return false }
    if isStream { return (try? HTTPServer(loop: loop, address: address) { _ in }) != nil }
    return (try? DatagramSocket(bind: address, options: .init())) != nil
  }

  private mutating func move(by offset: Int) {
    func moved(_ json: JSON?) -> JSON? {
      guard let text = json?.stringValue, let address = Address(text) else { return json }
      return Self.moved(address, by: offset).map { .string($0.description) }
    }
    for place in files.indices {
      for key in ["listen", "control"] where files[place].json[key] != nil {
        files[place].json[key] = moved(files[place].json[key])
      }
      if let peers = files[place].json["peers"]?.arrayValue {
        files[place].json["peers"] = .array(peers.compactMap(moved))
      }
    }
  }

  // MARK: Copies

  /// How the temporary folders of demos are called, before six letters.
  static let folderName = "strata-demo."

  /// Where temporary folders are made.
  static func temporary(_ environment: (String) -> String?) -> String {
    environment("TMPDIR").flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
  }

  /// The demos' folders of this user, the living and those left behind.
  static func folders(in root: String) -> [String] {
    let names = ((try? folderNames(root)) ?? []).filter { $0.hasPrefix(folderName) }.sorted()
    return names.map { "\(root)/\($0)" }.filter { folder in
      var facts = stat()
      // Another user's demo is not ours to look at, and its token not ours to read.
      return lstat(folder, &facts) == 0 && facts.st_uid == geteuid() && facts.st_mode & S_IFMT == S_IFDIR
    }
  }

  /// Removes what demos that were killed have left; their folders.
  static func removeDead(in root: String) -> [String] {
    folders(in: root).filter { folder in
      // One without the file is only just being made.
      guard isFile("\(folder)/\(DataDirectoryLock.fileName)"), let lock = try? DataDirectoryLock(directory: folder)
      else { return false }
      return withExtendedLifetime(lock) {
        removeTree(folder)
        return !isFolder(folder)
      }
    }
  }

  /// Makes a temporary folder that says that it is in use.
  private mutating func makeFolder(in root: String) throws -> String {
    for _ in 0..<3 {
      var template = Array("\(root)/\(Self.folderName)XXXXXX".utf8CString)
      guard mkdtemp(&template) != nil else {
        throw FailedError("can't make a temporary folder in \(root): \(systemText(errno)); $TMPDIR names another place")
      }
      let folder = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      do throws(StorageError) {
        lock = try DataDirectoryLock(directory: folder)
        return folder
      } catch {
        removeTree(folder)
        // Another demo that starts just now took it for one left behind.
        guard error.kind == .busy else { throw FailedError("\(error)") }
      }
    }
    throw FailedError("no temporary folder in \(root) stays ours")
  }

  /// Puts the files in a new temporary folder, where the nodes keep what they keep too; the folder's path.
  mutating func copy(in root: String) throws -> String {
    let folder = try makeFolder(in: root)
    do {
      for place in files.indices {
        files[place].json["data"] = .string("data/\(files[place].name)")
        shareInPlace(place)
        files[place].path = "\(folder)/\(files[place].name).json"
        try writeFile(
          files[place].path, Array((files[place].json.text(pretty: true) + "\n").utf8), replacing: false)
      }
    } catch {
      removeTree(folder)
      throw error
    }
    return folder
  }
}

extension DemoFiles {
  /// Names the folder that a node shares by its whole path: it lies beside the demo's files, which are copied away.
  private mutating func shareInPlace(_ place: Int) {
    let path = files[place].path
    guard let shared = files[place].json["layers"]?["fileshare"]?["shared"]?.stringValue, !shared.isEmpty,
      !shared.hasPrefix("/"), let end = path.lastIndex(of: "/"), let folder = realpath(String(path[..<end]), nil)
    else { return }
    defer { free(folder) }
    files[place].json["layers"]?["fileshare"]?["shared"] = .string("\(String(cString: folder))/\(shared)")
  }
}

/// Removes a folder and all that is in it; links are removed, not followed.
func removeTree(_ path: String) {
  var facts = stat()
  guard lstat(path, &facts) == 0 else { return }
  guard facts.st_mode & S_IFMT == S_IFDIR else {
    unlink(path)
    return
  }
  for name in (try? folderNames(path)) ?? [] { removeTree("\(path)/\(name)") }
  rmdir(path)
}
