// EventWatchers: the clients that have a stream open, the sign of life that each gets, and what one missed meanwhile.
import StackCore

/// Clients with an open stream of server-sent events: those of commands, and those that watch the node's events.
///
/// How much a client may leave unread is bounded by the HTTP server, which cuts a slow one off. The timer is set only
/// while there is a client. The newest events are kept while somebody watches and a little longer, so that a client
/// that comes back with the number of the last event it has seen gets those it has missed.
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

  /// An event that was told, ready to be told again.
  private struct Told {
    var id: UInt64
    var layer: String
    var bytes: [UInt8]
  }

  /// How many events, and how many bytes of them, are kept for those who come back; the oldest go first.
  static let keptEvents = 1024
  static let keptBytes = 1 << 20
  /// How long events are still observed and kept after the last client has gone.
  var linger = Duration.seconds(10)
  /// Tells the node to observe its events, or not to.
  var observe: (Bool) -> Void = { _ in }

  private let loop: EventLoop
  private var watchers: [Watcher] = []
  private var kept: [Told] = []
  private var bytesKept = 0
  /// The newest event that is not kept: whoever has seen less has missed something.
  private var lostUpTo: UInt64
  private var isObserving = false
  private var lingering: LoopTimer?
  /// Streams of commands.
  private var streams: [HTTPRequest] = []
  private var timer: LoopTimer?
  private var lastID: UInt64

  /// Numbers grow from one run of the node to the next, so that a number of an earlier run is known for one.
  init(loop: EventLoop, firstID: UInt64) {
    self.loop = loop
    lastID = firstID
    lostUpTo = firstID
  }

  /// How many clients watch the events.
  var count: Int { watchers.count }

  /// Adds a client that watches events; `since` is the number of the last that it has seen.
  func add(_ request: HTTPRequest, layers: [String]?, since: UInt64?) {
    request.startEvents()
    watchers.append(Watcher(request: request, layers: layers))
    beat()
    lingering?.cancel()
    // What happened while nobody observed is nowhere.
    if !isObserving { lostUpTo = lastID }
    setObserving(true)
    // The first comment tells the client that it is heard, before any event has come.
    request.write(": watching\n\n")
    guard let since else { return }
    if since < lostUpTo || since > lastID { request.send(event: "missed", id: lostUpTo, ["after": JSON(since)]) }
    for told in kept where told.id > since || since > lastID {
      if layers?.contains(told.layer) ?? true { request.write(told.bytes) }
    }
  }

  private func setObserving(_ wanted: Bool) {
    guard isObserving != wanted else { return }
    isObserving = wanted
    observe(wanted)
    if !wanted { (kept, bytesKept, lostUpTo) = ([], 0, lastID) }
  }

  /// Nobody watches: somebody may come back soon.
  private func startLingering() {
    guard linger > .zero else { return setObserving(false) }
    let timer =
      lingering
      ?? loop.timer { [unowned self] in if self.watchers.isEmpty { self.setObserving(false) } }
    lingering = timer
    timer.set(after: linger)
  }

  /// Adds a command's stream, which only wants the signs of life.
  func keepAlive(_ request: HTTPRequest) {
    streams.append(request)
    beat()
  }

  /// Forgets a client.
  func forget(_ request: HTTPRequest) {
    let before = watchers.count
    watchers.removeAll { $0.request === request }
    if before > 0, watchers.isEmpty { startLingering() }
    streams.removeAll { $0 === request }
    if watchers.isEmpty, streams.isEmpty { timer?.cancel() }
  }

  /// Sends an event to all that asked for its layer.
  func tell(_ event: EventRecord) {
    lastID += 1
    let bytes = HTTPRequest.eventBytes("\(event.layer).\(event.name)", id: lastID, Self.describe(event))
    keep(Told(id: lastID, layer: event.layer, bytes: bytes))
    for watcher in watchers where watcher.layers?.contains(event.layer) ?? true { watcher.request.write(bytes) }
  }

  private func keep(_ told: Told) {
    kept.append(told)
    bytesKept += told.bytes.count
    guard kept.count > Self.keptEvents || bytesKept > Self.keptBytes else { return }
    // A quarter at a time, so that the rest moves seldom.
    var gone = 0
    while gone < kept.count, gone < Self.keptEvents / 4 || bytesKept > Self.keptBytes {
      bytesKept -= kept[gone].bytes.count
      lostUpTo = kept[gone].id
      gone += 1
    }
    kept.removeFirst(gone)
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
    lingering?.cancel()
    setObserving(false)
    for request in all { request.end() }
  }
}
