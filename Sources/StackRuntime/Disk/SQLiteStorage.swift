// SQLiteStorage: a node's storage as one SQLite file in its data directory, a table a layer.
import CSQLite
import Glibc
import StackCore

/// A real node's storage: the file `node.sqlite` of its data directory, in write-ahead mode.
///
/// The first write opens a transaction and `commit` ends it. What a failure does is told at `NodeStorage`: a unit that
/// can't be written is rolled back, and the storage stops until it is opened again. Anybody may read the file
/// with their own tools while the node runs; the tables are listed in `namespaces`.
///
/// It belongs to the thread that made it. Hold a `DataDirectoryLock` before opening it.
public final class SQLiteStorage: NodeStorage {
  /// What a commit outlives.
  public enum Durability: Sendable {
    /// The end of the process, however it ends. A loss of power may take the last commits, but never damages the rest.
    case process
    /// A loss of power too; each commit waits for the disk.
    case power
  }

  /// The layout of the file that this version writes; a file of a later one is refused.
  public static let format = 1
  /// The name of the file in the data directory.
  public static let fileName = "node.sqlite"

  private let connection: SQLiteConnection
  /// Namespaces in use, so that two holders of one share its state. One that nobody uses takes its statements with it.
  private var namespaces: [String: WeakNamespace] = [:]

  private struct WeakNamespace {
    weak var namespace: SQLiteNamespace?
  }

  /// Opens the storage of a data directory, which must be there, and makes it if it is new.
  ///
  /// `maximumBytes` limits the size of the file: a write beyond it fails as on a full disk.
  public init(
    directory: String, durability: Durability = .process, maximumBytes: Int64? = nil
  ) throws(StorageError) {
    let path = directory + "/" + Self.fileName
    let before = try SQLiteFile.prepare(path, directory: directory)
    connection = try SQLiteConnection(path: path, directory: directory)
    try connection.openFormat()
    if before.needsCheck { try connection.check() }
    try connection.configure(durability, maximumBytes: maximumBytes)
  }

  public func namespace(_ layer: String, version: Int) throws(StorageError) -> any LayerStorage {
    try connection.checkUsable()
    if let namespace = namespaces[layer]?.namespace {
      try namespace.checkVersion(version)
      return namespace
    }
    let namespace = try SQLiteNamespace(connection, layer: layer, version: version)
    namespaces[layer] = WeakNamespace(namespace: namespace)
    return namespace
  }

  public var isDirty: Bool { connection.isInTransaction || connection.failure != nil }

  public func commit() throws(StorageError) { try connection.commit() }

  /// Closes the file. A statement that is still there would keep it open, so all of them go first.
  public func close() {
    for entry in namespaces.values { entry.namespace?.dropStatements() }
    connection.close()
  }
}

/// What the file itself says before SQLite opens it.
private struct SQLiteFile {
  /// Whether to look for damage: after an unclean end, or when the file is so small that it costs nothing.
  var needsCheck: Bool

  private static let small: Int64 = 1 << 20
  /// Beyond this, looking through the whole file would hold up the start for too long; damage shows when it is met.
  private static let large: Int64 = 1 << 30

  /// Makes the file, for its owner only, when it is missing, and refuses what is no regular file.
  static func prepare(_ path: String, directory: String) throws(StorageError) -> SQLiteFile {
    var facts = stat()
    if lstat(path, &facts) != 0 {
      guard errno == ENOENT else { throw unreachable(path, directory) }
      let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      guard file >= 0 else { throw unreachable(path, directory) }
      close(file)
      return SQLiteFile(needsCheck: false)
    }
    guard facts.st_mode & S_IFMT == S_IFREG else {
      throw StorageError(.other, "\(path) is not a regular file; move it away, or choose another data directory")
    }
    let size = Int64(facts.st_size)
    // SQLite removes the write-ahead file when it closes; if one is left, the last end was not clean.
    let isUnclean = lstat(path + "-wal", &facts) == 0 && facts.st_size > 0
    return SQLiteFile(needsCheck: size <= (isUnclean ? large : small))
  }

