// ConsoleBundle: the page's modules as one script and its styles as one sheet, so that a browser asks twice, not thirty
// times. Nobody runs a build step: the node puts them together as it serves them.
import StackCore

/// One script made of modules.
///
/// Each module becomes a function that is run once, when it is first imported, and answers what it exports. That takes
/// modules written in a plain way, one import a line and nothing exported that changes later; what isn't is a fault.
struct ConsoleBundle {
  /// What in a module can't be put into one script.
  struct Fault: Error, CustomStringConvertible {
    var description: String
  }

  /// The styles, in the order in which they stand in the page.
  static let styles = ["tokens.css", "shell.css", "parts.css", "views.css"]
  /// What runs the modules, and the first of them.
  static let runner = "bundle.js"
  static let start = "main.js"

  private(set) var text = ""
  private var written: [String] = []
  private var underWay: [String] = []
  /// What is only imported when it is wanted.
  private var later: [String] = []
  private let read: (String) -> String?

  /// Puts together a script from files by their names.
  static func script(_ read: @escaping (String) -> String?) throws(Fault) -> String {
    var bundle = ConsoleBundle(read: read)
    guard let runner = read(Self.runner) else { throw Fault(description: "there is no \(Self.runner)") }
    bundle.text = runner
    try bundle.add(Self.start)
    while let next = bundle.later.popLast() { try bundle.add(next) }
    bundle.text += "useModule('\(Self.start)');\n"
    return bundle.text
  }

  private init(read: @escaping (String) -> String?) { self.read = read }

  /// Adds a module behind those that it imports.
  private mutating func add(_ name: String) throws(Fault) {
    if written.contains(name) { return }
    guard !underWay.contains(name) else {
      throw Fault(description: "\((underWay + [name]).joined(separator: " imports ")): a circle")
    }
    guard let module = read(name) else { throw Fault(description: "there is no \(name)") }
    underWay.append(name)
    defer { underWay.removeLast() }
    var body = ""
    var exported: [String] = []
    for line in module.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("import ") {
        let (names, target) = try Self.parts(line, of: name)
        try add(target)
        body += "const {\(names.replacing(" as ", with: ": "))} = useModule('\(target)');\n"
        continue
      }
      var line = line
      if line.hasPrefix("export ") {
        line = line.dropFirst(7)
        exported.append(String(try Self.declared(line, in: name)))
      }
      body += try Self.withoutLoading(line, of: name, &later) + "\n"
    }
    written.append(name)
    text += "\ndefineModule('\(name)', () => {\n\(body)return { \(exported.joined(separator: ", ")) };\n});\n"
  }

  /// The names and the target of `import { a, b as c } from './x.js';`.
  private static func parts(_ line: Substring, of name: String) throws(Fault) -> (Substring, String) {
    guard let open = line.firstIndex(of: "{"), let close = line.firstIndex(of: "}"), open < close,
      let target = quoted(line[close...]), line.hasSuffix("';")
    else { throw Fault(description: "\(name): expected import { … } from '…'; on a line, found \(line)") }
    return (line[line.index(after: open)..<close], path(target, from: name))
  }

  /// The name that `const x = …`, `function x(…` or `class x …` declares.
  private static func declared(_ line: Substring, in name: String) throws(Fault) -> Substring {
    for start in ["const ", "async function ", "function ", "class "] where line.hasPrefix(start) {
      return line.dropFirst(start.count).prefix { $0.isLetter || $0.isNumber || $0 == "_" }
    }
    throw Fault(description: "\(name): expected export of a const, function or class, found \(line)")
  }

  /// A line in which `import('./x.js')` is served from here.
  private static func withoutLoading(
    _ line: Substring, of name: String, _ later: inout [String]
  ) throws(Fault) -> String {
    let pieces = line.split(separator: "import(", omittingEmptySubsequences: false)
    var result = String(pieces[0])
    for piece in pieces.dropFirst() {
      guard piece.hasPrefix("'"), let target = quoted(piece) else {
        throw Fault(description: "\(name): expected import('…'), found \(line)")
      }
      let full = path(target, from: name)
      later.append(full)
      result += "loadModule('\(full)'\(piece.dropFirst(target.count + 2))"
    }
    return result
  }

  private static func quoted(_ text: Substring) -> Substring? {
    guard let open = text.firstIndex(of: "'") else { return nil }
    let rest = text[text.index(after: open)...]
    return rest.firstIndex(of: "'").map { rest[..<$0] }
  }

  /// A module's name in the folder, from what another calls it.
  private static func path(_ target: Substring, from name: String) -> String {
    var folder = name.split(separator: "/").dropLast().map(String.init)
    for part in target.split(separator: "/") where part != "." {
      if part == ".." { _ = folder.popLast() } else { folder.append(String(part)) }
    }
    return folder.joined(separator: "/")
  }
}
