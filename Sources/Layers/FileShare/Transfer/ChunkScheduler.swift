// ChunkScheduler: of one level of a file's tree, which chunks are asked of whom, and what has come of them.
import StackCore

/// Hands out the chunks of a level to holders, piece by piece takes what comes, and gives back whole runs.
///
/// First what was asked for in haste (`urgent`), then what the fewest hold, then from the start. A holder with nothing
/// else to do at the end takes over what others are slow to bring.
struct ChunkScheduler: Sendable {
  /// The bytes of the level, and of a chunk.
  let levelBytes: Int64
  let chunkSize: Int
  /// How many chunks a run has at the most, and how many runs there may be.
  let runChunks: Int
  var mostRuns: Int
  /// The chunks that are checked and kept.
  private(set) var held: ChunkMap
  /// What should come before all else, the most urgent first.
  var urgent: [Range<Int>] = []
  /// The runs that are being fetched.
  private(set) var runs: [ChunkRun] = []
  /// The chunks held, being fetched or being checked.
  private var taken: ChunkMap
  private var checking = 0
  private var cursor = 0
  private var lastRun = 0
  /// The chunk that the present holder is not to be asked for.
  private var spared: Int?
  /// Buffers of runs that are done, to be used again.
  private var spare: [PageBuffer] = []

  private var unitsInChunk: Int { chunkSize >> Unit.shift }
  /// How many chunks the level has.
  var chunkCount: Int { held.count }
  /// Whether every chunk is there.
  var isWhole: Bool { held.isWhole }

  /// A level of which these chunks are there already.
  init(levelBytes: Int64, chunkSize: Int, runBytes: Int, mostRuns: Int, held: ChunkMap? = nil) {
    self.levelBytes = levelBytes
    self.chunkSize = chunkSize
    self.mostRuns = max(1, mostRuns)
    runChunks = max(1, runBytes / chunkSize)
    let count = Int((levelBytes + Int64(chunkSize) - 1) / Int64(chunkSize))
    self.held = held ?? ChunkMap(count: count)
    taken = self.held
  }

  /// How many bytes a chunk has.
  func byteCount(_ chunk: Int) -> Int { Int(min(Int64(chunkSize), levelBytes - Int64(chunk) * Int64(chunkSize))) }

  /// How many bytes ranges of units have.
  func byteCount(of ranges: [UnitRange]) -> Int {
    ranges.reduce(0) { sum, range in
      sum + Int(min(Int64(range.upperBound) << Unit.shift, levelBytes) - Int64(range.lowerBound) << Unit.shift)
    }
  }

  private func allUnits(_ chunk: Int) -> UInt64 {
    let units = (byteCount(chunk) + Unit.bytes - 1) >> Unit.shift
    return units >= 64 ? .max : (1 << UInt64(units)) - 1
  }

  // MARK: Asking

  /// What to ask of a holder now: at most `limit` units in a few ranges. `rarity` says how many hold a chunk, where not
  /// all who are known hold all of it.
  mutating func ask(
    of holder: Int32, holding: ChunkMap?, limit: Int, at now: Instant, patience: Duration,
    rarity: ((Int) -> Int)? = nil,
    sparing spared: Int? = nil
  ) -> [UnitRange] {
    self.spared = spared
    var result: [UnitRange] = []
    var room = limit
    askInHaste(holder, holding, &room, &result, now)
    for place in runs.indices where runs[place].mayAsk && room > 0 {
      askWithin(place, holder, holding, &room, &result, now)
    }
    while room > 0, result.count < RangeRequest.mostRanges, runs.count + checking < mostRuns,
      let first = nextChunk(for: holding, rarity), first != spared
    {
      open(at: first, holding)
      askWithin(runs.count - 1, holder, holding, &room, &result, now)
    }
    if result.isEmpty { takeOver(holder, holding, &room, &result, now, patience) }
    return result
  }

  /// Asks for what is urgent, with a few runs more than usual, so that it needn't wait for what is under way.
  private mutating func askInHaste(
    _ holder: Int32, _ holding: ChunkMap?, _ room: inout Int, _ result: inout [UnitRange], _ now: Instant
  ) {
    guard !urgent.isEmpty else { return }
    for place in runs.indices where runs[place].mayAsk && room > 0 {
      if urgent.contains(where: { $0.overlaps(runs[place].chunks) }) {
        askWithin(place, holder, holding, &room, &result, now)
      }
    }
    while room > 0, result.count < RangeRequest.mostRanges, runs.count + checking < mostRuns + Self.hastyRuns,
      let first = nextUrgent(for: holding), first != spared
    {
      // Short runs, since nothing of a run can be read before all of it is there.
      open(at: first, holding, most: Self.hastyRunBytes / chunkSize)
      askWithin(runs.count - 1, holder, holding, &room, &result, now)
    }
  }
  private static let hastyRuns = 4
  private static let hastyRunBytes = 256 << 10

