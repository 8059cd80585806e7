// Locating: who has a file, and what they say of it.
import PeersterVocabulary
import StackCore

extension FileShare {
  // MARK: Who

  /// Adds a holder that is reached at an address.
  func addHolder(
    _ address: Address, _ name: WireText?, to download: Download, _ context: borrowing LayerContext<FileShare>
  ) {
    guard address != context.address, address.port != 0, !download.liars.contains(address),
      !download.holders.contains(where: { $0.address == address && !$0.isPlain }), makeRoom(in: download)
    else { return }
    append(Holder(id: download.newHolderID(), address: address, name: name, at: context.now), to: download)
    armTransfers(context)
  }

  /// Whether there is room for one more holder: one that is banned, or else one that brings nothing, makes it.
  private func makeRoom(in download: Download) -> Bool {
    guard download.holders.count >= Transfers.mostHolders else { return true }
    guard
      let place = download.holders.firstIndex(where: { $0.state == .banned })
        ?? download.holders.firstIndex(where: { $0.state != .ready && ($0.silences > 3 || $0.stalls > 1) })
    else { return false }
    giveUp(download.holders[place].takeAll(at: download.startedAt), of: download, place)
    if download.holders[place].state == .banned { download.note(liar: download.holders[place].address) }
    download.holders.remove(at: place)
    return true
  }

  /// Adds a holder that is known by its name: a neighbour of that name, or an origin to which there is a way.
  func addHolder(named name: WireText, to download: Download, _ context: borrowing LayerContext<FileShare>) {
    let neighbours = context.neighbours
    if let neighbour = neighbours.first(where: { $0.isStrata && $0.claimedName.map { WireText($0) } == name }) {
      return addHolder(neighbour.address, name, to: download, context)
    }
    guard !download.holders.contains(where: { $0.name == name }), makeRoom(in: download) else { return }
    // Without a way yet, rumors may still show one; until then it is away.
    let nextHop = routing?.route(to: name)?.nextHop ?? context.address
    var holder = Holder(id: download.newHolderID(), address: nextHop, name: name, at: context.now)
    holder.isPlain = true
    append(holder, to: download)
    armTransfers(context)
  }

  /// Adds a holder; one that has sent what is wrong of this file, to whichever download, is shown and not asked.
  private func append(_ holder: Holder, to download: Download) {
    download.holders.append(holder)
    if transfers.bans.contains(holder, of: download.root) {
      download.holders[download.holders.count - 1].state = .banned
    }
  }

  /// Adds everybody who may have the file: those that Search told of, and the neighbours that speak Strata.
  func addEverybody(to download: Download, _ context: borrowing LayerContext<FileShare>) {
    download.lookedAroundAt = context.now
    for holder in transfers.found[download.root]?.holders ?? [] { addHolder(holder, to: download, context) }
    for neighbour in context.neighbours where neighbour.isStrata {
      addHolder(neighbour.address, neighbour.claimedName.map { WireText($0) }, to: download, context)
    }
    greet(context)
  }

  /// Shows those whom the settings name, and who have said nothing yet, that we are here: they may wait for what we
  /// have and know us by another address, or not at all. A few times, since a datagram may be lost.
  func greetUnheard(_ context: borrowing LayerContext<FileShare>) {
    guard transfers.greetings < Transfers.mostGreetings else { return }
    if greet(context, { $0.configured && $0.lastHeard == nil }) { transfers.greetings += 1 }
  }

  /// Shows neighbours that aren't known to speak Strata that we do, by a question that harms no Peerster.
  /// Answers whether there was anybody to greet.
  @discardableResult private func greet(
    _ context: borrowing LayerContext<FileShare>, _ isMeant: (Neighbour) -> Bool = { _ in true }
  ) -> Bool {
    let meant = context.neighbours.filter { !$0.isStrata && isMeant($0) }.prefix(Transfers.mostHolders)
    for neighbour in meant {
      let name = neighbour.claimedName.map { WireText($0) } ?? ""
      context.send(
        DataRequest(origin: me, destination: name, hopLimit: 1, hashValue: Hash256()), as: PeersterField.dataRequest,
        to: neighbour.address)
    }
    return !meant.isEmpty
  }

  private func addHolder(
    _ holder: FileHolder, to download: Download, _ context: borrowing LayerContext<FileShare>
  ) {
    if let address = holder.address, context.neighbour(address)?.isStrata ?? true {
      context.introduce(to: address)
      addHolder(address, holder.name, to: download, context)
    } else if let name = holder.name {
      addHolder(named: name, to: download, context)
    }
  }

  /// Search told of holders.
  func toldOfHolders(_ news: FileHolders, _ context: borrowing LayerContext<FileShare>) {
    transfers.found.take(news)
    guard let download = transfers.download(news.root), !download.state.isOver, download.isOpenToAll else { return }
    for holder in news.holders { addHolder(holder, to: download, context) }
  }

