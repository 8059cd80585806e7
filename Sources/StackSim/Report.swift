// Report: what came of a simulation, as values that are the same for the same scenario and seed.
import StackCore

/// What came of a simulation. All of it but `measured` depends on nothing but the scenario and the seed.
public struct SimulationReport: Codable, Sendable {
  /// What the scenario is called, and what it shows.
  public var scenario: String
  public var about: String
  public var seed: UInt64
  /// The hash over everything delivered and dropped, as 16 hexadecimal digits.
  public var traceHash: String
  /// Whether it ended as it should, with nothing that went wrong on the way.
  public var passed: Bool
  /// Why it ended, in words.
  public var ending: String
  /// What went wrong, one line each.
  public var failures: [String]
  /// How much virtual time passed.
  public var virtualSeconds: Double
  public var nodes: NodesReport
  public var network: NetworkReport
  /// What the nodes themselves dropped, by reason; only reasons that occurred.
  public var nodeDrops: [DropCount]
  /// The messages of all nodes, by type.
  public var messages: [MessageReport]
  public var events: [EventReport]
  public var metrics: [MetricReport]
  public var commands: CommandsReport
  public var load: LoadReport
  public var series: SeriesReport
  public var topology: TopologyReport
  /// How long it took in real time, where the caller has measured that.
  public var measured: Measured?

  /// How many nodes there were.
  public struct NodesReport: Codable, Sendable {
    public var total: Int
    public var runningAtEnd: Int
    public var crashes: UInt64
    public var restarts: UInt64
    public var timersFired: UInt64
    public var unknownFields: UInt64
  }

  /// A reason for drops, and how many there were.
  public struct DropCount: Codable, Sendable, Hashable {
    public var reason: String
    public var count: UInt64
  }

  /// What the network did.
  public struct NetworkReport: Codable, Sendable {
    public var sent: UInt64
    public var delivered: UInt64
    public var bytesDelivered: UInt64
    public var duplicated: UInt64
    public var reordered: UInt64
    public var corrupted: UInt64
    public var underWay: Int
    /// Only reasons that occurred.
    public var dropped: [DropCount]
  }

  /// A message type's traffic, summed over all nodes.
  public struct MessageReport: Codable, Sendable {
    public var message: String
    public var sent: UInt64
    public var bytesSent: UInt64
    public var received: UInt64
    public var bytesReceived: UInt64
    public var malformed: UInt64
  }

  /// When something happened: the first and the last time, and by when how much of it had.
  public struct Times: Codable, Sendable, Hashable {
    public var first: Double
    public var p50: Double
    public var p90: Double
    public var p99: Double
    public var max: Double
    public var last: Double
    /// The times by which 0, 2, 4, … 100 per cent had happened.
    public var curve: [Double]
  }

  /// One kind of event.
  public struct EventReport: Codable, Sendable {
    public var event: String
    public var count: UInt64
    /// How many nodes published it.
    public var nodes: Int
    /// In seconds since the start.
    public var seconds: Times
    /// In seconds since the scenario's latest action before each, where there was one.
    public var secondsAfterAction: Times?
  }

  /// One metric over the nodes that run at the end.
  public struct MetricReport: Codable, Sendable {
    public var metric: String
    public var sum: Double
    public var mean: Double
    public var smallest: Double
    public var largest: Double
  }

  /// The commands that the scenario ran.
  public struct CommandsReport: Codable, Sendable {
    public var run: UInt64
    public var failed: UInt64
    public var answers: [CommandReport]
  }

  /// One command and its answer.
  public struct CommandReport: Codable, Sendable {
    public var node: Int
    public var command: String
    public var atSeconds: Double
    /// How long the answer took; nil when none came.
    public var tookSeconds: Double?
    public var progress: UInt64
    public var output: JSON?
    public var error: String?
  }

  /// How the work was spread over the nodes, in datagrams received.
  public struct LoadReport: Codable, Sendable {
    public var least: UInt64
    public var p50: UInt64
    public var p90: UInt64
    public var p99: UInt64
    public var most: UInt64
    public var busiest: [NodeLoad]
    /// How many nodes received less than one, two, … bucket widths.
    public var histogram: [Int]
    public var bucketWidth: UInt64
    /// What each node received, where there are at most 500.
    public var perNode: [UInt64]
  }

