// Support: the command with its output kept, and folders that go away.
import Foundation
import StackCore

@testable import Strata

/// What a command said.
final class Said {
  var output = ""
  var errors = ""
  var status: Int32 = -1
}

/// Runs the command in this process.
func strata(
  _ words: String..., catalog: [any ProtocolLayer.Type] = testCatalog, width: Int = 100, colours: Bool = false,
  environment: [String: String] = [:]
) -> Said { strata(words, catalog: catalog, width: width, colours: colours, environment: environment) }

/// Runs the command in this process.
func strata(
  _ words: [String], catalog: [any ProtocolLayer.Type] = testCatalog, width: Int = 100, colours: Bool = false,
  environment: [String: String] = [:], isFull: Bool = false
) -> Said {
  let said = Said()
  let console = Console(
    program: "strata", width: width, hasColours: colours, environment: { environment[$0] },
    sink: { stream, text in
      if stream == .error { said.errors += text } else if !isFull { said.output += text }
      return stream == .output && isFull ? ENOSPC : nil
    })
  said.status = CommandLineTool(catalog: catalog, version: "1.2.3", console: console).run(words)
  return said
}

/// A folder for one test.
final class TestFolder {
  let path: String
  init() throws {
    path = NSTemporaryDirectory() + "strata-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file; the answer is its path.
  @discardableResult func write(_ name: String, _ text: String) throws -> String {
    try text.write(toFile: "\(path)/\(name)", atomically: true, encoding: .utf8)
    return "\(path)/\(name)"
  }

  func read(_ name: String) throws -> String { try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8) }
}
