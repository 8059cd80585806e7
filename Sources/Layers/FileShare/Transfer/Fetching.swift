// Fetching: asks holders for ranges of chunks, takes what comes, has it checked and kept.
import PeersterVocabulary
import StackCore

extension FileShare {
  // MARK: Asking

  /// Asks all holders that have room for more.
  func pump(_ download: Download, _ context: borrowing LayerContext<FileShare>) {
    guard download.state == .fetching, !download.holders.isEmpty else { return }
    transfers.turn &+= 1
    let count = download.holders.count
    for step in 0..<count { askMore(download, (step + transfers.turn) % count, context) }
    armTransfers(context)
  }

  /// Asks one holder for as much as its window has room for.
  func askMore(_ download: Download, _ place: Int, _ context: borrowing LayerContext<FileShare>) {
    guard download.state == .fetching, let shape = download.source?.shape, download.holders[place].state == .ready,
      context.now >= download.holders[place].restsUntil
    else { return }
    limitWindow(download, place, context)
    let most = download.holders[place].isPlain ? shape.chunkSize : RangeRequest.mostUnits * Unit.bytes / 2
    let burst = download.holders[place].window.burst
    let before = download.holders[place].inFlight
    while download.holders[place].inFlight - before < burst {
      let quantum = download.holders[place].window.quantum(
        least: download.holders[place].isPlain ? most : 2 * Unit.bytes, most: most)
      let room = download.holders[place].room
      guard room >= quantum || download.holders[place].inFlight == 0 else { return }
      let allowed = min(download.cap.available(at: context.now), transfers.down.available(at: context.now))
      // Half a chunk saved up is enough; what is taken beyond it is waited for afterwards.
      guard allowed >= shape.chunkSize / 2 else { return }
      // A Peerster is asked for whole chunks only.
      let limit = (download.holders[place].isPlain ? most : max(Unit.bytes, min(quantum, allowed))) >> Unit.shift
      guard ask(download, place, limit: limit, context) else { return repeatRequests(download, place, context) }
    }
  }

  /// At the end of a level, over a path that loses much, asks again for what is under way without waiting for its loss:
  /// else each loss would cost another round trip with an empty path.
  private func repeatRequests(_ download: Download, _ place: Int, _ context: borrowing LayerContext<FileShare>) {
    let holder = download.holders[place]
    guard !holder.isPlain, holder.window.lossShare > 0.01, let roundTrip = holder.window.smoothedRoundTrip,
      context.now - holder.repeatedAt >= roundTrip / 3, holder.room > 0
    else { return }
    var room = min(holder.room, download.cap.available(at: context.now)) >> Unit.shift
    room = min(room, transfers.down.available(at: context.now) >> Unit.shift)
    let units = download.scheduler.underWay(from: holder.id, limit: min(room, RangeRequest.mostUnits / 2))
    // One request a range or two: one that is lost doesn't take all with it.
    for start in stride(from: 0, to: units.count, by: 2) {
      let ranges = Array(units[start..<min(units.count, start + 2)])
      let number = transfers.number(for: download, holder.id, context)
      send(ranges, number, download, to: holder.address, context)
      download.holders[place].askedAgain(number, level: download.level, ranges, at: context.now)
      let bytes = download.scheduler.byteCount(of: ranges)
      download.cap.take(bytes)
      transfers.down.take(bytes)
    }
  }

  private func send(
    _ ranges: [UnitRange], _ number: UInt32, _ download: Download, to address: Address,
    _ context: borrowing LayerContext<FileShare>
  ) {
    var request = RangeRequest(root: download.root, number: Fixed32(number), level: UInt32(download.level))
    for range in ranges { request.ranges += [UInt64(range.lowerBound), UInt64(range.count)] }
    context.send(request, as: TransferField.rangeRequest, to: address)
  }

  /// Where round trips are short, what is under way comes at once and must find room in our own buffer.
  private func limitWindow(_ download: Download, _ place: Int, _ context: borrowing LayerContext<FileShare>) {
    guard let base = download.holders[place].window.baseRoundTrip else { return }
    let ready = max(1, download.holders.count { $0.state == .ready })
    let isNear = base < .milliseconds(3)
    let ceiling = isNear ? Double(context.receiveBuffer) / Double(2 * ready) : 16_777_216.0
    download.holders[place].window.ceiling = max(ceiling, CongestionWindow.smallest * 2)
  }

  private func ask(
    _ download: Download, _ place: Int, limit: Int, _ context: borrowing LayerContext<FileShare>
  ) -> Bool {
    let holder = download.holders[place]
    let patience = max(.milliseconds(50), (holder.window.smoothedRoundTrip ?? .milliseconds(50)) * 3)
    let ranges = download.scheduler.ask(
      of: holder.id, holding: download.level == 0 ? holder.holding : nil, limit: limit, at: context.now,
      patience: patience, rarity: download.level == 0 ? download.rarity : nil,
      sparing: download.claimer.map { $0 == holder.id } ?? true ? nil : download.scheduler.chunkCount - 1)
    guard !ranges.isEmpty else { return false }
    if holder.isPlain {
      askPlainly(download, place, ranges, context)
      return true
    }
    let bytes = download.scheduler.byteCount(of: ranges)
    let number = transfers.number(for: download, holder.id, context)
    send(ranges, number, download, to: holder.address, context)
    noteAsked(download, place, number, ranges, bytes, context)
    return true
  }

