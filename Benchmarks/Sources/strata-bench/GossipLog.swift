// GossipLog: a million rumors of 10,000 origins on disk: how long a node takes to start with them, and in what memory.
import Gossip
import Glibc
import PeersterVocabulary
import StackCore
import StackRuntime

private let originCount = 10_000
private let rumorsOfEach = 100

/// `fill-log FOLDER`: a node is told a million rumors, as a neighbour would tell them, and is ended by force.
func playFillLog(_ role: [String]) throws {
  let storage = try SQLiteStorage(directory: role[1])
  let blueprint = NodeBlueprint(
    name: "bench", address: Address(ipv4: 0x7f00_0001, port: 5000),
    layers: [(Gossip.self, ["antiEntropy": "0s"])], seed: 1)
  let node = try Node(blueprint, storage: storage) { DiskFiles(root: role[1] + "/files").below($0) }
  node.start(at: Instant(nanoseconds: 1))
  let peer = Address(ipv4: 0x7f00_0001, port: 5001)
  let text = WireText(bytes: [UInt8](repeating: 120, count: 100))
  var now = Instant(nanoseconds: 1_000_000_000)
  // In ten rounds over all origins, so that those of one origin lie in several places of the file.
  for round in 0..<10 {
    for origin in 0..<originCount {
      for id in round * rumorsOfEach / 10..<(round + 1) * rumorsOfEach / 10 {
        var writer = WireWriter()
        writer.writeTag(PeersterField.rumor, .bytes)
        let start = writer.beginNested()
        Rumor(origin: WireText("origin\(origin)"), id: UInt32(id + 1), text: text).encode(into: &writer)
        writer.endNested(start)
        now = now + .microseconds(50)
        node.receive(writer.bytes, from: peer, at: now)
      }
      if origin % 100 == 0 {
        try node.commit()
        node.dropOutgoing(.network)
        _ = node.takeNews()
      }
    }
  }
  try node.commit()
  say("filled")
  kill(getpid(), SIGKILL)
}

/// `start-log FOLDER`: starts a node and says how many rumors it has, once it has answered; then its memory.
func playStartLog(_ role: [String]) throws {
  let node = try GossipNodeSettings(directory: role[1], hasControl: true).node()
  node.start()
  let status = node.ask("gossip", "status")
  say("\(status["rumors"]?.integerValue ?? 0) of \(status["origins"]?.integerValue ?? 0)")
  say("\((procNumber("/proc/self/status", "VmHWM") ?? 0) / 1024)")
  // One that is ended by force leaves the write-ahead file; one that stops in order doesn't.
  if role[2] == "clean" {
    node.stop()
    while node.state != .stopped { node.step() }
  } else {
    kill(getpid(), SIGKILL)
  }
}

/// The time from the start of a process until its node has answered a command; the worst of those after a clean end and
/// after `kill -9`.
func logFigures(runs: Int) -> [Figure] {
  let folder = makeFolder()
  defer { removeFolder(folder) }
  let filler = Child(["fill-log", folder])
  guard filler.line() == "filled" else { fatalError("the log was not filled") }
  filler.join()
  var times: [Double] = []
  var memory = 0.0
  for run in 0..<max(4, runs) {
    let start = monotonicNanoseconds()
    let child = Child(["start-log", folder, run % 2 == 0 ? "killed" : "clean"])
    let found = child.line()
    times.append(Double(monotonicNanoseconds() - start) / 1e9)
    guard found == "\(originCount * rumorsOfEach) of \(originCount)" else { fatalError("found \(found)") }
    memory = max(memory, Double(child.line()) ?? 0)
    child.join()
  }
  return [
    Figure(name: "gossip.log.1M.startSeconds", value: times.max() ?? 0, unit: "s until it answers, the slowest start"),
    Figure(name: "gossip.log.1M.residentMiB", value: memory, unit: "MiB at the most during the start"),
  ]
}
