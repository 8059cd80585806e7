// NodePaths: how the node knows its neighbours: who is one, introductions, and the core's own messages.

extension Node {
  /// The core's own timers.
  enum CoreTimer: Int32 {
    case reassembly, waiting, probes, pulse
  }

  func arm(_ timer: CoreTimer, after delay: Duration) {
    guard !armedCoreTimers.contains(timer.rawValue) else { return }
    armedCoreTimers.insert(timer.rawValue)
    _ = timers.arm(.init(owner: -1, number: timer.rawValue), at: now + delay)
  }

  func coreTimer(_ number: Int32) {
    armedCoreTimers.remove(number)
    switch CoreTimer(rawValue: number) {
    case .reassembly: expirePieces()
    case .waiting: retryWaiting()
    case .probes: retryProbes()
    case .pulse: pulse()
    case nil: break
    }
  }

  // MARK: Neighbours

  /// The address of a neighbour, by its place; nil after the last.
  @usableFromInline func neighbourAddress(at place: Int) -> Address? {
    place < neighbours.count ? neighbours[place].address : nil
  }

  /// A neighbour of the configuration.
  func configure(_ peer: Address) {
    guard peer != address else { return }
    if let place = neighbours.find(peer) {
      neighbours[place].configured = true
    } else {
      _ = insert(Neighbour(address: peer, configured: true, isStrata: !speaksPeerster, pathLimit: pathLimit(for: peer)))
    }
  }

  /// Takes a neighbour out; for a reload that no longer names it.
  func unconfigure(_ peer: Address) {
    guard let place = neighbours.find(peer), neighbours[place].configured else { return }
    neighbours.remove(peer)
    announce(peer, .removed)
  }

  func insert(_ newcomer: Neighbour) -> Int? {
    var neighbour = newcomer
    neighbour.since = now
    guard let (place, evicted) = neighbours.add(neighbour, at: now) else {
      drop(.neighboursFull)
      return nil
    }
    if let evicted { announce(evicted, .removed) }
    announce(neighbour.address, .added)
    return place
  }

  func announce(_ address: Address, _ change: NeighbourChange.Change) {
    publish(NeighbourChange(address: address, change: change), on: NeighbourChange.port, from: "core")
  }

  /// A well-formed message has come from an address.
  func heard(_ sender: Address, strata: Bool, introducing: Bool = true) {
    // A node is no neighbour of its own, whoever writes its address on a datagram.
    guard sender != address else { return }
    let place: Int
    if let known = neighbours.find(sender) {
      place = known
    } else {
      let neighbour = Neighbour(
        address: sender, configured: false, isStrata: !speaksPeerster, pathLimit: pathLimit(for: sender))
      guard let added = insert(neighbour) else { return }
      place = added
    }
    neighbours[place].lastHeard = now
    if receivingIsNew {
      receivingIsNew = false
      neighbours[place].datagramsIn &+= 1
      neighbours[place].bytesIn &+= UInt64(receivingBytes)
    }
    if strata, !neighbours[place].isStrata {
      neighbours[place].isStrata = true
      announce(sender, .strata)
      if introducing { introduce(place) }
    } else if introducing, neighbours[place].isStrata, !neighbours[place].isProven,
      let sent = neighbours[place].helloSent, now - sent >= Self.reintroduction,
      neighbours[place].reintroductions < Self.mostReintroductions
    {
      // Our introduction, or its answer, was lost on the way; or it is no Strata node, whatever somebody said.
      neighbours[place].reintroductions += 1
      introduce(place)
    } else if introducing, receivingCapability, neighbours[place].isProven,
      neighbours[place].helloSent.map({ now - $0 >= Self.reintroduction }) ?? true
    {
      // It says what it is, as to somebody it doesn't know: it was started again since, and asks nobody by itself.
      introduce(place)
    }
  }

  /// How long an introduction may be unanswered before a neighbour that we hear from gets another, and how often.
  private static let reintroduction = Duration.seconds(5)
  private static let mostReintroductions = 8

  /// What a path is taken to carry before anything is known of it.
  func pathLimit(for address: Address) -> Int {
    if let limit = limits.pathLimit {
      return min(max(limit, NodeLimits.smallestPathLimit), NodeLimits.largestDatagram)
    }
    return address.isLoopback ? NodeLimits.largestDatagram : NodeLimits.safePathLimit
  }

  /// The largest datagram that is known to arrive somewhere.
  func knownPathLimit(to address: Address) -> Int {
    neighbours.find(address).map { neighbours[$0].pathLimit } ?? pathLimit(for: address)
  }

  /// Looks for how much the path to a neighbour carries.
  func probePath(to address: Address) {
    guard let place = neighbours.find(address), neighbours[place].pathLimit < PathProbe.largest else { return }
    probeIfUseful(place)
  }

  // MARK: Introductions

  /// Introduces us to an address that a layer takes for a Strata node's.
  func introduce(to address: Address) {
    guard address != self.address, address.canBeNeighbour else { return }
    guard let place = neighbours.find(address) ?? insertReceiver(address) else { return }
    introduce(place)
  }

  /// The mark that whoever sends us pieces from an address has to show.
  func cookie(for address: Address) -> UInt64 {
    let mark = cookieKey.hash([address.high, address.low, UInt64(address.port) | UInt64(address.scope) << 16])
    return mark == 0 ? 1 : mark
  }

