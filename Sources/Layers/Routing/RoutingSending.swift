// RoutingSending: messages of our own, until their receipts have come, and the commands.
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
  }
  var messages: [Entry]
}

/// The ways that are known, by destination.
struct RouteList: Codable, Sendable {
  var routes: [Route]
}

extension Routing {
  func declareCommands(_ setup: LayerSetup<Routing>) {
    setup.stream(
      "send", "Sends a private message, and says what has become of it.", examples: ["bob \"Are you there?\""],
      Routing.send, cancelled: Routing.sendCancelled)
    setup.command(
      "messages", "Shows private messages, and what has become of ours.", examples: ["", "--with bob"],
      Routing.messages)
    setup.command("routes", "Lists the ways that are known.", Routing.routes)
  }

  private func send(
    _ input: SendInput, _ call: CommandCall<MessageChanged, MessageChanged>, _ context: borrowing LayerContext<Routing>
  ) throws {
    let destination = WireText(input.name)
    guard input.text.utf8.count <= Rumor.longestText else {
      throw CommandError(.invalid, code: "too-long", "a text has at most \(Rumor.longestText) bytes")
    }
    guard pending.count < Self.mostPending else {
      throw CommandError(.unavailable, code: "too-many", "\(Self.mostPending) messages wait for receipts already")
    }
    var message = StoredMessage()
    (message.peer, message.text, message.at) = (destination, WireText(input.text), context.now)
    message.messageID = Fixed64(max(1, context.random()))
    message.state = .waiting
    if destination == me {
      take(Private(origin: me, text: message.text, destination: me, hopLimit: 0), 0, context)
      message.state = .delivered
    } else if let way = route(to: destination) {
      // Where no receipts come from, to send it twice would only show it twice.
      if !way.isStrata { message.state = .sent }
    } else {
      message.state = .noRoute
    }
    let number = keep(message, context)
    if message.state == .waiting || message.state == .sent { sendOut(&message, context) }
    tell(number, message, call, context)
    guard message.state == .waiting else { return }
    pending.append(.init(number: number, message: message, due: context.now + config.receiptTimeout, call: call))
    armRetry(context)
  }

  /// Whoever waited for the end waits no longer; the message goes on.
  private func sendCancelled(
    _ call: CommandCall<MessageChanged, MessageChanged>, _ context: borrowing LayerContext<Routing>
  ) {
    for place in pending.indices where pending[place].call?.id == call.id { pending[place].call = nil }
  }

  /// Sends a message over the best way, and each further time over the next best; false when there is none.
  @discardableResult private func sendOut(
    _ message: inout StoredMessage, _ context: borrowing LayerContext<Routing>
  ) -> Bool {
    let ways = table.candidates(message.peer)
    defer { message.tries += 1 }
    guard !ways.isEmpty else { return false }
    let way = ways[Int(message.tries) % ways.count]
    context.send(
      Private(
        origin: me, text: message.text, destination: message.peer, hopLimit: UInt32(config.hopLimit),
        messageID: message.messageID), as: PeersterField.privateMessage, to: way.nextHop)
    return true
  }

  func armRetry(_ context: borrowing LayerContext<Routing>) {
    guard let next = pending.map(\.due).min() else { return context.cancel(.retry) }
    context.arm(.retry, after: max(.zero, next - context.now))
  }

  func retry(_ context: borrowing LayerContext<Routing>) {
    for place in pending.indices.reversed() where pending[place].due <= context.now {
      let tries = Int(pending[place].message.tries)
      if tries >= config.tries {
        settle(place, table.candidates(pending[place].message.peer).isEmpty ? .noRoute : .noAnswer, context)
        continue
      }
      sendOut(&pending[place].message, context)
      pending[place].due = context.now + config.receiptTimeout * Int(1 << min(tries, 8))
    }
    armRetry(context)
  }

  /// A message has come to its end.
  func settle(_ place: Int, _ state: MessageState, _ context: borrowing LayerContext<Routing>) {
    var ended = pending.remove(at: place)
    ended.message.state = state
    do { try MessageBook(storage: context.storage).set(ended.number, ended.message) } catch { failed(error, context) }
    tell(ended.number, ended.message, ended.call, context)
    armRetry(context)
  }

  private func tell(
    _ number: UInt64, _ message: StoredMessage, _ call: CommandCall<MessageChanged, MessageChanged>?,
    _ context: borrowing LayerContext<Routing>
  ) {
    let changed = MessageChanged(number: number, destination: message.peer, state: message.state)
    context.publish(changed, on: MessageChanged.port)
    if message.state.isFinal { call?.finish(changed) } else { call?.progress(changed) }
  }

  // MARK: Looking

  private func messages(_ input: MessagesInput, _ context: borrowing LayerContext<Routing>) throws -> MessageList {
    let peer = input.with.map { WireText($0) }
    var found: [MessageList.Entry] = []
    try MessageBook(storage: context.storage).scan { number, message in
      if let peer, message.peer != peer { return true }
      found.append(
        .init(number: number, with: message.peer, text: message.text, at: message.at, state: message.state))
      return found.count < input.limit
    }
    return MessageList(messages: found.reversed())
  }

  private func routes(_ input: NoInput, _ context: borrowing LayerContext<Routing>) -> RouteList {
    RouteList(routes: table.destinations.compactMap { route(to: $0) })
  }
}
