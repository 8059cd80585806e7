// GossipStatuses: how neighbours find out what each has seen: statuses, ranges between Strata nodes, anti-entropy.
import PeersterVocabulary
import StackCore

/// A status that is owed to a neighbour for what it brought.
struct Owed {
  var peer: Address
  /// The origins that it is to name; all in the range if none.
  var origins: [WireText] = []
  var isRange = false
  var from: WireText?
  var upTo: WireText?
  /// Which batches of which stream have come, and how many of their rumors were of use.
  var stream: Fixed32?
  var numbers: [UInt32] = []
  var accepted: UInt32 = 0
}

extension Gossip {
  /// Up to so many origins a status names them all.
  private static let shortClock = 32
  /// The most bytes of names and IDs in a status; what is more goes in parts. Between Strata nodes, a datagram's.
  private static let statusBytes = 8_000
  private static let namedBytes = 1_050
  /// In how many parts at a time a status goes.
  private static let mostParts = 16

  // MARK: Statuses

  /// Anti-entropy: a random neighbour is told what we have seen.
  func greet(_ context: borrowing LayerContext<Gossip>) {
    if let peer = pick(except: nil, context) { sendStatus(to: peer, context) }
  }

  /// A neighbour says what it has seen. It gets what it lacks, or our status if we lack something; when neither, the
  /// coin decides about what it was told.
  func heardStatus(_ status: Status, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    guard let neighbour = context.neighbour(peer), allowances.take(peer, at: context.now) else {
      return counts.statusesIgnored.add()
    }
    counts.statusesIn.add()
    let claims = VectorClock(claimed: status.want)
    remember(claims.next(of: me), context)
    let scope = StatusScope(isPartial: status.isPartial == true, from: status.from, upTo: status.upTo)
    handle(differences(claims, status, context), from: neighbour, scope, context)
  }

  private func differences(
    _ claims: VectorClock, _ status: Status, _ context: borrowing LayerContext<Gossip>
  ) -> ClockTree.Differences {
    if status.isPartial == true { return log.clock.differences(named: claims) }
    let ranks = log.clock.ranks(from: status.from, upTo: status.upTo)
    let named = claims.entries(from: status.from, upTo: status.upTo)
    // Those who lack very much are told of a part, each time of another.
    guard ranks.count > Outflow.longestQueue else {
      return log.clock.differences(from: named, in: ranks, limit: .max)
    }
    let middle = ranks.lowerBound + context.random(below: ranks.count)
    let place = claims.place(of: log.clock[middle].identifier)
    let cut = min(max(place, named.startIndex), named.endIndex)
    let late = log.clock.differences(
      from: named[cut...], in: middle..<ranks.upperBound, limit: Outflow.longestQueue)
    if late.theyLack.count >= Outflow.longestQueue { return late }
    let early = log.clock.differences(
      from: named[..<cut], in: ranks.lowerBound..<middle, limit: Outflow.longestQueue - late.theyLack.count)
    return .init(theyLack: late.theyLack + early.theyLack, weLack: late.weLack + early.weLack)
  }

  /// Does what differences with a neighbour ask for. None: both have seen the same.
  private func handle(
    _ found: ClockTree.Differences, from neighbour: Neighbour, _ scope: StatusScope, isEqual: Bool = true,
    _ context: borrowing LayerContext<Gossip>
  ) {
    let peer = neighbour.address
    let waits = mongering.answered(by: peer)
    // What retention has dropped whole can only be told of, and only a Strata node understands that.
    let speaksOurs = neighbour.isStrata || scope.isPartial
    let offers = found.theyLack.filter { speaksOurs || (log.run(of: $0.origin)?.count ?? 0) > 0 }
    let wanted = found.weLack.filter { $0.origin != me && mayLearn($0.origin, context) }
    if !offers.isEmpty { sendMissing(offers, to: neighbour, scope, context) }
    if speaksOurs {
      sendNamed(wanted.map(\.origin), to: peer, context)
    } else if offers.isEmpty, let first = wanted.first {
      sendParts(around: [first.origin], to: peer, context)
    }
    if offers.isEmpty, wanted.isEmpty, isEqual {
      inSync(peer, waits, context)
    } else {
      wait(again: waits, context)
    }
  }

