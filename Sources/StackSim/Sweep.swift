// Sweep: one scenario under many seeds, to find those under which it fails.
import StackCore

/// What came of a scenario under many seeds.
public struct SweepReport: Codable, Sendable {
  /// One seed's run.
  public struct Run: Codable, Sendable {
    public var seed: UInt64
    public var passed: Bool
    /// Why it ended, or why it could not begin.
    public var ending: String
    public var failures: [String]
    /// Empty when it could not begin.
    public var traceHash: String
    public var virtualSeconds: Double
    public var deliveries: UInt64
    /// The command that does exactly this run again.
    public var replay: String
  }
  /// The scenario's name, and what came of each seed.
  public var scenario: String
  public var runs: [Run]
  /// The runs that failed.
  public var failed: [Run] { runs.filter { !$0.passed } }
  /// Whether none failed.
  public var passed: Bool { failed.isEmpty }
}

extension SweepReport: CustomStringConvertible {
  /// One line for all, and two for each run that failed.
  public var description: String {
    let failed = failed
    var lines = ["\(scenario): \(runs.count - failed.count) of \(runs.count) seeds passed"]
    for run in failed {
      lines.append("  seed \(run.seed) failed: \(([run.ending] + run.failures).joined(separator: "; "))")
      lines.append("    again: \(run.replay)")
    }
    return lines.joined(separator: "\n")
  }
}

/// Runs a scenario under each of some seeds. `file` and `program` are the scenario's file and the command, as a replay
/// is to name them; `each` is told every run's report as it comes (nil for one that could not begin), and ends the
/// sweep by answering false.
public func sweep(
  _ scenario: Scenario, catalog: [any ProtocolLayer.Type], seeds: Range<UInt64>, file: String = "SCENARIO.json",
  program: String = "strata",
  each: (_ run: SweepReport.Run, _ report: SimulationReport?) -> Bool = { _, _ in true }
) -> SweepReport {
  var sweep = SweepReport(scenario: scenario.name, runs: [])
  for seed in seeds {
    let replay = "\(program) sim \(file) --seed \(seed)"
    var run = SweepReport.Run(
      seed: seed, passed: false, ending: "", failures: [], traceHash: "", virtualSeconds: 0, deliveries: 0,
      replay: replay)
    var report: SimulationReport?
    do {
      let made = try Simulation(scenario, catalog: catalog, seed: seed).run()
      report = made
      run.passed = made.passed
      run.ending = made.ending
      run.failures = made.failures
      run.traceHash = made.traceHash
      run.virtualSeconds = made.virtualSeconds
      run.deliveries = made.network.delivered
    } catch { run.ending = "could not be built: \(error)" }
    sweep.runs.append(run)
    if !each(run, report) { break }
  }
  return sweep
}
