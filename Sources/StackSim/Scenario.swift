// Scenario: what a simulation is made of, as a JSON file says it.
import StackCore

/// A simulation, described: the nodes, their topology and links, what is done to them, and when it ends.
public struct Scenario: LayerConfig {
  @Setting("What the scenario is called.", count: 1...100) public var name = "scenario"
  @Setting("What it shows, for people.") public var about = ""
  @Setting("The seed of all chance: the same seed, the same run, to the last byte.") public var seed: UInt64 = 1
  @Setting("How many nodes there are at the start.", in: 1...100_000) public var nodes = 2
  @Setting("Which nodes are neighbours.") public var topology = Topology()
  @Setting("What every node is.") public var node = NodeTemplate()
  @Setting("What is different about some nodes.") public var overrides: [NodeOverride] = []
  @Setting("What every link is like.") public var link = LinkSettings()
  @Setting("What is different about some links; the last that names a link counts.") public var links: [LinkChange] = []
  @Setting("What is done, and when.") public var actions: [ScenarioAction] = []
  @Setting("When the simulation ends, and whether it has passed.") public var stop = StopSettings()
  @Setting("What the report is to hold.") public var report = ReportSettings()

  public init() {}
}

/// Layers and their sections of the configuration, in the order in which they were written.
public struct LayerSections: Codable, Sendable, Hashable, SchemaProviding, ExpressibleByDictionaryLiteral {
  /// Each layer's section, by its name; `null` switches a layer off.
  public var sections: JSONObject

  /// These sections.
  public init(_ sections: JSONObject = [:]) { self.sections = sections }
  public init(dictionaryLiteral elements: (String, JSON)...) { sections = JSONObject(elements) }

  public static var schema: Schema { Schema(.map(Schema(.any))) }
  public static var schemaSample: LayerSections { LayerSections() }

  public init(from decoder: any Decoder) throws { sections = try JSON(from: decoder).objectValue ?? [:] }
  public func encode(to encoder: any Encoder) throws { try JSON.object(sections).encode(to: encoder) }

  /// These sections with those of another laid over them, key by key.
  func merged(with other: LayerSections) -> LayerSections {
    var result = sections
    for (layer, section) in other.sections {
      guard case .object(let changed) = section, case .object(var keys)? = result[layer] else {
        result[layer] = section.isNull ? nil : section
        continue
      }
      for (key, value) in changed { keys[key] = value }
      result[layer] = .object(keys)
    }
    return LayerSections(result)
  }
}

/// What a node is made of.
public struct NodeTemplate: LayerConfig {
  @Setting("The layers, each with its section, as in a node's own file.") public var layers = LayerSections()
  @Setting("The nodes start within so much time, each at a moment of its own.", in: .zero ... .seconds(86_400))
  public var startWithin = Duration.zero
  @Setting("How much storage a node has.") public var storage = ByteCount.gib(1)
  @Setting("How many neighbours a node remembers beside its peers.", in: 1...1_000_000) public var neighbours = 1024
  @Setting("The largest datagram nodes send; by default they find out.", in: NodeLimits.smallestPathLimit...65_507)
  public var pathLimit: Int? = nil

  public init() {}
}

/// What is different about some nodes.
public struct NodeOverride: LayerConfig {
  @Setting("Which nodes: 3, [0, 5], \"0-9\" or \"all\".") public var nodes = NodeSelection([])
  @Setting("Their layers: keys laid over the sections that every node has; null switches a layer off.")
  public var layers = LayerSections()

  public init() {}
}

/// Something that is done at a time: exactly one of command, partition, heal, crash, restart, join, leave and link.
public struct ScenarioAction: LayerConfig {
  /// What becomes of what a node kept.
  public enum Storage: String, Codable, Sendable, CaseIterable { case keep, lose }

