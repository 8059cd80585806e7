// HostileTests: neighbours that lie, refuse or flood to hinder downloads, or to make a node work for nothing.
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import FileShare

@Suite struct HostileHolderTests {
  /// Node 0 shares, node 1 fetches by the root alone, and what node 2 says reaches it before anything else does.
  private func stage(size: Int, seed: UInt64) throws -> (swarm: Swarm, liar: Impostor, file: FileDescriptor) {
    let swarm = try Swarm(nodes: 3, sharers: 1, size: size, seed: seed)
    let from = JSON.string("\(swarm.sim.address(of: 1))")
    let other = JSON.string(String(repeating: "ab", count: 32))
    swarm.sim.begin(2, "fileshare", "download", ["file": other, "from": from]) { _ in }
    swarm.sim.run(for: .seconds(1))
    var change = LinkChange()
    change.between = [NodeSelection([2]), NodeSelection([1])]
    change.oneWay = true
    change.loss = 1
    swarm.sim.change(change)
    return (swarm, Impostor(swarm, as: 2, to: 1), try FileDescriptor(link: swarm.link))
  }

  private func claim(_ size: Int64, of file: FileDescriptor) throws -> FileDescriptor {
    try #require(FileDescriptor(name: "", size: size, chunkSize: file.chunkSize, root: file.root))
  }

