// TransferTests: files fetched in simulation: with loss, from several holders, from liars, through crashes.
import Hashing
import StackCore
import StackSim
import Testing

@testable import FileShare

@Suite struct TransferTests {
  @Test(arguments: [0, 1, 1_023, 1_024, 8_192, 8_193, 100_000, 2_097_152, 3_000_000])
  func aFileArrives(size: Int) throws {
    let swarm = try Swarm(size: size, seed: 7)
    #expect(swarm.fetch(1) != nil)
    #expect(swarm.fetched(1) == swarm.content)
  }

  /// Who is no neighbour yet is asked as soon as it has introduced itself, not when a timer comes round.
  @Test func whoIsNamedByItsAddressIsAskedAtOnce() throws {
    let swarm = try Swarm(size: 1_000, seed: 8, topology: Topology(.none))
    let took = try #require(swarm.fetch(1, ["from": .string("\(swarm.sim.address(of: 0))")]))
    // Three round trips of 20 ms: who it is, what it has, and the bytes.
    #expect(took < .milliseconds(90), "\(took)")
  }

  @Test(arguments: [UInt64](1...4)) func itArrivesThroughLossAndDisorder(seed: UInt64) throws {
    var link = LinkSettings()
    link.loss = 0.05
    link.duplicate = 0.02
    link.reorder = 0.05
    link.jitter = .milliseconds(3)
    let swarm = try Swarm(nodes: 4, sharers: 3, size: 1_000_000, link: link, seed: seed)
    #expect(swarm.fetch(3) != nil, "seed \(seed)")
    #expect(swarm.fetched(3) == swarm.content, "seed \(seed)")
  }

  /// Four seconds of it, so that finding them and the last pieces count for little.
  @Test(arguments: [1, 2, 4]) func severalHoldersAddUp(holders: Int) throws {
    let each = 1_000_000
    let swarm = try Swarm(
      nodes: holders + 1, sharers: holders, size: 4_000_000 * holders,
      section: ["uploadLimit": JSON(each)], seed: 5)
    let took = try #require(swarm.fetch(holders))
    let rate = Double(4_000_000 * holders) / took.inSeconds
    #expect(abs(rate / Double(each * holders) - 1) < 0.1, "\(rate) bytes a second from \(holders)")
  }

  /// What isn't in the giver's memory is read by jobs; all arrives the same, nobody is kept waiting for good.
  @Test func aFileArrivesFromAColdDisk() throws {
    let swarm = try Swarm(nodes: 3, size: 3_000_000, seed: 11)
    swarm.sim.disk(of: 0).isCold = true
    let replies = (1...2).map { node in
      swarm.sim.call(node, "fileshare", "download", ["file": .string(swarm.link)], within: .seconds(60))
    }
    for (node, reply) in zip(1...2, replies) {
      #expect(swarm.finished(reply) != nil)
      #expect(swarm.fetched(node) == swarm.content)
    }
    #expect(swarm.metric(0, "served") == 0)
  }

