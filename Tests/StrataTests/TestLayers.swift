// TestLayers: layers for the tests of the command: one with many commands, one needy, one with Peerster's words.
import StackCore

/// Says things; has a setting of each kind and a command of each shape.
final class Chat: ProtocolLayer {
  enum Mood: String, Codable, Sendable, CaseIterable { case calm, loud }
  struct Config: LayerConfig {
    @Setting("How often it speaks.", in: .milliseconds(10) ... .seconds(60), live: true) var interval =
      Duration.seconds(1)
    @Setting("How many lines are kept.", in: 1...100) var lines = 10
    @Setting("How much a line may hold.", in: .kib(1) ... .kib(64)) var size = ByteCount.kib(8)
    @Setting("How it speaks.") var mood = Mood.calm
    @Setting("Whom it doesn't hear.", count: 0...2) var deaf: [String] = []
    @Setting("What it says when it starts.", live: true) var greeting: String?
    @Setting("Whether it speaks at all.") var quiet = false
    @Setting("How likely it answers.", in: 0.0...1.0) var chance = 0.5
    init() {}
  }
  struct Line: WireMessage {
    var text = ""
    var ids: [UInt32] = []
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "text", &text)
      try field(2, "ids", &ids)
    }
  }
  struct Say: CommandInput {
    @Argument("What to say.", count: 1...20) var text: String
    @Argument("How often.", in: 1...9) var times = 1
    @Argument("Whether to shout.") var loud = false
    @Argument("Whether to keep it.") var keep = true
    @Argument("To whom.") var to: [String] = []
    init() {}
  }
  struct Upgrade: CommandInput {
    @Argument("To which version.") var version = 1
    init() {}
  }
  struct Said: Codable, Sendable {
    var text: String
    var neighbours: Int
    var to: [String]
  }
  struct Count: CommandInput {
    @Argument("The names to count.") var names: [String]
    @Argument("How far.", in: 1...10) var upTo: Int
    init() {}
  }
  struct Step: Codable, Sendable {
    var done: Int
    var total: Int
  }
  static let heard = EventPort<Said>("heard", "Something was said.")
  static let manifest = LayerManifest("chat", "Says things to its neighbours.", provides: [Talking.key])
  let said: Counter

  init(config: Config, setup: LayerSetup<Chat>) throws {
    if config.greeting == "never" { throw BuildError(path: "layers.chat.greeting", "it is not said") }
    said = setup.counter("said", "How often something was said.")
    setup.on(1000, Line.self, Chat.hear)
    setup.command("say", "Says something.", examples: ["hello", "hello --times 2"], Chat.say)
    setup.stream("count", "Counts names.", Chat.count)
    setup.command("upgrade", "Changes its ways.", Chat.upgrade)
    setup.event(Chat.heard)
    setup.provide(Talking.key, Talking())
  }
  func hear(_ line: Line, from sender: Address, _ context: borrowing LayerContext<Chat>) {}
  func say(_ say: Say, _ context: borrowing LayerContext<Chat>) throws -> Said {
    if say.text == "no" { throw CommandError(.refused, code: "unsaid", "that is not said") }
    said.add()
    let text = say.loud ? say.text.uppercased() : say.text
    let result = Said(text: text, neighbours: context.neighbours.count, to: say.to)
    context.publish(result, on: Chat.heard)
    return result
  }
  func upgrade(_ upgrade: Upgrade, _ context: borrowing LayerContext<Chat>) throws -> Step {
    Step(done: upgrade.version, total: upgrade.version)
  }
  func count(_ count: Count, _ call: CommandCall<Step, [String]>, _ context: borrowing LayerContext<Chat>) {
    for number in 1...count.upTo { call.progress(Step(done: number, total: count.upTo)) }
    call.finish(count.names)
  }
}

/// What Chat provides.
struct Talking { static let key = ServiceKey<Talking>("talking") }

/// What nobody provides.
struct Flying { static let key = ServiceKey<Flying>("flying") }

/// Needs Chat.
final class Needy: ProtocolLayer {
  static let manifest = LayerManifest("needy", "Needs somebody who talks.", requires: [Talking.key])
  init(config: NoConfig, setup: LayerSetup<Needy>) throws { _ = try setup.require(Talking.key) }
}

/// Needs what can't be had.
final class Hopeless: ProtocolLayer {
  static let manifest = LayerManifest("hopeless", "Needs wings.", requires: [Flying.key])
  init(config: NoConfig, setup: LayerSetup<Hopeless>) throws {}
}

/// Provides what Chat provides too.
final class Parrot: ProtocolLayer {
  static let manifest = LayerManifest("parrot", "Talks as well.", provides: [Talking.key])
  init(config: NoConfig, setup: LayerSetup<Parrot>) throws { setup.provide(Talking.key, Talking()) }
}

/// Has a message of Chat's name, and a tree that holds itself.
final class Tree: ProtocolLayer {
  struct Line: WireMessage {
    var number: Int32 = 0
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "number", &number) }
  }
  struct Branch: WireMessage {
    var name = ""
    var branches: [Branch] = []
    var line: Line?
    var signed: Int64 = 0
    var exact = Fixed64(0)
    var part: Float = 0
    var hash = Hash256()
    var yes = false
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "name", &name)
      try field(2, "branches", &branches)
      try field(3, "line", &line)
      try field(4, "signed", &signed)
      try field(5, "exact", &exact)
      try field(6, "part", &part)
      try field(7, "hash", &hash)
      try field(8, "yes", &yes)
    }
  }
  static let manifest = LayerManifest("tree", "Grows.")
  init(config: NoConfig, setup: LayerSetup<Tree>) throws {
    setup.sends(1001, Line.self)
    setup.sends(1002, Branch.self)
  }
}

/// The layers that the tests compile in.
var testCatalog: [any ProtocolLayer.Type] { [Chat.self, Needy.self, Hopeless.self, Parrot.self, Tree.self] }
