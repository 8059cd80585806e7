// RangeTests: the log's clock against a plain table, and ranges that find exactly the difference of two clocks.
import PeersterVocabulary
import StackCore
import Testing

@testable import Gossip

@Suite struct ClockTreeTests {
  @Test func itDoesWhatAPlainTableDoes() {
    for seed in 1...3 as ClosedRange<UInt64> {
      var random = RandomStream(seed: seed)
      var model: [WireText: UInt32] = [:]
      var tree = ClockTree()
      for step in 0..<4_000 {
        let name = WireText("n\(random.next(below: 1_500))")
        if random.next(below: 5) == 0 {
          model[name] = nil
          tree.remove(name)
        } else {
          let next = UInt32(random.next(below: 9)) + 1
          model[name] = max(model[name] ?? 1, next)
          tree.advance(name, to: next)
        }
        guard step % 500 == 499 else { continue }
        check(tree, model, &random, seed)
      }
      for name in model.keys.sorted() { tree.remove(name) }
      #expect(tree.count == 0 && tree.sum(0..<0) == 0 && tree.entries.isEmpty)
    }
  }

  private func check(_ tree: ClockTree, _ model: [WireText: UInt32], _ random: inout RandomStream, _ seed: UInt64) {
    let names = model.keys.sorted()
    #expect(tree.entries.map(\.identifier) == names && tree.count == names.count, "seed \(seed)")
    let marks = names.map { Fingerprint.kept.mark($0, model[$0] ?? 0) }
    for _ in 0..<50 {
      let name = WireText("n\(random.next(below: 1_500))")
      #expect(tree.next(of: name) == model[name] ?? 1)
      #expect(tree.rank(of: name) == names.count { $0 < name })
      let first = Int(random.next(below: UInt64(names.count)))
      let last = first + Int(random.next(below: UInt64(names.count - first + 1)))
      #expect(tree.sum(first..<last) == marks[first..<last].reduce(0, &+), "seed \(seed)")
      #expect(tree[first].identifier == names[first])
      #expect(tree.slice(first..<last).map(\.identifier) == Array(names[first..<last]))
    }
  }

  @Test func theMarkIsSipHash() {
    // Names whose bytes end alike, or that differ by a zero at the end, have marks of their own; so has each salt.
    let names = ["", "a", "a\0", "a\0\0", "abcdefgh", "abcdefgh\0", "abcdefghi"].map { WireText($0) }
    var marks: Set<UInt128> = []
    for name in names {
      for next in [1, 2, 256] as [UInt32] {
        for salt in [0, 1, 99] as [UInt64] { marks.insert(Fingerprint(salt: salt).mark(name, next)) }
      }
    }
    #expect(marks.count == names.count * 9)
  }
}

@Suite struct RangeReconcilerTests {
  /// Two nodes' clocks, and what each found out that it lacks.
  private struct Pair {
    var clocks: [ClockTree]
    var lacks: [[WireText: UInt32]] = [[:], [:]]
    var bytes = 0
    var messages = 0
    var rules = RangeReconciler()
    var random: RandomStream

    /// One exchange, begun by the first. As many messages as there are; true when it came to its end.
    mutating func exchange() -> Bool {
      let start = Int(random.next(below: UInt64(max(1, clocks[0].count))))
      var inbox = [rules.opening(clocks[0], salt: random.next(), start: start)]
      var side = 1
      for _ in 0..<40 {
        if inbox.isEmpty { return true }
        var replies: [ClockRanges] = []
        for message in inbox {
          let encoded = message.encoded()
          bytes += encoded.count
          messages += 1
          guard let read = try? ClockRanges(decoding: encoded), read == message, read.isSound else { return false }
          #expect(encoded.count < 1_500)
          let answer = rules.answer(read, clocks[side], salt: random.next())
          for gap in answer.lacks.weLack { lacks[side][gap.origin] = gap.ids.upperBound }
          for gap in answer.lacks.theyLack { lacks[1 - side][gap.origin] = gap.ids.upperBound }
          replies += answer.messages
        }
        inbox = replies
        side = 1 - side
      }
      return false
    }

