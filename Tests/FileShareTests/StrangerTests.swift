// StrangerTests: what a node sends to an address that somebody else may have written on a datagram.
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import FileShare

/// One node with FileShare and a shared file, and a stranger that the test plays.
private final class Stage {
  let node: Node
  var stranger = Address(ipv4: 0x0a00_0009, port: 5000)
  var now = Instant(nanoseconds: 1_000_000_000)
  var bytesIn = 0
  let tree: MerkleTree

  init(_ fileshare: JSON = ["shared": "/s"]) throws {
    let disk = SimDisk()
    let bytes = content(100_000)
    try disk.place("/s/file", bytes)
    guard let tree = MerkleTree(of: bytes) else { throw CommandError(.failed, "no tree") }
    self.tree = tree
    let blueprint = NodeBlueprint(
      name: "me", address: Address(ipv4: 0x0a00_0002, port: 5000), peers: [], layers: [(FileShare.self, fileshare)],
      seed: 1)
    node = try Node(blueprint, storage: SimStorage()) { disk.files(root: "/\($0)") }
    node.start(at: now)
    _ = sent()
  }

  /// Runs the jobs, and answers what the node sends: field, body and the bytes of its datagram.
  func sent() -> [(number: UInt32, body: [UInt8], size: Int)] {
    var jobs = node.takeJobs()
    while !jobs.isEmpty {
      for job in jobs { node.complete(job.id, job.run(), at: now) }
      jobs = node.takeJobs()
    }
    var found: [(UInt32, [UInt8], Int)] = []
    try? node.commit()
    node.withOutgoing { bytes, entries in
      for entry in entries {
        let datagram = UnsafeRawBufferPointer(start: bytes + entry.offset, count: entry.byteCount)
        var reader = WireReader(datagram.bytes)
        var size = entry.byteCount
        while let tag = try? reader.nextTag() {
          guard tag.type == .bytes, let body = try? reader.readBytes() else {
            try? reader.skip(tag)
            continue
          }
          found.append((tag.number, body.withUnsafeBytes { Array($0) }, size))
          size = 0
        }
      }
      return (entries.count, 0)
    }
    return found
  }

  func receive(_ number: UInt32, _ message: some WireMessage) {
    let packet = message.packet(as: number)
    bytesIn += packet.count + 28
    node.receive(packet.span.bytes, from: stranger, at: now)
  }

  func request(_ hash: Hash256) {
    receive(
      PeersterField.dataRequest,
      DataRequest(origin: "victim", destination: "me", hopLimit: 10, hashValue: hash))
  }
}

@Suite struct StrangerTests {
  @Test func aFloodOfRequestsIsNotAmplified() throws {
    let stage = try Stage()
    let chunk = try #require(stage.tree.hash(.chunk(3)))
    var out = 0
    for round in 0..<500 {
      stage.request(round % 7 == 0 ? Hash256() : round % 2 == 0 ? chunk : stage.tree.root)
      for datagram in stage.sent() where datagram.size > 0 { out += datagram.size + 28 }
      #expect(out <= 3 * stage.bytesIn, "round \(round)")
    }
    // It isn't silence either: what may be sent is.
    #expect(out > stage.bytesIn)
  }

  @Test func rangesAreNotServedToWhoHasNotShownItsAddress() throws {
    let stage = try Stage()
    var out = 0
    for round in 0..<500 {
      let number = UInt32(round)
      if round % 3 == 0 {
        stage.receive(
          TransferField.holdingsRequest, HoldingsRequest(root: stage.tree.root, number: Fixed64(UInt64(number))))
      } else {
        stage.receive(
          TransferField.rangeRequest,
          RangeRequest(root: stage.tree.root, number: Fixed32(number), level: number % 2, ranges: [0, 1]))
      }
      for datagram in stage.sent() {
        #expect(datagram.number != TransferField.filePiece)
        if datagram.size > 0 { out += datagram.size + 28 }
      }
      #expect(out <= 3 * stage.bytesIn, "round \(round)")
      stage.now = stage.now + .milliseconds(50)
    }
    #expect(out > stage.bytesIn / 2)
  }

