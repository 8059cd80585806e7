// ManualTests: the pages made from the table of commands are current, and what they show can be typed.
import Foundation
import StackCore
import Testing

@testable import Strata

@Suite struct ManualTests {
  let root = URL(filePath: #filePath).appending(path: "../../../").standardizedFileURL

  private func page(_ path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  private var tool: CommandLineTool {
    CommandLineTool(
      catalog: Catalog.standard, version: Strata.version, console: Console(program: "strata", sink: { _, _ in nil }))
  }

  @Test("docs/cli.md, the manual page and docs/strata.proto are what the program prints; else: make docs")
  func current() throws {
    let manual = Manual(tool)
    #expect(try page("docs/cli.md") == manual.markdown, "docs/cli.md is old; run `make docs`")
    #expect(try page("docs/man/strata.1") == manual.roff, "docs/man/strata.1 is old; run `make docs`")
    let proto = ProtoFile.text(tool.packetFields(), program: "strata")
    #expect(try page("docs/strata.proto") == proto, "docs/strata.proto is old; run `make docs`")
  }

  @Test("Every command has a line about it, and so has each of its words") func described() {
    func check(_ spec: CommandSpec, _ path: String) {
      #expect(spec.summary.hasSuffix("."), "\(path): \(spec.summary)")
      for option in spec.options { #expect(!option.summary.isEmpty, "\(path) --\(option.name)") }
      for place in spec.positionals { #expect(!place.summary.isEmpty, "\(path) \(place.name)") }
      for next in spec.subcommands { check(next, "\(path) \(next.name)") }
    }
    check(tool.wholeTable, "strata")
  }

  @Test("Every example in a help can be typed: the parser takes it") func examples() throws {
    var count = 0
    func check(_ spec: CommandSpec, _ path: String) throws {
      for example in spec.examples {
        count += 1
        var words = CommandLineTool.shellWords(example).filter { !$0.isEmpty }
        if let end = words.firstIndex(where: { [">", "|"].contains($0) }) { words = Array(words[..<end]) }
        let lead = path.split(separator: " ").dropFirst().map(String.init)
        guard words.starts(with: lead) else {
          Issue.record("\(path): the example \"\(example)\" is of another command")
          continue
        }
        do { _ = try spec.parse(words[lead.count...], path: path) } catch {
          Issue.record("\(path): the example \"\(example)\" can't be typed: \(error)")
        }
      }
      for next in spec.subcommands { try check(next, "\(path) \(next.name)") }
    }
    try check(tool.wholeTable, "strata")
    #expect(count > 20)
  }

  @Test("Every command that can be typed has an example") func exemplary() {
    func check(_ spec: CommandSpec, _ path: String) {
      if spec.subcommands.isEmpty { #expect(spec.isHidden || !spec.examples.isEmpty, "\(path) has no example") }
      for next in spec.subcommands { check(next, "\(path) \(next.name)") }
    }
    check(tool.wholeTable, "strata")
  }

  @Test("What a layer's examples say is an input that its command takes") func inputs() throws {
    for report in LayerReport.all(Catalog.standard) {
      for command in report.commands {
        let arguments = LayerCommandArguments(command.input)
        let spec = arguments.spec(layer: command.layer, name: command.name, summary: "", examples: [])
        for example in command.examples {
          let words = CommandLineTool.shellWords(example).filter { !$0.isEmpty }
          do {
            _ = try arguments.input(try spec.parse(words[...], path: command.name)) { [] }
          } catch {
            Issue.record("\(command.layer) \(command.name) \(example): \(error)")
          }
        }
      }
    }
  }

  @Test("The manual page has no line that a formatter would take for something else") func roff() throws {
    for line in Manual(tool).roff.split(separator: "\n") {
      if line.first == "'" { Issue.record("a request by mistake: \(line)") }
      guard line.first == "." else { continue }
      let known = [".\\\"", ".TH", ".SH", ".SS", ".B", ".I", ".TP", ".PP", ".nf", ".fi"]
      #expect(known.contains(String(line.prefix { $0 != " " })), "\(line)")
    }
  }
}
