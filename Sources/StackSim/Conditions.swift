// Conditions: whether what a scenario waits for has come about.
import StackCore

/// The conditions of a scenario, as they stand.
struct ConditionState {
  private let when: [Condition]
  private let never: [Condition]
  /// Whether any is about a metric, which has to be looked at again and again.
  let areOverMetrics: Bool
  private let areOverEvents: Bool

  init(_ stop: StopSettings) {
    when = stop.when
    never = stop.never
    areOverMetrics = (when + never).contains { $0.metric != nil }
    areOverEvents = (when + never).contains { $0.event != nil }
  }

  /// An event was counted.
  func noted(_ kind: Int, node: Int, _ simulation: Simulation) {
    guard areOverEvents, simulation.ending == nil else { return }
    let event = simulation.tally.events[kind]
    let mine = event.perNode[node]
    let name = event.fullName
    // Only the event that makes the count full can change anything, unless it is a sum over all.
    let matters = (when + never).contains { condition in
      condition.event == name && (condition.on == .sum ? event.times.count >= condition.count : mine == condition.count)
    }
    if matters { look(simulation) }
  }

  /// Looks at every condition, and ends the simulation if it is time.
  func look(_ simulation: Simulation) {
    guard simulation.ending == nil else { return }
    if let broken = never.first(where: { $0.holds(in: simulation) }) {
      simulation.ending = .forbidden(broken.text)
    } else if !when.isEmpty, when.allSatisfy({ $0.holds(in: simulation) }) {
      simulation.ending = .conditions
    }
  }

  /// What to say of a simulation whose time is up.
  func verdict(_ simulation: Simulation) -> Simulation.Ending {
    if let broken = never.first(where: { $0.holds(in: simulation) }) { return .forbidden(broken.text) }
    if when.isEmpty { return .time }
    let open = when.filter { !$0.holds(in: simulation) }
    return open.isEmpty ? .conditions : .unmet(open.map(\.text))
  }
}

extension Condition {
  /// Whether it holds now.
  func holds(in simulation: Simulation) -> Bool {
    event == nil ? metricHolds(simulation) : eventHolds(simulation)
  }

  private func eventHolds(_ simulation: Simulation) -> Bool {
    let tally = simulation.tally.events.first { $0.fullName == event }
    switch on {
    case .sum: return (tally?.times.count ?? 0) >= UInt64(count)
    case .any: return tally?.perNode.contains { Int($0) >= count } ?? false
    case .all:
      return simulation.running.allSatisfy { node in
        guard let tally, node < tally.perNode.count else { return false }
        return Int(tally.perNode[node]) >= count
      }
    }
  }

  private func metricHolds(_ simulation: Simulation) -> Bool {
    let values = simulation.running.map { simulation.node($0)?.metricValue(metric ?? "") ?? 0 }
    func isWithin(_ value: Double) -> Bool {
      atLeast.map { value >= $0 } ?? true && atMost.map { value <= $0 } ?? true
    }
    return switch on {
    case .sum: isWithin(values.reduce(0, +))
    case .any: values.contains(where: isWithin)
    case .all: values.allSatisfy(isWithin)
    }
  }
}

extension MetricDescription {
  /// The metric as one number: of a histogram, how many values it has seen.
  var number: Double {
    switch source {
    case .counter(let counter): Double(counter.value)
    case .gauge(let value): value()
    case .histogram(let histogram): Double(histogram.counts.reduce(0, +))
    }
  }
  var fullName: String { "\(layer).\(name)" }
}

extension Node {
  /// A metric's value by "layer.name", of a histogram how many values it has seen; nil when there is no such metric.
  public func metricValue(_ name: String) -> Double? { metricDescriptions.first { $0.fullName == name }?.number }
}
