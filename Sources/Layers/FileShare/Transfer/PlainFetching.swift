// PlainFetching: chunks from those who speak only the Peersters' messages, or are some hops away: one by one, by hash.
import Hashing
import PeersterVocabulary
import StackCore

/// The chunks asked for by their hashes.
struct PlainRequests: Sendable {
  struct Request: Sendable {
    var hash: Hash256
    var number: UInt32
    var holder: Int32
    var level: Int
    var chunk: Int
  }
  private(set) var requests: [Request] = []
  /// A root asked for while the file is being located, and then the file's last chunk, by whose length its size is
  /// known.
  var rootBytes: [UInt8]?

  /// The requests for a hash: chunks may be alike.
  func of(_ hash: Hash256) -> [Request] { requests.filter { $0.hash == hash } }
  mutating func add(_ request: Request) { requests.append(request) }
  mutating func forget(_ number: UInt32) { requests.removeAll { $0.number == number } }
}

extension FileShare {
  /// The bytes of a chunk for Peersters: they know no other.
  private static let plainChunk = TreeShape.usualChunkSize

  /// Asks for chunks by their hashes.
  func askPlainly(
    _ download: Download, _ place: Int, _ ranges: [UnitRange], _ context: borrowing LayerContext<FileShare>
  ) {
    guard let source = download.source else { return }
    let holder = download.holders[place]
    let unitsInChunk = source.shape.chunkSize >> Unit.shift
    for range in ranges {
      let chunks = range.lowerBound / unitsInChunk..<(range.upperBound + unitsInChunk - 1) / unitsInChunk
      for chunk in chunks {
        let all = chunk * unitsInChunk..<(chunk + 1) * unitsInChunk
        let units = all.clamped(to: 0..<Unit.count(download.scheduler.levelBytes))
        guard let bytes = try? source.hashes(level: download.level, chunk..<chunk + 1, root: download.root),
          let hash = Hash256(bytes)
        else { continue }
        let number = transfers.number(for: download, holder.id, context)
        download.plain.add(
          .init(hash: hash, number: number, holder: holder.id, level: download.level, chunk: chunk))
        noteAsked(
          download, place, number, [units], download.scheduler.byteCount(of: [units]), context)
        sendDataRequest(hash, download, place, context)
      }
    }
  }

  private func sendDataRequest(
    _ hash: Hash256, _ download: Download, _ place: Int, _ context: borrowing LayerContext<FileShare>
  ) {
    guard let name = download.holders[place].name else { return }
    // The way may be another by now.
    if let hop = routing?.route(to: name)?.nextHop { download.holders[place].address = hop }
    guard download.holders[place].address != context.address else { return }
    context.send(
      DataRequest(origin: me, destination: name, hopLimit: UInt32(config.hopLimit), hashValue: hash),
      as: PeersterField.dataRequest, to: download.holders[place].address)
  }

  /// Asks somebody who may be a Peerster for the root, or for the last chunk, of a file that is being located.
  func askPlainRoot(_ download: Download, _ place: Int, _ context: borrowing LayerContext<FileShare>) {
    if download.descriptor != nil {
      // What it holds can't be asked; it is tried with chunks.
      if download.holders[place].state != .banned {
        download.holders[place].state = .ready
        download.holders[place].silences = min(download.holders[place].silences, 2)
        askMore(download, place, context)
      }
      return
    }
    guard let root = download.plain.rootBytes, let last = Hash256(Array(root.suffix(32))) else {
      return sendDataRequest(download.root, download, place, context)
    }
    sendDataRequest(last, download, place, context)
  }

  /// A reply for us has come. Its bytes are checked by their hash, so it doesn't matter who brought it.
  func takeReply(_ reply: DataReply, from sender: Address, _ context: borrowing LayerContext<FileShare>) {
    guard !reply.data.isEmpty, reply.data.count <= TreeShape.chunkSizes.upperBound else { return }
    var isWanted = false
    for download in transfers.downloads where !download.state.isOver {
      if download.state == .locating {
        isWanted = locate(download, with: reply, context) || isWanted
        continue
      }
      for request in download.plain.of(reply.hashValue) {
        isWanted = true
        take(reply, request, of: download, context)
      }
    }
    if !isWanted { transfers.unasked.add() }
  }

  private func take(
    _ reply: DataReply, _ request: PlainRequests.Request, of download: Download,
    _ context: borrowing LayerContext<FileShare>
  ) {
    download.plain.forget(request.number)
    guard let place = download.place(of: request.holder),
      let (requestPlace, record) = download.holders[place].request(request.number), request.level == download.level
    else { return }
    let offset = Int64(request.chunk) * Int64(download.scheduler.chunkSize)
    guard reply.data.count == record.bytes, SHA256.hash(reply.data) == request.hash,
      let arrival = download.scheduler.arrived(offset, reply.data.span.bytes, from: request.holder)
    else {
      // Whoever stands between may have written it: it counts as lost, and is asked for again.
      transfers.wrong.add()
      if let record = download.holders[place].take(request.number) { giveUp([record], of: download, place) }
      return
    }
    took(arrival, reply.data.count, of: download, place, requestPlace, request.number, context)
  }

  /// Takes the root, then the last chunk, of a Peerster's file: together they say how large it is.
  private func locate(
    _ download: Download, with reply: DataReply, _ context: borrowing LayerContext<FileShare>
  ) -> Bool {
    if reply.hashValue == download.root, download.plain.rootBytes == nil {
      guard SHA256.hash(reply.data) == download.root, reply.data.count % 32 == 0 else { return true }
      download.plain.rootBytes = reply.data
      for place in download.holders.indices where download.holders[place].isPlain {
        askPlainRoot(download, place, context)
      }
      return true
    }
    guard let root = download.plain.rootBytes, Array(root.suffix(32)) == reply.hashValue.bytes,
      SHA256.hash(reply.data) == reply.hashValue
    else { return false }
    let whole = root.count / 32 - 1
    download.descriptor = FileDescriptor(
      name: String(download.root.hex.prefix(16)), size: Int64(whole * Self.plainChunk + reply.data.count),
      root: download.root)
    begin(download, context)
    return true
  }
}
