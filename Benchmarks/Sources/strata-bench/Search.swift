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
  struct AddInput: CommandInput {
    @Argument("The first of its numbers.") var from = 0
    @Argument("How many files come at once.") var count = 1
  }
  private var held: [HeldFile] = []
  private var places: [Hash256: Int] = [:]
  var revision: UInt64 { UInt64(held.count) }
  var fileCount: Int { held.count }
  let arriving: [HeldFile] = []
  let arrivingRevision: UInt64 = 0

  init(config: Config, setup: LayerSetup<NamedFiles>) {
    held = (0..<config.count).map { Self.file(number: $0) }
    if let name = config.also { held.append(Self.file(name)) }
    held.sort { $0.path < $1.path }
    for (place, file) in held.enumerated() { places[file.root] = place }
    setup.provide(.files, self)
    setup.event(FilesChanged.port)
    setup.command("add", "Adds files.", NamedFiles.add)
  }

  private static func file(number: Int) -> HeldFile {
    let folders = ["Music/Albums", "Photos/2023/Lisbon", "Documents/Letters", "Videos", "Books/Science"]
    let kinds = ["mp3", "jpg", "pdf", "mkv", "epub"]
    let kind = number % folders.count
    return file("\(folders[kind])/Some longer file name, number \(number).\(kinds[kind])")
  }

  private func add(_ input: AddInput, _ context: borrowing LayerContext<NamedFiles>) throws -> Int {
    for number in input.from..<input.from + input.count {
      let file = Self.file(number: number)
      places[file.root] = held.count
      held.append(file)
    }
    context.publish(FilesChanged(), on: FilesChanged.port)
    return held.count
  }

  private static func file(_ path: String) -> HeldFile {
    var stream = RandomStream(seed: stableHash(path.utf8))
    let bytes = (0..<32).map { _ in UInt8(truncatingIfNeeded: stream.next()) }
    return HeldFile(
      name: path.split(separator: "/").last.map(String.init) ?? path, path: path, size: 100_000, chunkSize: 8_192,
      root: Hash256(bytes) ?? Hash256())
  }

  func forEachChange(after revision: UInt64, _ body: (FileChange) -> Bool) {
    for place in Int(revision)..<held.count {
      if !body(FileChange(revision: UInt64(place + 1), place: place, file: held[place])) { return }
    }
  }
  func file(at place: Int) -> HeldFile? { held.indices.contains(place) ? held[place] : nil }
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
  let clock = ContinuousClock()
  func world(_ count: Int) throws -> Simulation {
    try Simulation(
      nodes: 1, ["files": ["count": JSON(count)], "search": [:]], catalog: [NamedFiles.self, Search.self])
  }
  func bytes(_ simulation: Simulation) -> Double {
    simulation.report().metrics.first { $0.metric == "search.indexBytes" }?.sum ?? 0
  }
  func ask(_ simulation: Simulation, _ query: String, told: @escaping (CommandReply) -> Void = { _ in }) -> Double {
    clock.measure { simulation.begin(0, "search", "find", ["words": [.string(query)], "min": 1], told) }.inSeconds
      * 1_000
  }

  // The index is made in slices, before anybody asks: how long all take, and the longest.
  let simulation = try world(100_000)
  var turns: [Double] = []
  let before = bytes(simulation)
  for _ in 0..<1_000 {
    turns.append(clock.measure { simulation.run(for: .milliseconds(1)) }.inSeconds * 1_000)
  }
  let size = bytes(simulation)
  guard size > before else { throw CommandError(.failed, "there is no index") }
  let (all, longest) = (turns.reduce(0, +), turns.max() ?? 0)
  say("100,000 files: indexed in \(round3(all)) ms, the longest turn \(round3(longest)) ms")
  say("the index takes \(round3(size / 1_048_576)) MiB")

  // A query at once, while nearly all is still to be indexed: how long its longest turn is.
  let early = try world(100_000)
  early.run(for: .milliseconds(1))
  var found = 0
  var blocked = ask(early, "\"number 999\"") { reply in if case .progress = reply { found += 1 } }
  var working = blocked
  for _ in 0..<1_000 {
    let turn = clock.measure { early.run(for: .milliseconds(1)) }.inSeconds * 1_000
    blocked = max(blocked, turn)
    working += turn
  }
  guard found == 111 else { throw CommandError(.failed, "a query at the start has found \(found) files") }
  say(
    "a query before there is an index: all told after \(round3(working)) ms of work, "
      + "the longest turn \(round3(blocked)) ms"
  )

  // One file comes, and at once a query: how long it takes, beside one of nothing new.
  var times: [Double] = []
  for number in 0..<9 {
    simulation.call(0, "files", "add", ["from": JSON(100_000 + number)])
    var isFound = false
    times.append(
      ask(simulation, "\"number \(100_000 + number)\"") { reply in if case .progress = reply { isFound = true } })
    guard isFound else { throw CommandError(.failed, "a file that has come is not found") }
    simulation.run(for: .seconds(11))
  }
  let changed = times.max() ?? 0
  say("a query right after a change: \(round3(changed)) ms, the slowest of 9")

  // Files come one by one, each told of by itself: what a hundred thousand of them cost, the telling included.
  let growing = try world(0)
  growing.run(for: .milliseconds(20))
  let one = clock.measure {
    for number in 0..<100_000 {
      growing.begin(0, "files", "add", ["from": JSON(number)]) { _ in }
      growing.run(for: .microseconds(30))
    }
  }
  growing.run(for: .milliseconds(20))
  let alone = try Simulation(nodes: 1, ["files": ["count": 0]], catalog: [NamedFiles.self])
  let without = clock.measure {
    for number in 0..<100_000 {
      alone.begin(0, "files", "add", ["from": JSON(number)]) { _ in }
      alone.run(for: .microseconds(30))
    }
  }
  let each = (one - without).inSeconds * 1e6 / 100_000
  say("100,000 files that come one by one cost \(round3(each)) µs each in Search")

  var (worst, slowest) = (0.0, 0.0)
  let queries = [
    "nothing of this name", "\"number 77777\"", "lisbon 99999", "name:*4242*.pdf", "LÖNGER 12345", "size:>1MiB",
    "name:*9*9*9*9*.epub", "hash:0123456789", "name:*number?42?*", "file",
  ]
  for query in queries {
    let times = (0..<9).map { _ in
      let time = ask(simulation, query)
      simulation.run(for: .seconds(11))
      return time
    }
    worst = max(worst, median(times))
    slowest = max(slowest, times.max() ?? 0)
    say("  \(pad(query, 24))\(round3(median(times))) ms, at worst \(round3(times.max() ?? 0))")
  }
  return [
    Figure(name: "search.local.milliseconds", value: worst, unit: "ms, the slowest of \(queries.count) queries"),
    Figure(name: "search.local.worst.milliseconds", value: slowest, unit: "ms, the slowest run of these"),
    Figure(name: "search.local.changed.milliseconds", value: changed, unit: "ms, a query right after a change"),
    Figure(
      name: "search.local.unindexed.turn.milliseconds", value: blocked, unit: "ms, the longest turn of a first query"),
    Figure(name: "search.index.milliseconds", value: all, unit: "ms for 100,000 files"),
    Figure(name: "search.index.turn.milliseconds", value: longest, unit: "ms, the longest turn of making it"),
    Figure(name: "search.index.each.microseconds", value: each, unit: "µs a file that comes by itself"),
    Figure(name: "search.index.mib", value: size / 1_048_576, unit: "MiB for 100,000 files"),
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
