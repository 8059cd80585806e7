// GossipCrowd: 20 real nodes on loopback: how long until all have what one of them says; and Serf's agents beside them.
import Gossip
import Glibc
import StackCore
import StackRuntime
import StackSim

/// The time, the same for all processes of the machine.
func monotonicNanoseconds() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// Which of so many nodes are neighbours: a random regular graph, the same for each run.
private func crowdLinks(_ nodes: Int, degree: Int) -> [[Int]] {
  do {
    let world = try Simulation(
      nodes: nodes, LayerSections(["echo": [:]]), topology: .randomRegular(degree: degree), catalog: [EchoLayer.self])
    return (0..<nodes).map { world.peers(of: $0) }
  } catch { fatalError("\(error)") }
}

/// `crowd SPREAD NAME`: prints its port, reads its peers' ports and starts; then publishes at each line it reads, and
/// prints when it has published and when it has heard.
func playCrowd(_ role: [String]) throws -> Never {
  let folder = makeFolder()
  // The peers' ports are known only once all are bound.
  let node = try GossipNodeSettings(
    name: role[2], directory: folder, gossip: ["spread": .string(role[1])],
    laterPeers: { (readLine() ?? "").split(separator: " ").map { "127.0.0.1:\($0)" } }
  ).node()
  say("\(node.address.port)")
  node.start()
  _ = try node.reload()
  _ = node.observe { event in
    if event.layer == "gossip", event.name == "rumor" { say("h \(monotonicNanoseconds())") }
  }
  let input = node.loop.onReadable(0) {
    var buffer = [UInt8](repeating: 0, count: 256)
    let count = read(0, &buffer, 256)
    if count <= 0 {
      removeFolder(folder)
      exit(0)
    }
    for _ in 0..<buffer.prefix(count).count(where: { $0 == 10 }) {
      say("p \(monotonicNanoseconds())")
      node.call("gossip", "publish", ["text": "news of some length, which everybody here is to have soon"]) { _ in }
    }
  }
  while true { withExtendedLifetime(input) { node.step() } }
}

/// Twenty processes, and the times from publish until the last of them has it, in milliseconds.
func crowdTimes(_ spread: String, nodes: Int = 20, rumors: Int, warmUp: Int) -> [Double] {
  let children = (0..<nodes).map { Child(["crowd", spread, "node\($0)"], talks: true) }
  let ports = children.map { $0.line() }
  let links = crowdLinks(nodes, degree: 8)
  for (place, child) in children.enumerated() {
    child.tell(links[place].map { ports[$0] }.joined(separator: " "))
  }
  usleep(1_500_000)
  var times: [Double] = []
  for number in 0..<warmUp + rumors {
    let origin = number % nodes
    children[origin].tell("publish")
    let start = Int64(children[origin].line().dropFirst(2)) ?? 0
    let last = children.map { Int64($0.line().dropFirst(2)) ?? .max }.max() ?? .max
    if number >= warmUp { times.append(Double(last - start) / 1e6) }
    usleep(10_000)
  }
  // Each removes its folder when there is nothing more to read.
  for child in children { child.dismiss() }
  return times.sorted()
}

func percentile(_ sorted: [Double], _ part: Double) -> Double {
  sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))]
}

/// The figures of all ways of spreading, and of Serf where it is installed.
func crowdFigures() -> [Figure] {
  let serf = serfTimes()
  if serf == nil { say("serf is not installed (apt-get install serf), so there is nothing to compare with") }
  var figures: [Figure] = []
  for spread in spreads {
    // Mongering waits for anti-entropy to bring a rumor to those whom the coin forgot: seconds each.
    let isSlow = spread == "mongering"
    let times = crowdTimes(spread, rumors: isSlow ? 10 : 300, warmUp: isSlow ? 0 : 50)
    for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
      let value = percentile(times, part)
      let baseline = serf.map { percentile($0, part) }
      figures.append(
        Figure(
          name: "gossip.\(spread).20nodes.\(name)Milliseconds", value: value, unit: "ms until 20 nodes have it",
          baseline: baseline, ratio: baseline.map { $0 > 0 ? value / $0 : 0 }))
    }
  }
  return figures
}

// MARK: Serf

/// Twenty Serf agents on loopback: from the moment the first of them reports a user event until the last does, in
/// milliseconds; so the time that its own command takes to start doesn't count. Nil when it isn't installed.
func serfTimes(nodes: Int = 20, events: Int = 40) -> [Double]? {
  guard access("/usr/bin/serf", X_OK) == 0 else { return nil }
  let base = 17_000 + Int(getpid()) % 10_000
  var agents: [Child] = []
  for node in 0..<nodes {
    var words = [
      "serf", "agent", "-node=n\(node)", "-bind=127.0.0.1:\(base + node)", "-rpc-addr=127.0.0.1:\(base + 100 + node)",
      "-profile=local", "-log-level=info",
    ]
    if node > 0 { words.append("-join=127.0.0.1:\(base)") }
    agents.append(Child(program: "/usr/bin/serf", words))
    usleep(node == 0 ? 1_000_000 : 100_000)
  }
  usleep(3_000_000)
  var times: [Double] = []
  for number in 0..<events {
    let sender = Child(
      program: "/usr/bin/serf",
      ["serf", "event", "-rpc-addr=127.0.0.1:\(base + 100 + number % nodes)", "-coalesce=false", "e\(number)"])
    // An agent prints the event's name as it takes it in.
    guard let spent = spread(of: " e\(number)", agents) else { break }
    times.append(spent)
    sender.join()
    usleep(50_000)
  }
  for agent in agents { agent.end() }
  return times.isEmpty ? nil : times.sorted()
}

/// Between the first and the last of the agents printing a word, in milliseconds; nil when one never does.
private func spread(of word: String, _ agents: [Child]) -> Double? {
  var waiting = Set(agents.indices)
  var first: Int64?
  // Whom the event's own spreading misses gets it from Serf's exchange of all state, each 15 s.
  let end = monotonicNanoseconds() + 60_000_000_000
  while !waiting.isEmpty, monotonicNanoseconds() < end {
    let places = waiting.sorted()
    var polls = places.map { pollfd(fd: agents[$0].descriptor, events: Int16(POLLIN), revents: 0) }
    poll(&polls, nfds_t(polls.count), 100)
    for (place, found) in zip(places, polls) where found.revents & Int16(POLLIN) != 0 {
      guard agents[place].available().contains(word) else { continue }
      waiting.remove(place)
      first = first ?? monotonicNanoseconds()
    }
  }
  return waiting.isEmpty ? first.map { Double(monotonicNanoseconds() - $0) / 1e6 } : nil
}
