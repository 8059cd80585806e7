// MetricsText: a node's numbers in the text format that Prometheus reads (version 0.0.4).
import Glibc
import StackCore

/// Gathers a node's metrics.
struct MetricsText {
  static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// The text.
  private(set) var bytes: [UInt8] = []
  /// The families written; a name that comes twice would make all of the text unreadable.
  private var families: [String] = []

  init(of owner: RealNode) {
    addNode(owner)
    addMessages(owner.node)
    addTraffic(owner.node)
    addPaths(owner)
    addQueues(owner)
    addProcess(owner)
    for metric in owner.node.metricDescriptions { add(metric) }
  }

  // MARK: The node's own

  private mutating func addNode(_ owner: RealNode) {
    let version = Self.escaped(owner.options.version)
    let name = Self.escaped(owner.options.name)
    one("strata_info", "gauge", "The node and its program.", 1, labels: "{name=\"\(name)\",version=\"\(version)\"}")
    one(
      "strata_uptime_seconds", "gauge", "How long ago the node was built.", (owner.loop.now - owner.builtAt).inSeconds)
    one("strata_running", "gauge", "Whether the node runs and its storage works.", owner.state == .running ? 1 : 0)
    one("strata_loop_turns_total", "counter", "How often the loop has woken.", Double(owner.loop.turns))
    one("strata_neighbours", "gauge", "Neighbours known.", Double(owner.node.neighbourList.count))
    one(
      "strata_log_lines_dropped_total", "counter", "Log lines that nobody read in time.", Double(owner.log.dropped))
    one("strata_storage_failures_total", "counter", "How often the storage has failed.", Double(owner.storageFailed))
  }

  private mutating func addMessages(_ node: Node) {
    var rows: [(labels: String, values: [UInt64])] = []
    node.forEachMessageCount { layer, name, messagesIn, bytesIn, messagesOut, bytesOut, malformed in
      rows.append(
        (
          "{layer=\"\(Self.escaped(layer))\",type=\"\(Self.escaped(name))\"}",
          [messagesIn, bytesIn, messagesOut, bytesOut, malformed]
        ))
    }
    let families = [
      ("strata_messages_in_total", "Messages received, by type."),
      ("strata_message_bytes_in_total", "Bytes of messages received, by type."),
      ("strata_messages_out_total", "Messages sent, by type."),
      ("strata_message_bytes_out_total", "Bytes of messages sent, by type."),
      ("strata_messages_malformed_total", "Messages that could not be read, by type."),
    ]
    for (place, family) in families.enumerated() {
      guard begin(family.0, "counter", family.1) else { continue }
      for row in rows { line(family.0, row.labels, Double(row.values[place])) }
    }
  }

  private mutating func addTraffic(_ node: Node) {
    let traffic = node.traffic
    one("strata_datagrams_in_total", "counter", "Datagrams received.", Double(traffic.datagramsIn))
    one("strata_bytes_in_total", "counter", "Bytes received.", Double(traffic.bytesIn))
    one("strata_datagrams_out_total", "counter", "Datagrams sent.", Double(traffic.datagramsOut))
    one("strata_bytes_out_total", "counter", "Bytes sent.", Double(traffic.bytesOut))
    one("strata_unknown_fields_total", "counter", "Packet fields that no layer knows.", Double(traffic.unknownFields))
    one("strata_timers_fired_total", "counter", "Timers that have fired.", Double(traffic.timersFired))
    if begin("strata_drops_total", "counter", "What was dropped, by reason.") {
      for drop in traffic.drops {
        line("strata_drops_total", "{reason=\"\(drop.reason.rawValue)\"}", Double(drop.count))
      }
    }
    if begin("strata_events_total", "counter", "Events published, by kind.") {
      for event in node.eventDescriptions {
        let labels = "{layer=\"\(Self.escaped(event.layer))\",event=\"\(Self.escaped(event.name))\"}"
        line("strata_events_total", labels, Double(event.count))
      }
    }
  }

  /// Of the neighbours that are being measured, of which there are few: see `Node.measure(for:at:)`.
  private mutating func addPaths(_ owner: RealNode) {
    let since = owner.loop.now - Node.pulseMemory
    let rows = owner.node.neighbourList.lazy.filter { $0.measured.map { $0 >= since } ?? false }.prefix(Self.mostPaths)
      .map { (labels: "{address=\"\($0.address)\"}", roundTrip: $0.roundTrip, loss: $0.loss) }
    let paths = Array(rows)
    guard !paths.isEmpty else { return }
    if begin("strata_neighbour_round_trip_seconds", "gauge", "Until a neighbour answers a probe, smoothed.") {
      for path in paths {
        if let time = path.roundTrip { line("strata_neighbour_round_trip_seconds", path.labels, time.inSeconds) }
      }
    }
    if begin("strata_neighbour_loss_ratio", "gauge", "The share of the newest 32 probes without an answer.") {
      for path in paths { if let loss = path.loss { line("strata_neighbour_loss_ratio", path.labels, loss) } }
    }
  }

  /// Of how many neighbours there are lines.
  private static let mostPaths = 256