  private mutating func askWithin(
    _ place: Int, _ holder: Int32, _ holding: ChunkMap?, _ room: inout Int, _ result: inout [UnitRange], _ now: Instant
  ) {
    var isSettled = true
    for slot in runs[place].slots.indices {
      let chunk = runs[place].first + slot
      let owner = runs[place].slots[slot].owner
      let open = allUnits(chunk) & ~runs[place].slots[slot].asked & ~runs[place].slots[slot].arrived
      if open == 0 { continue }
      guard owner < 0 || owner == holder, chunk != spared, holding.map({ $0[chunk] }) ?? true, room > 0,
        result.count < RangeRequest.mostRanges
      else {
        isSettled = false
        continue
      }
      runs[place].slots[slot].owner = holder
      runs[place].slots[slot].askedAt = now
      let asked = Self.append(open, at: chunk * unitsInChunk, &room, &result)
      runs[place].slots[slot].asked |= asked
      if asked != open { isSettled = false }
    }
    if isSettled { runs[place].mayAsk = false }
  }

  /// Adds the units of a mask to the ranges, as far as there is room; answers which were added.
  private static func append(_ mask: UInt64, at base: Int, _ room: inout Int, _ result: inout [UnitRange]) -> UInt64 {
    var rest = mask
    var added: UInt64 = 0
    while rest != 0, room > 0 {
      let start = rest.trailingZeroBitCount
      let length = min((~(rest >> UInt64(start))).trailingZeroBitCount, room)
      let from = base + start
      if let last = result.last, last.upperBound == from {
        result[result.count - 1] = last.lowerBound..<from + length
      } else if result.count < RangeRequest.mostRanges {
        result.append(from..<from + length)
      } else {
        break
      }
      let bits = (length >= 64 ? UInt64.max : (1 << UInt64(length)) - 1) << UInt64(start)
      added |= bits
      rest &= ~bits
      room -= length
    }
    return added
  }

  /// The next chunk that nobody fetches, and that a holder has.
  private mutating func nextChunk(for holding: ChunkMap?, _ rarity: ((Int) -> Int)?) -> Int? {
    if let urgent = nextUrgent(for: holding) { return urgent }
    guard let start = taken.first(false, from: cursor) else { return nil }
    cursor = start
    guard let rarity else { return holding.map { taken.firstMissing(from: start, in: $0) } ?? start }
    return rarest(rarity, holding)
  }

  private func nextUrgent(for holding: ChunkMap?) -> Int? {
    for range in urgent {
      var chunk = range.lowerBound
      while let free = taken.first(false, from: chunk), free < range.upperBound {
        if holding.map({ $0[free] }) ?? true { return free }
        chunk = free + 1
      }
    }
    return nil
  }

  /// Of the first free chunks of each of some stretches the one that the fewest hold.
  private func rarest(_ rarity: (Int) -> Int, _ holding: ChunkMap?) -> Int? {
    var best: (chunk: Int, holders: Int)?
    var chunk = cursor
    for _ in 0..<Self.mostStretches {
      let next = holding.map { taken.firstMissing(from: chunk, in: $0) } ?? taken.first(false, from: chunk)
      guard let free = next else { break }
      let holders = rarity(free)
      if holders < best?.holders ?? .max { best = (free, holders) }
      if holders <= 1 { break }
      chunk = (free / runChunks + 1) * runChunks
    }
    return best?.chunk
  }
  /// Among how many stretches the rarest chunk is looked for: of a huge file not all, each time a chunk is asked for.
  private static let mostStretches = 4_096

  private mutating func open(at first: Int, _ holding: ChunkMap?, most: Int = .max) {
    let length = max(1, min(runChunks, most))
    let end = min((first / length + 1) * length, chunkCount)
    var last = first + 1
    while last < end, !taken[last], holding.map({ $0[last] }) ?? true { last += 1 }
    let size = Int(min(levelBytes, Int64(last) * Int64(chunkSize)) - Int64(first) * Int64(chunkSize))
    taken.insert(first..<last)
    runs.append(
      ChunkRun(
        first: first, bytes: buffer(size), slots: Array(repeating: .init(), count: last - first), left: last - first))
  }

