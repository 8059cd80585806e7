// TopFrame: what `top` shows of some nodes, worked out from what they said now and before.
import StackCore

/// The numbers of one picture.
struct TopFrame {
  struct Node: Hashable {
    var name = ""
    var address = ""
    var state = ""
    var isWell = true
    var uptime: Double?
    var neighbours = 0
    var rateIn = 0.0
    var rateOut = 0.0
    var drops = 0.0
    var memory: Double?
  }
  struct Traffic: Hashable {
    var layer = ""
    var type = ""
    /// Messages and bytes a second.
    var messagesIn = 0.0
    var messagesOut = 0.0
    var bytesIn = 0.0
    var bytesOut = 0.0
    /// Messages since the nodes were started, both ways.
    var total = 0.0
  }
  struct Neighbour: Hashable {
    var node = ""
    var name = ""
    var address = ""
    var roundTrip: Double?
    var lastHeard: Int64?
    var rateIn = 0.0
    var rateOut = 0.0
    /// How much of what was sent to it since `top` began did not arrive there; where only one end is seen, how many
    /// probes had no answer.
    var lost: Double?
  }
  struct Transfer: Hashable {
    var node = ""
    var transfer = NodeSample.Transfer()
  }
  struct Queue: Hashable {
    var name = ""
    var amount = ""
  }

  var nodes: [Node] = []
  var traffic: [Traffic] = []
  var neighbours: [Neighbour] = []
  var transfers: [Transfer] = []
  /// What waits, and what was dropped, and why.
  var queues: [Queue] = []
  var drops: [Queue] = []
}

/// Makes frames from samples.
struct TopModel {
  private var first: [NodeSample] = []
  private var before: [NodeSample] = []
  private var now: [NodeSample] = []

  /// What was said last.
  var samples: [NodeSample] { now }

  /// Takes what all nodes say now, always in the same order.
  mutating func take(_ samples: [NodeSample]) {
    before = now.isEmpty ? samples : now
    now = samples
    if first.isEmpty { first = samples }
    // What a node said before it was started again is no measure for what it says now.
    for place in now.indices where started(now[place]) != started(first[place]) || first[place].failure != nil {
      first[place] = now[place]
    }
  }

  private func started(_ sample: NodeSample) -> Double? { sample.metric("process_start_time_seconds") }

  /// The picture of all nodes, or of one.
  func frame(of only: Int? = nil) -> TopFrame {
    var frame = TopFrame()
    frame.nodes = now.indices.map { node($0) }
    let shown = only.map { [$0] } ?? Array(now.indices)
    frame.traffic = traffic(shown)
    frame.neighbours = shown.flatMap { neighbours($0) }
    frame.transfers = shown.flatMap { place in
      now[place].transfers.map { TopFrame.Transfer(node: now[place].name, transfer: $0) }
    }
    frame.queues = queues(shown)
    frame.drops = drops(shown)
    return frame
  }

  // MARK: Rates

  /// How much a number grew a second; 0 where that can't be told, as after a restart.
  private func rate(_ place: Int, _ key: MetricKey) -> Double {
    guard let new = now[place].metrics[key], let old = before[place].metrics[key], new >= old else { return 0 }
    return perSecond(new - old, place)
  }

  private func perSecond(_ amount: Double, _ place: Int) -> Double {
    let time = now[place].at - before[place].at
    return time > 0.001 ? amount / time : 0
  }

  private func rate(_ place: Int, _ family: String) -> Double { rate(place, MetricKey(family: family)) }

  private func keys(_ place: Int, _ family: String) -> [MetricKey] {
    now[place].metrics.keys.filter { $0.family == family }
  }

  // MARK: Parts

  private func node(_ place: Int) -> TopFrame.Node {
    let sample = now[place]
    var node = TopFrame.Node(name: sample.name, address: sample.address)
    if let failure = sample.failure {
      (node.state, node.isWell) = (failure, false)
      return node
    }
    node.isWell = sample.metric("strata_running") == 1
    node.state = node.isWell ? "running" : "storage failing"
    node.uptime = sample.metric("strata_uptime_seconds")
    node.neighbours = sample.neighbours.count
    node.rateIn = rate(place, "strata_bytes_in_total")
    node.rateOut = rate(place, "strata_bytes_out_total")
    node.drops = keys(place, "strata_drops_total").reduce(0) { $0 + rate(place, $1) }
    node.memory = sample.metric("process_resident_memory_bytes")
    return node
  }

