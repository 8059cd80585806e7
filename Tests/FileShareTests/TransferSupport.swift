// TransferSupport: nodes in simulation that share a file and fetch it.
import Glibc
import StackCore
import StackSim
import Testing

@testable import FileShare

/// Nodes of which the first `sharers` share one random file, and others may fetch it.
final class Swarm {
  let sim: Simulation
  let content: [UInt8]
  private(set) var link = ""
  let sharers: Int

  init(
    nodes: Int = 2, sharers: Int = 1, size: Int, section: JSON = [:], link: LinkSettings = LinkSettings(), seed: UInt64,
    topology: Topology = Topology(.full), extra: [any ProtocolLayer.Type] = []
  ) throws {
    var random = RandomStream(seed: seed, name: "content")
    var bytes: [UInt8] = []
    bytes.reserveCapacity(size + 8)
    while bytes.count < size { withUnsafeBytes(of: random.next()) { bytes.append(contentsOf: $0) } }
    bytes.removeLast(bytes.count - size)
    content = bytes
    self.sharers = sharers
    var layers: [String: JSON] = ["fileshare": section]
    for layer in extra { layers[layer.manifest.name] = [:] }
    sim = try Simulation(
      nodes: nodes, LayerSections(JSONObject(layers.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })),
      topology: topology, link: link, seed: seed, catalog: [FileShare.self] + extra)
    sim.run(for: .milliseconds(500))
    for node in 0..<sharers { try share(node) }
  }

  func share(_ node: Int) throws {
    try sim.disk(of: node).place("/shared/file.bin", content)
    let shared = finished(sim.call(node, "fileshare", "share", ["paths": ["/shared/file.bin"]], within: .seconds(60)))
    link = try #require(shared?["shared"]?.arrayValue?.first?["link"]?.stringValue)
  }

  func finished(_ replies: [CommandReply]) -> JSON? {
    if case .finished(let json)? = replies.last { return json }
    return nil
  }

  /// Fetches the file on a node; answers how long it took, nil when it didn't end well.
  func fetch(_ node: Int, _ input: JSONObject = [:], within: Duration = .seconds(600)) -> Duration? {
    var whole = input
    if whole["file"] == nil { whole["file"] = .string(link) }
    let start = sim.now
    let replies = sim.call(node, "fileshare", "download", .object(whole), within: within)
    if case .failed(let error)? = replies.last { Issue.record("\(error.message)") }
    return finished(replies) == nil ? nil : sim.now - start
  }

  func fetched(_ node: Int) -> [UInt8]? { sim.disk(of: node).contents("/data/fileshare/downloads/file.bin") }

  /// The first download of a node, as `downloads` shows it.
  func progress(_ node: Int) -> JSON? {
    finished(sim.call(node, "fileshare", "downloads"))?["downloads"]?.arrayValue?.first
  }

  func metric(_ node: Int, _ name: String) -> Double {
    for metric in sim.node(node)?.metricDescriptions ?? [] where metric.layer == "fileshare" && metric.name == name {
      switch metric.source {
      case .counter(let counter): return Double(counter.value)
      case .gauge(let value): return value()
      case .histogram: return 0
      }
    }
    return 0
  }
}

/// How long this thread computes for something: what else runs on the machine doesn't count.
func computing(_ body: () -> Void) -> Duration {
  func spent() -> Duration {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }
  let before = spent()
  body()
  return spent() - before
}