  /// A file that goes while a job reads it ends nothing but its own download.
  @Test func aColdFileThatIsRemovedIsRefused() throws {
    let swarm = try Swarm(size: 3_000_000, section: ["uploadLimit": 200_000], seed: 12)
    swarm.sim.disk(of: 0).isCold = true
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link)]) { _ in }
    swarm.sim.run(for: .seconds(2))
    try swarm.sim.disk(of: 0).place("/shared/file.bin", [1, 2, 3])
    swarm.sim.run(for: .seconds(5))
    #expect(swarm.fetched(1) == nil)
    #expect(swarm.metric(0, "served") == 0)
    #expect(swarm.progress(1)?["state"] == "fetching")
  }

  @Test func aCapIsKept() throws {
    let swarm = try Swarm(size: 2_000_000, seed: 9)
    let took = try #require(swarm.fetch(1, ["rate": 500_000]))
    #expect(abs(took.inSeconds - 4) < 0.4, "\(took)")
  }

  @Test func aFileThatIsThereIsNotReplaced() throws {
    let swarm = try Swarm(size: 100_000, seed: 2)
    try swarm.sim.disk(of: 1).place("/data/fileshare/downloads/file.bin", [1, 2, 3])
    guard
      case .failed(let error)? = swarm.sim.call(
        1, "fileshare", "download", ["file": .string(swarm.link)], within: .seconds(5)
      ).last
    else {
      Issue.record("it was fetched over a file")
      return
    }
    #expect(error.message.contains("there already"))
    #expect(swarm.fetched(1) == [1, 2, 3])
    #expect(swarm.fetch(1, ["replace": true]) != nil)
    #expect(swarm.fetched(1) == swarm.content)
  }

  /// After a crash at any point the file comes whole, and little comes twice: a hundredth after `kill -9`. A loss of
  /// power takes from the disk what was not synced: what came in a twentieth of a second besides.
  @Test(arguments: 0..<24) func itGoesOnAfterACrash(point: Int) throws {
    let isPowerLost = point >= 20
    var link = LinkSettings()
    link.bandwidth = ByteCount(bytes: 1_000_000)
    let size = 4_000_000
    let swarm = try Swarm(size: size, link: link, seed: UInt64(100 + point))
    var random = RandomStream(seed: UInt64(point), name: "crash")
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link)]) { _ in }
    swarm.sim.run(for: .milliseconds(Int64(500 + random.next(below: 3_400))))
    let before = swarm.metric(1, "fetchedBytes")
    // Stopped in good order the layer does nothing more for its downloads: to the disk that is the same as a kill.
    if isPowerLost { swarm.sim.crash(1) } else { swarm.sim.leave(1) }
    try swarm.sim.restart(1)
    let isWhole = swarm.sim.run(within: .seconds(120)) { _ in swarm.fetched(1) != nil }
    #expect(isWhole, "point \(point)")
    #expect(swarm.fetched(1) == swarm.content, "point \(point)")
    let twice = before + swarm.metric(1, "fetchedBytes") - Double(size) * (1 + 32.0 / 8_192)
    let most = Double(size) * 0.01 + (isPowerLost ? 50_000 : 0)
    #expect(twice <= most, "point \(point): \(twice) bytes twice of \(before)")
  }

  @Test func pauseAndResume() throws {
    var link = LinkSettings()
    link.bandwidth = ByteCount(bytes: 1_000_000)
    let swarm = try Swarm(size: 5_000_000, link: link, seed: 4)
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link)]) { _ in }
    swarm.sim.run(for: .seconds(2))
    let root = try #require(swarm.progress(1)?["root"]?.stringValue)
    #expect(swarm.finished(swarm.sim.call(1, "fileshare", "pause", ["root": .string(root)]))?["state"] == "paused")
    let bytes = swarm.metric(1, "fetchedBytes")
    swarm.sim.run(for: .seconds(3))
    #expect(swarm.metric(1, "fetchedBytes") == bytes)
    try swarm.sim.restart(1)
    swarm.sim.run(for: .seconds(3))
    #expect(swarm.progress(1)?["state"] == "paused")
    #expect(swarm.finished(swarm.sim.call(1, "fileshare", "resume", ["root": .string(root)])) != nil)
    #expect(swarm.sim.run(within: .seconds(30)) { _ in swarm.fetched(1) != nil })
    #expect(swarm.fetched(1) == swarm.content)
    #expect(swarm.metric(1, "fetchedBytes") + bytes < 5_150_000)
  }

  @Test func cancelLeavesNothing() throws {
    var link = LinkSettings()
    link.bandwidth = ByteCount(bytes: 1_000_000)
    let swarm = try Swarm(size: 5_000_000, link: link, seed: 4)
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link)]) { _ in }
    swarm.sim.run(for: .seconds(2))
    let root = try #require(swarm.progress(1)?["root"]?.stringValue)
    #expect(swarm.finished(swarm.sim.call(1, "fileshare", "cancel", ["root": .string(root)]))?["state"] == "cancelled")
    swarm.sim.run(for: .seconds(2))
    #expect(swarm.sim.disk(of: 1).usedBytes == 0)
    try swarm.sim.restart(1)
    swarm.sim.run(for: .seconds(2))
    #expect(swarm.progress(1) == nil)
  }

  /// By its root alone: what a holder says of the size is only a claim.
  @Test func aRootIsEnough() throws {
    let swarm = try Swarm(size: 1_000_000, seed: 8)
    let root = try FileDescriptor(link: swarm.link).root.hex
    #expect(swarm.fetch(1, ["file": .string(root)]) != nil)
    #expect(swarm.fetched(1) == swarm.content)
  }

  @Test func impossibleSizesAreRefused() throws {
    let swarm = try Swarm(size: 1_000, seed: 1)
    let hash = String(repeating: "ab", count: 32)
    for size in ["1152921504606846976", "1125899906842624", "99999999999999999999", "-1"] {
      let replies = swarm.sim.call(
        1, "fileshare", "download", ["file": .string("strata:file?root=\(hash)&size=\(size)")])
      guard case .failed? = replies.last else {
        Issue.record("a size of \(size) was believed")
        continue
      }
    }
    #expect(swarm.sim.disk(of: 1).usedBytes == 0)
  }

  /// One that is being fetched is served to others, so far as it is there.
  @Test func whatIsThereOfAFileIsServed() throws {
    var link = LinkSettings()
    link.bandwidth = ByteCount(bytes: 500_000)
    let swarm = try Swarm(nodes: 3, size: 3_000_000, link: link, seed: 6)
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link)]) { _ in }
    swarm.sim.run(for: .seconds(2))
    #expect(swarm.fetch(2) != nil)
    #expect(swarm.fetched(2) == swarm.content)
    #expect(swarm.metric(1, "sentBytes") > 300_000)
  }

  /// One that says it has the file and sends noise is banned, and costs only the chunks that it sent.
  @Test func aLiarIsBannedAndCostsOnlyItsChunks() throws {
    let swarm = try Swarm(nodes: 3, sharers: 1, size: 1_000_000, section: ["uploadLimit": 400_000], seed: 11)
    let liar = Impostor(swarm, as: 2, to: 1)
    liar.says(try FileDescriptor(link: swarm.link))
    #expect(swarm.fetch(1) != nil)
    #expect(swarm.fetched(1) == swarm.content)
    #expect(liar.asked > 0)
    #expect(swarm.metric(1, "wrongChunks") >= 1)
    #expect(swarm.metric(1, "wrongChunks") <= 128)
    #expect(swarm.metric(1, "unasked") > 0)
  }

  /// It isn't asked by a later download either, for as long as the node runs.
  @Test func aBanOutlivesItsDownload() throws {
    let swarm = try Swarm(nodes: 3, sharers: 1, size: 1_000_000, section: ["uploadLimit": 400_000], seed: 11)
    let liar = Impostor(swarm, as: 2, to: 1)
    liar.says(try FileDescriptor(link: swarm.link))
    #expect(swarm.fetch(1) != nil)
    let asked = liar.asked
    #expect(asked > 0 && swarm.metric(1, "banned") == 1)
    #expect(swarm.fetch(1, ["replace": true]) != nil)
    #expect(liar.asked == asked)
    // Also when it is the only one that a person names.
    let only = JSON.string("\(swarm.sim.address(of: 2))")
    let input: JSON = ["file": .string(swarm.link), "from": only, "replace": true]
    swarm.sim.begin(1, "fileshare", "download", input) { _ in }
    swarm.sim.run(for: .seconds(20))
    #expect(liar.asked == asked)
    let root = JSON.string(try FileDescriptor(link: swarm.link).root.hex)
    let holders = swarm.finished(swarm.sim.call(1, "fileshare", "holders", ["root": root]))
    #expect(holders?["holders"]?.arrayValue?.map { $0["state"] } == ["banned"])
    #expect(swarm.progress(1)?["note"]?.stringValue?.contains("1 sent what is wrong") == true)
    swarm.sim.call(1, "fileshare", "cancel", ["root": root])
    // It is nothing that is kept.
    swarm.sim.leave(1)
    try swarm.sim.restart(1)
    swarm.sim.run(for: .seconds(2))
    #expect(swarm.metric(1, "banned") == 0)
    swarm.sim.begin(1, "fileshare", "download", input) { _ in }
    swarm.sim.run(for: .seconds(5))
    #expect(liar.asked > asked)
    #expect(swarm.metric(1, "banned") == 1)
  }

  @Test func bansAreBounded() throws {
    var book = BanBook()
    let root = Hash256()
    func holder(_ number: Int) -> Holder {
      Holder(
        id: 1, address: Address(ipv4: UInt32(number), port: 1), name: nil, at: Instant(nanoseconds: 0))
    }
    for number in 0..<BanBook.most + 100 {
      book.note(holder(number), of: root)
      book.note(holder(number), of: root)
    }
    #expect(book.count == BanBook.most)
    #expect(!book.contains(holder(99), of: root) && book.contains(holder(100), of: root))
    #expect(book.contains(holder(BanBook.most + 99), of: root))
    #expect(!book.contains(holder(100), of: try #require(Hash256([UInt8](repeating: 1, count: 32)))))
  }
}

