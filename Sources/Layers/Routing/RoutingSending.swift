// RoutingSending: messages of our own, until their receipts have come or there is no hope of any.
import PeersterVocabulary
import StackCore

/// Who is told what has become of a message of ours.
enum Owner: Hashable, Sendable {
  /// The book of private messages, which has it under this number.
  case book(UInt64)
  /// A layer, by the token it gave.
  case layer(String, UInt64)
}

/// A message of ours whose receipt is awaited.
struct Pending {
  var parcel: Parcel
  var owner: Owner
  var since: Instant
  var due: Instant
  var tries = 0
  /// Whether a mailbox on the way has said that it keeps it, and whether that was the last word for whoever waited.
  var isKept = false
  var isToldKept = false
  var call: CommandCall<MessageChanged, MessageChanged>?
}

/// A message of ours that was given up, for which a receipt may come yet.
struct Overdue {
  var messageID: UInt64
  var destination: WireText
  var field: UInt32
  var owner: Owner
  var since: Instant
}

extension Routing {
  /// How many messages may wait for receipts, how many more that mailboxes keep, and how many bytes in all.
  static let mostPending = 1_024
  private static let mostBytes = 16 << 20
  /// How often the mailbox that keeps a message, or its receiver, is reminded that we know nothing yet.
  private static let reminder = Duration.seconds(600)

  /// Whether one more message may wait for its receipt.
  func hasRoom(for size: Int) -> Bool {
    pending.count { !$0.isKept } < Self.mostPending
      && pending.reduce(size) { $0 + $1.parcel.size } <= Self.mostBytes
  }

  /// Takes up what the last run left: what waited waits anew. Of what was kept on the way we know least, so it is asked
  /// for again.
  func loadBook(_ context: borrowing LayerContext<Routing>) throws {
    let book = MessageBook(storage: context.storage)
    marks = try book.marks()
    let ours = try ownInMailbox(context)
    var found: [Pending] = []
    try book.scan { number, message in
      nextNumber = max(nextNumber, number + 1)
      listed += 1
      guard message.messageID.value != 0 else { return true }
      if message.state == .noAnswer, overdue.count < Self.mostOverdue {
        overdue.append(
          Overdue(
            messageID: message.messageID.value, destination: message.peer, field: PeersterField.privateMessage,
            owner: .book(number), since: message.at))
      }
      guard !message.state.isFinal, !ours.contains(number), found.count < Self.mostPending else { return true }
      let text = Private(
        origin: me, text: message.text, destination: message.peer, hopLimit: 0, messageID: message.messageID)
      found.append(
        Pending(
          parcel: .text(text), owner: .book(number), since: message.at, due: context.now + config.receiptTimeout))
      return true
    }
    pending = found.reversed()
    overdue.reverse()
  }

  /// Sends a message for the first time, and waits for its receipt.
  func begin(
    _ parcel: Parcel, _ owner: Owner, call: CommandCall<MessageChanged, MessageChanged>? = nil,
    _ context: borrowing LayerContext<Routing>
  ) {
    pending.append(
      Pending(
        parcel: parcel, owner: owner, since: context.now, due: context.now + config.receiptTimeout, call: call))
    sendOut(pending.count - 1, context)
    armRetry(context)
  }

  /// Sends a message over the best way, and each further time over the next best.
  private func sendOut(_ place: Int, _ context: borrowing LayerContext<Routing>) {
    var parcel = pending[place].parcel
    let ways = ways(to: parcel.destination, except: nil, needsStrata: true, context)
    parcel.hopLimit = UInt32(config.hopLimit)
    if !ways.isEmpty { send(parcel, to: way(ways, try: pending[place].tries), context) }
    pending[place].tries += 1
  }

  func armRetry(_ context: borrowing LayerContext<Routing>) {
    guard let next = pending.lazy.map(\.due).min() else { return context.cancel(.retry) }
    context.arm(.retry, after: max(.zero, next - context.now))
  }

  func retry(_ context: borrowing LayerContext<Routing>) {
    for place in pending.indices.reversed() where pending[place].due <= context.now {
      let one = pending[place]
      if one.isKept {
        remind(place, context)
      } else if one.tries >= config.tries {
        giveUp(place, context)
      } else {
        sendOut(place, context)
        pending[place].due = context.now + timeout(one.tries)
      }
    }
    armRetry(context)
  }

  /// How long the receipt is awaited after so many tries before.
  func timeout(_ tries: Int) -> Duration { min(config.receiptTimeout * (1 << min(tries, 16)), .seconds(86_400)) }

  /// A mailbox keeps it: whoever waits is told so once its time is over, and now and then we ask again.
  private func remind(_ place: Int, _ context: borrowing LayerContext<Routing>) {
    let one = pending[place]
    guard context.now - one.since < config.mailboxLimits.age else { return giveUp(place, context) }
    if one.isToldKept {
      sendOut(place, context)
    } else {
      pending[place].isToldKept = true
      pending[place].call = nil
      report(one, .kept, context)
    }
    pending[place].due = context.now + Self.reminder
  }

