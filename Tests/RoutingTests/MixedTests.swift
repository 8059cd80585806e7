// MixedTests: Strata nodes and Go Peersters in one network, where the latter drop all that they don't know.
import Gossip
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Routing

/// As much of a Go Peerster as matters here: it reads what it knows, writes its own structs anew, and floods rumors.
private final class Peerster {
  let name: WireText
  let neighbours: [Address]
  private var rumors: [WireText: [WireText]] = [:]
  private var nextHops: [WireText: Address] = [:]
  private(set) var received: [WireText] = []
  /// Private messages that it passed on.
  private(set) var passed = 0

  init(_ name: WireText, neighbours: [Address]) {
    self.name = name
    self.neighbours = neighbours
  }

  typealias Datagram = (to: Address, bytes: [UInt8])

  func publish(_ text: WireText) -> [Datagram] {
    rumors[name, default: []].append(text)
    let rumor = Rumor(origin: name, id: UInt32(rumors[name]?.count ?? 0), text: text)
    return neighbours.map { ($0, packet(2, rumor)) }
  }

  func receive(_ bytes: [UInt8], from: Address) -> [Datagram] {
    var reader = WireReader(bytes.span.bytes)
    guard let tag = try? reader.nextTag(), tag.type == .bytes, var body = try? reader.readNested() else { return [] }
    switch tag.number {
    case 2: return (try? Rumor(from: &body)).map { heard($0, from) } ?? []
    case 3: return (try? Status(from: &body)).map { answer($0, from) } ?? []
    case 4: return (try? Private(from: &body)).map { pass($0) } ?? []
    default: return []
    }
  }

  private func heard(_ rumor: Rumor, _ from: Address) -> [Datagram] {
    var out: [Datagram] = []
    if Int(rumor.id) == rumors[rumor.origin, default: []].count + 1, rumor.origin != name {
      rumors[rumor.origin, default: []].append(rumor.text)
      nextHops[rumor.origin] = from
      let bare = Rumor(origin: rumor.origin, id: rumor.id, text: rumor.text)
      out += neighbours.filter { $0 != from }.map { ($0, packet(2, bare)) }
    }
    return out + [(from, packet(3, status))]
  }

  private var status: Status {
    Status(
      want: rumors.keys.sorted().map { PeerStatus(identifier: $0, nextID: UInt32((rumors[$0]?.count ?? 0) + 1)) })
  }

  private func answer(_ status: Status, _ from: Address) -> [Datagram] {
    let theirs = Dictionary(status.want.map { ($0.identifier, Int($0.nextID)) }, uniquingKeysWith: max)
    for origin in rumors.keys.sorted() {
      let next = theirs[origin] ?? 1
      guard let texts = rumors[origin], next <= texts.count else { continue }
      return [(from, packet(2, Rumor(origin: origin, id: UInt32(next), text: texts[next - 1])))]
    }
    let isBehind = theirs.keys.sorted().contains { (theirs[$0] ?? 1) > (rumors[$0]?.count ?? 0) + 1 }
    return isBehind ? [(from, packet(3, self.status))] : []
  }

  private func pass(_ message: Private) -> [Datagram] {
    if message.destination == name {
      received.append(message.text)
      return []
    }
    guard message.hopLimit > 1, let next = nextHops[message.destination] else { return [] }
    passed += 1
    let bare = Private(
      origin: message.origin, text: message.text, destination: message.destination, hopLimit: message.hopLimit - 1)
    return [(next, packet(4, bare))]
  }
}

/// Nodes of both kinds on links that lose datagrams.
private final class Mixed {
  var now = Instant(nanoseconds: 1_000_000_000)
  private var nodes: [Address: Node] = [:]
  private var peersters: [Address: Peerster] = [:]
  private var order: [Address] = []
  private var flying: [(at: Instant, from: Address, to: Address, bytes: [UInt8])] = []
  private var random: RandomStream
  var loss = 0.0
  var received: [String: [String]] = [:]
  /// What has become of each message, by node and number.
  var states: [String: [Int64: String]] = [:]

  init(seed: UInt64) { random = RandomStream(seed: seed) }

  static func address(_ number: Int) -> Address { Address(ipv4: 0x0a00_0000 + UInt32(number), port: 5000) }

  func add(_ name: String, _ number: Int, peers: [Int]) throws {
    let address = Self.address(number)
    let blueprint = NodeBlueprint(
      name: name, address: address, peers: peers.map(Self.address),
      layers: [(Gossip.self, ["antiEntropy": "1s"]), (Routing.self, ["routeRumor": "5s", "receiptTimeout": "500ms"])],
      seed: UInt64(number))
    let disk = SimDisk()
    let node = try Node(blueprint, storage: SimStorage()) { disk.files(root: "/\($0)") }
    node.observesEvents = true
    nodes[address] = node
    order.append(address)
    node.start(at: now)
    settle(address, node)
  }

