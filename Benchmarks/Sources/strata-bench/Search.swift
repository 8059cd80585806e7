// Search: how far floods reach, what rings cost beside them, what dead nodes take away, and how quick the index is.
import Glibc
import PeersterVocabulary
import Search
import StackCore
import StackSim

/// Holds files in name only: so many of its own, and one that some nodes have.
final class NamedFiles: ProtocolLayer, FilesService {
  struct Config: LayerConfig {
    @Setting("How many files there are.") var count = 0
    @Setting("The name of one more; none: there is none.") var also: String?
  }
  static let manifest = LayerManifest("files", "Holds files in name only.", provides: [ServiceKey.files])
  private var held: [HeldFile] = []
  private var places: [Hash256: Int] = [:]
  let revision: UInt64 = 1
  var fileCount: Int { held.count }

  init(config: Config, setup: LayerSetup<NamedFiles>) {
    let folders = ["Music/Albums", "Photos/2023/Lisbon", "Documents/Letters", "Videos", "Books/Science"]
    let kinds = ["mp3", "jpg", "pdf", "mkv", "epub"]
    held = (0..<config.count).map { number in
      let kind = number % folders.count
      return Self.file("\(folders[kind])/Some longer file name, number \(number).\(kinds[kind])")
    }
    if let name = config.also { held.append(Self.file(name)) }
    held.sort { $0.path < $1.path }
    for (place, file) in held.enumerated() { places[file.root] = place }
    setup.provide(.files, self)
  }

  private static func file(_ path: String) -> HeldFile {
    var stream = RandomStream(seed: stableHash(path.utf8))
    let bytes = (0..<32).map { _ in UInt8(truncatingIfNeeded: stream.next()) }
    return HeldFile(
      name: path.split(separator: "/").last.map(String.init) ?? path, path: path, size: 100_000, chunkSize: 8_192,
      root: Hash256(bytes) ?? Hash256())
  }

  func forEachFile(_ body: (HeldFile) -> Bool) { for file in held where !body(file) { return } }
  func file(root: Hash256) -> HeldFile? { places[root].map { held[$0] } }
}

/// A thousand nodes of degree four, of which some hold the file that is looked for.
private final class SearchWorld {
  static let nodes = 1_000
  let simulation: Simulation
  private(set) var messages = 0
  private(set) var reached = 0

  init(seed: UInt64, holders: Int, dead: Double = 0) throws {
    var random = RandomStream(seed: seed, name: "search-bench")
    var scenario = Scenario()
    scenario.nodes = Self.nodes
    scenario.seed = seed
    scenario.topology = .randomRegular(degree: 4)
    scenario.node.layers = ["files": [:], "search": ["cache": 0]]
    var order = Array(1..<Self.nodes)
    for place in order.indices { order.swapAt(place, place + Int(random.next(below: UInt64(order.count - place)))) }
    if holders > 0 {
      var override = NodeOverride()
      override.nodes = NodeSelection(Array(order[0..<holders]))
      override.layers = ["files": ["also": "wanted.txt"]]
      scenario.overrides = [override]
    }
    simulation = try Simulation(scenario, catalog: [NamedFiles.self, Search.self])
    simulation.onDelivery = { [unowned self] _, _, bytes in if Self.isOfSearch(bytes) { messages += 1 } }
    simulation.onEvent = { [unowned self] _, event in if event.name == "query" { reached += 1 } }
    simulation.run(for: .milliseconds(1))
    let some = Int(dead * Double(Self.nodes))
    for _ in 0..<some {
      let victim = order.remove(at: Int(random.next(below: UInt64(order.count))))
      simulation.crash(victim)
    }
  }

  /// Whether a datagram holds a query or an answer: packet fields 7, 8, 160 and 161, by the bytes of their tags.
  /// Introductions, which neighbours exchange once, are none.
  private static func isOfSearch(_ bytes: [UInt8]) -> Bool {
    guard bytes.count > 1 else { return false }
    return bytes[0] == 0x3A || bytes[0] == 0x42 || ((bytes[0] == 0x82 || bytes[0] == 0x8A) && bytes[1] == 0x0A)
  }

  /// Whether node 0 finds one holder, and how many messages and how much time it took.
  func find(_ mode: String, ttl: Int = 7, min: Int = 1) -> (found: Bool, messages: Int, seconds: Double) {
    let before = messages
    let start = simulation.now
    let input: JSON = [
      "words": ["wanted"], "mode": .string(mode), "ttl": JSON(ttl), "min": JSON(min), "timeout": "8s",
    ]
    let replies = simulation.call(0, "search", "find", input, within: .seconds(9))
    let took = (simulation.now - start).inSeconds
    guard case .finished(let summary)? = replies.last else { return (false, messages - before, took) }
    // A search that has ended does not stop what is under way; that counts too.
    simulation.run(for: .seconds(2))
    return (summary["ending"] == "enough", messages - before, took)
  }
}

