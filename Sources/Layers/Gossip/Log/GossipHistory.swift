// GossipHistory: where origins' histories begin, and which origins are forgotten when there are too many.
import PeersterVocabulary
import StackCore

extension Gossip {
  // MARK: Where history begins

  /// Neighbours that keep some origins' rumors only from an ID on say so. Others are asked what they have.
  func hearStarts(_ starts: [PeerStatus], from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    // Whoever writes another's address on its datagrams is not believed, however long nobody objects.
    guard !starts.isEmpty, context.neighbour(peer)?.isProven == true else { return }
    let others = context.neighbours.filter { $0.address != peer && $0.isStrata && $0.isProven }
    var unheard: [WireText] = []
    var believed: [WireText] = []
    for start in starts {
      let origin = start.identifier
      let next = log.next(of: origin)
      guard origin != me, !origin.isEmpty, origin.bytes.count <= Rumor.longestOrigin, start.nextID > next,
        start.nextID < .max, mayLearn(origin, context)
      else { continue }
      let wait =
        switch (isKnown: log.run(of: origin) != nil, isAlone: others.isEmpty) {
        case (true, true): HistoryClaims.knownWait
        case (true, false): HistoryClaims.doubtedWait
        case (false, true): HistoryClaims.aloneWait
        case (false, false): HistoryClaims.askedWait
        }
      let claim = HistoryClaims.Claim(
        origin: origin, first: start.nextID, from: peer, next: next, due: context.now + wait, wait: wait)
      switch history.hear(claim) {
      case .new: unheard.append(origin)
      case .believed(let first):
        if first > next, makeRoom(for: origin, context) {
          skip(origin, to: first, context)
          believed.append(origin)
        }
      case .waits: break
      }
    }
    if !unheard.isEmpty {
      for other in context.shuffled(others).prefix(2) { sendNamed(unheard, to: other.address, context) }
    }
    // What follows the beginning was not sent along.
    sendNamed(believed, to: peer, context)
    context.arm(.history, at: history.nextDeadline)
  }

  /// Believes the claims that have waited long enough, and asks for what follows.
  func believeOld(_ context: borrowing LayerContext<Gossip>) {
    var told: [Address] = []
    for claim in history.due(at: context.now, next: { log.next(of: $0) }) {
      guard makeRoom(for: claim.origin, context) else { continue }
      skip(claim.origin, to: claim.first, context)
      if !told.contains(claim.from), told.count < 64 { told.append(claim.from) }
    }
    for peer in told where context.neighbour(peer) != nil { sendStatus(to: peer, context) }
    context.arm(.history, at: history.nextDeadline)
  }

  func skip(_ origin: WireText, to first: UInt32, _ context: borrowing LayerContext<Gossip>) {
    log.skip(origin, to: first, at: context.now)
    do {
      try RumorStore(storage: context.storage).drop(
        origin, below: first, written: log.run(of: origin)?.written ?? 0)
    } catch { failed(error, context) }
  }

  // MARK: Room for origins

  /// Whether an origin is known, or there would be room for it.
  func mayLearn(_ origin: WireText, _ context: borrowing LayerContext<Gossip>) -> Bool {
    log.run(of: origin) != nil || log.hasRoom || log.victim(at: context.now, except: me) != nil
  }

  /// Sees that there is room for an origin, if need be by forgetting another; false when there is none.
  func makeRoom(for origin: WireText, _ context: borrowing LayerContext<Gossip>) -> Bool {
    if log.run(of: origin) != nil || log.hasRoom { return true }
    guard let victim = log.victim(at: context.now, except: me) else { return false }
    log.forget(victim)
    counts.forgotten.add()
    do { try RumorStore(storage: context.storage).forget(victim) } catch { failed(error, context) }
    return true
  }
}
