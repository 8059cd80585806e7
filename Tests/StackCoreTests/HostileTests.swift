// HostileTests: what strangers, broken neighbours and odd settings can't do to the core.
import Testing

@testable import StackCore

/// Writes a packet of one field with these bytes in it.
private func packet(_ number: UInt32, _ body: [UInt8]) -> [UInt8] {
  var writer = WireWriter()
  writer.writeTag(number, .bytes)
  writer.writeBytes(body.span.bytes)
  return writer.copied()
}

private func hello(cookie: UInt64, echo: UInt64 = 0, wantsReply: Bool = true, name: String = "") -> [UInt8] {
  packet(
    CoreField.hello,
    Hello(cookie: Fixed64(cookie), echo: Fixed64(echo), wantsReply: wantsReply, name: name).encoded())
}

@Suite struct HostileTests {
  let a = address(1)
  let b = address(2)

  func node(_ limits: NodeLimits = NodeLimits(), peers: [Address] = [], peerster: Bool = false) throws -> Node {
    var layers: [(type: any ProtocolLayer.Type, section: JSON)] = [(Bulk.self, [:])]
    if peerster { layers.append((Peersterish.self, [:])) }
    let node = try Node.make(
      "a node with quite a long name, forty bytes", a, peers: peers, layers: layers, limits: limits)
    node.start(at: Instant(nanoseconds: 0))
    return node
  }

  @Test func tinyHellosProbesAndUnknownFieldsAreNoAmplifier() throws {
    for peerster in [false, true] {
      var full = NodeLimits()
      full.neighbours = 1
      for bytes in [
        packet(CoreField.hello, [0x20, 1]), packet(CoreField.probe, []), packet(CoreField.probe, [0x08, 1]),
        packet(64, []), [0x90, 0x02, 1], packet(1, []) + [0x90, 0x02, 1], hello(cookie: 7),
        packet(CoreField.piece, [0x32, 0]),
        [[UInt8]](repeating: packet(CoreField.probe, []), count: 1000).flatMap(\.self),
        [[UInt8]](repeating: packet(CoreField.hello, [0x20, 1]), count: 1000).flatMap(\.self),
      ] as [[UInt8]] {
        for node in [try node(peerster: peerster), try node(full, peers: [address(9)], peerster: peerster)] {
          var sent = 0
          for round in 1...20 {
            node.receive(bytes, from: b, at: Instant(nanoseconds: Int64(round) * 1_000_000_000))
            // On the wire each of them has 28 bytes more.
            sent += node.takeDatagrams().reduce(0) { $0 + $1.bytes.count + 28 }
            #expect(sent <= round * (bytes.count + 28) * 3, "\(bytes.hex)")
          }
        }
      }
    }
  }

  @Test func aForgedHelloNeitherLooksLikeProofNorReplacesAMark() throws {
    let exchange = Exchange([
      try Node.make("a", a, peers: [b], layers: [(Bulk.self, [:])]),
      try Node.make("b", b, seed: 2, layers: [(Bulk.self, [:])]),
    ])
    exchange.start()
    // Somebody off the path says hello under b's address, and has a large message sent there.
    let node = exchange.nodes[0]
    node.receive(hello(cookie: 66), from: b)
    _ = node.takeDatagrams()
    node.call("bulk", "send", ["size": 60_000, "to": "10.0.0.2:4000"], at: node.now) { _ in }
    #expect(node.takeDatagrams().reduce(0) { $0 + $1.bytes.count } < 100)
    exchange.run(for: .seconds(3))
    #expect(node.neighbourList.first?.isProven == true)
    // Once b is known, a forged hello changes nothing.
    for _ in 0..<3 {
      node.receive(hello(cookie: 66), from: b)
      exchange.pump()
    }
    node.receive(hello(cookie: 66, wantsReply: false), from: b)
    node.call("bulk", "send", ["size": 9_000, "to": "10.0.0.2:4000"], at: node.now) { _ in }
    exchange.pump()
    #expect(exchange.nodes[1].dropped(.badCookie) == 0)
    let slot = exchange.nodes[1].slots.first { $0 is LayerSlot<Bulk> } ?? nil
    #expect((slot as? LayerSlot<Bulk>)?.layer?.received.map(\.count) == [60_000, 9_000])
  }

