// HolderTests: downloads whose holders stall, lie or leave, holders that are Peersters, and messages made to harm.
import Gossip
import PeersterVocabulary
import Routing
import StackCore
import StackSim
import Testing

@testable import FileShare

@Suite struct HolderTests {
  /// Nothing that node 2 itself says reaches node 1: there it is only what the test plays.
  private func mute(_ swarm: Swarm) {
    // They have met before, so that each is known to receive at its address.
    let other = JSON.string(String(repeating: "ab", count: 32))
    let from = JSON.string("\(swarm.sim.address(of: 1))")
    swarm.sim.begin(2, "fileshare", "download", ["file": other, "from": from]) { _ in }
    swarm.sim.run(for: .seconds(1))
    var change = LinkChange()
    change.between = [NodeSelection([2]), NodeSelection([1])]
    change.oneWay = true
    change.loss = 1
    swarm.sim.change(change)
  }

  private func note(_ swarm: Swarm) -> String { swarm.progress(1)?["note"]?.stringValue ?? "" }

  /// One that says it has all and never sends a piece holds nothing up: its chunks are asked elsewhere.
  @Test func aHolderThatStallsIsGivenUp() throws {
    let swarm = try Swarm(nodes: 3, sharers: 1, size: 2_000_000, seed: 12)
    mute(swarm)
    let staller = Impostor(swarm, as: 2, to: 1)
    staller.brings = .nothing
    staller.says(try FileDescriptor(link: swarm.link))
    let took = try #require(swarm.fetch(1))
    #expect(took < .seconds(10), "\(took)")
    #expect(swarm.fetched(1) == swarm.content)
    #expect(staller.asked > 0)
  }

  /// Alone, it is asked ever more seldom; the download says what it waits for, and goes on when somebody comes.
  @Test func aDownloadThatWaitsSaysSoAndGoesOn() throws {
    let swarm = try Swarm(nodes: 3, sharers: 1, size: 2_000_000, seed: 13)
    mute(swarm)
    let staller = Impostor(swarm, as: 2, to: 1)
    staller.brings = .nothing
    staller.says(try FileDescriptor(link: swarm.link))
    let from: JSON = .string("\(swarm.sim.address(of: 2))")
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link), "from": from]) { _ in }
    swarm.sim.run(for: .seconds(15))
    #expect(note(swarm).contains("it waits for a holder: 1 brings nothing"), "\(note(swarm))")
    let asked = staller.asked
    swarm.sim.run(for: .seconds(60))
    #expect(staller.asked - asked < 60, "\(staller.asked - asked) requests in a minute")
    #expect(swarm.fetch(1, ["from": .string("\(swarm.sim.address(of: 0))")], within: .seconds(30)) != nil)
    #expect(swarm.fetched(1) == swarm.content)
    #expect(note(swarm).isEmpty)
  }

  /// Who sent what is wrong is asked no more, though nobody else is known.
  @Test func withOnlyALiarItWaitsForAnother() throws {
    let swarm = try Swarm(nodes: 3, sharers: 1, size: 500_000, seed: 14)
    mute(swarm)
    let liar = Impostor(swarm, as: 2, to: 1)
    liar.says(try FileDescriptor(link: swarm.link))
    let from: JSON = .string("\(swarm.sim.address(of: 2))")
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link), "from": from]) { _ in }
    swarm.sim.run(for: .seconds(15))
    #expect(swarm.progress(1)?["state"] == "fetching")
    #expect(note(swarm) == "it waits for a holder: 1 sent what is wrong and are asked no more", "\(note(swarm))")
    let asked = liar.asked
    swarm.sim.run(for: .seconds(60))
    #expect(liar.asked == asked)
    #expect(swarm.fetch(1, ["from": .string("\(swarm.sim.address(of: 0))")], within: .seconds(30)) != nil)
    #expect(swarm.fetched(1) == swarm.content)
  }

  /// A holder that comes back after a minute is found again.
  @Test func itGoesOnWhenItsHolderComesBack() throws {
    var link = LinkSettings()
    link.bandwidth = ByteCount(bytes: 1_000_000)
    let swarm = try Swarm(size: 3_000_000, link: link, seed: 15)
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link)]) { _ in }
    swarm.sim.run(for: .seconds(1))
    swarm.sim.crash(0)
    swarm.sim.run(for: .seconds(60))
    #expect(note(swarm).contains("waits for a holder"))
    try swarm.sim.disk(of: 0).place("/shared/file.bin", swarm.content)
    try swarm.sim.restart(0)
    #expect(swarm.sim.run(within: .seconds(60)) { _ in swarm.fetched(1) != nil })
    #expect(swarm.fetched(1) == swarm.content)
  }

  /// Messages of transfers with anything in them, from the holder's own address, while it is being fetched from.
  @Test(arguments: [UInt64](1...3)) func hostileMessagesDoNotHarmADownload(seed: UInt64) throws {
    var link = LinkSettings()
    link.bandwidth = ByteCount(bytes: 1_000_000)
    let swarm = try Swarm(size: 1_000_000, link: link, seed: seed)
    var random = RandomStream(seed: seed, name: "hostile")
    let root = try FileDescriptor(link: swarm.link).root
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link)]) { _ in }
    var seen: [[UInt8]] = []
    swarm.sim.onDelivery = { _, _, bytes in if seen.count < 200 { seen.append(bytes) } }
    for _ in 0..<1_000 {
      swarm.sim.run(for: .milliseconds(1))
      let victim = Int(random.next(below: 2))
      var bytes = hostile(root, &random)
      if !seen.isEmpty, random.next(below: 2) == 0 {
        bytes = seen[Int(random.next(below: UInt64(seen.count)))]
        for _ in 0..<3 where !bytes.isEmpty {
          // Only what frames the data: data that is wrong would ban a holder rightly.
          let place = Int(random.next(below: UInt64(min(24, bytes.count))))
          bytes[place] = UInt8(truncatingIfNeeded: random.next())
        }
      }
      swarm.sim.inject(bytes, to: victim, from: swarm.sim.address(of: victim == 0 ? 7 : 1 - victim))
    }
    swarm.sim.onDelivery = nil
    // A damaged piece may well be wrong, and then its sender is asked no more: it takes another who names the holder.
    swarm.sim.run(within: .seconds(30)) { _ in swarm.fetched(1) != nil }
    if swarm.fetched(1) == nil {
      try swarm.sim.restart(1)
      swarm.sim.run(within: .seconds(30)) { _ in swarm.fetched(1) != nil }
    }
    #expect(swarm.fetched(1) == swarm.content, "seed \(seed)")
  }

  private func hostile(_ root: Hash256, _ random: inout RandomStream) -> [UInt8] {
    var writer = WireWriter()
    func put(_ field: UInt32, _ message: some WireMessage) {
      writer.writeTag(field, .bytes)
      writer.writeBytes(message.encoded().span.bytes)
    }
    let number = Fixed32(UInt32(truncatingIfNeeded: random.next()))
    let some = random.next() >> random.next(below: 64)
    switch random.next(below: 5) {
    case 0: put(TransferField.holdingsRequest, HoldingsRequest(root: root, number: Fixed64(some)))
    case 1:
      put(
        TransferField.holdings,
        Holdings(
          root: root, number: Fixed64(some), size: random.next(), chunkSize: 8_192, lengths: [some, random.next()]))
    case 2:
      put(
        TransferField.rangeRequest,
        RangeRequest(root: root, number: number, level: UInt32(some & 3), ranges: [some & 0xffff, 1 + some & 1_023]))
    case 3: put(TransferField.filePiece, FilePiece(number: number, offset: Fixed64(some), data: [1, 2, 3]))
    default: put(TransferField.rangeRefusal, RangeRefusal(number: number, reason: UInt32(some & 7)))
    }
    return writer.copied()
  }
}

