// GossipRetention: which rumors go when there are too many of them, or they are too old.
import PeersterVocabulary
import StackCore

extension Gossip {
  /// Drops of an origin, and of those with the most, what is more than retention allows. A sixteenth more goes, so
  /// that this is not done for each rumor.
  func retain(_ origin: WireText, _ context: borrowing LayerContext<Gossip>) {
    let limits = config.retention
    if let run = log.run(of: origin) {
      let isOver = Int(run.count) > limits.originCount || run.bytes > UInt64(limits.originBytes.bytes)
      if isOver {
        trim(
          origin, count: limits.originCount - limits.originCount / 16,
          bytes: UInt64(limits.originBytes.bytes / 16 * 15), context)
      }
    }
    if log.count > limits.count {
      let excess = log.count - limits.count + limits.count / 64
      for (origin, rest) in log.largest(byBytes: false, toLose: UInt64(excess)) {
        trim(origin, count: Int(rest), context)
      }
    }
    if log.bytes > UInt64(limits.bytes.bytes) {
      let excess = log.bytes - UInt64(limits.bytes.bytes) + UInt64(limits.bytes.bytes / 64)
      for (origin, rest) in log.largest(byBytes: true, toLose: excess) { trim(origin, bytes: rest, context) }
    }
  }

  /// Drops an origin's oldest rumors until no more than so many, of so many bytes, and none from before, are left.
  private func trim(
    _ origin: WireText, count: Int = .max, bytes: UInt64 = .max, since: Instant? = nil,
    _ context: borrowing LayerContext<Gossip>
  ) {
    guard let run = log.run(of: origin) else { return }
    let store = RumorStore(storage: context.storage)
    var first = run.next
    var left: UInt64 = 0
    var oldest = run.newest
    do {
      try store.scan(origin, from: run.first) { id, rumor in
        let before = rumor.written - min(rumor.written, UInt64(rumor.rumor(origin, id).logSize))
        let rest = run.written - min(run.written, before)
        guard Int(run.next - id) <= max(0, count), rest <= bytes, since.map({ rumor.heard >= $0 }) ?? true else {
          return true
        }
        (first, left, oldest) = (id, rest, rumor.heard)
        return false
      }
      try store.drop(origin, below: first, written: run.written)
    } catch { return failed(error, context) }
    counts.dropped.add(UInt64(first - run.first))
    log.drop(origin, below: first, bytesLeft: left, oldest: oldest)
  }

  /// Does what needs doing now and then.
  func sweep(_ context: borrowing LayerContext<Gossip>) {
    let now = context.now
    log.expireHeld(before: now - .seconds(60))
    gapOffers = gapOffers.filter { now - $0.value < .seconds(60) }
    openings = openings.filter { now - $0.value < .seconds(60) }
    guard config.retention.age > .zero else { return }
    let cutoff = now - config.retention.age
    for entry in log.clock.entries {
      guard let run = log.run(of: entry.identifier), run.count > 0, run.oldest < cutoff else { continue }
      trim(entry.identifier, since: cutoff, context)
    }
  }
}
