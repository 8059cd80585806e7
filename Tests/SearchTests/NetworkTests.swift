// NetworkTests: Search in simulated networks: rings, floods, loss, churn, caches, many searches at once.
import Gossip
import LayerConformance
import PeersterVocabulary
import Routing
import StackCore
import StackSim
import Testing

@testable import Search

/// A network of nodes with Search, and files in name only.
final class Network {
  let simulation: Simulation
  /// How often each event was told, and by which nodes a query was heard.
  var events: [String: Int] = [:]
  var heard: [Int] = []
  var messages = 0

  init(
    _ nodes: Int, _ topology: Topology, seed: UInt64 = 1, search: JSON = [:], files: [Int: [String]] = [:],
    link: LinkSettings = LinkSettings(), routing: Bool = false, many: Int = 0
  ) throws {
    var layers: LayerSections = ["files": ["many": JSON(many)], "search": search]
    if routing {
      layers.sections["gossip"] = ["antiEntropy": "1s"]
      layers.sections["routing"] = ["routeRumor": "5s"]
    }
    simulation = try Simulation(
      nodes: nodes, layers, topology: topology, link: link, seed: seed,
      catalog: [TestFiles.self, Search.self, Gossip.self, Routing.self])
    simulation.onEvent = { [unowned self] node, event in
      guard event.layer == "search" else { return }
      events[event.name, default: 0] += 1
      if event.name == "query" { heard.append(node) }
    }
    simulation.onDelivery = { [unowned self] _, _, _ in messages += 1 }
    simulation.run(for: .milliseconds(1))
    for (node, paths) in files.sorted(by: { $0.key < $1.key }) { for path in paths { add(node, path) } }
  }

  func add(_ node: Int, _ path: String) { simulation.call(node, "files", "add", ["path": .string(path)]) }

  /// Searches, and answers what the search ended with.
  @discardableResult func find(
    _ node: Int, _ words: String, _ input: JSON = [:], within: Duration = .seconds(30)
  ) -> JSON? {
    var input = input.objectValue ?? [:]
    input["words"] = [.string(words)]
    let replies = simulation.call(node, "search", "find", .object(input), within: within)
    if case .finished(let json)? = replies.last { return json }
    return nil
  }

