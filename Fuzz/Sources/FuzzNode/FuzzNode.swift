// FuzzNode: the input is a story of datagrams, forged and real, and of time; the node must keep its bounds throughout.
import FuzzSupport
import StackCore
import Strata

/// What libFuzzer calls with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzNodeStory(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  var story = Story(FuzzInput(start, count))
  story.run()
  return 0
}

/// A node under attack, a real node that it talks with, and what an attacker at five addresses has learnt.
struct Story {
  var input: FuzzInput
  let node: Node
  let real: Node
  /// The layers that come with Strata, when this story is about them.
  let full: [(type: any ProtocolLayer.Type, section: JSON)]
  var now = Instant(nanoseconds: 0)
  /// What the node gave to each of the attacker's addresses.
  var cookies: [UInt64] = [0, 0, 0, 0, 0]
  /// The last probe that each was sent.
  var nonces: [UInt64] = [0, 0, 0, 0, 0]
  /// Between the two nodes, not yet delivered.
  var toReal: [[UInt8]] = []
  var toNode: [[UInt8]] = []
  var steps = 0
  var lastCall: UInt64 = 0

  static let home = realAddress
  static let realHome = Address(ipv4: 0x0a00_0001, port: 1)

  init(_ input: FuzzInput) {
    self.input = input
    let mode = self.input.byte()
    let limits: [Int?] = [nil, 1_200, 400, 9_000]
    // Either all layers that come with Strata, or the small one that takes their place on the wire.
    let isFull = mode & 16 != 0
    full = isFull ? fullLayers(mode >> 5) : []
    node = fuzzNode(
      "node", at: Self.home, peerster: !isFull && mode & 1 != 0, pathLimit: limits[Int(mode >> 1) & 3], more: full)
    real = fuzzNode("real", at: Self.realHome, peerster: !isFull && mode & 8 != 0, more: full)
  }

  mutating func run() {
    while !input.isEmpty, steps < 400 {
      steps += 1
      step()
      collect()
      node.checkPromises()
      real.checkPromises()
    }
    node.stop(at: now)
    collect()
  }

  func attacker(_ index: Int) -> Address { Address(ipv4: 0x0a00_0100 + UInt32(index), port: 7) }

  mutating func step() {
    let choice = input.byte()
    let who = Int(choice >> 4) % 5
    switch choice & 15 {
    case 0: pass(.milliseconds(Int(input.number(bytes: 2))))
    case 1: node.receive(input.take(input.choice(below: 2_000)), from: attacker(who), at: now)
    case 2: hello(from: who)
    case 3, 4: piece(from: who, right: choice & 1 != 0)
    case 5: send(input.choice(below: 65_536) + 4_000 * who, to: who == 0 ? Self.realHome : attacker(who))
    case 6, 7: deliver()
    case 8: capability(from: who)
    case 9: probeReply(from: who)
    case 10: forge()
    case 11: lastCall = node.call("fuzz", "wait", [:], at: now) { _ in }
    case 12: node.cancel(call: lastCall, at: now)
    case 13: flood()
    case 14: reload(who)
    default:
      if full.isEmpty { node.pathTooLarge(who == 0 ? Self.realHome : attacker(who)) } else { talk(from: who) }
    }
  }

  mutating func pass(_ time: Duration) {
    now = now + time
    node.fireTimers(at: now)
    real.fireTimers(at: now)
  }

  // MARK: What the attacker says

  mutating func packet(_ number: UInt32, _ body: (inout WireWriter) -> Void) -> [UInt8] {
    var writer = WireWriter()
    writer.writeTag(number, .bytes)
    let start = writer.beginNested()
    body(&writer)
    writer.endNested(start)
    return writer.copied()
  }

  mutating func hello(from who: Int) {
    let flags = input.byte()
    let echo = flags & 1 != 0 ? cookies[who] : input.number(bytes: 8)
    let name = input.take(Int(flags >> 4) * 4)
    let bytes = packet(33) { writer in
      writer.writeTag(2, .fixed64)
      writer.writeFixed64(flags & 4 != 0 ? 0 : 77)
      writer.writeTag(3, .fixed64)
      writer.writeFixed64(echo)
      writer.writeTag(4, .varint)
      writer.writeVarint(flags & 2 != 0 ? 1 : 0)
      writer.writeTag(5, .bytes)
      writer.writeBytes(name.span.bytes)
    }
    node.receive(bytes, from: attacker(who), at: now)
  }

