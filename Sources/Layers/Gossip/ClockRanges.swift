// ClockRanges: what a node has seen, told to a Strata node as fingerprints of ranges of origins, and the answer to it.
import PeersterVocabulary
import StackCore

/// What a node has seen of the origins in one range of names. Of a range of which nothing is said there is nothing to
/// say, or no room to say it.
struct RangeClaim: WireMessage, Equatable {
  /// The name before which the range ends; none: it has no end.
  var upTo: WireText?
  /// The sum of the fingerprints; of one under the message's salt only the lower half.
  var low: Fixed64?
  var high: Fixed64?
  /// Whether all origins of the range that were seen are listed.
  var isList: Bool?
  var want: [PeerStatus] = []

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "upTo", &upTo)
    try field(2, "low", &low)
    try field(3, "high", &high)
    try field(4, "isList", &isList)
    try field(5, "want", &want, limit: 64)
  }
}

/// Ranges of names one after the other, each beginning where the one before ends.
struct ClockRanges: WireMessage, Equatable {
  /// The name with which the first range begins; none: with the first of all.
  var from: WireText?
  /// Under what the sums without an upper half were taken: drawn anew for each message.
  var salt: Fixed64?
  var claims: [RangeClaim] = []
  /// In an opening: a range of at most `sampleSize` origins, and its sum under the salt.
  var sampleFrom: WireText?
  var sampleUpTo: WireText?
  var sample: Fixed64?

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "from", &from)
    try field(2, "salt", &salt)
    try field(3, "claims", &claims, limit: 128)
    try field(4, "sampleFrom", &sampleFrom)
    try field(5, "sampleUpTo", &sampleUpTo)
    try field(6, "sample", &sample)
  }

  /// Whether it begins an exchange: one sum over all there is.
  var isOpening: Bool { from == nil && claims.count == 1 && claims[0].upTo == nil && claims[0].high != nil }

  /// Whether the ranges ascend, only the last has no end, and lists are of sound entries, ascending, each in its range.
  var isSound: Bool {
    var start = from
    guard Self.isBound(from), Self.isBound(sampleFrom), Self.isBound(sampleUpTo) else { return false }
    for (place, claim) in claims.enumerated() {
      guard Self.isBound(claim.upTo), claim.upTo != nil || place == claims.count - 1 else { return false }
      if let start, let upTo = claim.upTo, upTo <= start { return false }
      var last: WireText?
      for entry in claim.want {
        let name = entry.identifier
        guard Self.isBound(name), entry.nextID > 0, last.map({ $0 < name }) ?? true,
          start.map({ $0 <= name }) ?? true, claim.upTo.map({ name < $0 }) ?? true
        else { return false }
        last = name
      }
      start = claim.upTo
    }
    return !claims.isEmpty
  }

  private static func isBound(_ name: WireText?) -> Bool {
    name.map { !$0.isEmpty && $0.bytes.count <= Rumor.longestOrigin } ?? true
  }
}

/// Finds the difference of two clocks by comparing ranges of names, and only those that differ again in smaller ones
/// (Meyer 2022, "Range-Based Set Reconciliation"). Nothing is remembered between two messages.
struct RangeReconciler {
  /// Up to so many origins are listed outright.
  var listed = 8
  /// Into how many parts a range that differs is cut.
  var parts = 8
  /// Parts of up to so many origins are summed under a fresh salt.
  var salted = 1_024
  /// How many origins are summed afresh for one message.
  var budget = 2_048
  /// How many origins an opening's sample has.
  var sampleSize = 1_024
  /// About how many bytes an answering message has, and how many there are.
  var room = 1_100
  var messages = 8
  /// Of how many origins the other side is said to lack rumors, at the most.
  var offers = 4_096

  /// What a message comes to.
  struct Answer {
    var messages: [ClockRanges] = []
    var lacks = ClockTree.Differences()
    /// Whether all that was claimed holds here too.
    var isEqual = true
  }

  /// The first message of an exchange. The sample begins somewhere: so that no two clocks of one sum look alike for
  /// long.
  func opening(_ clock: ClockTree, salt: UInt64, start: Int) -> ClockRanges {
    let sum = clock.sum(0..<clock.count)
    var message = ClockRanges(salt: Fixed64(salt), claims: [Self.kept(sum, upTo: nil)])
    let size = min(sampleSize, clock.count)
    // Also the first and the last of it are looked at as often as the others.
    let first = max(0, min(clock.count - size, start - size / 2))
    if first > 0 { message.sampleFrom = clock[first].identifier }
    if first + size < clock.count { message.sampleUpTo = clock[first + size].identifier }
    message.sample = Fixed64(UInt64(truncatingIfNeeded: clock.sum(first..<first + size, salt: salt)))
    return message
  }

