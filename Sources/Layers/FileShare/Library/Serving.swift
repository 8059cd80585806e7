// Serving: requests for pieces by their hashes, as Peersters make them, answered or passed on.
import PeersterVocabulary
import StackCore

/// What has been sent to addresses of which nothing shows that they receive what we send.
struct AnswerAllowances {
  /// Bytes answered, by address; only looked up.
  private var answered: [Address: UInt64] = [:]
  /// Addresses that sent back a hash which only they were sent, and hashes of which that is awaited.
  private(set) var proven: Set<Address> = []
  private var challenges: [(address: Address, hash: Hash256)] = []
  /// How many addresses are remembered; when there are more, nothing goes to further ones until all is forgotten.
  static let limit = 1_024
  static let mostChallenges = 64
  /// What an IPv4 and a UDP header take.
  static let headers = 28

  /// What is known of an address.
  struct Standing {
    /// Whether it has shown that it receives there, or the person who runs the node has named it.
    var isTrusted: Bool
    /// The bytes that came from there, with headers.
    var heard: UInt64
  }

  /// Whether an answer may go to a neighbour: nobody shall have us send a third party, whose address it writes on its
  /// datagrams, over three times what it sent itself. Where it may, it is counted.
  mutating func spend(_ bytes: Int, on standing: Standing?, _ address: Address) -> Bool {
    if address.isLoopback || proven.contains(address) { return true }
    guard let standing else { return false }
    if standing.isTrusted { return true }
    let sent = answered[address] ?? 0
    guard sent > 0 || answered.count < Self.limit else { return false }
    guard sent + UInt64(bytes + Self.headers) <= 3 * standing.heard else { return false }
    answered[address] = sent + UInt64(bytes + Self.headers)
    return true
  }

  /// Notes that an address was sent a hash that nobody can guess.
  mutating func challenge(_ address: Address, _ hash: Hash256) {
    if challenges.count >= Self.mostChallenges { challenges.removeFirst() }
    challenges.append((address, hash))
  }

  /// Whether an address was sent a challenge that is still open.
  func isChallenged(_ address: Address) -> Bool { challenges.contains { $0.address == address } }

  /// An address has sent a hash back; answers whether it is one of a challenge.
  mutating func answer(_ address: Address, _ hash: Hash256) -> Bool {
    guard let place = challenges.firstIndex(where: { $0.address == address && $0.hash == hash }) else { return false }
    challenges.remove(at: place)
    if proven.count < Self.limit { proven.insert(address) }
    return true
  }

  /// A neighbour is gone.
  mutating func forget(_ address: Address) {
    proven.remove(address)
    challenges.removeAll { $0.address == address }
    // What was sent to it is kept as long as there is room: else it would only have to come anew.
    if answered.count >= Self.limit { answered[address] = nil }
  }
}

extension FileShare {
  /// How many requests may wait for the disk.
  static let mostServing = 256
  static let mostOpen = 64

  func standing(
    _ address: Address, _ context: borrowing LayerContext<FileShare>
  ) -> AnswerAllowances.Standing? {
    context.neighbour(address).map {
      .init(
        isTrusted: $0.isProven || $0.configured,
        heard: $0.bytesIn + $0.datagramsIn * UInt64(AnswerAllowances.headers))
    }
  }

  // MARK: Requests

  func heardRequest(_ request: DataRequest, from peer: Address, _ context: borrowing LayerContext<FileShare>) {
    guard taken.take(peer, at: context.now) else { return counts.refused.add() }
    if request.destination == me { return serve(request, from: peer, context) }
    guard let (next, limit) = onward(request.destination, request.hopLimit, from: peer) else { return }
    var onward = request
    onward.hopLimit = limit
    context.send(onward, as: PeersterField.dataRequest, to: next)
    counts.forwarded.add()
  }