  /// Notes a request that was sent.
  func noteAsked(
    _ download: Download, _ place: Int, _ number: UInt32, _ ranges: [UnitRange], _ bytes: Int,
    _ context: borrowing LayerContext<FileShare>
  ) {
    download.holders[place].asked(number, level: download.level, ranges, bytes: bytes, at: context.now)
    download.cap.take(bytes)
    transfers.down.take(bytes)
  }

  // MARK: What comes

  func heardPiece(
    _ reader: inout WireReader, from sender: Address, _ context: borrowing LayerContext<FileShare>
  ) throws(WireError) {
    guard try reader.nextTag() == WireTag(number: 1, type: .fixed32) else { throw .badValue }
    let number = try reader.readFixed32()
    guard try reader.nextTag() == WireTag(number: 2, type: .fixed64) else { throw .badValue }
    guard let offset = Int64(exactly: try reader.readFixed64()) else { throw .badValue }
    guard try reader.nextTag() == WireTag(number: 3, type: .bytes) else { throw .badValue }
    let data = try reader.readBytes()
    guard reader.isAtEnd, data.byteCount > 0 else { throw .badValue }
    guard let (download, id) = transfers.requests[number], let place = download.place(of: id),
      download.holders[place].address == sender, let request = download.holders[place].request(number),
      request.record.level == download.level
    else { return transfers.unasked.add() }
    guard let arrival = download.scheduler.arrived(offset, data, from: id) else { throw .badValue }
    took(arrival, data.byteCount, of: download, place, request.place, number, context)
  }

  /// Accounts for what has come, and goes on.
  func took(
    _ arrival: ChunkScheduler.Arrival, _ byteCount: Int, of download: Download, _ place: Int, _ requestPlace: Int,
    _ number: UInt32, _ context: borrowing LayerContext<FileShare>
  ) {
    let extra = byteCount - arrival.newBytes
    if extra > 0 {
      transfers.wasted.add(UInt64(extra))
      download.wasted += Int64(extra)
    }
    transfers.bytesIn.add(UInt64(arrival.newBytes))
    download.rate.add(arrival.newBytes)
    download.holders[place].rate.add(arrival.newBytes)
    if download.holders[place].arrived(requestPlace, bytes: arrival.newBytes, at: context.now) {
      transfers.requests[number] = nil
    }
    let lost = download.holders[place].takeLost(at: context.now)
    if !lost.isEmpty { giveUp(lost, of: download, place) }
    check(download, arrival.wholeRuns, context)
    askMore(download, place, context)
  }

  /// Requests have been lost: what they still lack is asked for again.
  func giveUp(_ records: [RangeRecord], of download: Download, _ place: Int) {
    for record in records {
      transfers.requests[record.number] = nil
      transfers.lost.add(UInt64(record.left))
      download.plain.forget(record.number)
      guard record.level == download.level, !record.isRepeated else { continue }
      for range in record.ranges { _ = download.scheduler.lost(range, by: download.holders[place].id) }
    }
  }

  /// A holder hasn't answered for long.
  func fellSilent(_ download: Download, _ place: Int, _ context: borrowing LayerContext<FileShare>) {
    // Little was under way: what ended it is most likely the end of a level, and chance.
    let isTail = Double(download.holders[place].inFlight) < download.holders[place].window.window / 2
    let records = download.holders[place].takeAll(at: context.now)
    giveUp(records, of: download, place)
    if !isTail || download.holders[place].silences > 0 { download.holders[place].window.timedOut(at: context.now) }
    download.holders[place].silences += 1
    guard download.holders[place].silences >= 3 else { return }
    stalled(download, place, context)
  }

  /// A holder brings nothing of what it says it has: what it was asked for is asked of others.
  private func stalled(_ download: Download, _ place: Int, _ context: borrowing LayerContext<FileShare>) {
    download.scheduler.release(download.holders[place].id)
    download.holders[place].stall(at: context.now)
    if download.claimer == download.holders[place].id { doubtClaim(of: download, context) }
  }

