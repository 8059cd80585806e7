// RealNodeRounds: what a turn of the loop does to a node: datagrams in, one commit, datagrams and news out.
import StackCore

extension RealNode {
  // MARK: In

  /// Reads what waits on the socket, at most a few batches, so that timers and commands get their turn too.
  func receive() {
    let now = loop.now
    let before = socket.counters.bytesIn
    let watch = packetWatch
    for _ in 0..<Self.batchesInRound {
      let count =
        if state == .running {
          socket.receive { [node] datagram, sender in
            watch?.note(datagram, peer: sender, isIncoming: true)
            node.receive(datagram, from: sender, at: now)
          }
        } else {
          // Without storage nothing may be said, so nothing is heard either.
          socket.receive { [node] _, _ in node.countDrop(.storage) }
        }
      // Enough to fill the wire: what waits to be sent goes first, so that both ends work at the same time.
      if count == 0 || node.outgoingBytes >= Self.enoughToSend { return }
      // Much has come and something is to be said to it: said now, the other side goes on meanwhile.
      if node.hasOutgoing, socket.counters.bytesIn - before >= Self.enoughHeard { return }
    }
  }

  /// Whoever is to be told of each packet; nil while nobody watches.
  private var packetWatch: PacketWatch? { control.flatMap { $0.packets.isWatched ? $0.packets : nil } }

  func timerFired() { if state == .running { node.fireTimers(at: loop.now) } }

  // MARK: Out

  /// Makes durable what was written, then lets out what rests on it.
  func round() {
    guard state == .running || state == .stopping else { return }
    if isStorageLost { return continueStopping() }
    var passes = 0
    repeat {
      guard commit() else { return }
      send()
      deliverNews()
      startJobs()
      passes += 1
    } while passes < 4 && state == .running && (node.hasNews || node.hasOutgoing && !isBlocked)
    if node.hasNews || node.hasOutgoing && !isBlocked { loop.handle.wake() }
    if state == .stopping { return continueStopping() }
    armTimer()
  }

  private func commit() -> Bool {
    let isDirty = storage.isDirty
    do throws(StorageError) { try node.commit() } catch {
      handleStorageFailure(error)
      return false
    }
    if isDirty { storageFailures = 0 }
    return true
  }

  /// One timer for all that the layers have armed, set anew only when the next of them is another.
  private func armTimer() {
    guard let timer else { return }
    guard let next = node.nextDeadline else {
      if timer.deadline != nil { timer.cancel() }
      armedFor = nil
      return
    }
    if next == armedFor, timer.deadline != nil { return }
    armedFor = next
    timer.set(at: next)
  }

  private func send() {
    guard node.hasOutgoing, !isBlocked else { return }
    let before = socket.counters
    var refused: [Address] = []
    node.withOutgoing { bytes, entries in
      var done = 0
      while done < entries.count {
        let (whole, part) = sendSome(bytes, entries[done...], &refused)
        if let packetWatch { tell(packetWatch, bytes, entries[done..<done + whole.count]) }
        done += whole.count
        if whole.isShort {
          isBlocked = true
          return (done, part)
        }
      }
      return (done, 0)
    }
    for address in refused { node.pathTooLarge(address) }
    let after = socket.counters
    let lost =
      after.refused + after.undeliverable + after.tooLarge - before.refused - before.undeliverable - before.tooLarge
    if lost > 0 { node.countDrop(.network, lost) }
    if isBlocked { writable?.enable() }
  }

  /// Shows what has left to those who watch. A message in equal pieces is shown by its first.
  private func tell(
    _ watch: PacketWatch, _ bytes: UnsafeRawPointer, _ sent: Slice<UnsafeBufferPointer<OutgoingDatagrams>>
  ) {
    for entry in sent {
      let size = entry.segmentSize == 0 ? entry.byteCount : min(entry.segmentSize, entry.byteCount)
      // The outbox lends the bytes until the sending is over.
      let packet = UnsafeRawBufferPointer(start: bytes + entry.offset, count: size)
      watch.note(
        packet.bytes, peer: entry.destination, isIncoming: false, copies: entry.count, wireBytes: entry.byteCount)
    }
  }

