// TransferCoreTests: the value cores of transfers against models of themselves: maps, buckets, the scheduler.
import StackCore
import Testing

@testable import FileShare

@Suite struct ChunkMapTests {
  /// A map and a plain set that are changed alike agree, and the map survives storage and the wire.
  @Test(arguments: 0..<40) func itIsASetOfChunks(seed: UInt64) {
    var random = RandomStream(seed: seed, name: "map")
    let count = Int(random.next(below: 700))
    var map = ChunkMap(count: count)
    var model: Set<Int> = []
    for _ in 0..<60 {
      let from = Int(random.next(below: UInt64(count + 20)))
      let length = Int(random.next(below: 90))
      if random.next() & 3 != 0 {
        map.insert(from..<from + length)
        model.formUnion((from..<from + length).filter { $0 < count })
      } else {
        map.remove(from)
        model.remove(from)
      }
    }
    #expect(map.held == model.count, "seed \(seed)")
    #expect((0..<count).filter { map[$0] } == model.sorted(), "seed \(seed)")
    #expect(map.runs().flatMap { Array($0) } == model.sorted())
    #expect(map.runs(false).flatMap { Array($0) } == (0..<count).filter { !model.contains($0) })
    #expect(ChunkMap(stored: map.stored, count: count) == map, "seed \(seed)")
    #expect(ChunkMap(lengths: map.lengths(), count: count) == map)
    #expect(ChunkMap(stored: map.stored, count: max(0, count - 70)) != map || count == 0)
  }

  @Test func hostileMapsAreRefused() {
    #expect(ChunkMap(lengths: [0, .max], count: 10) == nil)
    #expect(ChunkMap(lengths: [.max, 1], count: 10) == nil)
    #expect(ChunkMap(lengths: [5, 6], count: 10) == nil)
    #expect(ChunkMap(lengths: [1], count: 10) == nil)
    #expect(ChunkMap(stored: [], count: 10) == nil)
    #expect(ChunkMap(stored: [1, 0xff, 0xff, 0, 0, 0, 0, 0, 0], count: 10) == nil)
  }
}

@Suite struct TokenBucketTests {
  /// Over any time what passes is within the rate and what may be saved up.
  @Test(arguments: 0..<20) func itKeepsTheRate(seed: UInt64) {
    var random = RandomStream(seed: seed, name: "bucket")
    let rate = Int64(random.next(below: 50_000_000)) + 1_000
    var now = Instant(nanoseconds: 0)
    var bucket = TokenBucket(rate: rate, at: now)
    var passed = 0
    while now < Instant(nanoseconds: 3_000_000_000) {
      let size = 1 + Int(random.next(below: 16_384))
      if bucket.available(at: now) >= min(size, 16_384 / 2) {
        bucket.take(size)
        passed += size
      } else {
        now = now + max(.microseconds(1), bucket.wait(for: size, at: now))
      }
    }
    #expect(Double(passed) <= Double(rate) * 3 + Double(rate) / 20 + 40_000, "seed \(seed)")
    #expect(Double(passed) >= Double(rate) * 2.9 - 40_000, "seed \(seed)")
  }

  @Test func withoutARateAllPasses() {
    var bucket = TokenBucket(rate: 0, at: Instant())
    #expect(bucket.available(at: Instant()) == .max)
    bucket.take(1 << 40)
    #expect(bucket.wait(for: 1 << 30, at: Instant()) == .zero)
  }
}

