// NodeFileCheck: all the checks of a node's file, and every problem they find.
import StackCore

/// One check of a file; what is wrong gathers in `problems`.
struct NodeFileCheck {
  /// What may be in `layers`.
  let catalog: [any ProtocolLayer.Type]
  /// All that is wrong.
  private(set) var problems: [NodeFileProblem] = []
  /// The layers that are on.
  private(set) var layers: [(type: any ProtocolLayer.Type, section: JSON)] = []
  /// Whether there is to be a control port.
  private(set) var hasControl = true

  init(catalog: [any ProtocolLayer.Type]) { self.catalog = catalog }

  /// Checks a whole file; the settings are whatever could be read.
  mutating func check(_ json: JSON) -> CoreSettings? {
    guard case .object(let members) = withoutComments(json) else {
      problems.append(
        .init(path: "", found: json.shown, expected: "an object such as {\"name\": \"alice\", \"layers\": {}}"))
      return nil
    }
    var core = members
    core["$schema"] = nil
    core["layers"] = nil
    // `false` and `null` mean off as well, for they can't mean anything else.
    if let control = core["control"], control.isNull || control == false || control == "off" {
      hasControl = false
      core["control"] = nil
    }
    checkCore(core)
    if let section = members["layers"] { checkLayers(section) }
    checkNeeds()
    return problems.isEmpty ? try? decodeSettings(CoreSettings.self, from: .object(core), at: "") : CoreSettings()
  }

  // MARK: The core's own keys

  private mutating func checkCore(_ core: JSONObject) {
    var schema = Schema.of(config: CoreSettings.self)
    if case .object(let properties) = schema.kind {
      // So that the nearest known key may be this one.
      schema.kind = .object(properties + [.init(name: "layers", schema: Schema(.any))])
    }
    let errors = schema.check(.object(core), at: "")
    problems += errors.map { NodeFileProblem(Self.told($0)) }
    func right(_ key: String) -> JSON? {
      errors.contains { $0.path == key || $0.path.hasPrefix(key + "[") } ? nil : core[key]
    }
    if let name = right("name")?.stringValue, let fault = NodeName.fault(name) {
      problems.append(.init(path: "name", found: fault, expected: NodeName.expected))
    }
    if let listen = right("listen") { checkListen(listen) }
    if let peers = right("peers")?.arrayValue { checkPeers(peers) }
    if let data = right("data")?.stringValue, data.isEmpty || data.utf8.contains(0) {
      problems.append(.init(path: "data", found: JSON.string(data).shown, expected: Self.dataExpected))
    }
    if let control = right("control") { checkControl(control) }
    if let limit = right("pathLimit"), PathLimit(limit) == nil {
      problems.append(.init(path: "pathLimit", found: limit.shown, expected: PathLimit.expected))
    }
  }

  /// An error about the type of a value that must be more than text says all that it must be.
  private static func told(_ error: JSONCodingError) -> JSONCodingError {
    guard error.expected == "text" else { return error }
    var error = error
    switch error.path {
    case "name": error.expected = NodeName.expected
    case "listen": error.expected = listenExpected
    case "control": error.expected = controlExpected
    case "data": error.expected = dataExpected
    default: if error.path.hasPrefix("peers[") { error.expected = HostAndPort.expected }
    }
    return error
  }

  private static let listenExpected = "an address and a port such as \"127.0.0.1:5000\" or \"[::]:5000\""
  private static let controlExpected = "a loopback address and a port such as \"127.0.0.1:8080\", or \"off\""
  private static let dataExpected = "the path of a folder"

  private mutating func checkListen(_ json: JSON) {
    let expected = Self.listenExpected
    guard let address = Address(json.stringValue ?? "") else {
      return problems.append(.init(path: "listen", found: json.shown, expected: expected))
    }
    if address.isMulticast {
      problems.append(.init(path: "listen", found: "a multicast address", expected: expected))
    }
  }

  private mutating func checkPeers(_ peers: [JSON]) {
    for (place, json) in peers.enumerated() {
      guard let fault = HostAndPort.fault(json.stringValue ?? "") else { continue }
      problems.append(.init(path: "peers[\(place)]", found: fault, expected: HostAndPort.expected))
    }
    let texts = peers.map { $0.stringValue ?? "" }
    for (place, text) in texts.enumerated() {
      if let first = texts[..<place].firstIndex(of: text) {
        problems.append(
          .init(
            path: "peers[\(place)]", found: "\(JSON.string(text).shown), which peers[\(first)] is already",
            expected: "each peer once"))
      }
    }
  }