  private func begin(_ swarm: Swarm, _ file: FileDescriptor) {
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(file.root.hex)]) { _ in }
  }

  private func isFetched(_ swarm: Swarm, within: Duration) -> Bool {
    // Who isn't known to receive is told no name.
    func found() -> [UInt8]? {
      swarm.fetched(1) ?? swarm.sim.disk(of: 1).contents("/data/fileshare/downloads/file")
    }
    swarm.sim.run(within: within) { _ in found() != nil }
    return found() == swarm.content
  }

  /// A size that no disk and no map of chunks has room for is not what a download ends by.
  @Test(arguments: [Int64(1) << 39, 1 << 41, TreeShape.largestSize]) func aGiantSizeBlocksNothing(size: Int64) throws {
    let (swarm, liar, file) = try stage(size: 500_000, seed: 31)
    liar.says(try claim(size, of: file))
    begin(swarm, file)
    #expect(isFetched(swarm, within: .seconds(30)))
  }

  /// Who claims a size and then only refuses has no say in the size for ever.
  @Test(arguments: [RangeRefusal.Reason.absent, .busy, .unproven])
  func aClaimerThatRefusesBlocksNothing(reason: RangeRefusal.Reason) throws {
    let (swarm, liar, file) = try stage(size: 500_000, seed: 32)
    liar.brings = .refusal(reason)
    liar.says(try claim(600_000, of: file))
    begin(swarm, file)
    #expect(isFetched(swarm, within: .seconds(60)))
  }

  /// Nor has one that says the same piece again and again.
  @Test func aClaimerThatRepeatsItselfBlocksNothing() throws {
    let (swarm, liar, file) = try stage(size: 500_000, seed: 33)
    liar.brings = .repetition
    liar.says(try claim(600_000, of: file))
    begin(swarm, file)
    for _ in 0..<600 where swarm.fetched(1) == nil {
      swarm.sim.run(for: .milliseconds(50))
      liar.sayAgain()
    }
    #expect(swarm.fetched(1) == swarm.content)
  }

  /// Nor has one that brings the hashes, says that it has none of the chunks, and so is never asked for the last.
  @Test(arguments: [[], [0, 40], [7]] as [[UInt64]]) func aClaimerWithoutTheEndBlocksNothing(lengths: [UInt64]) throws {
    let (swarm, liar, file) = try stage(size: 500_000, seed: 38)
    liar.brings = .hashes(try #require(MerkleTree(of: swarm.content)))
    liar.lengths = lengths
    liar.says(file)
    begin(swarm, file)
    #expect(isFetched(swarm, within: .seconds(30)), "\(swarm.progress(1)?["bytes"] ?? .null)")
  }

  /// Even where the hashes fit what it says, since only the last chunk would show the lie.
  @Test func aClaimerOfAnotherEndBlocksNothing() throws {
    let (swarm, liar, file) = try stage(size: 500_000, seed: 39)
    liar.brings = .hashes(try #require(MerkleTree(of: swarm.content)))
    liar.lengths = []
    liar.says(try claim(500_100, of: file))
    begin(swarm, file)
    #expect(isFetched(swarm, within: .seconds(30)), "\(swarm.progress(1)?["bytes"] ?? .null)")
  }

  /// Where several say the same, one that leaves takes nothing of what is there with it.
  @Test func whoClaimedTheSizeMayLeave() throws {
    var link = LinkSettings()
    link.bandwidth = ByteCount(bytes: 1_000_000)
    let swarm = try Swarm(nodes: 3, sharers: 1, size: 3_000_000, link: link, seed: 34)
    try swarm.share(2)
    let file = try FileDescriptor(link: swarm.link)
    begin(swarm, file)
    swarm.sim.run(for: .milliseconds(1_200))
    let before = swarm.progress(1)?["bytes"]?.integerValue ?? 0
    #expect(before > 300_000)
    swarm.sim.crash(0)
    #expect(isFetched(swarm, within: .seconds(30)))
    #expect(swarm.metric(1, "fetchedBytes") < 4_000_000, "\(swarm.metric(1, "fetchedBytes"))")
  }

  /// Nor is it thrown away while the only one is away for a moment.
  @Test func aClaimerThatComesBackIsGoneOnWith() throws {
    var link = LinkSettings()
    link.bandwidth = ByteCount(bytes: 1_000_000)
    let swarm = try Swarm(nodes: 2, sharers: 1, size: 3_000_000, link: link, seed: 35)
    begin(swarm, try FileDescriptor(link: swarm.link))
    swarm.sim.run(for: .seconds(2))
    let before = swarm.progress(1)?["bytes"]?.integerValue ?? 0
    #expect(before > 500_000)
    swarm.sim.crash(0)
    swarm.sim.run(for: .seconds(20))
    try swarm.sim.restart(0)
    #expect(isFetched(swarm, within: .seconds(60)))
    #expect(swarm.metric(1, "fetchedBytes") < 4_000_000, "\(swarm.metric(1, "fetchedBytes"))")
  }

  /// One holder can't tell from its requests how another's are numbered, and write noise in its name.
  @Test func requestsAreNumberedAtRandom() throws {
    let swarm = try Swarm(nodes: 2, sharers: 1, size: 2_000_000, seed: 37)
    var numbers: [UInt32] = []
    swarm.sim.onDelivery = { _, node, bytes in
      guard node == 0 else { return }
      var reader = WireReader(bytes.span.bytes)
      while let tag = try? reader.nextTag() {
        guard tag.type == .bytes, let body = try? reader.readBytes() else { return }
        guard tag.number == TransferField.rangeRequest else { continue }
        var message = WireReader(body)
        if let request = try? RangeRequest(from: &message) { numbers.append(request.number.value) }
      }
    }
    #expect(swarm.fetch(1) != nil && numbers.count > 20)
    #expect(zip(numbers, numbers.dropFirst()).allSatisfy { ($1 &- $0) > 1_000 && ($0 &- $1) > 1_000 })
  }

  /// One that is still fetching the hashes gives out those that it has, not holes: for noise it would be banned.
  @Test(arguments: [UInt64](1...3)) func whoFetchesHashesIsNotBannedForThoseThatItLacks(seed: UInt64) throws {
    var link = LinkSettings()
    link.bandwidth = ByteCount(bytes: 40_000)
    link.loss = 0.15
    let swarm = try Swarm(nodes: 3, sharers: 1, size: 20_000_000, link: link, seed: seed)
    var banned = 0
    swarm.sim.onEvent = { _, event in if event.name == "holder-banned" { banned += 1 } }
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link)]) { _ in }
    swarm.sim.run(for: .milliseconds(300))
    let from = JSON.string("\(swarm.sim.address(of: 1))")
    swarm.sim.begin(2, "fileshare", "download", ["file": .string(swarm.link), "from": from]) { _ in }
    swarm.sim.run(for: .seconds(15))
    #expect(banned == 0, "seed \(seed)")
    #expect(swarm.metric(2, "wrongChunks") == 0)
    #expect(swarm.metric(2, "fetchedBytes") > 0, "\(swarm.metric(2, "fetchedBytes"))")
  }

  /// Addresses and names at which nobody is don't keep out one who comes later and has the file.
  @Test(arguments: [true, false]) func deadHoldersMakeRoom(byName: Bool) throws {
    let swarm = try Swarm(nodes: 2, sharers: 1, size: 300_000, seed: 36, extra: [Rumour.self])
    let file = try FileDescriptor(link: swarm.link)
    var change = LinkChange()
    change.between = [NodeSelection([0]), NodeSelection([1])]
    change.loss = 1
    swarm.sim.change(change)
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link)]) { _ in }
    for number in 0..<100 {
      let holder: JSONObject =
        byName
        ? ["name": .string("nobody \(number)")]
        : ["address": .string("\(Address(ipv4: 0x0b00_0000 + UInt32(number), port: 9))")]
      swarm.sim.call(1, "rumour", "tell", .object(["root": .string(file.root.hex)]).merging(holder))
    }
    swarm.sim.run(for: .seconds(60))
    swarm.sim.heal()
    change.loss = 0
    swarm.sim.change(change)
    #expect(swarm.fetch(1, within: .seconds(60)) != nil)
    #expect(swarm.fetched(1) == swarm.content)
  }
}

