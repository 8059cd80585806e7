// Events: typed news from a layer, for other layers, for people who watch, and for simulations.

/// Names a kind of event and its type.
///
/// The layer that publishes it declares it with `setup.event`; another layer that imports the port from shared
/// vocabulary may subscribe. A port is also the way in for requests that have an effect: who wants something done
/// publishes, and the layer that does it subscribes.
public struct EventPort<Event: Codable & Sendable>: Sendable {
  public let name: String
  public let summary: String
  public init(_ name: String, _ summary: String) {
    self.name = name
    self.summary = summary
  }
}

/// An event on its way out of the node.
public struct EventRecord: Sendable {
  /// The layer that published it, or `core`.
  public var layer: String
  public var name: String
  public var time: Instant
  /// The event as JSON, made only when somebody asks.
  public let json: @Sendable () -> JSON
}

/// How important a line in the log is.
public enum LogLevel: String, Sendable, Codable, CaseIterable, Comparable {
  case debug, info, notice, warning, error

  public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rank < right.rank }
  private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// A line for the node's log.
public struct LogRecord: Sendable {
  public var level: LogLevel
  public var layer: String
  public var time: Instant
  public var message: String

  /// A line.
  public init(level: LogLevel, layer: String, time: Instant, message: String) {
    self.level = level
    self.layer = layer
    self.time = time
    self.message = message
  }
}

/// What leaves a node besides datagrams: answers to commands, events, log lines. Handed out only after a commit.
public enum NodeNews {
  case reply(CommandReply, to: (CommandReply) -> Void)
  case event(EventRecord)
  case log(LogRecord)
}

/// Published by the core when its knowledge of a neighbour changes.
public struct NeighbourChange: Codable, Sendable {
  /// What can change.
  public enum Change: String, Codable, Sendable, CaseIterable { case added, strata, proven, removed }
  /// Whom it concerns, and what has changed.
  public var address: Address
  public var change: Change
  public init(address: Address, change: Change) {
    self.address = address
    self.change = change
  }

  /// Every layer may subscribe to this.
  public static let port = EventPort<NeighbourChange>(
    "neighbour", "A neighbour was added or removed, turned out to speak Strata, or proved its address.")
}