  private mutating func addQueues(_ owner: RealNode) {
    let queues = owner.node.queues
    let load = owner.pool.load
    one("strata_timers_armed", "gauge", "Timers that are armed.", Double(queues.timersArmed))
    one("strata_outbox_bytes", "gauge", "Bytes that wait to be sent.", Double(queues.outboxBytes))
    one("strata_outbox_entries", "gauge", "Runs of datagrams that wait to be sent.", Double(queues.outboxEntries))
    one("strata_jobs_under_way", "gauge", "Offloaded jobs that have not come back.", Double(queues.jobsUnderWay))
    one("strata_jobs_waiting", "gauge", "Offloaded jobs that wait for a thread.", Double(load.waiting))
    one("strata_calls_open", "gauge", "Calls of streaming commands under way.", Double(queues.callsOpen))
    one(
      "strata_messages_unfinished", "gauge", "Split messages of which pieces miss.", Double(queues.unfinishedMessages))
    one(
      "strata_messages_awaiting_introduction", "gauge", "Large messages whose receiver has yet to introduce itself.",
      Double(queues.messagesAwaitingIntroduction))
    let socket = owner.socket.counters
    one("strata_socket_receive_calls_total", "counter", "Batches received.", Double(socket.receiveCalls))
    one("strata_socket_send_calls_total", "counter", "Batches sent.", Double(socket.sendCalls))
    one("strata_socket_blocked_total", "counter", "How often the kernel had no room.", Double(socket.blocked))
    guard let control = owner.control else { return }
    one("strata_control_requests_total", "counter", "Requests to this port.", Double(control.counters.requests))
    one("strata_control_watchers", "gauge", "Clients that watch the events.", Double(control.watchers.count))
  }

  private mutating func addProcess(_ owner: RealNode) {
    if let bytes = residentBytes() {
      one("process_resident_memory_bytes", "gauge", "Resident memory of the process.", Double(bytes))
    }
    let start = Double(owner.builtAt.nanoseconds / 1_000_000) / 1000
    one("process_start_time_seconds", "gauge", "When the node was built, in seconds since 1970.", start)
  }

  // MARK: The layers'

  /// The name that a layer's metric has here.
  static func name(of metric: MetricDescription) -> String {
    let name = "strata_\(snakeCase(metric.layer))_\(snakeCase(metric.name))"
    if case .counter = metric.source, !name.hasSuffix("_total") { return name + "_total" }
    return name
  }

  static func kind(of metric: MetricDescription) -> String {
    switch metric.source {
    case .counter: "counter"
    case .gauge: "gauge"
    case .histogram: "histogram"
    }
  }

  /// A name in the words that Prometheus takes: `roundTrip` becomes `round_trip`.
  static func snakeCase(_ name: String) -> String {
    var result = ""
    var wasLower = false
    for scalar in name.unicodeScalars {
      let isUpper = ("A"..."Z").contains(scalar)
      let isPlain = isUpper || ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar)
      if isUpper, wasLower { result += "_" }
      result += isPlain ? String(scalar).lowercased() : "_"
      wasLower = isPlain && !isUpper
    }
    return result
  }

  private mutating func add(_ metric: MetricDescription) {
    let name = Self.name(of: metric)
    guard begin(name, Self.kind(of: metric), metric.summary) else { return }
    switch metric.source {
    case .counter(let counter): line(name, "", Double(counter.value))
    case .gauge(let value): line(name, "", value())
    case .histogram(let histogram):
      var total: UInt64 = 0
      for (place, count) in histogram.counts.enumerated() {
        total += count
        let bound = place < histogram.bounds.count ? Self.number(histogram.bounds[place]) : "+Inf"
        line(name + "_bucket", "{le=\"\(bound)\"}", Double(total))
      }
      line(name + "_sum", "", histogram.sum)
      line(name + "_count", "", Double(total))
    }
  }

  // MARK: Lines

  private mutating func one(_ name: String, _ kind: String, _ summary: String, _ value: Double, labels: String = "") {
    if begin(name, kind, summary) { line(name, labels, value) }
  }

  /// Begins a family; false if it was there already.
  private mutating func begin(_ name: String, _ kind: String, _ summary: String) -> Bool {
    guard !families.contains(name) else { return false }
    families.append(name)
    bytes += Array("# HELP \(name) \(Self.escaped(summary, quotes: false))\n# TYPE \(name) \(kind)\n".utf8)
    return true
  }

  private mutating func line(_ name: String, _ labels: String, _ value: Double) {
    bytes += Array("\(name)\(labels) \(Self.number(value))\n".utf8)
  }

  private static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return Int64(exactly: value).map { "\($0)" } ?? "\(value)"
  }

  private static func escaped(_ text: String, quotes: Bool = true) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\"" where quotes: result += "\\\""
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

/// The memory that the process has in use, as the kernel counts it; nil where the kernel doesn't tell.
func residentBytes() -> Int? {
  let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
  guard file >= 0 else { return nil }
  defer { close(file) }
  var bytes = [UInt8](repeating: 0, count: 128)
  let count = read(file, &bytes, bytes.count)
  let words = bytes.prefix(max(0, count)).split(separator: UInt8(ascii: " "))
  guard words.count > 1, let pages = Int(String(decoding: words[1], as: UTF8.self)) else { return nil }
  return pages * sysconf(Int32(_SC_PAGESIZE))
}
