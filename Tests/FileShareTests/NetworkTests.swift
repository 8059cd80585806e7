// NetworkTests: sharing and serving in simulated networks: changes, restarts, several hops, and those who lie.
import Gossip
import LayerConformance
import PeersterVocabulary
import Routing
import StackCore
import StackSim
import Testing

@testable import FileShare

/// A network of nodes with Gossip, Routing and FileShare.
final class Network {
  let simulation: Simulation
  var events: [(node: Int, name: String, json: JSON)] = []

  convenience init(_ nodes: Int, fileshare: JSON = [:]) throws {
    try self.init(
      nodes, layers: ["gossip": ["antiEntropy": "1s"], "routing": ["routeRumor": "5s"], "fileshare": fileshare],
      catalog: [Gossip.self, Routing.self, FileShare.self])
  }

  init(_ nodes: Int, layers: LayerSections, catalog: [any ProtocolLayer.Type]) throws {
    var scenario = Scenario()
    scenario.nodes = nodes
    scenario.topology = Topology(.line)
    scenario.node.layers = layers
    // So that replies go in one piece, and can be read on the wire.
    scenario.link.mtu = 16_000
    scenario.node.pathLimit = 16_000
    simulation = try Simulation(scenario, catalog: catalog)
    simulation.onEvent = { [unowned self] node, event in
      if event.layer == "fileshare" { events.append((node, event.name, event.json())) }
    }
    simulation.run(for: .milliseconds(1))
  }

  func place(_ node: Int, _ path: String, _ content: [UInt8]) throws {
    try simulation.disk(of: node).place(path, content)
  }

  /// The last answer of a command, once it has come.
  func command(_ node: Int, _ name: String, _ input: JSON = [:]) -> CommandReply? {
    var last: CommandReply?
    simulation.begin(node, "fileshare", name, input) { last = $0 }
    simulation.run(within: .seconds(30)) { _ in last?.isLast == true }
    return last
  }

  func answer(_ node: Int, _ name: String, _ input: JSON = [:]) -> JSON? {
    if case .finished(let json)? = command(node, name, input) { return json }
    return nil
  }

  func error(_ node: Int, _ name: String, _ input: JSON = [:]) -> CommandError? {
    if case .failed(let error)? = command(node, name, input) { return error }
    return nil
  }

  /// The paths that a node shares.
  func paths(_ node: Int) -> [String] {
    (answer(node, "list", ["limit": 10_000])?["files"]?.arrayValue ?? []).compactMap { $0["path"]?.stringValue }
  }

  func metric(_ node: Int, _ name: String) -> UInt64 {
    for metric in simulation.node(node)?.metricDescriptions ?? [] where metric.layer == "fileshare" {
      if metric.name == name, case .counter(let counter) = metric.source { return counter.value }
    }
    return 0
  }
}

