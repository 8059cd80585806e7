// GossipSim: a rumor in networks of 10 to 10,000 simulated nodes: how soon everybody has it, and what it costs.
import Glibc
import Gossip
import StackCore
import StackSim

/// The ways of spreading that this build of Gossip knows.
let spreads = GossipConfig.Spread.allCases.map(\.rawValue)

/// One way of spreading in one network.
struct SpreadSettings {
  var spread: String
  var nodes: Int
  var antiEntropy = "10s"
  var topology: JSON = ["kind": "random-regular", "degree": 8]
  var seed: UInt64 = 1
}

/// What came of one rumor.
struct RumorRun {
  /// How many nodes had it in the end, its origin among them.
  var reached: Int
  /// How many times as long as a datagram is under way it took until the last of them had it.
  var rounds: Double
  /// How many datagrams arrived meanwhile, of whatever kind.
  var datagrams: UInt64
  /// How many times the rumor itself arrived anywhere, until all was quiet.
  var payloads: UInt64
}

/// A simulated network in which rumors are told one after the other.
final class RumorWorld {
  let settings: SpreadSettings
  let world: Simulation
  /// How many rumors each node has told.
  private var numbers: [Int: Int64] = [:]
  private var heard = 0
  private var last = Instant()
  private var told: (origin: String, id: Int64) = ("", 0)
  private static let latency = Duration.milliseconds(10)

  init(_ settings: SpreadSettings) {
    self.settings = settings
    let json: JSON = [
      "name": "rumor", "nodes": JSON(settings.nodes), "topology": settings.topology,
      "node": [
        "layers": ["gossip": ["spread": .string(settings.spread), "antiEntropy": .string(settings.antiEntropy)]]
      ],
      "link": ["latency": "10ms"], "stop": ["after": "100h"],
    ]
    do {
      world = try Simulation(
        try Scenario.load(json, catalog: [Gossip.self]), catalog: [Gossip.self], seed: settings.seed)
    } catch { fatalError("\(error)") }
    world.onEvent = { [unowned self] _, event in
      guard event.layer == "gossip", event.name == "rumor" else { return }
      // One that was missed before may come late, along with another.
      let json = event.json()
      guard json["origin"]?.stringValue == told.origin, json["id"]?.integerValue == told.id else { return }
      heard += 1
      last = world.now
    }
    // Introductions, and the first round of anti-entropy.
    world.run(for: .seconds(15))
  }

  /// How often a rumor has arrived anywhere: each time it was either new or known.
  private var arrivals: UInt64 {
    var sum: UInt64 = 0
    for place in 0..<settings.nodes {
      for metric in world.node(place)?.metricDescriptions ?? [] where metric.layer == "gossip" {
        guard metric.name == "accepted" || metric.name == "duplicates" else { continue }
        if case .counter(let counter) = metric.source { sum += counter.value }
      }
    }
    return sum
  }

  /// Tells one rumor at a node, and waits until all have it, or, where nothing makes sure of that, until all is quiet.
  func tell(at node: Int, within limit: Duration = .seconds(600)) -> RumorRun {
    let (before, deliveries, start) = (arrivals, world.deliveries, world.now)
    heard = 0
    numbers[node, default: 0] += 1
    told = ("node\(node)", numbers[node] ?? 0)
    world.call(node, "gossip", "publish", ["text": "a rumor of some length, as people tell each other"])
    if settings.antiEntropy == "0s", settings.spread == "mongering" {
      var known = -1
      while known != heard {
        known = heard
        world.run(for: .seconds(3))
      }
    } else {
      world.run(within: limit) { _ in heard >= settings.nodes }
    }
    let (reached, datagrams) = (heard, world.deliveries - deliveries)
    let rounds = (last - start).inSeconds / Self.latency.inSeconds
    // What is still under way counts as well.
    world.run(for: .seconds(2))
    return RumorRun(reached: reached, rounds: rounds, datagrams: datagrams, payloads: arrivals - before - 1)
  }

  /// Tells one rumor in each of so many new networks, so that none can bring along what another has missed.
  static func tellAnew(_ settings: SpreadSettings, _ count: Int) -> [RumorRun] {
    (0..<count).map { number in
      var settings = settings
      settings.seed += UInt64(number)
      return RumorWorld(settings).tell(at: (number * 7919 + 3) % settings.nodes)
    }
  }

  /// Tells rumors from nodes spread over the network; the first so many are for warming up.
  func tell(_ count: Int, warmUp: Int = 0) -> [RumorRun] {
    var runs: [RumorRun] = []
    for number in 0..<warmUp + count {
      let run = tell(at: (number * 7919 + 3) % settings.nodes)
      if number >= warmUp { runs.append(run) }
    }
    return runs
  }
}

func mean(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count) }

private func row(_ cells: [String]) {
  say(zip(cells, [26, 8, 9, 10, 10, 14, 12]).map { pad($0, $1) }.joined())
}