  @Test func whoSendsTheChallengeBackIsServed() throws {
    let stage = try Stage()
    let chunk = try #require(stage.tree.hash(.chunk(3)))
    var challenge: DataRequest?
    for _ in 0..<6 {
      stage.request(chunk)
      for datagram in stage.sent() where datagram.number == PeersterField.dataRequest {
        challenge = try DataRequest(decoding: datagram.body)
      }
    }
    let asked = try #require(challenge)
    #expect(asked.destination == "victim" && asked.origin == "me" && asked.hopLimit == 10)
    var reply = DataReply(origin: "victim", destination: "me", hopLimit: 10, hashValue: chunk, data: [])
    stage.receive(PeersterField.dataReply, reply)
    stage.request(chunk)
    #expect(!stage.sent().contains { $0.number == PeersterField.dataReply })
    reply.hashValue = asked.hashValue
    stage.receive(PeersterField.dataReply, reply)
    stage.request(chunk)
    let answer = try #require(stage.sent().first { $0.number == PeersterField.dataReply })
    #expect(SHA256Check.matches(try DataReply(decoding: answer.body)))
  }

  /// Who was sent one challenge can't work out the next, and answer it for an address where nothing is received.
  @Test func aChallengeTellsNothingOfTheNext() throws {
    let stage = try Stage()
    let chunk = try #require(stage.tree.hash(.chunk(3)))
    func challenge() throws -> Hash256 {
      for _ in 0..<6 {
        stage.request(chunk)
        for datagram in stage.sent() where datagram.number == PeersterField.dataRequest {
          return try DataRequest(decoding: datagram.body).hashValue
        }
      }
      throw CommandError(.failed, "no challenge")
    }
    var guess = Xoshiro(after: try challenge())
    stage.stranger = Address(ipv4: 0x0a00_000a, port: 5000)
    _ = try challenge()
    for _ in 0..<4 {
      let words = (0..<4).map { _ in guess.next() }
      let hash = try #require(Hash256(words.flatMap { word in withUnsafeBytes(of: word) { Array($0) } }))
      stage.receive(
        PeersterField.dataReply,
        DataReply(origin: "victim", destination: "me", hopLimit: 10, hashValue: hash, data: []))
    }
    _ = stage.sent()
    for _ in 0..<3 { stage.request(chunk) }
    #expect(!stage.sent().contains { $0.number == PeersterField.dataReply && $0.body.count > 8_000 })
  }

  @Test func oneNeighbourCannotTakeMoreThanItsRate() throws {
    let stage = try Stage(["shared": "/s", "rate": 10])
    for _ in 0..<100 { stage.request(Hash256()) }
    let refused = stage.node.metricDescriptions.first { $0.layer == "fileshare" && $0.name == "refused" }
    guard case .counter(let counter)? = refused?.source else { return #expect(Bool(false), "no such counter") }
    #expect(counter.value == 90)
  }

  /// Each such question may have a file opened.
  @Test func questionsForHoldingsAreLimitedToo() throws {
    let stage = try Stage(["shared": "/s", "rate": 10])
    for number in 0..<100 {
      stage.receive(
        TransferField.holdingsRequest, HoldingsRequest(root: stage.tree.root, number: Fixed64(UInt64(number))))
    }
    let answers = stage.sent().count { $0.number == TransferField.holdings }
    #expect(answers > 0 && answers <= 20, "\(answers)")
  }
}

/// What comes after four numbers of a random stream, worked out from these.
private struct Xoshiro {
  private var s: (UInt64, UInt64, UInt64, UInt64)

  init(after hash: Hash256) {
    let s1 = hash.withBytes { bytes in
      (0..<4).map { place in
        let mixed = bytes.loadUnaligned(fromByteOffset: place * 8, as: UInt64.self) &* 0x8e38_e38e_38e3_8e39
        return (mixed >> 7 | mixed << 57) &* 0xcccc_cccc_cccc_cccd
      }
    }
    let s2 = s1[1] ^ s1[0] ^ s1[0] << 17
    let s0 = s1[2] ^ s1[1] ^ s2
    let later = s1[3] ^ s1[2] ^ s2 ^ s0 ^ s1[1] << 17
    s = (s0, s1[1], s2, later ^ s0 ^ s1[1])
    // The state is that before the second number.
    for _ in 0..<3 { _ = next() }
  }

  mutating func next() -> UInt64 {
    let product = s.1 &* 5
    let result = (product << 7 | product >> 57) &* 9
    let t = s.1 << 17
    s.2 ^= s.0
    s.3 ^= s.1
    s.1 ^= s.2
    s.0 ^= s.3
    s.2 ^= t
    s.3 = s.3 << 45 | s.3 >> 19
    return result
  }
}

/// Whether a reply holds what it says.
private enum SHA256Check {
  static func matches(_ reply: DataReply) -> Bool {
    !reply.data.isEmpty && MerkleTree(of: reply.data)?.hash(.chunk(0)) == reply.hashValue
  }
}