  /// A neighbour that turns out to speak Strata may have what is looked for. What was asked of it before it had proven
  /// its address may have gone nowhere, so it is asked anew at once.
  func neighbourChangedForTransfers(_ change: NeighbourChange, _ context: borrowing LayerContext<FileShare>) {
    guard change.change == .strata || change.change == .proven else { return }
    for download in transfers.downloads where !download.state.isOver {
      if download.isOpenToAll, change.change == .strata { addHolder(change.address, nil, to: download, context) }
      guard change.change == .proven, download.state == .locating || download.state == .fetching,
        let place = download.holders.firstIndex(where: {
          $0.address == change.address && !$0.isPlain && $0.state == .asked
        })
      else { continue }
      download.holders[place].question = 0
      askHoldings(download, place, context)
    }
  }

  // MARK: What

  /// Asks a holder what it has of the file.
  func askHoldings(_ download: Download, _ place: Int, _ context: borrowing LayerContext<FileShare>) {
    let isReady = download.holders[place].state == .ready
    // While it brings something, now and then; while it doesn't, ever more seldom. Where nobody brings anything, one
    // that doesn't answer may only be starting again: it is asked more often for some minutes.
    let waits = download.holders[place].silences
    let isMissed = waits < 100 && download.holders[place].question != 0 && context.now - download.cameAt > .seconds(2)
    download.holders[place].askAgainAt =
      context.now
      + (isReady ? .seconds(2) : min(.seconds(isMissed ? 2 : 15), .milliseconds(100) * (1 << min(waits, 8))))
    if !isReady { download.holders[place].silences += 1 }
    if download.holders[place].isPlain { return askPlainRoot(download, place, context) }
    // The same question until it is answered: a late answer is one too.
    if download.holders[place].question == 0 {
      download.holders[place].question = context.unguessable() | 1
      download.holders[place].questionAskedAt = context.now
      download.holders[place].questionTries = 0
    }
    download.holders[place].questionTries += 1
    let address = download.holders[place].address
    if context.neighbour(address)?.isStrata != true || context.neighbour(address)?.isProven != true {
      context.introduce(to: address)
    }
    context.send(
      HoldingsRequest(root: download.root, number: Fixed64(download.holders[place].question)),
      as: TransferField.holdingsRequest, to: address)
  }

  func heardHoldings(_ answer: Holdings, from sender: Address, _ context: borrowing LayerContext<FileShare>) {
    guard let download = transfers.download(answer.root), !download.state.isOver,
      let place = download.holders.firstIndex(where: {
        $0.address == sender && !$0.isPlain && $0.question == answer.number.value && $0.question != 0
      }), download.holders[place].state != .banned
    else { return transfers.unasked.add() }
    download.holders[place].question = 0
    if download.holders[place].questionTries == 1 {
      let sample = context.now - download.holders[place].questionAskedAt
      download.holders[place].window.answered(after: sample, at: context.now)
    }
    guard answer.chunkSize > 0, let size = Int64(exactly: answer.size),
      let claimed = FileDescriptor(
        name: answer.name, size: size, chunkSize: Int(answer.chunkSize), root: answer.root),
      claimed.shape.chunkCount <= Self.mostChunks
    else {
      // It has nothing of the file, or says what can't be; it may have it later.
      if download.holders[place].state == .ready { download.scheduler.release(download.holders[place].id) }
      download.holders[place].state = .away
      return
    }
    if let known = download.descriptor, known.size != claimed.size || known.chunkSize != claimed.chunkSize {
      download.holders[place].state = .away
      guard download.claimer != nil else { return }
      download.isContradicted = true
      guard download.state == .fetching, !hasClaimer(download) else { return }
      // Who can't show what it claims is asked later than the others.
      if let claimer = download.claimer.flatMap({ download.place(of: $0) }), download.holders[claimer].state == .ready {
        download.holders[claimer].stall(at: context.now)
      }
      return locateAgain(download, context)
    }
    download.holders[place].holding =
      answer.isWhole ? nil : ChunkMap(lengths: answer.lengths, count: claimed.shape.chunkCount)
    guard answer.isWhole || download.holders[place].holding != nil else {
      download.holders[place].state = .away
      return
    }
    let wasReady = download.holders[place].state == .ready
    download.holders[place].state = .ready
    if !wasReady { download.holders[place].silences = 0 }
    keepBook(of: download, withHolder: place, context)
    if download.claimer != nil, !hasClaimer(download) { download.claimer = download.holders[place].id }
    passClaimOn(of: download)
    if download.descriptor == nil, download.state == .locating {
      download.descriptor = claimed
      download.claimer = download.holders[place].id
      return begin(download, context)
    }
    askMore(download, place, context)
    armTransfers(context)
  }
}
