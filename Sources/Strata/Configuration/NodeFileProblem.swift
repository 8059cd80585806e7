// NodeFileProblem: what is wrong with a node's file, in lines that say where, what was found and what would be right.
import StackCore

/// One thing that is wrong with a node's file.
public struct NodeFileProblem: Error, Hashable, Sendable, CustomStringConvertible {
  /// The key's path, such as `layers.gossip.antiEntropy`; empty for the file as a whole.
  public var path: String
  /// What was found and what would be right.
  public var message: String
  /// Lines to show below, such as the one that isn't JSON.
  public var excerpt: [String] = []

  /// A problem at a path.
  public init(path: String, _ message: String, excerpt: [String] = []) {
    self.path = path
    self.message = message
    self.excerpt = excerpt
  }

  init(path: String, found: String, expected: String) {
    self.init(path: path, "found \(found), expected \(expected)")
  }

  init(_ error: JSONCodingError) { self.init(path: error.path, found: error.found, expected: error.expected) }

  public var description: String { path.isEmpty ? message : "\(path): \(message)" }
}

/// All that is wrong with a node's file.
public struct NodeFileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file, as it was named.
  public var file: String
  /// At least one problem, in the order of the checks.
  public var problems: [NodeFileProblem]

  /// One line a problem, each after the file's name, and excerpts below.
  public var lines: [String] {
    problems.flatMap { problem in ["\(file): \(problem)"] + problem.excerpt }
  }
  public var description: String { lines.joined(separator: "\n") }
}

extension NodeFileProblem {
  /// A text that isn't JSON: where, and the line itself.
  init(_ error: JSONError, in bytes: [UInt8]) {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    var excerpt: [String] = []
    if lines.indices.contains(error.line - 1) {
      // A long line is shown around the place only.
      let text = Array(harmless(String(decoding: lines[error.line - 1], as: UTF8.self)))
      let start = max(0, min(error.column - 1, text.count) - 50)
      let shown = String(text[start..<min(text.count, start + 90)]).map { $0 == "\t" || $0 == "\r" ? " " : $0 }
      let head = "  \(error.line) | "
      let caret = head.count + error.column - 1 - start
      excerpt = [head + String(shown), String(repeating: " ", count: max(0, caret)) + "^"]
    }
    let message = error.message.contains(", expected ") ? "found \(error.message)" : error.message
    self.init(path: "", "line \(error.line), column \(error.column): \(message)", excerpt: excerpt)
  }
}
