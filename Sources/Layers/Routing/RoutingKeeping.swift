// RoutingKeeping: the mailbox: who may leave a message in it, when it is tried again, and what its sender is told.
import PeersterVocabulary
import StackCore

extension Routing {
  /// How many messages the mailbox sends at once, and how long it then waits.
  private static let atOnce = 64
  private static let pause = Duration.milliseconds(50)
  /// How often it looks for a way where there was none, and how far tries are apart at the most.
  private static let longest = Duration.seconds(600)

  // MARK: Life

  func readMailbox(_ context: borrowing LayerContext<Routing>) throws -> [(UInt64, KeptMessage)] {
    var found: [(UInt64, KeptMessage)] = []
    try MailboxStore(storage: context.storage).scan { found.append(($0, $1)) }
    return found
  }

  /// Takes up what was kept, also where the mailbox was switched off since: what was promised is kept.
  func loadMailbox(_ found: [(UInt64, KeptMessage)], _ context: borrowing LayerContext<Routing>) {
    for (number, kept) in found {
      nextKept = max(nextKept, number + 1)
      guard let parcel = kept.parcel else { continue }
      let entry = Mailbox.Entry(
        number: number, destination: parcel.destination, messageID: parcel.messageID, size: parcel.size, at: kept.at,
        due: context.now + config.receiptTimeout)
      for gone in mailbox.add(entry) ?? [] { letGo(gone, .gaveWay, context) }
    }
    armMailbox(context)
  }

  /// The private messages of our own that the mailbox keeps, by their numbers in the book.
  func ownInMailbox(_ context: borrowing LayerContext<Routing>) throws -> Set<UInt64> {
    var numbers: Set<UInt64> = []
    for (number, kept) in try readMailbox(context) where mailbox.entries.contains(where: { $0.number == number }) {
      if let number = kept.number { numbers.insert(number) }
    }
    return numbers
  }

  private func armMailbox(_ context: borrowing LayerContext<Routing>) {
    guard let next = mailbox.nextDue else { return context.cancel(.mailbox) }
    context.arm(.mailbox, after: max(Self.pause, next - context.now))
  }

  // MARK: Taking in

  /// Takes in a message that would pass here. One that another mailbox keeps already is left to it, so that two never
  /// keep the same and hand it to and fro; and nothing is kept for a name that was never heard of.
  func keepForOthers(_ parcel: Parcel, _ context: borrowing LayerContext<Routing>) -> Bool {
    guard parcel.isKeepable, parcel.keeper == nil else { return false }
    if mailbox.has(parcel.messageID) {
      tell(parcel.origin, .kept, parcel.messageID, context)
      return true
    }
    guard keep(parcel, owner: nil, since: context.now, context) else { return false }
    if parcel.messageID != 0 { tell(parcel.origin, .kept, parcel.messageID, context) }
    return true
  }

  /// Takes in a message of our own; false where there is no mailbox, or none that takes it.
  func keepOurs(
    _ parcel: Parcel, _ owner: Owner, since: Instant, _ context: borrowing LayerContext<Routing>
  ) -> Bool {
    config.mailbox && keep(parcel, owner: owner, since: since, context)
  }

  private func keep(
    _ parcel: Parcel, owner: Owner?, since: Instant, _ context: borrowing LayerContext<Routing>
  ) -> Bool {
    guard gossip.nextID(of: parcel.destination) > 1 else { return false }
    var parcel = parcel
    if parcel.messageID != 0 { parcel.keeper = me }
    if owner != nil { parcel.hopLimit = UInt32(config.hopLimit) }
    let entry = Mailbox.Entry(
      number: nextKept, destination: parcel.destination, messageID: parcel.messageID, size: parcel.size, at: since,
      due: context.now)
    guard let gone = mailbox.add(entry) else { return false }
    nextKept += 1
    var kept = KeptMessage()
    (kept.parcel, kept.at) = (parcel, since)
    switch owner {
    case .book(let number)?: kept.number = number
    case .layer(let layer, let token)?: (kept.layer, kept.token) = (layer, Fixed64(token))
    case nil: break
    }
    do { try MailboxStore(storage: context.storage).set(entry.number, kept) } catch { failed(error, context) }
    counts.kept.add()
    tell(parcel, .kept, context)
    for entry in gone { letGo(entry, .gaveWay, context) }
    armMailbox(context)
    return true
  }

  private func tell(
    _ parcel: Parcel, _ change: MailboxChanged.Change, _ context: borrowing LayerContext<Routing>
  ) {
    context.publish(
      MailboxChanged(origin: parcel.origin, destination: parcel.destination, change: change), on: MailboxChanged.port)
  }

