// LossyTests: whole downloads over links that lose a piece in twenty, from the first question to the file's name.
import StackCore
import StackSim
import Testing

@testable import FileShare

@Suite struct LossyTests {
  /// With 5 % loss each way and 40 ms round trip, 0.7 of the link for the whole download, its start and end too.
  @Test(arguments: [UInt64](1...2)) func lossDoesNotSlowItDown(seed: UInt64) throws {
    var link = LinkSettings()
    link.loss = 0.05
    link.latency = .fixed(.milliseconds(20))
    link.bandwidth = ByteCount(bytes: 12_500_000)
    let size = 25_000_000
    let swarm = try Swarm(size: size, link: link, seed: seed)
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link)]) { _ in }
    let start = swarm.sim.now
    for _ in 0..<1_000 where swarm.fetched(1) == nil {
      swarm.sim.run(for: .milliseconds(10))
    }
    let share = Double(size) / (swarm.sim.now - start).inSeconds / 12_500_000
    #expect(share > 0.7, "seed \(seed): \(share) of the link")
    #expect(swarm.fetched(1) == swarm.content, "seed \(seed)")
  }
}