func content(_ size: Int, seed: UInt64 = 1) -> [UInt8] {
  var random = RandomStream(seed: seed)
  return (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
}

@Suite struct NetworkTests {
  @Test func aFolderIsSharedWithAllBelowIt() throws {
    let network = try Network(1)
    for path in ["/m/a", "/m/b/c", "/m/b/d/e", "/m/.git/config", "/m/b/.x", "/other"] {
      try network.place(0, path, Array(path.utf8))
    }
    let result = try #require(network.answer(0, "share", ["paths": ["/m"]]))
    let entry = try #require(result["shared"]?.arrayValue?.first)
    #expect(entry["files"] == 3 && entry["skipped"]?.arrayValue == ["2 hidden"])
    #expect(network.paths(0).sorted() == ["m/a", "m/b/c", "m/b/d/e"])
    let one = try #require(network.answer(0, "share", ["paths": ["/other"]])?["shared"]?.arrayValue?.first)
    let tree = try #require(MerkleTree(of: Array("/other".utf8)))
    let link = try FileDescriptor(link: one["link"]?.stringValue ?? "")
    #expect(link == FileDescriptor(name: "other", size: 6, root: tree.root))
    #expect(network.events.count { $0.name == "shared" } == 4)
    #expect(network.error(0, "share", ["paths": ["relative"]])?.code == "relative-path")
    #expect(network.error(0, "share", ["paths": ["/not/there"]])?.kind == .notFound)
    #expect(network.answer(0, "unshare", ["paths": ["/m"]])?["files"] == 3)
    #expect(network.paths(0) == ["other"])
    #expect(network.error(0, "unshare", ["paths": ["/m"]])?.kind == .notFound)
  }

  @Test func changesAreNoticed() throws {
    let network = try Network(1, fileshare: ["shared": "/s", "rescan": "30s"])
    network.simulation.run(for: .seconds(1))
    #expect(network.paths(0).isEmpty)
    for path in ["/s/a", "/s/sub/b"] { try network.place(0, path, [1]) }
    // The folder wasn't there at the start, so nothing watches it yet.
    network.simulation.run(for: .seconds(31))
    #expect(network.paths(0).sorted() == ["s/a", "s/sub/b"])
    let root = network.simulation.disk(of: 0)
    try network.place(0, "/s/sub/c", [3])
    try network.place(0, "/s/a", [2, 2])
    network.simulation.run(for: .seconds(3))
    #expect(network.paths(0).sorted() == ["s/a", "s/sub/b", "s/sub/c"])
    #expect(network.answer(0, "list")?["files"]?.arrayValue?.contains { $0["size"] == 2 } == true)
    try root.files(root: "/").remove("s/sub/b")
    try network.place(0, "/s/new/deep/d", [4])
    network.simulation.run(for: .seconds(31))
    #expect(network.paths(0).sorted() == ["s/a", "s/new/deep/d", "s/sub/c"])
    #expect(network.error(0, "unshare", ["paths": ["/s"]])?.code == "setting")
  }

  @Test func aRestartHashesNothingAnew() throws {
    let network = try Network(1)
    for number in 0..<50 { try network.place(0, "/m/\(number % 7)/\(number)", content(number * 1_000)) }
    try network.place(0, "/m/large", content(3_000_000))
    _ = network.answer(0, "share", ["paths": ["/m"]])
    let before = network.answer(0, "list", ["limit": 1_000])
    #expect(before?["total"] == 51)
    for _ in 0..<2 {
      network.events = []
      network.simulation.crash(0)
      try network.simulation.restart(0)
      network.simulation.run(for: .seconds(1))
      #expect(network.answer(0, "list", ["limit": 1_000]) == before)
      #expect(network.events.isEmpty)
      #expect(network.answer(0, "verify")?["damaged"]?.arrayValue == [])
    }
    // What has changed while it was away is found.
    try network.place(0, "/m/3/3", [9])
    network.simulation.crash(0)
    try network.simulation.restart(0)
    network.simulation.run(for: .seconds(1))
    #expect(network.events.map(\.name) == ["files-changed", "unshared", "shared"])
  }

  /// Asks over the network for all of a file, by hashes alone, as a Peerster does.
  private func fetch(
    _ network: Network, _ from: Int, _ to: Int, _ descriptor: FileDescriptor, chunks: [Int]? = nil
  ) -> [UInt8]? {
    var replies: [Hash256: [UInt8]] = [:]
    network.simulation.onDelivery = { _, node, bytes in
      guard node == from else { return }
      var reader = WireReader(bytes.span.bytes)
      while let tag = try? reader.nextTag() {
        guard tag.type == .bytes, let body = try? reader.readBytes() else { return }
        guard tag.number == PeersterField.dataReply,
          let reply = try? DataReply(decoding: body.withUnsafeBytes { Array($0) })
        else { continue }
        if reply.destination == WireText("node\(from)") { replies[reply.hashValue] = reply.data }
      }
    }
    func ask(_ hash: Hash256) -> [UInt8]? {
      replies[hash] = nil
      var writer = WireWriter()
      writer.writeTag(PeersterField.dataRequest, .bytes)
      let request = DataRequest(
        origin: WireText("node\(from)"), destination: WireText("node\(to)"), hopLimit: 10, hashValue: hash)
      writer.writeBytes(request.encoded().span.bytes)
      // From the asker's own place: it passes the request on as its own.
      network.simulation.inject(writer.copied(), to: from, from: network.simulation.address(of: from + 100))
      network.simulation.run(within: .seconds(3)) { _ in replies[hash] != nil }
      return replies[hash]
    }
    var partial = PartialTree(shape: descriptor.shape, root: descriptor.root)
    var result: [UInt8] = []
    for chunk in chunks ?? Array(0..<descriptor.shape.chunkCount) {
      while let node = partial.missing(for: chunk) {
        guard let hash = partial.expectedHash(node), let bytes = ask(hash),
          bytes.withUnsafeBytes({ partial.accept(node, $0) }) == .verified
        else { return nil }
      }
      guard let hash = partial.expectedHash(.chunk(chunk)), let bytes = ask(hash),
        bytes.withUnsafeBytes({ partial.check(.chunk(chunk), $0) }) == .verified
      else { return nil }
      result += bytes
    }
    return result
  }

  private func share(_ network: Network, _ node: Int, _ path: String, _ bytes: [UInt8]) throws -> FileDescriptor {
    try network.place(node, path, bytes)
    let answer = network.answer(node, "share", ["paths": [.string(path)]])
    return try FileDescriptor(link: answer?["shared"]?.arrayValue?.first?["link"]?.stringValue ?? "")
  }

  @Test func aFileIsHadByHashesOverSeveralHops() throws {
    let network = try Network(4)
    network.simulation.run(for: .seconds(20))
    let bytes = content(150_000)
    let file = try share(network, 3, "/f", bytes)
    #expect(fetch(network, 0, 3, file) == bytes)
    #expect(network.metric(1, "forwarded") >= 40 && network.metric(2, "forwarded") >= 40)
    #expect(network.metric(3, "servedBytes") > 150_000)
  }

  @Test func aLargeFileIsHadThoughTheIndexHasNoRoomForIt() throws {
    let network = try Network(2, fileshare: ["pieces": 1_024, "chunkSize": "4KiB"])
    network.simulation.run(for: .seconds(20))
    let bytes = content(5_000_000)
    let file = try share(network, 1, "/f", bytes)
    #expect(file.shape.height == 2 && file.shape.chunkCount > 1_024)
    let some = fetch(network, 0, 1, file, chunks: [0, 600, 1_220])
    var expected: [UInt8] = []
    for chunk in [0, 600, 1_220] { expected += bytes.dropFirst(chunk * 4_096).prefix(4_096) }
    #expect(some == expected)
  }

  @Test func aFileThatChangesUnderUsIsNeverServedWrong() throws {
    let network = try Network(2, fileshare: ["rescan": "1h"])
    network.simulation.run(for: .seconds(20))
    var bytes = content(100_000)
    let file = try share(network, 1, "/f", bytes)
    #expect(fetch(network, 0, 1, file) == bytes)
    bytes[50_000] ^= 1
    try network.place(1, "/f", bytes)
    #expect(fetch(network, 0, 1, file) == nil)
    #expect(network.metric(1, "changed") > 0)
    network.simulation.run(for: .seconds(1))
    // It is shared anew as what it is now.
    let list = network.answer(1, "list")?["files"]?.arrayValue?.first
    let tree = try #require(MerkleTree(of: bytes))
    #expect(list?["root"] == .string(tree.root.hex))
  }

  @Test func whatIsNotThereIsAnsweredEmpty() throws {
    let network = try Network(2)
    network.simulation.run(for: .seconds(20))
    let nothing = try #require(
      FileDescriptor(name: "x", size: 1 << 40, root: Hash256([UInt8](repeating: 7, count: 32)) ?? Hash256()))
    #expect(fetch(network, 0, 1, nothing, chunks: [0]) == nil)
    #expect(network.metric(1, "notFound") == 1)
  }

  private var options: ConformanceOptions {
    var options = ConformanceOptions()
    options.rounds = 6
    options.floodMessages = 3_000
    return options
  }

  @Test func itKeepsThePromisesOfALayer() throws {
    try LayerConformance.check(FileShare.self, options: options)
    try LayerConformance.check(
      FileShare.self, config: ["shared": "files"], with: [Gossip.self, Routing.self], options: options)
  }

  /// The same while two nodes fetch from each other: nothing of it breaks what is under way, and both files come whole.
  @Test func itKeepsThePromisesWhileItDownloads() throws {
    var options = options
    options.prepare = { Exchange($0).begin() }
    options.finish = { Exchange($0).end() }
    try LayerConformance.check(FileShare.self, options: options)
    try LayerConformance.check(
      FileShare.self, config: ["uploadLimit": 30_000], with: [Gossip.self, Routing.self], options: options)
    // The check can fail: what never comes is told.
    options.finish = { simulation in
      simulation.partition([[0], [1]])
      return Exchange(simulation, within: .seconds(2)).end()
    }
    options.rounds = 1
    options.floodMessages = 10
    options.print = { _ in }
    #expect(throws: ConformanceError.self) { try LayerConformance.check(FileShare.self, options: options) }
  }
}