/// A Peerster at the end of a line of nodes, played by the test: it has one file and knows nothing but hashes.
private final class Peerster {
  let network: Network
  let tree: MerkleTree
  private var pieces: [Hash256: [UInt8]] = [:]
  private(set) var asked = 0

  /// Every so manieth request is lost, if any.
  init(_ network: Network, at place: Int, _ content: [UInt8], losing: Int) throws {
    self.network = network
    tree = try #require(MerkleTree(of: content))
    for (level, count) in tree.shape.pieceCounts.enumerated() {
      for index in 0..<count {
        let piece = TreePiece(level: level, index: index)
        let start = index * tree.shape.chunkSize
        let bytes = level == 0 ? Array(content[start..<start + tree.shape.byteCount(piece)]) : tree.bytes(piece)
        if let hash = tree.hash(piece) { pieces[hash] = bytes }
      }
    }
    network.simulation.onDelivery = { [unowned self] sender, node, bytes in
      guard node == place else { return }
      var reader = WireReader(bytes.span.bytes)
      while let tag = try? reader.nextTag() {
        guard tag.type == .bytes, let body = try? reader.readBytes() else { return }
        guard tag.number == PeersterField.dataRequest,
          let request = try? DataRequest(decoding: body.withUnsafeBytes { Array($0) }),
          let piece = pieces[request.hashValue]
        else { continue }
        asked += 1
        if losing > 0, asked % losing == 0 { continue }
        var writer = WireWriter()
        writer.writeTag(PeersterField.dataReply, .bytes)
        let reply = DataReply(
          origin: request.destination, destination: request.origin, hopLimit: 10, hashValue: request.hashValue,
          data: piece)
        writer.writeBytes(reply.encoded().span.bytes)
        let (simulation, hop) = (network.simulation, network.simulation.node(at: sender) ?? 0)
        simulation.inject(writer.copied(), to: hop, from: simulation.address(of: place))
      }
    }
  }
}

@Suite struct PlainFetchingTests {
  /// By link or by root alone, over three hops, a chunk at a time; with every tenth request lost too.
  @Test(arguments: [true, false], [0, 10]) func aPeerstersFileIsFetchedOverSeveralHops(byLink: Bool, losing: Int) throws
  {
    let network = try Network(4)
    network.simulation.run(for: .seconds(20))
    let bytes = content(500_003)
    let peerster = try Peerster(network, at: 3, bytes, losing: losing)
    let root = peerster.tree.root
    let link = try #require(FileDescriptor(name: "it", size: Int64(bytes.count), root: root)).link
    let name = byLink ? "it" : String(root.hex.prefix(16))
    let reply = network.command(
      0, "download", ["file": .string(byLink ? link : root.hex), "from": "node3"])
    guard case .finished? = reply else {
      Issue.record("\(String(describing: reply))")
      return
    }
    #expect(network.simulation.disk(of: 0).contents("/data/fileshare/downloads/\(name)") == bytes)
    #expect(peerster.asked >= peerster.tree.shape.chunkCount)
    // A chunk is asked for twice only when it was lost.
    #expect(peerster.asked <= peerster.tree.shape.chunkCount * (losing == 0 ? 1 : 2) + 8, "\(peerster.asked)")
    #expect(network.metric(1, "forwarded") >= 100)
  }
}
