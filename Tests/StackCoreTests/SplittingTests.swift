// SplittingTests: introductions, large messages in pieces, path probes; loss, repetition, disorder and hostile pieces.
import Testing

@testable import StackCore

/// Sends and takes blobs of any size.
final class Bulk: ProtocolLayer {
  struct Blob: WireMessage {
    var data: [UInt8] = []
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "data", &data) }
  }
  struct Send: CommandInput {
    @Argument("Bytes.") var size: Int
    @Argument("To whom.") var to: Address
  }
  static let manifest = LayerManifest("bulk", "Moves blobs.")
  var received: [[UInt8]] = []
  init(config: NoConfig, setup: LayerSetup<Bulk>) {
    setup.on(1000, Blob.self, Bulk.took)
    setup.command("send", "Sends a blob.", Bulk.send)
  }
  static func blob(_ size: Int) -> [UInt8] { (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }
  func took(_ blob: Blob, from: Address, _ context: borrowing LayerContext<Bulk>) { received.append(blob.data) }
  func send(_ input: Send, _ context: borrowing LayerContext<Bulk>) throws -> Bool {
    context.send(Blob(data: Bulk.blob(input.size)), as: 1000, to: input.to)
    return true
  }
}

/// A layer that speaks one of the Peersters' own messages, so that a neighbour may be one of them.
final class Peersterish: ProtocolLayer {
  struct Simple: WireMessage {
    var contents = ""
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(3, "contents", &contents) }
  }
  struct Say: CommandInput { @Argument("Bytes.") var size = 5 }
  static let manifest = LayerManifest("peersterish", "Speaks field 1.")
  var received: [String] = []
  init(config: NoConfig, setup: LayerSetup<Peersterish>) {
    setup.on(1, Simple.self, Peersterish.took)
    setup.command("hello", "Says hello to all.", Peersterish.hello)
  }
  func took(_ simple: Simple, from: Address, _ context: borrowing LayerContext<Peersterish>) {
    received.append(simple.contents)
  }
  func hello(_ input: Say, _ context: borrowing LayerContext<Peersterish>) throws -> Bool {
    let contents = "hello" + String(repeating: "!", count: input.size - 5)
    context.sendToNeighbours(Simple(contents: contents), as: 1)
    return true
  }
}

@Suite struct SplittingTests {
  let a = address(1)
  let b = address(2)

  func pair(_ extra: [(type: any ProtocolLayer.Type, section: JSON)] = [], limits: NodeLimits = NodeLimits()) throws
    -> Exchange
  {
    Exchange([
      try Node.make("a", a, peers: [b], layers: [(Bulk.self, JSON.object([:]))] + extra, limits: limits),
      try Node.make("b", b, seed: 2, layers: [(Bulk.self, JSON.object([:]))] + extra, limits: limits),
    ])
  }

  func bulk(_ node: Node) throws -> Bulk {
    let slot = node.slots.first { $0 is LayerSlot<Bulk> } ?? nil
    return try #require((slot as? LayerSlot<Bulk>)?.layer)
  }

  func send(_ size: Int, _ exchange: Exchange) {
    exchange.nodes[0].call("bulk", "send", ["size": JSON(size), "to": "10.0.0.2:4000"], at: exchange.time) { _ in }
  }

  @Test(arguments: [0, 1, 1000, 1180, 1190, 1195, 1200, 1300, 2315, 2316, 2317, 8192, 16_384, 65_000, 65_525])
  func aMessageOfAnySizeArrives(_ size: Int) throws {
    var limits = NodeLimits()
    limits.pathLimit = 1200
    let exchange = try pair(limits: limits)
    exchange.start()
    send(size, exchange)
    exchange.pump()
    #expect(try bulk(exchange.nodes[1]).received == [Bulk.blob(size)])
    #expect(exchange.delivered.allSatisfy { $0.bytes.count <= 1200 })
    #expect(exchange.nodes[1].queues.unfinishedMessages == 0)
  }

  @Test func piecesButTheLastAreOfEqualSize() throws {
    let exchange = try pair()
    exchange.start()
    send(8192, exchange)
    var sizes: [Int] = []
    exchange.passes = { datagram in
      if datagram.bytes.starts(with: [0x82, 0x02]) { sizes.append(datagram.bytes.count) }
      return true
    }
    exchange.pump()
    #expect(sizes.count == 8)
    #expect(Set(sizes.dropLast()) == [1198])
  }

