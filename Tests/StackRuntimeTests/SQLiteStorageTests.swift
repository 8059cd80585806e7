// What is particular to the storage on SQLite: its file, its errors, and what is left of it after a kill.
import CSQLite
import Foundation
import Glibc
import StackCore
import Testing

@testable import StackRuntime

/// Runs SQL on a database from outside, as a person with their own tools would.
private func outside(_ path: String, _ sql: String) {
  var handle: OpaquePointer?
  sqlite3_open(path, &handle)
  #expect(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK)
  sqlite3_close(handle)
}

private func kind(_ body: () throws -> Void) -> StorageError.Kind? {
  do {
    try body()
    return nil
  } catch {
    return (error as? StorageError)?.kind
  }
}

/// A directory on a small disk, for the tests that fill one; none unless whoever runs them names it.
private let smallDisk = ProcessInfo.processInfo.environment["STRATA_TEST_SMALL_DISK"]

@Suite struct SQLiteStorageTests {
  @Test func aCleanEndLeavesOneFileForItsOwner() throws {
    let scratch = try ScratchDirectory()
    do {
      let storage = try SQLiteStorage(directory: scratch.path, durability: .power)
      try storage.namespace("gossip", version: 1).set([1], [2])
      try storage.commit()
      #expect(scratch.mode("node.sqlite") == 0o600)
      #expect(scratch.mode("node.sqlite-wal") == 0o600)
    }
    #expect(try scratch.names() == ["node.sqlite"])
    let again = try SQLiteStorage(directory: scratch.path)
    #expect(try again.namespace("gossip", version: 1).get([1]) == [2])
  }

  @Test func whatWasNotCommittedIsGoneAtTheEnd() throws {
    let scratch = try ScratchDirectory()
    do {
      let storage = try SQLiteStorage(directory: scratch.path)
      try storage.namespace("gossip", version: 1).set([1], [2])
    }
    #expect(try SQLiteStorage(directory: scratch.path).namespace("gossip", version: 1).get([1]) == nil)
  }

  /// Killed after every single write: what is found is a prefix of the commits, and holds all that had ended.
  @Test func anImageTakenAtAnyInstantHasEveryCommitWhole() throws {
    let scratch = try ScratchDirectory()
    let storage = try SQLiteStorage(directory: scratch.path)
    let layer = try storage.namespace("chain", version: 1)
    try storage.commit()
    var committed: UInt8 = 0
    for unit in UInt8(1)...12 {
      // Each unit rewrites twenty pairs, some of them large, so that a torn one would show.
      for key in UInt8(0)..<20 {
        try layer.set([key], [UInt8](repeating: unit, count: 40 + Int(key) * 300))
        guard key % 7 == 0 else { continue }
        let image = try ScratchDirectory()
        for name in ["node.sqlite", "node.sqlite-wal"] { try image.write(name, try scratch.read(name)) }
        let found = try pairs(try SQLiteStorage(directory: image.path).namespace("chain", version: 1))
        #expect(found.count == (committed == 0 ? 0 : 20))
        #expect(found.allSatisfy { $0[1].allSatisfy { $0 == committed } })
      }
      try storage.commit()
      committed = unit
    }
  }

  /// A write-ahead file cut anywhere (the last write had not reached the file) gives an earlier commit, whole.
  @Test func aCutWriteAheadFileGivesAnEarlierCommit() throws {
    let scratch = try ScratchDirectory()
    let storage = try SQLiteStorage(directory: scratch.path)
    let layer = try storage.namespace("chain", version: 1)
    try storage.commit()
    for unit in UInt8(1)...6 {
      for key in UInt8(0)..<10 { try layer.set([key], [UInt8](repeating: unit, count: 500)) }
      try storage.commit()
    }
    let database = try scratch.read("node.sqlite")
    let log = try scratch.read("node.sqlite-wal")
    var numbers = RandomStream(seed: 7)
    var last: UInt8 = 0
    for length in (0..<30).map({ _ in Int.random(in: 0...log.count, using: &numbers) }).sorted() {
      let image = try ScratchDirectory()
      try image.write("node.sqlite", database)
      try image.write("node.sqlite-wal", Array(log[..<length]))
      let found = try pairs(try SQLiteStorage(directory: image.path).namespace("chain", version: 1))
      let unit = found.first?[1].first ?? 0
      #expect(found.allSatisfy { $0[1].allSatisfy { $0 == unit } })
      #expect(unit >= last)
      last = unit
    }
    #expect(last > 1)
  }

