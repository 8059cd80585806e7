// NodePulse: how long the way to each neighbour takes and what is lost on it, measured while somebody wants to know.

/// A small probe that is under way.
struct Pulse: Sendable {
  var neighbour: Address
  var nonce: UInt64
  var sent: Instant
}

extension Node {
  /// How often a neighbour is probed, while its turn is on.
  static let pulseInterval = Duration.seconds(2)
  /// After how long an answer counts as lost.
  static let pulsePatience = Duration.seconds(4)
  /// How many neighbours are probed at once; of more, each has its turn.
  static let mostPulsed = 64
  /// Figures older than this are of another time.
  public static let pulseMemory = Duration.seconds(60)

  /// Measures round trips and losses from now on for so long, at most a minute: every two seconds each neighbour that
  /// speaks Strata and has proven its address gets a probe of a few bytes, whose answer is no larger. Nothing is sent
  /// unless this is called, and nothing to a Peerster.
  public func measure(for duration: Duration, at time: Instant) {
    advance(to: time)
    guard isRunning, duration > .zero else { return }
    measuringUntil = max(measuringUntil ?? now, now + min(duration, .seconds(60)))
    guard !armedCoreTimers.contains(CoreTimer.pulse.rawValue) else { return }
    for place in 0..<neighbours.count { neighbours[place].forgetProbes(before: now - Self.pulseMemory) }
    pulse()
  }

  /// Sends the probes of a round, and gives up those that were not answered.
  func pulse() {
    pulses.removeAll { pulse in
      guard now - pulse.sent >= Self.pulsePatience else { return false }
      if let place = neighbours.find(pulse.neighbour) { neighbours[place].counted(roundTrip: nil, at: now) }
      return true
    }
    guard isRunning, let until = measuringUntil, now < until else {
      // Those still under way say nothing when nobody waits for them.
      pulses = []
      measuringUntil = nil
      return
    }
    arm(.pulse, after: Self.pulseInterval)
    var probed = 0
    let first = pulseTurn
    pulseTurn = 0
    for step in 0..<neighbours.count {
      let place = (first + step) % neighbours.count
      guard neighbours[place].isStrata, neighbours[place].isProven else { continue }
      if probed == Self.mostPulsed {
        pulseTurn = place
        break
      }
      probed += 1
      let pulse = Pulse(neighbour: neighbours[place].address, nonce: drawNumber(), sent: now)
      pulses.append(pulse)
      sendCore(
        PathProbeMessage(nonce: Fixed64(pulse.nonce)), as: CoreField.probe, to: pulse.neighbour, place: place)
    }
  }

  /// Whether an answer is that of a small probe.
  func receivePulse(_ nonce: UInt64, from sender: Address) -> Bool {
    guard let found = pulses.firstIndex(where: { $0.nonce == nonce && $0.neighbour == sender }) else { return false }
    let pulse = pulses.remove(at: found)
    heard(sender, strata: true)
    if let place = neighbours.find(sender) { neighbours[place].counted(roundTrip: now - pulse.sent, at: now) }
    return true
  }
}

extension Neighbour {
  /// How many of the newest probes count.
  static let probesKept = 32

  /// The share of the newest probes, at most 32, that had no answer; nil while none has been counted.
  public var loss: Double? {
    probesCounted == 0 ? nil : Double(probesCounted - probesAnswered.nonzeroBitCount) / Double(probesCounted)
  }

  /// Counts a probe that was answered after so long, or not at all.
  mutating func counted(roundTrip sample: Duration?, at time: Instant) {
    if let sample {
      // What an introduction took, which may have been repeated, is no part of the mean.
      roundTrip = probesAnswered == 0 ? sample : roundTrip.map { ($0 * 7 + sample) / 8 } ?? sample
    }
    probesAnswered = probesAnswered << 1 | (sample == nil ? 0 : 1)
    probesCounted = min(probesCounted + 1, Self.probesKept)
    measured = time
  }

  /// Forgets what was measured before a time.
  mutating func forgetProbes(before time: Instant) {
    guard let measured, measured < time else { return }
    (probesAnswered, probesCounted) = (0, 0)
  }
}
