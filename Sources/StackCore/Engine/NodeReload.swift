// NodeReload: a running node takes on another configuration, and says of each changed key what came of it.

/// What came of one changed key.
public struct ReloadAnswer: Sendable, Hashable, Codable {
  /// How a change can end.
  public enum Outcome: String, Sendable, Hashable, Codable, CaseIterable {
    /// It is in force now.
    case applied
    /// It will be in force after a restart.
    case needsRestart = "needs a restart"
    /// It was refused; the message says why. The old value stays.
    case refused
  }
  /// How the message of a setting begins that a reload changes: it needs no restart.
  public static let live = "live"
  /// The key's path, such as `layers.gossip.antiEntropy`.
  public var path: String
  public var outcome: Outcome
  /// More about it: why it was refused, or which value is in force. A live setting's begins with `live`.
  public var message: String?
  public init(path: String, outcome: Outcome, message: String? = nil) {
    self.path = path
    self.outcome = outcome
    self.message = message
  }
}

extension Node {
  /// Takes on another set of neighbours and layers.
  ///
  /// A layer that is new is built and started; one that is gone is stopped; both also concern the layers that use or
  /// require its services, which are started anew. Of a layer that stays, settings marked `live` are applied and all
  /// others need a restart. When the new set can't be built, the error says why and all is as it was: layers that had
  /// been stopped for it are built again, from what they have stored.
  public func reload(
    peers newPeers: [Address], layers wanted: [(type: any ProtocolLayer.Type, section: JSON)], at time: Instant
  ) throws -> [ReloadAnswer] {
    advance(to: time)
    let order = try buildOrder(wanted)
    for (type, section) in wanted { try checkSettings(type, section) }
    let names = order.map { $0.type.manifest.name }
    let running = slots.compactMap { $0?.name }
    let gone = running.filter { !names.contains($0) }
    let added = names.filter { !running.contains($0) }
    let anew = dependents(of: gone + added, among: wanted.map(\.type)).filter { running.contains($0) }
    let before = slots.compactMap { slot in
      slot.flatMap { slot in
        gone.contains(slot.name) || anew.contains(slot.name) ? slot.type.map { ($0, slot.settings) } : nil
      }
    }
    let oldPeers = peers
    var answers = reloadPeers(newPeers)
    takeOut(gone + anew)
    for name in gone { answers.append(.init(path: "layers.\(name)", outcome: .applied, message: "switched off")) }
    do {
      for (type, section) in order where added.contains(type.manifest.name) || anew.contains(type.manifest.name) {
        try bring(type, section)
        let message = added.contains(type.manifest.name) ? "switched on" : "started anew"
        answers.append(.init(path: "layers.\(type.manifest.name)", outcome: .applied, message: message))
      }
    } catch {
      throw goBack(to: before, peers: oldPeers, from: added + anew, because: error)
    }
    for (type, section) in order where !added.contains(type.manifest.name) && !anew.contains(type.manifest.name) {
      answers += apply(type, section)
    }
    settle()
    return answers
  }

  /// Undoes a reload that failed half-way; the error to throw, which also names the layers that refuse to come back.
  private func goBack(
    to before: [(any ProtocolLayer.Type, JSON)], peers oldPeers: [Address], from brought: [String],
    because error: any Error
  ) -> any Error {
    takeOut(brought)
    _ = reloadPeers(oldPeers)
    var lost: [String] = []
    for (type, section) in before {
      do { try bring(type, section) } catch { lost.append("\(type.manifest.name) (\(error))") }
    }
    settle()
    guard !lost.isEmpty else { return error }
    let reason = (error as? BuildError) ?? BuildError(path: "layers", "\(error)")
    return BuildError(
      path: reason.path,
      "\(reason.message); and what was on before could not be built again, so it is off now: "
        + lost.joined(separator: ", "))
  }

  /// Takes on another set of configured neighbours, and leaves the layers as they are.
  @discardableResult public func reload(peers newPeers: [Address], at time: Instant) -> [ReloadAnswer] {
    advance(to: time)
    defer { settle() }
    return reloadPeers(newPeers)
  }