  /// All tries were in vain. With a mailbox we keep it ourselves; without, a late receipt may still set things right.
  private func giveUp(_ place: Int, _ context: borrowing LayerContext<Routing>) {
    let one = pending.remove(at: place)
    if context.now - one.since < config.mailboxLimits.age, keepOurs(one.parcel, one.owner, since: one.since, context) {
      return report(one, .kept, context)
    }
    if overdue.count >= Self.mostOverdue { overdue.removeFirst(Self.mostOverdue / 16) }
    overdue.append(
      Overdue(
        messageID: one.parcel.messageID, destination: one.parcel.destination, field: one.parcel.field,
        owner: one.owner, since: one.since))
    report(one, table.candidates(one.parcel.destination).isEmpty ? .noRoute : .noAnswer, context)
  }

  /// Somebody tells what has become of a message of ours.
  func settle(
    _ messageID: UInt64, _ standing: Receipt.Standing, from origin: WireText,
    _ context: borrowing LayerContext<Routing>
  ) {
    guard let place = pending.firstIndex(where: { $0.parcel.messageID == messageID }) else {
      guard standing == .delivered,
        let late = overdue.firstIndex(where: { $0.messageID == messageID && $0.destination == origin })
      else { return }
      let found = overdue.remove(at: late)
      return report(found.owner, found.destination, found.field, .delivered, since: found.since, nil, context)
    }
    switch standing {
    case .delivered:
      guard pending[place].parcel.destination == origin else { return }
      let done = pending.remove(at: place)
      counts.roundTrip.record(max(.zero, context.now - done.since))
      report(done, .delivered, context)
    case .kept:
      guard !pending[place].isKept else { return }
      if pending.count(where: \.isKept) >= Self.mostPending, let oldest = pending.firstIndex(where: \.isKept) {
        giveUp(oldest, context)
        return settle(messageID, standing, from: origin, context)
      }
      pending[place].isKept = true
      pending[place].due = max(context.now, pending[place].since + timeout(config.tries))
      if case .book = pending[place].owner { report(pending[place], .kept, isLast: false, context) }
    case .letGo:
      if pending[place].isKept { giveUp(place, context) }
    }
    armRetry(context)
  }

  // MARK: Telling

  private func report(
    _ one: Pending, _ state: MessageState, isLast: Bool = true, _ context: borrowing LayerContext<Routing>
  ) {
    report(
      one.owner, one.parcel.destination, one.parcel.field, state, since: one.since, one.call, isLast: isLast, context)
  }

  /// Tells the owner of a message that left no trace in `pending` what has become of it.
  func ended(
    _ parcel: Parcel, _ owner: Owner, _ state: MessageState, since: Instant,
    _ context: borrowing LayerContext<Routing>
  ) { report(owner, parcel.destination, parcel.field, state, since: since, nil, context) }

  func report(
    _ owner: Owner, _ destination: WireText, _ field: UInt32, _ state: MessageState, since: Instant,
    _ call: CommandCall<MessageChanged, MessageChanged>?, isLast: Bool = true,
    _ context: borrowing LayerContext<Routing>
  ) {
    switch owner {
    case .book(let number):
      let book = MessageBook(storage: context.storage)
      var message = StoredMessage()
      (message.peer, message.at) = (destination, since)
      do {
        let stored = try book.get(number)
        message = stored ?? message
        (message.state, message.changed) = (state, context.now)
        if stored != nil { try book.set(number, message) }
      } catch { failed(error, context) }
      let changed = MessageChanged(number: number, destination: destination, state: state, says: message.says)
      context.publish(changed, on: MessageChanged.port)
      if isLast { call?.finish(changed) } else { call?.progress(changed) }
    case .layer(let layer, let token):
      guard let result = state.result else { return }
      context.publish(
        RouteOutcome(
          layer: layer, token: token, field: field, destination: destination, result: result,
          after: max(.zero, context.now - since)), on: RouteOutcome.port)
    }
  }

  // MARK: Other layers' messages

  func requested(_ request: RouteRequest, _ context: borrowing LayerContext<Routing>) {
    var message = Routed(
      origin: me, destination: request.destination, hopLimit: UInt32(config.hopLimit), field: request.field,
      body: request.body.bytes)
    let owner = request.token.map { Owner.layer(request.layer, $0) }
    guard Parcel.message(message).isSound else { return refuse(request, context) }
    if request.destination == me { return handOver(.message(message), owner: owner, context) }
    let ways = ways(to: request.destination, except: nil, needsStrata: true, context)
    guard let owner else {
      guard let way = ways.first else { return counts.noWay.add() }
      return context.send(message, as: RoutingField.routed, to: way)
    }
    guard hasRoom(for: message.body.count) else { return refuse(request, context) }
    message.messageID = Fixed64(max(1, context.random()))
    if !ways.isEmpty { return begin(.message(message), owner, context) }
    let isKept = keepOurs(.message(message), owner, since: context.now, context)
    ended(.message(message), owner, isKept ? .kept : .noRoute, since: context.now, context)
  }

  private func refuse(_ request: RouteRequest, _ context: borrowing LayerContext<Routing>) {
    guard let token = request.token else { return counts.unsound.add() }
    context.publish(
      RouteOutcome(
        layer: request.layer, token: token, field: request.field, destination: request.destination,
        result: .refused, after: .zero), on: RouteOutcome.port)
  }
}

extension Parcel {
  /// The packet field that it is for its receiver.
  var field: UInt32 { if case .message(let message) = self { message.field } else { PeersterField.privateMessage } }
}

extension MessageState {
  /// What a layer is told of it.
  var result: RouteResult? {
    switch self {
    case .delivered: .delivered
    case .kept: .kept
    case .noRoute: .noRoute
    case .noAnswer: .noAnswer
    case .received, .waiting, .sent: nil
    }
  }
}
