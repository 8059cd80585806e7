// RoutedTests: messages of a layer that knows nothing of routing, brought to their origins by Routing.
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Routing

/// Says words to others by their names, and hears theirs.
final class Parrot: ProtocolLayer {
  struct Word: WireMessage {
    var text = ""
    var filling: [UInt8] = []
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "text", &text)
      try field(2, "filling", &filling)
    }
  }
  /// Declared, but not as one that may come routed.
  struct Secret: WireMessage {
    mutating func fields(_ field: inout some WireFields) throws(WireError) {}
  }
  struct Say: CommandInput {
    @Argument("To whom.") var name: String
    @Argument("What.") var text: String
    @Argument("By what the outcome is known.") var token: Int?
    @Argument("How many bytes are added.") var filling = 0
    @Argument("As which field.") var field = 1_000
  }
  struct Heard: Codable, Sendable {
    var text: String
    var from: WireText
    var size: Int
  }
  static let heard = EventPort<Heard>("heard", "A word was heard.")
  static let outcome = EventPort<RouteOutcome>("outcome", "What became of a word.")
  static let manifest = LayerManifest("parrot", "Says words by name.", requires: [ServiceKey.routing])

  init(config: NoConfig, setup: LayerSetup<Parrot>) throws {
    _ = try setup.require(.routing)
    setup.onRouted(1_000, Word.self, Parrot.heardWord)
    setup.onRouted(1_001, Word.self, Parrot.heardWord)
    setup.on(1_002, Secret.self, Parrot.heardSecret)
    setup.sendsRouted(outcome: Parrot.ended)
    setup.event(Parrot.heard)
    setup.event(Parrot.outcome)
    setup.command("say", "Says a word.", Parrot.say)
  }

  private func say(_ input: Say, _ context: borrowing LayerContext<Parrot>) throws -> String {
    let word = Word(text: input.text, filling: Array(repeating: 7, count: input.filling))
    context.route(
      word, as: UInt32(input.field), to: WireText(input.name), token: input.token.map { UInt64($0) })
    return "said"
  }
  func heardWord(_ word: Word, from origin: WireText, _ context: borrowing LayerContext<Parrot>) {
    context.publish(Heard(text: word.text, from: origin, size: word.filling.count), on: Parrot.heard)
  }
  func heardSecret(_ secret: Secret, from peer: Address, _ context: borrowing LayerContext<Parrot>) {
    context.publish(Heard(text: "secret", from: "", size: 0), on: Parrot.heard)
  }
  func ended(_ outcome: RouteOutcome, _ context: borrowing LayerContext<Parrot>) {
    context.publish(outcome, on: Parrot.outcome)
  }
}

/// A network of parrots.
private final class Parrots {
  let network: Network
  var heard: [Int: [String]] = [:]
  var origins: [String: String] = [:]
  var outcomes: [Int: [Int64: [String]]] = [:]
  var simulation: Simulation { network.simulation }

  init(
    _ nodes: Int, _ topology: Topology, seed: UInt64 = 1, link: LinkSettings = LinkSettings(), routing: JSON = [:],
    mailboxes: [Int] = []
  ) throws {
    network = try Network(
      nodes, topology, seed: seed, link: link, routing: routing, mailboxes: mailboxes, catalog: [Parrot.self])
    let told = simulation.onEvent
    simulation.onEvent = { [unowned self] node, event in
      told?(node, event)
      guard event.layer == "parrot" else { return }
      let json = event.json()
      if event.name == "heard" {
        let text = "\(json["text"]?.stringValue ?? "")/\(json["size"]?.integerValue ?? 0)"
        heard[node, default: []].append(text)
        origins[text] = json["from"]?.stringValue
      } else if event.name == "outcome" {
        outcomes[node, default: [:]][json["token"]?.integerValue ?? 0, default: []]
          .append(json["result"]?.stringValue ?? "")
      }
    }
  }