  private static func unreachable(_ path: String, _ directory: String) -> StorageError {
    switch errno {
    case EACCES, EPERM, EROFS: return .readOnly(directory)
    case ENOSPC, EDQUOT: return .full(directory, isLimited: false)
    case ENOENT, ENOTDIR:
      return StorageError(.other, "the data directory \(directory) doesn't exist; make it, or choose another")
    case let code: return StorageError(.other, "\(path) can't be opened: \(reason(code))")
    }
  }
}

extension StorageError {
  static func readOnly(_ directory: String) -> StorageError {
    StorageError(
      .readOnly,
      "the data directory \(directory) can't be written; give this user the right to write there, or choose another")
  }

  static func full(_ directory: String, isLimited: Bool) -> StorageError {
    isLimited
      ? StorageError(.full, "the storage in \(directory) has reached the size it is limited to; raise the limit")
      : StorageError(.full, "the disk of the data directory \(directory) is full; free some space and start again")
  }

  static func damaged(_ directory: String, _ detail: String) -> StorageError {
    StorageError(
      .damaged,
      "the database \(directory)/\(SQLiteStorage.fileName) is damaged (\(detail)); bring back a copy, rescue what is "
        + "left with `sqlite3 \(SQLiteStorage.fileName) .recover`, or move the file away to start afresh")
  }

  static func newer(_ directory: String, format: Int) -> StorageError {
    StorageError(
      .newer,
      "\(directory) was written by a newer Strata (format \(format), this one knows \(SQLiteStorage.format)); use that "
        + "version or another data directory")
  }
}

/// One open database: its transaction, its prepared statements' home, and what its errors mean.
final class SQLiteConnection {
  let handle: OpaquePointer
  let directory: String
  private(set) var isInTransaction = false
  /// Why the storage has stopped.
  private(set) var failure: StorageError?
  private var isClosed = false
  /// Whether a full database may be full by our own limit.
  private var isLimited = false

  /// "Stra" in ASCII: marks the file as ours to `file` and to us.
  private static let applicationID = 0x5374_7261

  init(path: String, directory: String) throws(StorageError) {
    var opened: OpaquePointer?
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    let code = sqlite3_open_v2(path, &opened, flags, nil)
    guard let opened else { throw StorageError(.other, "\(path) can't be opened: out of memory") }
    // From here on deinit closes it, also when what follows throws.
    handle = opened
    self.directory = directory
    guard code == SQLITE_OK else { throw error(code) }
    // Another program that writes is waited for, but not for long: the node's one thread stands still meanwhile.
    sqlite3_busy_timeout(handle, 500)
    guard sqlite3_db_readonly(handle, "main") == 0 else { throw .readOnly(directory) }
  }

  deinit { if !isClosed { sqlite3_close_v2(handle) } }

  /// Closes the file; an open transaction is rolled back. From then on every use is refused before it reaches SQLite.
  func close() {
    guard !isClosed else { return }
    failure = StorageError(.other, "the storage in \(directory) was closed")
    isInTransaction = false
    isClosed = true
    sqlite3_close_v2(handle)
  }

  // MARK: Opening

  /// Refuses what isn't ours or is newer; lays out a new file.
  func openFormat() throws(StorageError) {
    try execute("PRAGMA trusted_schema = OFF")
    let application = try number("PRAGMA application_id")
    let format = try number("PRAGMA user_version")
    let tables = try number("SELECT count(*) FROM sqlite_schema")
    let isNew = application == 0 && format == 0 && tables == 0
    guard isNew || application == Self.applicationID else {
      throw StorageError(
        .other, "\(directory)/\(SQLiteStorage.fileName) is a database of another program; choose another data directory"
      )
    }
    guard format <= SQLiteStorage.format else { throw .newer(directory, format: format) }
    guard try text("PRAGMA journal_mode = WAL") == "wal" else {
      throw StorageError(
        .other, "the file system of \(directory) can't share memory between programs; put the data on a local disk")
    }
    guard isNew else { return }
    try execute("BEGIN IMMEDIATE")
    try execute("CREATE TABLE namespaces (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID")
    try execute("PRAGMA application_id = \(Self.applicationID)")
    try execute("PRAGMA user_version = \(SQLiteStorage.format)")
    try execute("COMMIT")
  }

