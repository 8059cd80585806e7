// TextRules: how files look and what they say: an opening sentence, short lines, documented names, good links.
import Testing

@Suite struct TextRules {
  @Test func everySwiftFileOpensWithASentence() {
    expectNone(
      Repository.all.compactMap { source in
        let place = source.path.hasSuffix("Package.swift") ? 1 : 0
        let first = source.lines.count > place ? source.lines[place] : ""
        let opens = first.hasPrefix("// ") && first.count > 10 && first.hasSuffix(".")
        // A manifest's first line belongs to the tools; a long sentence may go on in the next line.
        let goesOn =
          first.hasPrefix("// ") && source.lines.count > place + 1 && source.lines[place + 1].hasPrefix("// ")
        return opens || goesOn
          ? nil : Finding(file: source.path, line: place + 1, rule: "open with a // sentence that says what this is")
      })
  }

  @Test func noLongLinesAndNoTabs() {
    var findings: [Finding] = []
    for source in Repository.all {
      for (place, line) in source.lines.enumerated() {
        if line.count > 120, !Self.isLongByItsTexts(source, place) {
          findings.append(.init(file: source.path, line: place + 1, rule: "over 120 columns"))
        }
        if line.contains("\t") { findings.append(.init(file: source.path, line: place + 1, rule: "a tab")) }
      }
    }
    expectNone(findings)
  }

  /// Whether a line is long only by a text that it holds: the formatter leaves such lines, and so do we.
  private static func isLongByItsTexts(_ source: SourceText, _ place: Int) -> Bool {
    let code = source.code[place].split(whereSeparator: { $0 == " " }).joined(separator: " ")
    let isComment = source.lines[place].drop { $0 == " " }.hasPrefix("//")
    return !isComment && code.count < 100 && source.lines[place].contains("\"")
      || (!isComment && code.isEmpty)
  }

  @Test func nothingNamesAMachinesOwnPaths() {
    let forbidden = ["/wo" + "rk/", "/tmp/bash" + "_jobs", "/ro" + "ot/", "/home" + "/"]
    var findings: [Finding] = []
    for path in Repository.paths where !path.hasPrefix("Benchmarks/results/") {
      guard let text = Repository.text(path) else { continue }
      for (place, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
        for word in forbidden where line.contains(word) {
          findings.append(.init(file: path, line: place + 1, rule: "names \(word), which is one machine's"))
        }
      }
    }
    expectNone(findings)
  }

