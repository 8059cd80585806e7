// TraceTests: the nodes on the way to another, as probes find them.
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Routing

@Suite struct TraceTests {
  /// The hops that a trace shows, and how it ends.
  private func trace(
    _ network: Network, _ node: Int, _ name: String, within: Duration = .seconds(60)
  ) -> (hops: [String], result: String?) {
    var hops: [String] = []
    var result: String?
    for reply in network.simulation.call(node, "routing", "trace", ["name": .string(name)], within: within) {
      switch reply {
      case .progress(let json):
        let time = json["roundTrip"]?.stringValue ?? "-"
        hops.append("\(json["hop"]?.integerValue ?? 0) \(json["name"]?.stringValue ?? "-") \(time)")
      case .finished(let json): result = json["result"]?.stringValue
      case .failed(let error): result = "\(error)"
      }
    }
    return (hops, result)
  }

  @Test func eachHopIsShownWithItsRoundTrip() throws {
    let network = try Network(5, Topology(.line))
    let found = trace(network, 0, "node4")
    #expect(found.hops == ["1 node1 20ms", "2 node2 40ms", "3 node3 60ms", "4 node4 80ms"])
    #expect(found.result == "reached")
    #expect(trace(network, 0, "node0").result == "reached")
    #expect(trace(network, 0, "nobody").result == "no route")
    let told = network.simulation.call(0, "routing", "trace", ["name": "node2"], within: .seconds(5))
    guard case .progress(let hop)? = told.dropFirst().first else { throw TestError() }
    #expect(hop["address"]?.stringValue == "\(network.simulation.address(of: 2))")
  }
  private struct TestError: Error {}

  @Test func aSilentHopIsUnknownAndATraceEnds() throws {
    let network = try Network(6, Topology(.line))
    network.simulation.crash(2)
    let found = trace(network, 0, "node5")
    #expect(found.hops == ["1 node1 20ms", "2 - -", "3 - -", "4 - -"])
    #expect(found.result == "no answer")
  }

  @Test func itEndsAtTheHopLimitAndAtAPeerster() throws {
    let network = try Network(5, Topology(.line), routing: ["hopLimit": 2])
    #expect(trace(network, 0, "node4").result == "beyond the hop limit")
    let peerster = Address(ipv4: 0xc0a8_0001, port: 5000)
    network.simulation.inject(packet(2, Rumor(origin: "Go", id: 1, text: "hi")), to: 1, from: peerster)
    network.simulation.run(for: .seconds(5))
    let found = trace(network, 0, "Go")
    #expect(found.hops == ["1 node1 20ms", "2 - -"] && found.result == "not beyond a Peerster")
    #expect(trace(network, 1, "Go").hops == ["1 - -"])
  }

  @Test func lossIsBorne() throws {
    var link = LinkSettings()
    link.loss = 0.1
    let network = try Network(4, Topology(.line), seed: 3, link: link)
    #expect(trace(network, 0, "node3").hops.count >= 3)
  }

  @Test func aProbeDrawsOneAnswerNoLargerThanItself() throws {
    let network = try Network(2, Topology(.line))
    var answers: [Int] = []
    let victim = network.simulation.address(of: 1)
    network.simulation.onDelivery = { _, node, bytes in
      // Field 99, by its tag of two bytes.
      if node == 1, bytes.starts(with: [0x9a, 0x06]) { answers.append(bytes.count) }
    }
    func probe(_ padding: Int, from: Address) -> Int {
      let probe = TraceProbe(
        origin: "node1", destination: "elsewhere", hopLimit: 1, number: Fixed64(1),
        padding: Array(repeating: 0, count: padding))
      let bytes = packet(RoutingField.probe, probe)
      network.simulation.inject(bytes, to: 0, from: from)
      network.simulation.run(for: .milliseconds(100))
      return bytes.count
    }
    let size = probe(400, from: victim)
    #expect(answers.count == 1 && (answers.first ?? .max) <= size)
    for padding in [0, 1, 401, 1_000] { _ = probe(padding, from: victim) }
    for size in answers { #expect(size <= 500) }
    #expect(answers.count <= 3)
  }
}
