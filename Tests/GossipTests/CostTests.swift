// CostTests: what spreading costs in a network of some size, printed, and held to what it may cost.
import StackCore
import StackSim
import Testing

@testable import Gossip

@Suite struct CostTests {
  @Test(arguments: ["mongering", "flood"]) func aRumorAmongAHundred(_ spread: String) throws {
    let network = try Network(
      100, .randomRegular(degree: 8), gossip: ["spread": .string(spread), "antiEntropy": "10s"])
    network.simulation.run(for: .seconds(30))
    var rumors = 0
    network.simulation.onDelivery = { _, _, bytes in if bytes.first == 18 { rumors += 1 } }
    let start = network.simulation.now
    network.publish(0)
    #expect(network.run(within: .seconds(300)))
    let time = (network.simulation.now - start).inSeconds
    print("\(spread), 100 nodes of 8 neighbours: \(rumors) single rumors, all had it after \(time) s")
    // Flooding tells each neighbour but the one that told it: 100 nodes, 7 each, and one more of the first.
    if spread == "flood" { #expect(rumors <= 701 && time < 2) }
  }
}
