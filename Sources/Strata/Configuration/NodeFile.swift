// NodeFile: a node's JSON file, read, checked as a whole and with all its defaults.
import Glibc
import StackCore

/// What a node's file says, checked.
public struct NodeFile {
  /// The file's absolute path.
  public var path: String
  /// What other nodes know this one by.
  public var name: String
  /// The UDP address it speaks from.
  public var listen: Address
  /// The neighbours it starts with, each `host:port`.
  public var peers: [String]
  /// The absolute path of the folder for what it keeps.
  public var data: String
  /// The control port's address; nil for none.
  public var control: Address?
  /// The largest datagram where nothing larger is proven; nil to find out.
  public var pathLimit: Int?
  /// How many bytes may wait to be sent.
  public var outbox: Int
  /// How many neighbours are remembered beside `peers`.
  public var neighbours: Int
  /// What survives a power cut.
  public var durability: Durability
  /// How many threads do heavy work; 0 for one a processor and two more.
  public var workers: Int
  /// What log lines look like.
  public var log: LogFormat
  /// The least important log lines that are written.
  public var logLevel: LogLevel
  /// From which all chance comes; nil for the system's own.
  public var seed: UInt64?
  /// The layers that are on, in the file's order, each with its section.
  public var layers: [(type: any ProtocolLayer.Type, section: JSON)]
  /// The keys beside `layers`, defaults filled in, as `GET /v1/node` shows them.
  public var settings: JSON

  /// Reads a file. All that is wrong with it is in the error.
  public static func read(
    _ path: String, catalog: [any ProtocolLayer.Type]
  ) throws(NodeFileError) -> NodeFile {
    let bytes: [UInt8]
    do { bytes = try readFile(path) } catch { throw unreadable(path, error) }
    return try parse(bytes, path: path, catalog: catalog)
  }

  private static func unreadable(_ path: String, _ error: TextFileError) -> NodeFileError {
    // The error's lines begin with the path already.
    var reason = error.description.replacing("can't read \(path): ", with: "can't be read: ")
    var facts = stat()
    if stat(path, &facts) != 0, errno == ENOENT { reason += "; `init` writes a node's file" }
    return NodeFileError(file: path, problems: [.init(path: "", reason)])
  }

  /// Reads a file's text.
  public static func parse(
    _ bytes: [UInt8], path: String, catalog: [any ProtocolLayer.Type]
  ) throws(NodeFileError) -> NodeFile {
    let json: JSON
    do { json = try JSON.parse(bytes) } catch {
      throw NodeFileError(file: path, problems: [NodeFileProblem(error, in: bytes)])
    }
    var check = NodeFileCheck(catalog: catalog)
    guard let core = check.check(json), check.problems.isEmpty else {
      throw NodeFileError(file: path, problems: check.problems)
    }
    return NodeFile(path: Path.absolute(path), core: core, layers: check.layers, keepsControl: check.hasControl)
  }

  private init(
    path: String, core: CoreSettings, layers: [(type: any ProtocolLayer.Type, section: JSON)], keepsControl: Bool
  ) {
    self.path = path
    var core = core
    let name = core.name ?? Self.defaultName(path)
    let folder = Path.folder(of: path)
    core.name = name
    core.data = Path.resolve(core.data ?? "data/\(name)", in: folder)
    self.name = name
    // Both were checked; an address that isn't one never gets here.
    listen = Address(core.listen) ?? Address(ipv4: 0x7f00_0001, port: 0)
    peers = core.peers
    data = core.data ?? folder
    control = keepsControl ? core.control.flatMap { Address($0) } : nil
    core.control = control.map(\.description) ?? "off"
    pathLimit = core.pathLimit.bytes
    outbox = Int(core.outbox.bytes)
    neighbours = core.neighbours
    durability = core.durability
    workers = core.workers
    log = core.log
    logLevel = core.logLevel
    seed = core.seed
    self.layers = layers
    settings = (try? JSON(encoding: core)) ?? [:]
  }

  /// The name of a node whose file gives none.
  static func defaultName(_ path: String) -> String {
    var stem = Path.lastPart(path)
    if stem.hasSuffix(".json") { stem.removeLast(5) }
    if !["node", "strata", "config", "-"].contains(stem), NodeName.fault(stem) == nil { return stem }
    let host = hostName()
    return NodeName.fault(host) == nil ? host : "node"
  }

  private static func hostName() -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    let found = buffer.withUnsafeMutableBytes { space in
      space.baseAddress.map { gethostname($0.assumingMemoryBound(to: CChar.self), 255) } ?? -1
    }
    guard found == 0 else { return "node" }
    let whole = String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
    return whole.split(separator: ".").first.map(String.init) ?? whole
  }
}

/// What a node may be called.
enum NodeName {
  /// What an error says was expected.
  static let expected =
    "1 to 40 bytes of printable text, without \"/\", without a space at either end, and not \".\" or \"..\""

  /// What is wrong with a name; nil when nothing is.
  static func fault(_ name: String) -> String? {
    if name.isEmpty { return "nothing" }
    if name.utf8.count > 40 { return "\(name.utf8.count) bytes" }
    if name == "." || name == ".." { return "\"\(name)\"" }
    if name.first == " " || name.last == " " { return "a space at an end" }
    for scalar in name.unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .surrogate, .unassigned, .privateUse, .lineSeparator, .paragraphSeparator:
        return "the character U+\(String(scalar.value, radix: 16, uppercase: true)), which can't be printed"
      case .spaceSeparator where scalar != " ":
        return "the space U+\(String(scalar.value, radix: 16, uppercase: true))"
      default: if scalar == "/" { return "a \"/\"" }
      }
    }
    return nil
  }
}

extension NodeFile {
  /// Reads the core's keys alone, to find a running node, which may have layers that aren't compiled in here.
  static func readCore(_ path: String) throws(NodeFileError) -> NodeFile {
    let bytes: [UInt8]
    do { bytes = try readFile(path) } catch { throw unreadable(path, error) }
    var json: JSON
    do { json = try JSON.parse(bytes) } catch {
      throw NodeFileError(file: path, problems: [NodeFileProblem(error, in: bytes)])
    }
    json["layers"] = nil
    return try parse(Array(json.text().utf8), path: path, catalog: [])
  }
}
