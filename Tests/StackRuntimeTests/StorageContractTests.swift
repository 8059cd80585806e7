// What every NodeStorage promises, asked of the real one and of the simulated one alike.
import Foundation
import StackCore
import StackSim
import Testing

@testable import StackRuntime

/// Which storage is asked.
enum StorageKind: String, CaseIterable { case sqlite, simulated }

/// A storage that can be crashed and opened again.
final class StorageBench {
  private var scratch: ScratchDirectory?
  private let limit: Int?
  private var simulated: SimStorage?
  private(set) var storage: any NodeStorage

  init(_ kind: StorageKind, limit: Int? = nil) throws {
    self.limit = limit
    switch kind {
    case .sqlite:
      let directory = try ScratchDirectory()
      scratch = directory
      storage = try SQLiteStorage(directory: directory.path, maximumBytes: limit.map { Int64($0) })
    case .simulated:
      let store = SimStorage(capacity: limit ?? .max)
      simulated = store
      storage = store
    }
  }

  /// The node is killed at this instant and started again. For SQLite: the files as they are now are copied, as
  /// they would be found after SIGKILL, and opened while the killed storage never gets to say another word.
  func crash() throws {
    if let simulated { return simulated.crash() }
    guard let before = scratch else { return }
    let image = try ScratchDirectory()
    for name in [SQLiteStorage.fileName, SQLiteStorage.fileName + "-wal"] where before.exists(name) {
      try image.write(name, try before.read(name))
    }
    storage = try SQLiteStorage(directory: image.path, maximumBytes: limit.map { Int64($0) })
    scratch = image
  }
}

/// All pairs of a range.
func pairs(
  _ storage: any LayerStorage, from: [UInt8] = [], upTo: [UInt8]? = nil, reversed: Bool = false, limit: Int = .max
) throws -> [[[UInt8]]] {
  var found: [[[UInt8]]] = []
  try storage.scan(from: from, upTo: upTo, reversed: reversed, limit: limit) { key, value in
    found.append([key, value])
    return true
  }
  return found
}

/// The plainest model of one namespace.
private struct Model {
  var rows: [[UInt8]: [UInt8]] = [:]
  var version = 0

  func pairs(from: [UInt8], upTo: [UInt8]?, reversed: Bool, limit: Int) -> [[[UInt8]]] {
    let keys = rows.keys.filter { key in
      !key.lexicographicallyPrecedes(from) && upTo.map { key.lexicographicallyPrecedes($0) } ?? true
    }.sorted { $0.lexicographicallyPrecedes($1) }
    let ordered = reversed ? keys.reversed() : keys
    return ordered.prefix(limit).map { [$0, rows[$0] ?? []] }
  }
}

@Suite struct StorageContractTests {
  @Test(arguments: StorageKind.allCases) func whatWasWrittenIsReadAtOnce(kind: StorageKind) throws {
    let bench = try StorageBench(kind)
    let storage = bench.storage
    let layer = try storage.namespace("gossip", version: 1)
    #expect(try layer.get([1]) == nil)
    try layer.set([1], [2, 3])
    try layer.set([], [])
    #expect(storage.isDirty)
    #expect(try layer.get([1]) == [2, 3])
    #expect(try layer.get([]) == [])
    #expect(try layer.count() == 2)
    try layer.remove([1])
    try layer.remove([9])
    #expect(try layer.get([1]) == nil)
    #expect(try layer.count() == 1)
    try storage.commit()
    #expect(!storage.isDirty)
  }

  @Test(arguments: StorageKind.allCases) func layersDoNotSeeEachOther(kind: StorageKind) throws {
    let bench = try StorageBench(kind)
    let storage = bench.storage
    let names = ["gossip", "Gossip", "a-b", "a_b", "a$2db", "x\"; DROP TABLE namespaces; --", "", "é", "\u{1}"]
    for (index, name) in names.enumerated() {
      try storage.namespace(name, version: 1).set([0], [UInt8(index)])
    }
    try storage.commit()
    for (index, name) in names.enumerated() {
      #expect(try storage.namespace(name, version: 1).get([0]) == [UInt8(index)])
    }
  }

