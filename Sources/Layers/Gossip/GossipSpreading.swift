// GossipSpreading: to whom Gossip tells a rumor: mongering, flooding, and the coin.
import PeersterVocabulary
import StackCore

extension Gossip {
  // MARK: Telling rumors

  /// Sends a new rumor on its way: to one random neighbour, or to all.
  func spread(_ rumor: Rumor, except peer: Address?, _ context: borrowing LayerContext<Gossip>) {
    switch config.spread {
    case .mongering:
      if let next = pick(except: peer, context) { tell(rumor, to: next, context) }
    case .flood:
      context.sendToNeighbours(outgoing(rumor), as: PeersterField.rumor, except: peer)
    case .tree: push(rumor, except: peer, context)
    }
  }

  /// Tells a neighbour a rumor, and waits for its answer.
  func tell(_ rumor: Rumor, to peer: Address, _ context: borrowing LayerContext<Gossip>) {
    context.send(outgoing(rumor), as: PeersterField.rumor, to: peer)
    context.publish(Mongering(origin: rumor.origin, id: rumor.id, with: peer), on: Mongering.port)
    _ = mongering.told(
      .init(peer: peer, origin: rumor.origin, id: rumor.id, until: context.now + config.ackTimeout))
    armAnswers(context)
  }

  /// A rumor as it leaves here: one node further on, unless it is our own.
  func outgoing(_ rumor: Rumor) -> Rumor {
    var rumor = rumor
    rumor.hops = rumor.origin == me ? 0 : rumor.hops.map { min($0, 1_000) + 1 }
    return rumor
  }

  /// Decides by a coin whether a rumor goes on, and if so to a neighbour other than the last.
  func flipCoin(_ wait: MongeringState.Wait, _ context: borrowing LayerContext<Gossip>) {
    var next: Address?
    if context.coin(), let peer = pickForMongering(except: wait.peer, context),
      let rumor = load(wait.origin, wait.id, context)
    {
      next = peer
      tell(rumor, to: peer, context)
    }
    context.publish(CoinFlipped(origin: wait.origin, id: wait.id, next: next), on: CoinFlipped.port)
  }

  func armAnswers(_ context: borrowing LayerContext<Gossip>) {
    if let next = mongering.nextDeadline { context.arm(.answers, after: max(.zero, next - context.now)) }
  }

  /// A random neighbour.
  func pick(except peer: Address?, _ context: borrowing LayerContext<Gossip>) -> Address? {
    let neighbours = context.neighbours
    for _ in 0..<3 {
      guard let found = context.pick(neighbours) else { return nil }
      if found.address != peer { return found.address }
    }
    return context.pick(neighbours.filter { $0.address != peer })?.address
  }

  func load(_ origin: WireText, _ id: UInt32, _ context: borrowing LayerContext<Gossip>) -> Rumor? {
    do { return try RumorStore(storage: context.storage).get(origin, id)?.rumor(origin, id) } catch {
      failed(error, context)
      return nil
    }
  }
}