/// The table of spreads and sizes; answers the worst payloads a node for the tree.
func rumorTable() -> [Figure] {
  say("\na rumor among N nodes, random 8-regular, 10 ms a link (rounds of 10 ms; mean of the rumors)")
  row(["spread", "nodes", "reached", "rounds", "slowest", "datagrams/node", "payloads/node"])
  var worst: Double?
  for nodes in [10, 100, 1_000, 10_000] {
    let count = nodes >= 10_000 ? 3 : 10
    var kinds = spreads.map { ($0, SpreadSettings(spread: $0, nodes: nodes)) }
    kinds.insert(
      ("mongering, no anti-entropy", SpreadSettings(spread: "mongering", nodes: nodes, antiEntropy: "0s")), at: 1)
    for (name, settings) in kinds {
      let runs =
        settings.antiEntropy == "0s"
        ? RumorWorld.tellAnew(settings, count)
        : RumorWorld(settings).tell(count, warmUp: settings.spread == "tree" ? 20 : 0)
      // Of n nodes, n - 1 must be told.
      let payloads = mean(runs.map { Double($0.payloads) / Double(nodes - 1) })
      row([
        name, "\(nodes)", percent(mean(runs.map { Double($0.reached) / Double(nodes) })),
        round1(mean(runs.map(\.rounds))), round1(runs.map(\.rounds).max() ?? 0),
        round3(mean(runs.map { Double($0.datagrams) / Double(nodes) })), round3(payloads),
      ])
      if settings.spread == "tree" {
        worst = max(worst ?? 0, runs.map { Double($0.payloads) / Double(nodes - 1) }.max() ?? 0)
      }
    }
  }
  return worst.map { [Figure(name: "gossip.tree.payloadPerNode", value: $0, unit: "payloads a node, worst rumor")] }
    ?? []
}

/// Mongering without anti-entropy against Demers et al. 1987, table 2: blind, coin, k = 2, 1,000 nodes with complete
/// mixing: 20 % missed at 1.6 updates a node.
func residueTable() -> [Figure] {
  say(
    "\nmongering without anti-entropy: who is missed (Demers et al. 1987, blind coin k = 2: 20 % at 1.6 payloads a node)"
  )
  row(["mixing", "nodes", "missed", "rounds", "slowest", "rumors", "payloads/node"])
  var figures: [Figure] = []
  let shapes: [(String, String, JSON)] = [
    ("complete", "gossip.mongering.residue.complete", ["kind": "full"]),
    ("random 8-regular", "gossip.mongering.residue.regular8", ["kind": "random-regular", "degree": 8]),
  ]
  for (name, figure, topology) in shapes {
    let settings = SpreadSettings(spread: "mongering", nodes: 1_000, antiEntropy: "0s", topology: topology)
    let runs = RumorWorld.tellAnew(settings, 20)
    let missed = mean(runs.map { 1 - Double($0.reached) / 1_000 })
    row([
      name, "1000", percent(missed), round1(mean(runs.map(\.rounds))), round1(runs.map(\.rounds).max() ?? 0),
      "\(runs.count)", round3(mean(runs.map { Double($0.payloads) / 1_000 })),
    ])
    figures.append(Figure(name: figure, value: missed, unit: "of the nodes", baseline: 0.2, ratio: missed / 0.2))
  }
  return figures
}

func percent(_ part: Double) -> String { "\(Double((part * 1000).rounded()) / 10) %" }
func round1(_ value: Double) -> String { "\(Double((value * 10).rounded()) / 10)" }

/// The scenarios with faults, under each way of spreading: whether every rumor reached every node, and none twice.
func faultTable(_ folder: String = "examples/scenarios") {
  say("\nscenarios of \(folder): every rumor reaches every node, none twice")
  row(["scenario", "spread", "passed", "seconds", "seeds", "datagrams/node", "KB/node"])
  for name in ["lossy", "partition", "churn"] {
    for spread in spreads {
      guard let text = readText("\(folder)/\(name).json"), let json = try? JSON.parse(text),
        var scenario = try? Scenario.load(json, catalog: [Gossip.self]),
        case .object(var keys)? = scenario.node.layers.sections["gossip"]
      else { return say("no scenarios here: run it where the folder examples is") }
      keys["spread"] = .string(spread)
      scenario.node.layers.sections["gossip"] = .object(keys)
      scenario.report.commands = 0
      var reports: [SimulationReport] = []
      for seed in 1...5 as ClosedRange<UInt64> {
        guard let world = try? Simulation(scenario, catalog: [Gossip.self], seed: seed) else { continue }
        reports.append(world.run())
      }
      let nodes = Double(scenario.nodes)
      row([
        name, spread, "\(reports.count { $0.passed }) of 5", round1(mean(reports.map(\.virtualSeconds))), "1 to 5",
        round1(mean(reports.map { Double($0.network.delivered) / nodes })),
        round1(mean(reports.map { Double($0.network.bytesDelivered) / nodes / 1e3 })),
      ])
    }
  }
}

private func readText(_ path: String) -> String? {
  guard let file = fopen(path, "r") else { return nil }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 14)
  while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer.prefix(count) }
  return String(decoding: bytes, as: UTF8.self)
}