  /// Looks for damage.
  func check() throws(StorageError) {
    let found = try text("PRAGMA quick_check(1)")
    guard found == "ok" else { throw .damaged(directory, found) }
  }

  /// Sets how durable, how large, and how little memory.
  func configure(_ durability: SQLiteStorage.Durability, maximumBytes: Int64?) throws(StorageError) {
    try execute("PRAGMA synchronous = \(durability == .power ? "FULL" : "NORMAL")")
    // At most 2 MiB of pages, of which an idle node takes only what it has touched.
    try execute("PRAGMA cache_size = -2048")
    // The write-ahead file is folded into the database at about 4 MiB, and cut back to that if it was ever larger.
    try execute("PRAGMA wal_autocheckpoint = 1000")
    _ = try number("PRAGMA journal_size_limit = 4194304")
    if let maximumBytes {
      isLimited = true
      let pages = max(8, maximumBytes / Int64(try number("PRAGMA page_size")))
      _ = try number("PRAGMA max_page_count = \(pages)")
    }
  }

  // MARK: The transaction

  func checkUsable() throws(StorageError) {
    if let failure { throw failure }
  }

  /// Opens the transaction if none is open.
  func begin() throws(StorageError) {
    try checkUsable()
    guard !isInTransaction else { return }
    let code = sqlite3_exec(handle, "BEGIN IMMEDIATE", nil, nil, nil)
    isInTransaction = code == SQLITE_OK
    if isInTransaction { return }
    let error = error(code)
    if error.kind != .busy { failure = error }
    throw error
  }

  func commit() throws(StorageError) {
    try checkUsable()
    guard isInTransaction else { return }
    let code = sqlite3_exec(handle, "COMMIT", nil, nil, nil)
    guard code == SQLITE_OK else { throw failed(code) }
    isInTransaction = false
  }

  /// The error for a call that failed; it stops the storage where the open unit can't be kept whole.
  func failed(_ code: Int32) -> StorageError {
    let error = error(code)
    let wasRolledBack = isInTransaction && sqlite3_get_autocommit(handle) != 0
    let mayGoOn = error.kind == .busy || code & 0xff == SQLITE_TOOBIG
    guard wasRolledBack || (isInTransaction && !mayGoOn) else { return error }
    if !wasRolledBack { sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
    isInTransaction = false
    failure = error
    return error
  }

  // MARK: Statements

  func prepare(_ sql: String) throws(StorageError) -> SQLiteStatement {
    var statement: OpaquePointer?
    let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
    guard code == SQLITE_OK, let statement else { throw failed(code) }
    return SQLiteStatement(statement, of: self)
  }

  func execute(_ sql: String) throws(StorageError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw failed(code) }
  }

  /// The first column of the first row as a number; 0 if there is no row.
  func number(_ sql: String) throws(StorageError) -> Int {
    let statement = try prepare(sql)
    return try statement.step() ? statement.number(0) : 0
  }

  /// The first column of the first row as text; empty if there is no row.
  func text(_ sql: String) throws(StorageError) -> String {
    let statement = try prepare(sql)
    return try statement.step() ? statement.text(0) : ""
  }

  // MARK: Errors

