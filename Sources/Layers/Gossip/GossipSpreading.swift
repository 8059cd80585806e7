// GossipSpreading: to whom Gossip tells what: mongering, the coin, statuses and the answers to them, anti-entropy.
import PeersterVocabulary
import StackCore

/// A status that is owed to a neighbour for the rumors it brought.
struct Owed {
  var peer: Address
  /// The origins that it is to name; all in the range if none.
  var origins: [WireText] = []
  var isRange = false
  var from: WireText?
  var upTo: WireText?
}

extension Gossip {
  /// Up to so many origins a status names them all.
  private static let shortClock = 32
  /// The most bytes of names and IDs in a status; what is more goes in parts.
  private static let statusBytes = 8_000

  // MARK: Telling rumors

  /// Sends a new rumor on its way: to one random neighbour, or to all.
  func spread(_ rumor: Rumor, except peer: Address?, _ context: borrowing LayerContext<Gossip>) {
    switch config.spread {
    case .mongering:
      if let next = pick(except: peer, context) { tell(rumor, to: next, context) }
    case .flood:
      context.sendToNeighbours(outgoing(rumor), as: PeersterField.rumor, except: peer)
    }
  }

  /// Tells a neighbour a rumor, and waits for its answer.
  private func tell(_ rumor: Rumor, to peer: Address, _ context: borrowing LayerContext<Gossip>) {
    context.send(outgoing(rumor), as: PeersterField.rumor, to: peer)
    context.publish(Mongering(origin: rumor.origin, id: rumor.id, with: peer), on: Mongering.port)
    _ = mongering.told(
      .init(peer: peer, origin: rumor.origin, id: rumor.id, until: context.now + config.ackTimeout))
    armAnswers(context)
  }

  /// A rumor as it leaves here: one node further on, unless it is our own.
  private func outgoing(_ rumor: Rumor) -> Rumor {
    var rumor = rumor
    rumor.hops = rumor.origin == me ? 0 : rumor.hops.map { min($0, 1_000) + 1 }
    return rumor
  }

  /// Decides by a coin whether a rumor goes on, and if so to a neighbour other than the last.
  func flipCoin(_ wait: MongeringState.Wait, _ context: borrowing LayerContext<Gossip>) {
    var next: Address?
    if context.coin(), let peer = pick(except: wait.peer, context), let rumor = load(wait.origin, wait.id, context) {
      next = peer
      tell(rumor, to: peer, context)
    }
    context.publish(CoinFlipped(origin: wait.origin, id: wait.id, next: next), on: CoinFlipped.port)
  }

  func armAnswers(_ context: borrowing LayerContext<Gossip>) {
    if let next = mongering.nextDeadline { context.arm(.answers, after: max(.zero, next - context.now)) }
  }

  /// A random neighbour.
  private func pick(except peer: Address?, _ context: borrowing LayerContext<Gossip>) -> Address? {
    let neighbours = context.neighbours
    for _ in 0..<3 {
      guard let found = context.pick(neighbours) else { return nil }
      if found.address != peer { return found.address }
    }
    return context.pick(neighbours.filter { $0.address != peer })?.address
  }

  private func load(_ origin: WireText, _ id: UInt32, _ context: borrowing LayerContext<Gossip>) -> Rumor? {
    do { return try RumorStore(storage: context.storage).get(origin, id)?.rumor(origin, id) } catch {
      failed(error, context)
      return nil
    }
  }

  // MARK: Statuses

  /// Anti-entropy: a random neighbour is told what we have seen.
  func greet(_ context: borrowing LayerContext<Gossip>) {
    if let peer = pick(except: nil, context) { sendStatus(to: peer, context) }
  }

