// ConsolePageTests: the console's page is whole and harmless; a node's file is changed in place; the demo is right.
import Foundation
import StackCore
import StackRuntime
import Testing

@testable import Strata

@Suite struct ConsolePageTests {
  /// The folder that the page is edited in.
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Sources/Console/page")

  @Test("Every file of the folder is part of the program, byte for byte") func whole() throws {
    let found = FileManager.default.enumerator(atPath: Self.folder.path)?.compactMap { $0 as? String } ?? []
    let names = found.filter { $0.contains(".") && !$0.hasPrefix(".") }.sorted()
    #expect(ConsolePage.files.map(\.name).sorted() == names, "Sources/Console/Console.c names each file")
    for file in ConsolePage.files {
      let onDisk = try Array(Data(contentsOf: Self.folder.appendingPathComponent(file.name)))
      #expect(file.bytes == onDisk, "\(file.name) is another than in the program; build again")
    }
  }

  @Test("The page holds no script and no style, and loads only its own files") func html() throws {
    let page = String(decoding: try #require(ConsolePage.own.first { $0.path == "/" }).bytes, as: UTF8.self)
    #expect(ConsolePage.own.map(\.path).sorted() == ConsolePage.paths.sorted())
    // What is kept is asked for by the name of its version, so that an old one is never shown.
    let targets = ConsolePage.own.filter { $0.path != "/" }.map { "\($0.path)?v=\($0.version ?? "none")" }
    for match in page.matches(of: try Regex(#"(?:src|href)="([^"]*)""#)) {
      let target = String(match.output[1].substring ?? "")
      #expect(target.hasPrefix("#") || targets.contains(target), "\(target)")
    }
    for target in targets { #expect(page.contains("\"\(target)\""), "\(target)") }
    #expect(!page.contains("<style") && !page.contains("style=") && !page.contains("javascript:"))
    for pattern in [#"<script[^>]*>[^<]"#, #"\son\w+="#] {
      #expect(page.matches(of: try Regex(pattern)).isEmpty, "\(pattern)")
    }
    #expect(ConsolePage.policy.contains("default-src 'none'") && !ConsolePage.policy.contains("unsafe"))
    #expect(ConsolePage.policy.contains("require-trusted-types-for 'script'"))
  }

  @Test("No text becomes markup, and nothing is asked of anybody else") func scripts() throws {
    let forbidden = [
      "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "new Function",
      "setAttribute('style'", "https:", "createContextualFragment", "srcdoc",
    ]
    for file in ConsolePage.files where file.name.hasSuffix(".js") {
      let text = String(decoding: file.bytes, as: UTF8.self)
      #expect(text.hasPrefix("// "), "\(file.name) says what it is")
      for word in forbidden { #expect(!text.contains(word), "\(file.name) has \(word)") }
      for match in text.matches(of: try Regex(#"(?m)^import .* from '([^']*)'"#)) {
        let target = String(match.output[1].substring ?? "")
        let isOwn = ConsolePage.files.contains { $0.name.hasSuffix(target.split(separator: "/").last ?? "?") }
        #expect(target.hasPrefix(".") && isOwn, "\(file.name) imports \(target)")
      }
    }
    for file in ConsolePage.files where file.name.hasSuffix(".css") {
      let text = String(decoding: file.bytes, as: UTF8.self)
      #expect(!text.contains("url(") && !text.contains("@import"), "\(file.name)")
    }
  }

  @Test("All modules and styles are in one script and one sheet") func bundled() throws {
    let served = try #require(ConsolePage.own.first { $0.path == "/console/app.js" })
    let script = String(decoding: served.bytes, as: UTF8.self)
    for file in ConsolePage.files where file.name.hasSuffix(".js") && file.name != ConsoleBundle.runner {
      #expect(script.contains("defineModule('\(file.name)', "), "\(file.name) is imported by somebody")
    }
    #expect(script.matches(of: try Regex(#"(?m)^(import|export) "#)).count == 1, "only the runner exports")
    let sheet = try #require(ConsolePage.own.first { $0.path == "/console/app.css" }).bytes
    let styles = ConsolePage.files.filter { $0.name.hasSuffix(".css") }
    #expect(styles.map(\.name).sorted() == ConsoleBundle.styles.sorted())
    #expect(sheet.count == styles.reduce(0) { $0 + $1.bytes.count })
  }

  @Test("A module that can't be put into one script is a fault that says why") func unfitModules() {
    func fault(_ files: [String: String]) -> String {
      do {
        return try ConsoleBundle.script { name in name == ConsoleBundle.runner ? "" : files[name] }
      } catch { return "\(error)" }
    }
    #expect(
      fault(["main.js": "import { a } from './b.js';", "b.js": "import { m } from './main.js';"])
        == "main.js imports b.js imports main.js: a circle")
    #expect(fault(["main.js": "import { a } from './b.js';"]) == "there is no b.js")
    #expect(fault(["main.js": "export let a = 1;"]).contains("expected export of a const, function or class"))
    #expect(fault(["main.js": "import b from './b.js';"]).contains("expected import { … } from '…'; on a line"))
    #expect(fault(["main.js": "import(x);"]).contains("expected import('…')"))
    let script = fault([
      "main.js": "import { a, b as c } from './b/b.js';\nexport const d = () => import('./e.js');",
      "b/b.js": "import { e } from '../e.js';\nexport function a() {}\nexport class b {}",
      "e.js": "export const e = 1;",
    ])
    #expect(script.contains("const { a, b: c } = useModule('b/b.js');") && script.contains("loadModule('e.js')"))
    #expect(script.contains("return { a, b };") && script.contains("return { d };"))
  }

  // MARK: A node's file

  private static let text = """
    {
      "//": "kept",
      "name": "alice",
      "layers": { "chat": { "lines": 5 } }
    }
    """

  @Test("A setting is changed in the file, and comments stay") func change() throws {
    let folder = try TestFolder()
    let path = try folder.write("node.json", Self.text)
    let access = NodeFileChange(path: path, catalog: testCatalog).configuration
    let takeBack = try access.change(["layers": ["chat": ["lines": 7]], "logLevel": "debug"])
    let changed = try JSON.parse(try folder.read("node.json"))
    #expect(
      changed == ["//": "kept", "name": "alice", "layers": ["chat": ["lines": 7]], "logLevel": "debug"])
    let shown = try access.describe()
    let chat = try #require(shown["layers"]?.arrayValue?.first { $0["name"] == "chat" })
    #expect(chat["enabled"] == true)
    let lines = try #require(chat["settings"]?.arrayValue?.first { $0["name"] == "lines" })
    #expect(lines["value"] == 7 && lines["isSet"] == true && lines["schema"]?["type"] == "integer")
    #expect(shown["layers"]?.arrayValue?.first { $0["name"] == "tree" }?["enabled"] == false)
    takeBack()
    #expect(try folder.read("node.json") == Self.text)
    _ = try access.change(["layers": ["chat": ["lines": .null], "tree": [:]]])
    let emptied = try JSON.parse(try folder.read("node.json"))
    #expect(emptied["layers"] == ["chat": [:], "tree": [:]])
  }

  @Test("What is wrong is refused in the words of any reading, and the file stays") func refusal() throws {
    let folder = try TestFolder()
    let path = try folder.write("node.json", Self.text)
    let access = NodeFileChange(path: path, catalog: testCatalog).configuration
    for (patch, place) in [
      (["layers": ["chat": ["lines": "many"]]], "layers.chat.lines"), (["lisen": "x"], "lisen"),
      (["layers": ["caht": [:]]], "layers.caht"), (["control": "0.0.0.0:80"], "control"),
    ] as [(JSON, String)] {
      let refusal = #expect(throws: RealNodeConfiguration.Refusal.self) { _ = try access.change(patch) }
      let fault = try #require(refusal?.faults.first)
      #expect(fault.path == place && refusal?.isWrong == true)
      let merged = merge(patch, into: try JSON.parse(Self.text))
      let direct = #expect(throws: NodeFileError.self) {
        _ = try NodeFile.parse(Array(merged.text().utf8), path: path, catalog: testCatalog)
      }
      #expect(direct?.problems.first?.message == fault.message)
    }
    #expect(try folder.read("node.json") == Self.text)
    try folder.write("node.json", "{")
    #expect(throws: RealNodeConfiguration.Refusal.self) { _ = try access.change(["name": "bob"]) }
    #expect(try folder.read("node.json") == "{")
  }

  @Test("A merge patch is RFC 7396's") func merging() {
    #expect(
      merge(["a": "z", "c": ["f": .null]], into: ["a": "b", "c": ["d": "e", "f": "g"]]) == ["a": "z", "c": ["d": "e"]])
    #expect(merge(["a": ["b": 1]], into: ["a": [1, 2]]) == ["a": ["b": 1]])
    #expect(merge(["a": [1]], into: ["a": ["b": 1]]) == ["a": [1]])
    #expect(merge(["a": ["b": .null]], into: [:]) == ["a": [:]])
  }

  // MARK: The demo

  @Test("The demo's files are right, and name each other") func demoFiles() throws {
    let demo = Self.folder.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("examples/demo").path
    var files = try DemoFiles(folder: demo, catalog: Catalog.standard)
    #expect(files.files.count == 6)
    let listens = files.files.compactMap { $0.json["listen"]?.stringValue }
    for file in files.files {
      for peer in file.json["peers"]?.arrayValue ?? [] { #expect(listens.contains(peer.stringValue ?? "")) }
      #expect(file.about?.isEmpty == false, "\(file.name) says what it is there for")
    }
    for line in DemoTalk.lines {
      for name in [line.who, line.to ?? line.who] { #expect(files.files.contains { $0.name == name }, "\(name)") }
    }
    // Moved together, they still name each other.
    _ = try files.findPorts(any: true)
    let moved = files.files.compactMap { $0.json["listen"]?.stringValue }
    #expect(Set(moved).isDisjoint(with: listens))
    for file in files.files {
      for peer in file.json["peers"]?.arrayValue ?? [] { #expect(moved.contains(peer.stringValue ?? "")) }
    }
    let folder = try TestFolder()
    let copy = try files.copy(in: folder.path)
    #expect(FileManager.default.fileExists(atPath: copy + "/ada.json"))
    for file in files.files {
      guard let shared = file.json["layers"]?["fileshare"]?["shared"]?.stringValue else { continue }
      #expect(shared.hasPrefix("/") && FileManager.default.fileExists(atPath: shared), "\(file.name) shares \(shared)")
    }
    removeTree(copy)
    #expect(!FileManager.default.fileExists(atPath: copy))
  }

  @Test("A demo removes what one that was killed has left, and nothing of one that lives") func deadDemos() throws {
    let folder = try TestFolder()
    let place = Self.folder.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    var living = try DemoFiles(folder: place.appendingPathComponent("examples/demo").path, catalog: Catalog.standard)
    let kept = try living.copy(in: folder.path)
    let dead = folder.path + "/strata-demo.abcdef"
    try FileManager.default.createDirectory(atPath: dead + "/data/ada", withIntermediateDirectories: true)
    try folder.write("strata-demo.abcdef/node.lock", "1\n")
    // What has no lock yet is only just being made; what is called otherwise is somebody else's.
    for name in ["strata-demo.fresh1", "strata-other"] {
      try FileManager.default.createDirectory(atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true)
    }
    try folder.write("strata-other/node.lock", "1\n")
    try FileManager.default.createSymbolicLink(
      atPath: folder.path + "/strata-demo.linked", withDestinationPath: folder.path + "/strata-other")
    #expect(DataDirectoryLock.isHeld(directory: kept) && !DataDirectoryLock.isHeld(directory: dead))
    #expect(DemoFiles.removeDead(in: folder.path) == [dead])
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    let name = try #require(kept.split(separator: "/").last)
    #expect(left == [String(name), "strata-demo.fresh1", "strata-demo.linked", "strata-other"].sorted())
    // Nothing answers there, so `top` has no demo to show.
    #expect(RunningNodes.demos { $0 == "TMPDIR" ? folder.path : nil }.isEmpty)
    withExtendedLifetime(living) {}
  }

  @Test("The talk of the demo speaks of files that are there, and only those with the layer send private messages")
  func demoTalk() throws {
    let place = Self.folder.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("examples/demo").path
    let demo = try DemoFiles(folder: place, catalog: Catalog.standard)
    let names = try #require(FileManager.default.enumerator(atPath: place + "/files")).compactMap { $0 as? String }
    let pattern = try Regex(#"look for "(\w+)"|or "(\w+)""#).ignoresCase()
    var looked = 0
    for line in DemoTalk.lines {
      if line.to != nil {
        let file = try #require(demo.files.first { $0.name == line.who })
        #expect(file.json["layers"]?["routing"] != nil, "\(line.who) can't send: \(line.text)")
      }
      for match in line.text.matches(of: pattern) {
        let word = match.output[1].substring ?? match.output[2].substring ?? ""
        looked += 1
        #expect(names.contains { $0.contains(word) }, "no file of the demo is found by \(word)")
      }
    }
    #expect(looked >= 4)
  }

  @Test("A folder without a node's file is refused with the reason") func noDemo() throws {
    let folder = try TestFolder()
    #expect(strata("demo", folder.path).errors.contains("holds no node's file"))
    try folder.write("a.json", #"{"nmae": "x"}"#)
    let said = strata("demo", folder.path)
    #expect(said.status == 2 && said.errors.contains("nmae: found an unknown key"))
  }
}