  func addPeerster(_ peerster: Peerster, _ number: Int) {
    peersters[Self.address(number)] = peerster
    order.append(Self.address(number))
    for datagram in peerster.publish("") { fly(from: Self.address(number), datagram.to, datagram.bytes) }
  }

  private func fly(from: Address, _ to: Address, _ bytes: [UInt8]) {
    if random.nextUnit() < loss { return }
    flying.append((now + .milliseconds(10 + Int64(random.next(below: 10))), from, to, bytes))
  }

  private func settle(_ address: Address, _ node: Node) {
    try? node.commit()
    node.withOutgoing { bytes, entries in
      for entry in entries {
        let all = UnsafeRawBufferPointer(start: bytes + entry.offset, count: entry.byteCount)
        let size = entry.segmentSize == 0 ? entry.byteCount : entry.segmentSize
        for start in stride(from: 0, to: entry.byteCount, by: max(1, size)) {
          fly(from: address, entry.destination, Array(all[start..<min(start + size, all.count)]))
        }
      }
      return (entries.count, 0)
    }
    for case .event(let event) in node.takeNews() where event.layer == "routing" {
      let json = event.json()
      if event.name == "private" { received[node.name, default: []].append(json["text"]?.stringValue ?? "") }
      if event.name == "message" {
        states[node.name, default: [:]][json["number"]?.integerValue ?? 0] = json["state"]?.stringValue ?? ""
      }
    }
  }

  func send(_ number: Int, to name: String, _ text: String) {
    guard let node = nodes[Self.address(number)] else { return }
    node.call("routing", "send", ["name": .string(name), "text": .string(text)], at: now) { _ in }
    settle(Self.address(number), node)
  }

  func run(for duration: Duration) {
    let end = now + duration
    while now < end {
      now = now + .milliseconds(5)
      let due = flying.filter { $0.at <= now }
      flying.removeAll { $0.at <= now }
      for datagram in due {
        if let node = nodes[datagram.to] {
          node.receive(datagram.bytes.span.bytes, from: datagram.from, at: now)
          settle(datagram.to, node)
        } else if let peerster = peersters[datagram.to] {
          for answer in peerster.receive(datagram.bytes, from: datagram.from) {
            fly(from: datagram.to, answer.to, answer.bytes)
          }
        }
      }
      for address in order {
        guard let node = nodes[address], let deadline = node.nextDeadline, deadline <= now else { continue }
        node.fireTimers(at: now)
        settle(address, node)
      }
    }
  }
}

@Suite struct MixedTests {
  /// A and B over the Strata node S or the Peerster G; C behind the Peerster H only.
  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func nothingComesTwiceThoughOneWayDropsTheNumbers(_ seed: UInt64) throws {
    let net = Mixed(seed: seed)
    try net.add("A", 1, peers: [2, 3, 5])
    try net.add("S", 2, peers: [1, 4])
    try net.add("B", 4, peers: [2, 3])
    try net.add("C", 6, peers: [5])
    let through = Peerster("G", neighbours: [1, 4].map(Mixed.address))
    let before = Peerster("H", neighbours: [1, 6].map(Mixed.address))
    net.addPeerster(through, 3)
    net.addPeerster(before, 5)
    net.run(for: .seconds(20))
    net.loss = 0.2
    for number in 0..<30 {
      net.send(1, to: "B", "to B \(number)")
      if number % 3 == 0 { net.send(1, to: "C", "to C \(number)") }
      if number % 5 == 0 { net.send(1, to: "H", "to H \(number)") }
      net.run(for: .milliseconds(300))
    }
    net.run(for: .seconds(40))
    let toB = net.received["B"] ?? []
    #expect(Set(toB).count == toB.count, "seed \(seed): \(toB)")
    let states = (net.states["A"] ?? [:]).values
    let delivered = states.filter { $0 == "delivered" }.count
    let plain = states.filter { $0 == "sent, no receipts" }.count
    #expect(states.count == 46 && !states.contains("waiting"), "seed \(seed)")
    // Where the Peerster always brings B's rumors first, only its way is known, and there are no receipts.
    #expect(plain >= 16, "seed \(seed): \(delivered) \(plain)")
    #expect(plain > 16 || delivered >= 24, "seed \(seed): \(delivered) \(plain)")
    #expect(toB.count >= delivered)
    let toC = net.received["C"] ?? []
    #expect(Set(toC).count == toC.count && toC.count >= 3, "seed \(seed): \(toC)")
    #expect(before.received.count >= 3 && before.passed > 0)
  }
}
