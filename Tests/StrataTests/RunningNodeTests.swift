// RunningNodeTests: the command against a node that runs, in this process and as a process of its own.
import Foundation
import StackCore
import StackRuntime
import Testing

@testable import Strata

/// A node on a thread of its own, as `strata node` would run it.
private final class ThreadedNode {
  let path: String
  let folder: TestFolder
  private let ended = DispatchSemaphore(value: 0)

  init(_ text: String) throws {
    folder = try TestFolder()
    path = try folder.write("node.json", text)
    let built = DispatchSemaphore(value: 0)
    let (path, ended) = (path, ended)
    Thread.detachNewThread {
      if let file = try? NodeFile.read(path, catalog: testCatalog) {
        var options = RealNodeOptions(file, version: "1.2.3")
        options.reload = {
          let new = try NodeFile.read(path, catalog: testCatalog)
          return RealNodeReload(peers: new.peers, layers: new.layers, answers: file.restartAnswers(for: new))
        }
        if let node = try? RealNode(options, log: LogSink(write: { _ in })) {
          node.start()
          built.signal()
          while node.state != .stopped { node.step() }
        }
      }
      built.signal()
      ended.signal()
    }
    built.wait()
  }

  /// Stops it by command, and waits until it has.
  func stop() -> Said {
    let said = strata("stop", "--config", path)
    if said.status == 0 { ended.wait() }
    return said
  }
}

// One after the other: a process that is started must not inherit the pipes of another.
@Suite(.serialized) struct RunningNodeTests {
  private static let text = #"{"name": "alice", "listen": "127.0.0.1:0", "layers": {"chat": {"lines": 5}}}"#

  @Test("A layer's commands, the node's state, a reload and the end") func commands() throws {
    let node = try ThreadedNode(Self.text)
    let path = node.path

    let said = strata("chat", "say", "hello", "--loud", "--to", "bob", "--config", path)
    #expect(said.status == 0 && said.errors.isEmpty)
    #expect(said.output == "text        HELLO\nneighbours  0\nto          bob\n")
    let json = strata("chat", "say", "hello", "--json", environment: ["STRATA_CONFIG": path])
    #expect(try JSON.parse(json.output) == ["text": "hello", "neighbours": 0, "to": []])

    let refused = strata("chat", "say", "no", "--config", path)
    #expect(refused.errors == "strata: that is not said (unsaid)\n")
    #expect(refused.status == 1)

    let counted = strata("chat", "count", "2", "a", "b", "--config", path)
    #expect(counted.output == "a\nb\n")
    #expect(counted.errors == "done 1, total 2\ndone 2, total 2\n")

    #expect(strata("call", "chat", "say", #"{"text": "x"}"#, "--config", path).output.contains("text        x\n"))
    let status = try JSON.parse(strata("status", "--json", "--config", path).output)
    #expect(status["name"] == "alice" && status["version"] == "1.2.3")
    #expect(strata("neighbours", "--config", path).output.contains("neighbours"))
    #expect(strata("metrics", "--config", path).output.contains("# TYPE "))

    // A program in which the layer isn't compiled in asks the node what it can.
    let foreign = strata(["chat", "say", "far", "--config", path], catalog: [])
    #expect(foreign.status == 0 && foreign.output.contains("text        far\n"), "\(foreign.errors)")
    let wrong = strata(["chat", "say", "far", "--times", "99", "--config=\(path)"], catalog: [])
    #expect(wrong.status == 2 && wrong.errors.contains("times: found 99, expected a whole number from 1 to 9"))

    let token = try node.folder.read("data/alice/control.token").split(separator: "\n")[0]
    let page = strata("console", "--config", path)
    #expect(page.output.hasPrefix("http://127.0.0.1:") && page.output.hasSuffix("/#token=\(token)\n"))

    let address = try node.folder.read("data/alice/control.address").split(separator: "\n")[0]
    let direct = strata(
      "chat", "say", "x", "--control", "http://\(address)", "--token-file",
      node.folder.path + "/data/alice/control.token")
    #expect(direct.status == 0)

    try node.folder.write(
      "node.json",
      #"{"name": "alice", "listen": "127.0.0.1:0", "outbox": "1MiB", "layers": {"chat": {"interval": "2s", "lines": 6}}}"#
    )
    let reload = try JSON.parse(strata("reload", "--json", "--config", path).output)
    let answers = (reload["answers"]?.arrayValue ?? []).map { "\($0["path"] ?? .null) \($0["outcome"] ?? .null)" }
    #expect(
      answers.sorted() == [
        #""layers.chat.interval" "applied""#, #""layers.chat.lines" "needs a restart""#,
        #""outbox" "needs a restart""#,
      ])
    try node.folder.write("node.json", #"{"nmae": "alice"}"#)
    try node.folder.write("right.json", Self.text)
    let bad = strata("reload", "--config", node.folder.path + "/right.json")
    #expect(bad.status == 1 && bad.errors.contains(#"nmae: found an unknown key, expected "name""#), "\(bad.errors)")

    try node.folder.write("node.json", Self.text)
    #expect(node.stop().status == 0)
    let gone = strata("status", "--config", path)
    #expect(gone.status == 1 && gone.errors.contains("node alice doesn't run"))
    #expect(gone.errors.hasSuffix("start it with: strata node \(path)\n"))
  }