  // MARK: Trying

  /// An origin was heard of: what is kept for it is tried again.
  func wakeMailbox(_ origin: WireText, _ context: borrowing LayerContext<Routing>) {
    if mailbox.entries.isEmpty { return }
    if mailbox.wake(origin, at: context.now, notSentFor: config.receiptTimeout) { armMailbox(context) }
  }

  func openMailbox(_ context: borrowing LayerContext<Routing>) {
    for entry in mailbox.due(at: context.now, limit: Self.atOnce) { attempt(entry, context) }
    armMailbox(context)
  }

  /// Sends a kept message on, if there is a way. With a number it stays until its receipt has come.
  private func attempt(_ entry: Mailbox.Entry, _ context: borrowing LayerContext<Routing>) {
    guard let kept = load(entry, context), let parcel = kept.parcel else { return forget(entry, context) }
    let ways = ways(to: entry.destination, except: nil, needsStrata: parcel.needsStrata, context)
    guard !ways.isEmpty else {
      if entry.tries == 0, sendPlainly(parcel, kept, entry, context) { return }
      return mailbox.tried(entry.number, sent: nil, again: context.now + Self.longest)
    }
    send(parcel, to: way(ways, try: entry.tries), context)
    tell(parcel, .sent, context)
    if entry.messageID == 0 { return forget(entry, context) }
    mailbox.tried(entry.number, sent: context.now, again: context.now + min(Self.longest, timeout(entry.tries)))
  }

  /// A text of our own that no Strata node has seen yet may go to a Peerster, from whom no receipt will come.
  private func sendPlainly(
    _ parcel: Parcel, _ kept: KeptMessage, _ entry: Mailbox.Entry, _ context: borrowing LayerContext<Routing>
  ) -> Bool {
    guard case .text(var text) = parcel, let number = kept.number,
      let way = ways(to: entry.destination, except: nil, needsStrata: false, context).first
    else { return false }
    (text.messageID, text.keeper) = (nil, nil)
    send(.text(text), to: way, context)
    forget(entry, context)
    report(
      .book(number), entry.destination, PeersterField.privateMessage, .sent, since: kept.at, nil, context)
    return true
  }

  private func load(_ entry: Mailbox.Entry, _ context: borrowing LayerContext<Routing>) -> KeptMessage? {
    do { return try MailboxStore(storage: context.storage).get(entry.number) } catch {
      failed(error, context)
      return nil
    }
  }

  private func forget(_ entry: Mailbox.Entry, _ context: borrowing LayerContext<Routing>) {
    mailbox.remove(entry.number)
    do { try MailboxStore(storage: context.storage).remove(entry.number) } catch { failed(error, context) }
  }

  // MARK: Letting go

  /// A kept message has arrived. Its sender is told too, since its own receipt may have gone another way, and be lost.
  func arrived(
    _ messageID: UInt64, at receiver: WireText, isForUs: Bool, _ context: borrowing LayerContext<Routing>
  ) {
    guard let entry = mailbox.find(messageID), entry.destination == receiver else { return }
    let kept = load(entry, context)
    forget(entry, context)
    guard let kept, let parcel = kept.parcel else { return }
    tell(parcel, .delivered, context)
    if parcel.origin == me {
      tellOwner(kept, parcel, .delivered, context)
    } else if isForUs {
      tell(parcel.origin, .delivered, messageID, from: receiver, context)
    }
  }

  /// A message has to go though it was not delivered; it is out of the table already.
  func letGo(
    _ entry: Mailbox.Entry, _ change: MailboxChanged.Change, _ context: borrowing LayerContext<Routing>
  ) {
    let kept = load(entry, context)
    forget(entry, context)
    counts.letGo.add()
    guard let kept, let parcel = kept.parcel else { return }
    tell(parcel, change, context)
    if parcel.origin == me {
      tellOwner(kept, parcel, .noAnswer, context)
    } else if entry.messageID != 0 {
      tell(parcel.origin, .letGo, entry.messageID, context)
    }
  }

  private func tellOwner(
    _ kept: KeptMessage, _ parcel: Parcel, _ state: MessageState, _ context: borrowing LayerContext<Routing>
  ) {
    if let number = kept.number { ended(parcel, .book(number), state, since: kept.at, context) }
    if let layer = kept.layer, let token = kept.token {
      ended(parcel, .layer(layer, token.value), state, since: kept.at, context)
    }
  }
}
