// GossipTree: rumors along a tree between Strata nodes: pushes, announcements, grafts and prunes, sent and heard.
import PeersterVocabulary
import StackCore

/// The metrics of the tree.
struct TreeCounts {
  let payloads: Counter
  let redundant: Counter
  let announcements: Counter
  let grafts: Counter
  let prunes: Counter
  let shortened: Counter
  let ignored: Counter

  init(_ setup: LayerSetup<Gossip>) {
    payloads = setup.counter("treePayloads", "Rumors sent along the tree, those that were asked for among them.")
    redundant = setup.counter("treeDuplicates", "Rumors that came along the tree and had come from another before.")
    announcements = setup.counter("treeAnnouncements", "Messages with announcements that were sent.")
    grafts = setup.counter("grafts", "Grafts that were sent, for missing rumors or a shorter path.")
    prunes = setup.counter("prunes", "Prunes that were sent.")
    shortened = setup.counter("treeShortened", "Edges that gave way to one with a shorter path.")
    ignored = setup.counter("treeIgnored", "Messages about the tree beyond what one neighbour may send.")
    setup.gauge("eagerNeighbours", "Neighbours that are sent rumors at once.") { Double($0.tree.count(.eager)) }
    setup.gauge("lazyNeighbours", "Neighbours that are only told which rumors there are.") {
      Double($0.tree.count(.lazy))
    }
    setup.gauge("treeMissing", "Origins of which rumors are announced and have not come.") {
      Double($0.tree.missing.count)
    }
  }
}

extension Gossip {
  /// The most bytes of announcements in a message: it fits any path.
  private static let announcementBytes = 1_000
  /// The most rumors and bytes that one graft draws, and from how many runs of IDs of one origin.
  private static let graftedRumors = 1_024
  private static let graftedBytes = 32_768
  private static let graftedRuns = 16

  func declareTree(_ setup: LayerSetup<Gossip>) {
    setup.on(GossipField.announcements, Announcements.self, Gossip.heardAnnouncements)
    setup.on(GossipField.graft, Graft.self, Gossip.heardGraft)
    setup.on(GossipField.prune, Prune.self, Gossip.heardPrune)
    setup.on(GossipField.grafted, RumorBatch.self, Gossip.heardGrafted)
    setup.event(Grafted.port)
    setup.event(Pruned.port)
  }

  /// Strata neighbours that have proven their address have edges; new ones are eager. With the others it is mongering:
  /// one that was only said to be Strata may be a Peerster, and could not read an announcement.
  func treeChanged(_ change: NeighbourChange, _ context: borrowing LayerContext<Gossip>) {
    guard config.spread == .tree else { return }
    if change.change == .removed {
      tree.remove(change.address)
      treeAllowances.forget(change.address)
    } else if context.neighbour(change.address)?.isProven == true {
      tree.add(change.address)
    }
  }

  /// To whom a rumor is told by mongering: where there is a tree, to those that can't be part of it.
  func pickForMongering(except peer: Address?, _ context: borrowing LayerContext<Gossip>) -> Address? {
    guard config.spread == .tree else { return pick(except: peer, context) }
    return context.pick(context.neighbours.filter { !$0.isProven && $0.address != peer })?.address
  }

  /// How many neighbours hear from a node as it starts, so that its edges are known soon.
  private static let firstGreetings = 8

  func startTree(_ context: borrowing LayerContext<Gossip>) {
    for neighbour in context.shuffled(context.neighbours).prefix(Self.firstGreetings) {
      sendStatus(to: neighbour.address, context)
    }
  }

  // MARK: Pushing

  /// Sends a new rumor along the tree, and has it announced where it doesn't go. One that came by comparing notes is
  /// only offered: it may be on its way along the tree already.
  func push(_ rumor: Rumor, except peer: Address?, _ context: borrowing LayerContext<Gossip>) {
    let name = BroadcastTree.Name(origin: rumor.origin, id: rumor.id)
    tree.note(name, from: peer, hops: rumor.hops, isPushed: !tree.isSynced)
    let ours = outgoing(rumor)
    if !tree.isSynced { sendAlong(ours, except: peer, context) }
    let waiting = tree.announce(name, hops: ours.hops, from: peer, isOffer: tree.isSynced)
    if waiting >= BroadcastTree.queueLimit {
      announce(context)
    } else if !context.isArmed(.announce) {
      context.arm(.announce, after: config.tree.announceDelay)
    }
    if let next = pickForMongering(except: peer, context) { tell(rumor, to: next, context) }
  }

  private func sendAlong(_ rumor: Rumor, except peer: Address?, _ context: borrowing LayerContext<Gossip>) {
    for target in tree.targets(except: peer) {
      treeCounts.payloads.add()
      context.send(rumor, as: PeersterField.rumor, to: target)
    }
  }

