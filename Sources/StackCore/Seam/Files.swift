// Files: how a layer reaches the file system: by these few calls, bounded to what the node's owner chose.

/// Why a file could not be had; the text names the path and what would be right.
public struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of trouble it is. `link` is a symbolic link where none is followed; `refused` is a matter of permission.
  public enum Kind: String, Sendable { case notFound, notRegular, link, exists, full, refused, badName, other }
  /// What kind of trouble this is.
  public var kind: Kind
  /// One sentence for a person: which path, what happened, and what would be right.
  public var message: String
  /// Trouble of a kind, told in a sentence.
  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }
  public var description: String { message }
}

/// What a directory entry or an open file is.
public struct FileFacts: Hashable, Sendable, Codable {
  /// A regular file, a directory, or anything else: a link, a device, a pipe, a socket.
  public enum Kind: String, Sendable, Codable { case file, directory, other }
  /// The last part of the path.
  public var name: String
  /// What it is.
  public var kind: Kind
  /// The bytes in a file; of no meaning for others.
  public var size: Int64
  /// Changes whenever the content may have: times of change, inode and size, mixed.
  public var stamp: UInt64
  /// The facts of one entry.
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
  /// The same, but nil when a disk would have to be waited for: then it is a job's to read.
  func readNow(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int?
}

/// A file being written beside its final name; it appears under that name, whole, or not at all.
///
/// Released without `commit` or `discard`, the temporary file stays, to be taken up again by `create(resuming: true)`.
/// After either, every call but `discard` throws.
public protocol WritableFile: AnyObject, Sendable {
  /// What is there so far: the final name, and the size of what was written (more than nothing when resumed; after a
  /// crash maybe more than was written, by zeros).
  func facts() throws(FileError) -> FileFacts
  /// Writes all the bytes at an offset.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FileError)
  /// Reads back up to `buffer.count` bytes of what was written; 0 at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int
  /// The same, but nil when a disk would have to be waited for.
  func readNow(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int?
  /// Makes what was written so far durable, still under the temporary name.
  func sync() throws(FileError)
  /// Syncs, gives the file its final name in one step, and closes it. Refused with `.exists` unless `replacing`; then
  /// the file is still open, to be committed otherwise or discarded.
  func commit(replacing: Bool) throws(FileError)
  /// Closes and removes the temporary file.
  func discard()
}

extension ReadableFile {
  /// Files in memory never wait.
  public func readNow(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int? {
    try read(into: buffer, at: offset)
  }
}

extension WritableFile {
  /// Files in memory never wait.
  public func readNow(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(FileError) -> Int? {
    try read(into: buffer, at: offset)
  }
}

/// A layer's access to files. Relative paths are in a folder of the layer's own; absolute ones must come from the
/// person who runs the node (configuration or a command), never from a peer.
///
/// What is followed: an absolute path may pass through links (a home that is a link is no business of ours), but its
/// last part may not be one. A relative path passes through no link at all and can't leave its folder, so a name that
/// a peer chose may stand in it. `below` gives the same shelter to a folder that the person chose.
public protocol LayerFiles: AnyObject, Sendable {
  /// The same access, but relative paths are in this folder, which may itself be a link.
  func below(_ folder: String) -> any LayerFiles
  /// The absolute path that a path means.
  func resolve(_ path: String) -> String
  /// What is at a path; a link is reported as `.other`, never followed. The empty path is the folder itself.
  func facts(_ path: String) throws(FileError) -> FileFacts
  /// The first `limit` entries of a directory, in the byte order of their names. Temporary files of writers and names
  /// that aren't UTF-8 are left out.
  func list(_ path: String, limit: Int) throws(FileError) -> [FileFacts]
  /// Opens a regular file for reading; a link, a device or a pipe is refused.
  func open(_ path: String) throws(FileError) -> any ReadableFile
  /// Creates a file to write, of which `reserving` bytes are claimed from the disk at once (`.full` if they are not to
  /// be had). With `resuming`, a temporary file left by an earlier run under the same final name is taken up again, cut
  /// to `reserving` where that is not 0. Refused with `.exists` while another writer has it. The folder of relative
  /// paths is made when it is missing; other directories are not.
  func create(_ path: String, reserving: Int64, resuming: Bool) throws(FileError) -> any WritableFile
  /// Makes a directory, and its parents; no error if it is there.
  func makeDirectory(_ path: String) throws(FileError)
  /// Removes a file or a link (not a directory); no error if it wasn't there.
  func remove(_ path: String) throws(FileError)
  /// A watch over folders; nil where there can't be one.
  func watch() -> (any FolderWatch)?
}

/// Tells in which folders something has changed since it was last asked. It never calls: who has it asks now and then,
/// and looks through everything seldom, since no system tells of all changes.
public protocol FolderWatch: AnyObject, Sendable {
  /// Watches a folder, not those below it; false when it isn't there or the system watches no more of them.
  func add(_ path: String) -> Bool
  /// The folders in which a file or a folder was made, changed, moved or removed, as they were named to `add`, in the
  /// byte order of their paths; nil when so much happened that some may be missing.
  func changes() -> [String]?
}

extension LayerFiles {
  /// Nothing is watched, unless a driver can.
  public func watch() -> (any FolderWatch)? { nil }
}

/// A path taken apart and checked, the same way in every driver.
public struct CheckedPath: Sendable {
  /// Whether it begins at the root of the file system.
  public let isAbsolute: Bool
  /// Its parts, without empty ones and single dots; none for the folder itself.
  public let parts: [String]

  /// Takes a path apart at the bytes `/`. A zero byte, a part over 255 bytes, a path over 4,000, or `..` in a relative
  /// path is refused.
  public init(_ path: String) throws(FileError) {
    let bytes = path.utf8
    guard bytes.count <= 4000, !bytes.contains(0) else {
      throw FileError(.badName, "a path of \(bytes.count) bytes: it must have at most 4,000, and no zero byte")
    }
    isAbsolute = bytes.first == UInt8(ascii: "/")
    var parts: [String] = []
    // By bytes, as the system does: as characters, a slash with an accent on it would not be a slash.
    for piece in bytes.split(separator: UInt8(ascii: "/")) {
      let part = String(decoding: piece, as: UTF8.self)
      if part == "." { continue }
      guard piece.count <= 255, isAbsolute || part != ".." else {
        throw FileError(.badName, "\(path): no part of a path may have over 255 bytes, nor lead out of its folder")
      }
      parts.append(part)
    }
    self.parts = parts
  }

  /// Splits off the name of a file to be made; refused when there is none.
  public func fileName() throws(FileError) -> String {
    guard let last = parts.last, last != ".." else { throw FileError(.badName, "a file needs a name") }
    return last
  }
}
