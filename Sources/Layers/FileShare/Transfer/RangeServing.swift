// RangeServing: answers who asks what is held, and sends ranges of chunks as fast as the outbox takes them.
import PeersterVocabulary
import StackCore

extension FileShare {
  /// What pieces of a file can be read from: the shared file, or one being fetched with what is there of a level; nil
  /// where that is all of it.
  func pieceSource(
    _ root: Hash256, level: Int = 0, _ context: borrowing LayerContext<FileShare>
  ) -> (source: any PieceSource, name: String, held: ChunkMap?)? {
    if let download = transfers.download(root), download.state == .fetching, let source = download.source {
      // The levels above are whole; of those below nothing is there yet but holes.
      if level > download.level { return (source, download.name, nil) }
      return (source, download.name, level == download.level ? download.scheduler.held : ChunkMap(count: 0))
    }
    return librarySource(root, context).map { ($0.source, $0.name, nil) }
  }

  func askedForHoldings(
    _ request: HoldingsRequest, from asker: Address, _ context: borrowing LayerContext<FileShare>
  ) {
    guard taken.take(asker, at: context.now) else { return counts.refused.add() }
    var answer = Holdings(root: request.root, number: request.number)
    let isProven = context.neighbour(asker)?.isProven ?? false
    if !isProven { context.introduce(to: asker) }
    if let (source, name, held) = pieceSource(request.root, context) {
      answer.size = UInt64(source.shape.size)
      answer.chunkSize = UInt32(source.shape.chunkSize)
      answer.isWhole = held?.isWhole ?? true
      // To whom hasn't shown that it receives at its address, no more is sent than it sent itself.
      if isProven {
        if let held, !answer.isWhole { answer.lengths = held.lengths(limit: Holdings.mostLengths / 2) }
        answer.name = name
      }
    }
    context.send(answer, as: TransferField.holdings, to: asker)
  }

  func askedForRanges(_ request: RangeRequest, from asker: Address, _ context: borrowing LayerContext<FileShare>) {
    func refuse(_ reason: RangeRefusal.Reason) {
      transfers.refused.add()
      context.send(
        RangeRefusal(number: request.number, reason: reason.rawValue), as: TransferField.rangeRefusal, to: asker)
    }
    guard context.neighbour(asker)?.isProven ?? false else {
      context.introduce(to: asker)
      return refuse(.unproven)
    }
    guard let (source, _, held) = pieceSource(request.root, level: Int(request.level), context),
      let ranges = Self.ranges(of: request, source.shape, held)
    else { return refuse(.absent) }
    context.probePath(to: asker)
    let served = ServedRequest(
      number: request.number.value, root: request.root, level: Int(request.level), source: source, ranges: ranges)
    guard transfers.server.add(served, for: asker) else { return refuse(.busy) }
    serve(context)
  }

  /// The ranges that a request names; nil when not all of them are here.
  private static func ranges(of request: RangeRequest, _ shape: TreeShape, _ held: ChunkMap?) -> [UnitRange]? {
    let level = Int(request.level)
    guard level <= shape.height else { return nil }
    let levelBytes = level == 0 ? shape.size : Int64(shape.pieceCounts[level - 1]) * 32
    let units = Unit.count(levelBytes)
    let unitsInChunk = shape.chunkSize >> Unit.shift
    var ranges: [UnitRange] = []
    for pair in stride(from: 0, to: request.ranges.count, by: 2) {
      let start = Int(request.ranges[pair])
      let end = start + Int(request.ranges[pair + 1])
      guard end <= units else { return nil }
      if let held {
        let chunks = start / unitsInChunk...(end - 1) / unitsInChunk
        guard chunks.allSatisfy({ held[$0] }) else { return nil }
      }
      ranges.append(start..<end)
    }
    return ranges
  }

  /// How many bytes may wait in the outbox while files are sent, so that other layers' messages don't wait long.
  private static let mostOutgoing = 512 << 10
  /// How many units are read from a file at a time.
  private static let unitsAtATime = 256

  /// Sends what waits, as far as the outbox and the limit let it.
  func serve(_ context: borrowing LayerContext<FileShare>) {
    guard !transfers.server.isEmpty else { return }
    while context.outgoingBytes < Self.mostOutgoing {
      let allowed = transfers.server.bucket.available(at: context.now)
      guard allowed >= 8_192 else {
        let wait = transfers.server.bucket.wait(for: 16_384, at: context.now)
        return context.arm(.upload, after: max(.milliseconds(1), wait))
      }
      guard let (asker, request, units) = transfers.server.take(min(Self.unitsAtATime, allowed >> Unit.shift)) else {
        return
      }
      send(units, of: request, to: asker, context)
    }
    context.callWhenDrained()
  }