  /// A neighbour in the tree has pushed a rumor. It isn't answered, unless it came once too often: anti-entropy sees to
  /// what all announcements miss.
  func heardPushed(_ rumor: Rumor, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    let name = BroadcastTree.Name(origin: rumor.origin, id: rumor.id)
    var arrival = BroadcastTree.Arrival.take
    if rumor.isSound, rumor.origin != me || rumor.id < log.next(of: me) {
      switch log.judge(rumor.origin, rumor.id) {
      case .new: arrival = tree.came(name, from: peer, hops: rumor.hops, isNew: true)
      case .known: arrival = tree.came(name, from: peer, hops: rumor.hops, isNew: false)
      case .ahead:
        arrival = tree.came(name, from: peer, hops: rumor.hops, isNew: true)
        expectBefore(rumor, from: peer, context)
      case .far: expectBefore(rumor, from: peer, context)
      case .full: break
      }
    }
    accept(rumor, from: peer, context)
    switch arrival {
    case .take: break
    case .passOn:
      // What is kept goes on: what has come now may be another text under the same ID.
      guard config.relay == .all || isOfInterest(rumor.topic), var kept = load(rumor.origin, rumor.id, context) else {
        break
      }
      kept.hops = rumor.hops
      sendAlong(outgoing(kept), except: peer, context)
    case .prune:
      treeCounts.redundant.add()
      prune(peer, name, context)
    }
  }

  /// Who has a rumor has those before it, and they are late already.
  private func expectBefore(_ rumor: Rumor, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    expect(rumor.origin, upTo: rumor.id, from: peer, after: config.tree.graftTimeout / 2, context)
  }

  // MARK: Edges

  private func prune(_ peer: Address, _ name: BroadcastTree.Name, _ context: borrowing LayerContext<Gossip>) {
    treeCounts.prunes.add()
    context.send(Prune(origin: name.origin, id: name.id), as: GossipField.prune, to: peer)
    context.publish(Pruned(with: peer, isOurs: true), on: Pruned.port)
  }

  func heardPrune(_ prune: Prune, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    // Who hasn't proven its address may be somebody else, who wants to cut it off.
    guard isAllowed(peer, context), context.neighbour(peer)?.isProven == true else { return }
    // It can only have had from us what we have.
    guard prune.id < log.next(of: prune.origin), tree.set(peer, .lazy) else { return }
    context.publish(Pruned(with: peer, isOurs: false), on: Pruned.port)
  }

  private func isAllowed(_ peer: Address, _ context: borrowing LayerContext<Gossip>) -> Bool {
    if context.neighbour(peer) != nil, treeAllowances.take(peer, at: context.now) { return true }
    treeCounts.ignored.add()
    return false
  }

  // MARK: Announcements

  /// Tells each lazy neighbour what it was not sent.
  func announce(_ context: borrowing LayerContext<Gossip>) {
    context.cancel(.announce)
    for (peer, all) in tree.takeAnnouncements() {
      var message = Announcements()
      var room = Self.announcementBytes
      for announcement in all {
        if announcement.size > room, !message.announcements.isEmpty {
          send(message, to: peer, context)
          message.announcements.removeAll(keepingCapacity: true)
          room = Self.announcementBytes
        }
        message.announcements.append(announcement)
        room -= announcement.size
      }
      send(message, to: peer, context)
    }
  }

  private func send(_ message: Announcements, to peer: Address, _ context: borrowing LayerContext<Gossip>) {
    treeCounts.announcements.add()
    context.send(message, as: GossipField.announcements, to: peer)
  }

  func heardAnnouncements(_ message: Announcements, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    guard isAllowed(peer, context) else { return }
    for announcement in message.announcements {
      let origin = announcement.origin
      guard let ids = announcement.ids, origin != me else { continue }
      if ids.upperBound < log.next(of: origin) {
        if config.spread == .tree { considerPath(announcement, ids.upperBound, peer, context) }
      } else if log.judge(origin, ids.upperBound) != .full {
        if config.spread == .tree {
          let wait = announcement.isOffer == true ? .zero : config.tree.graftTimeout
          expect(origin, upTo: ids.upperBound + 1, from: peer, after: wait, context)
        } else {
          // Without a tree there is the status, which draws all that is missing.
          owe(peer, origin, context)
        }
      }
    }
  }

  /// Notes that a neighbour has all of an origin below an ID, and asks for it if it doesn't come by itself. How far
  /// that may be ahead is bounded as it is for rumors.
  private func expect(
    _ origin: WireText, upTo: UInt32, from peer: Address, after wait: Duration,
    _ context: borrowing LayerContext<Gossip>
  ) {
    guard tree.edge(of: peer) != nil else { return }
    let (most, overflow) = log.next(of: origin).addingReportingOverflow(max(1, log.limits.gap))
    let due = context.now + wait
    tree.missing.announced(origin, upTo: overflow ? upTo : min(upTo, most), by: peer, due: due)
    armGraft(context)
  }

  /// A neighbour announces a rumor that came from elsewhere: perhaps its path is much shorter.
  private func considerPath(
    _ announcement: Announcement, _ id: UInt32, _ peer: Address, _ context: borrowing LayerContext<Gossip>
  ) {
    let name = BroadcastTree.Name(origin: announcement.origin, id: id)
    guard
      let parent = tree.shorten(
        name, hops: announcement.hops, by: peer, threshold: config.tree.shorterBy, at: context.now)
    else { return }
    treeCounts.shortened.add()
    send(Graft(), to: peer, context)
    prune(parent, name, context)
  }

