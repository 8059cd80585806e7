// TextFile: reads and writes whole files by path, with errors that name the path.
import Glibc
import StackCore
import StackRuntime

/// A file that can't be had; the text names it and says why.
struct TextFileError: Error, Hashable, CustomStringConvertible {
  var description: String
  /// Whether it is just not there.
  var isMissing = false
}

/// No file that is read whole may be longer.
let largestFile = 16 << 20

/// The bytes of a file, or of standard input for `-`.
func readFile(_ path: String) throws(TextFileError) -> [UInt8] {
  let fd = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
  let shown = path == "-" ? "standard input" : path
  guard fd >= 0 else { throw failure("can't read \(shown)") }
  defer { if fd > 0 { close(fd) } }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 64 << 10)
  while true {
    let count = read(fd, &chunk, chunk.count)
    if count == 0 { return bytes }
    if count < 0 {
      if errno == EINTR { continue }
      throw failure("can't read \(shown)")
    }
    bytes += chunk[..<count]
    guard bytes.count <= largestFile else {
      throw TextFileError(description: "\(shown) is larger than \(ByteCount(bytes: Int64(largestFile)))")
    }
  }
}

/// Puts a file in place in one step: whoever reads it finds all of it. What is no file, such as /dev/stdout, is written
/// to as it is.
func writeFile(_ path: String, _ bytes: [UInt8], replacing: Bool) throws(TextFileError) {
  var facts = stat()
  let isThere = stat(path, &facts) == 0
  if isThere, facts.st_mode & S_IFMT != S_IFREG { return try writeThrough(path, bytes) }
  if !replacing, isThere {
    throw TextFileError(description: "\(path) exists already; choose another name, or add --force to replace it")
  }
  do throws(FileError) { try replaceContents(path, bytes) } catch {
    throw TextFileError(description: "can't write \(error.message)", isMissing: error.kind == .notFound)
  }
}

/// Writes to a device or a pipe.
private func writeThrough(_ path: String, _ bytes: [UInt8]) throws(TextFileError) {
  let fd = open(path, O_WRONLY | O_CLOEXEC)
  guard fd >= 0 else { throw failure("can't write \(path)") }
  defer { close(fd) }
  var rest = bytes[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { write(fd, $0.baseAddress, $0.count) }
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { throw failure("can't write \(path)") }
    rest = rest.dropFirst(count)
  }
}

/// An error with what the system says of it.
private func failure(_ what: String) -> TextFileError {
  let code = errno
  return TextFileError(description: "\(what): \(systemText(code))", isMissing: code == ENOENT)
}

/// What the system says of an `errno`.
func systemText(_ code: Int32) -> String { String(cString: strerror(code)) }

/// Paths, as text.
enum Path {
  /// A path from another one's folder; an absolute one stays.
  static func resolve(_ path: String, in folder: String) -> String {
    path.hasPrefix("/") ? normal(path) : normal(folder + "/" + path)
  }

  /// The absolute form of a path of this process.
  static func absolute(_ path: String) -> String { resolve(path, in: currentFolder) }

  /// The folder this process works in.
  static var currentFolder: String {
    guard let text = getcwd(nil, 0) else { return "/" }
    defer { free(text) }
    return String(cString: text)
  }

  /// The folder something is in.
  static func folder(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.utf8.startIndex ? "/" : String(path[..<slash])
  }

  /// The last part of a path.
  static func lastPart(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  /// Without "." and empty parts; ".." stays, for links may lead elsewhere.
  private static func normal(_ path: String) -> String {
    "/" + path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
  }
}

/// Whether there is a file that can be read.
func isFile(_ path: String) -> Bool { access(path, R_OK) == 0 }
