// Core: what a packet costs inside one process: allocations and nanoseconds.
import CAllocations
import Glibc
import StackCore
import StackSim

/// A node with the echo layer, and a packet of 100 bytes for it.
private func echoNode() -> (node: Node, packet: [UInt8]) {
  let blueprint = NodeBlueprint(
    name: "a", address: Address(ipv4: 0x7f00_0001, port: 5000), layers: [(EchoLayer.self, .object([:]))], seed: 1)
  guard let node = try? Node(blueprint, storage: SimStorage(), files: { SimDisk().files(root: "/\($0)") }) else {
    fatalError("no node")
  }
  node.start(at: Instant(nanoseconds: 0))
  var writer = WireWriter()
  writer.writeTag(1000, .bytes)
  let start = writer.beginNested()
  SmallMessage(number: 1 << 60).encode(into: &writer)
  writer.endNested(start)
  return (node, writer.copied())
}

/// Receive, read, handle, answer, write, drain: 64 packets a round.
private func pump(_ node: Node, _ packet: [UInt8], rounds: Int) {
  let peer = Address(ipv4: 0x7f00_0001, port: 5001)
  for round in 0..<rounds {
    for _ in 0..<64 { node.receive(packet.span.bytes, from: peer, at: Instant(nanoseconds: Int64(round))) }
    node.withOutgoing { _, entries in (entries.count, 0) }
  }
}

func allocationsPerPacket() -> Figure {
  let (node, packet) = echoNode()
  pump(node, packet, rounds: 1000)
  let before = callocations_count()
  pump(node, packet, rounds: 10_000)
  let count = callocations_count() - before
  return Figure(name: "core.allocations.perPacket", value: Double(count) / 640_000, unit: "allocations")
}

/// For a profiler: packets and nothing else.
func playPump() {
  let (node, packet) = echoNode()
  say("\(packet.count)")
  pump(node, packet, rounds: 2_000)
}

func dispatchNanoseconds(runs: Int) -> Figure {
  let (node, packet) = echoNode()
  pump(node, packet, rounds: 1000)
  let clock = ContinuousClock()
  let values = (0..<runs).map { _ in
    clock.measure { pump(node, packet, rounds: 10_000) }.inSeconds * 1e9 / 640_000
  }
  return Figure(name: "core.dispatch.nanoseconds", value: median(values), unit: "ns a \(packet.count)-byte packet")
}

/// A node that does nothing: its memory, and how often it wakes.
func idleNode() -> [Figure] {
  let child = Child(["idle"])
  _ = child.line()
  usleep(1_500_000)
  let status = "/proc/\(child.pid)/status"
  let wakeups = procNumber(status, "voluntary_ctxt_switches") ?? 0
  usleep(3_000_000)
  let later = procNumber(status, "voluntary_ctxt_switches") ?? 0
  let resident = (procNumber(status, "VmRSS") ?? 0) / 1024
  child.end()
  return [
    Figure(name: "node.idle.residentMiB", value: resident, unit: "MiB"),
    Figure(name: "node.idle.wakeupsPerSecond", value: (later - wakeups) / 3, unit: "1/s"),
  ]
}
