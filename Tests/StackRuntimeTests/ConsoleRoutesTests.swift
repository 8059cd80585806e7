// ConsoleRoutesTests: what the console needs of the control port: packets, the configuration, events that were missed.
import Glibc
import StackCore
import Testing

@testable import StackRuntime

@Suite struct ConsoleRoutesTests {
  private static func watch(
    _ bench: RealNodeBench, _ node: RealNode, _ path: String, _ more: String = "",
    until wanted: String = ": watching"
  ) throws -> (client: HTTPTests.Plain, begin: String) {
    let port = try #require(node.control).address.port
    let plain = HTTPTests.Plain(port)
    plain.say(
      "GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nAuthorization: Bearer \(node.token)\r\n\(more)\r\n")
    let begin = try bench.meanwhile { plain.hear(until: wanted) }
    #expect(begin.contains("text/event-stream"))
    return (plain, begin)
  }

  /// The JSON of each event of a name that a stream holds.
  private static func events(_ stream: String, _ name: String) -> [JSON] {
    stream.split(separator: "\n\n").filter { $0.contains("event: \(name)\n") }.compactMap { block in
      let line = block.split(separator: "\n").first { $0.hasPrefix("data: ") }
      return line.flatMap { try? JSON.parse(String($0.dropFirst(6))) }
    }
  }

  // MARK: Packets

  @Test func packetsAreShownWithTheirFieldsToThoseWhoWatch() throws {
    let bench = try RealNodeBench()
    let node = try bench.node(bench.options("alice"))
    let control = try #require(node.control)
    #expect(!control.packets.isWatched)
    let (plain, _) = try Self.watch(bench, node, "/v1/packets")
    #expect(control.packets.count == 1)
    _ = try bench.call(node, "send", ["peer": .string(node.address.description), "size": 3])
    let told = try bench.meanwhile { plain.hear(until: "\"Back\"") + plain.hear(until: "\n\n") }
    let batches = Self.events(told, "packets")
    let packets = batches.flatMap { $0["packets"]?.arrayValue ?? [] }
    let word = try #require(packets.first { $0["type"] == "Word" && $0["in"] == true })
    #expect(word["layer"] == "parrot" && word["number"] == 1000 && word["peer"]?.stringValue == "\(node.address)")
    #expect(word["fields"]?["word"]?["bytes"] == "070707" && word["bytes"]?.integerValue ?? 0 > 5)
    #expect(packets.contains { $0["type"] == "Word" && $0["in"] == false })
    plain.hangUp()
    try bench.until("nobody watches") { !control.packets.isWatched }
  }

