// Support: a hand-driven pair of nodes, seeded chance and hex, for the tests of the core.
@testable import StackCore

/// Storage that keeps nothing, for nodes whose layers store nothing.
final class NoStorage: NodeStorage {
  final class Table: LayerStorage {
    var pairs: [[UInt8]: [UInt8]] = [:]
    var storedVersion = 0
    func get(_ key: [UInt8]) -> [UInt8]? { pairs[key] }
    func set(_ key: [UInt8], _ value: [UInt8]) { pairs[key] = value }
    func remove(_ key: [UInt8]) { pairs[key] = nil }
    func removeRange(from: [UInt8], upTo: [UInt8]?) {}
    func scan(
      from: [UInt8], upTo: [UInt8]?, reversed: Bool, limit: Int, _ body: ([UInt8], [UInt8]) -> Bool
    ) {}
    func count() -> Int { pairs.count }
    func setStoredVersion(_ version: Int) { storedVersion = version }
  }
  func namespace(_ layer: String, version: Int) -> any LayerStorage { Table() }
  var isDirty: Bool { false }
  func commit() {}
}

/// Files that are not there.
final class NoFiles: LayerFiles {
  func below(_ folder: String) -> any LayerFiles { self }
  func resolve(_ path: String) -> String { path }
  func facts(_ path: String) throws(FileError) -> FileFacts { throw FileError(.notFound, path) }
  func list(_ path: String, limit: Int) throws(FileError) -> [FileFacts] { [] }
  func open(_ path: String) throws(FileError) -> any ReadableFile { throw FileError(.notFound, path) }
  func create(_ path: String, reserving: Int64, resuming: Bool) throws(FileError) -> any WritableFile {
    throw FileError(.refused, path)
  }
  func makeDirectory(_ path: String) {}
  func remove(_ path: String) {}
}

/// One datagram on its way.
struct Datagram {
  var from: Address
  var to: Address
  var bytes: [UInt8]
}

extension Node {
  static func make(
    _ name: String, _ address: Address, peers: [Address] = [], seed: UInt64 = 1,
    layers: [(type: any ProtocolLayer.Type, section: JSON)], limits: NodeLimits = NodeLimits()
  ) throws -> Node {
    var blueprint = NodeBlueprint(name: name, address: address, peers: peers, layers: layers, seed: seed)
    blueprint.limits = limits
    return try Node(blueprint, storage: NoStorage()) { _ in NoFiles() }
  }

  /// All datagrams that wait, segments apart.
  func takeDatagrams() -> [Datagram] {
    var result: [Datagram] = []
    withOutgoing { base, entries in
      for entry in entries {
        var offset = entry.offset
        let end = entry.offset + entry.byteCount
        while offset < end {
          let size = entry.segmentSize == 0 ? end - offset : min(entry.segmentSize, end - offset)
          result.append(
            Datagram(
              from: address, to: entry.destination,
              bytes: [UInt8](UnsafeRawBufferPointer(start: base + offset, count: size))))
          offset += size
        }
      }
      return (entries.count, 0)
    }
    return result
  }

  func receive(_ bytes: [UInt8], from sender: Address, at time: Instant? = nil) {
    receive(bytes.span.bytes, from: sender, at: time ?? now)
  }

  func dropped(_ reason: DropReason) -> UInt64 { traffic.drops.first { $0.reason == reason }?.count ?? 0 }
}

/// Some nodes and the datagrams between them, delivered at once.
final class Exchange {
  var nodes: [Node]
  var time = Instant(nanoseconds: 0)
  /// Answers whether a datagram arrives.
  var passes: (Datagram) -> Bool = { _ in true }
  var delivered: [Datagram] = []

  init(_ nodes: [Node]) { self.nodes = nodes }

  func start() {
    for node in nodes { node.start(at: time) }
    pump()
  }

  func pump() {
    var quiet = false
    while !quiet {
      quiet = true
      for node in nodes {
        for datagram in node.takeDatagrams() {
          quiet = false
          guard passes(datagram) else { continue }
          delivered.append(datagram)
          nodes.first { $0.address == datagram.to }?.receive(datagram.bytes, from: datagram.from, at: time)
        }
      }
    }
  }

  /// Runs all timers up to a time.
  func run(for duration: Duration) {
    let end = time + duration
    while let next = nodes.compactMap(\.nextDeadline).min(), next <= end {
      time = max(time, next)
      for node in nodes { node.fireTimers(at: time) }
      pump()
    }
    time = end
  }
}

func address(_ last: UInt32, loopback: Bool = false, port: UInt16 = 4000) -> Address {
  Address(ipv4: (loopback ? 0x7f00_0000 : 0x0a00_0000) | last, port: port)
}
