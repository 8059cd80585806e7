// Tally: what a simulation counts while it runs: events and when they came, commands and answers, per-type totals.
import StackCore

/// Times, as many as memory allows: when there are too many, every second one goes, then every second of the rest.
struct TimeSamples {
  static let most = 65_536
  private(set) var values: [Int64] = []
  private(set) var count: UInt64 = 0
  private(set) var first: Int64?
  private(set) var last: Int64?
  private(set) var largest: Int64 = .min
  private var stride: UInt64 = 1

  mutating func add(_ value: Int64) {
    first = first ?? value
    last = value
    largest = max(largest, value)
    if count % stride == 0 {
      if values.count == Self.most {
        values = Swift.stride(from: 0, to: values.count, by: 2).map { values[$0] }
        stride *= 2
      }
      if count % stride == 0 { values.append(value) }
    }
    count += 1
  }
}

/// One kind of event.
struct EventTally {
  var layer: String
  var name: String
  /// Since the start.
  var times = TimeSamples()
  /// Since the latest action of the scenario.
  var afterAction = TimeSamples()
  var perNode: [UInt32]
  var fullName: String { "\(layer).\(name)" }
}

/// One command that a scenario ran.
struct CommandTally {
  var action: Int
  var node: Int
  var command: String
  var at: Int64
  var progress: UInt64 = 0
  var ended: Int64?
  var output: JSON?
  var error: CommandError?
}

/// One message type's totals over the nodes that are gone.
struct MessageTally {
  var layer: String
  var name: String
  var messagesIn: UInt64 = 0
  var bytesIn: UInt64 = 0
  var messagesOut: UInt64 = 0
  var bytesOut: UInt64 = 0
  var malformed: UInt64 = 0
}

/// All counts of a simulation that aren't the network's.
struct Tally {
  var events: [EventTally] = []
  var commands: [CommandTally] = []
  var commandsRun: UInt64 = 0
  var commandsFailed: UInt64 = 0
  /// What nodes had counted when they went away.
  var messages: [MessageTally] = []
  var drops = [UInt64](repeating: 0, count: DropReason.allCases.count)
  var timersFired: UInt64 = 0
  var unknownFields: UInt64 = 0
  /// When the latest action was done.
  var lastAction: Int64?
  var crashes: UInt64 = 0
  var restarts: UInt64 = 0

  /// Counts an event; answers its kind.
  mutating func note(_ record: EventRecord, node: Int, at now: Int64) -> Int {
    var kind = 0
    while kind < events.count, events[kind].name != record.name || events[kind].layer != record.layer { kind += 1 }
    if kind == events.count { events.append(EventTally(layer: record.layer, name: record.name, perNode: [])) }
    events[kind].times.add(now)
    if let lastAction { events[kind].afterAction.add(now - lastAction) }
    while events[kind].perNode.count <= node { events[kind].perNode.append(0) }
    events[kind].perNode[node] &+= 1
    return kind
  }

  /// Adds what a node has counted so far.
  mutating func add(_ node: Node) {
    node.forEachMessageCount { layer, name, messagesIn, bytesIn, messagesOut, bytesOut, malformed in
      var place = 0
      while place < messages.count, messages[place].name != name || messages[place].layer != layer { place += 1 }
      if place == messages.count { messages.append(MessageTally(layer: layer, name: name)) }
      messages[place].messagesIn += messagesIn
      messages[place].bytesIn += bytesIn
      messages[place].messagesOut += messagesOut
      messages[place].bytesOut += bytesOut
      messages[place].malformed += malformed
    }
    let traffic = node.traffic
    for (place, drop) in traffic.drops.enumerated() { drops[place] += drop.count }
    timersFired += traffic.timersFired
    unknownFields += traffic.unknownFields
  }
}
