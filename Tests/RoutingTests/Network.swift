// Network: simulated networks of nodes with Gossip and Routing, for the tests.
import Gossip
import PeersterVocabulary
import StackCore
import StackSim

@testable import Routing

/// A packet that holds one message.
func packet(_ number: UInt32, _ message: some WireMessage) -> [UInt8] {
  var writer = WireWriter()
  writer.writeTag(number, .bytes)
  writer.writeBytes(message.encoded().span.bytes)
  return writer.copied()
}

/// A network of nodes with Gossip and Routing, and what each has received.
final class Network {
  let simulation: Simulation
  var received: [Int: [String]] = [:]
  /// Called with each private message on the wire.
  var onPrivate: ((Private) -> Void)?
  /// And with each routed message.
  var onRouted: ((Routed) -> Void)?

  /// How often each event of Routing was told, by any node.
  var events: [String: Int] = [:]

  init(
    _ nodes: Int, _ topology: Topology, seed: UInt64 = 1, link: LinkSettings = LinkSettings(), routing: JSON = [:],
    mailboxes: [Int] = [], catalog: [any ProtocolLayer.Type] = []
  ) throws {
    var scenario = Scenario()
    (scenario.nodes, scenario.topology, scenario.link, scenario.seed) = (nodes, topology, link, seed)
    var section: JSONObject = ["routeRumor": "5s"]
    for (key, value) in routing.objectValue ?? [:] { section[key] = value }
    scenario.node.layers = LayerSections(["gossip": ["antiEntropy": "1s"], "routing": .object(section)])
    for layer in catalog { scenario.node.layers.sections[layer.manifest.name] = [:] }
    if !mailboxes.isEmpty {
      var override = NodeOverride()
      override.nodes = NodeSelection(mailboxes)
      override.layers = LayerSections(["routing": ["mailbox": true]])
      scenario.overrides = [override]
    }
    simulation = try Simulation(scenario, catalog: [Gossip.self, Routing.self] + catalog)
    simulation.onEvent = { [unowned self] node, event in
      if event.layer == "routing" { events[event.name, default: 0] += 1 }
      if event.layer == "routing", event.name == "private" {
        received[node, default: []].append(event.json()["text"]?.stringValue ?? "?")
      }
    }
    simulation.onDelivery = { [unowned self] _, _, bytes in
      var reader = WireReader(bytes.span.bytes)
      guard let tag = try? reader.nextTag(), tag.type == .bytes, var body = try? reader.readNested() else { return }
      if tag.number == PeersterField.privateMessage, let message = try? Private(from: &body) {
        onPrivate?(message)
      } else if tag.number == RoutingField.routed, let message = try? Routed(from: &body) {
        onRouted?(message)
      }
    }
    simulation.run(for: .seconds(20))
  }

  /// Sends a message, and answers what has become of it in the end.
  func send(_ node: Int, to name: String, _ text: String, within: Duration = .seconds(100)) -> String? {
    let replies = simulation.call(
      node, "routing", "send", ["name": .string(name), "text": .string(text)], within: within)
    if case .finished(let json)? = replies.last { return json["state"]?.stringValue }
    return nil
  }

  func command(_ node: Int, _ name: String, layer: String = "routing") -> JSON? {
    if case .finished(let json)? = simulation.call(node, layer, name).last { return json }
    return nil
  }

  /// Begins to send a message, without waiting for what becomes of it.
  func post(_ node: Int, to name: String, _ text: String) {
    simulation.begin(node, "routing", "send", ["name": .string(name), "text": .string(text)]) { _ in }
  }

  /// What has become of each message of a node, by its text.
  func states(_ node: Int) -> [String: String] {
    let all = command(node, "messages")?["messages"]?.arrayValue ?? []
    return Dictionary(
      all.map { ($0["text"]?.stringValue ?? "", $0["state"]?.stringValue ?? "") }, uniquingKeysWith: { $1 })
  }

  /// What a node has counted.
  func count(_ node: Int, _ name: String) -> UInt64 {
    for metric in simulation.node(node)?.metricDescriptions ?? [] where metric.name == name {
      if case .counter(let counter) = metric.source { return counter.value }
    }
    return 0
  }
}
