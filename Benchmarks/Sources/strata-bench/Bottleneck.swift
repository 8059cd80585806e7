// Bottleneck: two downloads and a TCP flow over one simulated link: whole nodes, and TCP's window beside them.
import FileShare
import Glibc
import StackCore
import StackSim

/// A bulk flow as TCP has it: selective acknowledgements, every second segment's (RFC 5681), and Reno's window or
/// CUBIC's with its fast convergence (RFC 9438).
final class TCPLikeLayer: ProtocolLayer {
  struct Config: LayerConfig {
    @Setting("Whether it sends.") var sends = false
    @Setting("Whether the window is CUBIC's; else Reno's.") var isCubic = false
  }
  enum Timer { case check, acknowledge }
  /// What is sent again comes under a number of its own; what is older than `oldest` is missing no more.
  struct Segment: WireMessage {
    var number: UInt64 = 0
    var oldest: UInt64 = 0
    var data: [UInt8] = []
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "number", &number)
      try field(2, "oldest", &oldest)
      try field(3, "data", &data)
    }
  }
  struct Acknowledgement: WireMessage {
    var numbers: [UInt64] = []
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "numbers", &numbers) }
  }
  struct Counted: CommandInput {}
  static let manifest = LayerManifest("tcp", "Sends as TCP does.")
  static let size = 1_380

  private let config: Config
  private var delivered: UInt64 = 0
  /// The next segment in order, those that came before their turn, and the one whose acknowledgement waits for another.
  private var next: UInt64 = 1
  private var early: Set<UInt64> = []
  private var waiting: (number: UInt64, from: Address)?
  private var isRunning = false
  private var window = 10.0
  private var threshold = Double.infinity
  private var sent: UInt64 = 0
  private var outstanding: [UInt64] = []
  private var recovery: UInt64 = 0
  private var before = 0.0
  private var epoch: Instant?
  private var lastHeard: Instant?
  private var sentAt: [UInt64: Instant] = [:]
  private var roundTrip = 0.04
  private let data = [UInt8](repeating: 7, count: TCPLikeLayer.size)

  init(config: Config, setup: LayerSetup<TCPLikeLayer>) {
    self.config = config
    setup.on(1000, Segment.self, TCPLikeLayer.heard)
    setup.on(1001, Acknowledgement.self, TCPLikeLayer.acknowledged)
    setup.command("begin", "Begins to send.", TCPLikeLayer.begin)
    setup.command("count", "How many bytes came.", TCPLikeLayer.counted)
  }

  func counted(_ input: Counted, _ context: borrowing LayerContext<TCPLikeLayer>) throws -> UInt64 { delivered }

  func begin(_ input: Counted, _ context: borrowing LayerContext<TCPLikeLayer>) throws -> Bool {
    isRunning = config.sends
    lastHeard = context.now
    fill(context)
    context.arm(.check, after: .milliseconds(50))
    return isRunning
  }

  func heard(_ segment: Segment, from: Address, _ context: borrowing LayerContext<TCPLikeLayer>) {
    delivered += UInt64(segment.data.count)
    // Every second segment is acknowledged, and while one is missing each at once.
    if segment.oldest > next {
      next = segment.oldest
      early = early.filter { $0 >= next }
    }
    early.insert(segment.number)
    while early.remove(next) != nil { next += 1 }
    if waiting == nil, early.isEmpty {
      waiting = (segment.number, from)
      context.arm(.acknowledge, after: .milliseconds(40))
    } else {
      acknowledge(segment.number, to: from, context)
    }
  }

  private func acknowledge(_ number: UInt64?, to sender: Address, _ context: borrowing LayerContext<TCPLikeLayer>) {
    let numbers = [waiting?.number, number].compactMap { $0 }
    if waiting != nil { context.cancel(.acknowledge) }
    waiting = nil
    context.send(Acknowledgement(numbers: numbers), as: 1001, to: sender)
  }

  func timerFired(_ timer: Timer, _ context: borrowing LayerContext<TCPLikeLayer>) {
    if case .acknowledge = timer {
      if let waiting { acknowledge(nil, to: waiting.from, context) }
      return
    }
    // Nothing has come for a second: all is lost, and it begins anew.
    if let heard = lastHeard, context.now - heard > .seconds(1) {
      outstanding = []
      threshold = max(2, window / 2)
      window = 2
      lastHeard = context.now
      fill(context)
    }
    context.arm(.check, after: .milliseconds(50))
  }

  private func fill(_ context: borrowing LayerContext<TCPLikeLayer>) {
    while isRunning, Double(outstanding.count) < window {
      sent += 1
      outstanding.append(sent)
      sentAt[sent] = context.now
      context.sendToNeighbours(Segment(number: sent, oldest: outstanding.first ?? sent, data: data), as: 1000)
    }
  }

  func acknowledged(
    _ acknowledgement: Acknowledgement, from: Address, _ context: borrowing LayerContext<TCPLikeLayer>
  ) {
    lastHeard = context.now
    for number in acknowledgement.numbers { take(number, context.now) }
    fill(context)
  }

  private func take(_ number: UInt64, _ now: Instant) {
    if let at = sentAt.removeValue(forKey: number) { roundTrip += ((now - at).inSeconds - roundTrip) / 8 }
    if let place = outstanding.firstIndex(of: number) {
      outstanding.remove(at: place)
      grow(now)
    }
    // Three later ones have come: what is older is lost. Numbers ascend.
    let lost = outstanding.prefix { $0 + 3 <= number }
    if let last = lost.last {
      for one in lost { sentAt[one] = nil }
      outstanding.removeFirst(lost.count)
      if last > recovery {
        recovery = sent
        // Who had less than before gives way faster.
        before = window < before ? window * 0.85 : window
        window = max(2, window * (config.isCubic ? 0.7 : 0.5))
        threshold = window
        epoch = nil
      }
    }
  }

  private func grow(_ now: Instant) {
    if window < threshold {
      window += 1
      return
    }
    guard config.isCubic else {
      window += 1 / window
      return
    }
    // RFC 9438: C is 0.4, beta 0.7; the friendly region grows by 0.53 packets a round trip.
    let start = epoch ?? now
    if epoch == nil {
      epoch = now
      friendly = window
    }
    let root = cbrt(before * 0.3 / 0.4)
    let time = (now - start).inSeconds + roundTrip - root
    let target = before + 0.4 * time * time * time
    friendly += 3 * 0.3 / 1.7 / window
    if target < friendly {
      window = max(window, friendly)
    } else {
      window += max(0.01 / window, min((target - window) / window, 0.5))
    }
  }
  private var friendly = 0.0
}

