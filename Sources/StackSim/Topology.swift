// Topology: which nodes are neighbours at the start.
import StackCore

/// The shape of the network: which nodes name each other as peers.
public struct Topology: LayerConfig, Hashable {
  /// The shapes there are.
  public enum Kind: String, Codable, Sendable, CaseIterable {
    case none, line, ring, star, grid, full, edges
    case randomRegular = "random-regular"
    case smallWorld = "small-world"
  }

  @Setting("The shape: a line, a ring, a star around node 0, a grid, everybody with everybody, and so on.")
  public var kind = Kind.ring
  @Setting(
    "How many neighbours each node has; for random-regular, and for small-world (where it must be even).", in: 1...1000)
  public var degree = 4
  @Setting(
    "How likely it is that a link of a small world leads to a random node instead (Watts and Strogatz).", in: 0...1)
  public var rewire = 0.1
  @Setting("How many nodes a row of a grid has; by default so many that it is as square as can be.", in: 1...100_000)
  public var columns: Int? = nil
  @Setting("The links by name, for the shape \"edges\": pairs of nodes.")
  public var edges: [[Int]] = []

  public init() {}

  /// A shape with the defaults of its other settings.
  public init(_ kind: Kind) { self.kind = kind }

  /// Each node with so many random neighbours.
  public static func randomRegular(degree: Int) -> Topology {
    var topology = Topology(.randomRegular)
    topology.degree = degree
    return topology
  }

  /// A ring of so many neighbours, a part of whose links lead elsewhere.
  public static func smallWorld(degree: Int, rewire: Double) -> Topology {
    var topology = Topology(.smallWorld)
    topology.degree = degree
    topology.rewire = rewire
    return topology
  }

  /// Exactly these links.
  public static func edges(_ edges: [(Int, Int)]) -> Topology {
    var topology = Topology(.edges)
    topology.edges = edges.map { [$0.0, $0.1] }
    return topology
  }

  /// What is wrong with it for so many nodes, if anything.
  func problem(nodes: Int) -> JSONCodingError? {
    func error(_ key: String, _ found: String, _ expected: String) -> JSONCodingError {
      JSONCodingError(path: "topology.\(key)", found: found, expected: expected)
    }
    switch kind {
    case .full where nodes > 2_000:
      return error("kind", "\"full\" for \(nodes) nodes", "at most 2000 nodes, or another shape")
    case .randomRegular where degree >= nodes || nodes * degree % 2 != 0:
      return error("degree", "\(degree) for \(nodes) nodes", "less than the nodes, and an even number of ends in all")
    case .smallWorld where degree >= nodes || degree % 2 != 0:
      return error("degree", "\(degree) for \(nodes) nodes", "an even number, less than the nodes")
    case .edges:
      for (place, edge) in edges.enumerated() {
        guard edge.count == 2, edge[0] != edge[1], edge.allSatisfy({ (0..<nodes).contains($0) }) else {
          return error("edges[\(place)]", "\(edge)", "two different nodes from 0 to \(nodes - 1)")
        }
      }
      return nil
    default: return nil
    }
  }

  /// Each node's neighbours, in ascending order. The topology must have no `problem`.
  func neighbours(nodes: Int, _ random: inout RandomStream) -> [[Int32]] {
    var graph = Graph(nodes)
    switch kind {
    case .none: break
    case .line: for node in 1..<max(1, nodes) { graph.join(node - 1, node) }
    case .ring: graph.circulant(degree: 2)
    case .star: for node in 1..<max(1, nodes) { graph.join(0, node) }
    case .grid: graph.grid(columns: columns ?? Self.squareColumns(nodes))
    case .full: for left in 0..<nodes { for right in (left + 1)..<max(left + 1, nodes) { graph.join(left, right) } }
    case .edges: for edge in edges { graph.join(edge[0], edge[1]) }
    case .randomRegular: graph.randomRegular(degree: degree, &random)
    case .smallWorld: graph.smallWorld(degree: degree, rewire: rewire, &random)
    }
    return graph.adjacent.map { $0.sorted() }
  }

