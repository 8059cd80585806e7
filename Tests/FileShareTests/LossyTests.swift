// LossyTests: whole downloads over links that lose a piece in twenty, from the first question to the file's name.
import StackSim
import Testing

@testable import FileShare
@testable import StackCore

@Suite struct LossyTests {
  /// With 5 % loss each way and 40 ms round trip, 0.7 of the link for the whole download, the start and the end included.
  @Test(arguments: [UInt64](1...6)) func lossDoesNotSlowItDown(seed: UInt64) throws {
    var link = LinkSettings()
    link.loss = 0.05
    link.latency = .fixed(.milliseconds(20))
    link.bandwidth = ByteCount(bytes: 12_500_000)
    let size = 25_000_000
    let swarm = try Swarm(size: size, link: link, seed: seed)
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link)]) { _ in }
    let start = swarm.sim.now
    for _ in 0..<400 where swarm.fetched(1) == nil {
      swarm.sim.run(for: .milliseconds(50))
      if let download = (swarm.sim.node(1)?.slots.compactMap { $0 as? LayerSlot<FileShare> }.first?.layer)?.transfers.downloads.first {
        let h = download.holders.first
        print(
          "\(seed) \((swarm.sim.now - start).inSeconds) level \(download.level) \(download.state) bytes \(download.bytes)",
          "w \(Int(h?.window.window ?? 0)) inflight \(h?.inFlight ?? 0) sil \(h?.silences ?? 0)",
          "red \(h?.window.reductions ?? 0) forg \(h?.window.forgiven ?? 0) rate \(Int(h?.window.deliveryRate ?? 0))",
          "srtt \(h?.window.smoothedRoundTrip.map { $0.inSeconds } ?? 0) left \(download.scheduler.runs.count)")
      }
    }
    let share = Double(size) / (swarm.sim.now - start).inSeconds / 12_500_000
    print("seed \(seed) share \(share)")
    #expect(share > 0.7, "seed \(seed): \(share) of the link")
    #expect(swarm.fetched(1) == swarm.content, "seed \(seed)")
  }
}