  /// A neighbour says what it has seen. It gets one message at the most: what it lacks, or our status if we lack
  /// something; when neither, the coin decides about what it was told.
  func heardStatus(_ status: Status, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    guard let neighbour = context.neighbour(peer), allowances.take(peer, at: context.now) else {
      return counts.statusesIgnored.add()
    }
    counts.statusesIn.add()
    let theirs = VectorClock(claimed: status.want)
    remember(theirs.next(of: me), context)
    let waits = mongering.answered(by: peer)
    let (theyLack, weLack) = log.clock.differences(from: theirs) { status.covers($0) }
    // What retention has dropped whole can only be told of, and only a Strata node understands that.
    let offers = theyLack.filter { neighbour.isStrata || (log.run(of: $0.origin)?.count ?? 0) > 0 }
    let wanted = weLack.first { $0.origin != me && log.judge($0.origin, $0.ids.lowerBound) != .full }
    if !offers.isEmpty {
      sendMissing(offers, to: neighbour, status, context)
      wait(again: waits, context)
    } else if let wanted {
      sendStatus(to: peer, from: status.from, upTo: status.upTo, around: wanted.origin, context)
      wait(again: waits, context)
    } else {
      context.publish(InSync(with: peer), on: InSync.port)
      for wait in waits { flipCoin(wait, context) }
      armAnswers(context)
    }
  }

  private func wait(again waits: [MongeringState.Wait], _ context: borrowing LayerContext<Gossip>) {
    for var wait in waits {
      wait.until = context.now + config.ackTimeout
      _ = mongering.told(wait)
    }
    armAnswers(context)
  }

  /// Others know later rumors of ours than we do: our storage was lost. So that no ID is used twice we go on after
  /// theirs; only soon after a start without storage, and not over any number of IDs.
  private func remember(_ claimed: UInt32, _ context: borrowing LayerContext<Gossip>) {
    let next = log.next(of: me)
    guard isFresh, claimed > next, claimed - next <= 1 << 20, context.now - startedAt < .seconds(60) else { return }
    context.log(.warning, "others have seen our rumors up to \(claimed - 1): going on after them")
    skip(me, to: claimed, context)
  }

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

