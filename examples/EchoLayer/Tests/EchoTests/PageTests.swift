// PageTests: what README.md and docs/writing-a-layer.md say is what is compiled, parsed and run here.
import Foundation
import StackCore
import StackSim
import Testing

@testable import EchoNode
@testable import Strata

/// A fenced block of a page.
private struct Block {
  var language: String
  var lines: [String]
  /// Where it begins, for people.
  var place: String
}

/// The pages, from the repository's root.
private let pages = ["README.md", "docs/writing-a-layer.md"]

@Suite struct PageTests {
  let root = URL(filePath: #filePath).appending(path: "../../../../../").standardizedFileURL
  let catalog: [any ProtocolLayer.Type] = [Echo.self, Guestbook.self, Archive.self]
  /// Those of the example and those that come with Strata.
  var all: [any ProtocolLayer.Type] { Catalog.standard + catalog }

  func text(_ path: String) throws -> [String] {
    try String(contentsOf: root.appending(path: path), encoding: .utf8).components(separatedBy: "\n")
  }

  private func blocks(_ page: String, _ language: String) throws -> [Block] {
    var found: [Block] = []
    var open: Block?
    for (number, line) in try text(page).enumerated() {
      if let block = open, line == "```" {
        found.append(block)
        open = nil
      } else if open != nil {
        open?.lines.append(line)
      } else if line.hasPrefix("```") {
        open = Block(language: String(line.dropFirst(3)), lines: [], place: "\(page):\(number + 1)")
      }
    }
    #expect(open == nil, "\(page): a block has no end")
    return found.filter { $0.language == language }
  }

  @Test(arguments: pages) func everyPieceOfSwiftStandsInTheSources(page: String) throws {
    let folder = root.appending(path: "examples/EchoLayer")
    var sources = try [text("examples/EchoLayer/Package.swift")]
    for part in ["Sources/EchoNode", "Tests/EchoTests"] {
      for file in try FileManager.default.contentsOfDirectory(atPath: folder.appending(path: part).path).sorted() {
        sources.append(try text("examples/EchoLayer/\(part)/\(file)"))
      }
    }
    let blocks = try blocks(page, "swift")
    #expect(!blocks.isEmpty)
    for block in blocks {
      let isThere = sources.contains { source in
        source.indices.contains { source[$0...].starts(with: block.lines) }
      }
      #expect(isThere, "\(block.place): this piece stands in no source of the example")
    }
  }

  @Test func theLayerHasAtMost25Lines() throws {
    let echo = try text("examples/EchoLayer/Sources/EchoNode/Echo.swift")
    #expect(echo.count - 1 <= 25)
    #expect(try text("examples/EchoLayer/Sources/EchoNode/main.swift").count - 1 <= 10)
    for page in pages {
      #expect(
        try blocks(page, "swift").contains { $0.lines == Array(echo.dropLast()) }, "\(page) shows Echo, all of it")
    }
  }

  @Test(arguments: pages) func everyFileIsRight(page: String) throws {
    for block in try blocks(page, "json") {
      let bytes = Array(block.lines.joined(separator: "\n").utf8)
      do {
        let json = try JSON.parse(bytes)
        if json["nodes"] != nil {
          _ = try Scenario.load(json, catalog: all)
        } else {
          _ = try NodeFile.parse(bytes, path: "/nowhere/node.json", catalog: all)
        }
      } catch { Issue.record("\(block.place): \(error)") }
    }
  }

  @Test func everyFileOfTheTourIsRight() throws {
    for name in ["alice", "bob"] {
      _ = try NodeFile.read(root.appending(path: "examples/tour/\(name).json").path, catalog: catalog)
    }
    for name in ["crowd", "ring"] {
      let bytes = try Array(Data(contentsOf: root.appending(path: "examples/tour/\(name).json")))
      _ = try Scenario.load(JSON.parse(bytes), catalog: catalog)
    }
  }

  @Test(arguments: pages) func everyCommandExists(page: String) throws {
    let makefile = try text("Makefile")
    for block in try blocks(page, "console") {
      for line in block.lines where line.hasPrefix("$ ") {
        let words = line.dropFirst(2).split(separator: " ").map(String.init)
        let first = words.first ?? ""
        switch first {
        case "EchoNode": try check(Array(words.dropFirst()), catalog, "\(block.place): \(line)")
        case "strata": try check(Array(words.dropFirst()), Catalog.standard, "\(block.place): \(line)")
        case "make":
          for word in words.dropFirst() where !word.contains("=") {
            #expect(makefile.contains { $0.hasPrefix("\(word):") }, "\(block.place): \(line)")
          }
        case "curl":
          let path = words.lazy.compactMap { $0.components(separatedBy: "/v1/").dropFirst().first }.first ?? ""
          let parts = path.split(separator: "/").map(String.init)
          #expect(try parts.count == 2 && isCommand(parts[0], parts[1]), "\(block.place): \(line)")
        default:
          let isKnown = ["cat", "cd", "cp", "export", "git", "head", "kill", "mkdir", "swift"].contains(first)
          #expect(isKnown || first.hasPrefix("TOKEN="), "\(block.place): \(line)")
        }
      }
    }
  }

  /// Whether a layer has a command.
  func isCommand(_ layer: String, _ name: String) throws -> Bool {
    let world = try Simulation(nodes: 1, ["echo": [:], "guestbook": [:], "archive": [:]], catalog: catalog)
    return world.node(0)?.commandDescriptions.contains { $0.layer == layer && $0.name == name } ?? false
  }

  /// The command shows its help, and knows every option.
  func check(_ words: [String], _ catalog: [any ProtocolLayer.Type], _ place: String) throws {
    let words = Array(words.prefix { !["|", "&", ">"].contains($0) })
    let path = Array(words.prefix { !$0.hasPrefix("-") && !$0.contains(".json") && !$0.hasPrefix("\"") && $0 != "…" })
    var help = ""
    let console = Console(
      program: "EchoNode", width: 200, hasColours: false, environment: { _ in nil },
      sink: { _, text in
        help += text
        return nil
      })
    let tool = CommandLineTool(catalog: catalog, version: "0", console: console)
    #expect(tool.run(Array(path.prefix(2)) + ["--help"]) == 0, "\(place): \(help)")
    for word in words where word.hasPrefix("--") {
      #expect(help.contains(word), "\(place): \(word) is no option")
    }
  }
}
