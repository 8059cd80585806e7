// RunningNodes: the nodes that a person means by node files, by folders of them, or by nothing at all.
import Glibc
import StackCore
import StackRuntime

/// A node that may run, and where it keeps what it keeps.
struct RunningNodes {
  /// What it is called.
  var name: String
  /// The folder for what it keeps.
  var data: String
  /// Its file; nil where only the folder is known.
  var file: String?

  /// The most nodes that one command looks at.
  static let most = 64

  /// The nodes that some paths mean: each a node's file, a node's data folder, or a folder of either.
  static func at(_ paths: [String]) throws -> [RunningNodes] {
    var found: [RunningNodes] = []
    for path in paths {
      let nodes = isFolder(path) ? inFolder(path) : [try ofFile(path)]
      guard !nodes.isEmpty else {
        throw UsageError("\(path) holds no node's file and no node's data, expected some")
      }
      for node in nodes where !found.contains(where: { $0.data == node.data }) { found.append(node) }
    }
    guard found.count <= most else {
      throw UsageError("found \(found.count) nodes, expected \(most) at the most")
    }
    return found
  }

  /// The node of a file.
  static func ofFile(_ path: String) throws -> RunningNodes {
    let file = try NodeFile.readCore(path)
    return RunningNodes(name: file.name, data: file.data, file: path)
  }

  /// The nodes of a folder: it may be a node's data folder, hold such folders, or hold node files.
  static func inFolder(_ folder: String) -> [RunningNodes] {
    if isFile("\(folder)/\(tokenFileName)") {
      return [RunningNodes(name: Path.lastPart(Path.absolute(folder)), data: Path.absolute(folder))]
    }
    let names = ((try? folderNames(folder)) ?? []).filter { !$0.hasPrefix(".") }.sorted()
    let files = names.filter { $0.hasSuffix(".json") }.prefix(4 * most).compactMap { try? ofFile("\(folder)/\($0)") }
    let withData = files.filter { isFile("\($0.data)/\(tokenFileName)") }
    if !withData.isEmpty { return Array(withData.prefix(most)) }
    let inside = names.filter { isFile("\(folder)/\($0)/\(tokenFileName)") }
    return inside.prefix(most).map { RunningNodes(name: $0, data: Path.absolute("\(folder)/\($0)")) }
  }

  /// The demo networks of this user that run, each a folder of copies that goes when it ends.
  static func demos(_ environment: (String) -> String?) -> [String] {
    DemoFiles.folders(in: DemoFiles.temporary(environment)).filter { folder in
      DataDirectoryLock.isHeld(directory: folder)
        && inFolder(folder).contains { isFile("\($0.data)/\(controlAddressFileName)") }
    }
  }

  /// Asks it.
  func client(program: String) throws -> ControlClient {
    if let file { return try ControlClient(file: file, program: program) }
    return try ControlClient(data: data)
  }
}
