// DiskTests: sharing on a real disk, among links, pipes and files that come and go.
import Foundation
import Glibc
import StackCore
import StackRuntime
import Testing

@testable import FileShare

@Suite struct DiskTests {
  /// A folder that goes away with its object, and a node that shares from it.
  private final class Bench {
    let folder: String
    let node: RealNode

    init(_ section: JSON = [:]) throws {
      var template = Array((FileManager.default.temporaryDirectory.path + "/strata-XXXXXX").utf8CString)
      guard mkdtemp(&template) != nil else { throw POSIXError(.EIO) }
      folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
      var options = RealNodeOptions(
        name: "me", listen: Address(ipv4: 0x7f00_0001, port: 0), dataDirectory: folder + "/data")
      options.layers = [(FileShare.self, section)]
      options.logLevel = .error
      node = try RealNode(options, log: LogSink())
      node.start()
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func write(_ name: String, _ bytes: [UInt8]) throws {
      let url = URL(fileURLWithPath: folder + "/" + name)
      try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(bytes).write(to: url)
    }

    func call(_ name: String, _ input: JSON = [:]) throws -> JSON {
      var last: CommandReply?
      node.call("fileshare", name, input) { last = $0 }
      try until("\(name) has ended") { last?.isLast == true }
      switch last {
      case .finished(let json)?: return json
      case .failed(let error)?: throw error
      default: throw POSIXError(.EIO)
      }
    }

    func until(_ what: String, _ holds: () throws -> Bool) throws {
      let end = node.loop.now + .seconds(120)
      let timer = node.loop.timer {}
      while try !holds() {
        guard node.loop.now < end else { throw CommandError(.failed, "not within two minutes: \(what)") }
        timer.set(after: .milliseconds(20))
        node.step()
      }
    }

    func paths() throws -> [String] {
      var last: JSON?
      node.call("fileshare", "list", ["limit": 10_000]) { if case .finished(let json) = $0 { last = json } }
      while last == nil { node.step() }
      return (last?["files"]?.arrayValue ?? []).compactMap { $0["path"]?.stringValue }.sorted()
    }

    func stop() throws {
      node.stop()
      try until("it has stopped") { node.state == .stopped }
    }
  }

  @Test func linksPipesAndDevicesAreLeftOut() throws {
    let bench = try Bench()
    try bench.write("s/a", [1])
    try bench.write("s/sub/b", [2])
    try bench.write("outside/secret", [3])
    mkfifo(bench.folder + "/s/pipe", 0o600)
    symlink(bench.folder + "/outside/secret", bench.folder + "/s/link")
    symlink(bench.folder + "/outside", bench.folder + "/s/folder")
    symlink("/dev/zero", bench.folder + "/s/zero")
    let path = bench.folder + "/s"
    let entry = try #require(try bench.call("share", ["paths": [.string(path)]])["shared"]?.arrayValue?.first)
    #expect(entry["files"] == 2 && entry["skipped"]?.arrayValue == ["4 special"])
    #expect(try bench.paths() == ["s/a", "s/sub/b"])
    for name in ["pipe", "link", "folder", "zero"] {
      #expect(throws: CommandError.self) { try bench.call("share", ["paths": [.string(path + "/" + name)]]) }
    }
    #expect(throws: CommandError.self) { try bench.call("share", ["paths": ["/dev/null"]]) }
    // A folder that is a link now is not gone through.
    try FileManager.default.removeItem(atPath: bench.folder + "/s/sub")
    symlink(bench.folder + "/outside", bench.folder + "/s/sub")
    try bench.until("the folder is forgotten") { try bench.paths() == ["s/a"] }
    try bench.stop()
  }

  /// A file with a hole may say that it has any size; so may thousands.
  @Test(.enabled(if: Holes.arePossible, "no file system here for files of 2^50 bytes"))
  func filesThatClaimMoreThanThereIsHarmNothing() throws {
    let holes = try Holes(9_000)
    let bench = try Bench()
    let entry = try bench.call("share", ["paths": [.string(holes.folder)]])["shared"]?.arrayValue?.first
    #expect(entry?["files"] == 1)
    #expect(try bench.paths().count == 1)
    try bench.stop()
  }

  /// A folder of files that are one hole each, and one file that isn't.
  private final class Holes {
    let folder: String

    static var arePossible: Bool { (try? Holes(1)) != nil }

    init(_ count: Int) throws {
      var template = Array("/dev/shm/strata-XXXXXX".utf8CString)
      guard mkdtemp(&template) != nil else { throw POSIXError(.EIO) }
      folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
      try Data([1]).write(to: URL(fileURLWithPath: folder + "/real"))
      for number in 0..<count {
        let file = open("\(folder)/hole \(number)", O_WRONLY | O_CREAT, 0o600)
        defer { close(file) }
        guard ftruncate(file, 1 << 50) == 0 else { throw POSIXError(.EFBIG) }
      }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }
  }

  @Test func changesAreNoticedWithoutARescan() throws {
    let bench = try Bench(["shared": "mine", "rescan": "1h"])
    let mine = "data/files/fileshare/mine/"
    try bench.write(mine + "a", [1])
    try bench.until("the file is there") { try bench.paths() == ["mine/a"] }
    try bench.write(mine + "deep/er/b", content(3_000_000))
    try bench.until("the new folders are there") { try bench.paths() == ["mine/a", "mine/deep/er/b"] }
    try FileManager.default.removeItem(atPath: bench.folder + "/" + mine + "a")
    try bench.until("the file is gone") { try bench.paths() == ["mine/deep/er/b"] }
    #expect(try bench.call("verify")["damaged"]?.arrayValue == [])
    // The content changes, and the file looks as before: only reading it tells.
    let path = bench.folder + "/" + mine + "deep/er/b"
    let handle = open(path, O_WRONLY)
    pwrite(handle, [1, 2, 3, 4], 4, 1_000_000)
    close(handle)
    _ = try bench.call("verify")
    try bench.until("it is hashed anew") { try bench.call("verify")["damaged"]?.arrayValue == [] }
    try bench.stop()
  }

  @Test func largeFilesAreHashedByAllCoresAsByOne() throws {
    let bench = try Bench()
    for (name, size) in [("one", 9_000_001), ("two", 4_194_304), ("three", 1_048_577), ("small", 1_048_576)] {
      let bytes = content(size, seed: UInt64(size))
      try bench.write(name, bytes)
      let path = bench.folder + "/" + name
      let answer = try bench.call("share", ["paths": [.string(path)]])
      let link = answer["shared"]?.arrayValue?.first?["link"]?.stringValue
      #expect(try FileDescriptor(link: link ?? "").root == MerkleTree(of: bytes)?.root)
    }
    #expect(try bench.call("verify")["damaged"]?.arrayValue == [])
    try bench.stop()
  }
}