extension JSON {
  fileprivate func merging(_ other: JSONObject) -> JSON {
    var object = objectValue ?? [:]
    for (key, value) in other { object[key] = value }
    return .object(object)
  }
}

/// Tells FileShare of holders, as Search does.
private final class Rumour: ProtocolLayer {
  static let manifest = LayerManifest("rumour", "Tells of holders.")

  struct Input: CommandInput {
    @Argument("Of which file.") var root: String
    @Argument("The name.") var name = ""
    @Argument("The address.") var address = ""
  }

  init(config: NoConfig, setup: LayerSetup<Rumour>) throws {
    setup.event(FileHolders.port)
    setup.command("tell", "Tells.", Rumour.tell)
  }

  private func tell(_ input: Input, _ context: borrowing LayerContext<Rumour>) throws -> Bool {
    let holder = FileHolder(name: input.name.isEmpty ? nil : WireText(input.name), address: Address(input.address))
    context.publish(
      FileHolders(
        root: Hash256(hex: input.root) ?? Hash256(), name: "x", size: nil, chunkSize: nil, holders: [holder]),
      on: FileHolders.port)
    return true
  }
}

@Suite struct HostileCostTests {
  /// A request for nothing costs memory and time to serve, and is nobody's honest wish.
  @Test func aRequestForNothingIsRefused() throws {
    let nothing = RangeRequest(root: Hash256(), number: Fixed32(1), level: 0, ranges: [])
    #expect(throws: WireError.self) { try RangeRequest(decoding: nothing.encoded()) }
  }

  /// One who holds nothing that is wanted costs no walk along all chunks of a large file.
  @Test func whoHoldsTheWrongPartCostsLittle() {
    let count = 1 << 24
    var held = ChunkMap(count: count)
    held.insert(count - 1)
    var scheduler = ChunkScheduler(
      levelBytes: Int64(count) * 8_192, chunkSize: 8_192, runBytes: 1 << 19, mostRuns: 4, held: held)
    let took = computing {
      for _ in 0..<20 {
        let asked = scheduler.ask(
          of: 1, holding: held, limit: 64, at: Instant(), patience: .seconds(1), rarity: { _ in 2 })
        #expect(asked.isEmpty)
      }
    }
    #expect(took < .seconds(5), "\(took)")
  }

