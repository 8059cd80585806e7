// strata-bench: measures Strata against baselines in the same run, and writes what it found.
import Glibc
import StackCore

// `survival ROUNDS [SEED]` is no measurement: it passes or fails.
if CommandLine.arguments.count > 2, CommandLine.arguments[1] == "survival" {
  let seed = (CommandLine.arguments.count > 3 ? UInt64(CommandLine.arguments[3]) : nil) ?? UInt64(getpid())
  let rounds = Int(CommandLine.arguments[2]) ?? 200
  let isWell = survive(rounds: rounds, seed: seed)
  exit(resumeFigures(rounds: max(1, rounds / 10), seed: seed).isWell && isWell ? 0 : 1)
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
@MainActor func add(_ figure: Figure) {
  figures.append(figure)
  let ratio = figure.ratio.map { round3($0) } ?? "-"
  let baseline = figure.baseline.map { round3($0) } ?? "-"
  say(pad(figure.name, 38) + pad(round3(figure.value), 14) + pad(baseline, 14) + pad(ratio, 10) + figure.unit)
}

say(pad("figure", 38) + pad("value", 14) + pad("baseline", 14) + pad("ratio", 10) + "unit")
if wanted("core.echo.ratio") {
  // Both ends of both read by recvmmsg and write by sendmmsg, a datagram a message.
  setenv("PLAIN", "1", 1)
  add(
    compare("core.echo.ratio", unit: "messages/s", runs: runs) {
      rate(server: "echo-stack", client: "ask-stack", seconds: seconds)
    } _: {
      rate(server: "echo-bare", client: "ask-bare", seconds: seconds)
    })
  unsetenv("PLAIN")
}
if wanted("core.echo.segmented.ratio") {
  // And as a node does it unless told otherwise: runs of datagrams of one size in one piece.
  add(
    compare("core.echo.segmented.ratio", unit: "messages/s", runs: runs) {
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
if wanted("fileshare.lossy") { for figure in lossyFigures(runs: runs) { add(figure) } }
if wanted("fileshare.holders") { for figure in holderFigures(runs: runs) { add(figure) } }
if wanted("fileshare.resume") { for figure in resumeFigures(rounds: 20, seed: 1).figures { add(figure) } }
if wanted("fileshare.transfer") { for figure in transferFigures(runs: runs) { add(figure) } }
if wanted("core.allocations.perPacket") { add(allocationsPerPacket()) }
if wanted("core.dispatch.nanoseconds") { add(dispatchNanoseconds(runs: runs)) }
if wanted("sim.deliveriesPerSecond") { add(simulatedDeliveries(runs: runs)) }
if wanted("sim.idle10k.residentMiB") { add(idleSimulation()) }
if wanted("node.idle.residentMiB", "node.idle.wakeupsPerSecond") { for figure in idleNode() { add(figure) } }
if wanted("fileshare.hash.GBps", "fileshare.hash.vsLibrary.ratio") {
  for figure in fileHashing(runs: runs) { add(figure) }
}
if wanted("hash.chunk") { for figure in chunkHashing(runs: runs) { add(figure) } }
if wanted("fileshare.share100k", "fileshare.watch100k", "fileshare.search100k") {
  for figure in manyFiles() { add(figure) }
}
if wanted("fileshare.bottleneck") { for figure in bottleneckFigures(runs: runs) { add(figure) } }
// Gossip: in simulation, and with real nodes.
if wanted("gossip.tree.payloadPerNode", "gossip.spread") { for figure in rumorTable() { add(figure) } }
if wanted("gossip.faults") { faultTable() }
if wanted("gossip.mongering.residue") { for figure in residueTable() { add(figure) } }
for kind in ["process", "power"] where wanted("gossip.durable" + (kind == "power" ? ".power" : ".process")) {
  for figure in durableRumors(kind, runs: runs, seconds: seconds) { add(figure) }
}
for figure in gossipStatus() { add(figure) }
if wanted("gossip.20nodes", "gossip.tree.20nodes") { for figure in crowdFigures() { add(figure) } }
if wanted("gossip.log.1M") { for figure in logFigures(runs: runs) { add(figure) } }

for figure in searchFigures(
  reach: wanted("search.flood.reach"), costs: wanted("search.ring.costs", "search.cost"),
  local: wanted("search.local.milliseconds", "search.index.mib"))
{ add(figure) }

let path = getenv("RESULTS").map { String(cString: $0) } ?? "results/latest.json"
if let json = try? JSON(encoding: merged(figures, into: path)) {
  if let file = fopen(path, "w") {
    fputs(json.text(pretty: true) + "\n", file)
    fclose(file)
    say("written to \(path)")
  } else {
    say("could not write \(path)")
  }
}
