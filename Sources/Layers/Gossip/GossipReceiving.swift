// GossipReceiving: what Gossip does with rumors, batches and simple messages that come in, and what it keeps of them.
import PeersterVocabulary
import StackCore

/// The simple messages heard of late, by a hash, so that none goes round in circles.
struct RecentSimples {
  private var known: Set<UInt64> = []
  private var order: [(hash: UInt64, at: Instant)] = []
  /// How many are remembered, and for how long. The same words said again within that time are taken for an echo.
  static let limit = 4_096
  static let window = Duration.seconds(60)

  /// Whether a message is heard for the first time.
  mutating func isNew(_ simple: Simple, at now: Instant) -> Bool {
    let old = order.prefix { now - $0.at > Self.window }.count
    // A good part at once, so that each costs little.
    if old > 256 || old == order.count || order.count >= Self.limit {
      let gone = max(old, order.count >= Self.limit ? Self.limit / 4 : 0)
      for entry in order.prefix(gone) { known.remove(entry.hash) }
      order.removeFirst(gone)
    }
    let hash = stableHash(simple.originalName.bytes + [0xff] + simple.contents.bytes)
    if known.contains(hash), let last = order.last(where: { $0.hash == hash }), now - last.at <= Self.window {
      return false
    }
    known.insert(hash)
    order.append((hash, now))
    return true
  }
}

extension Gossip {
  // MARK: Rumors

  func heardRumor(_ rumor: Rumor, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    if config.spread == .tree, context.neighbour(peer)?.isProven == true {
      return heardPushed(rumor, from: peer, context)
    }
    accept(rumor, from: peer, context)
    guard rumor.isSound else { return }
    // Its sender learns what we have seen, whether the rumor was new or not.
    owe(peer, rumor.origin, context)
  }

  func heardBatch(_ batch: RumorBatch, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    tree.isSynced = true
    defer { tree.isSynced = false }
    let before = (counts.accepted.value, counts.held.value)
    for rumor in batch.rumors {
      // A rumor of ours that we don't know: our storage was lost.
      if rumor.origin == me, rumor.isSound { remember(rumor.id + 1, context) }
      accept(rumor, from: peer, context)
    }
    hearStarts(batch.starts, from: peer, context)
    let taken = counts.accepted.value - before.0
    let useful = taken + counts.held.value - before.1
    if let stream = batch.stream, let number = batch.number {
      oweSeen(peer, stream, number, accepted: UInt32(clamping: useful), context)
    }
    // A batch without news is not answered by a status: nobody would get any further.
    guard taken > 0, batch.isLast == true else { return }
    if batch.isPartial == true {
      for origin in batch.rumors.map(\.origin) { owe(peer, origin, context) }
    } else {
      oweRange(peer, from: batch.from, upTo: batch.upTo, context)
    }
  }

  /// Takes a rumor in; answers whether it was the next of its origin.
  @discardableResult func accept(
    _ rumor: Rumor, from peer: Address, _ context: borrowing LayerContext<Gossip>
  ) -> Bool {
    // Our own IDs are given here: whoever brings a later one is mistaken, or not honest.
    guard rumor.isSound, rumor.origin != me || rumor.id < log.next(of: me) else {
      counts.refused.add()
      return false
    }
    var verdict = log.judge(rumor.origin, rumor.id)
    if verdict == .full, rumor.id <= 1 + log.limits.gap, makeRoom(for: rumor.origin, context) {
      verdict = log.judge(rumor.origin, rumor.id)
    }
    if case .known = verdict { log.vouched(rumor.origin, by: peer) }
    switch verdict {
    case .new:
      sight(rumor, peer, context)
      keep(rumor, from: peer, context)
      while let held = log.takeHeld(rumor.origin) { keep(held.rumor, from: held.from, context) }
      return true
    case .ahead:
      if log.hold(rumor, from: peer, at: context.now) {
        counts.held.add()
        sight(rumor, peer, context)
      }
    case .known(let isKept):
      counts.duplicates.add()
      let isSame = !isKept || compare(rumor, peer, context)
      if isSame, rumor.id == log.next(of: rumor.origin) - 1 { sight(rumor, peer, context) }
    case .far, .full: counts.refused.add()
    }
    return false
  }

