// ResumeTests: a node that downloads is killed a few times; `make survival` does the same more often, and measures.
import Foundation
import StackCore
import Testing

@testable import Strata

// A part of that suite, so that no process inherits the pipes of another.
extension RunningNodeTests {
  @Test("Killed while it downloads, a node goes on by itself and fetches little twice", .enabled(if: program != nil))
  func resumption() throws {
    let folder = try TestFolder()
    var random = RandomStream(seed: 41, name: "resume")
    let size = 16_000_000
    var content = Data(capacity: size + 8)
    while content.count < size { withUnsafeBytes(of: random.next()) { content.append(contentsOf: $0) } }
    content.removeLast(content.count - size)
    try content.write(to: URL(fileURLWithPath: folder.path + "/random"))

    let giver = try Life(
      self, folder, "giver",
      #"{"name": "giver", "listen": "127.0.0.1:0", "layers": {"fileshare": {"uploadLimit": 2000000}}}"#)
    let shared = try giver.ask("fileshare", "share", folder.path + "/random")
    let link = try #require(shared["shared"]?.arrayValue?.first?["link"]?.stringValue)
    let address = try #require(try giver.ask("status")["address"]?.stringValue)
    let target = folder.path + "/fetched"
    let text = #"{"name": "taker", "listen": "127.0.0.1:0", "layers": {"fileshare": {}}}"#

    // What was there before the last kill, and how many there were.
    var held: Int64 = 0
    var kills = 0
    for kill in 0..<4 {
      let taker = try Life(self, folder, "taker", text)
      if kill == 0 {
        Thread.detachNewThread { [path = taker.path] in
          _ = strata(
            "fileshare", "download", link, "--from", address, "--to", target, "--config", path,
            catalog: Catalog.standard)
        }
      }
      // Nothing is done for it after a restart. On a machine that is held up it may be whole before it is killed again.
      let found = try taker.download(to: target) { $0["state"] == "fetching" || $0["state"] == "finished" }
      #expect((found ?? Int64(size)) >= held, "kill \(kill): \(held) bytes were there, and \(found ?? 0) are")
      let left = Int64(size) - (found ?? Int64(size))
      if kill == 3 || left < 1_000_000 {
        _ = try taker.download(to: target) { $0["state"] == "finished" }
        // What was missing, and no more than a little of what was on its way at the kill, or late and asked for again.
        let last = try taker.fetched()
        let most = Int64(size) - held + Int64(size) / 10
        #expect(last >= left && last <= most, "\(left) were missing, and \(last) were fetched")
        taker.end(SIGTERM)
        break
      }
      let wanted = Int64(size) - left + 1 + Int64(random.next(below: UInt64(left / Int64(4 - kill))))
      held = try taker.download(to: target) { ($0["bytes"]?.integerValue ?? 0) >= wanted } ?? Int64(size)
      taker.end(SIGKILL)
      kills += 1
    }
    giver.end(SIGTERM)
    #expect(kills > 0)
    #expect(try Data(contentsOf: URL(fileURLWithPath: target)) == content)
  }

  /// A node as a process of its own, from its start to its end.
  private final class Life {
    let path: String
    private let process: Process
    private let errors: Pipe

    init(_ suite: RunningNodeTests, _ folder: TestFolder, _ name: String, _ text: String) throws {
      path = try folder.write("\(name).json", text)
      (process, _, errors) = try suite.start(["node", "\(name).json", "--log", "json"], in: folder)
      var log = LineReader(handle: errors.fileHandleForReading)
      #expect(log.next { $0.contains("control port") } != nil)
    }

    func ask(_ words: String...) throws -> JSON {
      let said = strata(words + ["--json", "--config", path], catalog: Catalog.standard)
      try #require(said.status == 0, "\(words): \(said.errors)")
      return try JSON.parse(said.output)
    }

    deinit { end(SIGKILL) }

    /// Asks until its download is as wanted; answers how many bytes of it are there then, nil when it is whole and
    /// no download any more.
    func download(to target: String, _ isWanted: (JSON) -> Bool) throws -> Int64? {
      let end = Date(timeIntervalSinceNow: 60)
      while end.timeIntervalSinceNow > 0 {
        guard let first = try ask("fileshare", "downloads")["downloads"]?.arrayValue?.first else {
          if FileManager.default.fileExists(atPath: target) { return nil }
          continue
        }
        try #require(first["state"] != "failed", "\(first)")
        if isWanted(first) { return first["bytes"]?.integerValue ?? 0 }
      }
      throw CommandError(.failed, "nothing within a minute")
    }

    /// The bytes that it has fetched in this life, twice or not.
    func fetched() throws -> Int64 {
      let said = strata("metrics", "--config", path, catalog: Catalog.standard)
      try #require(said.status == 0, "\(said.errors)")
      return try ["fetched_bytes", "wasted_bytes"].reduce(0) { sum, name in
        let line = said.output.split(separator: "\n").first { $0.hasPrefix("strata_fileshare_\(name)") }
        return sum + Int64(try #require(line?.split(separator: " ").last.flatMap { Double($0) }, "no metric \(name)"))
      }
    }

    func end(_ signal: Int32) {
      guard process.isRunning else { return }
      kill(process.processIdentifier, signal)
      process.waitUntilExit()
    }
  }
}