  @Test("Events come as they happen") func events() throws {
    let node = try ThreadedNode(Self.text)
    let path = node.path
    let heard = DispatchSemaphore(value: 0)
    let lines = LockedText()
    Thread.detachNewThread {
      let said = strata("events", "--layer", "chat", "--count", "1", "--json", "--config", path)
      lines.text = said.output
      heard.signal()
    }
    // Nobody says when the watcher is there, so it is spoken to until it has heard.
    repeat { _ = strata("chat", "say", "hello", "--config", path) } while heard.wait(timeout: .now()) == .timedOut
    let event = try JSON.parse(lines.text)
    #expect(event["layer"] == "chat" && event["event"] == "heard" && event["data"]?["text"] == "hello")
    #expect(strata("events", "--layer", "chta", "--config", path).errors.contains("did you mean chat?"))
    #expect(node.stop().status == 0)
  }

  @Test("The token is sent to nobody who doesn't know it") func stranger() throws {
    let node = try ThreadedNode(Self.text)
    let data = node.folder.path + "/data/alice"
    let address = try node.folder.read("data/alice/control.address")
    // Somebody else took the port that a killed node had: here it is another node, which notes what it is asked.
    let other = try ThreadedNode(#"{"name": "mallory", "listen": "127.0.0.1:0", "layers": {}}"#)
    try node.folder.write("data/alice/control.address", try other.folder.read("data/mallory/control.address"))
    for words in [["status"], ["chat", "say", "x"], ["events"], ["console"], ["stop"], ["metrics"]] {
      let said = strata(words + ["--config", node.path])
      #expect(said.status == 1 && said.errors.contains("doesn't know the token in \(data)/control.token"), "\(words)")
      #expect(said.errors.hasSuffix("start it with: strata node \(node.path)\n") && said.output.isEmpty)
    }
    // All it was asked was to prove itself, and stopping needs the token: it still runs.
    #expect(strata("status", "--config", other.path).status == 0)
    // A wrong token is told from the right one the same way.
    let wrong = strata(
      "status", "--control", "http://\(address.split(separator: "\n")[0])", "--token-file",
      other.folder.path + "/data/mallory/control.token")
    #expect(wrong.status == 1 && wrong.errors.contains("the token is another node's"))
    // Nobody listens any more: what a killed node leaves.
    try node.folder.write("data/alice/control.address", "127.0.0.1:1\n")
    let dead = strata("status", "--config", node.path)
    #expect(dead.status == 1 && dead.errors.contains("nothing listens on 127.0.0.1:1; start it with: strata node"))
    try node.folder.write("data/alice/control.address", address)
    #expect(node.stop().status == 0)
    // Alice is gone, killed for all that her folder tells, and another program has her port.
    try node.folder.write("data/alice/control.address", try other.folder.read("data/mallory/control.address"))
    let killed = strata("status", "--config", node.path)
    #expect(killed.status == 1 && killed.errors.hasPrefix("strata: node alice doesn't run: "), "\(killed.errors)")
    #expect(killed.errors.contains("is another program, to which the token was not sent; start it with: strata node"))
    #expect(other.stop().status == 0)
  }

  @Test("top shows running nodes, by files, folders and data") func top() throws {
    let node = try ThreadedNode(Self.text)
    let folder = node.folder.path
    for path in [node.path, folder, folder + "/data", folder + "/data/alice"] {
      let said = strata("top", path, "--every", "100ms")
      #expect(said.status == 0 && said.output.hasPrefix("strata top  alice  127.0.0.1:"), "\(path): \(said.errors)")
      #expect(said.output.contains("WAITING") && !said.output.contains("\u{1b}"))
    }
    let json = try JSON.parse(strata("top", "--json", "--every", "100ms", "--config", node.path).output)
    #expect(json["nodes"]?[0]?["name"] == "alice" && json["nodes"]?[0]?["state"] == "running")
    #expect(node.stop().status == 0)
    let gone = strata("top", node.path)
    #expect(gone.status == 1 && gone.errors.contains("doesn't run"))
    #expect(strata("top", folder + "/data/alice/files").status == 2)
    #expect(strata("top", "--every", "1ms", node.path).errors.contains("expected a duration from 100ms"))
    #expect(strata("top", environment: ["TMPDIR": folder]).errors.contains("found no node to show"))
  }

  @Test("Status and neighbours are in words: how long, when, and how much") func words() throws {
    let node = try ThreadedNode(Self.text)
    let status = strata("status", "--config", node.path).output
    #expect(status.contains("uptime ") && !status.contains("uptimeSeconds") && !status.contains("Z\n"))
    #expect(try JSON.parse(strata("metrics", "--json", "--config", node.path).output)["strata_running"] == 1)
    #expect(strata("stop", "--json", "--config", node.path).output.contains("stopping"))
  }

  @Test("A node whose port is off can't be asked") func off() throws {
    let folder = try TestFolder()
    let path = try folder.write("bob.json", #"{"control": "off"}"#)
    let said = strata("status", "--config", path)
    #expect(said.errors == "strata: node bob has no control port: \(path) has \"control\": \"off\"\n")
    #expect(said.status == 1)
  }

  // MARK: The built program

  /// The program beside the tests; nil when it isn't built.
  static var program: String? {
    let places = [Bundle.main.bundlePath, CommandLine.arguments[0]] + Bundle.allBundles.map(\.bundlePath)
    for place in places {
      var folder = URL(fileURLWithPath: place)
      for _ in 0..<3 {
        let path = folder.appendingPathComponent("strata").path
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue { return path }
        folder.deleteLastPathComponent()
      }
    }
    return nil
  }

  func start(_ words: [String], in folder: TestFolder) throws -> (Process, out: Pipe, errors: Pipe) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(Self.program))
    process.arguments = words
    process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
    let (out, errors) = (Pipe(), Pipe())
    process.standardOutput = out
    process.standardError = errors
    try process.run()
    return (process, out, errors)
  }

