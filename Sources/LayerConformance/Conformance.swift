// Conformance: the promises that every layer makes, checked on any layer with one call.
import StackCore
import StackSim

/// How much is checked, and what a layer may use.
public struct ConformanceOptions: Sendable {
  /// From which all chance comes.
  public var seed: UInt64 = 1
  /// How many messages of each kind of damage are tried on each of the layer's fields, and how many inputs on each
  /// command.
  public var rounds = 100
  /// How many messages a flood has, and from how many addresses.
  public var floodMessages = 100_000
  public var floodSenders = 10_000
  /// What the layer's node may have after a flood.
  public var mostTimers = 10_000
  public var mostStoredPairs = 100_000
  public var mostStoredBytes = 64 << 20
  /// How many bytes the process may grow by in the second half of a flood; looked at when `memory` is there.
  public var mostGrowth = 16 << 20
  /// Answers how much memory the process uses, in bytes; the kit itself has no way to know.
  public var memory: (@Sendable () -> Int)?
  /// Puts each simulation to work before anything is checked, such as with downloads that are under way meanwhile. What
  /// it returns is wrong already.
  public var prepare: (@Sendable (Simulation) -> [String])?
  /// Looks at a simulation after it was sent damaged messages or a flood, or its node was killed; what it returns is
  /// wrong.
  public var finish: (@Sendable (Simulation) -> [String])?
  /// Called with one line a check.
  public var print: @Sendable (String) -> Void = { Swift.print($0) }

  public init() {}
}

/// What was checked, and what came of it.
public struct ConformanceReport: Sendable, CustomStringConvertible {
  /// One promise.
  public struct Check: Sendable {
    /// What is promised.
    public var name: String
    /// What is wrong, one line each; empty when the promise is kept.
    public var problems: [String]
    /// How much was tried.
    public var note: String
    public var passed: Bool { problems.isEmpty }
    /// The check in a line, and its problems below.
    public var description: String {
      let head = "\(passed ? "ok  " : "FAIL") \(name)\(note.isEmpty ? "" : " (\(note))")"
      return ([head] + problems.map { "       - \($0)" }).joined(separator: "\n")
    }
  }
  /// The layer that was checked.
  public var layer: String
  /// What was checked, in order.
  public var checks: [Check]
  /// Whether every promise is kept.
  public var passed: Bool { checks.allSatisfy(\.passed) }
  public var description: String { (["layer \(layer)"] + checks.map(\.description)).joined(separator: "\n") }
}

/// Promises that a layer doesn't keep.
public struct ConformanceError: Error, Sendable, CustomStringConvertible {
  public var report: ConformanceReport
  /// A readable list of what is wrong.
  public var description: String {
    (["layer \(report.layer) does not keep these promises:"] + report.checks.filter { !$0.passed }.map(\.description))
      .joined(separator: "\n")
  }
}

/// The conformance kit.
public enum LayerConformance {
  /// Checks a layer: its descriptions, its messages, garbage and damage to each of them, its timers, its commands, stop
  /// and start and crash with what it stored, determinism, and bounded memory under a flood.
  ///
  /// `others` are layers that run beside it, such as those whose services it needs; `otherSections` are their
  /// configurations, by name. A layer that breaks a rule of the seam itself (sends an undeclared message, reads past an
  /// array) stops the process, with the check that was under way as the last line printed.
  @discardableResult public static func check<Layer: ProtocolLayer>(
    _ layer: Layer.Type, config: JSON = [:], with others: [any ProtocolLayer.Type] = [],
    otherSections: LayerSections = LayerSections(), options: ConformanceOptions = ConformanceOptions()
  ) throws -> ConformanceReport {
    var sections = LayerSections()
    for other in others { sections.sections[other.manifest.name] = otherSections.sections[other.manifest.name] ?? [:] }
    sections.sections[Layer.manifest.name] = config
    let bench = Bench(
      layer: Layer.manifest.name, sections: sections, catalog: others + [layer], options: options)
    var report = ConformanceReport(layer: Layer.manifest.name, checks: [])
    func run(_ name: String, _ body: () throws -> (problems: [String], note: String)) {
      var check = ConformanceReport.Check(name: name, problems: [], note: "")
      do {
        let result = try body()
        check.problems = Array(result.problems.prefix(20))
        check.note = result.note
      } catch { check.problems = ["\(error)"] }
      options.print(check.description)
      report.checks.append(check)
    }
    run("it has a name, a line of description, and settings whose defaults are within their limits") {
      try bench.settings(Layer.self, config)
    }
    run("everything it registers is described") { try bench.descriptions() }
    run("its messages list their fields in order and write again what they read") { try bench.messages() }
    run("garbage, truncated, damaged and random messages do no harm") { try bench.damage() }
    run("its timers can fire at any time, with any delay") { try bench.timers() }
    run("its commands answer valid input once and refuse invalid input") { try bench.commands() }
    run("it can stop, start, crash and start again from what it stored") { try bench.restarts() }
    run("the same seed does the same") { try bench.determinism() }
    run("a flood leaves its memory bounded") { try bench.flood() }
    if !report.passed { throw ConformanceError(report: report) }
    return report
  }
}
