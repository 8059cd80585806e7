// Budget: how many nodes a ring search may ask, how that is split over neighbours, and how it grows.
import StackCore

/// The expanding ring: it asks few nodes first, and each time twice as many.
struct RingState: Hashable, Sendable {
  /// What the next round may spend; nil when the rings are over.
  private(set) var next: UInt64?
  private let most: UInt64

  /// Rings that begin with a budget and double it up to another.
  init(first: UInt64, most: UInt64) {
    (next, self.most) = (max(1, first), most)
  }

  /// One round with a budget of the caller's choice.
  init(only budget: UInt64) { self.init(first: budget, most: 0) }

  /// Takes the next round's budget.
  mutating func take() -> UInt64? {
    guard let now = next else { return nil }
    if most == 0 || now >= most { next = nil } else { next = min(most, now > .max / 2 ? .max : now * 2) }
    return now
  }
}

/// Splits a budget as evenly as can be over so many neighbours, the larger parts first; no part is 0.
func split(budget: UInt64, over neighbours: Int) -> [UInt64] {
  guard neighbours > 0, budget > 0 else { return [] }
  let (share, rest) = budget.quotientAndRemainder(dividingBy: UInt64(neighbours))
  let parts = share == 0 ? Int(rest) : neighbours
  return (0..<parts).map { share + (UInt64($0) < rest ? 1 : 0) }
}