  @Test(arguments: StorageKind.allCases) func aNewerSchemaIsRefused(kind: StorageKind) throws {
    let bench = try StorageBench(kind)
    let layer = try bench.storage.namespace("chain", version: 3)
    #expect(layer.storedVersion == 0)
    try layer.setStoredVersion(3)
    #expect(layer.storedVersion == 3)
    try bench.storage.commit()
    try bench.crash()
    #expect(try bench.storage.namespace("chain", version: 4).storedVersion == 3)
    let error = #expect(throws: StorageError.self) { try bench.storage.namespace("chain", version: 2) }
    #expect(error?.kind == .newer)
    #expect(error?.message.contains("chain") == true)
  }

  @Test(arguments: StorageKind.allCases) func aScanIsOrderedBoundedAndStops(kind: StorageKind) throws {
    let bench = try StorageBench(kind)
    let layer = try bench.storage.namespace("search", version: 1)
    for key: [UInt8] in [[2], [1, 0], [1], [255], [], [1, 255], [3]] { try layer.set(key, [UInt8(key.count)]) }
    #expect(try pairs(layer).map { $0[0] } == [[], [1], [1, 0], [1, 255], [2], [3], [255]])
    #expect(try pairs(layer, from: [1], upTo: [2]).map { $0[0] } == [[1], [1, 0], [1, 255]])
    #expect(try pairs(layer, from: [1], upTo: [2], reversed: true).map { $0[0] } == [[1, 255], [1, 0], [1]])
    #expect(try pairs(layer, from: [1], reversed: true, limit: 2).map { $0[0] } == [[255], [3]])
    #expect(try pairs(layer, from: [3], upTo: [2]).isEmpty)
    #expect(try pairs(layer, from: [3], upTo: [2], reversed: true).isEmpty)
    #expect(try pairs(layer, limit: 0).isEmpty)
    var seen = 0
    try layer.scan(from: [], upTo: nil, reversed: false, limit: 100) { _, _ in
      seen += 1
      return seen < 3
    }
    #expect(seen == 3)
    try layer.removeRange(from: [1], upTo: [2])
    #expect(try layer.count() == 4)
    try layer.removeRange(from: [3], upTo: nil)
    #expect(try pairs(layer).map { $0[0] } == [[], [2]])
  }

  @Test(arguments: StorageKind.allCases) func aScanMayReadButNotWrite(kind: StorageKind) throws {
    let bench = try StorageBench(kind)
    let storage = bench.storage
    let layer = try storage.namespace("routing", version: 1)
    let other = try storage.namespace("gossip", version: 1)
    for key in UInt8(0)..<5 { try layer.set([key], [key &* 2]) }
    var sums: [UInt8] = []
    try layer.scan(from: [], upTo: nil, reversed: false, limit: .max) { key, _ in
      #expect(throws: StorageError.self) { try layer.set([9], []) }
      #expect(throws: Never.self) { try other.set(key, []) }
      let inner = try? pairs(layer, from: key, reversed: true)
      sums.append(UInt8(inner?.count ?? 99) &+ ((try? layer.get(key))?.first ?? 99))
      return true
    }
    #expect(sums == [5, 6, 7, 8, 9])
    #expect(try other.count() == 5)
    try layer.set([9], [])
    #expect(try layer.count() == 6)
  }

  @Test(arguments: StorageKind.allCases) func whatIsTooLargeIsRefusedAndNothingElse(kind: StorageKind) throws {
    let bench = try StorageBench(kind)
    let storage = bench.storage
    let layer = try storage.namespace("store", version: 1)
    try layer.set([1], [1])
    let long = [UInt8](repeating: 1, count: StorageLimits.keyBytes + 1)
    #expect(throws: StorageError.self) { try layer.set(long, []) }
    #expect(throws: StorageError.self) { try layer.set([1], .init(repeating: 0, count: StorageLimits.valueBytes + 1)) }
    try layer.set(long.dropLast(), [UInt8](repeating: 7, count: StorageLimits.valueBytes))
    #expect(try layer.get([1]) == [1])
    try storage.commit()
    #expect(try layer.get(long.dropLast())?.count == StorageLimits.valueBytes)
  }