  private func traffic(_ places: [Int]) -> [TopFrame.Traffic] {
    var rows: [[String]: TopFrame.Traffic] = [:]
    for place in places {
      for key in keys(place, "strata_messages_in_total") {
        let (layer, type) = (key.labels["layer"] ?? "", key.labels["type"] ?? "")
        func other(_ family: String) -> MetricKey { MetricKey(family: family, labels: key.labels) }
        var row = rows[[layer, type]] ?? TopFrame.Traffic(layer: layer, type: type)
        row.messagesIn += rate(place, key)
        row.messagesOut += rate(place, other("strata_messages_out_total"))
        row.bytesIn += rate(place, other("strata_message_bytes_in_total"))
        row.bytesOut += rate(place, other("strata_message_bytes_out_total"))
        row.total += (now[place].metrics[key] ?? 0) + (now[place].metrics[other("strata_messages_out_total")] ?? 0)
        rows[[layer, type]] = row
      }
    }
    // The liveliest first; then by what was there in all, so that rows stay in place while little happens.
    return rows.values.filter { $0.total > 0 }.sorted { left, right in
      let (a, b) = ((left.bytesIn + left.bytesOut).rounded(), (right.bytesIn + right.bytesOut).rounded())
      if a != b { return a > b }
      return (right.total, left.layer, left.type) < (left.total, right.layer, right.type)
    }
  }

  private func neighbours(_ place: Int) -> [TopFrame.Neighbour] {
    now[place].neighbours.map { neighbour in
      let old = before[place].neighbours.first { $0.address == neighbour.address } ?? neighbour
      var row = TopFrame.Neighbour(
        node: now[place].name, name: neighbour.name ?? "", address: neighbour.address, roundTrip: neighbour.roundTrip,
        lastHeard: neighbour.lastHeard)
      row.rateIn = perSecond(max(0, neighbour.bytesIn - old.bytesIn), place)
      row.rateOut = perSecond(max(0, neighbour.bytesOut - old.bytesOut), place)
      row.lost = lost(place, neighbour) ?? neighbour.loss
      return row
    }
  }

  /// What one end says it sent against what the other says it got, where both are seen.
  private func lost(_ place: Int, _ neighbour: NodeSample.Neighbour) -> Double? {
    guard let other = now.firstIndex(where: { $0.address == neighbour.address && $0.failure == nil }) else {
      return nil
    }
    let me = now[place].address
    func entry(_ sample: NodeSample, _ address: String) -> NodeSample.Neighbour? {
      sample.neighbours.first { $0.address == address }
    }
    guard let sentBefore = entry(first[place], neighbour.address), let got = entry(now[other], me),
      let gotBefore = entry(first[other], me)
    else { return nil }
    let sent = neighbour.datagramsOut - sentBefore.datagramsOut
    // Fewer say little, for the two are not asked at the same moment.
    guard sent >= 50 else { return nil }
    return min(1, max(0, (sent - (got.datagramsIn - gotBefore.datagramsIn)) / sent))
  }

  private static let queueNames: [(family: String, name: String, isBytes: Bool)] = [
    ("strata_outbox_bytes", "outbox", true), ("strata_jobs_under_way", "jobs", false),
    ("strata_jobs_waiting", "jobs waiting", false), ("strata_calls_open", "calls", false),
    ("strata_messages_unfinished", "unfinished messages", false),
    ("strata_messages_awaiting_introduction", "awaiting introduction", false),
    ("strata_timers_armed", "timers", false), ("strata_control_watchers", "watchers", false),
  ]

  private func queues(_ places: [Int]) -> [TopFrame.Queue] {
    Self.queueNames.map { family, name, isBytes in
      let sum = places.reduce(0) { $0 + (now[$1].metric(family) ?? 0) }
      return TopFrame.Queue(name: name, amount: isBytes ? Units.bytes(sum) : Units.count(sum))
    }
  }

  private func drops(_ places: [Int]) -> [TopFrame.Queue] {
    var sums: [String: Double] = [:]
    for place in places {
      for key in keys(place, "strata_drops_total") {
        sums[key.labels["reason"] ?? "", default: 0] += now[place].metrics[key] ?? 0
      }
    }
    return sums.filter { $0.value > 0 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
      .map { TopFrame.Queue(name: $0.key, amount: Units.count($0.value)) }
  }
}
