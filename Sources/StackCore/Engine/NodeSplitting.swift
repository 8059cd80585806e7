// NodeSplitting: messages too large for their path: sent as pieces, kept until they may leave, put together.

extension Node {
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
  func insertReceiver(_ destination: Address) -> Int? {
    insert(
      Neighbour(
        address: destination, configured: false, isStrata: !speaksPeerster, pathLimit: pathLimit(for: destination),
        isChosen: true))
  }

  func append(from offset: Int, to destination: Address, place: Int?, segmentSize: Int, mayFragment: Bool) {
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

  func flushWaiting(_ place: Int) {
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
  func retryWaiting() {
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

  func receivePiece(_ reader: inout WireReader, from sender: Address) throws(WireError) {
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

  func expirePieces() {
    let before = reassembler.expired
    reassembler.expire(at: now)
    drop(.reassemblyTimeout, reassembler.expired - before)
    if let next = reassembler.nextDeadline { arm(.reassembly, after: max(.milliseconds(1), next - now)) }
  }
}
