// SurvivalTests: a node that publishes is killed a few times; `make survival` does the same 200 times, and faster.
import Foundation
import StackCore
import Testing

@testable import Strata

/// What was acknowledged, gathered on a thread of its own.
private final class Acknowledgements: @unchecked Sendable {
  // Sound: `texts` is only touched with the lock held.
  private let lock = NSLock()
  private var texts: [(id: Int64, text: String)] = []
  let one = DispatchSemaphore(value: 0)
  let ended = DispatchSemaphore(value: 0)

  func add(_ id: Int64, _ text: String) {
    lock.withLock { texts.append((id, text)) }
    one.signal()
  }
  var all: [(id: Int64, text: String)] { lock.withLock { texts } }
}

// A part of that suite, so that no process inherits the pipes of another.
extension RunningNodeTests {
  @Test("Killed while it publishes, a node loses nothing and uses no ID twice", .enabled(if: program != nil))
  func survival() throws {
    let folder = try TestFolder()
    let path = try folder.write(
      "a.json", #"{"name": "a", "listen": "127.0.0.1:0", "log": "json", "layers": {"gossip": {}}}"#)
    var known: [Int64: String] = [:]
    for round in 0..<5 {
      let (process, _, errors) = try start(["node", "a.json"], in: folder)
      var log = LineReader(handle: errors.fileHandleForReading)
      #expect(log.next { $0.contains("control port") } != nil)
      let found = try kept(path)
      for (id, text) in known { #expect(found[id] == text, "round \(round): rumor \(id)") }
      // What was stored and not acknowledged any more is there too, and its ID is taken.
      known = found
      let published = publish(round, path)
      for _ in 0...round * 2 { published.one.wait() }
      kill(process.processIdentifier, SIGKILL)
      published.ended.wait()
      process.waitUntilExit()
      for (id, text) in published.all {
        #expect(known[id] == nil, "ID \(id) was used for \(known[id] ?? "") and for \(text)")
        known[id] = text
      }
    }
    let (process, _, errors) = try start(["node", "a.json"], in: folder)
    var log = LineReader(handle: errors.fileHandleForReading)
    #expect(log.next { $0.contains("control port") } != nil)
    let found = try kept(path)
    for (id, text) in known { #expect(found[id] == text, "rumor \(id)") }
    #expect(found.keys.sorted() == Array(1...Int64(found.count)) && found.count >= 25)
    kill(process.processIdentifier, SIGTERM)
    process.waitUntilExit()
  }

  /// Publishes one rumor after the other until the node is gone.
  private func publish(_ round: Int, _ path: String) -> Acknowledgements {
    let acknowledgements = Acknowledgements()
    Thread.detachNewThread {
      for number in 0..<10_000 {
        let text = "round \(round), number \(number)"
        let said = strata("gossip", "publish", text, "--json", "--config", path, catalog: Catalog.standard)
        guard said.status == 0, let id = (try? JSON.parse(said.output))?["id"]?.integerValue else { break }
        acknowledgements.add(id, text)
      }
      // Should nothing have been acknowledged, nobody must wait for ever.
      for _ in 0..<20 { acknowledgements.one.signal() }
      acknowledgements.ended.signal()
    }
    return acknowledgements
  }

  private func kept(_ path: String) throws -> [Int64: String] {
    let said = strata(
      "gossip", "rumors", "--limit", "10000", "--json", "--config", path, catalog: Catalog.standard)
    #expect(said.status == 0, "\(said.errors)")
    var found: [Int64: String] = [:]
    for rumor in try JSON.parse(said.output)["rumors"]?.arrayValue ?? [] {
      found[rumor["id"]?.integerValue ?? 0] = rumor["text"]?.stringValue ?? ""
    }
    return found
  }
}