  /// Sends a neighbour what it lacks, in one message: as many rumors as a datagram holds if it can take them, else one.
  private func sendMissing(
    _ missing: [VectorClock.Difference], to neighbour: Neighbour, _ status: Status,
    _ context: borrowing LayerContext<Gossip>
  ) {
    // Not always the same origin first: one that can't be helped must not keep the others waiting.
    let start = context.random(below: missing.count)
    guard neighbour.isStrata, neighbour.isProven else { return sendOne(missing, start, to: neighbour, context) }
    let store = RumorStore(storage: context.storage)
    var batch = RumorBatch()
    (batch.isPartial, batch.from, batch.upTo) = (status.isPartial, status.from, status.upTo)
    var room = min(32_768, max(1_000, neighbour.pathLimit - 100))
    for offset in missing.indices where room > 0 {
      let gap = missing[(start + offset) % missing.count]
      guard let run = log.run(of: gap.origin) else { continue }
      if gap.ids.lowerBound < run.first {
        batch.starts.append(PeerStatus(identifier: gap.origin, nextID: run.first))
        room -= gap.origin.bytes.count + 10
      }
      do {
        try store.scan(gap.origin, from: max(gap.ids.lowerBound, run.first), limit: 1_024) { id, stored in
          let rumor = outgoing(stored.rumor(gap.origin, id))
          guard rumor.logSize <= room || batch.rumors.isEmpty else {
            room = 0
            return false
          }
          room -= rumor.logSize
          batch.rumors.append(rumor)
          return true
        }
      } catch { return failed(error, context) }
    }
    context.send(batch, as: GossipField.batch, to: neighbour.address)
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

  /// Tells a neighbour what we have seen, in as many parts as it takes, or only the part with one origin.
  ///
  /// A Strata node learns of each part from which name to which it goes. A Peerster takes every part for all there is,
  /// and at the worst sends something that we have; so it gets few parts, each time others.
  func sendStatus(
    to peer: Address, from: WireText? = nil, upTo: WireText? = nil, around origin: WireText? = nil,
    _ context: borrowing LayerContext<Gossip>
  ) {
    let isStrata = context.neighbour(peer)?.isStrata ?? false
    let entries = log.clock.entries(from: isStrata ? from : nil, upTo: isStrata ? upTo : nil)
    let cuts = Self.cuts(entries)
    var parts = Array(0..<cuts.count - 1)
    let most = isStrata ? 64 : 16
    if let origin {
      parts = [parts.last { cuts[$0] == cuts[0] || entries[cuts[$0]].identifier <= origin } ?? 0]
    } else if parts.count > most {
      parts = (0..<most).map { (rotation + $0) % parts.count }
      rotation = (rotation + most) % (cuts.count - 1)
    }
    for part in parts {
      var status = Status(want: Array(entries[cuts[part]..<cuts[part + 1]]))
      if isStrata {
        status.from = part == 0 ? from : entries[cuts[part]].identifier
        status.upTo = part == cuts.count - 2 ? upTo : entries[cuts[part + 1]].identifier
      }
      context.send(status, as: PeersterField.status, to: peer)
    }
  }

  /// Where to cut a clock so that each part fits into a datagram that everybody reads whole.
  private static func cuts(_ entries: ArraySlice<PeerStatus>) -> [Int] {
    var cuts = [entries.startIndex]
    var size = 0
    for place in entries.indices {
      let entry = entries[place].identifier.bytes.count + 13
      if size + entry > statusBytes {
        cuts.append(place)
        size = 0
      }
      size += entry
    }
    return cuts + [entries.endIndex]
  }

  // MARK: What is owed

  /// Owes a neighbour a status for a rumor. It goes once the present round is over, and so answers many rumors at once.
  func owe(_ peer: Address, _ origin: WireText, _ context: borrowing LayerContext<Gossip>) {
    guard let place = owedPlace(peer, context) else { return }
    if !owed[place].origins.contains(origin), owed[place].origins.count < 256 { owed[place].origins.append(origin) }
  }

  /// Owes a neighbour a status over a range of names.
  func oweRange(_ peer: Address, from: WireText?, upTo: WireText?, _ context: borrowing LayerContext<Gossip>) {
    guard let place = owedPlace(peer, context) else { return }
    if owed[place].isRange {
      // Two ranges become the least that holds both.
      if let old = owed[place].from { owed[place].from = from.map { min($0, old) } }
      if let old = owed[place].upTo { owed[place].upTo = upTo.map { max($0, old) } }
    } else {
      (owed[place].isRange, owed[place].from, owed[place].upTo) = (true, from, upTo)
    }
  }

  private func owedPlace(_ peer: Address, _ context: borrowing LayerContext<Gossip>) -> Int? {
    if let place = owed.firstIndex(where: { $0.peer == peer }) { return place }
    guard owed.count < 1_024, context.neighbour(peer) != nil else { return nil }
    owed.append(Owed(peer: peer))
    if owed.count == 1 { context.arm(.owed, after: .zero) }
    return owed.count - 1
  }

  func payOwed(_ context: borrowing LayerContext<Gossip>) {
    let due = owed
    owed = []
    for debt in due {
      if debt.isRange {
        sendStatus(to: debt.peer, from: debt.from, upTo: debt.upTo, around: nil, context)
      } else if log.clock.count <= Self.shortClock {
        sendStatus(to: debt.peer, context)
      } else if context.neighbour(debt.peer)?.isStrata ?? false {
        // To name all origins for each rumor would be a waste: only those that were spoken of.
        let want = debt.origins.map { PeerStatus(identifier: $0, nextID: log.next(of: $0)) }
        context.send(Status(want: want, isPartial: true), as: PeersterField.status, to: debt.peer)
      } else {
        sendStatus(to: debt.peer, around: debt.origins.first, context)
      }
    }
  }
}