  /// Where nobody holds all, the rarest chunk is looked for within bounds.
  @Test func theRarestIsLookedForWithinBounds() {
    let count = 1 << 22
    var scheduler = ChunkScheduler(
      levelBytes: Int64(count) * 8_192, chunkSize: 8_192, runBytes: 1 << 16, mostRuns: 4)
    var looks = 0
    let asked = scheduler.ask(
      of: 1, holding: nil, limit: 8, at: Instant(), patience: .seconds(1),
      rarity: { _ in
        looks += 1
        return 2
      })
    #expect(!asked.isEmpty)
    #expect(looks <= 5_000, "\(looks)")
  }

  /// A claim of many chunks in one stretch is taken by words, not chunk by chunk.
  @Test func aLongStretchIsTakenQuickly() throws {
    let took = computing {
      for _ in 0..<10 { #expect(ChunkMap(lengths: [0, 1 << 25], count: 1 << 25)?.isWhole == true) }
    }
    #expect(took < .seconds(5), "\(took)")
  }

  /// Any number of files may be alike, such as empty ones; they come and go in no more time for that.
  @Test func filesThatAreAlikeGoQuickly() {
    func removing(_ count: UInt32) -> Duration {
      var index = SharedIndex()
      let folder = index.addFolder(FolderKey(share: 1, path: ""))
      for number in 0..<count {
        index.add(
          SharedFile(
            folder: folder, name: "\(number + 100_000)", size: 0, stamp: 1, chunkSize: 8_192, number: number + 1,
            root: Hash256()))
      }
      #expect(index.places(root: Hash256(), limit: 16).count == 16)
      let took = computing { for place in 0..<Int32(count) { index.remove(place) } }
      #expect(index.count == 0 && index.place(root: Hash256()) == nil)
      return took
    }
    // Four times as many take four times as long, not sixteen times.
    let (few, many) = (removing(10_000), removing(40_000))
    #expect(many < few * 10, "\(few), \(many)")
  }

  /// Names that become the same safe name each get a number, without a try for each that has one already.
  @Test func manyNamesThatBecomeOneAreNumberedQuickly() throws {
    let entries = (0..<4_000).map { number in
      var entry = FolderEntry()
      var name = String.UnicodeScalarView()
      for shift in [6, 0] { name.append(Unicode.Scalar(UInt32(0xe000 + (number >> shift) & 63)) ?? "x") }
      (entry.name, entry.size, entry.chunkSize) = (String(name), 5, 8_192)
      return entry
    }
    var made: FolderList?
    let took = computing { made = FolderList(entries) }
    #expect(took < .seconds(8), "\(took)")
    let list = try #require(made)
    #expect(Set(list.entries.map(\.name)).count == 4_000)
    #expect(list.entries.contains { $0.name == "__ (4000)" })
  }
}

/// A stand-in for Routing: whoever it is, the way leads to where the message came from.
private final class Wayback: ProtocolLayer, RoutingService {
  static let manifest = LayerManifest("wayback", "Ways back.", provides: [ServiceKey.routing])
  private var last = Address(ipv4: 0x0a00_0009, port: 5000)

  init(config: NoConfig, setup: LayerSetup<Wayback>) throws {
    setup.onRaw(1_000, ListRequest.self, Wayback.heard)
    setup.sends(1_001, ListPage.self)
    setup.event(RoutedArrival.port)
    setup.subscribe(RouteRequest.port, Wayback.asked)
    setup.provide(.routing, self)
  }

  func route(to destination: WireText) -> Route? { Route(destination: destination, nextHop: last, hops: 0) }

