// NodeSample: what one node tells of itself at one moment, and the asking.
import StackCore
import StackRuntime

/// A node at one moment.
struct NodeSample {
  /// A neighbour of it.
  struct Neighbour: Hashable {
    var address = ""
    var name: String?
    /// Seconds until it answers; nil while it hasn't.
    var roundTrip: Double?
    /// The share of probes without an answer.
    var loss: Double?
    /// When it was last heard, in nanoseconds since 1970.
    var lastHeard: Int64?
    var datagramsIn = 0.0
    var datagramsOut = 0.0
    var bytesIn = 0.0
    var bytesOut = 0.0
  }

  /// Something that is being fetched.
  struct Transfer: Hashable {
    var name = ""
    var state = ""
    var amount: Amount?
    var rate: Double?
    var secondsLeft: Double?
    var holders: Int?
  }

  var name: String
  var address = ""
  /// By the asker's clock, in seconds.
  var at = 0.0
  /// By family and labels, as in `/metrics`.
  var metrics: [MetricKey: Double] = [:]
  var neighbours: [Neighbour] = []
  var transfers: [Transfer] = []
  /// Why there is nothing else.
  var failure: String?

  /// A number that stands alone in its family.
  func metric(_ family: String) -> Double? { metrics[MetricKey(family: family)] }
}

/// A metric's family and its labels.
struct MetricKey: Hashable {
  var family: String
  var labels: [String: String] = [:]

  /// Reads a line such as `strata_messages_in_total{layer="gossip",type="Rumor"} 12`.
  static func parse(_ line: Substring) -> (MetricKey, Double)? {
    guard !line.hasPrefix("#"), let space = line.lastIndex(of: " "),
      let value = Double(line[line.index(after: space)...])
    else { return nil }
    let head = line[..<space]
    guard let brace = head.firstIndex(of: "{") else { return (MetricKey(family: String(head)), value) }
    guard head.last == "}" else { return nil }
    let inside = head[head.index(after: brace)...].dropLast()
    guard let labels = labels(inside) else { return nil }
    return (MetricKey(family: String(head[..<brace]), labels: labels), value)
  }

  private static func labels(_ text: Substring) -> [String: String]? {
    var found: [String: String] = [:]
    var rest = text
    while !rest.isEmpty {
      guard let equals = rest.firstIndex(of: "=") else { return nil }
      let name = String(rest[..<equals])
      rest = rest[rest.index(after: equals)...]
      guard rest.popFirst() == "\"" else { return nil }
      var value = ""
      var isWhole = false
      while let letter = rest.popFirst() {
        if letter == "\"" {
          isWhole = true
          break
        }
        guard letter == "\\" else {
          value.append(letter)
          continue
        }
        switch rest.popFirst() {
        case "n": value += "\n"
        case let other?: value.append(other)
        case nil: return nil
        }
      }
      guard isWhole else { return nil }
      found[name] = value
      if rest.first == "," { rest.removeFirst() }
    }
    return found
  }
}

/// Asks one node, again and again.
final class NodeWatch {
  private let node: RunningNodes?
  private let program: String
  private var client: ControlClient?
  private var fixed: ControlClient?
  private var address = ""
  private var name: String
  /// Where what is being fetched is listed, if a layer does.
  private var transferPaths: [String] = []

  init(_ node: RunningNodes, program: String) {
    (self.node, self.program, name) = (node, program, node.name)
  }

  /// Asks a control port that is known already.
  init(_ client: ControlClient, name: String) {
    (node, program, self.name, fixed) = (nil, "", name, client)
  }

  /// What the node says now. A node that doesn't is shown as such, and asked again the next time.
  func sample(at seconds: Double) -> NodeSample {
    do {
      let client = try client ?? meet()
      return try ask(client, seconds)
    } catch {
      client = nil
      return NodeSample(name: name, address: address, at: seconds, failure: harmless("\(error)"))
    }
  }

  /// No node is waited for longer than this, so that one that hangs doesn't stop the others.
  private static let patience = Duration.milliseconds(800)

  private func meet() throws -> ControlClient {
    guard let client = try fixed ?? node?.client(program: program) else { throw FailedError("there is no node to ask") }
    let about = try JSON.parse(try client.get("/v1/node", within: Self.patience))
    address = about["address"]?.stringValue ?? ""
    name = about["name"]?.stringValue ?? name
    let layers = try JSON.parse(try client.get("/v1/layers", within: Self.patience))
    transferPaths = (layers["layers"]?.arrayValue ?? []).compactMap { layer in
      let commands = (layer["commands"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
      return commands.contains("downloads") ? layer["name"]?.stringValue.map { "/v1/\($0)/downloads" } : nil
    }
    self.client = client
    return client
  }

  private func ask(_ client: ControlClient, _ seconds: Double) throws -> NodeSample {
    var sample = NodeSample(name: name, address: address, at: seconds)
    let text = String(decoding: try client.get("/metrics", within: Self.patience), as: UTF8.self)
    for line in text.split(separator: "\n") {
      if let (key, value) = MetricKey.parse(line) { sample.metrics[key] = value }
    }
    let neighbours = try JSON.parse(try client.get("/v1/neighbours?measure=10", within: Self.patience))
    sample.neighbours = (neighbours["neighbours"]?.arrayValue ?? []).map { NodeSample.Neighbour($0) }
    for path in transferPaths {
      let json = try JSON.parse(try client.get(path, [:], within: Self.patience))
      sample.transfers += Self.transfers(json)
    }
    return sample
  }

  /// The first list of objects in an answer.
  private static func transfers(_ json: JSON) -> [NodeSample.Transfer] {
    let list = json.arrayValue ?? json.objectValue?.lazy.compactMap { $0.value.arrayValue }.first ?? []
    return list.filter { $0.objectValue != nil }.map { NodeSample.Transfer($0) }
  }
}

extension NodeSample.Neighbour {
  /// An entry of `GET /v1/neighbours`.
  init(_ json: JSON) {
    address = json["address"]?.stringValue ?? ""
    name = json["claimedName"]?.stringValue
    roundTrip = json["roundTrip"]?.doubleValue
    loss = json["loss"]?.doubleValue
    lastHeard = json["lastHeard"]?.stringValue.flatMap { WallClock.instant($0) }
    datagramsIn = json["datagramsIn"]?.doubleValue ?? 0
    datagramsOut = json["datagramsOut"]?.doubleValue ?? 0
    bytesIn = json["bytesIn"]?.doubleValue ?? 0
    bytesOut = json["bytesOut"]?.doubleValue ?? 0
  }
}

extension NodeSample.Transfer {
  /// A progress as a layer tells it.
  init(_ json: JSON) {
    name = json["name"]?.stringValue ?? json["path"]?.stringValue ?? json["root"]?.stringValue ?? ""
    state = json["state"]?.stringValue ?? ""
    amount = Amount(json)
    rate = json["rate"]?.doubleValue
    secondsLeft = json["secondsLeft"]?.doubleValue
    holders = json["holders"]?.integerValue.map { Int($0) } ?? json["holders"]?.arrayValue?.count
  }
}
