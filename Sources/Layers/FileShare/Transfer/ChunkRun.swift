// ChunkRun: chunks next to each other that are fetched, checked and written together.
import StackCore

/// Units of a level, next to each other.
typealias UnitRange = Range<Int>

/// Chunks next to each other that are fetched, checked and written together.
struct ChunkRun: Sendable {
  /// How one chunk stands. All its bytes come from one holder, so that a wrong one tells whose fault it was.
  struct Slot: Sendable {
    var owner: Int32 = -1
    /// Which units have been asked for and not been lost, and which have come.
    var asked: UInt64 = 0
    var arrived: UInt64 = 0
    var askedAt = Instant(nanoseconds: 0)
  }
  let first: Int
  var bytes: PageBuffer
  var slots: [Slot]
  /// How many of its chunks aren't whole yet.
  var left: Int
  /// Whether it may have something to ask for.
  var mayAsk = true

  var chunks: Range<Int> { first..<first + slots.count }
}