  /// One node's traffic.
  public struct NodeLoad: Codable, Sendable {
    public var node: Int
    public var received: UInt64
    public var sent: UInt64
  }

  /// Traffic over virtual time, in slices.
  public struct SeriesReport: Codable, Sendable {
    public var sliceSeconds: Double
    /// Datagrams delivered, by the type of their first message.
    public var delivered: [Row]
    /// Datagrams that the network dropped, by reason.
    public var dropped: [Row]

    /// One type's or reason's counts.
    public struct Row: Codable, Sendable {
      public var name: String
      public var counts: [UInt32]
    }
  }

  /// The shape of the network at the start.
  public struct TopologyReport: Codable, Sendable {
    public var kind: String
    public var nodes: Int
    public var links: Int
    /// The links, where there are at most 500 nodes and 20,000 links.
    public var edges: [[Int]]
  }

  /// What the caller has measured.
  public struct Measured: Codable, Sendable {
    public var realSeconds: Double
    public var deliveriesPerSecond: Double
  }

  /// The report with the real time that the simulation took.
  public func measured(realSeconds: Double) -> SimulationReport {
    var report = self
    let rate = realSeconds > 0 ? Double(network.delivered) / realSeconds : 0
    report.measured = Measured(realSeconds: realSeconds, deliveriesPerSecond: rate)
    return report
  }
}

extension SimulationReport.Times {
  /// The summary of some times; nil when there are none.
  init?(_ samples: TimeSamples) {
    guard let first = samples.first, let last = samples.last else { return nil }
    let sorted = samples.values.sorted()
    func seconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds) / 1e9 }
    func share(_ percent: Int) -> Double { seconds(percentile(sorted, percent) ?? 0) }
    self.init(
      first: seconds(first), p50: share(50), p90: share(90), p99: share(99), max: seconds(samples.largest),
      last: seconds(last), curve: stride(from: 0, through: 100, by: 2).map(share))
  }
}

/// The smallest value that so many per cent of the sorted values don't exceed (the nearest rank); nil of none.
func percentile<Value>(_ sorted: [Value], _ percent: Int) -> Value? {
  if sorted.isEmpty { return nil }
  return sorted[max(0, (sorted.count * percent + 99) / 100 - 1)]
}

extension Simulation {
  /// What has come of it so far.
  public func report() -> SimulationReport {
    var tally = tally
    for place in places { if let node = place.node { tally.add(node) } }
    let passed = ending.map(\.isPassed) ?? true
    return SimulationReport(
      scenario: scenario.name, about: scenario.about, seed: seed, traceHash: hex(traceHash),
      passed: passed && failures.isEmpty, ending: ending?.text ?? "it has not ended yet", failures: failures,
      virtualSeconds: Double(now.nanoseconds) / 1e9,
      nodes: .init(
        total: places.count, runningAtEnd: running.count, crashes: tally.crashes, restarts: tally.restarts,
        timersFired: tally.timersFired, unknownFields: tally.unknownFields),
      network: networkReport(),
      nodeDrops: zip(DropReason.allCases, tally.drops).filter { $1 > 0 }.map { .init(reason: $0.rawValue, count: $1) },
      messages: messagesReport(tally), events: tally.events.compactMap(eventReport).sorted { $0.event < $1.event },
      metrics: metricsReport(), commands: commandsReport(tally), load: loadReport(), series: seriesReport(),
      topology: topologyReport())
  }

  private func networkReport() -> SimulationReport.NetworkReport {
    let dropped = zip(NetworkDrop.allCases, network.drops).filter { $1 > 0 }
    return .init(
      sent: network.sent, delivered: network.delivered, bytesDelivered: network.bytesDelivered,
      duplicated: network.duplicated, reordered: network.reordered, corrupted: network.corrupted,
      underWay: network.pool.count, dropped: dropped.map { .init(reason: $0.rawValue, count: $1) })
  }