  private func send(
    _ units: UnitRange, of request: ServedRequest, to asker: Address, _ context: borrowing LayerContext<FileShare>
  ) {
    let shape = request.source.shape
    let levelBytes = request.level == 0 ? shape.size : Int64(shape.pieceCounts[request.level - 1]) * 32
    let start = Int64(units.lowerBound) << Unit.shift
    let count = Int(min(Int64(units.upperBound) << Unit.shift, levelBytes) - start)
    if transfers.server.staging.isEmpty {
      transfers.server.staging = [UInt8](repeating: 0, count: Self.unitsAtATime << Unit.shift)
    }
    transfers.server.bucket.take(count)
    let isRead: Bool? = transfers.server.staging.withUnsafeMutableBytes { staging in
      let buffer = UnsafeMutableRawBufferPointer(rebasing: staging[..<count])
      let isRead =
        request.level == 0
        ? request.source.readNow(at: start, into: buffer)
        : request.source.read(level: request.level, at: start, into: buffer)
      if isRead == true { send(UnsafeRawBufferPointer(buffer), from: start, of: request.number, to: asker, context) }
      return isRead
    }
    switch isRead {
    case true: break
    case false: cannotRead(request.number, asker, context)
    default: readElsewhere(start, count, of: request, for: asker, context)
    }
  }

  /// Has a stretch read by a job, since the disk has to be waited for; its asker's turn comes again after it.
  private func readElsewhere(
    _ start: Int64, _ count: Int, of request: ServedRequest, for asker: Address,
    _ context: borrowing LayerContext<FileShare>
  ) {
    let (source, number) = (request.source, request.number)
    let work: @Sendable () -> [UInt8]? = {
      var isRead = false
      let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        isRead = source.read(level: 0, at: start, into: UnsafeMutableRawBufferPointer(buffer))
        filled = isRead ? count : 0
      }
      return isRead ? bytes : nil
    }
    let then: (FileShare) -> ([UInt8]?, borrowing LayerContext<FileShare>) -> Void = { layer in
      { bytes, context in
        layer.transfers.server.hasRead(for: asker)
        if let bytes {
          bytes.withUnsafeBytes { layer.send($0, from: start, of: number, to: asker, context) }
        } else {
          layer.cannotRead(number, asker, context)
        }
        layer.serve(context)
      }
    }
    transfers.server.reads(for: asker)
    if context.offload(work, then: then) { return }
    transfers.server.hasRead(for: asker)
    // Too much else is being done to wait for a disk: as if it had been lost on the way.
    transfers.refused.add()
  }

  private func send(
    _ bytes: UnsafeRawBufferPointer, from start: Int64, of number: UInt32, to asker: Address,
    _ context: borrowing LayerContext<FileShare>
  ) {
    let size = pieceSize(to: asker, context)
    var sent = 0
    while sent < bytes.count {
      let piece = UnsafeRawBufferPointer(rebasing: bytes[sent..<min(sent + size, bytes.count)])
      let offset = start + Int64(sent)
      context.send(as: TransferField.filePiece, to: asker, expecting: piece.count + FilePiece.overhead) { writer in
        FilePiece.write(number, offset, piece, &writer)
      }
      sent += size
    }
    transfers.bytesOut.add(UInt64(bytes.count))
  }

  private func cannotRead(_ number: UInt32, _ asker: Address, _ context: borrowing LayerContext<FileShare>) {
    transfers.refused.add()
    context.send(
      RangeRefusal(number: Fixed32(number), reason: RangeRefusal.Reason.absent.rawValue),
      as: TransferField.rangeRefusal, to: asker)
  }

  /// How many bytes of a file go into a datagram: whole units, as many as the path takes, at least one.
  private func pieceSize(to asker: Address, _ context: borrowing LayerContext<FileShare>) -> Int {
    let units = (context.pathLimit(to: asker) - FilePiece.overhead) >> Unit.shift
    return min(max(1, units), Self.mostUnitsInPiece) << Unit.shift
  }

  private static let mostUnitsInPiece = 56
}
