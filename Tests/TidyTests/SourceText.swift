// SourceText: a Swift file as the tidy tests see it: its lines, and the same with comments and texts blanked out.
import Foundation

/// One finding of a rule.
struct Finding: CustomStringConvertible, Hashable {
  var file: String
  var line: Int
  var rule: String
  var description: String { "\(file):\(line): \(rule)" }
}

/// A file of the repository.
struct SourceText: Sendable {
  /// From the repository's root.
  var path: String
  var lines: [String]
  /// The lines without comments and without what stands in texts.
  var code: [String]

  init(path: String, text: String) {
    self.path = path
    lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    code = Self.stripped(text).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }

  /// The lines of code in which a pattern is found.
  func findings(_ pattern: String, _ rule: String) -> [Finding] {
    guard let regex = try? Regex(pattern) else { fatalError("not a pattern: \(pattern)") }
    return code.indices.filter { code[$0].contains(regex) }.map { Finding(file: path, line: $0 + 1, rule: rule) }
  }

  private enum State { case code, lineComment, blockComment(Int), text(hashes: Int, long: Bool) }

  /// Blanks out comments and texts; what is interpolated in a text goes with it.
  static func stripped(_ text: String) -> String {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var state = State.code
    var place = 0
    func matches(_ word: String) -> Bool { bytes[place...].starts(with: word.utf8) }
    func blank(_ count: Int) {
      for byte in bytes[place..<min(place + count, bytes.count)] { result.append(byte == 10 ? 10 : 32) }
      place += count
    }
    while place < bytes.count {
      switch state {
      case .code:
        if matches("//") {
          state = .lineComment
        } else if matches("/*") {
          state = .blockComment(1)
          blank(2)
        } else if let opening = opening(of: bytes, at: place) {
          state = .text(hashes: opening.hashes, long: opening.long)
          blank(opening.length)
        } else {
          result.append(bytes[place])
          place += 1
        }
      case .lineComment:
        if bytes[place] == 10 { state = .code } else { blank(1) }
      case .blockComment(let depth):
        if matches("/*") {
          state = .blockComment(depth + 1)
          blank(2)
        } else if matches("*/") {
          state = depth == 1 ? .code : .blockComment(depth - 1)
          blank(2)
        } else {
          blank(1)
        }
      case .text(let hashes, let long):
        let marks = String(repeating: "#", count: hashes)
        if matches("\\\(marks)(") {
          skipInterpolation()
        } else if matches("\\\(marks)") {
          blank(2 + hashes)
        } else if matches((long ? "\"\"\"" : "\"") + marks) {
          state = .code
          blank((long ? 3 : 1) + hashes)
        } else {
          blank(1)
        }
      }
    }
    func skipInterpolation() {
      var depth = 0
      repeat {
        if bytes[place] == 40 { depth += 1 }
        if bytes[place] == 41 { depth -= 1 }
        blank(1)
      } while place < bytes.count && (depth > 0 || bytes[place - 1] != 41)
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static func opening(of bytes: [UInt8], at start: Int) -> (hashes: Int, long: Bool, length: Int)? {
    var place = start
    while place < bytes.count, bytes[place] == 35 { place += 1 }
    guard place < bytes.count, bytes[place] == 34 else { return nil }
    let hashes = place - start
    let long = bytes[place...].starts(with: [34, 34, 34])
    return (hashes, long, hashes + (long ? 3 : 1))
  }
}

/// The repository's files.
enum Repository {
  /// Its root, from where this file was compiled.
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// Folders that hold what was built or found, or what others wrote.
  private static let skipped: Set<String> = [".build", ".git", "Findings", "Corpus", "data"]

  /// The paths of all files, sorted, from the root.
  static let paths: [String] = walk("").sorted()

  private static func walk(_ folder: String) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: root.appending(path: folder).path)) ?? []
    return names.filter { !skipped.contains($0) }.flatMap { name -> [String] in
      let path = folder.isEmpty ? name : folder + "/" + name
      let facts = try? FileManager.default.attributesOfItem(atPath: root.appending(path: path).path)
      switch facts?[.type] as? FileAttributeType {
      case .typeDirectory: return walk(path)
      case .typeRegular: return [path]
      default: return []
      }
    }
  }

  /// A file's text; nil when it isn't text.
  static func text(_ path: String) -> String? { try? String(contentsOf: root.appending(path: path), encoding: .utf8) }

  /// The Swift files whose paths begin with one of some folders.
  static func swift(_ folders: String...) -> [SourceText] {
    all.filter { source in folders.contains { source.path.hasPrefix($0) } }
  }

  /// All Swift files.
  static let all: [SourceText] = paths.filter { $0.hasSuffix(".swift") }.compactMap { path in
    text(path).map { SourceText(path: path, text: $0) }
  }
}
