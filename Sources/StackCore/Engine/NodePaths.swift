// NodePaths: how the node reaches its neighbours: introductions, splitting, putting together, path probes.

extension Node {
  /// The core's own timers.
  private enum CoreTimer: Int32 {
    case reassembly, waiting, probes
  }

  private func arm(_ timer: CoreTimer, after delay: Duration) {
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

  private func insert(_ newcomer: Neighbour) -> Int? {
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

  private func announce(_ address: Address, _ change: NeighbourChange.Change) {
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
    }
  }

  /// How long an introduction may be unanswered before a neighbour that we hear from gets another, and how often.
  private static let reintroduction = Duration.seconds(5)
  private static let mostReintroductions = 8

  /// What a path is taken to carry before anything is known of it.
  private func pathLimit(for address: Address) -> Int {
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
  private func introduce(_ place: Int) {
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

  private func sendCore<M: WireMessage>(_ message: M, as number: UInt32, to address: Address, place: Int?) {
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
  private func isFirstAnswer() -> Bool {
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

  // MARK: Splitting

  /// Takes the packet that was just written to the outbox, and queues it the way its path allows.
  func enqueue(from offset: Int, to destination: Address, place: Int?, isStrata: Bool) {
    let size = outbox.writer.count - offset
    let limit = place.map { neighbours[$0].pathLimit } ?? pathLimit(for: destination)
    if size <= limit {
      return append(from: offset, to: destination, place: place, segmentSize: 0, mayFragment: false)
    }
    guard isStrata else {
      // Others can't put pieces together; their datagram goes whole, cut by the network if it must be.
      if size <= NodeLimits.largestDatagram {
        return append(from: offset, to: destination, place: place, segmentSize: 0, mayFragment: true)
      }
      outbox.writer.truncate(to: offset)
      return drop(.tooLarge)
    }
    guard size <= Reassembler.largestMessage else {
      outbox.writer.truncate(to: offset)
      return drop(.tooLarge)
    }
    scratch.truncate(to: 0)
    scratch.writeRaw(UnsafeRawBufferPointer(start: outbox.writer.base + offset, count: size))
    outbox.writer.truncate(to: offset)
    guard let known = place ?? insertReceiver(destination) else { return }
    if neighbours[known].cookie == nil { return wait(known) }
    split(to: known)
  }

  /// Whom we send a large message becomes a neighbour, since it has to introduce itself.
  private func insertReceiver(_ destination: Address) -> Int? {
    insert(
      Neighbour(
        address: destination, configured: false, isStrata: !speaksPeerster, pathLimit: pathLimit(for: destination),
        isChosen: true))
  }

  private func append(from offset: Int, to destination: Address, place: Int?, segmentSize: Int, mayFragment: Bool) {
    let size = outbox.writer.count - offset
    outbox.entries.append(
      OutgoingDatagrams(
        destination: destination, offset: offset, byteCount: size, segmentSize: segmentSize, mayFragment: mayFragment))
    if let place {
      neighbours[place].datagramsOut &+= segmentSize == 0 ? 1 : UInt64((size + segmentSize - 1) / segmentSize)
      neighbours[place].bytesOut &+= UInt64(size)
    }
  }

  /// Queues the packet in `scratch` as pieces of equal size, side by side, so that they can leave in one system call.
  private func split(to place: Int) {
    guard let cookie = neighbours[place].cookie else { return }
    let start = packetStart
    let total = scratch.count
    let pieceSize = neighbours[place].pathLimit - Piece.overhead
    let message = drawNumber()
    var index = 0
    var segment = 0
    while index * pieceSize < total {
      let offset = index * pieceSize
      let size = min(pieceSize, total - offset)
      writePiece(
        cookie, message, total, pieceSize, index, UnsafeRawBufferPointer(start: scratch.base + offset, count: size))
      if index == 0 { segment = outbox.writer.count - start }
      index += 1
    }
    if outbox.writer.overflowed {
      outbox.writer.truncate(to: start)
      return drop(.outboxFull)
    }
    if let port = ports.find(CoreField.piece) {
      ports.ports[port].counts.pointee.messagesOut &+= UInt64(index)
      ports.ports[port].counts.pointee.bytesOut &+= UInt64(outbox.writer.count - start)
    }
    append(
      from: start, to: neighbours[place].address, place: place, segmentSize: index > 1 ? segment : 0,
      mayFragment: false)
    probeIfUseful(place)
  }

  private func writePiece(
    _ cookie: UInt64, _ message: UInt64, _ total: Int, _ pieceSize: Int, _ index: Int, _ data: UnsafeRawBufferPointer
  ) {
    outbox.writer.writeTag(CoreField.piece, .bytes)
    let nested = outbox.writer.beginNested()
    outbox.writer.writeTag(1, .fixed64)
    outbox.writer.writeFixed64(cookie)
    outbox.writer.writeTag(2, .fixed64)
    outbox.writer.writeFixed64(message)
    outbox.writer.writeTag(3, .fixed32)
    outbox.writer.writeFixed32(UInt32(total))
    outbox.writer.writeTag(4, .fixed32)
    outbox.writer.writeFixed32(UInt32(pieceSize))
    outbox.writer.writeTag(5, .fixed32)
    outbox.writer.writeFixed32(UInt32(index))
    outbox.writer.writeTag(6, .bytes)
    outbox.writer.writeVarint(UInt64(data.count))
    outbox.writer.writeRaw(data)
    outbox.writer.endNested(nested)
  }

  /// Keeps the packet in `scratch` until its receiver has introduced itself.
  private func wait(_ place: Int) {
    var waiting = neighbours[place].waiting ?? WaitingMessages()
    guard waiting.bytes + scratch.count <= 512 << 10, totalWaiting + scratch.count <= 4 << 20 else {
      return drop(.unproven)
    }
    waiting.packets.append(scratch.copied())
    waiting.bytes += scratch.count
    totalWaiting += scratch.count
    neighbours[place].waiting = waiting
    introduce(place)
    arm(.waiting, after: .milliseconds(500))
  }

  private func flushWaiting(_ place: Int) {
    guard neighbours[place].cookie != nil, let waiting = neighbours[place].waiting else { return }
    neighbours[place].waiting = nil
    totalWaiting -= waiting.bytes
    for packet in waiting.packets {
      scratch.truncate(to: 0)
      scratch.writeRaw(packet.span.bytes)
      split(to: place)
    }
  }

  /// Gives up messages whose receiver never introduced itself. Where it may be a Peerster, which only somebody else
  /// said to be Strata, their own messages go whole after all, as to any Peerster.
  private func giveUp(_ waiting: WaitingMessages, to place: Int) {
    let maybePeerster = speaksPeerster && !neighbours[place].isProven
    if maybePeerster { neighbours[place].isStrata = false }
    for packet in waiting.packets {
      var reader = WireReader(packet.span.bytes)
      let number = (try? reader.nextTag())?.number ?? .max
      guard maybePeerster, number < 32, packet.count <= NodeLimits.largestDatagram else {
        drop(.unproven)
        continue
      }
      let start = packetStart
      outbox.writer.writeRaw(packet.span.bytes)
      if outbox.writer.overflowed {
        outbox.writer.truncate(to: start)
        drop(.outboxFull)
      } else {
        append(from: start, to: neighbours[place].address, place: place, segmentSize: 0, mayFragment: true)
      }
    }
  }

  /// Asks again those who have not introduced themselves; after four times their messages are given up.
  private func retryWaiting() {
    totalWaiting = 0
    var again = false
    for place in 0..<neighbours.count {
      guard var waiting = neighbours[place].waiting else { continue }
      waiting.tries += 1
      if waiting.tries >= 4 {
        neighbours[place].waiting = nil
        giveUp(waiting, to: place)
        continue
      }
      neighbours[place].waiting = waiting
      totalWaiting += waiting.bytes
      again = true
      introduce(place)
    }
    if again { arm(.waiting, after: .milliseconds(500)) }
  }

  // MARK: Putting together

  private func receivePiece(_ reader: inout WireReader, from sender: Address) throws(WireError) {
    var fixed: [6 of UInt64] = [0, 0, 0, 0, 0, 0]
    while let tag = try reader.nextTag() {
      switch (tag.number, tag.type) {
      case (1, .fixed64), (2, .fixed64): fixed[Int(tag.number)] = try reader.readFixed64()
      case (3, .fixed32), (4, .fixed32), (5, .fixed32): fixed[Int(tag.number)] = UInt64(try reader.readFixed32())
      case (6, .bytes):
        let data = try reader.readBytes()
        // The data comes last; a piece that repeats it is handled once for each, and the second is a duplicate.
        try take(fixed, data, from: sender)
      default: try reader.skip(tag)
      }
    }
  }

  private func take(_ fixed: [6 of UInt64], _ data: RawSpan, from sender: Address) throws(WireError) {
    guard fixed[1] == cookie(for: sender) else {
      drop(.badCookie)
      // A node that was started again has new cookies, and may know nobody: tell whoever shows an old one.
      heard(sender, strata: true, introducing: false)
      if let place = neighbours.find(sender) { introduce(place) }
      return
    }
    heard(sender, strata: true)
    if let place = neighbours.find(sender), !neighbours[place].isProven {
      neighbours[place].isProven = true
      announce(sender, .proven)
    }
    let before = reassembler.pushedOut
    let outcome = reassembler.add(
      from: sender, message: fixed[2], total: Int(fixed[3]), pieceSize: Int(fixed[4]), index: Int(fixed[5]),
      data: data, at: now)
    drop(.reassemblyFull, reassembler.pushedOut - before)
    switch outcome {
    case .kept: arm(.reassembly, after: reassembler.timeout)
    case .duplicate: break
    case .malformed: throw .badValue
    case .whole(let slot):
      let bytes = reassembler.bytes(of: slot)
      // The slot's buffer stays as it is until it is released, after this call.
      let failure = dispatchWhole(bytes, from: sender)
      reassembler.release(slot)
      if let failure { throw failure }
    }
  }

  private func dispatchWhole(_ bytes: UnsafeRawBufferPointer, from sender: Address) -> WireError? {
    let packet = RawSpan(_unsafeBytes: bytes)
    do throws(WireError) {
      try dispatch(packet, from: sender, whole: true)
      return nil
    } catch { return error }
  }

  private func expirePieces() {
    let before = reassembler.expired
    reassembler.expire(at: now)
    drop(.reassemblyTimeout, reassembler.expired - before)
    if let next = reassembler.nextDeadline { arm(.reassembly, after: max(.milliseconds(1), next - now)) }
  }

  // MARK: Path probes

  /// A path that has to carry split messages is worth knowing better.
  private func probeIfUseful(_ place: Int) {
    guard limits.pathLimit == nil, neighbours[place].probe == nil else { return }
    neighbours[place].probe = PathProbe()
    sendProbe(place)
  }

  private func sendProbe(_ place: Int) {
    guard var probe = neighbours[place].probe, !probe.isDone else { return }
    probe.tries += 1
    probe.nonce = drawNumber()
    neighbours[place].probe = probe
    // 2 bytes of tag, up to 3 of length, 9 of nonce, 1 of tag, up to 3 of length.
    let padding = PathProbe.candidates[probe.candidate] - 17
    let message = PathProbeMessage(nonce: Fixed64(probe.nonce), padding: [UInt8](repeating: 0, count: padding))
    sendCore(message, as: CoreField.probe, to: neighbours[place].address, place: place)
    arm(.probes, after: .seconds(1))
  }

  private func receiveProbe(_ reader: inout WireReader, from sender: Address) throws(WireError) {
    var nonce: UInt64 = 0
    while let tag = try reader.nextTag() {
      if tag == WireTag(number: 1, type: .fixed64) { nonce = try reader.readFixed64() } else { try reader.skip(tag) }
    }
    heard(sender, strata: true)
    guard isFirstAnswer() else { return }
    sendCore(
      PathProbeReply(nonce: Fixed64(nonce)), as: CoreField.probeReply, to: sender, place: neighbours.find(sender))
  }

  private func receiveProbeReply(_ reply: PathProbeReply, from sender: Address) {
    guard let place = neighbours.find(sender), var probe = neighbours[place].probe, !probe.isDone,
      probe.nonce == reply.nonce.value, probe.nonce != 0
    else { return }
    neighbours[place].pathLimit = max(neighbours[place].pathLimit, PathProbe.candidates[probe.candidate] - 8)
    probe = PathProbe(candidate: probe.candidate + 1)
    neighbours[place].probe = probe
    sendProbe(place)
  }

  private func retryProbes() {
    for place in 0..<neighbours.count {
      guard var probe = neighbours[place].probe, !probe.isDone, probe.nonce != 0 else { continue }
      if probe.tries >= 3 {
        // Three of a size lost: the path ends there.
        probe.candidate = PathProbe.candidates.count
        neighbours[place].probe = probe
      } else {
        sendProbe(place)
      }
    }
  }

  /// The network refused a datagram for its size: back to what every path carries.
  public func pathTooLarge(_ destination: Address) {
    guard let place = neighbours.find(destination) else { return }
    neighbours[place].pathLimit = min(neighbours[place].pathLimit, NodeLimits.safePathLimit)
  }
}
