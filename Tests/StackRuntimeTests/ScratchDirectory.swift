// ScratchDirectory: a fresh directory for one test, and a few small helpers around files.
import Foundation
import Glibc

/// A directory that goes away with its object.
final class ScratchDirectory {
  let path: String

  init() throws {
    var template = Array((FileManager.default.temporaryDirectory.path + "/strata-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw POSIXError(.EIO) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    chmod(path, 0o755)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of an entry.
  func path(_ name: String) -> String { path + "/" + name }

  func write(_ name: String, _ bytes: [UInt8]) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path(name)))
  }

  func read(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name)))) }

  func exists(_ name: String) -> Bool {
    var facts = stat()
    return lstat(path(name), &facts) == 0
  }

  func mode(_ name: String) -> mode_t {
    var facts = stat()
    lstat(path(name), &facts)
    return facts.st_mode & 0o7777
  }

  /// All names, sorted.
  func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
}

@_silgen_name("setfsuid") private func setfsuid(_ user: UInt32) -> Int32

/// Runs a body with no more rights to files than a stranger has, also when the tests run as root. Of this thread only.
func asStranger<Result>(_ body: () throws -> Result) rethrows -> Result {
  guard geteuid() == 0 else { return try body() }
  _ = setfsuid(65534)
  defer { _ = setfsuid(0) }
  return try body()
}