  @Setting("When, counted from the start.", in: .zero ... .seconds(864_000_000)) public var at = Duration.zero
  @Setting("How long after each time it is done again.", in: .microseconds(1) ... .seconds(864_000_000))
  public var every: Duration? = nil
  @Setting("How many times it is done.", in: 1...10_000_000) public var times = 1
  @Setting("On which nodes a command is run.") public var node: NodeSelection?
  @Setting("Runs a command: the layer's name and the command's, such as \"gossip publish\".") public var command:
    String?
  @Setting("What the command is given.") public var input: JSON?
  @Setting("Cuts all links between these groups of nodes; those that no group names are one more.")
  public var partition: [NodeSelection]?
  @Setting("Ends the partition.") public var heal = false
  @Setting("These nodes crash: what they had not committed is lost, and they fall silent.") public var crash:
    NodeSelection?
  @Setting("These nodes start again, whether they run or not.") public var restart: NodeSelection?
  @Setting("Whether nodes that start again still have their storage.") public var storage = Storage.keep
  @Setting("A new node joins.") public var join: JoinSettings?
  @Setting("These nodes stop in good order.") public var leave: NodeSelection?
  @Setting("Changes links.") public var link: LinkChange?

  public init() {}

  /// The keys that say what is done.
  static let verbs = ["command", "partition", "heal", "crash", "restart", "join", "leave", "link"]

  /// Those of them that are given.
  var given: [String] {
    let present = [
      command != nil, partition != nil, heal, crash != nil, restart != nil, join != nil, leave != nil, link != nil,
    ]
    return zip(Self.verbs, present).filter(\.1).map(\.0)
  }
}

/// A node that joins.
public struct JoinSettings: LayerConfig {
  @Setting("The nodes it starts with as its peers.") public var peers = NodeSelection([0])
  @Setting("How many nodes join.", in: 1...100_000) public var count = 1
  @Setting("Their layers: keys laid over the sections that every node has.") public var layers = LayerSections()

  public init() {}
}

/// When a simulation ends.
public struct StopSettings: LayerConfig {
  @Setting("It ends at this time at the latest.", in: .nanoseconds(1) ... .seconds(864_000_000))
  public var after = Duration.seconds(60)
  @Setting("It ends, and has passed, once all of these hold. When they don't by the end, it has failed.")
  public var when: [Condition] = []
  @Setting("It ends at once, and has failed, when one of these holds.") public var never: [Condition] = []
  @Setting("How often conditions over metrics are looked at.", in: .microseconds(1) ... .seconds(3600))
  public var check = Duration.milliseconds(100)
  @Setting("It ends after so many deliveries at the latest, and has failed.", in: 1...)
  public var deliveries = 10_000_000_000

  public init() {}
}

/// Something that can be said of the nodes at a time.
public struct Condition: LayerConfig {
  /// Over which nodes a condition is taken.
  public enum Extent: String, Codable, Sendable, CaseIterable {
    /// Each node that runs.
    case all
    /// One node at least.
    case any
    /// All nodes together.
    case sum
  }

  @Setting("An event, such as \"gossip.rumor\": so many of it were published.") public var event: String?
  @Setting("How many of the event.", in: 1...) public var count = 1
  @Setting("A metric, such as \"echo.asked\" (of a histogram: how many values).") public var metric: String?
  @Setting("The metric is at least this.") public var atLeast: Double?
  @Setting("The metric is at most this.") public var atMost: Double?
  @Setting("Whether it must hold on each node, on any, or of their sum.") public var on = Extent.sum

  public init() {}

  /// In a few words.
  var text: String {
    let extent =
      switch on {
      case .all: " on every node"
      case .any: " on some node"
      case .sum: ""
      }
    if let event { return "\(event) \(count) times" + extent }
    let bounds = [
      atLeast.map { "at least \(JSON.number($0).text())" }, atMost.map { "at most \(JSON.number($0).text())" },
    ]
    return "\(metric ?? "") " + bounds.compactMap { $0 }.joined(separator: " and ") + extent
  }
}

/// What a report is to hold.
public struct ReportSettings: LayerConfig {
  @Setting("Whether events are counted and timed.") public var events = true
  @Setting("How many log lines are kept.", in: 0...1_000_000) public var logLines = 1_000
  @Setting("The least important log level that is kept.") public var logLevel = LogLevel.notice
  @Setting("How many of the commands' answers are kept.", in: 0...1_000_000) public var commands = 10_000

  public init() {}
}