  // MARK: Grafts

  private func armGraft(_ context: borrowing LayerContext<Gossip>) {
    if let due = tree.missing.nextDue { context.arm(.graft, after: max(.zero, due - context.now)) }
  }

  /// Asks for what has not come, each neighbour in one message for all origins.
  func graft(_ context: borrowing LayerContext<Gossip>) {
    let requests = tree.missing.due(at: context.now, retry: config.tree.graftTimeout / 2) { log.next(of: $0) }
    var grafts: [(peer: Address, graft: Graft)] = []
    for request in requests {
      let wanted = log.lacking(request.origin, below: request.upTo, limit: Self.graftedRuns).map {
        WantedRumors(origin: request.origin, first: $0.lowerBound, count: UInt32($0.count))
      }
      if wanted.isEmpty { continue }
      if let place = grafts.lastIndex(where: { $0.peer == request.peer && $0.graft.wanted.count < 32 }) {
        grafts[place].graft.wanted += wanted
      } else {
        grafts.append((request.peer, Graft(wanted: wanted)))
      }
    }
    for (peer, graft) in grafts {
      tree.set(peer, .eager)
      send(graft, to: peer, context)
    }
    armGraft(context)
  }

  private func send(_ graft: Graft, to peer: Address, _ context: borrowing LayerContext<Gossip>) {
    treeCounts.grafts.add()
    context.send(graft, as: GossipField.graft, to: peer)
    context.publish(Grafted(with: peer, isOurs: true, wanted: graft.rumors), on: Grafted.port)
  }

  /// A neighbour wants rumors, and from now on all of them. Who has not proven its address gets one rumor at the most.
  func heardGraft(_ graft: Graft, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    guard isAllowed(peer, context), let neighbour = context.neighbour(peer) else { return }
    if config.spread == .tree {
      tree.set(peer, .eager)
      context.publish(Grafted(with: peer, isOurs: false, wanted: graft.rumors), on: Grafted.port)
    }
    let (rumors, starts) = found(graft, most: neighbour.isProven ? Self.graftedRumors : 1, context)
    treeCounts.payloads.add(UInt64(rumors.count))
    if rumors.count == 1, starts.isEmpty {
      return context.send(rumors[0], as: PeersterField.rumor, to: peer)
    }
    guard neighbour.isProven else { return }
    let room = max(1_000, min(neighbour.pathLimit, Self.graftedBytes) - 100)
    var batch = RumorBatch(starts: starts)
    var size = starts.reduce(0) { $0 + $1.identifier.bytes.count + 10 }
    for rumor in rumors {
      if size + rumor.logSize > room, size > 0 {
        context.send(batch, as: GossipField.grafted, to: peer)
        (batch, size) = (RumorBatch(), 0)
      }
      batch.rumors.append(rumor)
      size += rumor.logSize
    }
    if size > 0 { context.send(batch, as: GossipField.grafted, to: peer) }
  }

  /// What there is of what is wanted, and where history begins of what there is no more.
  private func found(
    _ graft: Graft, most: Int, _ context: borrowing LayerContext<Gossip>
  ) -> (rumors: [Rumor], starts: [PeerStatus]) {
    let store = RumorStore(storage: context.storage)
    var rumors: [Rumor] = []
    var starts: [PeerStatus] = []
    var room = Self.graftedBytes
    for wanted in graft.wanted where rumors.count < most && room > 0 {
      guard let ids = wanted.ids, let run = log.run(of: wanted.origin) else { continue }
      if ids.lowerBound < run.first, starts.count < 16, starts.last?.identifier != wanted.origin {
        starts.append(PeerStatus(identifier: wanted.origin, nextID: run.first))
      }
      guard max(ids.lowerBound, run.first) <= ids.upperBound else { continue }
      do {
        try store.scan(wanted.origin, from: max(ids.lowerBound, run.first), limit: most - rumors.count) { id, stored in
          let rumor = outgoing(stored.rumor(wanted.origin, id))
          guard id <= ids.upperBound, rumor.logSize <= room || rumors.isEmpty else { return false }
          room -= rumor.logSize
          rumors.append(rumor)
          return room > 0
        }
      } catch { failed(error, context) }
    }
    return (rumors, starts)
  }

  /// What a graft has drawn, several rumors at once. If there is more, it is asked for at once.
  func heardGrafted(_ batch: RumorBatch, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    tree.isSynced = true
    defer { tree.isSynced = false }
    var origins: [WireText] = []
    hearStarts(batch.starts, from: peer, context)
    for start in batch.starts where log.next(of: start.identifier) >= start.nextID {
      origins.append(start.identifier)
    }
    for rumor in batch.rumors where accept(rumor, from: peer, context) && origins.last != rumor.origin {
      origins.append(rumor.origin)
    }
    for origin in origins { tree.missing.answered(origin, by: peer, at: context.now) }
    armGraft(context)
  }
}

extension Graft {
  /// How many rumors it asks for.
  var rumors: Int { wanted.reduce(0) { $0 + Int($1.count) } }
}