  /// Sends from the first entries on, as many as go the same way; how many are done, whether the kernel had no room for
  /// the next, and how many bytes of that one are done.
  private func sendSome(
    _ bytes: UnsafeRawPointer, _ entries: Slice<UnsafeBufferPointer<OutgoingDatagrams>>, _ refused: inout [Address]
  ) -> (whole: (count: Int, isShort: Bool), bytes: Int) {
    guard let first = entries.first else { return ((0, false), 0) }
    if first.mayFragment {
      let datagram = UnsafeRawBufferPointer(start: bytes + first.offset, count: first.byteCount)
      let isSent = socket.sendFragmenting(datagram, to: first.destination)
      return ((isSent ? 1 : 0, !isSent), 0)
    }
    gathered.removeAll(keepingCapacity: true)
    for entry in entries.prefix(1024) {
      if entry.mayFragment { break }
      gathered.append(
        OutgoingDatagram(
          to: entry.destination, bytes + entry.offset, length: entry.byteCount, segmentSize: entry.segmentSize))
    }
    let progress = gathered.withUnsafeBufferPointer { batch in
      // Bounded by the batch, since each is told once.
      socket.send(batch) { address, _ in if !refused.contains(address) { refused.append(address) } }
    }
    return ((progress.entry, progress.entry < gathered.count), progress.offset)
  }

  private func deliverNews() {
    guard node.hasNews else { return }
    for item in node.takeNews() {
      switch item {
      case .reply(let reply, let sink): sink(reply)
      case .event(let event): for observer in observers { observer.observe(event) }
      case .log(let record): log.log(record)
      }
    }
  }

  // MARK: Work

  /// A job's result on its way back to the loop.
  private struct JobResult: Sendable {
    var value: any Sendable
  }

  private func startJobs() {
    for job in node.takeJobs() {
      let completion = loop.expect { [weak self, weak node] (result: JobResult) in
        // The node that asked may have been replaced since.
        guard let self, let node, node === self.node, self.state == .running else { return }
        node.complete(job.id, result.value, at: self.loop.now)
      }
      let isTaken = pool.submit { completion.finish(JobResult(value: job.run())) }
      // Where no thread is to be had, late is better than never.
      if !isTaken { completion.finish(JobResult(value: job.run())) }
    }
  }

  // MARK: Storage that fails

  /// Nothing of what rests on the lost writes may leave: answers become refusals, datagrams are dropped, and the
  /// layers, whose memory is ahead of the disk now, are stopped.
  func handleStorageFailure(_ error: StorageError) {
    storageFailed += 1
    let refusal = Self.storageRefusal(error)
    refuse(node.takeNews(), refusal)
    _ = node.takeJobs()
    // A stopping node's layers have been stopped already.
    if state == .running { node.stop(at: loop.now) }
    refuse(node.takeNews(), refusal)
    _ = node.takeJobs()
    node.dropOutgoing(.storage)
    timer?.cancel()
    complain(error)
    if state == .stopping {
      isStorageLost = true
      return continueStopping()
    }
    state = .failing(error)
    let retry = retry ?? loop.timer { [unowned self] in self.recover() }
    self.retry = retry
    retry.set(after: min(Self.retryWaits.first * (1 << min(storageFailures, 8)), Self.retryWaits.longest))
    storageFailures += 1
  }

  private func refuse(_ news: [NodeNews], _ refusal: CommandError) {
    for item in news {
      switch item {
      case .reply(let reply, let sink): if reply.isLast { sink(.failed(refusal)) }
      case .event: node.countDrop(.storage)
      case .log(let record): log.log(record)
      }
    }
  }

  /// Says so at once, and then at most once a minute.
  private func complain(_ error: StorageError) {
    let now = loop.now
    if let last = storageComplaint, now - last < .seconds(60) { return }
    storageComplaint = now
    note(.error, "the storage has failed, so nothing is sent and nothing answered: \(error.message)")
  }

  /// Opens the storage again and builds the layers from what it holds.
  func recover() {
    guard case .failing(let old) = state else { return }
    do {
      let storage = try Self.openStorage(options)
      let fresh = try Self.makeNode(
        options, seed: seed, address: address, peers: peers?.addresses ?? [], storage)
      fresh.countDrop(.storage, Int(clamping: node.traffic.drops.first { $0.reason == .storage }?.count ?? 0))
      fresh.observesEvents = !observers.isEmpty
      fresh.logLevel = log.level
      fresh.receiveBuffer = socket.receiveBufferSize / 2
      node = fresh
      self.storage = storage
    } catch {
      let failure = error as? StorageError ?? StorageError(old.kind, RuntimeError(building: error).description)
      complain(failure)
      state = .failing(failure)
      retry?.set(after: min(Self.retryWaits.first * (1 << min(storageFailures, 8)), Self.retryWaits.longest))
      storageFailures += 1
      return
    }
    state = .running
    armedFor = nil
    node.start(at: loop.now)
    note(.notice, "the storage was opened again; the layers were started anew from what it holds")
  }

  /// The first and the longest wait before a failed storage is tried again.
  static var retryWaits: (first: Duration, longest: Duration) { (.milliseconds(250), .seconds(30)) }
}
