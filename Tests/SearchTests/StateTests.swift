// StateTests: budgets, results, caches, traces, claims and allowances, each by itself.
import PeersterVocabulary
import StackCore
import Testing

@testable import Search

@Suite struct StateTests {
  private let peer = Address(ipv4: 0x0a00_0001, port: 5_000)
  private func address(_ number: Int) -> Address { Address(ipv4: 0x0a00_0000 + UInt32(number), port: 5_000) }
  private func instant(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

  private func result(_ name: String, chunks: UInt64 = 3, map: [UInt64] = [1, 2, 3]) -> SearchResult {
    SearchResult(
      fileName: WireText(name), metafileHash: TestFiles.root(of: name), chunkMap: map, chunkCount: chunks)
  }

  @Test func theRingDoubles() {
    var ring = RingState(first: 2, most: 32)
    var budgets: [UInt64] = []
    while let budget = ring.take() { budgets.append(budget) }
    #expect(budgets == [2, 4, 8, 16, 32])
    var odd = RingState(first: 3, most: 10)
    let odds = [odd.take(), odd.take(), odd.take(), odd.take()]
    #expect(odds == [3, 6, 10, nil])
    var one = RingState(only: 9)
    let ones = [one.take(), one.take()]
    #expect(ones == [9, nil])
  }

  @Test func budgetsAreSplitEvenly() {
    for budget in [0, 1, 2, 7, 31, 100, UInt64.max] as [UInt64] {
      for neighbours in 0...9 {
        let parts = split(budget: budget, over: neighbours)
        #expect(parts.count <= neighbours && parts.allSatisfy { $0 > 0 })
        guard neighbours > 0, budget > 0 else { continue }
        #expect(parts.reduce(0, +) == budget)
        #expect((parts.max() ?? 0) - (parts.min() ?? 0) <= 1)
      }
    }
  }

  @Test func claimsThatCanNotBeAreRefused() {
    #expect(Claim(result("a.txt"))?.held == .all)
    #expect(Claim(result("a.txt", map: [3, 1, 1, 9, 0]))?.held == .ranges([0..<1, 2..<3]))
    #expect(Claim(result("")) == nil)
    #expect(Claim(result(String(repeating: "a", count: 256))) == nil)
    #expect(Claim(result("a", chunks: .max)) == nil)
    #expect(Claim(SearchResult(fileName: "a", metafileHash: Hash256(), chunkMap: [1], chunkCount: 1)) == nil)
    var sized = result("a.txt")
    (sized.size, sized.chunkSize) = (20_000, 8_192)
    #expect(Claim(sized)?.size == 20_000)
    sized.size = 200_000
    #expect(Claim(sized) == nil)
    sized.size = .max
    #expect(Claim(sized) == nil)
    // Without a size, the number of chunks says what it may be.
    #expect(Claim(result("a.txt"))?.sizeRange == 16_384...24_576)
  }

  @Test func giantChunkMapsBecomeSmall() throws {
    var big = result("a.bin", chunks: 1 << 40, map: [])
    big.stretches = (0..<1_000).flatMap { [UInt64($0) * 10, 3] }
    guard case .ranges(let ranges)? = Claim(big)?.held else { return #expect(Bool(false)) }
    #expect(ranges.count == Claim.mostStretches)
    big.stretches = [0, 1 << 40]
    #expect(Claim(big)?.held == .all)
    big.stretches = [.max, .max, 5, 0, 1 << 41, 1, 7]
    #expect(Claim(big)?.held == .ranges([]))
  }

  @Test func namesAreShownWithoutWhatHides() {
    let claim = Claim(result("a\u{1B}[31m\u{202E}gpj.exe\u{0}"))
    #expect(claim?.name.text == "a\u{fffd}[31m\u{fffd}gpj.exe\u{fffd}")
    #expect(
      Claim(
        SearchResult(
          fileName: WireText(bytes: [0xff, 0x41]), metafileHash: TestFiles.root(of: "x"),
          chunkMap: [1], chunkCount: 1))?
        .name.text == "\u{fffd}A")
  }

  @Test func resultsAreMergedByFile() throws {
    var set = ResultSet()
    let half = try #require(Claim(result("a.txt", map: [1])))
    let rest = try #require(Claim(result("a.txt", map: [2, 3])))
    let first = Holder(name: "A", address: nil, hops: 1, held: half.held)
    let second = Holder(name: "B", address: peer, hops: 2, held: rest.held)
    #expect(set.take(half, first, isAnswer: true, number: 7) == .new)
    #expect(set.take(half, first, isAnswer: true, number: 8) == .known)
    #expect(set.fullMatches == 0)
    // Two halves are a whole.
    #expect(set.take(rest, second, isAnswer: true, number: 8) == .changed)
    #expect(set.fullMatches == 1 && set.files.count == 1 && set.files[0].number == 7)
    #expect(set.files[0].holders.count == 2)
    // What is remembered from before, and what is here, is no match.
    let other = try #require(Claim(result("b.txt")))
    #expect(set.take(other, Holder(name: "A", address: nil, held: .all), isAnswer: false, number: 9) == .new)
    #expect(set.take(try #require(Claim(result("c.txt"))), nil, isAnswer: false, number: 10) == .new)
    #expect(set.fullMatches == 1)
    // Holders and files are bounded.
    for number in 0..<200 {
      _ = set.take(half, Holder(name: WireText("N\(number)"), address: nil, held: .all), isAnswer: true, number: 1)
    }
    #expect(set.files[0].holders.count == ResultSet.mostHolders)
    for number in 0..<2_000 {
      _ = set.take(try #require(Claim(result("\(number)"))), first, isAnswer: true, number: number)
    }
    #expect(set.files.count == ResultSet.mostFiles)
  }

  /// One neighbour that answers with a thousand files leaves room for what others say.
  @Test func oneNeighbourDoesNotFillTheResults() throws {
    var set = ResultSet()
    func claim(_ number: Int) throws -> Claim { try #require(Claim(result("\(number)"))) }
    for number in 0..<2_000 {
      let holder = Holder(name: WireText("sybil \(number)"), address: nil, held: .all)
      _ = set.take(try claim(number), holder, isAnswer: true, from: address(1), number: number)
    }
    #expect(set.files.count == ResultSet.mostFiles && set.fullMatches == ResultSet.mostFiles)
    // What is here isn't pushed out.
    _ = set.take(try claim(5_000), nil, isAnswer: false, number: 5_000)
    let honest = Holder(name: "B", address: nil, held: .all)
    for number in 3_000..<3_200 {
      #expect(set.take(try claim(number), honest, isAnswer: true, from: address(2), number: number) == .new)
    }
    #expect(set.files.count == ResultSet.mostFiles && set.fullMatches <= ResultSet.mostFiles)
    #expect((3_000..<3_200).allSatisfy { set[TestFiles.root(of: "\($0)")] != nil })
    for file in set.files { #expect(set[file.claim.root]?.number == file.number) }
    // But no more than its part.
    for number in 6_000..<8_000 {
      _ = set.take(try claim(number), honest, isAnswer: true, from: address(2), number: number)
    }
    let second = set.files.count { $0.from == address(2) }
    #expect((400...600).contains(second), "\(second)")
  }

  /// What encodes a value by its members, whatever else it could do.
  private struct Members<Value: Encodable>: Encodable {
    var value: Value
    func encode(to encoder: any Encoder) throws { try value.encode(to: encoder) }
  }

  @Test func newsOfFilesAreWrittenAsTheirMembers() throws {
    var sized = result("a\"b\u{fc}.txt")
    (sized.size, sized.chunkSize, sized.path) = (20_000, 8_192, "d/a\"b\u{fc}.txt")
    var files: [FoundFile] = []
    for claim in [try #require(Claim(sized)), try #require(Claim(result("b", map: [2])))] {
      var file = FoundFile(number: 7, claim: claim)
      file.isLocal = claim.isWhole
      files.append(file)
      file.held = .all
      file.holders = [
        Holder(name: "A", address: peer, hops: 3, held: .all),
        Holder(name: "", address: nil, hops: nil, held: .ranges([0..<1])),
      ]
      files.append(file)
    }
    for file in files {
      let news = FoundFileNews(file)
      #expect(news.json.text() == (try JSON(encoding: Members(value: news))).text())
      #expect(try JSON(encoding: news) == news.json)
    }
  }

  @Test func numbersStayAndAreNotUsedTwice() {
    var numbers = ResultNumbers()
    #expect(numbers.number(of: TestFiles.root(of: "a")) == 1)
    #expect(numbers.number(of: TestFiles.root(of: "b")) == 2)
    #expect(numbers.number(of: TestFiles.root(of: "a")) == 1)
    for number in 0..<ResultNumbers.most { _ = numbers.number(of: TestFiles.root(of: "\(number)x")) }
    #expect(numbers.number(of: TestFiles.root(of: "a")) > ResultNumbers.most)
  }

  @Test func popularHitsStayLonger() throws {
    var cache = HitCache(limit: 100, age: .seconds(60))
    let query = try QueryParser.parse("popular")
    let holder = Holder(name: "A", address: peer, hops: 0, held: .all)
    cache.note(try #require(Claim(result("popular.txt"))), holder, at: instant(0))
    cache.note(try #require(Claim(result("other.txt"))), holder, at: instant(0))
    for second in 1...4 { expectSame(cache.find(query, most: 9, at: instant(Double(second))).count, 1) }
    expectSame(cache.expire(at: instant(61)), 1)
    expectSame(cache.find(query, most: 9, at: instant(200)).count, 1)
    expectSame(cache.expire(at: instant(5_000)), 1)
    #expect(cache.count == 0)
  }

  @Test func theCacheIsBounded() throws {
    var cache = HitCache(limit: 64, age: .seconds(60))
    for number in 0..<1_000 {
      let holder = Holder(name: WireText("H\(number)"), address: peer, hops: 0, held: .all)
      cache.note(try #require(Claim(result("f\(number)"))), holder, at: instant(Double(number) / 100))
      #expect(cache.count <= 64)
    }
    // The newest are there.
    expectSame(cache.find(try QueryParser.parse("name:f999"), most: 1, at: instant(10)).count, 1)
    expectSame(cache.clear() > 0, true)
    #expect(cache.count == 0)
  }

  @Test func nobodyHasMoreThanAQuarterOfTheTraces() throws {
    let query = try QueryParser.parse("x")
    var traces = QueryTraces(limit: 64)
    func trace(_ id: UInt64, _ from: Address?) -> QueryTrace {
      QueryTrace(
        key: .number(id), id: id, mode: .flood, query: query, origin: nil, from: from, at: instant(Double(id)))
    }
    var own = trace(1, nil)
    own.isActive = true
    expectSame(traces.add(own), true)
    var taken = 0
    for id in 2..<102 as Range<UInt64> where traces.add(trace(id, peer)) { taken += 1 }
    #expect(taken == 16)
    // Many others push out the oldest, but no search of ours.
    for id in 102..<502 as Range<UInt64> { expectSame(traces.add(trace(id, address(Int(id) + 10))), true) }
    #expect(traces.count == 64 && traces[.number(1)] != nil && traces[.number(2)] == nil)
    // What has gone no longer counts.
    expectSame(traces.add(trace(600, peer)), true)
    _ = traces.update(.number(1)) { $0.isActive = false }
    expectSame(traces.expire(before: instant(1_000)), 64)
    #expect(traces.count == 0)
  }

  @Test func workIsDoneAtItsRate() {
    var work = WorkAllowance(perSecond: 1_000)
    let taken = (0..<100).map { _ in work.take(500, at: instant(0)) }
    #expect(taken.count { $0 } == 4)
    expectSame(work.take(500, at: instant(1)), true)
  }
}

/// Expects two to be the same; the macro itself refuses calls that change what they are called on.
private func expectSame<Value: Equatable>(
  _ found: Value, _ expected: Value, sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(found == expected, sourceLocation: sourceLocation)
}