  private mutating func checkControl(_ json: JSON) {
    let expected = Self.controlExpected
    guard let text = json.stringValue, let address = Address(text) else {
      return problems.append(.init(path: "control", found: json.shown, expected: expected))
    }
    if !address.isLoopback {
      problems.append(
        .init(path: "control", found: "\"\(address)\", which others can reach", expected: expected))
    }
  }

  // MARK: Layers

  private mutating func checkLayers(_ json: JSON) {
    guard case .object(let sections) = json else {
      return problems.append(.init(path: "layers", found: json.shown, expected: "an object with a key for each layer"))
    }
    for (name, section) in sections {
      let path = "layers.\(name)"
      guard let type = catalog.first(where: { $0.manifest.name == name }) else {
        problems.append(.init(path: path, found: "an unknown layer", expected: instead(of: name)))
        continue
      }
      guard case .object = section else {
        problems.append(
          .init(
            path: path, found: section.shown, expected: "an object such as {}; take the key out to switch the layer off"
          ))
        continue
      }
      problems += settingsSchema(of: type).check(section, at: path).map { NodeFileProblem($0) }
      layers.append((type, section))
    }
  }

  private func instead(of name: String) -> String {
    let names = catalog.map { $0.manifest.name }
    if names.isEmpty { return "none: no layer is compiled in" }
    if let meant = nearest(name, among: names) { return "\"\(meant)\" (did you mean that?)" }
    return (names.count == 1 ? "" : "one of ") + names.map { "\"\($0)\"" }.joined(separator: ", ")
  }

  private mutating func checkNeeds() {
    let enabled = layers.map { $0.type.manifest }
    let named = enabled.map(\.name)
    for manifest in enabled {
      for need in manifest.requires where !enabled.contains(where: { $0.provides.contains(need) }) {
        let providers = catalog.map { $0.manifest }.filter { $0.provides.contains(need) && !named.contains($0.name) }
        let remedy =
          providers.isEmpty
          ? "a layer that provides it, but none is compiled in"
          : providers.map { "\"\($0.name)\": {}" }.joined(separator: " or ") + " in layers, which provides it"
        problems.append(
          .init(
            path: "layers.\(manifest.name)", found: "no layer that provides \"\(need)\", which it needs",
            expected: remedy))
      }
    }
    for (place, manifest) in enabled.enumerated() {
      for service in manifest.provides {
        guard let other = enabled[..<place].first(where: { $0.provides.contains(service) }) else { continue }
        problems.append(
          .init(
            path: "layers.\(manifest.name)",
            found: "\"\(service)\", which layer \(other.name) provides too", expected: "only one of the two layers"))
      }
    }
  }
}

/// The schema of a layer's section.
func settingsSchema(of type: any ProtocolLayer.Type) -> Schema {
  func schema<Layer: ProtocolLayer>(_: Layer.Type) -> Schema { Schema.of(config: Layer.Config.self) }
  return schema(type)
}

/// A value without the keys that are comments: those that start with `//`.
func withoutComments(_ json: JSON) -> JSON {
  switch json {
  case .object(let members):
    .object(
      JSONObject(members.filter { !$0.key.hasPrefix("//") }.map { ($0.key, withoutComments($0.value)) }))
  case .array(let elements): .array(elements.map(withoutComments))
  default: json
  }
}

/// A peer's address, or its name and port.
enum HostAndPort {
  /// What an error says was expected.
  static let expected = "\"host:port\" such as \"127.0.0.1:5001\", \"[::1]:5001\" or \"peer.example.org:5001\""

  /// What is wrong with a text; nil when nothing is.
  static func fault(_ text: String) -> String? {
    let shown = JSON.string(text).shown
    if let address = Address(text) {
      if address.port == 0 { return "\(shown), whose port is 0" }
      if address.isUnspecified { return "\(shown), which is no one's address" }
      return nil
    }
    guard let colon = text.lastIndex(of: ":") else { return text.isEmpty ? shown : "\(shown), which has no port" }
    let port = text[text.index(after: colon)...]
    guard let number = UInt16(port), number > 0, port.utf8.allSatisfy({ (48...57).contains($0) }) else {
      return "\(shown), whose port is not 1 to 65535"
    }
    return isHostName(text[..<colon]) ? nil : shown
  }

  /// Labels of letters, digits and hyphens; the last one not a number, for that would be a mistyped address.
  private static func isHostName(_ text: Substring) -> Bool {
    let labels = text.split(separator: ".", omittingEmptySubsequences: false)
    guard text.utf8.count <= 253, let last = labels.last, !last.utf8.allSatisfy({ (48...57).contains($0) }) else {
      return false
    }
    return labels.allSatisfy { label in
      (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
        && label.utf8.allSatisfy {
          (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 45 || $0 == 95
        }
    }
  }
}