  private func sight(_ rumor: Rumor, _ peer: Address, _ context: borrowing LayerContext<Gossip>) {
    guard rumor.origin != me else { return }
    context.publish(
      RumorSighting(origin: rumor.origin, id: rumor.id, from: peer, hops: rumor.hops), on: RumorSighting.port)
  }

  /// Notes and stores a rumor, tells of it, and sends it on its way.
  func keep(_ rumor: Rumor, from peer: Address?, _ context: borrowing LayerContext<Gossip>) {
    let isNewOrigin = log.run(of: rumor.origin) == nil
    let written = log.append(rumor.origin, size: rumor.logSize, at: context.now)
    if let peer { log.vouched(rumor.origin, by: peer) }
    do {
      try RumorStore(storage: context.storage).set(
        rumor.origin, rumor.id, StoredRumor(rumor, heard: context.now, written: written))
    } catch { failed(error, context) }
    counts.accepted.add()
    if let published = rumor.published, peer != nil { counts.delay.record(max(.zero, context.now - published)) }
    if isNewOrigin { context.publish(OriginDiscovered(origin: rumor.origin, from: peer), on: OriginDiscovered.port) }
    if !rumor.isRoute, isOfInterest(rumor.topic) {
      let heard = RumorHeard(rumor, from: peer, at: context.now)
      context.publish(heard, on: RumorHeard.port)
      tellFollowers(heard)
    }
    retain(rumor.origin, context)
    if config.relay == .all || peer == nil || isOfInterest(rumor.topic) { spread(rumor, except: peer, context) }
  }

  /// Compares a rumor with what is kept under its origin and ID. A topic that a Peerster had cut off is put back.
  private func compare(_ rumor: Rumor, _ peer: Address, _ context: borrowing LayerContext<Gossip>) -> Bool {
    let store = RumorStore(storage: context.storage)
    do {
      guard var stored = try store.get(rumor.origin, rumor.id) else { return true }
      if stored.text == rumor.text {
        if stored.topic == nil, let topic = rumor.topic {
          stored.topic = topic
          try store.set(rumor.origin, rumor.id, stored)
        }
        return true
      }
      counts.equivocations.add()
      let mark = stableHash(rumor.origin.bytes + [0xff] + rumor.text.bytes) ^ UInt64(rumor.id)
      guard !reported.contains(mark) else { return false }
      if reported.count >= 256 { reported.removeFirst(64) }
      reported.append(mark)
      context.publish(
        Equivocation(origin: rumor.origin, id: rumor.id, refused: rumor.text, from: peer), on: Equivocation.port)
    } catch { failed(error, context) }
    return false
  }

  // MARK: Retention

  /// Drops of an origin, and of the one with the most, what is more than retention allows. A sixteenth more goes, so
  /// that this is not done for each rumor.
  private func retain(_ origin: WireText, _ context: borrowing LayerContext<Gossip>) {
    let limits = config.retention
    if let run = log.run(of: origin) {
      let isOver = Int(run.count) > limits.originCount || run.bytes > UInt64(limits.originBytes.bytes)
      if isOver {
        trim(
          origin, count: limits.originCount - limits.originCount / 16,
          bytes: UInt64(limits.originBytes.bytes / 16 * 15), since: nil, context)
      }
    }
    if log.count > limits.count, let largest = log.largest(byBytes: false), let run = log.run(of: largest) {
      trim(largest, count: Int(run.count) - max(1, log.count - limits.count + limits.count / 64), context)
    }
    if log.bytes > UInt64(limits.bytes.bytes), let largest = log.largest(byBytes: true),
      let run = log.run(of: largest)
    {
      let excess = log.bytes - UInt64(limits.bytes.bytes) + UInt64(limits.bytes.bytes / 64)
      trim(largest, bytes: run.bytes - min(run.bytes, excess), context)
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

  // MARK: Simple messages

  func heardSimple(_ simple: Simple, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    guard simples.isNew(simple, at: context.now) else { return }
    context.publish(
      SimpleHeard(name: simple.originalName, contents: simple.contents, from: peer), on: SimpleHeard.port)
    if config.simple { passOn(simple, except: peer, context) }
  }

  func passOn(_ simple: Simple, except: Address?, _ context: borrowing LayerContext<Gossip>) {
    var ours = simple
    ours.relayPeerAddr = WireText("\(context.address)")
    context.sendToNeighbours(ours, as: PeersterField.simple, except: except)
  }
}