  @Test func aMessageTooLargeToSplitIsDropped() throws {
    let exchange = try pair()
    exchange.start()
    send(65_600, exchange)
    exchange.pump()
    #expect(exchange.nodes[0].dropped(.tooLarge) == 1)
    #expect(exchange.delivered.isEmpty)
  }

  @Test func repetitionAndDisorderDeliverOnce() throws {
    var random = RandomStream(seed: 5)
    for _ in 0..<30 {
      let exchange = try pair()
      exchange.start()
      send(20_000, exchange)
      var held: [Datagram] = []
      exchange.passes = { datagram in
        guard datagram.bytes.starts(with: [0x82, 0x02]) else { return true }
        held.append(datagram)
        return false
      }
      exchange.pump()
      var pieces = held + held.filter { _ in random.next(below: 2) == 0 }
      for place in pieces.indices.reversed() { pieces.swapAt(place, Int(random.next(below: UInt64(place + 1)))) }
      for piece in pieces { exchange.nodes[1].receive(piece.bytes, from: piece.from, at: exchange.time) }
      #expect(try bulk(exchange.nodes[1]).received == [Bulk.blob(20_000)])
      #expect(exchange.nodes[1].queues.unfinishedMessages == 0)
    }
  }

  @Test func aLostPieceLosesItsMessageAndNothingElse() throws {
    let exchange = try pair()
    exchange.start()
    var number = 0
    exchange.passes = { datagram in
      if datagram.bytes.starts(with: [0x82, 0x02]) { number += 1 }
      return number != 3
    }
    send(8192, exchange)
    send(8192, exchange)
    exchange.pump()
    #expect(try bulk(exchange.nodes[1]).received.count == 1)
    #expect(exchange.nodes[1].queues.unfinishedMessages == 1)
    exchange.run(for: .seconds(4))
    #expect(exchange.nodes[1].queues.unfinishedMessages == 0)
    #expect(exchange.nodes[1].dropped(.reassemblyTimeout) == 1)
  }

  @Test func anAbsentReceiverIsAskedFourTimesAndGivenUp() throws {
    let exchange = try pair()
    var hellos = 0
    exchange.passes = { _ in
      hellos += 1
      return false
    }
    exchange.start()
    send(8192, exchange)
    exchange.pump()
    exchange.run(for: .seconds(10))
    #expect(hellos == 4)
    #expect(exchange.nodes[0].dropped(.unproven) == 1)
    #expect(exchange.nodes[0].nextDeadline == nil)
    #expect(exchange.nodes[0].queues.messagesAwaitingIntroduction == 0)
  }

  @Test func aLostIntroductionIsRepeated() throws {
    let exchange = try pair()
    var number = 0
    exchange.passes = { _ in
      number += 1
      return number > 2
    }
    exchange.start()
    send(8192, exchange)
    exchange.pump()
    exchange.run(for: .seconds(3))
    #expect(try bulk(exchange.nodes[1]).received.count == 1)
  }

  @Test func aStrangerOffThePathCanNeitherFillNorPoison() throws {
    let exchange = try pair()
    exchange.start()
    send(8192, exchange)
    var held: [Datagram] = []
    exchange.passes = { datagram in
      guard datagram.bytes.starts(with: [0x82, 0x02]) else { return true }
      held.append(datagram)
      return false
    }
    exchange.pump()
    // Under the sender's own address, with every field right but for the cookie that only the sender was given.
    let genuine = try #require(held.first)
    var forged = genuine.bytes
    forged[6] ^= 1
    for _ in 0..<1000 { exchange.nodes[1].receive(forged, from: a, at: exchange.time) }
    #expect(exchange.nodes[1].queues.unfinishedMessages == 0)
    #expect(exchange.nodes[1].dropped(.badCookie) == 1000)
    for piece in held { exchange.nodes[1].receive(piece.bytes, from: a, at: exchange.time) }
    #expect(try bulk(exchange.nodes[1]).received.count == 1)
  }

