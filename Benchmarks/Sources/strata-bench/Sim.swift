// Sim: how fast the simulator delivers, and what idle nodes cost it.
import Glibc
import StackCore
import StackSim

private func simulation(nodes: Int, degree: Int, interval: String, layer: any ProtocolLayer.Type, seed: UInt64 = 1)
  -> Simulation
{
  let section: JSON = layer == FloodLayer.self ? ["interval": .string(interval)] : [:]
  let json: JSON = [
    "name": "bench", "nodes": JSON(nodes), "topology": ["kind": "random-regular", "degree": JSON(degree)],
    "node": ["layers": .object([layer.manifest.name: section])],
    "link": ["latency": "10ms"], "stop": ["after": "1h"],
  ]
  do {
    return try Simulation(try Scenario.load(json, catalog: [layer]), catalog: [layer], seed: seed)
  } catch {
    fatalError("\(error)")
  }
}

/// A gossip-like layer: 1,000 nodes of degree 8, each says something every second, all pass it on to all others.
func simulatedDeliveries(runs: Int) -> Figure {
  let clock = ContinuousClock()
  var rates: [Double] = []
  for run in 0..<runs {
    let world = simulation(nodes: 1000, degree: 8, interval: "1s", layer: FloodLayer.self, seed: UInt64(run + 1))
    world.run(for: .milliseconds(500))
    let before = world.deliveries
    let took = clock.measure { while world.deliveries < before + 1_500_000 { world.run(for: .milliseconds(20)) } }
    rates.append(Double(world.deliveries - before) / took.inSeconds)
  }
  return Figure(name: "sim.deliveriesPerSecond", value: median(rates), unit: "deliveries/s on one core")
}

/// 10,000 nodes that do nothing, in a process of their own.
func idleSimulation() -> Figure {
  let child = Child(["idle-sim"])
  let resident = Double(child.line()) ?? 0
  child.join()
  return Figure(name: "sim.idle10k.residentMiB", value: resident, unit: "MiB")
}

func playIdleSimulation() {
  let world = simulation(nodes: 10_000, degree: 8, interval: "0s", layer: FloodLayer.self)
  world.run(for: .seconds(60))
  say("\((procNumber("/proc/self/status", "VmRSS") ?? 0) / 1024)")
  withExtendedLifetime(world) {}
}