  mutating func piece(from who: Int, right: Bool) {
    let cookie = right ? cookies[who] : input.number(bytes: 2)
    let message = UInt64(input.byte())
    let shape = input.byte()
    let total = shape & 1 != 0 ? Int(input.number(bytes: 2)) + 1 : Int(input.number(bytes: 4))
    let pieceSize = shape & 2 != 0 ? 256 + Int(input.byte()) : Int(input.number(bytes: 3))
    let index = Int(input.byte())
    var size = Int(input.number(bytes: 2))
    if shape & 4 != 0, pieceSize > 0 { size = max(0, min(pieceSize, total - index * pieceSize)) }
    var data = [UInt8](repeating: UInt8(message & 0xff), count: min(size, 60_000))
    // A piece may begin with a message of its own, so that what comes together can be read.
    for (place, byte) in input.take(Int(shape >> 4)).enumerated() where place < data.count { data[place] = byte }
    let bytes = packet(32) { writer in
      writer.writeTag(1, .fixed64)
      writer.writeFixed64(cookie)
      writer.writeTag(2, .fixed64)
      writer.writeFixed64(message)
      writer.writeTag(3, .fixed32)
      writer.writeFixed32(UInt32(truncatingIfNeeded: total))
      writer.writeTag(4, .fixed32)
      writer.writeFixed32(UInt32(truncatingIfNeeded: pieceSize))
      writer.writeTag(5, .fixed32)
      writer.writeFixed32(UInt32(index))
      writer.writeTag(6, .bytes)
      writer.writeBytes(data.span.bytes)
    }
    node.receive(bytes, from: attacker(who), at: now)
  }

  mutating func capability(from who: Int) {
    var bytes = packet(2) { _ in }
    bytes += [0x90, 0x02, 0x01]
    node.receive(bytes, from: attacker(who), at: now)
  }

  mutating func probeReply(from who: Int) {
    let nonce = nonces[who]
    let bytes = packet(36) { writer in
      writer.writeTag(1, .fixed64)
      writer.writeFixed64(nonce)
    }
    node.receive(bytes, from: attacker(who), at: now)
  }

  /// The attacker pretends to be the real node.
  mutating func forge() {
    let cookie = input.number(bytes: 8)
    let bytes = packet(33) { writer in
      writer.writeTag(2, .fixed64)
      writer.writeFixed64(cookie)
    }
    node.receive(bytes, from: Self.realHome, at: now)
  }

  /// Many senders at once, each heard of for the first time.
  mutating func flood() {
    let first = UInt32(input.byte()) << 8
    let bytes = packet(1001) { _ in }
    for sender in 0..<32 {
      node.receive(bytes, from: Address(ipv4: 0x0b00_0000 + first + UInt32(sender), port: 9), at: now)
    }
  }

  // MARK: What is done to the node

  func send(_ size: Int, to: Address) {
    let input: JSON = ["size": .integer(Int64(min(size, 70_000))), "to": .string(to.description)]
    node.call("fuzz", "send", input, at: now) { _ in }
  }

  mutating func reload(_ who: Int) {
    let interval = JSON.string("\(1 + Int(input.byte()))ms")
    var layers: [(type: any ProtocolLayer.Type, section: JSON)] = [(FuzzLayer.self, ["interval": interval])]
    if full.isEmpty, who & 1 != 0 { layers.append((PeersterLayer.self, [:])) }
    layers += full
    let peers = who & 2 != 0 ? [Self.realHome] : [Self.realHome, attacker(who)]
    do { _ = try node.reload(peers: peers, layers: layers, at: now) } catch { fatalError("reload: \(error)") }
  }

  /// Delivers, doubles or loses what is between the two nodes, in order or from the end.
  mutating func deliver() {
    let mode = input.byte()
    for _ in 0..<Int(mode & 15) + 1 {
      if let bytes = take(&toReal, mode) { real.receive(bytes, from: Self.home, at: now) }
      if let bytes = take(&toNode, mode) { node.receive(bytes, from: Self.realHome, at: now) }
    }
  }

  private func take(_ queue: inout [[UInt8]], _ mode: UInt8) -> [UInt8]? {
    if queue.isEmpty { return nil }
    let bytes = mode & 16 != 0 ? queue.removeLast() : queue.removeFirst()
    if mode & 32 != 0, queue.count < 8 { queue.append(bytes) }
    return mode & 64 != 0 ? nil : bytes
  }

  // MARK: What the nodes say

  mutating func collect() {
    _ = node.takeNews()
    _ = real.takeNews()
    commit(node)
    commit(real)
    for (to, bytes) in node.takeDatagrams() {
      promise(bytes.count <= NodeLimits.largestDatagram, "a datagram of \(bytes.count) bytes")
      if to == Self.realHome {
        if toReal.count < 512 { toReal.append(bytes) }
      } else {
        learn(bytes, to: to)
      }
    }
    for (to, bytes) in real.takeDatagrams() where to == Self.home && toNode.count < 512 { toNode.append(bytes) }
  }

  private func commit(_ node: Node) {
    do { try node.commit() } catch { fatalError("commit: \(error)") }
  }

  /// Notes the cookies and nonces that the attacker is sent.
  private mutating func learn(_ bytes: [UInt8], to: Address) {
    guard let who = (0..<5).first(where: { attacker($0) == to }) else { return }
    var reader = WireReader(bytes.span.bytes)
    guard let tag = try? reader.nextTag(), tag.type == .bytes, tag.number == 33 || tag.number == 35,
      var body = try? reader.readNested()
    else { return }
    let wanted: UInt32 = tag.number == 33 ? 2 : 1
    while let field = (try? body.nextTag()) ?? nil {
      if field.number == wanted, field.type == .fixed64, let value = try? body.readFixed64() {
        if tag.number == 33 { cookies[who] = value } else { nonces[who] = value }
        return
      }
      guard (try? body.skip(field)) != nil else { return }
    }
  }
}