  private func messagesReport(_ tally: Tally) -> [SimulationReport.MessageReport] {
    tally.messages.filter { $0.messagesIn + $0.messagesOut > 0 }.map {
      .init(
        message: "\($0.layer).\($0.name)", sent: $0.messagesOut, bytesSent: $0.bytesOut, received: $0.messagesIn,
        bytesReceived: $0.bytesIn, malformed: $0.malformed)
    }.sorted { $0.message < $1.message }
  }

  private func eventReport(_ event: EventTally) -> SimulationReport.EventReport? {
    guard let seconds = SimulationReport.Times(event.times) else { return nil }
    return .init(
      event: event.fullName, count: event.times.count, nodes: event.perNode.count { $0 > 0 }, seconds: seconds,
      secondsAfterAction: SimulationReport.Times(event.afterAction))
  }

  private func metricsReport() -> [SimulationReport.MetricReport] {
    var names: [String] = []
    var values: [[Double]] = []
    for place in places {
      for metric in place.node?.metricDescriptions ?? [] {
        let name = metric.fullName
        if let known = names.firstIndex(of: name) {
          values[known].append(metric.number)
        } else {
          names.append(name)
          values.append([metric.number])
        }
      }
    }
    return zip(names, values).map { name, values in
      let sum = values.reduce(0, +)
      return .init(
        metric: name, sum: sum, mean: sum / Double(values.count), smallest: values.min() ?? 0,
        largest: values.max() ?? 0)
    }.sorted { $0.metric < $1.metric }
  }

  private func commandsReport(_ tally: Tally) -> SimulationReport.CommandsReport {
    .init(
      run: tally.commandsRun, failed: tally.commandsFailed,
      answers: tally.commands.map { command in
        .init(
          node: command.node, command: command.command, atSeconds: Double(command.at) / 1e9,
          tookSeconds: command.ended.map { Double($0 - command.at) / 1e9 }, progress: command.progress,
          output: command.output, error: command.error?.message)
      })
  }

  private func loadReport() -> SimulationReport.LoadReport {
    let sorted = places.map(\.received).sorted()
    let most = sorted.last ?? 0
    let width = max(1, (most + 40) / 40)
    var histogram = [Int](repeating: 0, count: Int(most / width) + 1)
    for received in sorted { histogram[Int(received / width)] += 1 }
    let busiest = places.indices.sorted {
      places[$0].received == places[$1].received ? $0 < $1 : places[$0].received > places[$1].received
    }
    return .init(
      least: sorted.first ?? 0, p50: percentile(sorted, 50) ?? 0, p90: percentile(sorted, 90) ?? 0,
      p99: percentile(sorted, 99) ?? 0, most: most,
      busiest: busiest.prefix(5).map { .init(node: $0, received: places[$0].received, sent: places[$0].sent) },
      histogram: histogram, bucketWidth: width, perNode: places.count <= 500 ? places.map(\.received) : [])
  }

  private func seriesReport() -> SimulationReport.SeriesReport {
    let names = messageNames()
    let rows = network.traffic.rows.map { row in
      let known = names.first { $0.number == row.number }?.name
      return SimulationReport.SeriesReport.Row(name: known ?? "field \(row.number)", counts: row.slices)
    }
    let drops = zip(NetworkDrop.allCases, network.traffic.drops).filter { !$1.isEmpty }
    return .init(
      sliceSeconds: Double(network.traffic.width) / 1e9, delivered: rows.sorted { $0.name < $1.name },
      dropped: drops.map { .init(name: $0.rawValue, counts: $1) })
  }

  private func messageNames() -> [(number: UInt32, name: String)] {
    var names: [(number: UInt32, name: String)] = []
    for node in kindsOfNodes() {
      for message in node.messages where !names.contains(where: { $0.number == message.number }) {
        names.append((message.number, "\(message.layer).\(message.schema.name)"))
      }
    }
    return names
  }

  private func topologyReport() -> SimulationReport.TopologyReport {
    var pairs: [[Int]] = []
    var links = 0
    for (node, others) in edges.enumerated() {
      for other in others where Int(other) > node {
        links += 1
        if edges.count <= 500, pairs.count < 20_000 { pairs.append([node, Int(other)]) }
      }
    }
    return .init(kind: scenario.topology.kind.rawValue, nodes: edges.count, links: links, edges: pairs)
  }
}

/// 16 hexadecimal digits.
func hex(_ value: UInt64) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}
