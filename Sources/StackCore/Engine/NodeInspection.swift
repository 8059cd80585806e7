// NodeInspection: what a node has and does, for the command line, the control port, the console and reports.

/// A layer as it runs in a node.
public struct RunningLayer: Sendable {
  public var name: String
  public var summary: String
  /// Its section of the configuration, defaults filled in.
  public var settings: JSON
}

/// What has passed through a node since it was built.
public struct NodeTraffic: Sendable {
  public var datagramsIn: UInt64
  public var bytesIn: UInt64
  public var datagramsOut: UInt64
  public var bytesOut: UInt64
  /// Well-formed packet fields that no layer knows.
  public var unknownFields: UInt64
  public var timersFired: UInt64
  /// What was dropped, by reason, in the order of `DropReason`.
  public var drops: [(reason: DropReason, count: UInt64)]
}

/// How full a node's own queues are.
public struct NodeQueues: Sendable {
  public var outboxBytes: Int
  public var outboxEntries: Int
  public var timersArmed: Int
  public var jobsUnderWay: Int
  public var callsOpen: Int
  public var unfinishedMessages: Int
  public var messagesAwaitingIntroduction: Int
}

/// An event kind as people and programs see it.
public struct EventDescription: Sendable {
  public var layer: String
  public var name: String
  public var summary: String
  public var schema: Schema
  /// How many have been published.
  public var count: UInt64
}

extension Node {
  /// The enabled layers, in the order they were built.
  public var layers: [RunningLayer] {
    slots.compactMap { slot in
      slot.map { RunningLayer(name: $0.name, summary: $0.summary, settings: $0.settings) }
    }
  }

  /// The registered messages, by number.
  public var messages: [MessageDescription] {
    ports.ports.sorted { $0.number < $1.number }.map {
      MessageDescription(
        number: $0.number, layer: $0.layer, schema: WireSchema.of($0.type), type: $0.type, sendOnly: $0.sendOnly,
        messagesIn: $0.counts.pointee.messagesIn, bytesIn: $0.counts.pointee.bytesIn,
        messagesOut: $0.counts.pointee.messagesOut, bytesOut: $0.counts.pointee.bytesOut,
        malformed: $0.counts.pointee.malformed)
    }
  }

  /// What has passed through each message type: the numbers of `messages` without their schemas.
  public func forEachMessageCount(
    _ body: (
      _ layer: String, _ name: String, _ messagesIn: UInt64, _ bytesIn: UInt64, _ messagesOut: UInt64,
      _ bytesOut: UInt64, _ malformed: UInt64
    ) -> Void
  ) {
    for port in ports.ports {
      let counts = port.counts.pointee
      body(
        port.layer, port.name, counts.messagesIn, counts.bytesIn, counts.messagesOut, counts.bytesOut,
        counts.malformed)
    }
  }

  /// The registered commands, in the order of registration.
  public var commandDescriptions: [CommandDescription] { commands.map(\.description) }

  /// The registered kinds of content.
  public var contentDescriptions: [ContentDescription] { contents.map(\.description) }

  /// The registered events.
  public var eventDescriptions: [EventDescription] {
    events.map {
      EventDescription(layer: $0.layer, name: $0.name, summary: $0.summary, schema: $0.schema, count: $0.count)
    }
  }

  /// The registered metrics.
  public var metricDescriptions: [MetricDescription] { metrics.map(\.description) }

  /// What has passed through.
  public var traffic: NodeTraffic {
    NodeTraffic(
      datagramsIn: datagramsIn, bytesIn: bytesIn, datagramsOut: datagramsOut, bytesOut: bytesOut,
      unknownFields: unknownFields, timersFired: timersFired,
      drops: zip(DropReason.allCases, drops).map { ($0, $1) })
  }

  /// How full the node's queues are.
  public var queues: NodeQueues {
    var waiting = 0
    for neighbour in neighbours.slots { waiting += neighbour.waiting?.packets.count ?? 0 }
    return NodeQueues(
      outboxBytes: outbox.waitingBytes, outboxEntries: outbox.waiting, timersArmed: timers.count,
      jobsUnderWay: jobsUnderWay, callsOpen: callsOpen, unfinishedMessages: reassembler.unfinished,
      messagesAwaitingIntroduction: waiting)
  }

  /// The neighbours, in the order they became known.
  public var neighbourList: [Neighbour] { neighbours.slots }
}