  func heardReply(_ reply: DataReply, from peer: Address, _ context: borrowing LayerContext<FileShare>) {
    guard taken.take(peer, at: context.now) else { return counts.refused.add() }
    if reply.destination == me {
      if !allowances.answer(peer, reply.hashValue) { takeReply(reply, from: peer, context) }
      return
    }
    guard let (next, limit) = onward(reply.destination, reply.hopLimit, from: peer) else { return }
    guard
      allowances.spend(
        reply.data.count + Self.around(reply.origin, reply.destination), on: standing(next, context), next)
    else {
      return counts.withheld.add()
    }
    var onward = reply
    onward.hopLimit = limit
    context.send(onward, as: PeersterField.dataReply, to: next)
    counts.forwarded.add()
  }

  /// Where a message goes on to, and with which hop limit; nil when its way ends here. It never goes back to where it
  /// came from, and a limit above 32 counts as 32.
  private func onward(_ destination: WireText, _ hopLimit: UInt32, from peer: Address) -> (Address, UInt32)? {
    let limit = min(hopLimit, 32)
    guard limit > 1, let next = routing?.route(to: destination)?.nextHop, next != peer else {
      counts.dropped.add()
      return nil
    }
    return (next, limit - 1)
  }

  // MARK: Answers

  /// The most bytes that a message has beside its data.
  static func around(_ origin: WireText, _ destination: WireText) -> Int {
    64 + origin.bytes.count + destination.bytes.count
  }

  /// Finds what has a hash, reads it in a job, and sends it.
  private func serve(_ request: DataRequest, from peer: Address, _ context: borrowing LayerContext<FileShare>) {
    counts.requests.add()
    let candidates = locate(request.hashValue)
    guard !candidates.isEmpty else { return reply(request, [], via: peer, context) }
    // Asked before anything is read: whoever can't be answered shall cost no disk either.
    let way = wayBack(to: request.origin, via: peer)
    let largest = candidates.map(\.bytes).max() ?? 0
    guard allowances.spend(largest + Self.around(me, request.origin), on: standing(way, context), way) else {
      counts.withheld.add()
      return challenge(way, request.origin, context)
    }
    guard library.serving < Self.mostServing else { return counts.refused.add() }
    let tasks = candidates.compactMap { candidate in
      reference(candidate.place, context).map { reference in
        ServingTask(
          number: candidate.number, piece: candidate.piece, reference: reference,
          source: library.open.first { $0.number == candidate.number }?.source)
      }
    }
    let own = context.files
    let hasStarted = context.offload {
      ServingTask.run(tasks, own)
    } then: { layer in
      { served, context in layer.served(request, via: peer, served, context) }
    }
    if hasStarted { library.serving += 1 } else { counts.refused.add() }
  }

  /// Where a hash may stand.
  private func locate(_ hash: Hash256) -> [(place: Int32, number: UInt32, piece: TreePiece, bytes: Int)] {
    (library.pieces.find(hash) + library.recent.find(hash)).compactMap { location in
      guard let place = library.index.place(number: location.file), let file = library.index[place],
        let shape = TreeShape(size: file.size, chunkSize: Int(file.chunkSize)), shape.contains(location.piece)
      else { return nil }
      return (place, location.file, location.piece, shape.byteCount(location.piece))
    }
  }

  private func served(
    _ request: DataRequest, via peer: Address, _ served: Served, _ context: borrowing LayerContext<FileShare>
  ) {
    library.serving -= 1
    for number in served.changed {
      counts.changed.add()
      library.open.removeAll { $0.number == number }
      // Not what was hashed any more: the next look at its folder tells what it is now.
      if let place = library.index.place(number: number), let file = library.index[place],
        let folder = library.index.folder(file.folder)
      {
        scan(folder.key, isFull: false)
      }
    }
    if let (number, source) = served.source, library.index.place(number: number) != nil {
      library.open.removeAll { $0.number == number }
      library.open.append((number, source))
      if library.open.count > Self.mostOpen { library.open.removeFirst() }
    }
    if let piece = served.piece, piece.level > 0, let (number, source) = served.source {
      noteChildren(number, piece, source.shape, served.data)
    }
    reply(request, served.data, via: peer, context, isPaid: true)
    if !served.changed.isEmpty { pump(context) }
  }