  func heardRefusal(
    _ refusal: RangeRefusal, from sender: Address, _ context: borrowing LayerContext<FileShare>
  ) {
    let number = refusal.number.value
    guard let (download, id) = transfers.requests[number], let place = download.place(of: id),
      download.holders[place].address == sender, let record = download.holders[place].take(number)
    else { return transfers.unasked.add() }
    giveUp([record], of: download, place)
    download.holders[place].refusals += 1
    switch RangeRefusal.Reason(rawValue: refusal.reason) {
    case .unproven:
      context.introduce(to: sender)
      download.holders[place].restsUntil = context.now + .milliseconds(50)
    case .busy:
      download.holders[place].window.timedOut(at: context.now)
      download.holders[place].restsUntil = context.now + .milliseconds(100)
    case .absent, nil:
      // One that fetches the file itself may have more soon.
      download.scheduler.release(id)
      download.holders[place].state = .away
      download.holders[place].askAgainAt = context.now + .milliseconds(500)
      if download.claimer == id { stalled(download, place, context) }
    }
    // One that claims a size is not waited for without end.
    if download.claimer == id, let place = download.place(of: id), download.holders[place].refusals >= Self.mostRefusals
    {
      stalled(download, place, context)
    }
    armTransfers(context)
  }

  private static let mostRefusals = 100

  // MARK: Checking and keeping

  /// What came of checking a run.
  private struct Checked: Sendable {
    var root: Hash256
    var era: UInt64
    var level: Int
    var chunks: Range<Int>
    var owners: [Int32]
    var good: [Bool] = []
    var bytes: PageBuffer
    var failure: FileError?
  }

  /// Has whole runs checked and written, elsewhere; those that a piece made whole together, by one job.
  func check(_ download: Download, _ firsts: [Int], _ context: borrowing LayerContext<FileShare>) {
    guard let source = download.source else { return }
    let orders = firsts.compactMap { first -> Checked? in
      guard let (bytes, owners) = download.scheduler.takeRun(first) else { return nil }
      return Checked(
        root: download.root, era: download.era, level: download.level, chunks: first..<first + owners.count,
        owners: owners, bytes: bytes)
    }
    guard !orders.isEmpty else { return }
    let work: @Sendable () -> [Checked] = {
      var results = orders
      for place in results.indices {
        let order = results[place]
        do throws(FileError) {
          results[place].good = try source.keep(level: order.level, order.chunks, order.bytes, root: order.root)
        } catch { results[place].failure = error }
      }
      return results
    }
    if !context.offload(work, then: FileShare.checked) { checked(work(), context) }
  }

  private func checked(_ results: [Checked], _ context: borrowing LayerContext<FileShare>) {
    guard let first = results.first, let download = transfers.download(first.root) else { return }
    for result in results {
      guard download.era == result.era, download.level == result.level else { return }
      download.scheduler.settle(result.chunks, good: result.good, buffer: result.bytes)
      if let failure = result.failure { return fail(download, failure.message, context) }
      account(result, download, context)
    }
    guard download.state == .fetching else { return }
    if download.level == 0 { serveReads(of: download, context) }
    if download.scheduler.isWhole {
      if download.level == 0 { return finish(download, context) }
      descend(download, context)
    }
    syncIfDue(download, context)
    pump(download, context)
  }

  /// Credits who brought right chunks, and bans who brought wrong ones.
  private func account(_ result: Checked, _ download: Download, _ context: borrowing LayerContext<FileShare>) {
    let cells = DownloadProgress.cells
    for (slot, isGood) in result.good.enumerated() {
      let chunk = result.chunks.lowerBound + slot
      let size = download.scheduler.byteCount(chunk)
      guard let place = download.place(of: result.owners[slot]) else { continue }
      guard isGood else {
        transfers.wrong.add()
        transfers.wasted.add(UInt64(size))
        download.wasted += Int64(size)
        ban(download, place, level: result.level, chunk: chunk, context)
        continue
      }
      // Only what is right counts: who brings bits of noise brings nothing.
      download.holders[place].stalls = 0
      keepBook(of: download, withHolder: place, context)
      came(to: download, context)
      if result.level == 0 {
        download.unsynced += Int64(size)
        download.holders[place].bytes += Int64(size)
        download.holders[place].cells[min(cells - 1, chunk * cells / max(1, download.scheduler.chunkCount))] += 1
      }
    }
  }

  private func ban(
    _ download: Download, _ place: Int, level: Int, chunk: Int, _ context: borrowing LayerContext<FileShare>
  ) {
    guard download.holders[place].state != .banned else { return }
    download.holders[place].state = .banned
    giveUp(download.holders[place].takeAll(at: context.now), of: download, place)
    download.scheduler.release(download.holders[place].id)
    let holder = download.holders[place]
    transfers.bans.note(holder, of: download.root)
    context.publish(
      HolderBanned(root: download.root, address: holder.address, name: holder.name, level: level, chunk: chunk),
      on: HolderBanned.port)
    context.log(.notice, "\(holder.address) sent a wrong chunk of \(download.root) and is asked no more for it")
    if download.claimer == holder.id { doubtClaim(of: download, context) }
  }

  /// A level of hashes is whole: on to the one below.
  private func descend(_ download: Download, _ context: borrowing LayerContext<FileShare>) {
    for place in download.holders.indices {
      giveUp(download.holders[place].takeAll(at: context.now), of: download, place)
    }
    repeat { download.descend(to: download.level - 1) } while download.level > 0 && download.scheduler.isWhole
    hasten(download)
    if download.level == 0, download.scheduler.isWhole { finish(download, context) }
  }
}
