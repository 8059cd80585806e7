// SimCommand: `sim SCENARIO`: runs the same layers in virtual time.
import Glibc
import StackCore
import StackRuntime
import StackSim

extension CommandLineTool {
  /// `sim SCENARIO`.
  var simCommand: CommandSpec {
    CommandSpec(
      name: "sim", summary: "Simulates many nodes in virtual time, as a scenario says.",
      discussion:
        "The same scenario and seed give the same run, to the last byte. The exit status is 1 when a run fails; the "
        + "command that repeats it is printed.",
      positionals: [PositionalSpec(name: "scenario", summary: "The scenario's JSON file; - for standard input.")],
      options: [
        OptionSpec(name: "seed", value: "N", summary: "The seed, whatever the scenario says."),
        OptionSpec(name: "seeds", value: "N", summary: "Run under so many seeds, one after the other."),
        OptionSpec(name: "nodes", value: "N", summary: "So many nodes at the start, whatever the scenario says."),
        OptionSpec(name: "html", value: "FILE", summary: "Write a page with plots, which needs nothing else."),
        OptionSpec(name: "json", summary: "Print the report as JSON."),
        OptionSpec(
          name: "trace", summary: "Print each delivery, event and log line on standard error, as a line of JSON."),
      ],
      examples: ["sim rumor.json", "sim rumor.json --seeds 100", "sim rumor.json --seed 17 --html rumor.html"],
      action: { parsed, tool in try tool.simulate(parsed) })
  }

  private func simulate(_ parsed: ParsedArguments) throws -> Int32 {
    let path = parsed.positional("scenario") ?? "-"
    let scenario = try readScenario(path, nodes: try parsed.number("nodes", in: 1...100_000))
    let seed = try parsed.number("seed", in: 0...UInt64.max) ?? scenario.seed
    if let count = try parsed.number("seeds", in: UInt64(1)...1_000_000) {
      for name in ["html", "trace"] where parsed.has(name) {
        throw UsageError("found --seeds and --\(name), expected --\(name) with a single run: --seed N")
      }
      let (end, overflow) = seed.addingReportingOverflow(count)
      return try sweepSeeds(scenario, seed..<(overflow ? .max : end), path, isJSON: parsed.has("json"))
    }
    let simulation = try Simulation(scenario, catalog: catalog, seed: seed)
    if parsed.has("trace") { trace(simulation) }
    let start = Self.monotonicSeconds()
    let report = simulation.run().measured(realSeconds: Self.monotonicSeconds() - start)
    if let page = parsed.option("html") {
      do throws(TextFileError) {
        try writeFile(page, Array(report.html().utf8), replacing: true)
      } catch { throw FailedError(error.description) }
    }
    console.print(parsed.has("json") ? try JSON(encoding: report).text(pretty: true) : "\(report)")
    if !report.passed { console.complain("the run failed; again: \(program) sim \(path) --seed \(seed)") }
    return report.passed ? 0 : 1
  }

  private func readScenario(_ path: String, nodes: Int?) throws -> Scenario {
    let bytes: [UInt8]
    do throws(TextFileError) { bytes = try readFile(path) } catch { throw UsageError(error.description) }
    let json: JSON
    do throws(JSONError) { json = try JSON.parse(bytes) } catch {
      throw NodeFileError(file: path, problems: [NodeFileProblem(error, in: bytes)])
    }
    var described = withoutComments(json)
    if let nodes { described["nodes"] = JSON(nodes) }
    do throws(ScenarioError) { return try Scenario.load(described, catalog: catalog) } catch {
      throw NodeFileError(file: path, problems: error.problems.map { NodeFileProblem($0) })
    }
  }

  private func sweepSeeds(
    _ scenario: Scenario, _ seeds: Range<UInt64>, _ path: String, isJSON: Bool
  ) throws -> Int32 {
    let progress = ProgressLine(console: console, isJSON: false)
    var done = 0
    let report = sweep(scenario, catalog: catalog, seeds: seeds, file: path, program: program) { _, _ in
      done += 1
      if console.errorIsTerminal { progress.show(["done": JSON(done), "total": JSON(seeds.count)]) }
      return true
    }
    progress.end()
    console.print(isJSON ? try JSON(encoding: report).text(pretty: true) : "\(report)")
    return report.passed ? 0 : 1
  }

  /// Prints what happens in a simulation as it happens.
  private func trace(_ simulation: Simulation) {
    let schema = WireSchema.packet(packetFields())
    let seconds = { (time: Instant) in JSON.number((time - Instant(nanoseconds: 0)).inSeconds) }
    simulation.onDelivery = { [unowned simulation, console] from, node, bytes in
      var line: JSON = ["seconds": seconds(simulation.now), "node": JSON(node)]
      line["from"] = simulation.node(at: from).map { JSON($0) } ?? .string(from.description)
      line["bytes"] = JSON(bytes.count)
      do throws(WireDecodeError) {
        line["packet"] = try WireDecoder.json(bytes, as: schema)
      } catch {
        line["malformed"] = .string(error.description)
      }
      console.write(line.text() + "\n", to: .error)
    }
    simulation.onEvent = { [console] node, event in
      let line: JSON = [
        "seconds": seconds(event.time), "node": JSON(node), "event": .string("\(event.layer).\(event.name)"),
        "data": event.json(),
      ]
      console.write(line.text() + "\n", to: .error)
    }
    simulation.onLog = { [console] node, log in
      let line: JSON = [
        "seconds": seconds(log.time), "node": JSON(node), "level": .string(log.level.rawValue),
        "layer": .string(log.layer), "message": .string(log.message),
      ]
      console.write(line.text() + "\n", to: .error)
    }
  }

  private static func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
