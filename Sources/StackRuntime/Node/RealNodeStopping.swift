// RealNodeStopping: how a running node takes on another configuration, and how it comes to its end.
import StackCore

extension RealNode {
  /// Reads the configuration anew and takes it on; says of each changed key what came of it. On an error all stays as
  /// it is.
  public func reload() throws(RuntimeError) -> [ReloadAnswer] {
    guard let read = options.reload else {
      throw RuntimeError(.configuration, path: "", "this node was not started from a file that could be read again")
    }
    guard state == .running else {
      throw RuntimeError(.data, path: "", "the node is not running; try again once it is")
    }
    let new: RealNodeReload
    do { new = try read() } catch { throw RuntimeError(building: error) }
    try PeerBook.check(new.peers)
    return try apply(new)
  }

  private func apply(_ new: RealNodeReload) throws(RuntimeError) -> [ReloadAnswer] {
    let oldPeers = options.peers
    let before = peers?.peers ?? []
    peers?.set(new.peers)
    var answers: [ReloadAnswer]
    do { answers = try node.reload(peers: peers?.addresses ?? [], layers: new.layers, at: loop.now) } catch {
      peers?.restore(before)
      keepRunning(of: options.layers)
      throw RuntimeError(building: error)
    }
    if oldPeers != new.peers, !answers.contains(where: { $0.path == "peers" }) {
      answers.insert(ReloadAnswer(path: "peers", outcome: .applied, message: ReloadAnswer.live), at: 0)
    }
    if let level = new.logLevel, level != log.level {
      log.level = level
      node.logLevel = level
      options.logLevel = level
      answers.append(
        ReloadAnswer(path: "logLevel", outcome: .applied, message: "\(ReloadAnswer.live), now \(level.rawValue)"))
    }
    answers += new.answers
    options.peers = new.peers
    keepRunning(of: new.layers)
    peers?.lookUp()
    loop.handle.wake()
    for answer in answers {
      note(
        answer.outcome == .applied ? .info : .warning,
        "reload: \(answer.path): \(answer.outcome.rawValue)" + (answer.message.map { ", \($0)" } ?? ""))
    }
    if answers.isEmpty { note(.info, "reload: nothing has changed") }
    return answers
  }

  /// One that could not be built is off: after a storage failure it must not keep the others from coming back.
  private func keepRunning(of layers: [(type: any ProtocolLayer.Type, section: JSON)]) {
    let running = node.layers.map(\.name)
    options.layers = layers.filter { running.contains($0.type.manifest.name) }
  }

  /// Stops the layers, lets what they still send leave, and ends; after `time` at the latest, but for a second in which
  /// the control port's last answers may leave.
  public func stop(within time: Duration = .seconds(2)) {
    switch state {
    case .built: return finish()
    case .stopping, .stopped: return
    case .running: node.stop(at: loop.now)
    case .failing: isStorageLost = true
    }
    state = .stopping
    peers?.close()
    retry?.cancel()
    timer?.cancel()
    readable?.disable()
    let limit = loop.timer { [unowned self] in
      self.node.dropOutgoing(.network)
      self.isBlocked = false
    }
    limit.set(after: time)
    stopTimer = limit
    loop.handle.wake()
  }

  /// After a round of a stopping node: once all has left, the control port winds down, and then all is closed.
  func continueStopping() {
    guard !isDraining, !node.hasOutgoing else { return }
    isDraining = true
    guard let control else { return finish() }
    control.drain(within: .seconds(1)) { [unowned self] in self.finish() }
  }

  private func finish() {
    guard state != .stopped else { return }
    control?.close()
    if control != nil { try? DiskFiles(root: options.dataDirectory).remove(controlAddressPath) }
    for source in [readable, writable] { source?.cancel() }
    for timer in [timer, retry, stopTimer] { timer?.cancel() }
    (readable, writable, timer, retry, stopTimer) = (nil, nil, nil, nil, nil)
    signals = []
    peers?.close()
    // What still runs has nobody left to tell.
    pool.abandon()
    // Whoever gets the lock next must find a file that nobody has open.
    storage.close()
    lock = nil
    state = .stopped
    note(.info, "\(options.name) has stopped")
    log.end(within: .milliseconds(200))
    let told = onStopped
    onStopped = nil
    told?()
    loop.handle.wake()
  }
}