  @Test func everyPublicNameIsDocumented() throws {
    let declaration = try Regex(
      #"^\s*(@\w+(\([^)]*\))?\s+)*(public|open)\s+(?!init|import|static func (==|<|\+|-)|override)"#
        + #"((final|static|class|mutating|indirect|private\(set\)|internal\(set\)|weak|lazy|nonisolated)\s+)*"#
        + #"(func|var|let|struct|class|enum|protocol|actor|typealias|subscript|macro)\b"#)
    var findings: [Finding] = []
    for source in Repository.swift("Sources/") {
      let promised = Self.inheritedPlaces(source)
      for (place, line) in source.code.enumerated() where line.contains(declaration) && !promised.contains(place) {
        if !Self.isDocumented(source, place) && !Self.isPromisedElsewhere(line) {
          findings.append(.init(file: source.path, line: place + 1, rule: "a public name without a /// comment"))
        }
      }
    }
    expectNone(findings)
  }

  /// Plain fields and cases whose names say it all may stand under one comment: that of the first, or of their type.
  private static func isDocumented(_ source: SourceText, _ place: Int) -> Bool {
    if source.lines[place].contains("@Setting(") || source.lines[place].contains("@Argument(") { return true }
    let isField = isPlainField(source.lines[place].drop { $0 == " " })
    var above = place - 1
    while above >= 0 {
      let line = source.lines[above].drop { $0 == " " }
      // A setting's or an argument's own text is its description.
      let isDescribed = line.hasPrefix("@Setting(") || line.hasPrefix("@Argument(") || line.hasPrefix("\"")
      if line.hasPrefix("///") || isDescribed { return true }
      let opensType = line.hasSuffix("{") && ["struct ", "class ", "enum "].contains { line.contains($0) }
      guard line.hasPrefix("@") || (isField && (isPlainField(line) || opensType)) else { return false }
      above -= 1
    }
    return false
  }

  private static func isPlainField(_ line: Substring) -> Bool {
    line.hasPrefix("public var ") || line.hasPrefix("public let ") || line.hasPrefix("public private(set) var ")
      || line.hasPrefix("public internal(set) var ") || line.hasPrefix("case ")
  }

  /// What a protocol of the standard library, or of the seam, promises already.
  private static func isPromisedElsewhere(_ line: String) -> Bool {
    let known = [
      "var description", "var debugDescription", "func hash(into", "func encode(to", "func encode(into",
      "static var wireType", "static var protoName", "static func read(from", "func write(to", "static var messageName",
      "var startIndex", "var endIndex", "subscript(position", "func callAsFunction", "mutating func fields",
      "static let manifest", "static var schema", "static func of", "func makeIterator", "func index(", "var id:",
    ]
    return known.contains { line.contains($0) }
  }

  /// The lines inside an extension or a type that only fulfils a documented protocol of this package.
  private static func inheritedPlaces(_ source: SourceText) -> Set<Int> {
    let protocols = ["NodeStorage", "LayerStorage", "LayerFiles", "ReadableFile", "WritableFile", "ProtocolLayer"]
    var places: Set<Int> = []
    var inside = false
    for (place, line) in source.code.enumerated() {
      if line.contains("class ") || line.hasPrefix("extension ") || line.hasPrefix("public final class ") {
        let names = line.split(whereSeparator: { !$0.isLetter })
        if !line.hasPrefix(" ") {
          inside =
            names.contains { protocols.contains(String($0)) } && line.contains(":")
            || line.hasPrefix("extension ProtocolLayer")
        }
      }
      if inside { places.insert(place) }
      if line.hasPrefix("}") { inside = false }
    }
    return places
  }

  @Test func linksInPagesLeadSomewhere() throws {
    let link = try Regex(#"\[[^\]]*\]\(([^)\s]+)\)"#, as: (Substring, Substring).self)
    var findings: [Finding] = []
    for path in Repository.paths where path.hasSuffix(".md") {
      let folder = path.split(separator: "/").dropLast().joined(separator: "/")
      let lines = (Repository.text(path) ?? "").split(separator: "\n", omittingEmptySubsequences: false)
      for (place, line) in lines.enumerated() {
        for match in line.matches(of: link) {
          let target = match.output.1.prefix { $0 != "#" }
          if target.isEmpty || target.contains(":") || Self.exists(folder, String(target)) { continue }
          findings.append(.init(file: path, line: place + 1, rule: "the link to \(target) leads nowhere"))
        }
      }
    }
    expectNone(findings)
  }

  private static func exists(_ folder: String, _ target: String) -> Bool {
    var parts = folder.split(separator: "/")
    for part in target.split(separator: "/") {
      if part == ".." { _ = parts.popLast() } else if part != "." { parts.append(part) }
    }
    let path = parts.joined(separator: "/")
    return Repository.paths.contains { $0 == path || $0.hasPrefix(path + "/") }
  }

  @Test func whatIsStrippedIsOnlyCommentsAndTexts() {
    let text = #"let a = "x! // \(f("y!")) z" // try!"# + "\n" + #"let b = 1 /* a /* b! */ c */ + 2"#
    let code = SourceText(path: "sample", text: text).code
    #expect(code.count == 2)
    #expect(!code[0].contains("!") && code[0].hasPrefix("let a = "))
    #expect(!code[1].contains("!") && code[1].hasSuffix("+ 2"))
  }
}
