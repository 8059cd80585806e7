// GossipFlows: sends neighbours the rumors they lack: a stream of batches to a Strata node, one rumor to a Peerster.
import PeersterVocabulary
import StackCore

/// Several rumors at once, in answer to a status; one of a stream of which some are under way at a time.
struct RumorBatch: WireMessage {
  /// The rumors, of each origin in ascending order without a gap.
  var rumors: [Rumor] = []
  /// Of some origins, where the sender's history begins.
  var starts: [PeerStatus] = []
  /// What the status spoke of that this answers; so does the answer to this.
  var isPartial: Bool?
  var from: WireText?
  var upTo: WireText?
  /// Which stream it is of, and its number there.
  var stream: Fixed32?
  var number: UInt32?
  /// Whether nothing waits behind it, so that a status should answer it.
  var isLast: Bool?

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "rumors", &rumors, limit: 4_096)
    try field(2, "starts", &starts, limit: 4_096)
    try field(3, "isPartial", &isPartial)
    try field(4, "from", &from)
    try field(5, "upTo", &upTo)
    try field(6, "stream", &stream)
    try field(7, "number", &number)
    try field(8, "isLast", &isLast)
  }
}

/// Which batches of a stream have come, and how many of their rumors were of use.
struct BatchesSeen: WireMessage {
  var stream = Fixed32(0)
  var numbers: [UInt32] = []
  var accepted: UInt32 = 0

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "stream", &stream)
    try field(2, "numbers", &numbers, limit: 256)
    try field(3, "accepted", &accepted)
  }
}

/// What was asked for, which the answer to the last batch speaks of again.
struct StatusScope: Equatable {
  var isPartial = false
  var from: WireText?
  var upTo: WireText?
}

/// A neighbour's backlog, and what it is an answer to.
struct NeighbourFlow {
  let peer: Address
  var flow: Outflow
  var scope: StatusScope
}

extension Gossip {
  /// To so many neighbours at a time goes a backlog.
  private static let mostFlows = 256

  /// Sends a neighbour what it lacks: as a stream of batches if it can take them, else one rumor.
  func sendMissing(
    _ missing: [VectorClock.Difference], to neighbour: Neighbour, _ scope: StatusScope,
    _ context: borrowing LayerContext<Gossip>
  ) {
    // Not always the same origin first: one that can't be helped must not keep the others waiting.
    let start = context.random(below: missing.count)
    guard neighbour.isStrata, neighbour.isProven else { return sendOne(missing, start, to: neighbour, context) }
    let turned = Array(missing[start...] + missing[..<start])
    if let place = flows.firstIndex(where: { $0.peer == neighbour.address }) {
      flows[place].flow.add(turned)
      if flows[place].scope != scope { flows[place].scope = StatusScope() }
    } else {
      guard flows.count < Self.mostFlows else { return }
      var flow = Outflow(stream: UInt32(truncatingIfNeeded: context.random()))
      flow.add(turned)
      flows.append(NeighbourFlow(peer: neighbour.address, flow: flow, scope: scope))
    }
    pump(neighbour, context)
  }

  /// Has batches set out to a neighbour as long as its window allows.
  private func pump(_ neighbour: Neighbour, _ context: borrowing LayerContext<Gossip>) {
    guard let place = flows.firstIndex(where: { $0.peer == neighbour.address }) else { return }
    while flows[place].flow.mayFly {
      guard sendBatch(place, neighbour, context) else { break }
    }
    if flows[place].flow.isOver { flows.remove(at: place) }
    armFlows(context)
  }