/// What each of the three flows gets of the link: two downloads, and TCP.
func bottleneckShares(depth: Double, isCubic: Bool, rate: Int, seed: UInt64) -> [Double] {
  let queue = Int(Double(rate) * 0.04 * depth)
  let json: JSON = [
    "name": "bottleneck", "nodes": 2, "topology": ["kind": "full"],
    "node": ["layers": ["fileshare": [:], "tcp": ["isCubic": .bool(isCubic)]]],
    "overrides": [["nodes": [0], "layers": ["tcp": ["sends": true, "isCubic": .bool(isCubic)]]]],
    "link": ["latency": "20ms", "bandwidth": JSON(rate), "queue": JSON(queue)], "stop": ["after": "1h"],
  ]
  guard let scenario = try? Scenario.load(json, catalog: [FileShare.self, TCPLikeLayer.self]),
    let world = try? Simulation(scenario, catalog: [FileShare.self, TCPLikeLayer.self], seed: seed)
  else { fatalError("no simulation") }
  world.run(for: .milliseconds(500))
  var random = RandomStream(seed: seed, name: "content")
  var links: [JSON] = []
  for name in ["one", "two"] {
    var content: [UInt8] = []
    let size = rate * 60
    content.reserveCapacity(size + 8)
    while content.count < size { withUnsafeBytes(of: random.next()) { content.append(contentsOf: $0) } }
    guard (try? world.disk(of: 0).place("/s/\(name)", content)) != nil,
      case .finished(let shared)? = world.call(
        0, "fileshare", "share", ["paths": [.string("/s/\(name)")]], within: .seconds(60)
      ).last, let link = shared["shared"]?.arrayValue?.first?["link"]
    else { fatalError("it could not be shared") }
    links.append(link)
  }
  for link in links {
    world.begin(1, "fileshare", "download", ["file": link]) { _ in }
    world.run(for: .milliseconds(300))
  }
  // Nothing on the link is left to chance, so the flows' beginnings are.
  world.run(for: .milliseconds(Int64(random.next(below: 500))))
  world.begin(0, "tcp", "begin", [:]) { _ in }
  func delivered() -> [Double] {
    var bytes: [Double] = []
    if case .finished(let json)? = world.call(1, "fileshare", "downloads", [:], within: .seconds(1)).last {
      bytes = (json["downloads"]?.arrayValue ?? []).map { $0["bytes"]?.doubleValue ?? 0 }
    }
    if case .finished(let count)? = world.call(1, "tcp", "count", [:], within: .seconds(1)).last {
      bytes.append(count.doubleValue ?? 0)
    }
    return bytes
  }
  world.run(for: .seconds(10))
  let before = delivered()
  let start = world.now
  world.run(for: .seconds(40))
  let seconds = (world.now - start).inSeconds
  return zip(delivered(), before).map { ($0 - $1) / seconds / Double(rate) }
}

/// Jain's index of fairness: 1 when all have the same.
func jain(_ shares: [Double]) -> Double {
  let sum = shares.reduce(0, +)
  return sum * sum / max(1e-12, Double(shares.count) * shares.reduce(0) { $0 + $1 * $1 })
}

/// Two downloads and a TCP flow through one bottleneck of 5 MB/s and 40 ms: how evenly they share it.
func bottleneckFigures(runs: Int) -> [Figure] {
  say(
    pad("  queue, round trips", 22) + pad("beside", 8) + pad("downloads", 18) + pad("TCP", 10) + pad("all", 10) + "Jain"
  )
  var figures: [Figure] = []
  for isCubic in [false, true] {
    for depth in [0.5, 1, 2] {
      let kind = isCubic ? "cubic" : "reno"
      let all = (1...UInt64(max(1, runs))).map { seed in
        let shares = bottleneckShares(depth: depth, isCubic: isCubic, rate: 5_000_000, seed: seed)
        guard shares.count == 3 else { fatalError("a flow is gone") }
        say(
          pad("  \(round3(depth))", 22) + pad(kind, 8) + pad("\(round3(shares[0])) \(round3(shares[1]))", 18)
            + pad(round3(shares[2]), 10) + pad(round3(shares.reduce(0, +)), 10) + round3(jain(shares)))
        return jain(shares)
      }
      for (name, index) in [("jain", median(all)), ("worst", all.min() ?? 0)] {
        figures.append(
          Figure(
            name: "fileshare.bottleneck.\(kind).\(round3(depth)).\(name)", value: index,
            unit: "Jain's index, two downloads and TCP, simulated, \(all.count) beginnings", baseline: 0.9,
            ratio: index / 0.9))
      }
    }
  }
  return figures
}
