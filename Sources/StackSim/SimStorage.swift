// SimStorage: a simulated node's storage, in memory, with a crash model.
import StackCore

/// All that one simulated node keeps. It outlives the node's own objects: after a crash, the node that starts again
/// opens its namespaces anew and finds what was committed.
///
/// It costs nothing to speak of until it is used: ten thousand idle nodes may each have one.
public final class SimStorage: NodeStorage {
  fileprivate struct Table {
    var name: String
    var version = 0
    var rows = OrderedBytes<[UInt8]>()
    var scans = 0
  }

  /// How to take back one write.
  private enum Undo {
    case row(table: Int, key: [UInt8], old: [UInt8]?)
    case version(table: Int, old: Int)
  }

  fileprivate var tables: [Table] = []
  /// What to take back if the node crashes now, oldest first. It is empty right after a commit.
  private var undo: [Undo] = []
  private var failure: StorageError?
  /// The bytes in all keys and values.
  public private(set) var usedBytes = 0
  /// The bytes that there is room for; a write beyond them fails as on a full disk.
  public var capacity: Int

  /// Empty storage with room for so many bytes.
  public init(capacity: Int = .max) { self.capacity = capacity }

  public func namespace(_ layer: String, version: Int) throws(StorageError) -> any LayerStorage {
    if let failure { throw failure }
    guard let index = tables.firstIndex(where: { $0.name == layer }) else {
      tables.append(Table(name: layer))
      return SimNamespace(store: self, table: tables.count - 1)
    }
    let stored = tables[index].version
    guard stored <= version else {
      throw StorageError(
        .newer, "the data of layer \(layer) is of schema \(stored), and this version knows only \(version)")
    }
    return SimNamespace(store: self, table: index)
  }

  public var isDirty: Bool { !undo.isEmpty || failure != nil }

  public func commit() throws(StorageError) {
    if let failure { throw failure }
    undo.removeAll(keepingCapacity: undo.count <= 64)
  }

  /// The node crashes: what was not committed is gone. Storage that had failed works again, as after a restart.
  public func crash() {
    while let last = undo.popLast() {
      switch last {
      case .row(let table, let key, let old): replace(table, key, old)
      case .version(let table, let old): tables[table].version = old
      }
    }
    failure = nil
  }

  /// The node's disk is lost: everything is gone, committed or not.
  public func erase() {
    for index in tables.indices {
      tables[index].version = 0
      tables[index].rows = OrderedBytes()
    }
    undo = []
    failure = nil
    usedBytes = 0
  }

  /// Makes every later call fail as a broken disk would, until `crash` or `erase`; what was not committed is lost.
  public func fail(_ error: StorageError) {
    crash()
    failure = error
  }

  fileprivate func checkReadable() throws(StorageError) {
    if let failure { throw failure }
  }

  fileprivate func checkWritable(_ table: Int) throws(StorageError) {
    if let failure { throw failure }
    guard tables[table].scans == 0 else {
      throw StorageError(.other, "layer \(tables[table].name) writes to its storage while it scans it")
    }
  }

  fileprivate func change(_ table: Int, _ key: [UInt8], _ value: [UInt8]?) throws(StorageError) {
    let old = replace(table, key, value)
    guard old != nil || value != nil else { return }
    undo.append(.row(table: table, key: key, old: old))
    if value != nil, usedBytes > capacity {
      let error = StorageError(.full, "the disk is full: storage has room for \(capacity) bytes")
      fail(error)
      throw error
    }
  }

  fileprivate func setVersion(_ table: Int, _ version: Int) {
    undo.append(.version(table: table, old: tables[table].version))
    tables[table].version = version
  }

  /// Puts a value (or nothing) under a key, and keeps count of the bytes.
  @discardableResult
  private func replace(_ table: Int, _ key: [UInt8], _ value: [UInt8]?) -> [UInt8]? {
    let old: [UInt8]?
    if let value {
      old = tables[table].rows.set(key, value)
      usedBytes += key.count + value.count
    } else {
      old = tables[table].rows.remove(key)
    }
    if let old { usedBytes -= key.count + old.count }
    return old
  }
}

/// One layer's table in a `SimStorage`.
private final class SimNamespace: LayerStorage {
  private let store: SimStorage
  private let table: Int

  init(store: SimStorage, table: Int) {
    self.store = store
    self.table = table
  }

  func get(_ key: [UInt8]) throws(StorageError) -> [UInt8]? {
    try store.checkReadable()
    return store.tables[table].rows[key]
  }

  func set(_ key: [UInt8], _ value: [UInt8]) throws(StorageError) {
    try store.checkWritable(table)
    try StorageLimits.check(key: key.count, value: value.count)
    try store.change(table, key, value)
  }

  func remove(_ key: [UInt8]) throws(StorageError) {
    try store.checkWritable(table)
    try store.change(table, key, nil)
  }

  func removeRange(from: [UInt8], upTo: [UInt8]?) throws(StorageError) {
    try store.checkWritable(table)
    var keys: [[UInt8]] = []
    store.tables[table].rows.scan(from: from, upTo: upTo) { key, _ in
      keys.append(key)
      return true
    }
    for key in keys { try store.change(table, key, nil) }
  }

  func scan(
    from: [UInt8], upTo: [UInt8]?, reversed: Bool, limit: Int, _ body: (_ key: [UInt8], _ value: [UInt8]) -> Bool
  ) throws(StorageError) {
    try store.checkReadable()
    store.tables[table].scans += 1
    defer { store.tables[table].scans -= 1 }
    // A copy, which shares its blocks: the body may read, and write to other namespaces.
    let rows = store.tables[table].rows
    rows.scan(from: from, upTo: upTo, reversed: reversed, limit: limit, body)
  }

  func count() throws(StorageError) -> Int {
    try store.checkReadable()
    return store.tables[table].rows.count
  }

  var storedVersion: Int { store.tables[table].version }

  func setStoredVersion(_ version: Int) throws(StorageError) {
    try store.checkWritable(table)
    store.setVersion(table, version)
  }
}
