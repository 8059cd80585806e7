// Network: the simulated links: takes a datagram from a node and says when, and as what, it arrives.
import StackCore

/// The links between the nodes of a simulation, and all that is under way on them.
final class Network {
  var queue = EventQueue()
  var pool = DatagramPool()
  var trace = TraceHash()
  var traffic = TrafficSeries()
  var random: RandomStream
  private(set) var drops = [UInt64](repeating: 0, count: NetworkDrop.allCases.count)
  private(set) var sent: UInt64 = 0
  var delivered: UInt64 = 0
  var bytesDelivered: UInt64 = 0
  private(set) var corrupted: UInt64 = 0
  private(set) var duplicated: UInt64 = 0
  private(set) var reordered: UInt64 = 0

  /// The links' models; the first is every link's that no other was given.
  private var models: [LinkModel]
  /// For each sending node the receivers whose link is another, in ascending order.
  private var special: [[(to: Int32, model: Int32)]] = []
  /// For each sending node when its links with a bandwidth are free again, by receiver in ascending order.
  private var lanes: [[(to: Int32, free: Int64)]] = []
  /// Each node's part of a partition.
  private var groups: [Int32] = []
  private(set) var isPartitioned = false

  init(_ link: LinkSettings, random: RandomStream) {
    models = [LinkModel(link)]
    self.random = random
  }

  /// How many nodes have an address.
  var nodeCount: Int { special.count }

  func addNode() {
    special.append([])
    lanes.append([])
    groups.append(0)
  }

  // MARK: Addresses

  /// A node's address: 10.0.0.1:4000 for node 0, and so on.
  @inline(__always) static func address(of node: Int) -> Address {
    Address(ipv4: 0x0a00_0000 | UInt32(node + 1), port: 4000)
  }

  /// The node of an address; -1 for none.
  @inline(__always) func node(at address: Address) -> Int32 {
    guard address.high == 0, address.low >> 24 == 0xffff_0a, address.port == 4000 else { return -1 }
    let node = Int(address.low & 0xff_ffff) - 1
    return node < special.count ? Int32(node) : -1
  }

  // MARK: Links

  /// Changes links: those between two groups, or, without a pair of groups, what all others are.
  func change(_ change: LinkChange, from left: [Int], to right: [Int]) {
    guard change.between != nil else {
      models[0] = LinkModel(change.applied(to: models[0].settings))
      return
    }
    // Links that were alike and are changed alike share a model.
    var made: [Int32: Int32] = [:]
    for one in left {
      for other in right where one != other {
        set(change, one, other, &made)
        if !change.oneWay { set(change, other, one, &made) }
      }
    }
  }

  private func set(_ change: LinkChange, _ from: Int, _ to: Int, _ made: inout [Int32: Int32]) {
    let place = Self.lowerBound(special[from], Int32(to)) { $0.to }
    let isKnown = place < special[from].count && special[from][place].to == Int32(to)
    let old = isKnown ? special[from][place].model : 0
    let new: Int32
    if let known = made[old] {
      new = known
    } else if made.values.contains(old) {
      return  // Already changed in this round: the two groups overlap.
    } else {
      models.append(LinkModel(change.applied(to: models[Int(old)].settings)))
      new = Int32(models.count - 1)
      made[old] = new
    }
    if isKnown { special[from][place].model = new } else { special[from].insert((Int32(to), new), at: place) }
  }

