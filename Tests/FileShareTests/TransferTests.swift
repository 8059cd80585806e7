// TransferTests: files fetched in simulation: with loss, from several holders, from liars, through crashes.
import StackCore
import StackSim
import Testing

@testable import FileShare

@Suite struct TransferTests {
  @Test(arguments: [0, 1, 1023, 1024, 8192, 8193, 100_000, 2_097_152, 3_000_000])
  func aFileArrives(size: Int) throws {
    let swarm = try Swarm(size: size, seed: 7)
    #expect(swarm.fetch(1) != nil)
    #expect(swarm.fetched(1) == swarm.content)
  }
}