  /// Compares claims, which must be sound, with a clock.
  func answer(_ message: ClockRanges, _ clock: ClockTree, salt: UInt64) -> Answer {
    var writer = Writer(self, clock, salt: salt)
    var answer = Answer()
    var hashed = budget
    var start = message.from
    for claim in message.claims {
      let ranks = clock.ranks(from: start, upTo: claim.upTo)
      defer { start = claim.upTo }
      if claim.isList == true {
        let found = clock.differences(
          from: claim.want[...], in: ranks, limit: max(0, offers - answer.lacks.theyLack.count))
        answer.lacks.theyLack += found.theyLack
        answer.lacks.weLack += found.weLack
        if found != .init() { answer.isEqual = false }
        continue
      }
      // Of a range of which nothing is said nobody knows whether it is the same.
      guard let low = claim.low, !same(claim, low, message.salt, ranks, clock, &hashed) else {
        if claim.low == nil { answer.isEqual = false }
        continue
      }
      answer.isEqual = false
      // Where there is so much more here, the kept sums can't be the same by design.
      let isSalted = claim.high == nil && ranks.count <= 2 * salted
      writer.cut(ranks, from: start, upTo: claim.upTo, isSalted: isSalted)
    }
    if let sample = message.sample, answer.isEqual {
      let ranks = clock.ranks(from: message.sampleFrom, upTo: message.sampleUpTo)
      let claim = RangeClaim(low: sample)
      if !same(claim, sample, message.salt, ranks, clock, &hashed) {
        answer.isEqual = false
        writer.cut(ranks, from: message.sampleFrom, upTo: message.sampleUpTo, isSalted: true)
      }
    }
    answer.messages = writer.finished()
    return answer
  }

  private func same(
    _ claim: RangeClaim, _ low: Fixed64, _ salt: Fixed64?, _ ranks: Range<Int>, _ clock: ClockTree,
    _ hashed: inout Int
  ) -> Bool {
    if claim.high != nil { return Self.kept(clock.sum(ranks), upTo: claim.upTo) == claim }
    // What is much more than is claimed for can't be the same; and nobody shall have us sum for nothing.
    guard ranks.count <= hashed else { return false }
    hashed -= ranks.count
    return UInt64(truncatingIfNeeded: clock.sum(ranks, salt: salt?.value ?? 0)) == low.value
  }

  /// The sum that a claim tells.
  static func value(_ claim: RangeClaim) -> UInt128 {
    UInt128(claim.high?.value ?? 0) << 64 | UInt128(claim.low?.value ?? 0)
  }

  static func kept(_ sum: UInt128, upTo: WireText?) -> RangeClaim {
    RangeClaim(
      upTo: upTo, low: Fixed64(UInt64(truncatingIfNeeded: sum)), high: Fixed64(UInt64(truncatingIfNeeded: sum >> 64)))
  }

  /// The shortest name that is above one and not above the next.
  static func bound(above left: WireText, upTo right: WireText) -> WireText {
    var same = 0
    while same < left.bytes.count, same < right.bytes.count, left.bytes[same] == right.bytes[same] { same += 1 }
    return WireText(bytes: Array(right.bytes.prefix(same + 1)))
  }
}

/// Gathers the claims of an answer into messages of about a datagram.
private struct Writer {
  let rules: RangeReconciler
  let clock: ClockTree
  let salt: UInt64
  var budget: Int
  var messages: [ClockRanges] = []
  var current: ClockRanges
  var size = 0
  /// Where the last claim ended, once there is one.
  var end: WireText?

  init(_ rules: RangeReconciler, _ clock: ClockTree, salt: UInt64) {
    self.rules = rules
    self.clock = clock
    self.salt = salt
    budget = rules.budget
    current = ClockRanges(salt: Fixed64(salt))
  }

  /// Lists a range that differs, or cuts it into smaller ones.
  mutating func cut(_ ranks: Range<Int>, from: WireText?, upTo: WireText?, isSalted: Bool) {
    if ranks.count <= rules.listed {
      return add(RangeClaim(upTo: upTo, isList: true, want: clock.slice(ranks)), from: from)
    }
    let parts = min(rules.parts, ranks.count)
    var start = from
    for part in 0..<parts {
      let first = ranks.lowerBound + ranks.count * part / parts
      let last = ranks.lowerBound + ranks.count * (part + 1) / parts
      let bound =
        part == parts - 1
        ? upTo : RangeReconciler.bound(above: clock[last - 1].identifier, upTo: clock[last].identifier)
      add(claim(first..<last, upTo: bound, isSalted: isSalted), from: start)
      start = bound
    }
  }

  /// Sums a range, under a fresh salt if there is the time for that. What differs under one is not looked at by the
  /// kept sums, which may be the same.
  private mutating func claim(_ ranks: Range<Int>, upTo: WireText?, isSalted: Bool) -> RangeClaim {
    guard isSalted || ranks.count <= rules.salted, ranks.count <= budget else {
      return isSalted ? RangeClaim(upTo: upTo) : RangeReconciler.kept(clock.sum(ranks), upTo: upTo)
    }
    budget -= ranks.count
    return RangeClaim(
      upTo: upTo, low: Fixed64(UInt64(truncatingIfNeeded: clock.sum(ranks, salt: salt))))
  }

  private mutating func add(_ claim: RangeClaim, from: WireText?) {
    guard messages.count < rules.messages else { return }
    var claim = claim
    let bytes =
      6 + (claim.upTo?.bytes.count ?? 0) + (claim.low == nil ? 0 : 9) + (claim.high == nil ? 0 : 9)
      + claim.want.reduce(0) { $0 + $1.identifier.bytes.count + 8 }
    if size + bytes > rules.room { close() }
    guard messages.count < rules.messages else { return }
    if current.claims.isEmpty {
      current.from = from
    } else if end != from {
      // Of what lies between nothing is said.
      current.claims.append(RangeClaim(upTo: from))
      size += 6 + (from?.bytes.count ?? 0)
    }
    end = claim.upTo
    if claim.isList == nil { claim.want = [] }
    current.claims.append(claim)
    size += bytes
  }

  private mutating func close() {
    if !current.claims.isEmpty { messages.append(current) }
    current = ClockRanges(salt: Fixed64(salt))
    size = 0
    end = nil
  }

  mutating func finished() -> [ClockRanges] {
    close()
    return Array(messages.prefix(rules.messages))
  }
}
