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
    #expect(try JSON.parse(line)["message"] == "reload: workers: needs a restart")
    try folder.write("a.json", "{")
    kill(process.processIdentifier, SIGHUP)
    #expect(log.next { $0.contains("not reloaded: a.json: line 1, column 2") } != nil)
    kill(process.processIdentifier, SIGTERM)
    #expect(log.next { $0.contains("has stopped") } != nil)
    process.waitUntilExit()
    #expect(process.terminationReason == .exit && process.terminationStatus == 0)
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/data/a/control.address"))
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
