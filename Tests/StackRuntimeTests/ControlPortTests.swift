// ControlPortTests: the control port of a running node: each thing it answers, and each it refuses.
import Glibc
import Testing

@testable import StackCore
@testable import StackRuntime

@Suite struct ControlPortTests {
  static func running() throws -> (bench: RealNodeBench, node: RealNode) {
    let bench = try RealNodeBench()
    return (bench, try bench.node(bench.options("alice")))
  }

  // MARK: Who may ask

  @Test func onlyTheHolderOfTheTokenIsHeard() throws {
    let (bench, node) = try Self.running()
    for value in [nil, "Bearer ", "Bearer \(node.token.dropLast())", "Bearer \(node.token)0", "Basic \(node.token)"] {
      let headers = value.map { [HTTPField("Authorization", $0)] } ?? []
      for (method, path) in [("GET", "/v1/node"), ("GET", "/nowhere"), ("POST", "/v1/parrot/greet")] {
        let answer = try bench.ask(node, method, path, headers: headers)
        #expect(answer.status == 401 && answer.header("WWW-Authenticate")?.hasPrefix("Bearer") == true)
        #expect(answer.header("Content-Type") == "application/problem+json")
      }
    }
    let answer = try bench.ask(node, "GET", "/v1/node", headers: [HTTPField("authorization", "bearer \(node.token)")])
    #expect(answer.status == 200)
    let health = try bench.ask(node, "GET", "/healthz", headers: [])
    #expect(health.status == 200 && health.json == ["status": "ok"])
  }

  @Test func strangeHostsAndOriginsAreRefused() throws {
    let (bench, node) = try Self.running()
    let port = try #require(node.control).address.port
    let token = HTTPField("Authorization", "Bearer \(node.token)")
    for host in ["127.0.0.1:\(port)", "localhost:\(port)", "[::1]:\(port)", "LOCALHOST:\(port)"] {
      let ours = try bench.ask(node, "GET", "/v1/node", headers: [token, HTTPField("Host", host)])
      #expect(ours.status == 200, "\(host)")
      let page = [token, HTTPField("Host", host), HTTPField("Origin", "http://\(host)")]
      #expect(try bench.ask(node, "GET", "/v1/node", headers: page).status == 200)
    }
    for host in ["evil.example:\(port)", "127.0.0.1", "localhost:\(port ^ 1)", "localhost.evil.example:\(port)", ""] {
      let answer = try bench.ask(node, "GET", "/healthz", headers: [HTTPField("Host", host)])
      #expect(answer.status == 421 && answer.code == "wrong-host", "\(host)")
    }
    for origin in ["null", "http://evil.example", "https://127.0.0.1:\(port)", "http://127.0.0.1"] {
      let answer = try bench.ask(node, "GET", "/v1/node", headers: [token, HTTPField("Origin", origin)])
      #expect(answer.status == 403 && answer.code == "wrong-origin", "\(origin)")
      #expect(answer.header("Access-Control-Allow-Origin") == nil)
    }
  }

  @Test func everyAnswerTellsTheBrowserToKeepOut() throws {
    let (bench, node) = try Self.running()
    for path in ["/v1/node", "/nowhere", "/metrics", "/healthz"] {
      let answer = try bench.ask(node, "GET", path)
      #expect(answer.header("X-Content-Type-Options") == "nosniff" && answer.header("Cache-Control") == "no-store")
      #expect(answer.header("Content-Security-Policy")?.hasPrefix("default-src 'none'") == true)
    }
  }

  // MARK: What isn't right

