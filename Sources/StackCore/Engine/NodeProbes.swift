// NodeProbes: how the node finds out what the paths to its neighbours carry.

extension Node {
  /// A path that has to carry split messages is worth knowing better.
  func probeIfUseful(_ place: Int) {
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

  func receiveProbe(_ reader: inout WireReader, from sender: Address) throws(WireError) {
    var nonce: UInt64 = 0
    while let tag = try reader.nextTag() {
      if tag == WireTag(number: 1, type: .fixed64) { nonce = try reader.readFixed64() } else { try reader.skip(tag) }
    }
    heard(sender, strata: true)
    guard isFirstAnswer() else { return }
    sendCore(
      PathProbeReply(nonce: Fixed64(nonce)), as: CoreField.probeReply, to: sender, place: neighbours.find(sender))
  }

  func receiveProbeReply(_ reply: PathProbeReply, from sender: Address) {
    if receivePulse(reply.nonce.value, from: sender) { return }
    guard let place = neighbours.find(sender), var probe = neighbours[place].probe, !probe.isDone,
      probe.nonce == reply.nonce.value, probe.nonce != 0
    else { return }
    neighbours[place].pathLimit = max(neighbours[place].pathLimit, PathProbe.candidates[probe.candidate] - 8)
    probe = PathProbe(candidate: probe.candidate + 1)
    neighbours[place].probe = probe
    sendProbe(place)
  }

  func retryProbes() {
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
