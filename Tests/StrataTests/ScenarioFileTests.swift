// ScenarioFileTests: the scenarios that come with Strata are understood, and hold what they say.
import Foundation
import StackCore
import StackSim
import Testing

@testable import Strata

@Suite struct ScenarioFileTests {
  private static let folder =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("examples/scenarios").path
  private static let files = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    .filter { $0.hasSuffix(".json") }

  @Test func thereAreSome() { #expect(Self.files.count >= 6) }

  /// A large network is made small, where that changes nothing of what is promised: it doesn't where nodes are counted.
  @Test(arguments: files) func eachPasses(_ file: String) throws {
    let text = try String(contentsOfFile: "\(Self.folder)/\(file)", encoding: .utf8)
    var json = try JSON.parse(text)
    let nodes = json["nodes"]?.integerValue ?? 0
    if nodes > 60, file != "search.json" { json["nodes"] = 60 }
    let report = try Simulation(try Scenario.load(json, catalog: Catalog.standard), catalog: Catalog.standard).run()
    #expect(report.passed, "\(file): \(report.ending)")
    #expect(report.commands.failed == 0, "\(file)")
  }

  @Test func theCommandTakesAnotherNumberOfNodes() {
    let said = strata("sim", "\(Self.folder)/rumor-flood.json", "--nodes", "40", catalog: Catalog.standard)
    #expect(said.status == 0)
    #expect(said.output.contains("40 nodes, 40 running at the end"))
    let wrong = strata("sim", "\(Self.folder)/rumor-flood.json", "--nodes", "5", catalog: Catalog.standard)
    #expect(wrong.status == 2 && wrong.errors.contains("topology.degree"))
  }
}