  private func asked(_ request: RouteRequest, _ context: borrowing LayerContext<Wayback>) {
    guard let page = try? ListPage(decoding: request.body.bytes) else { return }
    context.send(page, as: 1_001, to: last)
  }

  private func heard(
    _ reader: inout WireReader, from: Address, _ context: borrowing LayerContext<Wayback>
  ) throws(WireError) {
    last = from
    let request = try ListRequest(from: &reader)
    context.publish(
      RoutedArrival(number: 1, origin: "victim", field: ListRequest.field, body: RoutedBody(request.encoded())),
      on: RoutedArrival.port)
  }
}

@Suite struct HostileListingTests {
  /// A node with some files, asked for its list from an address that shows nothing.
  private func ask(_ times: Int, proven: Bool) throws -> (bytesIn: Int, bytesOut: Int, pages: Int) {
    let disk = SimDisk()
    for number in 0..<300 { try disk.place("/s/\(number % 50)/file number \(number)", [UInt8(number & 255)]) }
    let stranger = Address(ipv4: 0x0a00_0009, port: 5000)
    let node = try Node(
      NodeBlueprint(
        name: "me", address: Address(ipv4: 0x0a00_0002, port: 5000), peers: proven ? [stranger] : [],
        layers: [(Wayback.self, [:]), (FileShare.self, ["shared": "/s", "listing": "public"])], seed: 1),
      storage: SimStorage()
    ) { disk.files(root: "/\($0)") }
    var now = Instant(nanoseconds: 1_000_000_000)
    node.start(at: now)
    var (bytesIn, bytesOut, pages) = (0, 0, 0)
    func turn() {
      var jobs = node.takeJobs()
      while !jobs.isEmpty {
        for job in jobs { node.complete(job.id, job.run(), at: now) }
        jobs = node.takeJobs()
      }
      try? node.commit()
      node.withOutgoing { bytes, entries in
        for entry in entries {
          bytesOut += entry.byteCount + 28
          let datagram = UnsafeRawBufferPointer(start: bytes + entry.offset, count: entry.byteCount)
          var reader = WireReader(datagram.bytes)
          if let tag = try? reader.nextTag(), tag.number == 1_001 { pages += 1 }
        }
        return (entries.count, 0)
      }
    }
    turn()
    now = now + .seconds(5)
    (bytesOut, pages) = (0, 0)
    for number in 0..<times {
      var request = ListRequest()
      request.number = Fixed64(UInt64(number + 1))
      // So that a page is small and goes in one piece.
      request.below = "s/1/file number 1"
      let packet = request.packet(as: 1_000)
      bytesIn += packet.count + 28
      node.receive(packet.span.bytes, from: stranger, at: now)
      turn()
    }
    return (bytesIn, bytesOut, pages)
  }

  /// Whose way leads to an address that has shown nothing isn't sent long lists there.
  @Test func aListIsNotAmplified() throws {
    #expect(try ask(20, proven: true).pages == 20)
    let (bytesIn, bytesOut, _) = try ask(20, proven: false)
    #expect(bytesOut <= 3 * bytesIn, "\(bytesOut) for \(bytesIn)")
  }

  /// Each page goes through all that is shared: of much, fewer pages are made.
  @Test func listsOfMuchAreMadeSeldom() {
    func pages(files: Int, over seconds: Int) -> Int {
      var budget = ListBudget()
      return (0..<seconds * 100).count {
        budget.take(files: files, at: Instant(nanoseconds: 1_000_000_000 + Int64($0) * 10_000_000))
      }
    }
    #expect(pages(files: 0, over: 10) == 200 && pages(files: 5_000, over: 10) == 200)
    #expect((100...120).contains(pages(files: 40_000, over: 10)))
    #expect((4...5).contains(pages(files: 1_000_000, over: 10)))
    #expect(pages(files: .max / 2, over: 10) == 1)
  }
}
