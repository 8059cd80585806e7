// SQLiteNamespace: one layer's table in the node's database.
import CSQLite
import StackCore

/// One layer's own table. Its statements are prepared when first needed, and go when the layer lets go of it.
final class SQLiteNamespace: LayerStorage {
  /// A statement of this table, by what it does.
  private enum Verb: Int, CaseIterable {
    case get, put, insertNew, replaceOld, remove, removeFrom, removeRange, count
    case forwardsFrom, forwardsRange, backwardsFrom, backwardsRange
  }

  private let connection: SQLiteConnection
  private let layer: String
  private let table: String
  private var statements = [SQLiteStatement?](repeating: nil, count: Verb.allCases.count)
  private(set) var storedVersion: Int
  /// How many scans are under way: no write may come in between.
  private var scans = 0
  /// How many pairs there are, once somebody asked; from then on each write keeps it true.
  private var knownCount: Int?

  init(_ connection: SQLiteConnection, layer: String, version: Int) throws(StorageError) {
    self.connection = connection
    self.layer = layer
    table = "\"" + Self.tableName(of: layer) + "\""
    let find = try connection.prepare("SELECT version FROM namespaces WHERE name = ?1")
    find.bind(1, layer)
    let isThere = try find.step()
    storedVersion = isThere ? find.number(0) : 0
    find.reset()
    if isThere {
      try checkVersion(version)
      return
    }
    try connection.begin()
    try connection.execute(
      "CREATE TABLE \(table) (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID")
    try storeVersion(0)
  }

  /// The table of a layer: `layer_` and its name, in which every byte but a-z, 0-9 and _ is written as $ and two hex
  /// digits. No two layers share one (SQLite's names don't tell A from a), and no name breaks out of its quotes.
  static func tableName(of layer: String) -> String {
    var name = "layer_"
    for byte in layer.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        name.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        name += (byte < 16 ? "$0" : "$") + String(byte, radix: 16)
      }
    }
    return name
  }

  /// Refuses what was written by a later version of the layer.
  func checkVersion(_ version: Int) throws(StorageError) {
    guard storedVersion <= version else {
      throw StorageError(
        .newer,
        "the data of layer \(layer) in \(connection.directory) was written by a newer version of it (schema "
          + "\(storedVersion), this one knows \(version)); use that version or another data directory")
    }
  }

  func setStoredVersion(_ version: Int) throws(StorageError) {
    try checkWritable()
    try connection.begin()
    try storeVersion(version)
  }

  private func storeVersion(_ version: Int) throws(StorageError) {
    let keep = try connection.prepare("INSERT OR REPLACE INTO namespaces (name, version) VALUES (?1, ?2)")
    keep.bind(1, layer)
    keep.bind(2, version)
    _ = try keep.step()
    storedVersion = version
  }

  // MARK: One pair

  func get(_ key: [UInt8]) throws(StorageError) -> [UInt8]? {
    try connection.checkUsable()
    let statement = try statement(.get)
    statement.bind(1, key)
    guard try statement.step() else {
      statement.reset()
      return nil
    }
    let value = statement.bytes(0)
    statement.reset()
    return value
  }

  func set(_ key: [UInt8], _ value: [UInt8]) throws(StorageError) {
    try checkWritable()
    try StorageLimits.check(key: key.count, value: value.count)
    try connection.begin()
    guard let known = knownCount else {
      try statement(.put).run(key, value)
      return
    }
    // A replacement doesn't say whether it added: ask for each of the two.
    if try statement(.insertNew).run(key, value) > 0 {
      knownCount = known + 1
    } else {
      try statement(.replaceOld).run(key, value)
    }
  }

  func remove(_ key: [UInt8]) throws(StorageError) {
    try checkWritable()
    try connection.begin()
    let removed = try statement(.remove).run(key)
    knownCount = knownCount.map { $0 - removed }
  }

  // MARK: Many pairs

  func removeRange(from: [UInt8], upTo: [UInt8]?) throws(StorageError) {
    try checkWritable()
    try connection.begin()
    let removed = try statement(upTo == nil ? .removeFrom : .removeRange).run(from, upTo)
    knownCount = knownCount.map { $0 - removed }
  }

  func scan(
    from: [UInt8], upTo: [UInt8]?, reversed: Bool, limit: Int, _ body: (_ key: [UInt8], _ value: [UInt8]) -> Bool
  ) throws(StorageError) {
    try connection.checkUsable()
    guard limit > 0 else { return }
    let verb: Verb =
      reversed ? (upTo == nil ? .backwardsFrom : .backwardsRange) : (upTo == nil ? .forwardsFrom : .forwardsRange)
    var rows = try statement(verb)
    // A scan within a scan has a statement of its own.
    if rows.isInUse { rows = try connection.prepare(sql(verb)) }
    rows.isInUse = true
    scans += 1
    defer {
      rows.reset()
      rows.isInUse = false
      scans -= 1
    }
    rows.bind(1, from)
    if let upTo { rows.bind(2, upTo) }
    var left = limit
    // The limit is counted here, not by SQLite, so that the body is what holds the cursor, and stops it.
    while left > 0, try rows.step() {
      guard body(rows.bytes(0), rows.bytes(1)) else { return }
      left -= 1
    }
  }

  func count() throws(StorageError) -> Int {
    try connection.checkUsable()
    if let knownCount { return knownCount }
    let statement = try statement(.count)
    let count = try statement.step() ? statement.number(0) : 0
    statement.reset()
    knownCount = count
    return count
  }

  // MARK: Statements

  /// Lets go of all statements, before the file is closed.
  func dropStatements() { statements = [SQLiteStatement?](repeating: nil, count: Verb.allCases.count) }

  private func checkWritable() throws(StorageError) {
    try connection.checkUsable()
    guard scans == 0 else {
      throw StorageError(.other, "layer \(layer) writes to its storage while it scans it")
    }
  }

  private func statement(_ verb: Verb) throws(StorageError) -> SQLiteStatement {
    if let ready = statements[verb.rawValue] { return ready }
    let made = try connection.prepare(sql(verb))
    statements[verb.rawValue] = made
    return made
  }

  private func sql(_ verb: Verb) -> String {
    let pairs = "SELECT key, value FROM \(table) WHERE key >= ?1"
    switch verb {
    case .get: return "SELECT value FROM \(table) WHERE key = ?1"
    case .put: return "INSERT OR REPLACE INTO \(table) (key, value) VALUES (?1, ?2)"
    case .insertNew: return "INSERT INTO \(table) (key, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING"
    case .replaceOld: return "UPDATE \(table) SET value = ?2 WHERE key = ?1"
    case .remove: return "DELETE FROM \(table) WHERE key = ?1"
    case .removeFrom: return "DELETE FROM \(table) WHERE key >= ?1"
    case .removeRange: return "DELETE FROM \(table) WHERE key >= ?1 AND key < ?2"
    case .count: return "SELECT count(*) FROM \(table)"
    case .forwardsFrom: return pairs + " ORDER BY key"
    case .forwardsRange: return pairs + " AND key < ?2 ORDER BY key"
    case .backwardsFrom: return pairs + " ORDER BY key DESC"
    case .backwardsRange: return pairs + " AND key < ?2 ORDER BY key DESC"
    }
  }
}