  @Test func twoFullNodesDoNotGreetEachOtherForEver() throws {
    var limits = NodeLimits()
    limits.neighbours = 1
    let others = [address(8), address(9)]
    let exchange = Exchange([
      try Node.make("a", a, peers: [others[0]], layers: [(Bulk.self, [:])], limits: limits),
      try Node.make("b", b, peers: [others[1]], seed: 2, layers: [(Bulk.self, [:])], limits: limits),
    ])
    exchange.start()
    exchange.nodes[0].receive(hello(cookie: 66), from: b)
    exchange.passes = { [unowned exchange] _ in exchange.delivered.count < 100 }
    exchange.pump()
    #expect(exchange.delivered.count < 10)
  }

  @Test func aRestartedNeighbourThatForgotUsIsMetByLargeMessagesAlone() throws {
    let exchange = Exchange([
      try Node.make("a", a, peers: [b], layers: [(Bulk.self, [:])]),
      try Node.make("b", b, seed: 2, layers: [(Bulk.self, [:])]),
    ])
    exchange.start()
    func send() {
      exchange.nodes[0].call("bulk", "send", ["size": 20_000, "to": "10.0.0.2:4000"], at: exchange.time) { _ in }
      exchange.pump()
      exchange.run(for: .seconds(1))
    }
    send()
    exchange.nodes[1] = try Node.make("b", b, seed: 99, layers: [(Bulk.self, [:])])
    exchange.nodes[1].start(at: exchange.time)
    send()
    send()
    let slot = exchange.nodes[1].slots.first { $0 is LayerSlot<Bulk> } ?? nil
    #expect((slot as? LayerSlot<Bulk>)?.layer?.received.count == 1)
  }

  @Test func aPeersterThatIsCalledStrataByOthersStillGetsLargeMessages() throws {
    let node = try node(peers: [b], peerster: true)
    // Under the Peerster's address somebody says that it speaks Strata.
    node.receive(packet(1, []) + [0x90, 0x02, 1], from: b)
    let exchange = Exchange([node])
    exchange.pump()
    exchange.delivered = []
    node.call("peersterish", "hello", ["size": 5_000], at: exchange.time) { _ in }
    exchange.run(for: .seconds(5))
    #expect(exchange.delivered.contains { $0.bytes.count > 5_000 })
  }

  @Test func addressesThatNobodyCanHaveBecomeNoNeighbours() throws {
    let node = try node()
    let blob = packet(1000, [])
    for sender in [
      address(5, port: 0), Address(ipv4: 0xe000_0001, port: 5), Address(ipv4: 0, port: 5),
      Address(ipv4: 0xffff_ffff, port: 5), Address(high: 0, low: 0, port: 5),
      Address(high: 0xff02 << 48, low: 1, port: 5), a,
    ] {
      node.receive(blob, from: sender)
      node.receive(hello(cookie: 7), from: sender)
      #expect(node.neighbourList.isEmpty && node.takeDatagrams().isEmpty, "\(sender)")
    }
  }

  @Test func whatANeighbourCallsItselfCannotWriteOnATerminal() throws {
    let node = try node()
    let echo = node.cookie(for: b)
    node.receive(hello(cookie: 7, echo: echo, name: "b\u{1b}[2J\n"), from: b)
    node.receive(hello(cookie: 7, echo: echo, name: "\u{202e}b"), from: b)
    #expect(node.neighbourList.first?.claimedName == nil)
    node.receive(hello(cookie: 7, echo: echo, name: "bé 👩‍👩‍👧"), from: b)
    #expect(node.neighbourList.first?.claimedName == "bé 👩‍👩‍👧")
  }

