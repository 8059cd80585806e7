// GossipReceiving: what Gossip does with rumors and batches that come in.
import PeersterVocabulary
import StackCore

extension Gossip {
  func heardRumor(_ rumor: Rumor, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    if config.spread == .tree, context.neighbour(peer)?.isProven == true {
      return heardPushed(rumor, from: peer, context)
    }
    if rumor.origin == me, rumor.isSound { remember(rumor.id + 1, context) }
    accept(rumor, from: peer, context)
    // A status that can't but ask for the same again would have it sent again at once, and so on for ever.
    guard rumor.isSound, rumor.origin != me || rumor.id < log.next(of: me),
      log.judge(rumor.origin, rumor.id) != .full
    else { return }
    // Its sender learns what we have seen, whether the rumor was new or not.
    owe(peer, rumor.origin, context)
  }

  func heardBatch(_ batch: RumorBatch, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    guard StatusScope(from: batch.from, upTo: batch.upTo).isSound else { return counts.refused.add() }
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
      while let held = log.takeHeld(rumor.origin) {
        if let from = held.from { sight(held.rumor, from, context) }
        keep(held.rumor, from: held.from, context)
      }
      return true
    case .ahead:
      // No way is shown by it yet: one invented rumor far ahead would hold the way to its origin for long.
      if log.hold(rumor, from: peer, at: context.now) { counts.held.add() }
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
      guard reported.note(mark, ()) == nil else { return false }
      context.publish(
        Equivocation(origin: rumor.origin, id: rumor.id, refused: rumor.text, from: peer), on: Equivocation.port)
    } catch { failed(error, context) }
    return false
  }
}