  private static func squareColumns(_ nodes: Int) -> Int {
    var columns = 1
    while columns * columns < nodes { columns += 1 }
    return columns
  }
}

/// An undirected graph without loops and without double links.
struct Graph {
  var adjacent: [[Int32]]

  init(_ nodes: Int) { adjacent = Array(repeating: [], count: nodes) }

  var count: Int { adjacent.count }

  func has(_ left: Int, _ right: Int) -> Bool { adjacent[left].contains(Int32(right)) }

  /// Links two nodes, unless they are the same or linked.
  mutating func join(_ left: Int, _ right: Int) {
    guard left != right, !has(left, right) else { return }
    adjacent[left].append(Int32(right))
    adjacent[right].append(Int32(left))
  }

  mutating func part(_ left: Int, _ right: Int) {
    adjacent[left].removeAll { $0 == Int32(right) }
    adjacent[right].removeAll { $0 == Int32(left) }
  }

  /// Each node with those before and after it on a ring; an odd degree also with the one across.
  mutating func circulant(degree: Int) {
    guard count > 1 else { return }
    for node in 0..<count {
      for step in 1..<max(2, degree / 2 + 1) where degree > 1 { join(node, (node + step) % count) }
      if degree % 2 == 1 { join(node, (node + count / 2) % count) }
    }
  }

  mutating func grid(columns: Int) {
    for node in 0..<count {
      if node % columns + 1 < columns, node + 1 < count { join(node, node + 1) }
      if node + columns < count { join(node, node + columns) }
    }
  }

  /// Starts regular and then swaps the ends of random pairs of links, which keeps every degree; again if it fell apart.
  mutating func randomRegular(degree: Int, _ random: inout RandomStream) {
    circulant(degree: degree)
    for _ in 0..<10 {
      var edges = edgeList
      for _ in 0..<edges.count * 10 { swapEnds(&edges, &random) }
      if isConnected || degree < 2 { return }
    }
  }

  /// The links, each once.
  var edgeList: [(Int, Int)] {
    var edges: [(Int, Int)] = []
    for node in 0..<count { for other in adjacent[node] where other > node { edges.append((node, Int(other))) } }
    return edges
  }

  private mutating func swapEnds(_ edges: inout [(Int, Int)], _ random: inout RandomStream) {
    let first = Int(random.next(below: UInt64(edges.count)))
    let second = Int(random.next(below: UInt64(edges.count)))
    let (a, b) = edges[first]
    let (c, d) = random.next() & 1 == 0 ? edges[second] : (edges[second].1, edges[second].0)
    guard a != c, a != d, b != c, b != d, !has(a, d), !has(c, b) else { return }
    part(a, b)
    part(c, d)
    join(a, d)
    join(c, b)
    edges[first] = (a, d)
    edges[second] = (c, b)
  }

  /// Watts and Strogatz, Nature 393 (1998): a ring of neighbours, each link led elsewhere with a probability.
  mutating func smallWorld(degree: Int, rewire: Double, _ random: inout RandomStream) {
    circulant(degree: degree)
    let odds = Odds(rewire)
    for step in 1..<max(2, degree / 2 + 1) {
      for node in 0..<count where odds.happens(&random) {
        let old = (node + step) % count
        let new = Int(random.next(below: UInt64(count)))
        // A node that is linked with everybody, or a draw that hits a neighbour, keeps its link.
        guard new != node, !has(node, new), has(node, old) else { continue }
        part(node, old)
        join(node, new)
      }
    }
  }

  /// Whether every node can be reached from node 0.
  var isConnected: Bool {
    guard count > 0 else { return true }
    var seen = [Bool](repeating: false, count: count)
    var open: [Int] = [0]
    seen[0] = true
    var reached = 0
    while let node = open.popLast() {
      reached += 1
      for other in adjacent[node] where !seen[Int(other)] {
        seen[Int(other)] = true
        open.append(Int(other))
      }
    }
    return reached == count
  }
}
