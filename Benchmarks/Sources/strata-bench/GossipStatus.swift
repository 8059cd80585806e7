// GossipStatus: what it costs two nodes to find out what the other lacks, and a late joiner to catch up.
import Gossip
import PeersterVocabulary
import StackCore
import StackSim

/// A rumor as Gossip's storage holds it.
private struct KeptRumor: WireMessage {
  var heard = Instant()
  var written: UInt64 = 0
  var text: WireText = ""

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "heard", &heard)
    try field(2, "written", &written)
    try field(3, "text", &text)
  }
}

/// Two nodes on a link of 20 ms, whose logs are put into storage before they start.
private final class Pair {
  let world: Simulation
  var bytes = 0
  private var heard = [0, 0]
  private var isCounting = false
  /// When rumors were last heard, and how long since the start that was.
  private(set) var last = Instant()
  private var began = Instant()

  init() throws {
    var link = LinkSettings()
    link.latency = .fixed(.milliseconds(20))
    world = try Simulation(
      nodes: 2, LayerSections(["gossip": ["origins": 200_000]]), topology: Topology(.line), link: link,
      catalog: [Gossip.self])
    world.onDelivery = { [unowned self] _, _, datagram in if isCounting { bytes += datagram.count } }
    world.onEvent = { [unowned self] node, event in
      guard event.name == "rumor" else { return }
      heard[node] += 1
      last = world.now
    }
  }

  /// Puts rumors 1 to `upTo` of an origin into a node's storage.
  func put(_ origin: String, upTo: UInt32, in node: Int) throws {
    let storage = try world.storage(of: node).namespace("gossip", version: 1)
    let name = Array(origin.utf8)
    let text = WireText(bytes: [UInt8](repeating: 0x61, count: 100))
    for id in 1...upTo {
      let key = [1, UInt8(name.count)] + name + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: id >> $0) }
      let size = UInt64(text.bytes.count + name.count + 48)
      try storage.set(key, KeptRumor(written: size * UInt64(id), text: text).encoded())
    }
    try world.storage(of: node).commit()
  }

  /// Starts both and lets them talk for so long, or until so many rumors were heard; answers the seconds to the last.
  func run(for duration: Duration, until count: Int = .max) throws -> Double {
    for node in 0..<2 { world.crash(node) }
    isCounting = true
    began = world.now
    last = world.now
    for node in 0..<2 { try world.restart(node) }
    world.run(within: duration) { [unowned self] _ in heard[0] + heard[1] >= count }
    return (last - began).inSeconds
  }

  var total: Int { heard[0] + heard[1] }
}

/// Bytes of all datagrams, both ways, of the first nine seconds of two nodes that meet.
func statusBytes(_ name: String, origins: Int, differ: Int) -> Figure {
  do {
    let pair = try Pair()
    let step = differ == 0 ? Int.max : origins / differ
    for number in 0..<origins {
      // Half of what differs is lacking here, half there.
      let isOdd = differ > 0 && number % step == step / 2
      for node in 0..<2 {
        try pair.put("origin \(number)", upTo: isOdd && (number / step) % 2 == node ? 2 : 1, in: node)
      }
    }
    _ = try pair.run(for: .seconds(9))
    guard pair.total == differ else { fatalError("\(pair.total) rumors were heard instead of \(differ)") }
    return Figure(name: name, value: Double(pair.bytes), unit: "bytes, both ways, introductions included")
  } catch { fatalError("\(error)") }
}

/// How long a late joiner needs for a history, in virtual time over a link of 20 ms.
func catchUp(_ name: String, origins: Int, each: UInt32) -> Figure {
  do {
    let pair = try Pair()
    for number in 0..<origins { try pair.put("origin \(number)", upTo: each, in: 0) }
    let seconds = try pair.run(for: .seconds(3_000), until: origins * Int(each))
    guard pair.total == origins * Int(each) else { fatalError("only \(pair.total) rumors were heard") }
    return Figure(name: name, value: seconds, unit: "s of virtual time on a link of 20 ms")
  } catch { fatalError("\(error)") }
}

/// The figures that are wanted of these.
@MainActor func gossipStatus() -> [Figure] {
  var found: [Figure] = []
  var name = "gossip.status.10kOrigins10Differ.bytes"
  if wanted(name) { found.append(statusBytes(name, origins: 10_000, differ: 10)) }
  name = "gossip.status.100kOriginsEqual.bytes"
  if wanted(name) { found.append(statusBytes(name, origins: 100_000, differ: 0)) }
  name = "gossip.catchUp.100kRumors.oneOrigin"
  if wanted(name) { found.append(catchUp(name, origins: 1, each: 100_000)) }
  name = "gossip.catchUp.100kRumors.1kOrigins"
  if wanted(name) { found.append(catchUp(name, origins: 1_000, each: 100)) }
  return found
}