  @Test func whatIsNotThereIsNamedWithWhatIsNear() throws {
    let (bench, node) = try Self.running()
    let answer = try bench.ask(node, "GET", "/v1/nodes")
    #expect(answer.status == 404 && answer.code == "unknown-path" && answer.json["nearest"] == "/v1/node")
    let command = try bench.ask(node, "POST", "/v1/parrot/gret", [:])
    #expect(command.status == 404 && command.json["nearest"] == "/v1/parrot/greet")
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY", "POST"] {
      let wrong = try bench.ask(node, method, "/v1/node")
      #expect(wrong.status == 405 && wrong.header("Allow") == "GET, HEAD", "\(method)")
    }
    #expect(try bench.ask(node, "GET", "/v1/parrot/greet").header("Allow") == "POST")
    #expect(try bench.ask(node, "HEAD", "/v1/node").status == 200)
    #expect(try bench.ask(node, "GET", "/v1/node", [:]).code == "unexpected-body")
    #expect(try bench.ask(node, "GET", "/v1/parrot/greet", [:]).status == 405)
  }

  @Test func badBodiesAreRefusedWithTheReason() throws {
    let (bench, node) = try Self.running()
    let port = try #require(node.control).address.port
    let token = HTTPField("Authorization", "Bearer \(node.token)")
    let json = HTTPField("Content-Type", "application/json; charset=utf-8")
    func post(_ body: String, _ type: HTTPField?) throws -> ControlAnswer {
      try bench.ask(port, "POST", "/v1/parrot/kept", [token] + (type.map { [$0] } ?? []), Array(body.utf8))
    }
    #expect(try post(#"{"key": "a"}"#, json).status == 200)
    for type in ["text/plain", "application/json; charset=latin1", "application/x-www-form-urlencoded"] {
      #expect(try post(#"{"key": "a"}"#, HTTPField("Content-Type", type)).status == 415)
    }
    #expect(try post(#"{"key": "a"}"#, nil).code == "wrong-content-type")
    let broken = try post("{\n  \"key\": }", json)
    #expect(broken.status == 400 && broken.code == "bad-json")
    #expect(broken.json["line"] == 2 && broken.json["column"]?.integerValue ?? 0 > 1)
    for body in ["[]", "{}", #"{"key": 5}"#, #"{"key": "a", "keyy": 1}"#, "null"] {
      let answer = try post(body, json)
      #expect(answer.status == 400 && answer.code == "invalid-input", "\(body)")
    }
    let large = try post(#"{"key": ""# + String(repeating: "x", count: 2 << 20), json)
    #expect(large.status == 413 && large.code == "too-large")
    #expect(large.header("Content-Type") == "application/problem+json")
  }

  /// What is refused before it is a request gets its problem too.
  @Test func whatNeverBecomesARequestIsRefusedInTheSameWords() throws {
    let bench = try RealNodeBench()
    var options = bench.options("alice")
    options.controlLimits.timeout = .seconds(5)
    options.controlLimits.connections = 2
    let node = try bench.node(options)
    let port = try #require(node.control).address.port
    func problem(_ said: String) throws -> JSON {
      let answer = try bench.meanwhile {
        let plain = HTTPTests.Plain(port)
        plain.say(said)
        return plain.hear()
      }
      let parts = answer.split(separator: "\r\n\r\n").map(String.init)
      #expect(parts.count == 2 && parts[0].contains("Content-Type: application/problem+json\r\n"), "\(answer)")
      #expect(parts[0].contains("\r\nConnection: close") && parts[0].contains("Content-Length: \(parts[1].utf8.count)"))
      return try JSON.parse(parts[1])
    }
    let head = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n"
    let cases: [(String, String, JSON)] = [
      ("GARBAGE\r\n\r\n", "bad-request", 400), (head + "no colon\r\n\r\n", "bad-request", 400),
      (head + "X: " + String(repeating: "x", count: 20_000) + "\r\n\r\n", "bad-request", 400),
      ("GET /%00 HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n\r\n", "bad-request", 400),
      ("POST /v1/parrot/greet HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", "too-large", 413), (head, "too-slow", 408),
    ]
    for (said, code, status) in cases {
      let answer = try problem(said)
      #expect(
        answer["code"]?.stringValue == code && answer["status"] == status, "\(answer.text()) to \(said.prefix(60))")
    }
    let two = [HTTPTests.Plain(port), HTTPTests.Plain(port)]
    try bench.until("both are taken") { node.control?.counters.connections == cases.count + 2 }
    #expect(try problem(head)["code"] == "too-many-connections")
    for plain in two { plain.hangUp() }
  }

  @Test func aLargeResultArrivesAsAnEventToo() throws {
    let bench = try RealNodeBench()
    var options = bench.options("alice")
    options.controlLimits.streamBytes = 1000
    options.layers = [(Parrot.self, ["greeting": .string(String(repeating: "x", count: 2 << 20))])]
    let node = try bench.node(options)
    let answer = try bench.ask(node, "POST", "/v1/parrot/greet", headers: Self.events(node), [:])
    #expect(answer.status == 200 && answer.body.utf8.count > 2 << 20)
    #expect(answer.body.hasPrefix("event: finished\ndata: {\"greeting\":\"xxx") && answer.body.hasSuffix("\"}\n\n"))
  }

  @Test(arguments: CommandError.Kind.allCases) func refusalsKeepTheirCode(kind: CommandError.Kind) throws {
    let (bench, node) = try Self.running()
    let answer = try bench.ask(node, "POST", "/v1/parrot/refuse", ["kind": .string(kind.rawValue)])
    let statuses: [CommandError.Kind: Int] = [
      .invalid: 400, .notFound: 404, .conflict: 409, .refused: 403, .unavailable: 503, .cancelled: 409, .failed: 422,
    ]
    #expect(answer.status == statuses[kind] && answer.code == "so-it-is")
    #expect(answer.json["type"] == "urn:strata:problem:so-it-is" && answer.json["detail"] == "refused as asked")
  }

  // MARK: Commands

  @Test func commandsAnswerInJSON() throws {
    let (bench, node) = try Self.running()
    let kept = try bench.ask(node, "POST", "/v1/parrot/keep", ["key": "k", "value": "v"])
    #expect(kept.status == 200 && kept.json == ["value": "v"])
    #expect(kept.header("Content-Type") == "application/json")
    #expect(try bench.ask(node, "POST", "/v1/parrot/kept", ["key": "k"]).json == ["value": "v"])
    #expect(try bench.ask(node, "POST", "/v1/parrot/greet").json == ["greeting": "hello"])
    // Who doesn't ask for progress waits for the end.
    #expect(try bench.ask(node, "POST", "/v1/parrot/count", ["steps": 3]).json == ["step": 3])
    #expect(try bench.ask(node, "POST", "/v1/parrot/work").json == ["step": 5050])
  }

  private static func events(_ node: RealNode) -> [HTTPField] {
    [
      HTTPField("Authorization", "Bearer \(node.token)"), HTTPField("Accept", "text/event-stream"),
      HTTPField("Content-Type", "application/json"),
    ]
  }

  @Test func progressComesAsEvents() throws {
    let (bench, node) = try Self.running()
    let port = try #require(node.control).address.port
    let answer = try bench.ask(port, "POST", "/v1/parrot/count", Self.events(node), Array(#"{"steps": 2}"#.utf8))
    #expect(answer.status == 200 && answer.header("Content-Type") == "text/event-stream")
    #expect(
      answer.body == "event: progress\ndata: {\"step\":1}\n\nevent: progress\ndata: {\"step\":2}\n\n"
        + "event: finished\ndata: {\"step\":2}\n\n")
    let refused = try bench.ask(port, "POST", "/v1/parrot/count", Self.events(node), Array(#"{"steps": -2}"#.utf8))
    #expect(refused.status == 400 && refused.code == "no-steps")
  }

  @Test(arguments: [true, false]) func aClientThatGoesAwayCancels(streaming: Bool) throws {
    let (bench, node) = try Self.running()
    let port = try #require(node.control).address.port
    let plain = HTTPTests.Plain(port)
    let accept = streaming ? "Accept: text/event-stream\r\n" : ""
    plain.say(
      "POST /v1/parrot/count HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nAuthorization: Bearer \(node.token)\r\n"
        + "\(accept)Content-Length: 0\r\n\r\n")
    try bench.until("the call is open") { node.node.queues.callsOpen == 1 }
    if streaming { #expect(try bench.meanwhile { plain.hear(until: "progress") }.contains("event: progress")) }
    plain.hangUp()
    try bench.until("the call was cancelled") { node.node.queues.callsOpen == 0 }
    #expect(node.node.nextDeadline != nil || node.node.queues.timersArmed == 0)
  }

  @Test func aStreamThatIsUnderWayFailsAsAnEventWhenTheNodeStops() throws {
    let (bench, node) = try Self.running()
    let port = try #require(node.control).address.port
    let plain = HTTPTests.Plain(port)
    plain.say(
      "POST /v1/parrot/count HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nAuthorization: Bearer \(node.token)\r\n"
        + "Accept: text/event-stream\r\nContent-Length: 0\r\n\r\n")
    _ = try bench.meanwhile { plain.hear(until: "progress") }
    let answer = try bench.ask(node, "POST", "/v1/node/stop")
    #expect(answer.status == 202 && answer.json["state"] == "stopping")
    let rest = try bench.meanwhile { plain.hear() }
    #expect(rest.contains("event: failed") && rest.contains("\"code\":\"stopping\""))
    try bench.until("it has stopped") { node.state == .stopped }
  }

  // MARK: Events

  @Test func eventsAreToldToThoseWhoWatchTheirLayer() throws {
    let (bench, node) = try Self.running()
    let port = try #require(node.control).address.port
    func watch(_ query: String) throws -> HTTPTests.Plain {
      let plain = HTTPTests.Plain(port)
      plain.say(
        "GET /v1/events\(query) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nAuthorization: Bearer \(node.token)\r\n\r\n")
      #expect(try bench.meanwhile { plain.hear(until: ": watching") }.contains("text/event-stream"))
      return plain
    }
    #expect(!node.node.observesEvents)
    node.control?.watchers.linger = .zero
    let all = try watch("")
    let core = try watch("?layer=core")
    let both = try watch("?layer=parrot,core")
    #expect(node.node.observesEvents && node.control?.watchers.count == 3)
    // A word to itself is a word heard.
    _ = try bench.call(node, "send", ["peer": .string(node.address.description), "size": 5])
    for watcher in [all, both] {
      let told = try bench.meanwhile { watcher.hear(until: "\"size\":-5}") }
      #expect(told.contains("event: parrot.heard\nid: "))
      let line = told.split(separator: "\n").first { $0.hasPrefix("data: ") && $0.contains("\"size\":5}") }
      let json = try JSON.parse(String(try #require(line).dropFirst(6)))
      #expect(json["layer"] == "parrot" && json["event"] == "heard" && json["data"] == ["size": 5])
    }
    for watcher in [all, core, both] { watcher.hangUp() }
    try bench.until("nobody watches") { node.control?.watchers.count == 0 }
    #expect(!node.node.observesEvents)
    #expect(!core.hear().contains("parrot"))
    #expect(try bench.ask(node, "GET", "/v1/events?layer=parot").code == "unknown-layer")
  }

  @Test func aWatcherThatDoesNotReadIsDropped() throws {
    let bench = try RealNodeBench()
    var options = bench.options("alice")
    options.controlLimits.streamBytes = 8192
    let node = try bench.node(options)
    node.control?.watchers.linger = .zero
    let port = try #require(node.control).address.port
    let plain = HTTPTests.Plain(port, receiveBuffer: 4096)
    plain.say("GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nAuthorization: Bearer \(node.token)\r\n\r\n")
    try bench.until("it watches") { node.control?.watchers.count == 1 }
    let sends = RealNodeTests.finished(try bench.call(node, "send", ["peer": .string(node.address.description)]))
    #expect(sends != nil)
    try bench.until("it is dropped") {
      node.call("parrot", "send", ["peer": .string(node.address.description)]) { _ in }
      return node.control?.watchers.count == 0
    }
    #expect(!node.node.observesEvents)
  }

  // MARK: Pages

  @Test func theNodeTellsWhoItIs() throws {
    let (bench, node) = try Self.running()
    let page = try bench.ask(node, "GET", "/v1/node").json
    #expect(page["name"] == "alice" && page["version"] == "1.2.3" && page["state"] == "running")
    #expect(page["address"]?.stringValue == node.address.description)
    #expect(page["uptimeSeconds"]?.doubleValue ?? -1 >= 0)
    let layer = try #require(page["layers"]?[0])
    #expect(layer["name"] == "parrot" && layer["settings"] == ["greeting": "hello", "limit": 10])
    #expect(layer["settingsSchema"] == "/openapi.json#/components/schemas/parrot.settings")
  }

  @Test func theLayersTellWhatTheyHaveRegistered() throws {
    let (bench, node) = try Self.running()
    let layers = try #require(try bench.ask(node, "GET", "/v1/layers").json["layers"]?.arrayValue)
    #expect(layers.map { $0["name"]?.stringValue } == ["parrot", "core"])
    let parrot = layers[0]
    #expect(parrot["messages"]?.arrayValue?.map { $0["name"]?.stringValue } == ["Word", "Back"])
    let send = try #require(parrot["commands"]?.arrayValue?.first { $0["name"] == "send" })
    #expect(send["path"] == "/v1/parrot/send" && send["input"]?["properties"]?["size"]?["default"] == 1)
    #expect(parrot["events"]?[0]?["name"] == "heard")
    let series = parrot["metrics"]?.arrayValue?.compactMap { $0["series"]?.stringValue }.sorted()
    #expect(series == ["strata_parrot_calls_running", "strata_parrot_word_size", "strata_parrot_words_heard_total"])
    let settings = try #require(parrot["settings"]?.arrayValue)
    #expect(settings[0]["name"] == "greeting" && settings[0]["live"] == true && settings[1]["default"] == 10)
  }

  @Test func theNeighboursAreListed() throws {
    let bench = try RealNodeBench()
    var options = bench.options("alice")
    options.peers = ["127.0.0.1:9", "nowhere.invalid:1"]
    let node = try bench.node(options)
    let page = try bench.ask(node, "GET", "/v1/neighbours").json
    #expect(page["neighbours"]?[0]?["address"] == "127.0.0.1:9" && page["neighbours"]?[0]?["configured"] == true)
    #expect(page["neighbours"]?[0]?["lastHeard"] == .null && page["unresolved"] == ["nowhere.invalid:1"])
  }

  @Test func theOverviewIsTheThreePagesInOne() throws {
    let bench = try RealNodeBench()
    let node = try bench.node(bench.options("alice"))
    let all = try bench.ask(node, "GET", "/v1/overview").json
    #expect(try bench.ask(node, "GET", "/v1/layers").json["layers"] == all["layers"])
    #expect(try bench.ask(node, "GET", "/v1/neighbours").json == all["neighbours"])
    #expect(all["node"]?["name"] == "alice" && all["node"]?["layers"]?[0]?["name"] != nil)
  }

  @Test func roundTripsAreMeasuredWhileSomebodyAsksForThem() throws {
    let bench = try RealNodeBench()
    let other = try bench.node(bench.options("bob"))
    var options = bench.options("alice")
    options.peers = [other.address.description]
    let node = try bench.node(options)
    // A quiet layer says nothing by itself, so that they introduce themselves is seen to here.
    node.node.introduce(to: other.address)
    try bench.until("the other is proven") { node.node.neighbourList.first?.isProven == true }
    #expect(try bench.ask(node, "GET", "/v1/neighbours").json["neighbours"]?[0]?["probes"] == 0)
    #expect(!(try bench.ask(node, "GET", "/metrics").body.contains("strata_neighbour_loss_ratio")))
    for wrong in ["0", "61", "-1", "x", "1.5", ""] {
      let answer = try bench.ask(node, "GET", "/v1/neighbours?measure=\(wrong)")
      #expect(answer.status == 400 && answer.code == "bad-measure", "\(wrong)")
    }
    #expect(try bench.ask(node, "GET", "/v1/neighbours?measure=60").status == 200)
    try bench.until("a probe is answered") { (node.node.neighbourList.first?.probesCounted ?? 0) > 0 }
    let seen = try bench.ask(node, "GET", "/v1/neighbours").json["neighbours"]?[0]
    #expect(seen?["loss"] == 0 && seen?["roundTrip"]?.doubleValue != nil && seen?["measured"]?.stringValue != nil)
    let metrics = try bench.ask(node, "GET", "/metrics").body
    #expect(metrics.contains("strata_neighbour_loss_ratio{address=\"\(other.address)\"} 0"))
    #expect(metrics.contains("strata_neighbour_round_trip_seconds{address=\"\(other.address)\"} "))
  }

  @Test func reloadAnswersKeyByKey() throws {
    let bench = try RealNodeBench()
    var options = bench.options("alice")
    #expect(try bench.ask(bench.node(bench.options("bob")), "POST", "/v1/node/reload").code == "not-reloadable")
    var greeting: JSON = "ahoy"
    options.reload = { RealNodeReload(peers: [], layers: [(Parrot.self, ["greeting": greeting, "limit": 3])]) }
    let node = try bench.node(options)
    let answers = try bench.ask(node, "POST", "/v1/node/reload").json["answers"]
    // Of each setting it is said whether it is live, and what holds now.
    #expect(
      answers?[0] == ["path": "layers.parrot.greeting", "outcome": "applied", "message": "live, now ahoy"])
    #expect(answers?[1] == ["path": "layers.parrot.limit", "outcome": "needs a restart", "message": "still 10"])
    greeting = 5
    let refused = try bench.ask(node, "POST", "/v1/node/reload")
    #expect(refused.status == 422 && refused.code == "bad-configuration")
    #expect(refused.json["detail"]?.stringValue?.contains("layers.parrot.greeting") == true)
  }

  @Test func thePortProvesThatItKnowsTheToken() throws {
    let (bench, node) = try Self.running()
    let nonce = [UInt8](repeating: 0xAB, count: ControlProof.nonceBytes)
    let answer = try bench.ask(node, "GET", "/v1/proof?nonce=\(nonce.hex)", headers: [])
    let proof = try #require(answer.json["proof"]?.stringValue)
    #expect(ControlProof.isRight(proof, token: node.token, nonce: nonce))
    #expect(!ControlProof.isRight(proof, token: String(node.token.reversed()), nonce: nonce))
    #expect(!ControlProof.isRight(proof, token: node.token, nonce: [UInt8](repeating: 0, count: 32)))
    #expect(!ControlProof.isRight("", token: node.token, nonce: nonce))
    #expect(!answer.body.contains(node.token))
    for query in ["", "?nonce=", "?nonce=ab", "?nonce=\(nonce.hex)&nonce=\(nonce.hex)", "?nonce=\(nonce.hex)00"] {
      #expect(try bench.ask(node, "GET", "/v1/proof" + query, headers: []).code == "bad-nonce", "\(query)")
    }
    // HMAC-SHA-256 as anybody computes it (made with openssl).
    #expect(
      ControlProof.make(token: String(repeating: "0f", count: 32), nonce: nonce)
        == "b13a7309c2c0660bc07c35916600a6d3f72b9a5c8c7a29666ba24f533e873eae")
  }

  @Test func assetsAreServedWithoutTheToken() throws {
    let (bench, node) = try Self.running()
    node.control?.addAsset(
      "/", contentType: "text/html; charset=utf-8", Array("<p>hi</p>".utf8),
      contentSecurityPolicy: "default-src 'self'")
    let answer = try bench.ask(node, "GET", "/", headers: [])
    #expect(answer.status == 200 && answer.body == "<p>hi</p>")
    #expect(answer.header("Content-Security-Policy") == "default-src 'self'")
    #expect(try bench.ask(node, "POST", "/", headers: []).status == 405)
    #expect(try bench.ask(node, "GET", "/", headers: [HTTPField("Host", "evil.example")]).status == 421)
  }

  // MARK: For machines

  @Test func theOpenAPIDocumentIsWhole() throws {
    let (bench, node) = try Self.running()
    let document = try bench.ask(node, "GET", "/openapi.json").json
    #expect(document["openapi"] == "3.1.0")
    var references: [String] = []
    func collect(_ json: JSON) {
      if let object = json.objectValue {
        for (key, value) in object {
          if key == "$ref", let text = value.stringValue { references.append(text) } else { collect(value) }
        }
      }
      for element in json.arrayValue ?? [] { collect(element) }
    }
    collect(document)
    #expect(references.count > 20)
    for reference in references {
      var place: JSON? = document
      for part in reference.dropFirst(2).split(separator: "/") { place = place?[String(part)] }
      #expect(reference.hasPrefix("#/") && place != nil, "\(reference)")
    }
    var operations: [String] = []
    let paths = try #require(document["paths"]?.objectValue)
    for (path, item) in paths {
      for (method, operation) in try #require(item.objectValue) {
        operations.append(operation["operationId"]?.stringValue ?? "")
        let responses = try #require(operation["responses"]?.objectValue)
        #expect(operation["summary"]?.stringValue?.isEmpty == false, "\(method) \(path)")
        #expect(
          responses["405"] != nil && (["/healthz", "/v1/proof"].contains(path) || responses["401"] != nil),
          "\(method) \(path)")
        #expect(responses.keys.contains { $0.hasPrefix("2") })
        #expect(
          (operation["requestBody"] != nil) == (method == "patch" || method == "post" && !path.hasPrefix("/v1/node/")))
      }
    }
    #expect(Set(operations).count == operations.count && operations.contains("parrot_send"))
    let routes = try #require(node.control).routes.map(\.path)
    #expect(Set(routes) == Set(paths.keys) && document["components"]?["schemas"]?["parrot.settings"] != nil)
    for name in document["components"]?["schemas"]?.objectValue?.keys ?? [] {
      #expect(name.utf8.allSatisfy { $0 < 0x7f && $0 != 0x20 && $0 != 0x2f }, "\(name)")
    }
  }

  @Test func theMetricsAreReadable() throws {
    let (bench, node) = try Self.running()
    _ = try bench.call(node, "send", ["peer": .string(node.address.description), "size": 50])
    try bench.until("the word and its answer have come") { node.node.traffic.datagramsIn >= 2 }
    let answer = try bench.ask(node, "GET", "/metrics")
    #expect(answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8")
    var values: [String: Double] = [:]
    var typed: [String] = []
    for line in answer.body.split(separator: "\n") {
      if line.hasPrefix("# TYPE ") { typed.append(String(line.split(separator: " ")[2])) }
      if line.hasPrefix("#") { continue }
      let parts = line.split(separator: " ")
      let name = parts.dropLast().joined(separator: " ")
      #expect(values[name] == nil, "\(name) comes twice")
      values[name] = Double(String(parts.last ?? "")) ?? -1
      let family = name.prefix { $0 != "{" }
      #expect(typed.last.map { family.hasPrefix($0) } == true, "\(line) stands under no type")
    }
    #expect(Set(typed).count == typed.count)
    #expect(values["strata_parrot_words_heard_total"] == 1.0)
    #expect(values["strata_parrot_word_size_bucket{le=\"1\"}"] == 0)
    #expect(values["strata_parrot_word_size_bucket{le=\"100\"}"] == 1)
    #expect(values["strata_parrot_word_size_bucket{le=\"+Inf\"}"] == 1)
    #expect(values["strata_parrot_word_size_sum"] == 50 && values["strata_parrot_word_size_count"] == 1)
    #expect(values["strata_messages_in_total{layer=\"parrot\",type=\"Word\"}"] == 1)
    #expect(values["strata_drops_total{reason=\"storage\"}"] == 0)
    #expect(values["strata_datagrams_in_total"] ?? 0 >= 2 && values["strata_running"] == 1)
    #expect(values["process_resident_memory_bytes"] ?? 0 > 1_048_576)
  }

  @Test func namesAreWrittenAsPrometheusTakesThem() {
    #expect(MetricsText.snakeCase("roundTrip") == "round_trip")
    #expect(MetricsText.snakeCase("HTTPRequests-2x") == "httprequests_2x")
  }
}
