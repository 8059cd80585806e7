// GossipHistory: where origins' histories begin, and which origins are forgotten when there are too many.
import PeersterVocabulary
import StackCore

extension Gossip {
  // MARK: Our own

  /// Nothing of ours is in storage: either we are new, or it was lost, and others know IDs of ours. To claim far more
  /// than there can be has a neighbour of any kind answer with its status, which says. Until they have had the time to,
  /// nothing is published for other layers, since a route rumor would go out at once; who has no neighbours need not
  /// wait. A person's `publish` does not wait either.
  func askForOwnIDs(_ context: borrowing LayerContext<Gossip>) {
    let asked = context.shuffled(context.neighbours.map(\.address)).prefix(8)
    let question = Status(want: [PeerStatus(identifier: me, nextID: UInt32(Int32.max))], isPartial: true)
    for peer in asked { context.send(question, as: PeersterField.status, to: peer) }
    if !asked.isEmpty { context.arm(.ownIDs, after: config.ackTimeout) }
  }

  // MARK: Where history begins

  /// Neighbours that keep some origins' rumors only from an ID on say so. Others are asked what they have.
  func hearStarts(_ starts: [PeerStatus], from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    guard !starts.isEmpty, let neighbour = context.neighbour(peer) else { return }
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
        log.run(of: origin) != nil
        ? HistoryClaims.knownWait : others.isEmpty ? HistoryClaims.aloneWait : HistoryClaims.askedWait
      let claim = HistoryClaims.Claim(
        origin: origin, first: start.nextID, from: peer, next: next, due: context.now + wait)
      switch history.hear(claim, isProven: neighbour.isProven) {
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
    armHistory(context)
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
    armHistory(context)
  }

  private func armHistory(_ context: borrowing LayerContext<Gossip>) {
    guard let next = history.nextDeadline else { return context.cancel(.history) }
    context.arm(.history, after: max(.zero, next - context.now))
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