@Suite struct ChunkSchedulerTests {
  /// Whatever is lost, doubled, out of order or wrong, all chunks come, each byte is the right one, and no chunk is
  /// made of two holders' bytes.
  @Test(arguments: 0..<30) func everyChunkComes(seed: UInt64) throws {
    var random = RandomStream(seed: seed, name: "scheduler")
    let chunkSize = 4_096 << Int(random.next(below: 4))
    let size = 1 + Int(random.next(below: 700_000))
    let content = (0..<size).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 9) }
    var scheduler = ChunkScheduler(
      levelBytes: Int64(size), chunkSize: chunkSize, runBytes: chunkSize << Int(random.next(below: 5)), mostRuns: 6)
    var kept = [UInt8](repeating: 0, count: size)
    var flying: [(holder: Int32, units: UnitRange)] = []
    var now = Instant()
    var steps = 0
    while !scheduler.isWhole {
      steps += 1
      try #require(steps < 100_000, "seed \(seed) doesn't end")
      now = now + .milliseconds(1)
      let holder = Int32(random.next(below: 3))
      let limit = 1 + Int(random.next(below: 100))
      for range in scheduler.ask(of: holder, holding: nil, limit: limit, at: now, patience: .milliseconds(20)) {
        flying.append((holder, range))
      }
      guard !flying.isEmpty else { continue }
      let (from, units) = flying.remove(at: Int(random.next(below: UInt64(flying.count))))
      if random.next(below: 5) == 0 {
        _ = scheduler.lost(units, by: from)
        continue
      }
      if random.next(below: 50) == 0 { scheduler.release(from) }
      for _ in 0...random.next(below: 2) {
        let start = units.lowerBound << 10
        let end = min(units.upperBound << 10, size)
        let part = Array(content[start..<end])
        let arrival = scheduler.arrived(Int64(start), part.span.bytes, from: from)
        for whole in arrival?.wholeRuns ?? [] {
          guard let (bytes, owners) = scheduler.takeRun(whole) else { continue }
          let chunks = whole..<whole + owners.count
          let came = bytes.withUnsafeBytes { Array($0) }
          // Now and then a chunk is wrong, and comes again.
          let good = chunks.map { _ in random.next(below: 20) != 0 }
          for (place, isGood) in good.enumerated() where isGood {
            let from = place * chunkSize
            let upTo = min(from + chunkSize, came.count)
            kept.replaceSubrange(whole * chunkSize + from..<whole * chunkSize + upTo, with: came[from..<upTo])
          }
          scheduler.settle(chunks, good: good, buffer: bytes)
        }
      }
    }
    #expect(kept == content, "seed \(seed)")
  }

  @Test func whatIsUrgentComesFirst() {
    var scheduler = ChunkScheduler(levelBytes: 1 << 20, chunkSize: 8_192, runBytes: 65_536, mostRuns: 8)
    scheduler.urgent = [96..<128]
    let asked = scheduler.ask(of: 1, holding: nil, limit: 64, at: Instant(), patience: .seconds(1))
    #expect(asked == [96 * 8..<96 * 8 + 64])
  }

  @Test func aHolderIsAskedOnlyForWhatItHasAndTheRarestFirst() {
    var scheduler = ChunkScheduler(levelBytes: 1 << 20, chunkSize: 8_192, runBytes: 65_536, mostRuns: 16)
    var few = ChunkMap(count: 128)
    few.insert(0..<16)
    few.insert(64..<72)
    let asked = scheduler.ask(
      of: 1, holding: few, limit: 64, at: Instant(), patience: .seconds(1), rarity: { $0 < 16 ? 3 : 1 })
    #expect(asked == [64 * 8..<72 * 8])
  }

  @Test func unaskedAndMisshapenPiecesAreNotTaken() throws {
    var scheduler = ChunkScheduler(levelBytes: 20_000, chunkSize: 8_192, runBytes: 8_192, mostRuns: 8)
    let kib = [UInt8](repeating: 1, count: 1_024)
    func offer(_ offset: Int64, from holder: Int32) -> Int? {
      scheduler.arrived(offset, kib.span.bytes, from: holder)?.newBytes
    }
    #expect(offer(0, from: 1) == 0)
    _ = scheduler.ask(of: 1, holding: nil, limit: 8, at: Instant(), patience: .seconds(1))
    #expect(offer(0, from: 2) == 0)
    #expect(offer(0, from: 1) == 1_024)
    #expect(offer(0, from: 1) == 0)
    #expect(offer(512, from: 1) == nil)
    #expect(offer(19_456, from: 1) == nil)
    #expect(offer(Int64.max & ~1_023, from: 1) == nil)
  }
}