/// Nodes that a flood reaches, in percent of all, at each time to live.
private func reachFigures() throws -> [Figure] {
  // What random 4-regular graphs of 1,000 nodes allow.
  let expected: [(ttl: Int, percent: Double)] = [(3, 5.2), (4, 15.1), (5, 38.8), (6, 76.7), (7, 98.9), (8, 100)]
  return try expected.map { ttl, percent in
    var shares: [Double] = []
    for seed in 1...5 as ClosedRange<UInt64> {
      let world = try SearchWorld(seed: seed, holders: 0)
      _ = world.find("flood", ttl: ttl)
      shares.append(100 * Double(world.reached) / Double(SearchWorld.nodes - 1))
    }
    let mean = shares.reduce(0, +) / Double(shares.count)
    return Figure(
      name: "search.flood.reach.ttl\(ttl)", value: mean, unit: "% of nodes", baseline: percent, ratio: mean / percent)
  }
}

/// How many networks each line of the table is the mean of.
private let searchTrials = getenv("SEARCH_TRIALS").flatMap { Int(String(cString: $0)) } ?? 10

/// What a search costs by ring and by flood, at several shares of holders, with and without dead nodes.
private func costTable() throws -> [Figure] {
  var figures: [Figure] = []
  say("")
  say(
    "1,000 nodes, random 4-regular, one full match wanted, \(searchTrials) searches each: "
      + "rings 2 to 32 and a flood of 7 hops")
  say(
    pad("holders", 10) + pad("dead", 8) + pad("ring found", 12) + pad("messages", 10) + pad("seconds", 10)
      + pad("flood found", 13) + pad("messages", 10) + "seconds")
  for dead in [0, 0.3] {
    for percent in [0.1, 1, 5, 10] {
      var sums: [String: (found: Int, messages: Int, seconds: Double)] = [:]
      let trials = searchTrials
      for seed in 1...UInt64(trials) {
        let world = try SearchWorld(seed: seed, holders: Int(percent * 10), dead: dead)
        for mode in ["ring", "flood"] {
          let one = world.find(mode)
          let sum = sums[mode] ?? (0, 0, 0)
          sums[mode] = (sum.found + (one.found ? 1 : 0), sum.messages + one.messages, sum.seconds + one.seconds)
        }
      }
      func cells(_ mode: String, _ first: Int) -> String {
        let sum = sums[mode] ?? (0, 0, 0)
        return pad("\(sum.found * 100 / trials) %", first) + pad("\(sum.messages / trials)", 10)
          + pad(round3(sum.seconds / Double(trials)), 10)
      }
      say(
        pad("\(round3(percent)) %", 10) + pad("\(Int(dead * 100)) %", 8) + cells("ring", 12) + cells("flood", 13))
      let (ring, flood) = (sums["ring"] ?? (0, 0, 0), sums["flood"] ?? (0, 0, 0))
      let name = "search.cost.\(round3(percent))held.\(Int(dead * 100))dead"
      let messages = (Double(ring.messages) / Double(trials), Double(flood.messages) / Double(trials))
      figures += [
        Figure(
          name: "\(name).messages", value: messages.0, unit: "messages by ring, beside a flood's",
          baseline: messages.1, ratio: messages.0 / max(1, messages.1)),
        Figure(
          name: "\(name).found", value: 100 * Double(ring.found) / Double(trials), unit: "% by ring, beside a flood's",
          baseline: 100 * Double(flood.found) / Double(trials)),
      ]
    }
  }
  say("")
  return figures
}

/// A node with 100,000 files, asked by its own command: all that the person who asks waits for.
private func localFigures() throws -> [Figure] {
  let simulation = try Simulation(
    nodes: 1, ["files": ["count": 100_000], "search": [:]], catalog: [NamedFiles.self, Search.self])
  simulation.run(for: .milliseconds(1))
  let clock = ContinuousClock()
  func time(_ query: String) -> Double {
    let took = clock.measure {
      simulation.begin(0, "search", "find", ["words": [.string(query)], "min": 1]) { _ in }
    }
    simulation.run(for: .seconds(11))
    return took.inSeconds * 1_000
  }
  let before = simulation.report().metrics.first { $0.metric == "search.indexBytes" }?.sum ?? 0
  let building = time("nothing of this name")
  let bytes = simulation.report().metrics.first { $0.metric == "search.indexBytes" }?.sum ?? before
  say("100,000 files: indexed in \(round3(building)) ms, the index takes \(round3(bytes / 1_048_576)) MiB")
  var worst = 0.0
  let queries = [
    "nothing of this name", "\"number 77777\"", "lisbon 99999", "name:*4242*.pdf", "LÖNGER 12345", "size:>1MiB",
    "name:*9*9*9*9*.epub", "hash:0123456789",
  ]
  for query in queries {
    let times = (0..<9).map { _ in time(query) }
    worst = max(worst, median(times))
    say("  \(pad(query, 24))\(round3(median(times))) ms")
  }
  say("  \(pad("file (all, 1,000 told)", 24))\(round3(time("file"))) ms")
  return [
    Figure(name: "search.local.milliseconds", value: worst, unit: "ms, the slowest of \(queries.count) queries"),
    Figure(name: "search.index.mib", value: bytes / 1_048_576, unit: "MiB for 100,000 files"),
  ]
}

func searchFigures(reach: Bool, costs: Bool, local: Bool) -> [Figure] {
  do {
    let figures = (reach ? try reachFigures() : []) + (costs ? try costTable() : [])
    return figures + (local ? try localFigures() : [])
  } catch {
    say("search: \(error)")
    return []
  }
}
