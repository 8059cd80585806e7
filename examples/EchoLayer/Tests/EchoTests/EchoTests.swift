// EchoTests: the very layer that runs on a socket, in virtual time.
import LayerConformance
import StackCore
import StackSim
import Testing

@testable import EchoNode

@Suite struct EchoTests {
  /// How many answers a node has had, and the slowest.
  func answers(_ node: Node?) -> UInt64 {
    for metric in node?.metricDescriptions ?? [] {
      if case .histogram(let histogram) = metric.source { return histogram.counts.reduce(0, +) }
    }
    return 0
  }

  @Test func everyNeighbourAnswers() throws {
    let world = try Simulation(
      nodes: 10, ["echo": ["pause": "1s"]], topology: Topology(.ring), catalog: [Echo.self])
    world.run(for: .milliseconds(10_500))
    for place in 0..<10 { #expect(answers(world.node(place)) == 20) }
  }

  @Test func lostQuestionsAreAskedAgain() throws {
    var link = LinkSettings()
    link.loss = 0.5
    let world = try Simulation(nodes: 2, ["echo": ["pause": "100ms"]], link: link, seed: 7, catalog: [Echo.self])
    world.run(for: .seconds(100))
    // Of 1,000 questions a quarter is heard and answered.
    #expect((200...300).contains(answers(world.node(0))))
  }

  @Test func aNodeThatWasAwayIsFoundAgain() throws {
    let world = try Simulation(nodes: 2, ["echo": [:]], catalog: [Echo.self])
    world.run(for: .seconds(5))
    world.crash(1)
    world.run(for: .seconds(5))
    let before = answers(world.node(0))
    try world.restart(1)
    world.run(for: .seconds(5))
    #expect(answers(world.node(0)) >= before + 4)
  }

  @Test func itKeepsThePromisesOfALayer() throws {
    try LayerConformance.check(Echo.self)
  }
}
