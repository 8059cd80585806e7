// GossipOwnIDs: which numbers our own rumors may have, where others may know of more than we do.
import PeersterVocabulary
import StackCore

/// What is done about IDs of ours that we may have forgotten.
struct OwnIDs {
  /// Whether nothing of our own was in storage, and when we started.
  var isFresh = false
  var startedAt = Instant()
  /// What other layers asked to publish before neighbours could say which of our IDs they know.
  var early: [PublishRumor] = []
}

extension Gossip {
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

  /// Others know later rumors of ours than we do: our storage was lost. So that no ID is used twice we go on after
  /// theirs; only soon after a start without storage, and over no more IDs than these in all.
  func remember(_ claimed: UInt32, _ context: borrowing LayerContext<Gossip>) {
    let next = log.next(of: me)
    guard ownIDs.isFresh, claimed > next, claimed <= 1 << 20, context.now - ownIDs.startedAt < .seconds(60)
    else { return }
    context.log(.warning, "others have seen our rumors up to \(claimed - 1): going on after them")
    skip(me, to: claimed, context)
  }

  /// Publishes what waited for neighbours to say which of our IDs they know.
  func publishEarly(_ context: borrowing LayerContext<Gossip>) {
    let waited = ownIDs.early
    ownIDs.early = []
    for request in waited { asked(request, context) }
  }
}