  /// Fills a batch from the front of a backlog; false when storage failed.
  private func sendBatch(
    _ place: Int, _ neighbour: Neighbour, _ context: borrowing LayerContext<Gossip>
  ) -> Bool {
    let store = RumorStore(storage: context.storage)
    var batch = RumorBatch()
    var holds: [VectorClock.Difference] = []
    var room = min(32_768, max(1_000, neighbour.pathLimit - 120))
    while room > 0, let gap = flows[place].flow.next {
      let run = log.run(of: gap.origin)
      guard let run, gap.ids.lowerBound < min(run.next, gap.ids.upperBound) else {
        flows[place].flow.took(upTo: gap.ids.upperBound)
        continue
      }
      if gap.ids.lowerBound < run.first {
        // Only that it begins later: the rumors follow when they are asked for, since this may not be believed at once.
        batch.starts.append(PeerStatus(identifier: gap.origin, nextID: run.first))
        holds.append(gap)
        room -= gap.origin.bytes.count + 10
        flows[place].flow.begins(at: run.first)
        continue
      }
      do {
        let next = try fill(&batch, gap, &room, store)
        if next > gap.ids.lowerBound { holds.append(.init(origin: gap.origin, ids: gap.ids.lowerBound..<next)) }
        flows[place].flow.took(upTo: next)
      } catch {
        failed(error, context)
        return false
      }
    }
    guard !holds.isEmpty else { return true }
    batch.number = flows[place].flow.fly(holds, at: context.now)
    batch.stream = Fixed32(flows[place].flow.stream)
    if flows[place].flow.isQueueEmpty {
      let scope = flows[place].scope
      (batch.isLast, batch.isPartial, batch.from, batch.upTo) = (
        true, scope.isPartial ? true : nil, scope.from, scope.upTo
      )
    }
    counts.batchesOut.add()
    context.send(batch, as: GossipField.batch, to: neighbour.address)
    return true
  }

  /// Puts an origin's next rumors into a batch; answers up to which ID it is done.
  private func fill(
    _ batch: inout RumorBatch, _ gap: VectorClock.Difference, _ room: inout Int, _ store: RumorStore
  ) throws(StorageError) -> UInt32 {
    var next = gap.ids.lowerBound
    var isFull = false
    var (rumors, left) = (batch.rumors, room)
    try store.scan(gap.origin, from: next, limit: 1_024) { id, stored in
      guard id < gap.ids.upperBound else { return false }
      let rumor = outgoing(stored.rumor(gap.origin, id))
      guard rumor.logSize <= left || rumors.isEmpty else {
        isFull = true
        return false
      }
      left -= rumor.logSize
      next = id + 1
      rumors.append(rumor)
      return true
    }
    (batch.rumors, room) = (rumors, isFull ? 0 : left)
    // What is not in storage can't be sent.
    return isFull || next > gap.ids.lowerBound ? next : gap.ids.upperBound
  }

  /// A neighbour says which batches have come: further ones set out.
  func heardSeen(_ seen: BatchesSeen, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    guard let place = flows.firstIndex(where: { $0.peer == peer && $0.flow.stream == seen.stream.value }),
      let neighbour = context.neighbour(peer)
    else { return }
    flows[place].flow.seen(seen.numbers, accepted: seen.accepted, at: context.now)
    pump(neighbour, context)
  }

  /// Batches that have not been seen for long are sent again.
  func reviveFlows(_ context: borrowing LayerContext<Gossip>) {
    for peer in flows.map(\.peer) {
      guard let place = flows.firstIndex(where: { $0.peer == peer }) else { continue }
      guard let neighbour = context.neighbour(peer) else {
        flows.remove(at: place)
        continue
      }
      flows[place].flow.expire(at: context.now)
      pump(neighbour, context)
    }
    armFlows(context)
  }

  private func armFlows(_ context: borrowing LayerContext<Gossip>) {
    guard let next = flows.compactMap(\.flow.deadline).min() else { return context.cancel(.flows) }
    context.arm(.flows, after: max(.zero, next - context.now))
  }

  /// The exercise's way: the first missing rumor of one origin. One beyond a gap, which some Peersters ignore and ask
  /// for again at once, is offered only now and then.
  private func sendOne(
    _ missing: [VectorClock.Difference], _ start: Int, to neighbour: Neighbour,
    _ context: borrowing LayerContext<Gossip>
  ) {
    for offset in missing.indices {
      let gap = missing[(start + offset) % missing.count]
      guard let run = log.run(of: gap.origin), run.count > 0 else { continue }
      let id = max(gap.ids.lowerBound, run.first)
      if id > gap.ids.lowerBound {
        if let last = gapOffers[neighbour.address], context.now - last < .seconds(10) { continue }
        guard gapOffers.count < 4_096 else { continue }
        gapOffers[neighbour.address] = context.now
      }
      guard let rumor = load(gap.origin, id, context) else { continue }
      return context.send(outgoing(rumor), as: PeersterField.rumor, to: neighbour.address)
    }
  }
}