  private func text(_ pipe: Pipe) -> String {
    String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  }

  @Test(
    "The program tells its version, its help and a wrong configuration", .enabled(if: RunningNodeTests.program != nil))
  func processAnswers() throws {
    let folder = try TestFolder()
    let version = try start(["--version"], in: folder)
    #expect(text(version.out) == "strata \(Strata.version)\n")
    version.0.waitUntilExit()
    #expect(version.0.terminationStatus == 0)
    try folder.write("a.json", #"{"nmae": 1}"#)
    let wrong = try start(["node", "a.json"], in: folder)
    #expect(
      text(wrong.errors) == "strata: a.json: nmae: found an unknown key, expected \"name\" (did you mean that?)\n")
    wrong.0.waitUntilExit()
    #expect(wrong.0.terminationStatus == 2)
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/data"))
  }

  @Test("SIGHUP reloads, and SIGTERM ends a node in good order", .enabled(if: RunningNodeTests.program != nil))
  func signals() throws {
    let folder = try TestFolder()
    try folder.write("a.json", #"{"listen": "127.0.0.1:0", "log": "json"}"#)
    let (process, _, errors) = try start(["node", "a.json"], in: folder)
    var log = LineReader(handle: errors.fileHandleForReading)
    #expect(log.next { $0.contains("listens at") } != nil)
    #expect(log.next { $0.contains("control port") } != nil)
    try folder.write("a.json", #"{"listen": "127.0.0.1:0", "log": "json", "workers": 1}"#)
    kill(process.processIdentifier, SIGHUP)
    let line = try #require(log.next { $0.contains("reload") })
    #expect(try JSON.parse(line)["message"] == "reload: workers: needs a restart, still 0")
    try folder.write("a.json", "{")
    kill(process.processIdentifier, SIGHUP)
    #expect(log.next { $0.contains("not reloaded: a.json: line 1, column 2") } != nil)
    kill(process.processIdentifier, SIGTERM)
    #expect(log.next { $0.contains("has stopped") } != nil)
    process.waitUntilExit()
    #expect(process.terminationReason == .exit && process.terminationStatus == 0)
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/data/a/control.address"))
  }

  @Test("A node that is killed while it answers is said to have ended", .enabled(if: RunningNodeTests.program != nil))
  func killed() throws {
    let folder = try TestFolder()
    let path = try folder.write("a.json", #"{"listen": "127.0.0.1:0", "layers": {"gossip": {}}}"#)
    let (process, _, errors) = try start(["node", "a.json"], in: folder)
    var log = LineReader(handle: errors.fileHandleForReading)
    #expect(log.next { $0.contains("control port") } != nil)
    let ended = DispatchSemaphore(value: 0)
    let lines = LockedText()
    Thread.detachNewThread {
      lines.text = strata(["gossip", "follow", "--config", path], catalog: Catalog.standard).errors
      ended.signal()
    }
    // Killed once the call is under way.
    while try JSON.parse(strata("metrics", "--json", "--config", path).output)["strata_calls_open"] != 1 {}
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    ended.wait()
    #expect(lines.text == "strata: node a has ended before its answer was whole; start it with: strata node \(path)\n")
    // Its address is still there.
    let gone = strata("status", "--config", path)
    #expect(gone.errors.hasPrefix("strata: node a doesn't run: nothing listens on 127.0.0.1:"), "\(gone.errors)")
    #expect(FileManager.default.fileExists(atPath: folder.path + "/data/a/control.address"))
  }
}

/// A text that two threads hand over, one after the other.
private final class LockedText: @unchecked Sendable {
  // Sound: a semaphore stands between the write and the read.
  var text = ""
}

/// Reads a process's lines as they come.
struct LineReader {
  let handle: FileHandle
  private var buffer = Data()

  init(handle: FileHandle) { self.handle = handle }

  /// The next line that is wanted; nil at the end.
  mutating func next(_ isWanted: (String) -> Bool) -> String? {
    while true {
      while let end = buffer.firstIndex(of: 0x0A) {
        let line = String(decoding: buffer[..<end], as: UTF8.self)
        buffer = Data(buffer[(end + 1)...])
        if isWanted(line) { return line }
      }
      let more = handle.availableData
      if more.isEmpty { return nil }
      buffer += more
    }
  }
}