  @Test func aFloodOfPacketsIsCountedAndOnlySomeAreShown() throws {
    let bench = try RealNodeBench()
    let watch = PacketWatch(loop: bench.loop)
    let node = try bench.node(bench.options("alice"))
    watch.messages = { node.node.messages }
    let control = try #require(node.control)
    let (plain, _) = try Self.watch(bench, node, "/v1/packets")
    for _ in 0..<300 { node.call("parrot", "send", ["peer": .string(node.address.description)]) { _ in } }
    let told = try bench.meanwhile { plain.hear(until: "\"Back\"") + plain.hear(until: "\n\n") }
    let batch = try #require(Self.events(told, "packets").first)
    #expect(batch["packets"]?.arrayValue?.count ?? 99 <= PacketWatch.shown)
    #expect(
      (batch["counts"]?.arrayValue ?? []).contains { $0["packets"]?.integerValue ?? 0 > Int64(PacketWatch.shown) })
    // What no layer knows has one place, whatever number it comes under.
    for number in 5000..<5100 {
      var writer = WireWriter(limit: 64)
      writer.writeTag(UInt32(number), .varint)
      writer.writeVarint(1)
      let bytes = writer.copied()
      control.packets.note(bytes.span.bytes, peer: node.address, isIncoming: true)
    }
    let after = try bench.meanwhile { plain.hear(until: "\"unknown\"") + plain.hear(until: "\n\n") }
    let unknown = Self.events(after, "packets").flatMap { $0["counts"]?.arrayValue ?? [] }.filter {
      $0["type"] == "unknown"
    }
    #expect(unknown.count == 1 && unknown[0]["packets"] == 100)
    plain.hangUp()
    try bench.until("nobody watches") { !control.packets.isWatched }
  }

  // MARK: Events that were missed

  @Test func whoComesBackGetsWhatWasMissed() throws {
    let bench = try RealNodeBench()
    let node = try bench.node(bench.options("alice"))
    func say(_ size: Int64) throws {
      _ = try bench.call(node, "send", ["peer": .string(node.address.description), "size": .integer(size)])
    }
    let (first, _) = try Self.watch(bench, node, "/v1/events?layer=parrot")
    try say(11)
    let told = try bench.meanwhile { first.hear(until: "\"size\":-11}") }
    let ids = told.split(separator: "\n").filter { $0.hasPrefix("id: ") }.compactMap { UInt64($0.dropFirst(4)) }
    let last = try #require(ids.last)
    first.hangUp()
    try bench.until("it is gone") { node.control?.watchers.count == 0 }
    // For a while after the last has gone, events are kept for those who come back.
    #expect(node.node.observesEvents)
    try say(22)
    try bench.until("it was told") { (node.node.eventDescriptions.first { $0.name == "heard" }?.count ?? 0) >= 4 }
    let (second, again) = try Self.watch(
      bench, node, "/v1/events?layer=parrot", "Last-Event-ID: \(last)\r\n", until: "\"size\":-22}")
    #expect(again.contains("\"size\":22}") && !again.contains("\"size\":11}") && !again.contains("event: missed"))
    second.hangUp()
    // Of what is gone, it is told that it is.
    let (third, start) = try Self.watch(
      bench, node, "/v1/events", "Last-Event-ID: 5\r\n", until: "event: missed")
    #expect(start.contains("event: missed"))
    third.hangUp()
    node.control?.watchers.linger = .zero
    try bench.until("nobody watches") { node.control?.watchers.count == 0 }
  }

  // MARK: The configuration

  @Test func aChangeIsCheckedKeptAndTakenOn() throws {
    let bench = try RealNodeBench()
    var options = bench.options("alice")
    let without = try bench.node(bench.options("bob"))
    #expect(try bench.ask(without, "GET", "/v1/config").code == "not-reloadable")
    #expect(try bench.ask(without, "PATCH", "/v1/config", ["a": 1]).code == "not-reloadable")
    var kept: JSON = ["greeting": "hello"]
    options.configuration = RealNodeConfiguration(
      describe: { () throws(RealNodeConfiguration.Refusal) in ["kept": kept] },
      change: { patch throws(RealNodeConfiguration.Refusal) in
        guard patch["greeting"]?.stringValue != "rude" else {
          throw RealNodeConfiguration.Refusal([.init(path: "greeting", "found \"rude\", expected a kind word")])
        }
        let old = kept
        kept = patch
        return { kept = old }
      })
    options.reload = { RealNodeReload(peers: [], layers: [(Parrot.self, kept)]) }
    let node = try bench.node(options)
    #expect(try bench.ask(node, "GET", "/v1/config").json == ["kept": ["greeting": "hello"]])
    let taken = try bench.ask(node, "PATCH", "/v1/config", ["greeting": "ahoy"])
    #expect(taken.status == 200 && taken.json["answers"]?[0]?["outcome"] == "applied")
    let refused = try bench.ask(node, "PATCH", "/v1/config", ["greeting": "rude"])
    #expect(refused.status == 422 && refused.code == "bad-configuration")
    #expect(refused.json["faults"]?[0] == ["path": "greeting", "message": "found \"rude\", expected a kind word"])
    // What passes the check and can't be taken on is taken back.
    let unbuildable = try bench.ask(node, "PATCH", "/v1/config", ["limit": 5000])
    #expect(unbuildable.status == 422 && kept == ["greeting": "ahoy"], "\(unbuildable.body)")
    #expect(try bench.ask(node, "PATCH", "/v1/config", [1]).status == 422)
    let nothing = try bench.ask(node, "PATCH", "/v1/config")
    #expect(nothing.status == 400 && nothing.code == "no-body" && kept == ["greeting": "ahoy"])
    let described = try bench.ask(node, "GET", "/openapi.json").json["components"]?["schemas"]
    #expect(described?["config.input"]?["type"] == "object")
    #expect(described?["Problem"]?["properties"]?["faults"]?["type"] == "array")
    #expect(try bench.ask(node, "POST", "/v1/config", ["a": 1]).header("Allow") == "GET, HEAD, PATCH")
    #expect(try bench.ask(node, "PATCH", "/v1/config", headers: [], ["a": 1]).status == 401)
  }

  @Test func aBrowserKeepsOnlyWhatIsAskedForByItsVersion() throws {
    let bench = try RealNodeBench()
    let node = try bench.node(bench.options("alice"))
    var version = "a1"
    node.control?.addAsset("/app.js", contentType: "text/javascript", version: { version }) { Array("script".utf8) }
    node.control?.addAsset("/", contentType: "text/html", Array("page".utf8))
    func kept(_ path: String) throws -> String? {
      try bench.ask(node, "GET", path, headers: []).header("Cache-Control")
    }
    #expect(try kept("/app.js?v=a1") == "private, max-age=31536000, immutable")
    #expect(try kept("/app.js") == "no-store" && kept("/app.js?v=") == "no-store" && kept("/?v=a1") == "no-store")
    version = "b2"
    #expect(try kept("/app.js?v=a1") == "no-store")
    #expect(try bench.ask(node, "GET", "/v1/node?v=b2").header("Cache-Control") == "no-store")
  }

  // MARK: What a hostile client may try

  @Test(arguments: [
    "/../../etc/passwd", "/console/../../../etc/passwd", "/console/%2e%2e/%2e%2e/etc/passwd",
    "/console/..%2f..%2fetc%2fpasswd", "//etc/passwd", "/console/main.js/..",
  ]) func noPathLeadsOutOfThePage(path: String) throws {
    let bench = try RealNodeBench()
    let node = try bench.node(bench.options("alice"))
    node.control?.addAsset("/", contentType: "text/html", Array("page".utf8))
    node.control?.addAsset("/console/main.js", contentType: "text/javascript", Array("script".utf8))
    let answer = try bench.ask(node, "GET", path, headers: [])
    #expect([400, 401, 404].contains(answer.status) && !answer.body.contains("root:"), "\(answer.status)")
  }

  @Test func aGibibyteIsRefusedBeforeItComes() throws {
    let bench = try RealNodeBench()
    let node = try bench.node(bench.options("alice"))
    let port = try #require(node.control).address.port
    let answer = try bench.meanwhile {
      let plain = HTTPTests.Plain(port)
      plain.say(
        "PATCH /v1/config HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nAuthorization: Bearer x\r\n"
          + "Content-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n{\"a\":")
      return plain.hear()
    }
    #expect(answer.hasPrefix("HTTP/1.1 413 "), "\(answer)")
  }
}
