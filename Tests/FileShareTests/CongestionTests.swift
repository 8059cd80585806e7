// CongestionTests: the window over links with loss, and beside others and TCP at one bottleneck.
import StackCore
import Testing

@testable import FileShare

/// A link with a queue, over which flows of several kinds bring data to their receivers.
private final class Bottleneck {
  struct Event { var time: Int64; var order: Int; var run: () -> Void }
  private var heap: [Event] = []
  private var order = 0
  var now: Int64 = 0
  var time: Instant { Instant(nanoseconds: now) }
  let bytesPerSecond: Double
  let queueBytes: Double
  let oneWay: Int64
  let loss: Double
  var random: RandomStream
  private var freeAt: Double = 0

  init(bytesPerSecond: Double, queueBytes: Double, roundTrip: Duration, loss: Double, seed: UInt64) {
    self.bytesPerSecond = bytesPerSecond
    self.queueBytes = queueBytes
    oneWay = roundTrip.nanoseconds / 2
    self.loss = loss
    random = RandomStream(seed: seed, name: "bottleneck")
  }

  func after(_ nanoseconds: Int64, _ run: @escaping () -> Void) {
    order += 1
    heap.append(Event(time: now + max(1, nanoseconds), order: order, run: run))
    var child = heap.count - 1
    while child > 0, isBefore(child, (child - 1) / 2) {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }
  private func isBefore(_ left: Int, _ right: Int) -> Bool {
    (heap[left].time, heap[left].order) < (heap[right].time, heap[right].order)
  }
  func run(until end: Int64) {
    while let first = heap.first, first.time <= end {
      heap.swapAt(0, heap.count - 1)
      heap.removeLast()
      var parent = 0
      while true {
        var least = parent
        for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) {
          least = child
        }
        if least == parent { break }
        heap.swapAt(parent, least)
        parent = least
      }
      now = first.time
      first.run()
    }
  }

  /// A request or an acknowledgement: the way back has room, but loses as well.
  func back(_ run: @escaping () -> Void) { if random.nextUnit() >= loss { after(oneWay, run) } }

  /// A packet into the queue.
  func send(_ bytes: Int, _ run: @escaping () -> Void) {
    if random.nextUnit() < loss { return }
    let start = max(freeAt, Double(now))
    if (start - Double(now)) * bytesPerSecond / 1e9 + Double(bytes) > queueBytes { return }
    freeAt = start + Double(bytes) / bytesPerSecond * 1e9
    after(Int64(freeAt) - now + oneWay, run)
  }
}

private protocol Flow: AnyObject {
  var delivered: Int { get }
  func start()
}

/// A download: the real holder's window and its rules about what is lost.
private final class DownloadFlow: Flow {
  let link: Bottleneck
  var holder: Holder
  var delivered = 0
  private var next: UInt32 = 1
  private var seen: Set<Int> = []
  private var unit = 0

  init(_ link: Bottleneck) {
    self.link = link
    holder = Holder(id: 1, address: Address(ipv4: 1, port: 1), name: nil, at: link.time)
  }
  func start() {
    pump()
    tick()
  }
  private func tick() {
    link.after(5_000_000) { [self] in
      _ = holder.takeLost(at: link.time)
      if holder.isSilent(at: link.time) {
        _ = holder.takeAll(at: link.time)
        holder.window.timedOut(at: link.time)
        holder.silences += 1
      }
      pump()
      tick()
    }
  }
  private func pump() {
    while true {
      let quantum = holder.window.quantum(least: 2_048, most: 1 << 19)
      guard holder.room >= quantum || holder.inFlight == 0 else { return }
      let units = max(1, quantum >> 10)
      let number = next
      next += 1
      holder.asked(number, level: 0, [unit..<unit + units], bytes: units << 10, at: link.time)
      unit += units
      link.back { [self] in
        for _ in 0..<units { link.send(1_024 + 51) { [self] in came(number) } }
      }
    }
  }
  private func came(_ number: UInt32) {
    guard let (place, _) = holder.request(number) else { return }
    delivered += 1_024
    _ = holder.arrived(place, bytes: 1_024, at: link.time)
    _ = holder.takeLost(at: link.time)
    pump()
  }
}