  private func checkSettings<Layer: ProtocolLayer>(_: Layer.Type, _ section: JSON) throws {
    _ = try decodeSettings(Layer.Config.self, from: section, at: "layers.\(Layer.manifest.name)")
  }

  private func reloadPeers(_ newPeers: [Address]) -> [ReloadAnswer] {
    let old = peers
    guard old != newPeers else { return [] }
    for peer in old where !newPeers.contains(peer) { unconfigure(peer) }
    for peer in newPeers where !old.contains(peer) { configure(peer) }
    peers = newPeers
    return [.init(path: "peers", outcome: .applied)]
  }

  /// The layers that use or require, directly or not, what some layers provide.
  private func dependents(of names: [String], among types: [any ProtocolLayer.Type]) -> [String] {
    var affected = names
    var found: [String] = []
    while let name = affected.popLast() {
      let provided = types.first { $0.manifest.name == name }?.manifest.provides ?? providedServices(by: name)
      for type in types {
        let manifest = type.manifest
        guard !found.contains(manifest.name), !names.contains(manifest.name) else { continue }
        if (manifest.requires + manifest.uses).contains(where: provided.contains) {
          found.append(manifest.name)
          affected.append(manifest.name)
        }
      }
    }
    return found
  }

  private func providedServices(by layer: String) -> [String] {
    services.filter { $0.value.layer == layer }.keys.sorted()
  }

  /// Stops some layers, the last built first, and takes back what they registered.
  private func takeOut(_ names: [String]) {
    for slot in slots.reversed() { if let slot, names.contains(slot.name) { takeOut(slot) } }
  }

  private func takeOut(_ slot: AnyLayerSlot) {
    cancelCalls(
      owner: slot.index, CommandError(.unavailable, code: "switched-off", "layer \(slot.name) was switched off"))
    slot.stop(self)
    settle()
    withdraw(slot)
    slots[Int(slot.index)] = nil
  }

  private func bring(_ type: any ProtocolLayer.Type, _ section: JSON) throws {
    try add(type, section: section)
    slots[slots.count - 1]?.start(self)
  }

  /// Applies the live settings of a layer that stays.
  private func apply<Layer: ProtocolLayer>(_: Layer.Type, _ section: JSON) -> [ReloadAnswer] {
    let name = Layer.manifest.name
    guard let slot = slots.first(where: { $0?.name == name }) ?? nil,
      let config = try? decodeSettings(Layer.Config.self, from: section, at: "layers.\(name)"),
      let wanted = try? JSON(encoding: config), wanted != slot.settings,
      case .object(let new) = wanted, case .object(let old) = slot.settings
    else { return [] }
    let live = Schema.of(config: Layer.Config.self).liveKeys
    var merged = old
    var answers: [ReloadAnswer] = []
    // A key that is set no more stands in the old ones only.
    for key in Array(new.keys) + old.keys.filter({ new[$0] == nil }) where new[key] != old[key] {
      let path = "layers.\(name).\(key)"
      if live.contains(key) {
        merged[key] = new[key]
        answers.append(.init(path: path, outcome: .applied, message: "\(ReloadAnswer.live), now \(shown(new[key]))"))
      } else {
        answers.append(.init(path: path, outcome: .needsRestart, message: "still \(shown(old[key]))"))
      }
    }
    if merged != old {
      do { try slot.reconfigure(.object(merged), self) } catch {
        return answers.map { .init(path: $0.path, outcome: .refused, message: "\(error)") }
      }
    }
    return answers
  }
}

/// A setting's value in a line's end.
private func shown(_ value: JSON?) -> String {
  let text = value.map { $0.stringValue ?? $0.text() } ?? "without a value"
  return text.count > 60 ? text.prefix(59) + "…" : text
}

extension Schema {
  /// The keys of an object whose change needs no restart.
  var liveKeys: [String] {
    guard case .object(let properties) = kind else { return [] }
    return properties.filter(\.live).map(\.name)
  }
}