  private func inSync(
    _ peer: Address, _ waits: [MongeringState.Wait], _ context: borrowing LayerContext<Gossip>
  ) {
    context.publish(InSync(with: peer), on: InSync.port)
    for wait in waits { flipCoin(wait, context) }
    armAnswers(context)
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
  func remember(_ claimed: UInt32, _ context: borrowing LayerContext<Gossip>) {
    let next = log.next(of: me)
    guard isFresh, claimed > next, claimed - next <= 1 << 20, context.now - startedAt < .seconds(60) else { return }
    context.log(.warning, "others have seen our rumors up to \(claimed - 1): going on after them")
    skip(me, to: claimed, context)
  }

  // MARK: Ranges

  /// A Strata neighbour tells fingerprints of ranges of origins. It gets those of smaller ranges where ours differ,
  /// what it lacks of ranges that it lists, and is asked for what we lack of them.
  func heardRanges(_ message: ClockRanges, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    guard let neighbour = context.neighbour(peer), allowances.take(peer, at: context.now) else {
      return counts.statusesIgnored.add()
    }
    guard message.isSound else { return counts.rangesRefused.add() }
    counts.rangesIn.add(UInt64(message.claims.count))
    for claim in message.claims where claim.isList == true {
      for entry in claim.want where entry.identifier == me { remember(entry.nextID, context) }
    }
    var rules = RangeReconciler()
    rules.messages = neighbour.isProven ? rules.messages : 1
    var answer = rules.answer(message, log.clock, salt: context.random())
    // Both have begun at once: only one answers, so that the same isn't found out twice.
    if message.isOpening, !answer.messages.isEmpty, let sent = openings[peer] {
      let isRecent = context.now - sent < .seconds(1)
      let ours = log.clock.sum(0..<log.clock.count)
      if isRecent, RangeReconciler.value(message.claims[0]) > ours { answer.messages = [] }
    }
    openings[peer] = nil
    for reply in answer.messages { sendRanges(reply, to: peer, context) }
    handle(
      answer.lacks, from: neighbour, StatusScope(isPartial: true), isEqual: answer.isEqual, context)
  }

  private func sendRanges(_ ranges: ClockRanges, to peer: Address, _ context: borrowing LayerContext<Gossip>) {
    counts.rangesOut.add(UInt64(ranges.claims.count))
    context.send(ranges, as: GossipField.ranges, to: peer)
  }

  /// Begins an exchange of ranges over all origins.
  private func open(to peer: Address, _ context: borrowing LayerContext<Gossip>) {
    let salt = context.random()
    let start = context.random(below: max(1, log.clock.count))
    if openings.count < 4_096 || openings[peer] != nil { openings[peer] = context.now }
    sendRanges(RangeReconciler().opening(log.clock, salt: salt, start: start), to: peer, context)
  }

  // MARK: Telling what we have seen

  /// Tells a neighbour what we have seen: a Strata node by fingerprints unless it is little, a Peerster in as many
  /// parts as it takes. Who has never spoken gets no more than a knock.
  ///
  /// A Peerster takes every part for all there is, and at the worst sends something that we have; so it gets few parts,
  /// each time others.
  func sendStatus(
    to peer: Address, from: WireText? = nil, upTo: WireText? = nil, _ context: borrowing LayerContext<Gossip>
  ) {
    let neighbour = context.neighbour(peer)
    if neighbour?.isStrata ?? false {
      let ranks = log.clock.ranks(from: from, upTo: upTo)
      // A range of many has just been spoken of: to go on, one looks at all there is.
      guard ranks.count <= Self.shortClock else { return open(to: peer, context) }
      let status = Status(want: log.clock.slice(ranks), from: from, upTo: upTo)
      return context.send(status, as: PeersterField.status, to: peer)
    }
    if log.clock.count > Self.shortClock, neighbour?.lastHeard == nil {
      // Perhaps a Strata node, perhaps nobody: a Peerster answers this with what we didn't name, and gets all next
      // time.
      return sendNamed([me], to: peer, context)
    }
    var rank = log.clock.count > 0 ? rotation % log.clock.count : 0
    var left = log.clock.count
    var parts = 0
    repeat {
      let part = part(from: rank, limit: left)
      context.send(Status(want: part), as: PeersterField.status, to: peer)
      left -= part.count
      rank = log.clock.count > 0 ? (rank + part.count) % log.clock.count : 0
      parts += 1
    } while left > 0 && parts < Self.mostParts
    rotation = left > 0 ? rank : 0
  }

  /// As many entries from a rank on as everybody reads whole in one datagram.
  private func part(from rank: Int, limit: Int) -> [PeerStatus] {
    var size = 0
    var part: [PeerStatus] = []
    log.clock.visit(rank..<min(log.clock.count, rank + limit)) { entry in
      size += entry.identifier.bytes.count + 13
      guard size <= Self.statusBytes else { return false }
      part.append(entry)
      return true
    }
    return part
  }

  /// Tells a Peerster what we have seen of some origins and of those that stand around them: each origin is in one of
  /// the parts, as far as these are few enough.
  private func sendParts(
    around origins: [WireText], to peer: Address, _ context: borrowing LayerContext<Gossip>
  ) {
    var covered = -1
    var parts = 0
    for rank in origins.map({ log.clock.rank(of: $0) }).sorted() where rank > covered && parts < Self.mostParts {
      // Some before it too, so that one origin at the end has neighbours in its part.
      let room = Self.statusBytes / (Rumor.longestOrigin + 13)
      let start = max(0, min(rank, log.clock.count - 1) - room / 2)
      let part = part(from: start, limit: .max / 2)
      context.send(Status(want: part), as: PeersterField.status, to: peer)
      covered = start + part.count - 1
      parts += 1
    }
  }

  /// Tells what we have seen of some origins, and speaks of no others. Between Strata nodes; a Peerster takes it for
  /// all.
  func sendNamed(_ origins: [WireText], to peer: Address, _ context: borrowing LayerContext<Gossip>) {
    var want: [PeerStatus] = []
    var size = 0
    var parts = 0
    for origin in origins {
      if size + origin.bytes.count + 13 > Self.namedBytes {
        context.send(Status(want: want, isPartial: true), as: PeersterField.status, to: peer)
        (want, size, parts) = ([], 0, parts + 1)
        if parts == Self.mostParts { return }
      }
      want.append(PeerStatus(identifier: origin, nextID: log.next(of: origin)))
      size += origin.bytes.count + 13
    }
    if !want.isEmpty { context.send(Status(want: want, isPartial: true), as: PeersterField.status, to: peer) }
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

  /// Owes a neighbour the word that a batch has come.
  func oweSeen(
    _ peer: Address, _ stream: Fixed32, _ number: UInt32, accepted: UInt32, _ context: borrowing LayerContext<Gossip>
  ) {
    guard let place = owedPlace(peer, context) else { return }
    if owed[place].stream != stream {
      (owed[place].stream, owed[place].numbers, owed[place].accepted) = (stream, [], 0)
    }
    guard owed[place].numbers.count < 256 else { return }
    owed[place].numbers.append(number)
    owed[place].accepted += accepted
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
      if let stream = debt.stream {
        let seen = BatchesSeen(stream: stream, numbers: debt.numbers, accepted: debt.accepted)
        context.send(seen, as: GossipField.seen, to: debt.peer)
      }
      if debt.isRange {
        sendStatus(to: debt.peer, from: debt.from, upTo: debt.upTo, context)
      } else if debt.origins.isEmpty {
        continue
      } else if log.clock.count <= Self.shortClock {
        sendStatus(to: debt.peer, context)
      } else if context.neighbour(debt.peer)?.isStrata ?? false {
        // To name all origins for each rumor would be a waste: only those that were spoken of.
        sendNamed(debt.origins, to: debt.peer, context)
      } else {
        sendParts(around: debt.origins, to: debt.peer, context)
      }
    }
  }
}
