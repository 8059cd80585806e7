// PulseTests: round trips and losses are measured while somebody asks for it, and not a byte is sent otherwise.
import Testing

@testable import StackCore

@Suite struct PulseTests {
  private let a = address(1), b = address(2)

  /// Two nodes that have introduced themselves.
  private func pair() throws -> Exchange {
    let exchange = Exchange([
      try Node.make("a", a, peers: [b], seed: 1, layers: [(Bulk.self, [:])]),
      try Node.make("b", b, seed: 2, layers: [(Bulk.self, [:])]),
    ])
    exchange.start()
    exchange.nodes[0].introduce(to: b)
    exchange.pump()
    #expect(exchange.nodes[0].neighbourList.first?.isProven == true)
    exchange.delivered = []
    return exchange
  }

  private func probes(_ exchange: Exchange) -> Int {
    exchange.delivered.count { $0.bytes.starts(with: [0x9a, 0x02]) }
  }

  @Test("Nothing is sent unless it is asked for, and no longer than asked for") func onlyWhenAsked() throws {
    let exchange = try pair()
    exchange.run(for: .seconds(120))
    #expect(exchange.delivered.isEmpty && exchange.nodes[0].nextDeadline == nil)
    exchange.nodes[0].measure(for: .seconds(10), at: exchange.time)
    exchange.pump()
    exchange.run(for: .seconds(60))
    // At 0, 2, 4, 6 and 8 seconds, each answered.
    #expect(probes(exchange) == 5 && exchange.delivered.count == 10)
    #expect(exchange.nodes[0].nextDeadline == nil, "it has ended")
    let neighbour = try #require(exchange.nodes[0].neighbourList.first)
    #expect(neighbour.probesCounted == 5 && neighbour.loss == 0)
    // No answer is larger than its question, so nobody can use it against a third.
    let sizes = exchange.delivered.map(\.bytes.count)
    #expect(sizes == Array(repeatElement([14, 12], count: 5).joined()), "\(sizes)")
    // Asking again while it goes on only prolongs it, and never beyond a minute.
    for _ in 0..<10 { exchange.nodes[0].measure(for: .seconds(3600), at: exchange.time) }
    exchange.delivered = []
    exchange.run(for: .seconds(300))
    #expect(probes(exchange) == 30)
  }

  @Test("A round trip is smoothed, and replaces what the introduction took") func smoothed() throws {
    let exchange = try pair()
    let node = exchange.nodes[0]
    func round(_ delay: Duration) {
      for probe in node.takeDatagrams() {
        exchange.nodes[1].receive(probe.bytes, from: a, at: exchange.time)
        for reply in exchange.nodes[1].takeDatagrams() {
          node.receive(reply.bytes, from: b, at: exchange.time + delay)
          // Once is enough: the same answer again changes nothing.
          node.receive(reply.bytes, from: b, at: exchange.time + delay * 10)
        }
      }
      exchange.time = exchange.time + .seconds(2)
      node.fireTimers(at: exchange.time)
    }
    node.measure(for: .seconds(60), at: exchange.time)
    round(.milliseconds(40))
    #expect(node.neighbourList[0].roundTrip == .milliseconds(40))
    round(.milliseconds(120))
    #expect(node.neighbourList[0].roundTrip == .milliseconds(50))
    #expect(node.neighbourList[0].probesCounted == 2)
    // An answer with another's number, or from elsewhere, counts for nothing.
    let probe = try #require(node.pulses.last)
    node.receive(PathProbeReply(nonce: Fixed64(probe.nonce)).packet(as: CoreField.probeReply), from: address(7))
    node.receive(PathProbeReply(nonce: Fixed64(probe.nonce ^ 1)).packet(as: CoreField.probeReply), from: b)
    #expect(node.neighbourList[0].probesCounted == 2)
  }

  @Test("Losses are the share of the newest 32 probes without an answer") func losses() throws {
    let exchange = try pair()
    let node = exchange.nodes[0]
    var number = 0
    // Each fourth answer is lost.
    exchange.passes = { datagram in
      guard datagram.from == b else { return true }
      number += 1
      return number % 4 != 0
    }
    for _ in 0..<10 {
      node.measure(for: .seconds(60), at: exchange.time)
      exchange.run(for: .seconds(10))
    }
    #expect(node.neighbourList[0].probesCounted == 32 && node.neighbourList[0].loss == 0.25)
    // One that is gone: all is lost.
    exchange.passes = { _ in false }
    for _ in 0..<10 {
      node.measure(for: .seconds(60), at: exchange.time)
      exchange.run(for: .seconds(10))
    }
    #expect(node.neighbourList[0].loss == 1)
    // After a pause the past counts no more.
    exchange.passes = { _ in true }
    exchange.run(for: .seconds(200))
    node.measure(for: .seconds(5), at: exchange.time)
    exchange.pump()
    exchange.run(for: .seconds(1))
    #expect(node.neighbourList[0].loss == 0 && node.neighbourList[0].probesCounted == 1)
  }

  @Test("A Peerster, or one that has proven nothing, is not probed") func onlyStrata() throws {
    let node = try Node.make("a", a, peers: [b], layers: [(Peersterish.self, [:])])
    node.start(at: Instant(nanoseconds: 0))
    #expect(node.neighbourList.count == 1)
    node.measure(for: .seconds(10), at: Instant(nanoseconds: 0))
    for second in 1...10 { node.fireTimers(at: Instant(nanoseconds: Int64(second) * 1_000_000_000)) }
    #expect(node.takeDatagrams().isEmpty)
    #expect(node.neighbourList[0].loss == nil && node.neighbourList[0].roundTrip == nil)
  }

  @Test("Of many neighbours each has its turn, and the table of probes stays small") func many() throws {
    let node = try Node.make("a", a, layers: [(Bulk.self, [:])])
    node.start(at: Instant(nanoseconds: 0))
    for number in 10..<210 as Range<UInt32> {
      let peer = address(number)
      node.receive(Hello(echo: Fixed64(node.cookie(for: peer))).packet(as: CoreField.hello), from: peer)
    }
    _ = node.takeDatagrams()
    #expect(node.neighbourList.count { $0.isProven } == 200)
    var probed: [Address: Int] = [:]
    node.measure(for: .seconds(60), at: Instant(nanoseconds: 0))
    for second in 0..<28 {
      node.fireTimers(at: Instant(nanoseconds: Int64(second) * 1_000_000_000))
      for probe in node.takeDatagrams() { probed[probe.to, default: 0] += 1 }
      #expect(node.pulses.count <= 3 * Node.mostPulsed)
    }
    #expect(probed.count == 200 && probed.values.allSatisfy { (3...6).contains($0) })
  }
}