  private static func lowerBound<Entry>(_ entries: [Entry], _ to: Int32, _ key: (Entry) -> Int32) -> Int {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if key(entries[middle]) < to { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private func model(_ from: Int32, _ to: Int32) -> Int {
    if from < 0 || special[Int(from)].isEmpty { return 0 }
    let place = Self.lowerBound(special[Int(from)], to) { $0.to }
    guard place < special[Int(from)].count, special[Int(from)][place].to == to else { return 0 }
    return Int(special[Int(from)][place].model)
  }

  // MARK: Partition

  /// Cuts the links between groups; nodes of no group are one together.
  func partition(_ parts: [[Int]]) {
    for node in groups.indices { groups[node] = 0 }
    for (place, part) in parts.enumerated() { for node in part { groups[node] = Int32(place + 1) } }
    isPartitioned = true
  }

  func heal() { isPartitioned = false }

  @inline(__always) func areApart(_ from: Int32, _ to: Int32) -> Bool {
    isPartitioned && from >= 0 && groups[Int(from)] != groups[Int(to)]
  }

  // MARK: Datagrams

  func drop(_ reason: NetworkDrop, _ from: Int32, _ to: Int32, at now: Int64) {
    let place = NetworkDrop.allCases.firstIndex(of: reason) ?? 0
    drops[place] &+= 1
    traffic.drop(place, at: now)
    trace.mix(UInt64(bitPattern: now))
    trace.mix(UInt64(UInt32(bitPattern: from)) << 32 | UInt64(UInt32(bitPattern: to)))
    trace.mix(0xdead_0000 | UInt64(place))
  }

  /// Puts a datagram on its way.
  func send(
    _ bytes: UnsafeRawPointer, _ count: Int, from: Int32, _ sender: Address, to destination: Address,
    mayFragment: Bool, at now: Int64
  ) {
    sent &+= 1
    let to = node(at: destination)
    guard to >= 0 else { return drop(.nobody, from, to, at: now) }
    if areApart(from, to) { return drop(.partition, from, to, at: now) }
    let model = model(from, to)
    if models[model].isPlain, count <= models[model].mtu {
      return fly(bytes, count, from, sender, to, arriving: now + models[model].delay(&random), at: now)
    }
    sendFaulty(model, bytes, count, from, sender, to, mayFragment, now)
  }

  /// The same on a link where something can befall a datagram.
  private func sendFaulty(
    _ model: Int, _ bytes: UnsafeRawPointer, _ count: Int, _ from: Int32, _ sender: Address, _ to: Int32,
    _ mayFragment: Bool, _ now: Int64
  ) {
    let link = models[model]
    if count > link.mtu, !mayFragment { return drop(.mtu, from, to, at: now) }
    // A datagram that the network cuts is lost when one of its fragments is.
    for _ in 0..<(count + link.mtu - 1) / link.mtu where link.loss.happens(&random) {
      return drop(.loss, from, to, at: now)
    }
    var departure = now
    if link.bytesPerSecond > 0 {
      guard let left = serialise(link, count, from, to, now) else { return drop(.queue, from, to, at: now) }
      departure = left
    }
    let copies = link.duplicate.happens(&random) ? 2 : 1
    duplicated &+= UInt64(copies - 1)
    for _ in 0..<copies {
      var arrival = departure + link.delay(&random)
      if link.reorder.happens(&random) {
        reordered &+= 1
        arrival += link.reorderDelay
      }
      fly(bytes, count, from, sender, to, arriving: arrival, at: now, corrupting: link.corrupt.happens(&random))
    }
  }

  /// When a datagram has left the queue of a link with a bandwidth; nil when there was no room for it.
  private func serialise(_ link: LinkModel, _ count: Int, _ from: Int32, _ to: Int32, _ now: Int64) -> Int64? {
    let takes = Int64(count) * 1_000_000_000 / link.bytesPerSecond
    guard from >= 0 else { return now + takes }
    let place = Self.lowerBound(lanes[Int(from)], to) { $0.to }
    if place == lanes[Int(from)].count || lanes[Int(from)][place].to != to {
      lanes[Int(from)].insert((to, now), at: place)
    }
    let free = max(now, lanes[Int(from)][place].free)
    let waiting = Double(free - now) * Double(link.bytesPerSecond) / 1e9
    guard Int64(waiting) + Int64(count) <= max(link.queueBytes, Int64(count)) else { return nil }
    lanes[Int(from)][place].free = free + takes
    return free + takes
  }

  /// Puts a datagram in the air.
  func fly(
    _ bytes: UnsafeRawPointer, _ count: Int, _ from: Int32, _ sender: Address, _ to: Int32, arriving: Int64,
    at now: Int64,
    corrupting: Bool = false
  ) {
    guard let flight = pool.add(bytes, count, sender: sender, from: from, to: to) else {
      return drop(.overload, from, to, at: now)
    }
    if corrupting, count > 0 { corrupt(flight) }
    queue.push(.delivery, flight, at: arriving)
  }

  private func corrupt(_ flight: Int32) {
    corrupted &+= 1
    let datagram = pool[flight]
    let bits = UInt64(datagram.byteCount) * 8
    for _ in 0...random.next(below: 4) {
      let bit = Int(random.next(below: bits))
      let byte = datagram.bytes.load(fromByteOffset: bit >> 3, as: UInt8.self)
      datagram.bytes.storeBytes(of: byte ^ (1 << UInt8(bit & 7)), toByteOffset: bit >> 3, as: UInt8.self)
    }
  }

  /// Notes a delivery in the trace and the counts.
  @inline(__always) func deliver(_ flight: Flight, at now: Int64) {
    let count = Int(flight.byteCount)
    delivered &+= 1
    bytesDelivered &+= UInt64(count)
    trace.mix(UInt64(bitPattern: now))
    trace.mix(UInt64(UInt32(bitPattern: flight.from)) << 32 | UInt64(UInt32(bitPattern: flight.receiver)))
    trace.mix(flight.bytes, count)
    traffic.deliver(firstField(flight.bytes, count), count, at: now)
  }
}
