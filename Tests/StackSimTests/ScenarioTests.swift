// ScenarioTests: scenarios as files have them: what they mean, and what is said of mistakes.
import StackCore
import Testing

@testable import StackSim

@Suite struct ScenarioTests {
  private func problems(_ text: String) -> [String] {
    do {
      let scenario = try Scenario.load(try JSON.parse(text), catalog: catalog)
      _ = try Simulation(scenario, catalog: catalog)
      return []
    } catch let error as ScenarioError {
      return error.problems.map(\.description)
    } catch { return ["\(error)"] }
  }

  @Test func mistakesAreNamed() {
    #expect(problems(#"{"nodez": 3}"#) == [#"nodez: found an unknown key, expected "nodes" (did you mean that?)"#])
    #expect(problems(#"{"nodes": 0}"#) == ["nodes: found 0, expected a whole number from 1 to 100000"])
    #expect(
      problems(#"{"topology": {"kind": "rung"}}"#).first?.hasPrefix(
        #"topology.kind: found "rung", expected "none", "line""#)
        == true)
    #expect(
      problems(#"{"node": {"layers": {"gosip": {}}}}"#)
        == [#"node.layers.gosip: found an unknown layer, expected "gossip" (did you mean that?)"#])
    #expect(
      problems(#"{"node": {"layers": {"gossip": {"agan": "1s"}}}}"#)
        == [#"node.layers.gossip.agan: found an unknown key, expected "again" (did you mean that?)"#])
    #expect(
      problems(#"{"link": {"latency": "fast"}}"#).first?.hasPrefix(
        #"link.latency: found "fast", expected a latency such as"#)
        == true)
    #expect(
      problems(#"{"link": {"loss": 2}}"#).first?.hasPrefix("link.loss: found 2, expected a number from 0") == true)
  }

  @Test func actionsThatCannotBeDoneAreNamed() {
    #expect(
      problems(#"{"actions": [{"at": "1s"}]}"#).first?.hasPrefix("actions[0]: found an action that does nothing")
        == true)
    #expect(
      problems(#"{"actions": [{"at": "1s", "heal": true, "crash": 1}]}"#).first?
        .hasPrefix("actions[0]: found an action that does heal and crash") == true)
    #expect(
      problems(#"{"actions": [{"at": "1s", "crash": 7}]}"#)
        == ["actions[0].crash: found node 7, expected nodes from 0 to 1, for there are no more"])
    let base = #"{"node": {"layers": {"gossip": {}}}, "actions": [{"at": "1s", "node": 0, "#
    #expect(
      problems(base + #""command": "gossip publsh", "input": {"text": "x"}}]}"#)
        == [#"actions[0].command: found "gossip publsh", expected "gossip publish" (did you mean that?)"#])
    #expect(
      problems(base + #""command": "gossip publish"}]}"#).first?.hasPrefix("actions[0].input.text: found nothing")
        == true)
  }

  @Test func conditionsThatCannotHoldAreNamed() {
    let base = #"{"node": {"layers": {"gossip": {}}}, "stop": {"when": ["#
    #expect(
      problems(base + #"{"event": "gossip.rumour"}]}}"#)
        == [
          #"stop.when[0].event: found the unknown event "gossip.rumour", expected "gossip.rumor" (did you mean that?)"#
        ])
    #expect(problems(base + #"{"metric": "gossip.known"}]}}"#).first?.contains("a metric without a bound") == true)
    #expect(problems(base + #"{}]}}"#).first?.contains("a condition over nothing") == true)
  }

  @Test func aWholeScenarioRuns() throws {
    let text = """
      { "name": "rumor", "about": "One rumor, through a partition and a crash.", "seed": 3, "nodes": 30,
        "topology": { "kind": "random-regular", "degree": 4 },
        "node": { "layers": { "gossip": { "again": "500ms" } }, "startWithin": "100ms" },
        "overrides": [ { "nodes": "0-1", "layers": { "gossip": { "again": "1s" }, "keeper": {} } } ],
        "link": { "latency": "lognormal(20ms, 0.5)", "loss": 0.05 },
        "links": [ { "between": [0, "1-29"], "loss": 0.2 } ],
        "actions": [
          { "at": "1s", "node": 3, "command": "gossip publish", "input": { "text": "hello" } },
          { "at": "1.01s", "partition": ["0-14", "15-29"] }, { "at": "5s", "heal": true },
          { "at": "2s", "crash": [4, 5] }, { "at": "6s", "restart": [4], "storage": "lose" },
          { "at": "7s", "join": { "peers": [0, 1], "count": 2 } }, { "at": "8s", "leave": "random 2" },
          { "at": "9s", "link": { "loss": 0 } },
          { "at": "2s", "every": "1s", "times": 3, "node": 0, "command": "keeper add" } ],
        "stop": { "after": "12s",
          "never": [ { "metric": "gossip.known", "atLeast": 3, "on": "any" } ] } }
      """
    let scenario = try Scenario.load(try JSON.parse(text), catalog: catalog)
    let report = try Simulation(scenario, catalog: catalog).run()
    #expect(report.passed, "\(report)")
    #expect(report.nodes.total == 32)
    #expect(report.commands.run == 4 && report.commands.failed == 0)
    #expect(report.commands.answers.last?.output == ["total": 3])
    let again = try Simulation(scenario, catalog: catalog).run()
    #expect(again.traceHash == report.traceHash)
    let other = try Simulation(scenario, catalog: catalog, seed: 4).run()
    #expect(other.traceHash != report.traceHash)
    #expect("\(report)".contains("gossip.rumor"))
    // A scenario that is written out is the same one.
    let copy = try Scenario.load(try JSON(encoding: scenario), catalog: catalog)
    #expect(try Simulation(copy, catalog: catalog).run().traceHash == report.traceHash)
  }

  @Test func everySettingOfAScenarioIsDescribed() {
    func check(_ schema: Schema, _ path: String) {
      for property in schema.properties {
        #expect(!property.description.isEmpty, "\(path).\(property.name)")
        check(property.schema, "\(path).\(property.name)")
        if case .array(let element) = property.schema.kind { check(element, "\(path).\(property.name)[]") }
      }
    }
    check(Schema.of(config: Scenario.self), "")
  }

  @Test func topologiesHaveTheirShape() {
    var random = RandomStream(seed: 1)
    func degrees(_ topology: Topology, _ nodes: Int) -> [Int] {
      let neighbours = topology.neighbours(nodes: nodes, &random)
      for (node, others) in neighbours.enumerated() {
        #expect(others == others.sorted() && !others.contains(Int32(node)))
        #expect(others.allSatisfy { neighbours[Int($0)].contains(Int32(node)) })
      }
      return neighbours.map(\.count)
    }
    #expect(degrees(Topology(.none), 4) == [0, 0, 0, 0])
    #expect(degrees(Topology(.line), 4) == [1, 2, 2, 1])
    #expect(degrees(Topology(.ring), 4) == [2, 2, 2, 2])
    #expect(degrees(Topology(.ring), 1) == [0])
    #expect(degrees(Topology(.star), 4) == [3, 1, 1, 1])
    #expect(degrees(Topology(.full), 4) == [3, 3, 3, 3])
    #expect(degrees(Topology(.grid), 6) == [2, 3, 2, 2, 3, 2])
    #expect(degrees(.edges([(0, 2), (1, 2)]), 3) == [1, 1, 2])
    #expect(degrees(.randomRegular(degree: 5), 100) == Array(repeating: 5, count: 100))
    #expect(degrees(.randomRegular(degree: 4), 101) == Array(repeating: 4, count: 101))
    let world = degrees(.smallWorld(degree: 6, rewire: 0.3), 200)
    #expect(world.reduce(0, +) == 1200 && world.contains { $0 != 6 })
    #expect(degrees(.smallWorld(degree: 6, rewire: 0), 50) == Array(repeating: 6, count: 50))
  }

  @Test func percentilesAreTheNearestRank() throws {
    #expect(percentile([1, 2, 3, 4], 50) == 2)
    #expect(percentile(Array(1...100), 99) == 99)
    #expect(percentile([5], 0) == 5 && percentile([Int](), 50) == nil)
    var samples = TimeSamples()
    for value in 1...1000 { samples.add(Int64(value) * 1_000_000_000) }
    let times = try #require(SimulationReport.Times(samples))
    #expect((times.first, times.p50, times.p90, times.p99, times.last) == (1, 500, 900, 990, 1000))
    for value in 1001...300_000 { samples.add(Int64(value) * 1_000_000_000) }
    let many = try #require(SimulationReport.Times(samples))
    #expect(samples.count == 300_000 && samples.values.count <= TimeSamples.most)
    #expect(abs(many.p50 - 150_000) < 100 && many.max == 300_000)
  }

  @Test func aSweepFindsAPlantedMistake() throws {
    // A broken node tells of a rumor again when a duplicate comes: only seeds under which one is duplicated show it.
    let text = """
      { "name": "planted", "nodes": 5, "topology": { "kind": "line" }, "link": { "duplicate": 0.1 },
        "node": { "layers": { "gossip": { "isBroken": true } } },
        "actions": [ { "at": "1s", "node": 0, "command": "gossip publish", "input": { "text": "x" } } ],
        "stop": { "after": "5s", "never": [ { "event": "gossip.rumor", "count": 6 } ] } }
      """
    let scenario = try Scenario.load(try JSON.parse(text), catalog: catalog)
    let report = sweep(scenario, catalog: catalog, seeds: 0..<40, file: "planted.json")
    #expect(!report.passed && report.failed.count < 40)
    let failed = try #require(report.failed.first)
    #expect(failed.replay == "strata sim planted.json --seed \(failed.seed)")
    #expect(failed.ending.contains("gossip.rumor"))
    let again = try Simulation(scenario, catalog: catalog, seed: failed.seed).run()
    #expect(again.traceHash == failed.traceHash && !again.passed)
    #expect("\(report)".contains("again: strata sim planted.json --seed \(failed.seed)"))
  }

  @Test func aPageHoldsNothingFromOutside() throws {
    var scenario = Scenario()
    scenario.name = "<b>&\"quotes\""
    scenario.nodes = 12
    scenario.node.layers = ["gossip": ["again": "100ms"]]
    scenario.stop.after = .seconds(3)
    var publish = ScenarioAction()
    publish.at = .seconds(1)
    publish.command = "gossip publish"
    publish.node = NodeSelection([0])
    publish.input = ["text": "<script>"]
    scenario.actions = [publish]
    let page = try Simulation(scenario, catalog: catalog).run().html()
    #expect(!page.contains("<b>&\"") && !page.contains("<script") && !page.contains("http"))
    #expect(page.contains("<svg") && page.contains("gossip.Rumor"))
  }

  @Test func manyDeliveriesPassThrough() throws {
    let simulation = try Simulation(
      nodes: 100, ["gossip": ["again": "10ms"]], topology: .randomRegular(degree: 6), catalog: catalog)
    simulation.run(for: .milliseconds(1))
    simulation.call(0, "gossip", "publish", ["text": .string(String(repeating: "x", count: 80))])
    simulation.run(for: .seconds(1))
    #expect(simulation.deliveries > 50_000)
  }
}