  @Test func numbersOnTheWireDoNotGiveTheMarksAway() throws {
    // What layers and pieces show of chance: from four numbers in a row the stream's whole state follows, and backwards
    // its seed. So the marks must come from elsewhere.
    let seed: UInt64 = 77
    let node = try Node.make("a", a, seed: seed, layers: [(Bulk.self, [:])])
    var shown = RandomStream(seed: seed, name: "core")
    let first = (shown.next(), shown.next())
    #expect(node.cookieKey.k0 != first.0 && node.cookieKey.k1 != first.1)
    // A stream of a name doesn't start from the seed in any way that could be undone.
    var direct = RandomStream(seed: seed ^ stableHash("layer.bulk".utf8))
    var named = RandomStream(seed: seed, name: "layer.bulk")
    #expect(direct.next() != named.next())
  }

  @Test(.timeLimit(.minutes(1)), arguments: [-1, 0, 1, 42, 43, 100, 298, 70_000])
  func aPathLimitOutOfRangeIsTakenIntoIt(_ limit: Int) throws {
    var limits = NodeLimits()
    limits.pathLimit = limit
    let exchange = Exchange([
      try Node.make("a", a, peers: [b], layers: [(Bulk.self, [:])], limits: limits),
      try Node.make("b", b, seed: 2, layers: [(Bulk.self, [:])], limits: limits),
    ])
    exchange.start()
    for size in [10, 1000, 65_520] {
      exchange.nodes[0].call("bulk", "send", ["size": JSON(size), "to": "10.0.0.2:4000"], at: exchange.time) { _ in }
      exchange.pump()
    }
    let slot = exchange.nodes[1].slots.first { $0 is LayerSlot<Bulk> } ?? nil
    #expect((slot as? LayerSlot<Bulk>)?.layer?.received.map(\.count) == [10, 1000, 65_520])
    #expect(exchange.delivered.allSatisfy { $0.bytes.count <= NodeLimits.largestDatagram })
  }

  @Test func aNeighboursDatagramsAndBytesAreCountedOnceEach() throws {
    let node = try node()
    let blob = packet(1000, [])
    node.receive(blob + blob + blob, from: b)
    node.receive(blob, from: b)
    #expect(node.neighbourList.first?.datagramsIn == 2)
    #expect(node.neighbourList.first?.bytesIn == UInt64(blob.count * 4))
  }

  @Test func aReceiverWeJustChoseIsNotPushedOutByAFlood() throws {
    var limits = NodeLimits()
    limits.neighbours = 4
    let node = try node(limits)
    node.call("bulk", "send", ["size": 9_000, "to": "10.0.0.2:4000"], at: node.now) { _ in }
    for last in 10..<100 { node.receive(packet(1000, []), from: address(UInt32(last))) }
    #expect(node.neighbourList.map(\.address).contains(b))
  }

  @Test func aFloodOfProbesMeetsTheOutboxsEntries() throws {
    var limits = NodeLimits()
    limits.outboxBytes = 1 << 16
    let node = try node(limits)
    let probe = packet(CoreField.probe, PathProbeMessage(nonce: Fixed64(7)).encoded())
    for _ in 0..<10_000 { node.receive(probe, from: b) }
    #expect(node.queues.outboxEntries <= (1 << 16) / 64)
  }

  @Test func timesFarApartSaturate() {
    let start = Instant(nanoseconds: .min)
    let end = Instant(nanoseconds: .max)
    #expect((end - start).nanoseconds == .max)
    #expect((start - end).nanoseconds < -(.max - 1_000_000_000))
    #expect(end - Duration.nanoseconds(Int64.min) == end)
    #expect(start - Duration.nanoseconds(Int64.max) == start)
    #expect(Instant(nanoseconds: 0) - Duration.seconds(Int64.max) < Instant(nanoseconds: -1_000_000_000))
  }
}