/// TCP with selective acknowledgements: Reno's window or CUBIC's.
private final class TCPFlow: Flow {
  let link: Bottleneck
  let isCubic: Bool
  var delivered = 0
  private var window = 10.0
  private var threshold = Double.infinity
  private var sent = 0
  private var outstanding: [Int] = []
  private var recovery = 0
  private var before = 0.0
  private var epoch: Int64 = -1
  private var lastHeard: Int64 = 0

  init(_ link: Bottleneck, isCubic: Bool) {
    self.link = link
    self.isCubic = isCubic
  }
  func start() {
    pump()
    check()
  }
  private func check() {
    link.after(50_000_000) { [self] in
      if link.now - lastHeard > 1_000_000_000 {
        outstanding = []
        threshold = max(2, window / 2)
        window = 2
        lastHeard = link.now
        pump()
      }
      check()
    }
  }
  private func pump() {
    while Double(outstanding.count) < window {
      sent += 1
      let number = sent
      outstanding.append(number)
      link.send(1_500) { [self] in
        delivered += 1_448
        link.after(link.oneWay) { [self] in acknowledged(number) }
      }
    }
  }
  private func acknowledged(_ number: Int) {
    lastHeard = link.now
    let count = outstanding.count
    outstanding.removeAll { $0 == number }
    if outstanding.count < count { grow() }
    // Three later ones have come: what is older is lost.
    let lost = outstanding.filter { $0 + 3 <= number }
    if let last = lost.last {
      outstanding.removeAll { $0 + 3 <= number }
      if last > recovery {
        recovery = sent
        before = window
        window = max(2, window * (isCubic ? 0.7 : 0.5))
        threshold = window
        epoch = -1
      }
    }
    pump()
  }
  private func grow() {
    if window < threshold {
      window += 1
      return
    }
    guard isCubic else {
      window += 1 / window
      return
    }
    if epoch < 0 { epoch = link.now }
    var root = 1.0
    for _ in 0..<32 { root -= (root * root * root - before * 0.3 / 0.4) / (3 * root * root) }
    let time = Double(link.now - epoch) / 1e9 + 0.04 - root
    let target = before + 0.4 * time * time * time
    if target > window { window += min((target - window) / window, 0.5) } else { window += 0.01 / window }
    window += 0.0001
  }
}

@Suite struct CongestionTests {
  private func shares(
    _ flows: (Bottleneck) -> [any Flow], _ link: Bottleneck, seconds: Double, warmUp: Double
  ) -> [Double] {
    let flows = flows(link)
    for (place, flow) in flows.enumerated() { link.after(Int64(place) * 300_000_000) { flow.start() } }
    link.run(until: Int64(warmUp * 1e9))
    let before = flows.map(\.delivered)
    link.run(until: Int64((warmUp + seconds) * 1e9))
    return zip(flows, before).map { Double($0.delivered - $1) / seconds / link.bytesPerSecond }
  }

  private func jain(_ shares: [Double]) -> Double {
    let sum = shares.reduce(0, +)
    return sum * sum / (Double(shares.count) * shares.reduce(0) { $0 + $1 * $1 })
  }

  /// A path that loses a piece in twenty by itself, both ways, stays full.
  @Test(arguments: [UInt64](1...3)) func lossAloneDoesNotSlowItDown(seed: UInt64) {
    let link = Bottleneck(
      bytesPerSecond: 12_500_000, queueBytes: 65_536, roundTrip: .milliseconds(40), loss: 0.05, seed: seed)
    let share = shares({ [DownloadFlow($0)] }, link, seconds: 8, warmUp: 1)[0]
    #expect(share > 0.7, "seed \(seed): \(share) of the link")
  }

  @Test(arguments: [0.5, 1, 2], [false, true]) func twoDownloadsAndTCPShareFairly(depth: Double, isCubic: Bool) {
    let rate = 5_000_000.0
    let link = Bottleneck(
      bytesPerSecond: rate, queueBytes: rate * 0.04 * depth, roundTrip: .milliseconds(40), loss: 0, seed: 1)
    let shares = shares(
      { [DownloadFlow($0), DownloadFlow($0), TCPFlow($0, isCubic: isCubic)] }, link, seconds: 40, warmUp: 10)
    // In a deep queue not even three flows of CUBIC share better: 0.83 here.
    let least = isCubic && depth > 1 ? 0.83 : 0.9
    #expect(jain(shares) >= least, "a queue of \(depth) round trips, \(isCubic ? "CUBIC" : "Reno"): \(shares)")
    #expect(shares.reduce(0, +) > 0.8)
  }
}