  private mutating func buffer(_ size: Int) -> PageBuffer {
    if let place = spare.lastIndex(where: { $0.count == size }) { return spare.remove(at: place) }
    // Every byte is written before it is read: a run is whole only when all its units have come.
    return PageBuffer(count: size)
  }

  /// Chunks that their holders were asked for long ago go to one that has nothing else to do.
  private mutating func takeOver(
    _ holder: Int32, _ holding: ChunkMap?, _ room: inout Int, _ result: inout [UnitRange], _ now: Instant,
    _ patience: Duration
  ) {
    for place in runs.indices {
      for slot in runs[place].slots.indices where room > 0 {
        let chunk = runs[place].first + slot
        let old = runs[place].slots[slot]
        guard old.owner != holder, old.owner >= 0, chunk != spared, old.arrived != allUnits(chunk),
          now - old.askedAt > patience,
          holding.map({ $0[chunk] }) ?? true, result.count < RangeRequest.mostRanges
        else { continue }
        runs[place].slots[slot] = .init(owner: holder, askedAt: now)
        let asked = Self.append(allUnits(chunk), at: chunk * unitsInChunk, &room, &result)
        runs[place].slots[slot].asked = asked
        if asked != allUnits(chunk) { runs[place].mayAsk = true }
      }
    }
  }

  /// What is under way from a holder: at most `limit` units in a few ranges, the oldest runs first.
  func underWay(from holder: Int32, limit: Int) -> [UnitRange] {
    var result: [UnitRange] = []
    var room = limit
    for run in runs {
      for (slot, state) in run.slots.enumerated() where state.owner == holder && room > 0 {
        _ = Self.append(state.asked & ~state.arrived, at: (run.first + slot) * unitsInChunk, &room, &result)
      }
    }
    return result
  }

  // MARK: What comes

  /// What came of a piece.
  struct Arrival: Hashable {
    /// The bytes that were asked of this holder and hadn't come yet.
    var newBytes = 0
    /// The runs that are whole now, by their first chunks.
    var wholeRuns: [Int] = []
  }

  /// Takes a piece from a holder: only what was asked of it and hasn't come yet. Nil when it isn't made of whole units
  /// of the level.
  mutating func arrived(_ offset: Int64, _ data: RawSpan, from holder: Int32) -> Arrival? {
    let count = Int64(data.byteCount)
    guard offset >= 0, offset & Int64(Unit.bytes - 1) == 0, count > 0, count <= levelBytes,
      offset <= levelBytes - count, (offset + count) & Int64(Unit.bytes - 1) == 0 || offset + count == levelBytes
    else { return nil }
    var arrival = Arrival()
    var position = offset
    while position < offset + count {
      let chunk = Int(position / Int64(chunkSize))
      let end = min(Int64(chunk + 1) * Int64(chunkSize), offset + count)
      let part = data.extracting(Int(position - offset)..<Int(end - offset))
      take(chunk, from: Int(position - Int64(chunk) * Int64(chunkSize)), part, holder, &arrival)
      position = end
    }
    return arrival
  }

  private mutating func take(
    _ chunk: Int, from start: Int, _ part: RawSpan, _ holder: Int32, _ arrival: inout Arrival
  ) {
    guard let place = place(of: chunk) else { return }
    let slot = chunk - runs[place].first
    guard runs[place].slots[slot].owner == holder else { return }
    let firstUnit = start >> Unit.shift
    let units = (part.byteCount + Unit.bytes - 1) >> Unit.shift
    let mask = (units >= 64 ? UInt64.max : (1 << UInt64(units)) - 1) << UInt64(firstUnit)
    // What was taken for lost may come late.
    let fresh = mask & ~runs[place].slots[slot].arrived
    guard fresh != 0 else { return }
    let target = slot * chunkSize + start
    if fresh == mask {
      copy(part, to: target, in: place)
      arrival.newBytes += part.byteCount
    } else {
      for unit in 0..<units where fresh >> UInt64(firstUnit + unit) & 1 != 0 {
        let piece = part.extracting(unit * Unit.bytes..<min(part.byteCount, (unit + 1) * Unit.bytes))
        copy(piece, to: target + unit * Unit.bytes, in: place)
        arrival.newBytes += piece.byteCount
      }
    }
    runs[place].slots[slot].arrived |= fresh
    guard runs[place].slots[slot].arrived == allUnits(chunk) else { return }
    runs[place].left -= 1
    if runs[place].left == 0 { arrival.wholeRuns.append(runs[place].first) }
  }

