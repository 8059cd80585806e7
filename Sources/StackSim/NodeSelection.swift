// NodeSelection: which nodes a line of a scenario means: 3, "0-9", [1, 4, "7-9"], "all", "random 5", "down".
import StackCore

/// Some nodes of a simulation.
public struct NodeSelection: Hashable, Sendable {
  /// One part of it.
  public enum Part: Hashable, Sendable {
    /// From a node to a node, both included.
    case range(Int, Int)
    case all
    /// So many of those that run, drawn when it is asked.
    case random(Int)
    /// Those that don't run when it is asked: crashed, or gone.
    case down
  }
  /// What is selected, one part after the other.
  public var parts: [Part]

  /// The nodes of these parts.
  public init(parts: [Part]) { self.parts = parts }
  /// These nodes.
  public init(_ nodes: [Int]) { parts = nodes.map { .range($0, $0) } }
  /// Every node.
  public static let all = NodeSelection(parts: [.all])

  /// The largest node number there is.
  static let largest = (1 << 24) - 2

  /// The largest node that is named; -1 when none is.
  var largestNamed: Int {
    var largest = -1
    for case .range(_, let high) in parts { largest = max(largest, high) }
    return largest
  }

  /// The nodes meant, of so many, in the order named, each once.
  func resolve(count: Int, running: () -> [Int], _ random: inout RandomStream) -> [Int] {
    var nodes: [Int] = []
    for part in parts {
      switch part {
      case .range(let low, let high): nodes += low < count ? Array(low...min(high, count - 1)) : []
      case .all: nodes += 0..<count
      case .random(let wanted):
        var candidates = running()
        random.shuffle(&candidates)
        nodes += candidates.prefix(wanted).sorted()
      case .down:
        var isUp = [Bool](repeating: false, count: count)
        for node in running() where node < count { isUp[node] = true }
        nodes += (0..<count).filter { !isUp[$0] }
      }
    }
    var seen = [Bool](repeating: false, count: count)
    return nodes.filter { node in
      defer { seen[node] = true }
      return !seen[node]
    }
  }
}

extension NodeSelection.Part {
  /// Reads "4", "0-9", "all", "down" or "random 3".
  init?(_ text: String) {
    if text == "all" {
      self = .all
      return
    }
    if text == "down" {
      self = .down
      return
    }
    if text.hasPrefix("random ") {
      guard let count = Int(text.dropFirst(7)), count > 0, count <= NodeSelection.largest else { return nil }
      self = .random(count)
      return
    }
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 1 || ends.count == 2, let low = Int(ends[0]), let high = Int(ends[ends.count - 1]),
      low >= 0, low <= high, high <= NodeSelection.largest
    else { return nil }
    self = .range(low, high)
  }

  var text: String {
    switch self {
    case .all: "all"
    case .down: "down"
    case .random(let count): "random \(count)"
    case .range(let low, let high): low == high ? "\(low)" : "\(low)-\(high)"
    }
  }
}

extension NodeSelection: Codable, SchemaProviding {
  private static let expected = "nodes such as 3, [0, 5], \"0-9\", \"all\", \"random 3\" or \"down\""

  public static var schema: Schema { Schema(.any, description: expected) }
  public static var schemaSample: NodeSelection { NodeSelection([0]) }

  public init(from decoder: any Decoder) throws {
    let json = try JSON(from: decoder)
    let entries = json.arrayValue ?? [json]
    parts = try entries.map { entry in
      if let text = entry.stringValue, let part = Part(text) { return part }
      if let node = entry.integerValue, (0...Int64(Self.largest)).contains(node) { return .range(Int(node), Int(node)) }
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: Self.expected))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    func json(_ part: Part) -> JSON {
      if case .range(let low, let high) = part, low == high { return JSON(low) }
      return .string(part.text)
    }
    try container.encode(parts.count == 1 ? json(parts[0]) : JSON.array(parts.map(json)))
  }
}