  /// A node of a tree was given out, so what it names will be asked for next.
  private func noteChildren(_ number: UInt32, _ piece: TreePiece, _ shape: TreeShape, _ data: [UInt8]) {
    guard library.unindexed > 0 else { return }
    if library.recent.count + shape.fanout > library.recent.limit { library.recent = HashIndex(limit: 65_536) }
    data.withUnsafeBytes { bytes in
      for (place, child) in shape.children(piece).enumerated() where (place + 1) * 32 <= bytes.count {
        guard let hash = Hash256(UnsafeRawBufferPointer(rebasing: bytes[place * 32..<place * 32 + 32])) else { return }
        library.recent.insert(hash, PieceLocation(file: number, piece: TreePiece(level: piece.level - 1, index: child)))
      }
    }
  }

  /// The next hop to whoever asked; over the neighbour that brought the request where no way is known.
  private func wayBack(to origin: WireText, via peer: Address) -> Address {
    routing?.route(to: origin)?.nextHop ?? peer
  }

  private func reply(
    _ request: DataRequest, _ data: [UInt8], via peer: Address, _ context: borrowing LayerContext<FileShare>,
    isPaid: Bool = false
  ) {
    if data.isEmpty { counts.notFound.add() } else { counts.servedBytes.add(UInt64(data.count)) }
    let way = wayBack(to: request.origin, via: peer)
    guard isPaid || allowances.spend(Self.around(me, request.origin), on: standing(way, context), way) else {
      return counts.withheld.add()
    }
    context.send(
      DataReply(
        origin: me, destination: request.origin, hopLimit: UInt32(config.hopLimit), hashValue: request.hashValue,
        data: data), as: PeersterField.dataReply, to: way)
  }

  /// Asks whoever can't be answered yet for a hash that is nobody's. The answer, which says that it isn't there, shows
  /// that what we send is received: many Peersters answer so, and whoever doesn't gets what it may.
  private func challenge(_ address: Address, _ name: WireText, _ context: borrowing LayerContext<FileShare>) {
    guard !allowances.isChallenged(address) else { return }
    var bytes: [UInt8] = []
    for _ in 0..<4 { withUnsafeBytes(of: context.unguessable()) { bytes += $0 } }
    guard let hash = Hash256(bytes) else { return }
    let request = DataRequest(
      origin: me, destination: name, hopLimit: UInt32(config.hopLimit), hashValue: hash)
    guard allowances.spend(Self.around(me, name), on: standing(address, context), address) else { return }
    allowances.challenge(address, hash)
    context.send(request, as: PeersterField.dataRequest, to: address)
  }
}

/// A place where a piece may be, to be tried in a job.
struct ServingTask: Sendable {
  var number: UInt32
  var piece: TreePiece
  var reference: FileReference
  /// The open file, where it is.
  var source: FileSource?

  /// Tries one after the other until a piece is what it should be.
  static func run(_ tasks: [ServingTask], _ own: any LayerFiles) -> Served {
    var served = Served()
    for task in tasks {
      do throws(FileError) {
        let source: FileSource
        if let open = task.source { source = open } else { source = try task.reference.open(own) }
        if let data = try source.read(task.piece) {
          (served.data, served.piece, served.source) = (data, task.piece, (task.number, source))
          return served
        }
      } catch {}
      served.changed.append(task.number)
    }
    return served
  }
}

/// What came of a request.
struct Served: Sendable {
  var data: [UInt8] = []
  var piece: TreePiece?
  /// The file it came from, open.
  var source: (number: UInt32, source: FileSource)?
  /// Files that aren't what was hashed any more.
  var changed: [UInt32] = []
}