  func names(_ summary: JSON?) -> [String] {
    (summary?["files"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
  }

  func metric(_ name: String) -> Double {
    simulation.report().metrics.first { $0.metric == "search.\(name)" }?.sum ?? -1
  }
}

@Suite struct NetworkTests {
  @Test func aRingFindsWhatIsNear() throws {
    let network = try Network(5, Topology(.line), files: [2: ["music/Song.mp3"], 4: ["Song two.mp3"]])
    let found = network.find(0, "song")
    #expect(found?["ending"] == "enough" && found?["fullMatches"] == 2)
    #expect(network.names(found) == ["Song.mp3", "Song two.mp3"])
    let file = found?["files"]?.arrayValue?.first
    #expect(file?["path"] == "music/Song.mp3" && file?["size"] == 20_000 && file?["isFull"] == true)
    let holder = file?["holders"]?.arrayValue?.first
    // One node lies between, and it says where the holder is.
    #expect(holder?["name"] == "node2" && holder?["hops"] == 1)
    #expect(holder?["address"]?.stringValue == "\(network.simulation.address(of: 2))")
    // Without routing, too, what FileShare is told has the number under which people know it.
    guard case .finished(let told)? = network.simulation.call(0, "files", "told").last else {
      return #expect(Bool(false))
    }
    #expect(told.arrayValue?.first?["number"] == file?["number"])
    #expect(told.arrayValue?.first?["holders"]?.arrayValue?.first?["name"] == "node2")
  }

  @Test func theRingStopsGrowingOnceThereIsEnough() throws {
    let near = try Network(
      200, .randomRegular(degree: 4), files: Dictionary(uniqueKeysWithValues: (1..<200).map { ($0, ["same.txt"]) }))
    let found = near.find(0, "same", ["min": 1])
    #expect(found?["ending"] == "enough")
    #expect(near.metric("passed") < 10)
    // What nobody has costs all rings, and no more: 1 + 3 + 7 + 15 + 31 nodes at the most.
    let far = try Network(200, .randomRegular(degree: 4))
    #expect(far.find(0, "nothing")?["ending"] == "timeout")
    #expect(far.metric("passed") > 40 && far.metric("passed") <= 57)
    #expect(far.events["round"] == 5)
  }

  @Test(arguments: ["ring", "flood"])
  func answersComeByTheirNamesWithRouting(_ mode: String) throws {
    let network = try Network(
      8, Topology(.ring), files: [3: ["a far file.txt"], 5: ["another file.txt"]], routing: true)
    network.simulation.run(for: .seconds(20))
    let found = network.find(0, "file.txt", ["mode": .string(mode)])
    #expect(found?["ending"] == "enough")
    #expect(network.names(found).sorted() == ["a far file.txt", "another file.txt"])
  }

  @Test func aFloodReachesAsFarAsItLives() throws {
    let network = try Network(12, Topology(.line))
    network.find(0, "nothing", ["mode": "flood", "ttl": 4, "timeout": "2s"])
    #expect(network.heard.sorted() == [1, 2, 3, 4])
    // A query is never sent back to whom it came from, and on a line nobody hears it twice.
    #expect(network.metric("duplicates") == 0 && network.metric("passed") == 4)
  }

  @Test func aFloodReachesAllWithinItsHopsThoughSomeWaysAreSlow() throws {
    // A ring with one slow link: the query comes to node 3 the long way first, with less life than the short way gives.
    var scenario = Scenario()
    scenario.nodes = 8
    scenario.node.layers = ["files": [:], "search": [:]]
    scenario.topology = .edges([(0, 1), (1, 2), (2, 3), (0, 3), (3, 4), (4, 5), (5, 6), (6, 7)])
    scenario.links = [LinkChange()]
    scenario.links[0].between = [NodeSelection([0]), NodeSelection([3])]
    scenario.links[0].latency = .fixed(.milliseconds(200))
    let simulation = try Simulation(scenario, catalog: [TestFiles.self, Search.self])
    var heard: Set<Int> = []
    simulation.onEvent = { node, event in if event.name == "query" { heard.insert(node) } }
    simulation.run(for: .milliseconds(1))
    simulation.call(
      0, "search", "find", ["words": ["x"], "mode": "flood", "ttl": 4, "timeout": "2s"], within: .seconds(3))
    // Four hops by the short way: 3, 4, 5, 6. By the long way it would have ended at 4.
    #expect(heard.sorted() == [1, 2, 3, 4, 5, 6])
  }

  /// The index of many files is made slice by slice, by itself, and then nothing wakes the node any more.
  @Test func theIndexIsMadeBeforeAnybodyAsks() throws {
    let simulation = try Simulation(
      nodes: 1, ["files": ["many": 4_500], "search": [:]], catalog: [TestFiles.self, Search.self])
    func indexed() -> Double { simulation.report().metrics.first { $0.metric == "search.files" }?.sum ?? -1 }
    simulation.run(for: .milliseconds(7))
    #expect(indexed() == 1_000)
    simulation.run(for: .milliseconds(20))
    #expect(indexed() == 4_500)
    simulation.call(0, "files", "add", ["path": "one more.txt"])
    simulation.run(for: .milliseconds(10))
    #expect(indexed() == 4_501)
  }

  /// A search that comes while the index is being made tells of all there is, and of nothing that is no more.
  @Test func aSearchWaitsForTheIndex() throws {
    let network = try Network(1, Topology(.line), many: 14_500)
    func find(_ words: String, _ input: JSON = ["timeout": "10ms", "limit": 1_000]) -> [String] {
      network.names(network.find(0, words, input))
    }
    var told: [JSON] = []
    network.simulation.begin(
      0, "search", "find", ["words": ["\"number 44\""], "timeout": "10ms", "limit": 1_000]
    ) { reply in
      switch reply {
      case .progress(let json), .finished(let json): told.append(json)
      case .failed(let error): Issue.record("\(error)")
      }
    }
    #expect(told.count < 111)
    // Two that are indexed already and two that are not change meanwhile.
    for (path, new) in [("441", "other 1"), ("442", nil), ("4410", "other 2"), ("4411", nil)] as [(String, String?)] {
      var input: JSON = ["path": .string("many/number \(path).bin")]
      input["to"] = new.map { .string($0) }
      network.simulation.call(0, "files", "rename", input)
    }
    network.simulation.run(for: .milliseconds(12))
    #expect(told.last?["ending"] == nil, "the time is up, but the index isn't there yet")
    network.simulation.run(for: .milliseconds(40))
    #expect(told.last?["ending"] == "timeout")
    let names = Set(network.names(told.last))
    // 44, 440 to 449, 4400 to 4499; of the four that changed, those told before the change stay told.
    let gone: Set = ["number 4410.bin", "number 4411.bin"]
    let changing = gone.union(["number 441.bin", "number 442.bin"])
    #expect(names.isDisjoint(with: gone) && names.subtracting(changing).count == 107, "\(names.count)")
    #expect(find("other") == ["other 1", "other 2"])
    #expect(find("\"number 44\"").count == 107)
  }

  /// What others ask is answered from what is indexed, at once.
  @Test func othersAreAnsweredWhileTheIndexIsMade() throws {
    let network = try Network(2, Topology(.line), many: 3_500)
    let early = network.find(1, "\"number 10.bin\"", ["timeout": "2s", "min": 0])
    #expect(early?["files"]?.arrayValue?.first?["holders"]?.arrayValue?.first?["name"] == "node0")
    let late = network.find(1, "\"number 3410.bin\"", ["timeout": "2s", "min": 0])
    #expect(late?["files"]?.arrayValue?.first?["holders"]?.arrayValue?.first?["name"] == "node0")
  }

  @Test func localFilesComeFirstAndEndNothing() throws {
    let network = try Network(3, Topology(.line), files: [0: ["mine.txt"], 2: ["mine too.txt"]])
    var told: [JSON] = []
    network.simulation.begin(0, "search", "find", ["words": ["mine"], "min": 1]) { reply in
      switch reply {
      case .progress(let json), .finished(let json): told.append(json)
      case .failed(let error): Issue.record("\(error)")
      }
    }
    #expect(told.count == 1 && told.first?["isLocal"] == true && told.first?["name"] == "mine.txt")
    network.simulation.run(for: .seconds(5))
    #expect(told.count == 3 && told.last?["ending"] == "enough" && told.last?["count"] == 2)
    // A file that is added is found at once.
    network.add(0, "mine three.txt")
    #expect(network.names(network.find(0, "three", ["timeout": "10ms"])) == ["mine three.txt"])
  }

  @Test func firstIsEnoughWhereThatIsAsked() throws {
    let network = try Network(4, Topology(.star), files: [1: ["x1"], 2: ["x2"], 3: ["x3"]])
    #expect(network.find(0, "x", ["mode": "flood", "first": true])?["count"] == 1)
    let all = network.find(0, "x", ["mode": "flood", "min": 0, "timeout": "1s"])
    #expect(all?["ending"] == "timeout" && all?["count"] == 3)
  }

  @Test func partsOfAFileAreNoFullMatchUntilTheyAreAWhole() throws {
    var scenario = Scenario()
    scenario.nodes = 3
    scenario.topology = Topology(.line)
    scenario.node.layers = ["files": ["paths": ["part.bin"], "chunks": 2], "search": [:]]
    scenario.overrides = [NodeOverride()]
    scenario.overrides[0].nodes = NodeSelection([0])
    scenario.overrides[0].layers = ["files": ["paths": []]]
    let simulation = try Simulation(scenario, catalog: [TestFiles.self, Search.self])
    simulation.run(for: .milliseconds(1))
    let replies = simulation.call(
      0, "search", "find", ["words": ["part"], "mode": "flood", "min": 1, "timeout": "1s"], within: .seconds(2))
    guard case .finished(let found)? = replies.last else { return #expect(Bool(false)) }
    #expect(found["ending"] == "timeout" && found["fullMatches"] == 0)
    let holders = found["files"]?.arrayValue?.first?["holders"]?.arrayValue ?? []
    #expect(holders.count == 2 && holders.allSatisfy { $0["chunks"] == 2 && $0["isWhole"] == false })
  }

  @Test(arguments: ["ring", "flood"])
  func lossAndChurnCostOnlySomeBranches(_ mode: String) throws {
    var link = LinkSettings()
    (link.loss, link.duplicate, link.reorder) = (0.05, 0.05, 0.1)
    link.jitter = .milliseconds(10)
    for seed in 1...3 as ClosedRange<UInt64> {
      let holders = (0..<100).filter { $0 % 5 == 1 }
      let network = try Network(
        100, .randomRegular(degree: 4), seed: seed, search: ["duplicateWindow": "500ms"],
        files: Dictionary(uniqueKeysWithValues: holders.map { ($0, ["wanted \($0).txt"]) }), link: link)
      var found = 0
      for round in 0..<10 {
        for node in stride(from: round + 2, to: 100, by: 9) where node % 5 != 1 && node != 0 {
          if round % 2 == 0 { network.simulation.crash(node) } else { try network.simulation.restart(node) }
        }
        if network.find(0, "wanted", ["mode": .string(mode), "timeout": "8s"])?["ending"] == "enough" { found += 1 }
      }
      #expect(found >= 8, "seed \(seed): \(found) of 10 with \(mode)")
      #expect(network.simulation.failures.isEmpty)
    }
  }

  @Test func hundredsOfSearchesAtOnce() throws {
    let files = Dictionary(
      uniqueKeysWithValues: (0..<30).map { ($0, (0..<10).map { number in "n\(number) of some.txt" }) })
    let network = try Network(30, .randomRegular(degree: 4), files: files)
    var ended = 0
    for number in 0..<250 {
      let input: JSON = [
        "words": [.string("n\(number % 10)")], "mode": .string(number % 2 == 0 ? "ring" : "flood"), "min": 1,
      ]
      network.simulation.begin(0, "search", "find", input) { reply in
        if case .finished(let json) = reply, json["ending"] == "enough" { ended += 1 }
      }
    }
    // A node has 256 streaming commands under way at the most; who comes then is told so, and later is served again.
    var refusals: [String] = []
    for _ in 250..<260 {
      network.simulation.begin(0, "search", "find", ["words": ["n1"], "timeout": "1s"]) { reply in
        if case .failed(let error) = reply { refusals.append(error.code) }
      }
    }
    network.simulation.run(for: .seconds(15))
    #expect(ended == 250 && refusals == Array(repeating: "too-many-calls", count: 4))
    #expect(network.metric("searches") == 0)
    #expect(network.find(0, "n1", ["min": 1])?["ending"] == "enough")
  }

  @Test func recentAndCacheShowWhatCameBy() throws {
    let network = try Network(4, Topology(.line), files: [3: ["deep/Thing.txt"]])
    let root = TestFiles.root(of: "Thing.txt")
    network.find(0, "hash:\(root.hex)", ["mode": "flood", "min": 1])
    guard case .finished(let recent)? = network.simulation.call(1, "search", "recent").last,
      case .finished(let cache)? = network.simulation.call(1, "search", "cache").last
    else { return #expect(Bool(false)) }
    let entry = recent["queries"]?.arrayValue?.first
    #expect(entry?["hash"]?.stringValue == root.hex && entry?["isOurs"] == false && entry?["mode"] == "flood")
    #expect(entry?["from"]?.stringValue == "\(network.simulation.address(of: 0))")
    #expect(entry?["to"]?.arrayValue?.count == 1 && entry?["answered"] == 1)
    let answer = entry?["answers"]?.arrayValue?.first
    #expect(answer?["holder"] == "node3" && answer?["host"]?.stringValue == network.simulation.address(of: 3).host)
    #expect(answer?["port"]?.integerValue == Int64(network.simulation.address(of: 3).port))
    #expect(cache["count"] == 1 && cache["hits"]?.arrayValue?.first?["name"] == "Thing.txt")
    // What is kept answers the next one, though the holder is gone; and it is shown as remembered to who asks there.
    network.simulation.crash(3)
    let again = network.find(1, "thing", ["timeout": "500ms"])
    #expect(again?["files"]?.arrayValue?.first?["isAnswered"] == false && again?["ending"] == "timeout")
    let other = try network.simulation.join(peers: [1])
    network.simulation.run(for: .seconds(1))
    #expect(
      network.names(network.find(other, "thing", ["mode": "flood", "ttl": 1, "min": 1, "timeout": "1s"])) == [
        "Thing.txt"
      ])
    // It goes, once nobody has asked for long; queries go too.
    network.simulation.run(for: .seconds(700))
    #expect(network.metric("cached") == 0 && network.metric("traces") == 0)
  }

  @Test func queriesThatMakeNoSenseAreRefusedWithTheirPlace() throws {
    let network = try Network(1, Topology(.line))
    let replies = network.simulation.call(0, "search", "find", ["words": ["x size:huge"]])
    guard case .failed(let error)? = replies.last else { return #expect(Bool(false)) }
    #expect(error.code == "query" && error.message.contains("character 8"))
    // Words of a command line: several are words and phrases, a single one is a query as it stands.
    #expect(Search.text(of: ["annual report"]) == "annual report")
    #expect(Search.text(of: ["my", "annual report", "name:\"a b\""]) == "my \"annual report\" name:\"a b\"")
  }

  /// Nodes reached by a flood among 1,000, against what was published for random 4-regular graphs.
  @Test(arguments: zip([3, 4, 5], [0.052, 0.151, 0.388]))
  func reachIsWhatTheGraphAllows(_ hops: Int, _ share: Double) throws {
    var total = 0
    for seed in 1...3 as ClosedRange<UInt64> {
      let network = try Network(1_000, .randomRegular(degree: 4), seed: seed)
      network.find(0, "nothing", ["mode": "flood", "ttl": JSON(hops), "timeout": "2s"])
      total += network.heard.count
    }
    let reached = Double(total) / 3_000
    #expect(abs(reached / share - 1) < 0.05, "\(reached) at \(hops)")
  }

  private var options: ConformanceOptions {
    var options = ConformanceOptions()
    options.rounds = 12
    options.floodMessages = 10_000
    return options
  }

  @Test func itKeepsThePromisesOfALayer() throws {
    try LayerConformance.check(
      Search.self, with: [TestFiles.self], otherSections: ["files": ["paths": ["a.txt", "b/c.pdf"]]], options: options)
  }

  @Test func floodKeepsThemTooAndWithoutFiles() throws {
    try LayerConformance.check(Search.self, config: ["mode": "flood", "timeout": "1s"], options: options)
  }
}