    mutating func merge() {
      for side in 0..<2 {
        for name in lacks[side].keys.sorted() { clocks[side].advance(name, to: lacks[side][name] ?? 1) }
      }
      lacks = [[:], [:]]
    }
  }

  private func pair(_ origins: Int, _ differing: Int, seed: UInt64) -> (Pair, [[WireText: UInt32]]) {
    var random = RandomStream(seed: seed)
    var clocks = [ClockTree(), ClockTree()]
    for number in 0..<origins {
      let name = WireText("\(random.next(below: 1 << 40)) \(number)")
      let next = UInt32(random.next(below: 50)) + 2
      for side in 0..<2 { clocks[side].advance(name, to: next) }
    }
    var expected: [[WireText: UInt32]] = [[:], [:]]
    for number in 0..<differing {
      let side = Int(random.next(below: 2))
      // A newer rumor of an origin that both know, or of one that only one knows.
      let known = origins > 0 && random.next(below: 2) == 0
      let name =
        known
        ? clocks[0][Int(random.next(below: UInt64(min(clocks[0].count, origins))))].identifier
        : WireText("new \(random.next(below: 1 << 40)) \(number)")
      if expected[0][name] != nil || expected[1][name] != nil || known && clocks[1].next(of: name) == 1 { continue }
      let next = clocks[side].next(of: name) + 1 + UInt32(random.next(below: 3))
      clocks[side].advance(name, to: next)
      expected[1 - side][name] = next
    }
    return (Pair(clocks: clocks, random: random), expected)
  }

  @Test(arguments: [
    (0, 0), (0, 30), (1, 0), (1, 1), (7, 3), (40, 0), (40, 1), (300, 10), (1_000, 1), (2_500, 10), (2_500, 200),
  ])
  func exactlyTheDifferenceIsFound(_ origins: Int, _ differing: Int) {
    for seed in 1...4 as ClosedRange<UInt64> {
      var (pair, expected) = pair(origins, differing, seed: seed)
      var rounds = 0
      // An answer is bounded, so that very many differences take several exchanges.
      repeat {
        let isOver = pair.exchange()
        #expect(isOver, "seed \(seed)")
        for side in 0..<2 {
          for (name, next) in pair.lacks[side] {
            #expect(expected[side].removeValue(forKey: name) == next, "seed \(seed)")
          }
        }
        pair.merge()
        rounds += 1
      } while !(expected[0].isEmpty && expected[1].isEmpty) && rounds < 12
      #expect(expected[0].isEmpty && expected[1].isEmpty, "seed \(seed)")
      #expect(pair.clocks[0].entries == pair.clocks[1].entries, "seed \(seed)")
      pair.messages = 0
      pair.bytes = 0
      let isOver = pair.exchange()
      #expect(isOver && pair.messages == 1 && pair.bytes < 150)
    }
  }

  @Test func bytesGrowWithTheDifference() {
    func bytes(_ origins: Int, _ differing: Int) -> Int {
      var (pair, _) = pair(origins, differing, seed: 5)
      _ = pair.exchange()
      return pair.bytes
    }
    #expect(bytes(3_000, 0) < 100)
    #expect(bytes(3_000, 1) < 1_500)
    #expect(bytes(3_000, 10) < 8_000)
    #expect(bytes(300, 10) < 4_500)
  }

  @Test func ofAHundredThousandThatAreEqualOneMessageIsEnough() {
    var clock = ClockTree()
    for number in 0..<100_000 { clock.advance(WireText("origin \(number)"), to: 2) }
    let rules = RangeReconciler()
    let opening = rules.opening(clock, salt: 7, start: 40_000)
    let answer = rules.answer(opening, clock, salt: 8)
    #expect(opening.encoded().count < 200 && answer.isEqual && answer.messages.isEmpty)
    #expect(answer.lacks == ClockTree.Differences())
  }

