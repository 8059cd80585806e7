// Storage: what a layer keeps, as ordered bytes to bytes; a driver brings SQLite, the simulator a crash model.

/// Why storage could not do what was asked; the text says what a person can do about it.
public struct StorageError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of trouble it is.
  public enum Kind: String, Sendable { case full, readOnly, damaged, newer, busy, other }
  /// What kind of trouble this is.
  public var kind: Kind
  /// One sentence for a person: what happened, where, and what to do.
  public var message: String
  /// Trouble of a kind, told in a sentence.
  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }
  public var description: String { message }
}

/// How large what a layer keeps may be; more is refused, and nothing changes.
public enum StorageLimits {
  /// The most bytes in a key.
  public static let keyBytes = 1024
  /// The most bytes in a value.
  public static let valueBytes = 1 << 24

  /// Throws when a pair is larger than storage takes.
  public static func check(key: Int, value: Int) throws(StorageError) {
    if key > keyBytes { throw StorageError(.other, "a key of \(key) bytes: storage takes at most \(keyBytes)") }
    if value > valueBytes {
      throw StorageError(.other, "a value of \(value) bytes: storage takes at most \(valueBytes)")
    }
  }
}

/// One layer's own table: keys and values are bytes, and keys are in byte order.
///
/// A write is seen by later reads at once. It is on disk before any datagram, answer or event that was sent after it
/// leaves the node: the driver commits before it drains. What a simulated crash takes is exactly what was not
/// committed.
public protocol LayerStorage: AnyObject {
  /// The value kept under a key.
  func get(_ key: [UInt8]) throws(StorageError) -> [UInt8]?
  /// Keeps a value under a key, in place of any before it.
  func set(_ key: [UInt8], _ value: [UInt8]) throws(StorageError)
  /// Forgets a key; no error if it wasn't there.
  func remove(_ key: [UInt8]) throws(StorageError)
  /// Forgets every key in `from ..< upTo` (`upTo` nil: to the end).
  func removeRange(from: [UInt8], upTo: [UInt8]?) throws(StorageError)
  /// Calls `body` for each pair in `from ..< upTo`, in key order (or backwards), until it answers false or `limit` is
  /// met. The body must not write to this namespace: such a write is refused. It may read.
  func scan(
    from: [UInt8], upTo: [UInt8]?, reversed: Bool, limit: Int, _ body: (_ key: [UInt8], _ value: [UInt8]) -> Bool
  ) throws(StorageError)
  /// How many pairs there are.
  func count() throws(StorageError) -> Int
  /// The layer's schema version as last set by the layer (0 in a new namespace).
  var storedVersion: Int { get }
  /// Marks the namespace as being of this schema version, once the layer has migrated it.
  func setStoredVersion(_ version: Int) throws(StorageError)
}

/// All of a node's storage: a namespace a layer, and one commit for all.
///
/// What is written between two commits is one unit: after a crash all of it is there or none of it. When a write or a
/// commit fails for good (disk full, read-only, damaged, input/output error) the unit is rolled back and the storage
/// stops: every later call throws that same error, and `isDirty` stays true, so that a driver which commits before it
/// sends can't send what rests on lost writes. The way on is to open the storage again, which finds the last commit.
/// Only `.busy` and a pair too large leave everything as it was, so that the same call may be tried again.
public protocol NodeStorage: AnyObject {
  /// A layer's namespace; the same one while it is in use. Refused with `.newer` when what is stored is of a later
  /// version than the layer knows.
  func namespace(_ layer: String, version: Int) throws(StorageError) -> any LayerStorage
  /// Whether something may have been written since the last commit, or the storage has stopped.
  var isDirty: Bool { get }
  /// Makes everything written so far durable.
  func commit() throws(StorageError)
  /// Lets go of what it holds, such as an open file; from then on every use is refused. What was not committed is lost.
  func close()
}

extension NodeStorage {
  /// Nothing is held, so there is nothing to let go of.
  public func close() {}
}