/// Two nodes of a simulation that fetch a file from each other, slowly.
private struct Exchange {
  let simulation: Simulation
  let limit: Duration
  /// Slow enough to last through most of every check but those that let hours pass.
  static let (size, rate) = (300_000, 15_000)
  private static let contents = (0...1).map { node in
    var random = RandomStream(seed: UInt64(node), name: "exchange")
    return (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  init(_ simulation: Simulation, within limit: Duration = .seconds(600)) {
    self.simulation = simulation
    self.limit = limit
  }

  private func finished(_ node: Int, _ command: String, _ input: JSON) -> JSON? {
    guard case .finished(let json)? = simulation.call(node, "fileshare", command, input, within: limit).last else {
      return nil
    }
    return json
  }

  /// Shares the node's file, which is gone where the node has lost its disk.
  private func share(_ node: Int) -> JSON? {
    let disk = simulation.disk(of: node)
    if disk.contents("/s/file") == nil, (try? disk.place("/s/file", Self.contents[node])) == nil { return nil }
    return finished(node, "share", ["paths": ["/s/file"]])?["shared"]?.arrayValue?.first?["link"]
  }

  private func order(_ link: JSON, _ node: Int) -> JSON {
    [
      "file": link, "from": .string("\(simulation.address(of: 1 - node))"), "to": .string("/fetched"),
      "rate": JSON(Self.rate), "replace": true,
    ]
  }

  /// Begins both downloads, and sees that they are under way.
  func begin() -> [String] {
    simulation.run(for: .milliseconds(500))
    for node in 0...1 {
      guard let link = share(node) else { return ["node \(node) can't share"] }
      simulation.begin(1 - node, "fileshare", "download", order(link, 1 - node)) { _ in }
    }
    simulation.run(for: .seconds(3))
    return (0...1).flatMap { node -> [String] in
      let download = finished(node, "downloads", [:])?["downloads"]?.arrayValue?.first
      let bytes = download?["bytes"]?.integerValue ?? 0
      let isUnderWay = download?["state"] == "fetching" && bytes > 0 && bytes < Self.size
      return isUnderWay ? [] : ["node \(node) has no download under way: \(download ?? .null)"]
    }
  }

  /// Waits for both; what was forgotten with a node's storage is asked for anew.
  func end() -> [String] {
    (0...1).flatMap { node -> [String] in
      guard let link = share(1 - node) else { return ["node \(1 - node) can't share any more"] }
      guard finished(node, "download", order(link, node)) != nil else { return ["node \(node) doesn't get its file"] }
      let isRight = simulation.disk(of: node).contents("/fetched") == Self.contents[1 - node]
      return isRight ? [] : ["node \(node) has another file"]
    }
  }
}