  /// Two clocks whose kept sums are equal though they differ, as an adversary might find them.
  @Test func equalSumsDoNotHideADifferenceForGood() {
    var found = 0
    for seed in 1...40 as ClosedRange<UInt64> {
      var (pair, _) = pair(3_000, 0, seed: seed)
      pair.clocks[0].advance("hidden", to: 7)
      let sum = pair.clocks[0].sum(0..<pair.clocks[0].count)
      let start = Int(pair.random.next(below: 3_001))
      var opening = pair.rules.opening(pair.clocks[0], salt: pair.random.next(), start: start)
      // The receiver's sum is what this one claims.
      let theirs = pair.clocks[1].sum(0..<pair.clocks[1].count)
      #expect(theirs != sum)
      opening.claims = [RangeReconciler.kept(theirs, upTo: nil)]
      var inbox = pair.rules.answer(opening, pair.clocks[1], salt: pair.random.next()).messages
      var side = 0
      var isFound = false
      while !inbox.isEmpty, !isFound {
        let answers = inbox.map { pair.rules.answer($0, pair.clocks[side], salt: pair.random.next()) }
        for answer in answers where !(answer.lacks.theyLack + answer.lacks.weLack).isEmpty { isFound = true }
        inbox = answers.flatMap(\.messages)
        side = 1 - side
      }
      if isFound { found += 1 }
    }
    // A sample holds a third of the origins.
    #expect(found >= 5 && found <= 30)
  }

  @Test func whatIsNoRangeIsNotSound() {
    func claim(_ upTo: WireText?) -> RangeClaim { RangeClaim(upTo: upTo, low: Fixed64(1), high: Fixed64(2)) }
    let long = WireText(bytes: .init(repeating: 65, count: 256))
    let entry = PeerStatus(identifier: "b", nextID: 3)
    #expect(ClockRanges(claims: [claim("b"), claim("c"), claim(nil)]).isSound)
    #expect(ClockRanges(from: "a", claims: [RangeClaim(upTo: "c", isList: true, want: [entry])]).isSound)
    let bad = [
      ClockRanges(), ClockRanges(claims: [claim("c"), claim("b")]), ClockRanges(claims: [claim("b"), claim("b")]),
      ClockRanges(claims: [claim(nil), claim("b")]), ClockRanges(from: "d", claims: [claim("b")]),
      ClockRanges(claims: [claim(long)]), ClockRanges(claims: [claim("")]),
      ClockRanges(from: long, claims: [claim(nil)]),
      ClockRanges(claims: [claim(nil)], sampleFrom: long),
      ClockRanges(from: "c", claims: [RangeClaim(isList: true, want: [entry])]),
      ClockRanges(claims: [RangeClaim(upTo: "b", isList: true, want: [entry])]),
      ClockRanges(claims: [RangeClaim(isList: true, want: [entry, entry])]),
      ClockRanges(claims: [RangeClaim(isList: true, want: [PeerStatus(identifier: "b", nextID: 0)])]),
      ClockRanges(claims: [RangeClaim(isList: true, want: [PeerStatus(identifier: "", nextID: 1)])]),
    ]
    for message in bad { #expect(!message.isSound, "\(message)") }
  }

  @Test func anAnswerIsBoundedWhateverIsClaimed() {
    var random = RandomStream(seed: 8)
    let (pair, _) = pair(2_000, 0, seed: 8)
    for _ in 0..<60 {
      var cuts = (0..<Int(random.next(below: 127))).map { _ in WireText("\(random.next(below: 1 << 40))") }
      cuts = Set(cuts).sorted()
      let isSalted = random.next(below: 2) == 0
      let claims = cuts.map {
        RangeClaim(upTo: $0, low: Fixed64(random.next()), high: isSalted ? nil : Fixed64(random.next()))
      }
      let message = ClockRanges(salt: Fixed64(random.next()), claims: claims + [RangeClaim(isList: true)])
      #expect(message.isSound)
      let answer = pair.rules.answer(message, pair.clocks[0], salt: 1)
      #expect(answer.messages.count <= pair.rules.messages)
      for reply in answer.messages { #expect(reply.isSound && reply.encoded().count < 1_500) }
      #expect(answer.lacks.theyLack.count <= pair.rules.offers)
    }
  }
}