  @Test func anotherProgramReadsWhileTheNodeWrites() throws {
    let scratch = try ScratchDirectory()
    let storage = try SQLiteStorage(directory: scratch.path)
    let layer = try storage.namespace("file-share", version: 2)
    try layer.set([1], [1])
    try storage.commit()
    try layer.set([2], [2])
    var handle: OpaquePointer?
    sqlite3_open_v2(scratch.path("node.sqlite"), &handle, SQLITE_OPEN_READONLY, nil)
    defer { sqlite3_close(handle) }
    var statement: OpaquePointer?
    sqlite3_prepare_v2(handle, "SELECT count(*) FROM \"layer_file$2dshare\"", -1, &statement, nil)
    #expect(sqlite3_step(statement) == SQLITE_ROW)
    #expect(sqlite3_column_int(statement, 0) == 1)
    sqlite3_finalize(statement)
    try storage.commit()
  }

  @Test func aBusyDatabaseMayBeTriedAgain() throws {
    let scratch = try ScratchDirectory()
    let storage = try SQLiteStorage(directory: scratch.path)
    let layer = try storage.namespace("gossip", version: 1)
    try storage.commit()
    var handle: OpaquePointer?
    sqlite3_open(scratch.path("node.sqlite"), &handle)
    defer { sqlite3_close(handle) }
    sqlite3_exec(handle, "BEGIN IMMEDIATE", nil, nil, nil)
    #expect(kind { try layer.set([1], [1]) } == .busy)
    #expect(!storage.isDirty)
    sqlite3_exec(handle, "COMMIT", nil, nil, nil)
    try layer.set([1], [1])
    try storage.commit()
    #expect(try layer.get([1]) == [1])
  }

  @Test func aFileThatIsNoDatabaseIsDamaged() throws {
    let scratch = try ScratchDirectory()
    try scratch.write(
      "node.sqlite", [UInt8]("This is not the file you are looking for.".utf8) + Array(repeating: 1, count: 9000))
    let error = #expect(throws: StorageError.self) { try SQLiteStorage(directory: scratch.path) }
    #expect(error?.kind == .damaged)
    #expect(error?.message.contains(scratch.path) == true)
    #expect(error?.message.contains("move the file away") == true)
  }

  @Test func damageIsFoundWhenOpening() throws {
    let scratch = try ScratchDirectory()
    do {
      let storage = try SQLiteStorage(directory: scratch.path)
      let layer = try storage.namespace("gossip", version: 1)
      for key in UInt8(0)..<200 { try layer.set([key], [UInt8](repeating: key, count: 500)) }
      try storage.commit()
    }
    var bytes = try scratch.read("node.sqlite")
    for index in stride(from: 4096 * 3, to: bytes.count, by: 64) { bytes[index] ^= 0xff }
    try scratch.write("node.sqlite", bytes)
    #expect(kind { _ = try SQLiteStorage(directory: scratch.path) } == .damaged)
    // Cut in the middle, it is damaged as well.
    try scratch.write("node.sqlite", Array(bytes[..<6000]))
    #expect(kind { _ = try SQLiteStorage(directory: scratch.path) } == .damaged)
    // Nothing in it at all is a file that has just been made.
    try scratch.write("node.sqlite", [])
    #expect(kind { _ = try SQLiteStorage(directory: scratch.path) } == nil)
  }

  @Test func aNewerFormatIsRefusedAndNotTouched() throws {
    let scratch = try ScratchDirectory()
    do { _ = try SQLiteStorage(directory: scratch.path) }
    outside(scratch.path("node.sqlite"), "PRAGMA user_version = \(SQLiteStorage.format + 1)")
    let before = try scratch.read("node.sqlite")
    let error = #expect(throws: StorageError.self) { try SQLiteStorage(directory: scratch.path) }
    #expect(error?.kind == .newer)
    let (newer, known) = (SQLiteStorage.format + 1, SQLiteStorage.format)
    #expect(error?.message.contains("newer Strata (format \(newer), this one knows \(known))") == true)
    #expect(try scratch.read("node.sqlite") == before)
  }