/// An address that answers for a file it doesn't have: everything asked of it comes as noise, twice, and more besides.
final class Impostor {
  let swarm: Swarm
  let me: Int
  let victim: Int
  private(set) var asked = 0
  /// What comes of a request.
  enum Answer { case noise, nothing, refusal(RangeRefusal.Reason), repetition, hashes(MerkleTree) }
  var brings = Answer.noise
  /// Which chunks it says it has; nil: all.
  var lengths: [UInt64]?

  init(_ swarm: Swarm, as node: Int, to victim: Int) {
    self.swarm = swarm
    me = node
    self.victim = victim
  }

  func says(_ descriptor: FileDescriptor) {
    let (sim, me, victim) = (swarm.sim, me, victim)
    sim.onDelivery = { [unowned self, unowned sim] from, node, bytes in
      guard node == me, from == sim.address(of: victim) else { return }
      var reader = WireReader(bytes.span.bytes)
      while let tag = try? reader.nextTag() {
        guard tag.type == .bytes, let body = try? reader.readBytes() else { return }
        answer(tag.number, WireReader(body), descriptor)
      }
    }
  }

  private func answer(_ field: UInt32, _ body: WireReader, _ descriptor: FileDescriptor) {
    var message = body
    if field == TransferField.holdingsRequest, let request = try? HoldingsRequest(from: &message) {
      send(
        TransferField.holdings,
        Holdings(
          root: request.root, number: request.number, size: UInt64(descriptor.size),
          chunkSize: UInt32(descriptor.chunkSize), isWhole: lengths == nil, lengths: lengths ?? []))
    }
    if field == TransferField.rangeRequest, let request = try? RangeRequest(from: &message) {
      asked += 1
      switch brings {
      case .noise: break
      case .nothing: return
      case .refusal(let reason):
        return send(TransferField.rangeRefusal, RangeRefusal(number: request.number, reason: reason.rawValue))
      case .hashes(let tree):
        guard request.level > 0, let bytes = tree.bytes(TreePiece(level: Int(request.level), index: 0)) else { return }
        for start in stride(from: 0, to: bytes.count, by: 1_024) {
          let data = Array(bytes[start..<min(start + 1_024, bytes.count)])
          send(
            TransferField.filePiece,
            FilePiece(number: request.number, offset: Fixed64(UInt64(start)), data: data))
        }
        return
      case .repetition:
        begun.append(request)
        return sayAgain()
      }
      for pair in stride(from: 0, to: request.ranges.count, by: 2) {
        for unit in request.ranges[pair]..<request.ranges[pair] + request.ranges[pair + 1] {
          let shape = descriptor.shape
          let level = Int(request.level)
          let bytes = level == 0 ? Int(shape.size) : shape.pieceCounts[level - 1] * 32
          let piece = FilePiece(
            number: request.number, offset: Fixed64(unit << 10),
            data: [UInt8](repeating: 7, count: min(1_024, bytes - Int(unit << 10))))
          send(TransferField.filePiece, piece)
          send(TransferField.filePiece, piece)
        }
      }
      send(
        TransferField.filePiece,
        FilePiece(number: Fixed32(request.number.value &+ 9_999), offset: Fixed64(0), data: [1, 2, 3]))
    }
  }

  /// Of the last few requests the first unit each, and that as often as this is called.
  func sayAgain() {
    for request in begun.suffix(16) {
      let unit = request.ranges[0]
      send(
        TransferField.filePiece,
        FilePiece(number: request.number, offset: Fixed64(unit << 10), data: [UInt8](repeating: 7, count: 1_024)))
    }
  }
  private var begun: [RangeRequest] = []

  private func send(_ field: UInt32, _ message: some WireMessage) {
    // In its own time, as a datagram would come.
    outgoing.append(message.packet(as: field))
    let (sim, victim, me) = (swarm.sim, victim, me)
    for datagram in outgoing { sim.inject(datagram, to: victim, from: sim.address(of: me)) }
    outgoing = []
  }
  private var outgoing: [[UInt8]] = []
}
