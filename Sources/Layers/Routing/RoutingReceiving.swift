// RoutingReceiving: what Routing does with messages that come in: pass on, hand over, confirm.
import PeersterVocabulary
import StackCore

/// A message of another layer that was handed over, until a layer has said that it takes it.
struct Arrival {
  var number: UInt64
  var parcel: Parcel
  var at: Instant
  /// For one from this node to itself: who sent it.
  var owner: Owner?
}

extension Routing {
  /// How many arrivals wait for their layers; they do so within one round only.
  private static let mostArrivals = 1_024

  func heardPrivate(_ message: Private, from peer: Address, _ context: borrowing LayerContext<Routing>) {
    guard mayTake(peer, context) else { return }
    receive(.text(message), from: peer, context)
  }

  func heardRouted(_ message: Routed, from peer: Address, _ context: borrowing LayerContext<Routing>) {
    guard routedTakings.take(peer, most: config.routedRate, at: context.now) else { return counts.tooMany.add() }
    guard message.hopLimit > 0 else { return counts.unsound.add() }
    receive(.message(message), from: peer, context)
  }

  /// Whether a neighbour may have one more message taken this second.
  func mayTake(_ peer: Address, _ context: borrowing LayerContext<Routing>) -> Bool {
    if takings.take(peer, most: config.rate, at: context.now) { return true }
    counts.tooMany.add()
    return false
  }

  private func receive(_ parcel: Parcel, from peer: Address, _ context: borrowing LayerContext<Routing>) {
    guard parcel.isSound else { return counts.unsound.add() }
    if parcel.destination == me { deliver(parcel, context) } else { passOn(parcel, from: peer, context) }
  }

  // MARK: Passing on

  /// Passes a message on. One that comes again and again, since no receipt comes, goes over another way; a mailbox
  /// keeps it the second time, as it does one without a way. Only every other time counts: its sender takes turns too.
  private func passOn(_ parcel: Parcel, from peer: Address, _ context: borrowing LayerContext<Routing>) {
    let limit = min(parcel.hopLimit, 32)
    guard limit > 1 else { return counts.hopLimit.add() }
    let before = parcel.messageID == 0 ? 0 : passings.note(parcel.messageID)
    let ways = ways(to: parcel.destination, except: peer, needsStrata: parcel.needsStrata, context)
    var onward = parcel
    onward.hopLimit = limit - 1
    if config.mailbox, ways.isEmpty || before > 0, keepForOthers(onward, context) { return }
    guard !ways.isEmpty else { return counts.noWay.add() }
    send(onward, to: way(ways, try: before / 2), context)
    counts.forwarded.add()
  }

  func send(_ parcel: Parcel, to nextHop: Address, _ context: borrowing LayerContext<Routing>) {
    switch parcel {
    case .text(let message): context.send(message, as: PeersterField.privateMessage, to: nextHop)
    case .message(let message): context.send(message, as: RoutingField.routed, to: nextHop)
    }
  }

  // MARK: For us

  /// A message for us: taken once, and confirmed as often as it comes.
  private func deliver(_ parcel: Parcel, _ context: borrowing LayerContext<Routing>) {
    settleArrivals(context)
    if parcel.messageID != 0 {
      // It is being handed over already, and is confirmed once it has been taken.
      if arrivals.contains(where: { $0.parcel.messageID == parcel.messageID && $0.parcel.origin == parcel.origin }) {
        return counts.duplicates.add()
      }
      do {
        if try MessageBook(storage: context.storage).hasReceived(parcel.origin, parcel.messageID) {
          counts.duplicates.add()
          return confirm(parcel, context)
        }
      } catch { return failed(error, context) }
    }
    switch parcel {
    case .text(let message):
      note(parcel, context)
      take(message, context)
      confirm(parcel, context)
    case .message: handOver(parcel, owner: nil, context)
    }
  }

  /// Remembers that a message has come.
  private func note(_ parcel: Parcel, _ context: borrowing LayerContext<Routing>) {
    guard parcel.messageID != 0 else { return }
    do {
      try MessageBook(storage: context.storage).noteReceived(
        parcel.origin, parcel.messageID, marks: &marks, most: config.remembered)
    } catch { failed(error, context) }
  }

  /// Sends a receipt to a message's sender, and to the mailbox that keeps it. When the message comes again, the last
  /// receipt was lost, perhaps with its way: so receipts take turns too.
  private func confirm(_ parcel: Parcel, _ context: borrowing LayerContext<Routing>) {
    guard parcel.messageID != 0 else { return }
    let before = passings.note(parcel.messageID)
    tell(parcel.origin, .delivered, parcel.messageID, try: before, context)
    if let keeper = parcel.keeper, keeper != parcel.origin {
      tell(keeper, .delivered, parcel.messageID, try: before, context)
    }
  }