  /// Introduces us to a neighbour, at most five times a second, and asks for its introduction.
  func introduce(_ place: Int) {
    if let sent = neighbours[place].helloSent, now - sent < .milliseconds(200) { return }
    neighbours[place].helloSent = now
    neighbours[place].asked(at: now)
    sendHello(to: neighbours[place].address, echo: neighbours[place].cookie ?? 0, wantsReply: true, place: place)
  }

  private func sendHello(to address: Address, echo: UInt64, wantsReply: Bool, place: Int?) {
    var label = name
    while label.utf8.count > Hello.longestName { label.removeLast() }
    if !mayAnswer(place, Hello.namelessSize + label.utf8.count) { label = "" }
    let hello = Hello(
      cookie: Fixed64(cookie(for: address)), echo: Fixed64(echo), wantsReply: wantsReply, name: label)
    sendCore(hello, as: CoreField.hello, to: address, place: place)
  }

  /// Whether the core may answer with so many bytes; see `Neighbour.spend`.
  private func mayAnswer(_ place: Int?, _ size: Int) -> Bool {
    guard let place else { return size + Neighbour.headerBytes <= strangerAllowance }
    var neighbour = neighbours[place]
    return neighbour.spend(size)
  }

  func sendCore<M: WireMessage>(_ message: M, as number: UInt32, to address: Address, place: Int?) {
    guard outbox.waiting < outbox.entryLimit else { return drop(.outboxFull) }
    let start = packetStart
    outbox.writer.writeTag(number, .bytes)
    let nested = outbox.writer.beginNested()
    message.encode(into: &outbox.writer)
    outbox.writer.endNested(nested)
    if outbox.writer.overflowed {
      outbox.writer.truncate(to: start)
      return drop(.outboxFull)
    }
    let size = outbox.writer.count - start
    guard mayAnswer(place, size) else {
      outbox.writer.truncate(to: start)
      return drop(.unproven)
    }
    if let place { _ = neighbours[place].spend(size) } else { strangerAllowance -= size + Neighbour.headerBytes }
    if let port = ports.find(number) {
      ports.ports[port].counts.pointee.messagesOut &+= 1
      ports.ports[port].counts.pointee.bytesOut &+= UInt64(size)
    }
    append(from: start, to: address, place: place, segmentSize: 0, mayFragment: false)
  }

  /// Whether the core may answer the present datagram; true only once.
  func isFirstAnswer() -> Bool {
    if coreHasAnswered { return false }
    coreHasAnswered = true
    return true
  }

  /// A neighbour's mark is believed only of a Hello that shows ours: whoever can't receive at the address it writes on
  /// its datagrams can neither pass for proven nor put another mark in the place of the true one.
  private func receiveHello(_ hello: Hello, from sender: Address) {
    guard sender != address else { return }
    let proves = hello.echo.value == cookie(for: sender)
    if neighbours.find(sender) == nil, proves {
      // One that receives at its address may take a stranger's place even in a full table.
      _ = insert(
        Neighbour(
          address: sender, configured: false, isStrata: true, isProven: true, pathLimit: pathLimit(for: sender)))
    }
    heard(sender, strata: true, introducing: false)
    guard let place = neighbours.find(sender) else {
      // No room: a stranger still gets its cookie, with which it may prove itself. One that did so and still found
      // none is left alone, or two full nodes would greet each other for ever.
      if hello.wantsReply, !proves, isFirstAnswer() {
        sendHello(to: sender, echo: hello.cookie.value, wantsReply: true, place: nil)
      }
      return
    }
    if proves {
      neighbours[place].cookie = hello.cookie.value
      neighbours[place].answered(at: now)
      if Hello.isShowable(hello.name) { neighbours[place].claimedName = hello.name }
      if !neighbours[place].isProven {
        neighbours[place].isProven = true
        announce(sender, .proven)
      }
    }
    if hello.wantsReply, isFirstAnswer() {
      neighbours[place].helloSent = now
      if !proves { neighbours[place].asked(at: now) }
      // The echo of a proven one may be missing because it was started again: its new mark needs proof anew.
      sendHello(to: sender, echo: hello.cookie.value, wantsReply: !proves, place: place)
    }
    if proves { flushWaiting(place) }
  }

  // MARK: Messages of the core

  func receiveCore(_ number: UInt32, _ body: RawSpan, from sender: Address, whole: Bool) throws(WireError) {
    if let port = ports.find(number) {
      ports.ports[port].counts.pointee.messagesIn &+= 1
      ports.ports[port].counts.pointee.bytesIn &+= Self.fieldBytes(number, body.byteCount)
    }
    var reader = WireReader(body)
    switch number {
    case CoreField.piece:
      // Pieces within pieces are nobody's honest doing.
      guard !whole else { throw .badValue }
      try receivePiece(&reader, from: sender)
    case CoreField.hello: receiveHello(try Hello(from: &reader), from: sender)
    case CoreField.probe: try receiveProbe(&reader, from: sender)
    case CoreField.probeReply: receiveProbeReply(try PathProbeReply(from: &reader), from: sender)
    default: unknownFields &+= 1
    }
  }
}