  @Test func oneProvenSenderCannotPushOutTheOthers() throws {
    var reassembler = Reassembler(slotLimit: 8, perSource: 4)
    let data = [UInt8](repeating: 0, count: 1000)
    let now = Instant(nanoseconds: 0)
    _ = reassembler.add(
      from: b, message: 1, total: 2000, pieceSize: 1000, index: 0, data: data.span.bytes, at: now)
    for message in 0..<1000 {
      _ = reassembler.add(
        from: a, message: UInt64(message), total: 2000, pieceSize: 1000, index: 0, data: data.span.bytes, at: now)
    }
    let unfinished = reassembler.unfinished
    #expect(unfinished == 5)
    let outcome = reassembler.add(
      from: b, message: 1, total: 2000, pieceSize: 1000, index: 1, data: data.span.bytes, at: now)
    guard case .whole = outcome else { return #expect(Bool(false)) }
  }

  @Test func piecesThatContradictEachOtherAreRefused() {
    var reassembler = Reassembler()
    let now = Instant(nanoseconds: 0)
    func add(_ total: Int, _ pieceSize: Int, _ index: Int, _ size: Int) -> PieceOutcome {
      let data = [UInt8](repeating: 0, count: size)
      return reassembler.add(
        from: a, message: 1, total: total, pieceSize: pieceSize, index: index, data: data.span.bytes, at: now)
    }
    func malformed(_ outcome: PieceOutcome) -> Bool { if case .malformed = outcome { true } else { false } }
    #expect(malformed(add(0, 1000, 0, 0)))
    #expect(malformed(add(70_000, 1000, 0, 1000)))
    #expect(malformed(add(2000, 0, 0, 0)))
    #expect(malformed(add(2000, 255, 0, 255)))
    #expect(malformed(add(2000, 1000, 2, 1000)))
    #expect(malformed(add(2000, 1000, 0, 999)))
    #expect(malformed(add(2500, 1000, 2, 1000)))
    #expect(!malformed(add(2500, 1000, 2, 500)))
    #expect(malformed(add(2600, 1000, 0, 1000)))
    #expect(malformed(add(2500, 1200, 0, 1200)))
  }

  @Test func aWiderPathIsFoundAndANarrowOneKept() throws {
    for (widest, expected) in [(1_300, 1_200), (1_460, 1_444), (9_000, 8_944)] {
      let exchange = try pair()
      exchange.start()
      exchange.passes = { $0.bytes.count <= widest }
      send(8192, exchange)
      exchange.pump()
      exchange.run(for: .seconds(10))
      #expect(exchange.nodes[0].neighbourList.first?.pathLimit == expected)
      #expect(exchange.nodes[0].nextDeadline == nil)
      send(30_000, exchange)
      exchange.pump()
      #expect(try bulk(exchange.nodes[1]).received.count == 2)
    }
  }

  @Test func loopbackStartsLarge() throws {
    let node = try Node.make(
      "a", address(1, loopback: true), peers: [address(1, loopback: true, port: 5)], layers: [(Bulk.self, [:])])
    node.start(at: node.now)
    node.call("bulk", "send", ["size": 60_000, "to": "127.0.0.1:5"], at: node.now) { _ in }
    #expect(node.takeDatagrams().map(\.bytes.count) == [60_009])
  }

  @Test func aLostIntroductionIsRepeatedAFewTimes() throws {
    let exchange = try pair([(Peersterish.self, [:])])
    exchange.start()
    var hellos = 0
    // A packet that begins with field 33.
    exchange.passes = { datagram in
      let isHello = Array(datagram.bytes.prefix(2)) == [0x8a, 0x02]
      if isHello { hellos += 1 }
      return !isHello
    }
    func speak(seconds: Int64) {
      for _ in 0..<seconds {
        exchange.run(for: .seconds(1))
        exchange.nodes[0].call("peersterish", "hello", [:], at: exchange.time) { _ in }
        exchange.pump()
      }
    }
    speak(seconds: 100)
    #expect(hellos == 9)
    exchange.passes = { _ in true }
    #expect(exchange.nodes[1].neighbourList.first?.isProven == false)
  }

  @Test func anIntroductionThatWasLostOnceIsMadeUpFor() throws {
    let exchange = try pair([(Peersterish.self, [:])])
    exchange.start()
    exchange.passes = { Array($0.bytes.prefix(2)) != [0x8a, 0x02] }
    exchange.nodes[0].call("peersterish", "hello", [:], at: exchange.time) { _ in }
    exchange.pump()
    exchange.passes = { _ in true }
    for _ in 0..<6 {
      exchange.run(for: .seconds(1))
      exchange.nodes[0].call("peersterish", "hello", [:], at: exchange.time) { _ in }
      exchange.pump()
    }
    #expect(exchange.nodes.allSatisfy { $0.neighbourList.allSatisfy { $0.isStrata && $0.isProven } })
  }

  @Test func amongPeerstersOursIsSkippableAndLargeOnesGoWhole() throws {
    let exchange = try pair([(Peersterish.self, [:])])
    exchange.start()
    // Nobody has said that it is Strata: our own messages stay here.
    send(10, exchange)
    #expect(exchange.nodes[0].dropped(.notStrata) == 1)
    exchange.nodes[0].call("peersterish", "hello", [:], at: exchange.time) { _ in }
    let first = try #require(exchange.nodes[0].takeDatagrams().first)
    // The Peersters' own message, and after it a field they skip.
    #expect(first.bytes == [0x0a, 7, 0x1a, 5] + Array("hello".utf8) + [0x90, 0x02, 1])
    exchange.nodes[1].receive(first.bytes, from: first.from, at: exchange.time)
    exchange.pump()
    #expect(exchange.nodes.allSatisfy { $0.neighbourList.allSatisfy { $0.isStrata && $0.isProven } })
    #expect(exchange.nodes[0].neighbourList.first?.claimedName == "b")
    send(8192, exchange)
    exchange.pump()
    #expect(try bulk(exchange.nodes[1]).received.count == 1)
    // Among Strata nodes the mark is no longer needed.
    exchange.nodes[0].call("peersterish", "hello", [:], at: exchange.time) { _ in }
    #expect(exchange.nodes[0].takeDatagrams().first?.bytes.count == 9)
  }

  @Test func aRestartedNeighbourIsMetAnew() throws {
    var limits = NodeLimits()
    limits.pathLimit = 1200
    let exchange = try pair(limits: limits)
    exchange.start()
    send(8192, exchange)
    exchange.pump()
    exchange.nodes[1] = try Node.make("b", b, seed: 99, layers: [(Bulk.self, [:])])
    exchange.nodes[1].start(at: exchange.time)
    // The first large message shows an old cookie; from then on both know.
    exchange.run(for: .seconds(1))
    send(100, exchange)
    exchange.pump()
    send(8192, exchange)
    exchange.pump()
    send(8192, exchange)
    exchange.pump()
    #expect(try bulk(exchange.nodes[1]).received.map(\.count) == [100, 8192])
  }

  @Test func aForgedIntroductionDoesNotSpoilLargeMessages() throws {
    let exchange = try pair()
    exchange.start()
    send(8192, exchange)
    exchange.pump()
    var forged = WireWriter()
    forged.writeTag(CoreField.hello, .bytes)
    forged.writeBytes(Hello(cookie: Fixed64(666)).encoded().span.bytes)
    exchange.nodes[0].receive(forged.copied(), from: b, at: exchange.time)
    send(8192, exchange)
    exchange.pump()
    #expect(try bulk(exchange.nodes[1]).received.count == 2)
    #expect(exchange.nodes[1].dropped(.badCookie) == 0)
  }

  @Test func aDatagramFullOfQuestionsGetsOneAnswer() throws {
    let node = try Node.make("a", a, layers: [(Bulk.self, [:])])
    node.start(at: Instant(nanoseconds: 0))
    for (number, body) in [
      (CoreField.hello, Hello(wantsReply: true).encoded()), (CoreField.probe, PathProbeMessage().encoded()),
    ] {
      var packet = WireWriter()
      for _ in 0..<100 {
        packet.writeTag(number, .bytes)
        packet.writeBytes(body.span.bytes)
      }
      node.receive(packet.copied(), from: address(9))
      #expect(node.takeDatagrams().count == 1)
    }
  }
}