  @Test func anotherProgramsDatabaseIsLeftAlone() throws {
    let scratch = try ScratchDirectory()
    outside(scratch.path("node.sqlite"), "CREATE TABLE cookies (name TEXT)")
    let error = #expect(throws: StorageError.self) { try SQLiteStorage(directory: scratch.path) }
    #expect(error?.message.contains("another program") == true)
  }

  @Test func aDirectoryThatCannotBeWrittenIsReadOnly() throws {
    let scratch = try ScratchDirectory()
    chmod(scratch.path, 0o555)
    defer { chmod(scratch.path, 0o755) }
    #expect(asStranger { kind { _ = try SQLiteStorage(directory: scratch.path) } } == .readOnly)
    // A file that may be read but not written is refused too, not opened half.
    chmod(scratch.path, 0o755)
    do { _ = try SQLiteStorage(directory: scratch.path) }
    chmod(scratch.path("node.sqlite"), 0o444)
    chmod(scratch.path, 0o555)
    #expect(asStranger { kind { _ = try SQLiteStorage(directory: scratch.path) } } == .readOnly)
    // And so is a file that may be written in a directory that may not.
    chmod(scratch.path("node.sqlite"), 0o666)
    #expect(asStranger { kind { _ = try SQLiteStorage(directory: scratch.path) } } == .readOnly)
  }

  @Test func whatIsNoFileOrNoDirectoryIsNamed() throws {
    let scratch = try ScratchDirectory()
    #expect(kind { _ = try SQLiteStorage(directory: scratch.path("nowhere")) } == .other)
    symlink("/etc/passwd", scratch.path("node.sqlite"))
    let error = #expect(throws: StorageError.self) { try SQLiteStorage(directory: scratch.path) }
    #expect(error?.message.contains("not a regular file") == true)
  }

  @Test func aNamespaceIsSharedWhileInUseAndThenLetGo() throws {
    let scratch = try ScratchDirectory()
    let storage = try SQLiteStorage(directory: scratch.path)
    let one = try storage.namespace("gossip", version: 1)
    let other = try storage.namespace("gossip", version: 1)
    #expect(one === other)
    try one.set([1], [1])
    #expect(try other.count() == 1)
    weak var gone: (any LayerStorage)?
    do {
      let third = try storage.namespace("routing", version: 1)
      _ = try third.count()
      gone = third
    }
    #expect(gone == nil)
    try storage.commit()
  }

  @Test func theWriteAheadFileStaysBounded() throws {
    let scratch = try ScratchDirectory()
    let storage = try SQLiteStorage(directory: scratch.path)
    let layer = try storage.namespace("store", version: 1)
    for round in 0..<200 {
      for key in UInt8(0)..<10 { try layer.set([key], [UInt8](repeating: UInt8(round), count: 20_000)) }
      try storage.commit()
    }
    var facts = stat()
    stat(scratch.path("node.sqlite-wal"), &facts)
    #expect(facts.st_size < 8 << 20)
  }

  @Test(.enabled(if: smallDisk != nil)) func aDiskThatIsReallyFull() throws {
    let directory = try #require(smallDisk) + "/full"
    mkdir(directory, 0o700)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    var failure: StorageError?
    do {
      let storage = try SQLiteStorage(directory: directory)
      let layer = try storage.namespace("store", version: 1)
      try layer.set([0], [0])
      try storage.commit()
      for round in 0..<100_000 where failure == nil {
        do {
          try layer.set([1, UInt8(round >> 8 & 255), UInt8(round & 255)], [UInt8](repeating: 1, count: 9000))
          if round % 3 == 0 { try storage.commit() }
        } catch { failure = error }
      }
      #expect(throws: StorageError.self) { try storage.commit() }
    }
    #expect(failure?.kind == .full)
    #expect(failure?.message.contains("free some space") == true)
    // Opened again on the full disk it still reads, or says that the disk is full.
    do {
      #expect(try SQLiteStorage(directory: directory).namespace("store", version: 1).get([0]) == [0])
    } catch {
      #expect(error.kind == .full)
    }
  }
}
