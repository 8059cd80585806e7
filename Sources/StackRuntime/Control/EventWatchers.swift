// EventWatchers: the clients that have a stream open, and the sign of life that each gets.
import StackCore

/// Clients with an open stream of server-sent events: those of commands, and those that watch the node's events.
///
/// How much a client may leave unread is bounded by the HTTP server, which cuts a slow one off. The timer is set only
/// while there is a client.
final class EventWatchers {
  /// The most clients that may watch events at once.
  static let limit = 32
  /// How often a stream gets a comment, so that both sides learn when the other has gone.
  static let heartbeat = Duration.seconds(15)

  private struct Watcher {
    var request: HTTPRequest
    /// The layers it asked for; nil: all. Not used for a command's stream.
    var layers: [String]?
  }

  private let loop: EventLoop
  private var watchers: [Watcher] = []
  /// Streams of commands.
  private var streams: [HTTPRequest] = []
  private var timer: LoopTimer?
  private var lastID: UInt64 = 0

  init(loop: EventLoop) { self.loop = loop }

  /// How many clients watch the events.
  var count: Int { watchers.count }

  /// Adds a client that watches events.
  func add(_ request: HTTPRequest, layers: [String]?) {
    request.startEvents()
    watchers.append(Watcher(request: request, layers: layers))
    beat()
    // The first comment tells the client that it is heard, before any event has come.
    request.write(": watching\n\n")
  }

  /// Adds a command's stream, which only wants the signs of life.
  func keepAlive(_ request: HTTPRequest) {
    streams.append(request)
    beat()
  }

  /// Forgets a client.
  func forget(_ request: HTTPRequest) {
    watchers.removeAll { $0.request === request }
    streams.removeAll { $0 === request }
    if watchers.isEmpty, streams.isEmpty { timer?.cancel() }
  }

  /// Sends an event to all that asked for its layer.
  func tell(_ event: EventRecord) {
    lastID += 1
    var json: JSON?
    for watcher in watchers where watcher.layers?.contains(event.layer) ?? true {
      let told = json ?? Self.describe(event)
      json = told
      watcher.request.send(event: "\(event.layer).\(event.name)", id: lastID, told)
    }
  }

  private static func describe(_ event: EventRecord) -> JSON {
    [
      "layer": .string(event.layer), "event": .string(event.name), "time": .string(timeText(event.time)),
      "data": event.json(),
    ]
  }

  private func beat() {
    let timer =
      timer
      ?? loop.timer { [unowned self] in
        for request in self.watchers.map(\.request) + self.streams { request.write(":\n\n") }
        if !self.watchers.isEmpty || !self.streams.isEmpty { self.beat() }
      }
    self.timer = timer
    if timer.deadline == nil { timer.set(after: Self.heartbeat) }
  }

  /// Ends all streams.
  func close() {
    let all = watchers.map(\.request) + streams
    (watchers, streams) = ([], [])
    timer?.cancel()
    for request in all { request.end() }
  }
}
