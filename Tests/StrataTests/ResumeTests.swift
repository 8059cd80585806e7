// ResumeTests: a node that fetches a file from another is killed at random points; what it had isn't fetched again.
import Foundation
import StackCore
import Testing

@testable import Strata

// A part of that suite, so that no process inherits the pipes of another.
extension RunningNodeTests {
  /// The bytes of files that a node has fetched since it started.
  private func fetched(_ path: String) -> Double {
    let said = strata("metrics", "--config", path, catalog: Catalog.standard)
    for line in said.output.split(separator: "\n") where !line.hasPrefix("#") {
      let name = line.lowercased().filter { $0 != "_" }
      if name.contains("filesharefetchedbytes") { return line.split(separator: " ").last.flatMap { Double($0) } ?? 0 }
    }
    return 0
  }

  private func download(_ path: String) -> JSON? {
    let said = strata("fileshare", "downloads", "--json", "--config", path, catalog: Catalog.standard)
    return (try? JSON.parse(said.output))?["downloads"]?.arrayValue?.first
  }

  private func run(_ folder: TestFolder) throws -> (Process, address: String) {
    let (process, _, errors) = try start(["node", "a.json"], in: folder)
    var log = LineReader(handle: errors.fileHandleForReading)
    let line = try #require(log.next { $0.contains("listens at") })
    let address = try #require(line.split { !"0123456789.:".contains($0) }.first { $0.hasPrefix("127.0.0.1:") })
    #expect(log.next { $0.contains("control port") } != nil)
    return (process, String(address))
  }

  @Test("Killed at 20 points, a download goes on where it was", .enabled(if: program != nil))
  func resumption() throws {
    let size = 64 << 20
    let (holder, fetcher) = (try TestFolder(), try TestFolder())
    let holderPath = try holder.write(
      "a.json",
      #"{"name": "a", "listen": "127.0.0.1:0", "log": "json", "layers": {"fileshare": {"uploadLimit": "16MiB"}}}"#)
    let path = try fetcher.write(
      "a.json", #"{"name": "b", "listen": "127.0.0.1:0", "log": "json", "layers": {"fileshare": {}}}"#)
    var random = RandomStream(seed: UInt64(ProcessInfo.processInfo.processIdentifier), name: "resumption")
    let content = try #require(FileHandle(forReadingAtPath: "/dev/urandom")).readData(ofLength: size)
    try content.write(to: URL(fileURLWithPath: holder.path + "/file"))
    let (server, address) = try run(holder)
    defer { kill(server.processIdentifier, SIGKILL) }
    let shared = strata(
      "fileshare", "share", holder.path + "/file", "--json", "--config", holderPath, catalog: Catalog.standard)
    let link = try #require(JSON.parse(shared.output)["shared"]?.arrayValue?.first?["link"]?.stringValue)
    let target = fetcher.path + "/got"
    var total = 0.0
    var kills = 0
    while !FileManager.default.fileExists(atPath: target) {
      let (process, _) = try run(fetcher)
      if kills == 0 {
        Thread.detachNewThread {
          _ = strata(
            "fileshare", "download", link, "--from", address, "--to", target, "--config", path,
            catalog: Catalog.standard)
        }
      }
      defer { kill(process.processIdentifier, SIGKILL) }
      // A point between one and three twentieths of the file further on, as far as there are any left.
      let step = Double(size) * 0.04 * (0.5 + Double(random.next(below: 1_000)) / 1_000)
      while !FileManager.default.fileExists(atPath: target), kills == 20 || fetched(path) < step {
        Thread.sleep(forTimeInterval: 0.002)
      }
      let before = download(path)?["bytes"]?.doubleValue ?? 0
      total += fetched(path)
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      kills += 1
      #expect(before > 0 || kills == 1)
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: target)) == content)
    #expect(kills > 15, "\(kills) kills")
    let twice = total - Double(size) * (1 + 32.0 / 8_192 + 1.0 / 65_536)
    #expect(twice <= Double(size) * 0.01, "\(twice) of \(size) bytes twice in \(kills) kills")
  }
}