  /// What a result code means for a person.
  private func error(_ code: Int32) -> StorageError {
    let system = sqlite3_system_errno(handle)
    switch code & 0xff {
    case SQLITE_FULL: return .full(directory, isLimited: isLimited)
    case SQLITE_READONLY, SQLITE_PERM: return .readOnly(directory)
    case SQLITE_CORRUPT, SQLITE_NOTADB: return .damaged(directory, message)
    case SQLITE_BUSY, SQLITE_LOCKED:
      return StorageError(
        .busy, "another program is writing to \(directory)/\(SQLiteStorage.fileName); close it and try again")
    case SQLITE_CANTOPEN, SQLITE_IOERR:
      if [EACCES, EPERM, EROFS].contains(system) { return .readOnly(directory) }
      if [ENOSPC, EDQUOT].contains(system) { return .full(directory, isLimited: false) }
      let detail = system == 0 ? message : reason(system)
      return StorageError(
        .other, "the disk of \(directory) reports an error (\(detail)); see to the disk, then start again")
    default: return StorageError(.other, "the database in \(directory) refuses: \(message)")
    }
  }

  private var message: String { String(cString: sqlite3_errmsg(handle)) }
}

/// One prepared statement, finalized with its object.
final class SQLiteStatement {
  private let handle: OpaquePointer
  private let connection: SQLiteConnection
  /// Whether a scan is under way in it.
  var isInUse = false

  init(_ handle: OpaquePointer, of connection: SQLiteConnection) {
    self.handle = handle
    self.connection = connection
  }

  deinit { sqlite3_finalize(handle) }

  /// Goes to the next row; false at the end.
  func step() throws(StorageError) -> Bool {
    switch sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    case let code:
      sqlite3_reset(handle)
      throw connection.failed(code)
    }
  }

  /// Makes it ready to run again, and forgets what was bound.
  func reset() {
    sqlite3_reset(handle)
    sqlite3_clear_bindings(handle)
  }

  /// Runs a writing statement to its end with up to two parameters; answers how many rows it changed.
  @discardableResult
  func run(_ first: [UInt8], _ second: [UInt8]? = nil) throws(StorageError) -> Int {
    // The bytes are lent to SQLite, not copied: they stay in place until the statement is reset.
    let code = first.withUnsafeBytes { first in
      bind(1, first, nil)
      guard let second else { return sqlite3_step(handle) }
      return second.withUnsafeBytes { second in
        bind(2, second, nil)
        return sqlite3_step(handle)
      }
    }
    reset()
    guard code == SQLITE_DONE else { throw connection.failed(code) }
    return Int(sqlite3_changes64(connection.handle))
  }

  /// Binds a copy of some bytes.
  func bind(_ index: Int32, _ bytes: [UInt8]) {
    // SQLite's own mark for "copy it": a pointer that is -1.
    bytes.withUnsafeBytes { bind(index, $0, unsafeBitCast(-1, to: sqlite3_destructor_type.self)) }
  }

  func bind(_ index: Int32, _ text: String) {
    sqlite3_bind_text(handle, index, text, -1, unsafeBitCast(-1, to: sqlite3_destructor_type.self))
  }

  func bind(_ index: Int32, _ number: Int) { sqlite3_bind_int64(handle, index, Int64(number)) }

  private func bind(_ index: Int32, _ bytes: UnsafeRawBufferPointer, _ destructor: sqlite3_destructor_type?) {
    // A nil pointer would mean NULL; an empty blob has its own call.
    if bytes.isEmpty {
      sqlite3_bind_zeroblob(handle, index, 0)
    } else {
      sqlite3_bind_blob(handle, index, bytes.baseAddress, Int32(bytes.count), destructor)
    }
  }

  func number(_ column: Int32) -> Int { Int(sqlite3_column_int64(handle, column)) }

  func text(_ column: Int32) -> String { sqlite3_column_text(handle, column).map { String(cString: $0) } ?? "" }

  func bytes(_ column: Int32) -> [UInt8] {
    let start = sqlite3_column_blob(handle, column)
    return [UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
  }
}

/// What a system error number means, in the system's own words.
func reason(_ code: Int32) -> String { String(cString: strerror(code)) }
