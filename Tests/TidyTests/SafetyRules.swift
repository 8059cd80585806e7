// SafetyRules: what the compiler lets pass and this project doesn't: traps, unsafe sharing, chance order.
import Testing

@Suite struct SafetyRules {
  /// Files that may unwrap by force, with why no input from outside can make it trap.
  static let mayUnwrap: [String: String] = [:]

  @Test func noForcedTries() {
    expectNone(Repository.swift("Sources/").flatMap { $0.findings(#"\btry!"#, "no try! on anything from outside") })
  }

  @Test func noForcedUnwraps() {
    // A `!` right after a name, a bracket or a `?`, and not the start of `!=`.
    let pattern = #"[\w\)\]\?]!(?!=)"#
    let sources = Repository.swift("Sources/").filter { Self.mayUnwrap[$0.path] == nil }
    expectNone(sources.flatMap { $0.findings(pattern, "no force-unwrap or as!; say what happens instead") })
  }

  @Test func unsafeSharingStaysInItsPlaceAndSaysWhyItIsSound() {
    let pattern = #"@unchecked\s+Sendable|nonisolated\(unsafe\)|unowned\(unsafe\)"#
    var findings: [Finding] = []
    for source in Repository.swift("Sources/", "examples/") {
      let inside = source.path.hasPrefix("Sources/StackCore/") || source.path.hasPrefix("Sources/StackRuntime/")
      for found in source.findings(pattern, "") {
        if !inside {
          findings.append(
            .init(file: found.file, line: found.line, rule: "unsafe sharing only in StackCore and StackRuntime"))
        } else if !Self.saysWhy(source, found.line - 1) {
          findings.append(
            .init(file: found.file, line: found.line, rule: "say why this is sound: a comment with \"Sound\""))
        }
      }
    }
    expectNone(findings)
  }

  /// Whether a comment on the line, or in the five lines before it, says why it is sound.
  private static func saysWhy(_ source: SourceText, _ place: Int) -> Bool {
    source.lines[max(0, place - 5)...place].contains { line in
      guard let comment = line.range(of: "//") else { return false }
      let words = line[comment.upperBound...].lowercased()
      return words.contains("sound") || words.contains("safe because")
    }
  }

  @Test func noLoopOverADictionarysOrder() {
    let pattern = #"\bfor\b[^{]*\bin\b[^{]*\.(keys|values)\s*(\{|$)"#
    let why = "a dictionary's order is chance: sort, or keep an array"
    expectNone(
      Repository.swift("Sources/").flatMap { source in
        source.findings(pattern, why).filter { finding in
          // `JSONObject` keeps its keys in an array, in order.
          !Self.keepsOrder.contains { source.code[finding.line - 1].contains($0) }
        }
      })
  }

  /// Things with `keys` or `values` that are arrays.
  static let keepsOrder = ["members.keys", "new.keys", "object.keys", "self.keys"]
}
