// strata-bench: measures Strata against baselines in the same run, and writes what it found.
import CAllocations
import Glibc
import StackCore
import StackSim

/// One figure, as it stands in results/latest.json.
struct Figure: Codable {
  var name: String
  var value: Double
  var unit: String
  var baseline: Double?
  var ratio: Double?
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
}

/// The rate that a client role prints while a server role runs.
func rate(server: String, client: String, seconds: Double) -> Double {
  let first = Child([server])
  let second = Child([client, first.line(), "\(seconds)"])
  let value = Double(second.line()) ?? 0
  second.join()
  first.end()
  return value
}

/// The rate that a receiving role prints while a sending role pushes.
func receivingRate(receiver: String, sender: String, seconds: Double) -> Double {
  let first = Child([receiver, "0", "\(seconds)"])
  let second = Child([sender, first.line(), "\(seconds)"])
  let value = Double(first.line()) ?? 0
  first.join()
  second.end()
  return value
}

/// Candidate and baseline in turn; the medians, and the median of the ratios pair by pair.
func compare(
  _ name: String, unit: String, runs: Int = 5, scale: Double = 1, _ candidate: () -> Double, _ baseline: () -> Double
) -> Figure {
  var values: [Double] = []
  var baselines: [Double] = []
  for _ in 0..<runs {
    baselines.append(baseline() * scale)
    values.append(candidate() * scale)
  }
  let ratios = zip(values, baselines).map { $1 > 0 ? $0 / $1 : 0 }
  return Figure(name: name, value: median(values), unit: unit, baseline: median(baselines), ratio: median(ratios))
}

func pad(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }

func round3(_ value: Double) -> String {
  if value == 0 { return "0" }
  let scale = value.magnitude >= 1000 ? 1.0 : value.magnitude >= 10 ? 10.0 : 1000.0
  let rounded = (value * scale).rounded() / scale
  return rounded == rounded.rounded() && rounded.magnitude < 1e15 ? "\(Int(rounded))" : "\(rounded)"
}

if CommandLine.arguments.count > 1, !CommandLine.arguments[1].hasPrefix("-") {
  try play(Array(CommandLine.arguments.dropFirst()))
  exit(0)
}

let filter = getenv("FILTER").map { String(cString: $0) } ?? ""
let runs = getenv("RUNS").flatMap { Int(String(cString: $0)) } ?? 5
let seconds = getenv("SECONDS").flatMap { Double(String(cString: $0)) } ?? 1.0
var figures: [Figure] = []

func wanted(_ names: String...) -> Bool { filter.isEmpty || names.contains { $0.contains(filter) } }
func add(_ figure: Figure) {
  figures.append(figure)
  let ratio = figure.ratio.map { round3($0) } ?? "-"
  let baseline = figure.baseline.map { round3($0) } ?? "-"
  say(pad(figure.name, 30) + pad(round3(figure.value), 14) + pad(baseline, 14) + pad(ratio, 10) + figure.unit)
}

say(pad("figure", 30) + pad("value", 14) + pad("baseline", 14) + pad("ratio", 10) + "unit")
if wanted("core.echo.ratio") {
  add(
    compare("core.echo.ratio", unit: "messages/s", runs: runs) {
      rate(server: "echo-stack", client: "ask-stack", seconds: seconds)
    } _: {
      rate(server: "echo-bare", client: "ask-bare", seconds: seconds)
    })
}
if wanted("core.bulk.ratio") {
  add(
    compare("core.bulk.ratio", unit: "MB/s", runs: runs, scale: 1e-6) {
      receivingRate(receiver: "sink-stack", sender: "push-stack", seconds: seconds)
    } _: {
      rate(server: "sink-bare", client: "push-bare", seconds: seconds)
    })
}
if wanted("core.allocations.perPacket") { add(allocationsPerPacket()) }
if wanted("core.dispatch.nanoseconds") { add(dispatchNanoseconds(runs: runs)) }
if wanted("sim.deliveriesPerSecond") { add(simulatedDeliveries(runs: runs)) }
if wanted("sim.idle10k.residentMiB") { add(idleSimulation()) }
if wanted("node.idle.residentMiB", "node.idle.wakeupsPerSecond") { for figure in idleNode() { add(figure) } }

if let json = try? JSON(encoding: figures) {
  let path = getenv("RESULTS").map { String(cString: $0) } ?? "results/latest.json"
  if let file = fopen(path, "w") {
    fputs(json.text(pretty: true) + "\n", file)
    fclose(file)
    say("written to \(path)")
  } else {
    say("could not write \(path)")
  }
}
