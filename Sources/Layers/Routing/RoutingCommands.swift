// RoutingCommands: what people can ask Routing: to send, to show messages and ways, to trace one.
import PeersterVocabulary
import StackCore

struct SendInput: CommandInput {
  @Argument("Who gets it: a node's name.", count: 1...200) var name: String
  @Argument("What it says.", count: 1...30_000) var text: String
}

struct MessagesInput: CommandInput {
  @Argument("Only those with this node.") var with: String?
  @Argument("How many, the newest of them.", in: 1...10_000) var limit = 100
}

/// Messages, the oldest first.
struct MessageList: Codable, Sendable {
  struct Entry: Codable, Sendable {
    var number: UInt64
    var with: WireText
    var text: WireText
    var at: Instant
    var state: MessageState
    var says: String
  }
  var messages: [Entry]
  /// What the mailbox keeps for others and for us.
  var mailbox: Int?
}

/// The ways that are known, by destination.
struct RouteList: Codable, Sendable {
  struct Entry: Codable, Sendable {
    var destination: WireText
    var nextHop: Address
    /// How many nodes lie between; not there when one of them is no Strata node.
    var hops: UInt32?
    /// How long ago a rumor last confirmed it.
    var age: Duration
    /// Which neighbours would be tried after it.
    var others: [Address]
  }
  var routes: [Entry]
}

extension Routing {
  func declareCommands(_ setup: LayerSetup<Routing>) {
    setup.stream(
      "send", "Sends a private message, and says what has become of it.", examples: ["bob \"Are you there?\""],
      Routing.send, cancelled: Routing.sendCancelled)
    setup.command(
      "messages", "Shows private messages, and what has become of ours.", examples: ["", "--with bob"],
      Routing.messages)
    setup.command("routes", "Lists the ways that are known.", examples: [""], Routing.routes)
    setup.stream(
      "trace", "Shows the nodes on the way to a node, with the round trip to each.", examples: ["bob"],
      Routing.trace, cancelled: Routing.traceCancelled)
  }

  private func send(
    _ input: SendInput, _ call: CommandCall<MessageChanged, MessageChanged>, _ context: borrowing LayerContext<Routing>
  ) throws {
    guard input.text.utf8.count <= Rumor.longestText, input.name.utf8.count <= Rumor.longestOrigin else {
      throw CommandError(
        .invalid, code: "too-long",
        "a name has at most \(Rumor.longestOrigin) bytes and a text \(Rumor.longestText)")
    }
    guard hasRoom(for: input.text.utf8.count) else {
      throw CommandError(.unavailable, code: "too-many", "too many messages wait for receipts already")
    }
    let destination = WireText(input.name)
    var text = Private(
      origin: me, text: WireText(input.text), destination: destination, hopLimit: UInt32(config.hopLimit))
    if destination == me {
      take(text, context)
      let number = list(stored(text, .waiting, context), context)
      return report(.book(number), me, PeersterField.privateMessage, .delivered, since: context.now, call, context)
    }
    text.messageID = Fixed64(max(1, context.unguessable()))
    let number = list(stored(text, .waiting, context), context)
    let isStrata = table.candidates(destination).contains { $0.hops != nil }
    func tell(_ state: MessageState, isLast: Bool) {
      report(
        .book(number), destination, PeersterField.privateMessage, state, since: context.now, call, isLast: isLast,
        context)
    }
    if isStrata {
      tell(.waiting, isLast: false)
      begin(.text(text), .book(number), call: call, context)
    } else if let way = route(to: destination) {
      // Where no receipts come from, to send it twice would only show it twice. Its number would be lost on the way.
      text.messageID = nil
      send(.text(text), to: way.nextHop, context)
      tell(.sent, isLast: true)
    } else {
      tell(keepOurs(.text(text), .book(number), since: context.now, context) ? .kept : .noRoute, isLast: true)
    }
  }

  private func stored(
    _ text: Private, _ state: MessageState, _ context: borrowing LayerContext<Routing>
  ) -> StoredMessage {
    var stored = StoredMessage()
    (stored.peer, stored.text, stored.at) = (text.destination, text.text, context.now)
    (stored.messageID, stored.state) = (text.messageID ?? Fixed64(0), state)
    return stored
  }

  /// Whoever waited for the end waits no longer; the message goes on.
  private func sendCancelled(
    _ call: CommandCall<MessageChanged, MessageChanged>, _ context: borrowing LayerContext<Routing>
  ) {
    for place in pending.indices where pending[place].call?.id == call.id { pending[place].call = nil }
  }

  /// Lists a message in the book, and lets go of the oldest when there are too many.
  func list(_ message: StoredMessage, _ context: borrowing LayerContext<Routing>) -> UInt64 {
    let book = MessageBook(storage: context.storage)
    let number = nextNumber
    nextNumber += 1
    listed += 1
    do {
      try book.set(number, message)
      guard listed > config.messages else { return number }
      var old: [UInt64] = []
      try book.scan(reversed: false) { number, message in
        if message.state.isFinal { old.append(number) }
        return old.count < config.messages / 16 + 1
      }
      for number in old { try book.remove(number) }
      listed -= old.count
    } catch { failed(error, context) }
    return number
  }

  // MARK: Looking

  private func messages(_ input: MessagesInput, _ context: borrowing LayerContext<Routing>) throws -> MessageList {
    let peer = input.with.map { WireText($0) }
    var found: [MessageList.Entry] = []
    try MessageBook(storage: context.storage).scan { number, message in
      if let peer, message.peer != peer { return true }
      found.append(
        .init(
          number: number, with: message.peer, text: message.text, at: message.at, state: message.state,
          says: message.says))
      return found.count < input.limit
    }
    return MessageList(messages: found.reversed(), mailbox: config.mailbox ? mailbox.entries.count : nil)
  }

  private func routes(_ input: NoInput, _ context: borrowing LayerContext<Routing>) -> RouteList {
    RouteList(
      routes: table.destinations.compactMap { destination in
        let ways = table.candidates(destination)
        return ways.first.map {
          .init(
            destination: destination, nextHop: $0.nextHop, hops: $0.hops,
            age: max(.zero, context.now - $0.at).rounded, others: ways.dropFirst().map(\.nextHop))
        }
      })
  }
}
