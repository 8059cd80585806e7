// Files: how a layer reaches the file system: through these few calls, bounded to what the person who runs the node chose.

/// Why a file could not be had; the text names the path and what would be right.
public struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Kind: String, Sendable { case notFound, notRegular, link, exists, full, refused, badName, other }
  public var kind: Kind
  public var message: String
  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }
  public var description: String { message }
}

/// What a directory entry or an open file is.
public struct FileFacts: Hashable, Sendable, Codable {
  public enum Kind: String, Sendable, Codable { case file, directory, other }
  public var name: String
  public var kind: Kind
  public var size: Int64
  /// Changes whenever the content may have: modification time, inode and size, mixed.
  public var stamp: UInt64
  public init(name: String, kind: Kind, size: Int64, stamp: UInt64) {
    self.name = name
    self.kind = kind
    self.size = size
    self.stamp = stamp
  }
}

/// A file open for reading. Safe to read from offloaded jobs.
public protocol ReadableFile: AnyObject, Sendable {
  /// What the file is now (asked anew, so that a change under us is seen).
  func facts() throws(FileError) -> FileFacts
  /// Reads up to `buffer.count` bytes at an offset; 0 at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int
}

/// A file being written beside its final name; it appears under that name, whole, or not at all.
public protocol WritableFile: AnyObject, Sendable {
  /// Writes all the bytes at an offset.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FileError)
  /// Reads back what was written.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int
  /// Makes what was written so far durable, still under the temporary name.
  func sync() throws(FileError)
  /// Syncs, gives the file its final name in one step, and closes it. Refused with `.exists` unless `replacing`.
  func commit(replacing: Bool) throws(FileError)
  /// Closes and removes the temporary file.
  func discard()
}

/// A layer's access to files. Relative paths are in the layer's own folder of the node's data directory; absolute ones
/// must come from the person who runs the node (configuration or a command), never from a peer.
public protocol LayerFiles: AnyObject, Sendable {
  /// The absolute path that a path means.
  func resolve(_ path: String) -> String
  /// What is at a path; a link is reported as `.other`, never followed.
  func facts(_ path: String) throws(FileError) -> FileFacts
  /// The entries of a directory, sorted by name; at most `limit`.
  func list(_ path: String, limit: Int) throws(FileError) -> [FileFacts]
  /// Opens a regular file for reading; a link, a device or a pipe is refused.
  func open(_ path: String) throws(FileError) -> any ReadableFile
  /// Creates a file to write, of which `reserving` bytes are claimed from the disk at once (`.full` if they are not to be
  /// had). With `resuming`, a temporary file left by an earlier run under the same final name is taken up again.
  func create(_ path: String, reserving: Int64, resuming: Bool) throws(FileError) -> any WritableFile
  /// Makes a directory, and its parents.
  func makeDirectory(_ path: String) throws(FileError)
  /// Removes a file (not a directory); no error if it wasn't there.
  func remove(_ path: String) throws(FileError)
}