  @Test(arguments: StorageKind.allCases) func aFullDiskTakesTheUnitAndStopsTheStorage(kind: StorageKind) throws {
    let bench = try StorageBench(kind, limit: 256 << 10)
    let layer = try bench.storage.namespace("store", version: 1)
    try layer.set([1], [1])
    try bench.storage.commit()
    var failure: StorageError?
    for key in UInt8(2)...255 where failure == nil {
      do { try layer.set([key], [UInt8](repeating: key, count: 5000)) } catch { failure = error }
    }
    #expect(failure?.kind == .full)
    // Nothing works any more, and the driver that would send is told so.
    #expect(bench.storage.isDirty)
    let again = #expect(throws: StorageError.self) { try bench.storage.commit() }
    #expect(again == failure)
    #expect(throws: StorageError.self) { try layer.get([1]) }
    #expect(throws: StorageError.self) { try layer.set([1], [2]) }
    #expect(throws: StorageError.self) { try bench.storage.namespace("gossip", version: 1) }
    // Opened again, it has the last commit and nothing after it, and works.
    try bench.crash()
    let after = try bench.storage.namespace("store", version: 1)
    #expect(try pairs(after) == [[[1], [1]]])
    try after.set([2], [2])
    try bench.storage.commit()
    #expect(try after.count() == 2)
  }

  /// Random operations on two namespaces against the model, with commits and crashes in between.
  @Test(arguments: StorageKind.allCases, [1, 2, 3, 4] as [UInt64])
  func randomOperationsAgreeWithTheModel(kind: StorageKind, seed: UInt64) throws {
    var numbers = RandomStream(seed: seed)
    let bench = try StorageBench(kind)
    let names = ["gossip", "file-share"]
    var layers = try names.map { try bench.storage.namespace($0, version: .max) }
    var models = [Model(), Model()]
    var durable = models
    func key() -> [UInt8] {
      (0..<Int.random(in: 0...3, using: &numbers)).map { _ in .random(in: 0...5, using: &numbers) }
    }
    for step in 0..<1500 {
      let which = Int.random(in: 0...1, using: &numbers)
      let layer = layers[which]
      switch Int.random(in: 0..<100, using: &numbers) {
      case ..<50:
        let (key, value) = (key(), [UInt8](repeating: UInt8(step & 255), count: .random(in: 0...600, using: &numbers)))
        try layer.set(key, value)
        models[which].rows[key] = value
      case ..<65:
        let key = key()
        try layer.remove(key)
        models[which].rows[key] = nil
      case ..<70:
        let (from, upTo) = (key(), Bool.random(using: &numbers) ? key() : nil)
        try layer.removeRange(from: from, upTo: upTo)
        for pair in models[which].pairs(from: from, upTo: upTo, reversed: false, limit: .max) {
          models[which].rows[pair[0]] = nil
        }
      case ..<88:
        let (from, upTo) = (key(), Bool.random(using: &numbers) ? key() : nil)
        let (reversed, limit) = (Bool.random(using: &numbers), Int.random(in: 0...40, using: &numbers))
        let found = try pairs(layer, from: from, upTo: upTo, reversed: reversed, limit: limit)
        #expect(found == models[which].pairs(from: from, upTo: upTo, reversed: reversed, limit: limit))
      case ..<90:
        try layer.setStoredVersion(step)
        models[which].version = step
      case ..<97:
        try bench.storage.commit()
        durable = models
      default:
        try bench.crash()
        models = durable
        layers = try names.map { try bench.storage.namespace($0, version: .max) }
      }
      let key = key()
      try #require(try layers[which].get(key) == models[which].rows[key], "seed \(seed), step \(step)")
      if step % 3 == 0 { try #require(try layers[which].count() == models[which].rows.count) }
      #expect(layers[which].storedVersion == models[which].version)
    }
  }
}