  /// Tells somebody what has become of a message.
  func tell(
    _ destination: WireText, _ standing: Receipt.Standing, _ messageID: UInt64, from origin: WireText? = nil,
    try number: Int = 0, _ context: borrowing LayerContext<Routing>
  ) {
    guard destination != me else { return }
    let ways = ways(to: destination, except: nil, needsStrata: true, context)
    guard !ways.isEmpty else { return counts.noWay.add() }
    var receipt = Receipt(
      origin: origin ?? me, destination: destination, hopLimit: UInt32(config.hopLimit),
      messageID: Fixed64(messageID))
    receipt.standing = standing
    context.send(receipt, as: RoutingField.receipt, to: way(ways, try: number))
  }

  /// Takes a text into the inbox.
  func take(_ message: Private, _ context: borrowing LayerContext<Routing>) {
    counts.received.add()
    var stored = StoredMessage()
    (stored.peer, stored.text, stored.at) = (message.origin, message.text, context.now)
    (stored.messageID, stored.state) = (message.messageID ?? Fixed64(0), .received)
    _ = list(stored, context)
    context.publish(PrivateReceived(origin: message.origin, text: message.text), on: PrivateReceived.port)
  }

  // MARK: For other layers

  /// Offers a message to the layer that takes its field, which answers within the present round.
  func handOver(_ parcel: Parcel, owner: Owner?, _ context: borrowing LayerContext<Routing>) {
    guard case .message(let message) = parcel else { return }
    if arrivals.count >= Self.mostArrivals { unclaimed(arrivals.removeFirst(), context) }
    let number = nextArrival
    nextArrival += 1
    arrivals.append(Arrival(number: number, parcel: parcel, at: context.now, owner: owner))
    context.publish(
      RoutedArrival(
        number: number, origin: message.origin, field: message.field, body: RoutedBody(message.body)),
      on: RoutedArrival.port)
  }

  /// A layer has taken a message: only now is it remembered and confirmed.
  func taken(_ answer: RoutedTaken, _ context: borrowing LayerContext<Routing>) {
    guard let place = arrivals.firstIndex(where: { $0.number == answer.number }) else { return }
    let arrival = arrivals.remove(at: place)
    guard answer.isReadable else {
      counts.unreadable.add()
      if let owner = arrival.owner { ended(arrival.parcel, owner, .noAnswer, since: arrival.at, context) }
      return
    }
    counts.routedReceived.add()
    if let owner = arrival.owner { return ended(arrival.parcel, owner, .delivered, since: arrival.at, context) }
    note(arrival.parcel, context)
    confirm(arrival.parcel, context)
  }

  /// Counts what no layer took: layers answer before time goes on.
  func settleArrivals(_ context: borrowing LayerContext<Routing>) {
    while let first = arrivals.first, first.at < context.now { unclaimed(arrivals.removeFirst(), context) }
  }

  private func unclaimed(_ arrival: Arrival, _ context: borrowing LayerContext<Routing>) {
    counts.unclaimed.add()
    if let owner = arrival.owner { ended(arrival.parcel, owner, .noAnswer, since: arrival.at, context) }
  }

  // MARK: Receipts

  func heardReceipt(_ receipt: Receipt, from peer: Address, _ context: borrowing LayerContext<Routing>) {
    guard mayTake(peer, context) else { return }
    guard let standing = receipt.standing, receipt.origin.bytes.count <= Rumor.longestOrigin,
      receipt.destination.bytes.count <= Rumor.longestOrigin
    else { return counts.unsound.add() }
    let messageID = receipt.messageID.value
    if standing == .delivered { arrived(messageID, at: receipt.origin, isForUs: receipt.destination == me, context) }
    if receipt.destination == me { return settle(messageID, standing, from: receipt.origin, context) }
    let limit = min(receipt.hopLimit, 32)
    guard limit > 1 else { return counts.hopLimit.add() }
    let ways = ways(to: receipt.destination, except: peer, needsStrata: true, context)
    guard !ways.isEmpty else { return counts.noWay.add() }
    // Counted apart from the message with this number, by its complement.
    let before = passings.note(~messageID)
    var onward = receipt
    onward.hopLimit = limit - 1
    context.send(onward, as: RoutingField.receipt, to: way(ways, try: before / 2))
    counts.forwarded.add()
  }
}