  func say(_ node: Int, to name: String, _ text: String, token: Int? = nil, filling: Int = 0, field: Int = 1_000) {
    var input: JSONObject = ["name": .string(name), "text": .string(text)]
    if let token { input["token"] = .integer(Int64(token)) }
    input["filling"] = .integer(Int64(filling))
    input["field"] = .integer(Int64(field))
    _ = simulation.call(node, "parrot", "say", .object(input))
  }

  func forge(_ message: Routed, to node: Int = 0, from: Int = 1) {
    simulation.inject(packet(RoutingField.routed, message), to: node, from: simulation.address(of: from))
  }
}

@Suite struct RoutedTests {
  private func routed(
    _ text: String, to name: WireText = "node0", field: UInt32 = 1_000, hopLimit: UInt32 = 10, id: UInt64? = nil
  ) -> Routed {
    Routed(
      origin: "x", destination: name, hopLimit: hopLimit, field: field, body: Parrot.Word(text: text).encoded(),
      messageID: id.map { Fixed64($0) })
  }

  @Test func anyMessageReachesAnyOrigin() throws {
    let parrots = try Parrots(5, Topology(.line))
    parrots.say(0, to: "node4", "plain")
    parrots.say(0, to: "node4", "confirmed", token: 7)
    parrots.say(0, to: "node4", "large", token: 8, filling: 32_000)
    parrots.say(0, to: "node4", "other field", field: 1_001)
    parrots.simulation.run(for: .seconds(5))
    #expect(
      parrots.heard[4]?.sorted() == ["confirmed/0", "large/32000", "other field/0", "plain/0"])
    #expect(parrots.origins["confirmed/0"] == "node0")
    #expect(parrots.outcomes == [0: [7: ["delivered"], 8: ["delivered"]]])
    #expect((1...3).allSatisfy { parrots.heard[$0] == nil })
  }

  @Test func outcomesAreHonest() throws {
    let parrots = try Parrots(3, Topology(.line), routing: ["receiptTimeout": "500ms", "tries": 3])
    parrots.say(0, to: "node0", "to myself", token: 1)
    parrots.say(0, to: "nobody", "no way", token: 2)
    parrots.say(0, to: "node2", "too large", token: 3, filling: 33_000)
    // Nobody takes this one, and nobody these fields.
    parrots.say(0, to: "node2", "unclaimed", token: 4, field: 1_003)
    parrots.say(0, to: "node2", "not asked for", token: 5, field: 1_002)
    parrots.say(0, to: "node0", "nor here", token: 6, field: 1_003)
    parrots.simulation.run(for: .seconds(30))
    #expect(parrots.heard == [0: ["to myself/0"]])
    #expect(
      parrots.outcomes[0] == [
        1: ["delivered"], 2: ["no route"], 3: ["refused"], 4: ["no answer"], 5: ["no answer"], 6: ["no answer"],
      ])
    #expect(parrots.network.count(2, "unclaimed") == 6)
  }

  @Test func nothingComesRoutedToWhoDidNotAskForIt() throws {
    let parrots = try Parrots(2, Topology(.line))
    let rumor = Rumor(origin: "ghost", id: 1, text: "boo").encoded()
    for field in [0, 2, 4, 32, 64, 96, 97, 1_002, 536_870_911] as [UInt32] {
      parrots.forge(Routed(origin: "x", destination: "node0", hopLimit: 5, field: field, body: rumor))
    }
    // A routed message is none for the handler of plain ones, nor the other way round.
    parrots.simulation.inject(
      packet(1_000, Parrot.Word(text: "direct")), to: 0, from: parrots.simulation.address(of: 1))
    // And what can't be read is not confirmed, and may come again.
    parrots.forge(
      Routed(
        origin: "node1", destination: "node0", hopLimit: 5, field: 1_000, body: [0xff], messageID: Fixed64(1)))
    parrots.simulation.run(for: .seconds(20))
    #expect(parrots.heard.isEmpty && parrots.network.count(0, "unclaimed") == 9)
    #expect(parrots.network.count(0, "unreadable") == 1)
    let origins = parrots.network.command(0, "origins", layer: "gossip")?["origins"]?.arrayValue ?? []
    #expect(!origins.contains { $0["origin"] == "ghost" })
  }

  @Test func oneWithANumberIsTakenOnce() throws {
    let parrots = try Parrots(2, Topology(.line))
    for _ in 0..<3 { parrots.forge(routed("once", id: 5)) }
    try parrots.simulation.restart(0)
    parrots.forge(routed("once", id: 5))
    // Two in one datagram come before the first was taken.
    let twice =
      packet(RoutingField.routed, routed("twice", id: 6)) + packet(RoutingField.routed, routed("twice", id: 6))
    parrots.simulation.inject(twice, to: 0, from: parrots.simulation.address(of: 1))
    for _ in 0..<2 { parrots.forge(routed("plain")) }
    #expect(parrots.heard[0] == ["once/0", "twice/0", "plain/0", "plain/0"])
  }

  @Test func hopLimitsAreBoundedAndLoopsEnd() throws {
    let parrots = try Parrots(3, Topology(.ring))
    for (node, from) in [(0, 1), (1, 2), (2, 0)] {
      let rumor = Rumor(origin: "ghost", id: 1, text: "", hops: 3)
      parrots.simulation.inject(packet(2, rumor), to: node, from: parrots.simulation.address(of: from))
    }
    var limits: [UInt32] = []
    parrots.network.onRouted = { if $0.destination == "ghost" { limits.append($0.hopLimit) } }
    parrots.forge(routed("round", to: "ghost", hopLimit: .max), from: 2)
    parrots.simulation.run(for: .seconds(5))
    #expect(limits == Array((1...31).reversed()))
    parrots.forge(routed("at its end", hopLimit: 0))
    parrots.forge(routed("just", hopLimit: 1))
    #expect(parrots.heard[0] == ["just/0"])
  }

  @Test func aFloodIsBoundedForEachNeighbour() throws {
    let parrots = try Parrots(3, Topology(.ring), routing: ["routedRate": 100])
    for number in 0..<2_000 { parrots.forge(routed("\(number)")) }
    parrots.forge(routed("from another"), from: 2)
    #expect(parrots.heard[0]?.count == 101 && parrots.network.count(0, "tooMany") == 1_900)
  }

  @Test(arguments: 1...3 as ClosedRange<UInt64>)
  func onceOrTheSenderKnowsWhateverTheLinksDo(_ seed: UInt64) throws {
    var link = LinkSettings()
    (link.loss, link.duplicate, link.reorder) = (0.2, 0.1, 0.2)
    let parrots = try Parrots(
      8, Topology.randomRegular(degree: 3), seed: seed, link: link, routing: ["receiptTimeout": "300ms"])
    for number in 1...40 {
      parrots.say(number % 4, to: "node\(4 + number % 3)", "\(number)", token: number, filling: number * 50)
      parrots.simulation.run(for: .milliseconds(100))
    }
    parrots.simulation.run(for: .seconds(30))
    var delivered = 0
    for number in 1...40 {
      let times = parrots.heard[4 + number % 3]?.filter { $0.hasPrefix("\(number)/") }.count ?? 0
      let outcome = parrots.outcomes[number % 4]?[Int64(number)] ?? []
      #expect(times <= 1 && !outcome.isEmpty, "seed \(seed), \(number)")
      if outcome.last == "delivered" {
        #expect(times == 1, "seed \(seed), \(number)")
        delivered += 1
      }
    }
    // How many receipts make it back in five tries is the links' doing, about three in four; not next to none.
    #expect(delivered >= 20, "seed \(seed)")
  }

  @Test func aMailboxKeepsThemToo() throws {
    let parrots = try Parrots(3, Topology(.line), routing: ["receiptTimeout": "500ms"], mailboxes: [1])
    parrots.simulation.crash(2)
    parrots.say(0, to: "node2", "kept", token: 3)
    parrots.say(0, to: "node2", "not kept")
    parrots.simulation.run(for: .seconds(30))
    #expect(parrots.outcomes[0] == [3: ["kept"]])
    try parrots.simulation.restart(2)
    parrots.simulation.run(for: .seconds(20))
    #expect(parrots.heard[2] == ["kept/0"] && parrots.outcomes[0] == [3: ["kept", "delivered"]])
  }
}