  private mutating func copy(_ part: RawSpan, to target: Int, in place: Int) {
    runs[place].bytes.withUnsafeMutableBytes { bytes in
      part.withUnsafeBytes { source in
        UnsafeMutableRawBufferPointer(rebasing: bytes[target..<target + source.count]).copyMemory(from: source)
      }
    }
  }

  private mutating func place(of chunk: Int) -> Int? {
    if lastRun < runs.count, runs[lastRun].chunks.contains(chunk) { return lastRun }
    guard let place = runs.firstIndex(where: { $0.chunks.contains(chunk) }) else { return nil }
    lastRun = place
    return place
  }

  /// Units asked of a holder were lost, so far as they haven't come meanwhile; answers how many.
  mutating func lost(_ units: UnitRange, by holder: Int32) -> Int {
    var count = 0
    var unit = units.lowerBound
    while unit < units.upperBound {
      let chunk = unit / unitsInChunk
      let end = min((chunk + 1) * unitsInChunk, units.upperBound)
      defer { unit = end }
      guard let place = place(of: chunk) else { continue }
      let slot = chunk - runs[place].first
      guard runs[place].slots[slot].owner == holder else { continue }
      let length = end - unit
      let mask = (length >= 64 ? UInt64.max : (1 << UInt64(length)) - 1) << UInt64(unit - chunk * unitsInChunk)
      let missing = mask & runs[place].slots[slot].asked & ~runs[place].slots[slot].arrived
      if missing == 0 { continue }
      runs[place].slots[slot].asked &= ~missing
      runs[place].mayAsk = true
      count += missing.nonzeroBitCount
    }
    return count
  }

  /// How many units of a range haven't come yet of those asked of a holder.
  mutating func outstanding(_ units: UnitRange, of holder: Int32) -> Int {
    var count = 0
    var unit = units.lowerBound
    while unit < units.upperBound {
      let chunk = unit / unitsInChunk
      let end = min((chunk + 1) * unitsInChunk, units.upperBound)
      defer { unit = end }
      guard let place = place(of: chunk) else { continue }
      let slot = runs[place].slots[chunk - runs[place].first]
      guard slot.owner == holder else { continue }
      let length = end - unit
      let mask = (length >= 64 ? UInt64.max : (1 << UInt64(length)) - 1) << UInt64(unit - chunk * unitsInChunk)
      count += (mask & slot.asked & ~slot.arrived).nonzeroBitCount
    }
    return count
  }

  /// A holder brings nothing any more: what it hasn't finished is anybody's.
  mutating func release(_ holder: Int32) {
    for place in runs.indices {
      for slot in runs[place].slots.indices where runs[place].slots[slot].owner == holder {
        if runs[place].slots[slot].arrived == allUnits(runs[place].first + slot) { continue }
        runs[place].slots[slot] = .init()
        runs[place].mayAsk = true
      }
    }
  }

  // MARK: Checking

  /// Hands out a whole run, to be checked and kept: its bytes, and of each chunk who brought it.
  mutating func takeRun(_ first: Int) -> (bytes: PageBuffer, owners: [Int32])? {
    guard let place = runs.firstIndex(where: { $0.first == first }), runs[place].left == 0 else { return nil }
    let run = runs.remove(at: place)
    checking += 1
    return (run.bytes, run.slots.map(\.owner))
  }

  /// A run has been checked: these chunks of it are right and kept; the others are to be fetched anew.
  mutating func settle(_ chunks: Range<Int>, good: [Bool], buffer: PageBuffer) {
    checking -= 1
    for chunk in chunks {
      if chunk - chunks.lowerBound < good.count, good[chunk - chunks.lowerBound] {
        held.insert(chunk)
      } else {
        taken.remove(chunk)
        cursor = min(cursor, chunk)
      }
    }
    if spare.count + runs.count + checking < mostRuns, buffer.count == runChunks * chunkSize { spare.append(buffer) }
  }

  /// Adds chunks that were found to be there.
  mutating func note(_ chunks: Range<Int>) {
    held.insert(chunks)
    taken.insert(chunks)
  }

  /// Gives back the memory that waits for more to come.
  mutating func dropSpare() { spare = [] }

  /// Gives up all that is being fetched.
  mutating func drop() {
    for run in runs { for chunk in run.chunks { taken.remove(chunk) } }
    runs = []
    spare = []
    cursor = 0
  }
}
