// ImportRules: who may import whom, and what nobody may reach for.
import Testing

@Suite struct ImportRules {
  /// What a file may import, by the first folder that its path begins with.
  static let allowed: [(folder: String, modules: Set<String>)] = [
    ("Sources/StackCore/", []),
    ("Sources/StackSim/", ["StackCore", "Synchronization"]),
    ("Sources/StackRuntime/", ["StackCore", "Glibc", "Synchronization", "CEvent", "CSQLite", "CDatagram", "CFiles"]),
    ("Sources/LayerConformance/", ["StackCore", "StackSim", "Synchronization"]),
    (
      "Sources/Strata/",
      [
        "StackCore", "StackRuntime", "StackSim", "CConsole", "Gossip", "Routing", "FileShare", "Search", "Glibc",
        "Synchronization",
      ]
    ),
    ("Sources/node/", ["Strata"]),
    // Small value modules, for layers.
    ("Sources/Hashing/", ["StackCore", "CSodium", "CIPSecMB"]),
    // A layer: the seam, one system library or one small value module where it must.
    ("Sources/Layers/", ["StackCore", "CSodium", "Hashing", "Crypto", "PeersterVocabulary"]),
  ]

  @Test func eachFolderImportsOnlyWhatItMay() throws {
    var findings: [Finding] = []
    for source in Repository.swift("Sources/") {
      guard let rule = Self.allowed.first(where: { source.path.hasPrefix($0.folder) }) else { continue }
      for (place, line) in source.code.enumerated() {
        guard let module = Self.imported(line), !rule.modules.contains(module) else { continue }
        findings.append(Finding(file: source.path, line: place + 1, rule: "\(rule.folder) must not import \(module)"))
      }
    }
    expectNone(findings)
  }

  @Test func nothingInSourcesImportsFoundation() {
    expectNone(
      Repository.swift("Sources/", "examples/", "Fuzz/").filter { !$0.path.contains("/Tests/") }.flatMap {
        $0.findings(#"\bimport\s+(\w+\s+)?Foundation"#, "no Foundation: an idle node has to stay small")
      })
  }

  @Test func nothingAmbient() {
    let rules: [(String, String)] = [
      (#"\bDate\(\)"#, "time comes through the context, not from Date()"),
      (
        #"\.random\(in(?!.*using:)|\b(Bool|U?Int\d*|Double|Float)\.random\((?!.*using:)"#,
        "chance comes through the context, or from a seeded generator"
      ),
      (#"\.shuffled\(\)|\.shuffle\(\)"#, "chance comes through the context, not from shuffled()"),
      (#"\.randomElement\(\)"#, "chance comes through the context, not from randomElement()"),
      (#"SystemRandomNumberGenerator"#, "chance comes through the context"),
      (#"\bTask\s*(\.detached\s*)?(\(.*\)\s*)?\{"#, "no tasks: a node has one thread"),
      (#"\bDispatchQueue\b"#, "no dispatch queues: a node has one thread"),
      (#"\bThread\.sleep|\busleep\s*\(|\bnanosleep\s*\(|(^|[^.\w])sleep\s*\(|\bTask\.sleep"#, "nothing sleeps"),
    ]
    let sources = Repository.swift("Sources/", "Tests/", "examples/")
    expectNone(rules.flatMap { rule in sources.flatMap { $0.findings(rule.0, rule.1) } })
  }

  @Test func noLayerTargetDependsOnAnother() throws {
    let manifest = try #require(Repository.text("Package.swift"))
    let blocks = manifest.components(of: ".target(").dropFirst()
    // The vocabulary is what layers meet by; it is none.
    let layers = blocks.filter { $0.contains("Sources/Layers/") && !$0.contains("Sources/Layers/Vocabulary") }
    let names = layers.compactMap { Self.name(of: $0) }
    for block in layers {
      let me = Self.name(of: block) ?? "?"
      let dependencies = block.components(of: "dependencies:").dropFirst().first?.prefix { $0 != "]" } ?? ""
      for other in names where other != me {
        #expect(!dependencies.contains("\"\(other)\""), "Package.swift: layer \(me) depends on layer \(other)")
      }
    }
  }

  /// The module that a line imports.
  private static func imported(_ line: String) -> String? {
    let words = line.split(whereSeparator: { " \t".contains($0) })
    guard let place = words.firstIndex(of: "import"),
      words[..<place].allSatisfy({ $0.hasPrefix("@") || ["public", "internal", "private"].contains($0) })
    else { return nil }
    let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "let", "var", "typealias"]
    return words[(place + 1)...].first { !kinds.contains($0) }.map { String($0.prefix { $0 != "." }) }
  }

  private static func name(of block: String) -> String? {
    block.components(of: "name: \"").dropFirst().first.map { String($0.prefix { $0 != "\"" }) }
  }
}

extension String {
  /// The parts between occurrences of a mark.
  func components(of mark: String) -> [String] {
    split(separator: mark, omittingEmptySubsequences: false).map(String.init)
  }
}

/// Fails with each finding, by file and line.
func expectNone(_ findings: [Finding], at location: SourceLocation = #_sourceLocation) {
  for finding in findings { Issue.record("\(finding)", sourceLocation: location) }
}
