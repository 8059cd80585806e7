// HTTPTests: the control port's server and client: what they answer, what they refuse, and who they don't wait for.
import Glibc
import StackCore
import Testing

@testable import StackRuntime

@Suite struct HTTPTests {
  /// Serves on one thread, asks on another, and answers what the asking came to.
  static func serving<Outcome: Sendable>(
    limits: HTTPLimits = HTTPLimits(), handler: @escaping (HTTPRequest) -> Void,
    inspect: (HTTPServer) -> Void = { _ in }, _ ask: @escaping @Sendable (UInt16) -> Outcome
  ) throws -> Outcome? {
    let loop = try EventLoop()
    let server = try HTTPServer(loop: loop, address: SocketTests.loopback, limits: limits, handler: handler)
    let pool = WorkerPool(threads: 1)
    var outcome: Outcome?
    let completion = loop.expect { (value: Outcome) in
      outcome = value
      loop.stop()
    }
    let port = server.localAddress.port
    #expect(pool.submit { completion.finish(ask(port)) })
    LoopTests.run(loop, seconds: 60)
    inspect(server)
    server.close()
    pool.shutdown()
    return outcome
  }

  /// A plain connection, to say what no proper client would.
  final class Plain: Sendable {
    let fd: Int32
    init(_ port: UInt16, receiveBuffer: Int32? = nil) {
      fd = socket(AF_INET, SocketKind.stream, 0)
      if var receiveBuffer {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
      }
      var patience = timeval(tv_sec: 20, tv_usec: 0)
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
      _ = SocketTests.loopback.with(port: port).withSockaddr(family: AF_INET) { connect(fd, $0, $1) }
    }
    deinit { close(fd) }
    @discardableResult func say(_ text: String) -> Bool {
      let bytes = Array(text.utf8)
      return bytes.withUnsafeBytes { send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) } == bytes.count
    }
    /// What comes, up to the end or until it contains a text.
    func hear(until text: String? = nil) -> String {
      var all: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 65_536)
      while true {
        let count = recv(fd, &buffer, buffer.count, 0)
        if count <= 0 { break }
        all += buffer[..<count]
        if let text, String(decoding: all, as: UTF8.self).contains(text) { break }
      }
      return String(decoding: all, as: UTF8.self)
    }
    func hangUp() { shutdown(fd, Int32(SHUT_RDWR)) }
  }

  struct Answer: Sendable {
    var status = 0
    var headers: [HTTPField] = []
    var body = ""
    var error = ""
  }

  static func ask(
    _ method: String, _ port: UInt16, _ path: String, headers: [HTTPField] = [], body: [UInt8] = []
  ) -> Answer {
    do {
      let (head, body) = try HTTPClient().request(
        method, host: "127.0.0.1", port: port, path: path, headers: headers, body: body)
      return Answer(status: head.status, headers: head.headers, body: String(decoding: body, as: UTF8.self))
    } catch { return Answer(error: error.message) }
  }

  @Test func aRequestIsTakenApartAndAnswered() throws {
    let answer = try Self.serving { request in
      #expect(request.remote?.isLoopback == true)
      #expect(request.header("x-THING") == "a b" && request.header("none") == nil)
      let query = request.query.map { "\($0.name)=\($0.value)" }.joined(separator: ";")
      let text = "\(request.method) \(request.rawPath) \(request.path) \(request.pathParts) \(query) \(request.body)"
      request.respond(status: 201, headers: [HTTPField("X-Back", "yes")], body: Array(text.utf8))
      request.respond(status: 500)
      request.end()
    } _: { port in
      Self.ask(
        "POST", port, "/v1/a%2Fb/%C3%A9?x=1+2&y=%26&z&x=3", headers: [HTTPField("X-Thing", "a b")], body: [1, 2, 255])
    }
    #expect(answer?.status == 201)
    #expect(
      answer?.body
        == #"POST /v1/a%2Fb/%C3%A9 /v1/a/b/é ["v1", "a/b", "é"] x=1 2;y=&;z=;x=3 [1, 2, 255]"#)
    #expect(answer?.headers.contains(HTTPField("X-Back", "yes")) == true)
    #expect(answer?.headers.contains(HTTPField("Content-Type", "text/plain; charset=utf-8")) == true)
  }

  @Test(arguments: ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"])
  func knowsTheMethods(method: String) throws {
    let answer = try Self.serving {
      $0.respond(status: 200, body: Array("\($0.method)!".utf8))
    } _: {
      Self.ask(method, $0, "/")
    }
    #expect(answer?.status == 200)
    #expect(answer?.body == (method == "HEAD" ? "" : "\(method)!"))
    #expect(answer?.headers.contains(HTTPField("Content-Length", String(method.utf8.count + 1))) == true)
  }

  @Test func aBodyThatNoMethodTakesIsNotReadAsAnotherRequest() throws {
    let answers = try Self.serving { request in
      #expect(request.rawPath == "/a" && request.hasStrayBody)
      request.respond(status: 405, body: Array(request.method.utf8))
    } _: { port in
      ["QUERY", "TRACE", "GET"].map { method in
        let plain = Plain(port)
        plain.say("\(method) /a HTTP/1.1\r\nContent-Length: 23\r\n\r\nGET /b HTTP/1.1\r\nX: y\r\n\r\n")
        return plain.hear()
      }
    }
    #expect(answers?.count == 3)
    for answer in answers ?? [] {
      #expect(answer.hasPrefix("HTTP/1.1 405 ") && answer.contains("Connection: close"))
      #expect(answer.components("HTTP/1.1 ") == 1)
      #expect(["UNKNOWN", "TRACE", "GET"].contains { answer.hasSuffix($0) })
    }
  }

  /// What must not reach the handler, and the status it gets (0: just closed).
  static let bad: [(String, String)] = [
    ("nonsense\r\n\r\n", "400"),
    ("GET /%00 HTTP/1.1\r\n\r\n", "400"), ("GET /%zz HTTP/1.1\r\n\r\n", "400"), ("GET /%ff HTTP/1.1\r\n\r\n", "400"),
    ("GET /%0a HTTP/1.1\r\n\r\n", "400"), ("GET /?a=%1 HTTP/1.1\r\n\r\n", "400"), ("GET / HTTP/9.1\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"),
    ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nabc", "400"),
    ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", "400"),
    ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"), ("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "400"),
    ("POST / HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\n", "413"),
    ("POST / HTTP/1.1\r\nContent-Length: 1048577\r\nExpect: 100-continue\r\n\r\n", "413"),
    ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n", "413"),
    ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "413"),
    ("GET / HTTP/1.1\r\nX: " + String(repeating: "x", count: 17_000) + "\r\n\r\n", "400"),
    ("GET /" + String(repeating: "x", count: 17_000), "400"),
  ]

  @Test func whatIsBrokenOrTooMuchIsRefusedAtOnce() throws {
    let answers = try Self.serving { request in
      Issue.record("reached the handler: \(request.method) \(request.rawPath)")
      request.respond(status: 200)
    } _: { port in
      Self.bad.map { text, _ in
        let plain = Plain(port)
        plain.say(text)
        return plain.hear()
      }
    }
    for (index, answer) in (answers ?? []).enumerated() {
      #expect(
        answer.hasPrefix("HTTP/1.1 \(Self.bad[index].1) "), "\(Self.bad[index].0.prefix(60)): \(answer.prefix(40))")
      #expect(answer.components("HTTP/1.1 ") == 1)
    }
  }

  @Test func slowClientsAreTimedOutHoweverTheyDripFeed() throws {
    var limits = HTTPLimits()
    limits.timeout = .seconds(2)
    let starts = ["", "GET / HT", "GET / HTTP/1.1\r\nX: 1\r\n", "POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc"]
    var counters: HTTPServer.Counters?
    let answers = try Self.serving(
      limits: limits, handler: { _ in Issue.record("reached the handler") }, inspect: { counters = $0.counters }
    ) { port in
      starts.map { start in
        let plain = Plain(port)
        plain.say(start)
        // A byte every now and then doesn't buy time.
        for _ in 0..<200 {
          var entry = pollfd(fd: plain.fd, events: Int16(POLLIN), revents: 0)
          if poll(&entry, 1, 50) > 0 { break }
          if !start.isEmpty, !plain.say("x") { break }
        }
        return plain.hear()
      }
    }
    #expect(answers?.count == 4)
    for answer in answers ?? [] { #expect(answer.hasPrefix("HTTP/1.1 408 "), "\(answer)") }
    #expect(counters?.timedOut == 4)
  }

  @Test func aConnectionIsKeptForTheNextRequestAndThatMayComeEarly() throws {
    var paths: [String] = []
    let answer = try Self.serving { request in
      paths.append(request.path)
      request.respond(status: 200, body: Array(request.path.utf8))
    } _: { port in
      let plain = Plain(port)
      plain.say(
        "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nPOST /3 HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET /4 HTTP/1.0\r\n\r\n"
      )
      return plain.hear()
    }
    #expect(paths == ["/1", "/2", "/3", "/4"])
    #expect(answer?.components("200 OK") == 4)
  }

  @Test func moreFromAClientThatWaitsHarmsNothing() throws {
    // The answer is held back until the client has sent far more than it should.
    var held: HTTPRequest?
    let answer = try Self.serving { request in
      if request.path == "/held" {
        held = request
      } else {
        held?.respond(status: 200, body: [0x6f, 0x6b])
        request.respond(status: 204)
      }
    } _: { port in
      let plain = Plain(port)
      plain.say("GET /held HTTP/1.1\r\n\r\n")
      for _ in 0..<20 { plain.say(String(repeating: "garbage ", count: 1000)) }
      _ = Self.ask("GET", port, "/free")
      return plain.hear(until: "ok")
    }
    #expect(answer?.hasPrefix("HTTP/1.1 200 ") == true && answer?.contains("\r\n\r\nok") == true)
  }

  @Test func anAnswerThatTakesLongerThanTheTimeoutStillArrives() throws {
    var limits = HTTPLimits()
    limits.timeout = .seconds(1)
    var timers: [LoopTimer] = []
    let loop = try EventLoop()
    let server = try HTTPServer(loop: loop, address: SocketTests.loopback, limits: limits) { request in
      request.startStream(status: 200, headers: [HTTPField("Content-Type", "text/event-stream")])
      let timer = loop.timer {
        request.write("data: late\n\n")
        request.end()
      }
      timer.set(after: .milliseconds(1_500))
      timers.append(timer)
    }
    let pool = WorkerPool(threads: 1)
    var answer: Answer?
    let completion = loop.expect { (value: Answer) in
      answer = value
      loop.stop()
    }
    let port = server.localAddress.port
    #expect(pool.submit { completion.finish(Self.ask("GET", port, "/")) })
    LoopTests.run(loop)
    #expect(answer?.status == 200 && answer?.body == "data: late\n\n")
    pool.shutdown()
  }

  @Test func aStreamTellsWhenItsClientVanishes() throws {
    let loop = try EventLoop()
    var request: HTTPRequest?
    var closed = 0
    let server = try HTTPServer(loop: loop, address: SocketTests.loopback) { new in
      request = new
      new.startStream(status: 200, headers: [HTTPField("Content-Type", "text/event-stream")])
      new.write("data: 1\n\n")
      new.onClose = {
        closed += 1
        loop.stop()
      }
    }
    let pool = WorkerPool(threads: 1)
    let port = server.localAddress.port
    #expect(
      pool.submit {
        let plain = Plain(port)
        plain.say("GET /events HTTP/1.1\r\n\r\n")
        _ = plain.hear(until: "data: 1")
      })
    LoopTests.run(loop)
    #expect(closed == 1)
    // Whatever comes now does nothing.
    #expect(request?.write("data: 2\n\n") == false && request?.isOpen == false && request?.pendingBytes == 0)
    request?.end()
    request?.respond(status: 200)
    request?.abort()
    pool.shutdown()
    server.close()
    #expect(closed == 1)
  }

  @Test func anAnswerToAClientThatIsGoneIsDropped() throws {
    let loop = try EventLoop()
    var request: HTTPRequest?
    let server = try HTTPServer(loop: loop, address: SocketTests.loopback) { new in
      request = new
      new.onClose = { loop.stop() }
    }
    let plain = Plain(server.localAddress.port)
    plain.say("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
    while request == nil { loop.turn() }
    plain.hangUp()
    LoopTests.run(loop)
    request?.respond(status: 200, body: [1, 2, 3])
    #expect(request?.isOpen == false)
    server.close()
  }

  @Test func aStreamThatNobodyReadsIsCutOff() throws {
    let loop = try EventLoop()
    var limits = HTTPLimits()
    limits.streamBytes = 100_000
    var closed = false
    var written = 0
    var most = 0
    let server = try HTTPServer(loop: loop, address: SocketTests.loopback, limits: limits) { request in
      request.startStream(status: 200)
      request.onClose = { closed = true }
      loop.onTurn = {
        guard request.write([UInt8](repeating: 0x61, count: 10_000)) else { return }
        written += 10_000
        most = max(most, request.pendingBytes)
      }
    }
    let plain = Plain(server.localAddress.port, receiveBuffer: 4096)
    plain.say("GET / HTTP/1.1\r\n\r\n")
    while !closed, written < 100_000_000 {
      loop.handle.wake()
      loop.turn()
    }
    #expect(closed && written < 100_000_000)
    // One piece more than the limit, and what stands around each chunk.
    #expect(most <= 100_000 + 10_000 + 1000)
    loop.onTurn = nil
    server.close()
  }

  @Test func oneLargePieceOfAStreamArrivesWhole() throws {
    var limits = HTTPLimits()
    limits.streamBytes = 1000
    let size = 3_000_000
    let answer = try Self.serving(
      limits: limits,
      handler: { request in
        request.startStream(status: 200)
        request.write([UInt8](repeating: 0x61, count: size))
        request.end()
      }
    ) { port in try? HTTPClient().request("GET", host: "127.0.0.1", port: port, path: "/").body.count }
    #expect(answer == .some(size))
  }

  @Test func oneConnectionTooManyIsTurnedAway() throws {
    var limits = HTTPLimits()
    limits.connections = 3
    var counters: HTTPServer.Counters?
    let answers = try Self.serving(
      limits: limits, handler: { $0.respond(status: 200, body: [0x6f, 0x6b]) }, inspect: { counters = $0.counters }
    ) { port in
      let three = (0..<3).map { _ in Plain(port) }
      for plain in three {
        plain.say("GET / HTTP/1.1\r\n\r\n")
        _ = plain.hear(until: "ok")
      }
      let refused = Plain(port).hear()
      for plain in three { plain.hangUp() }
      // Hung up is not yet noticed; a place must be free in the end.
      var last = ""
      for _ in 0..<1000 {
        let plain = Plain(port)
        plain.say("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        last = plain.hear()
        if last.hasPrefix("HTTP/1.1 200 ") { break }
      }
      return [refused, last]
    }
    #expect(answers?.first?.hasPrefix("HTTP/1.1 503 ") == true)
    #expect(answers?.last?.hasPrefix("HTTP/1.1 200 ") == true)
    #expect(counters.map { $0.refused >= 1 } == true)
  }

  @Test func fiveHundredRequestsFromEightThreads() throws {
    let loop = try EventLoop()
    var served = 0
    let server = try HTTPServer(loop: loop, address: SocketTests.loopback) { request in
      served += 1
      request.respond(status: 200, body: request.body + Array(request.path.utf8))
    }
    let port = server.localAddress.port
    let pool = WorkerPool(threads: 8)
    var good = 0
    var done = 0
    for number in 0..<500 {
      let completion = loop.expect { (isGood: Bool) in
        good += isGood ? 1 : 0
        done += 1
        if done == 500 { loop.stop() }
      }
      // Made here: eight threads that do it at a time wait for each other under the thread sanitizer.
      let body = SocketTests.pattern(number * 7, number).map { $0 & 0x7f }
      #expect(
        pool.submit {
          let answer = Self.ask("POST", port, "/\(number)", body: body)
          completion.finish(answer.body == String(decoding: body, as: UTF8.self) + "/\(number)")
        })
    }
    LoopTests.run(loop)
    #expect(good == 500 && served == 500)
    pool.shutdown()
    server.close()
  }

  @Test func theClientFollowsAStreamAndStopsWhenTold() throws {
    let chunks = try Self.serving { request in
      request.startStream(status: 200, headers: [HTTPField("Content-Type", "text/event-stream")])
      for number in 0..<100 { request.write("data: \(number)\n\n") }
    } _: { port in
      var text = ""
      var type: String?
      let head = try? HTTPClient().stream(
        "GET", host: "localhost", port: port, path: "/v1/events", timeout: .seconds(5), idle: .seconds(5)
      ) { head in
        type = head.header("content-type")
        return true
      } onBytes: { bytes in
        text += String(decoding: bytes, as: UTF8.self)
        return !text.contains("data: 99\n\n")
      }
      return ["\(head?.status ?? 0)", type ?? "", text]
    }
    let whole = (0..<100).map { "data: \($0)\n\n" }.joined()
    #expect(chunks == ["200", "text/event-stream", whole])
  }

  @Test func theClientSaysWhatIsWrong() throws {
    let gone = try HTTPServer(loop: EventLoop(), address: SocketTests.loopback) { _ in }
    let port = gone.localAddress.port
    gone.close()
    #expect(Self.ask("GET", port, "/").error == "nothing listens on 127.0.0.1:\(port)")
    #expect(Self.ask("GET", port, "no slash").error == "\"no slash\" is not the path of a URL")
    #expect(Self.ask("GET", port, "/", headers: [HTTPField("X", "a\r\nY: b")]).error.contains("control character"))
    // A server that takes connections and says nothing.
    let silent = try Self.serving { _ in
    } _: { port in
      do {
        _ = try HTTPClient().request("GET", host: "127.0.0.1", port: port, path: "/", timeout: .milliseconds(100))
        return ""
      } catch { return "\(error)" == "127.0.0.1:\(port) doesn't answer" ? "right" : "\(error)" }
    }
    #expect(silent == "right")
    let refused = try Self.serving { _ in
    } _: { port in
      Self.ask("POST", port, "/", body: [UInt8](repeating: 1, count: 3 << 20)).status
    }
    #expect(refused == 413)
  }

  @Test func drainingLetsAnswersBeGiven() throws {
    let loop = try EventLoop()
    var held: HTTPRequest?
    let server = try HTTPServer(loop: loop, address: SocketTests.loopback) { held = $0 }
    let port = server.localAddress.port
    let waiting = Plain(port)
    let idle = Plain(port)
    waiting.say("GET / HTTP/1.1\r\n\r\n")
    idle.say("GET ")
    while held == nil { loop.turn() }
    var isDrained = false
    server.drain(within: .seconds(20)) {
      isDrained = true
      loop.stop()
    }
    #expect(Self.ask("GET", port, "/").error == "nothing listens on 127.0.0.1:\(port)")
    held?.respond(status: 200, body: [0x6f, 0x6b])
    LoopTests.run(loop)
    #expect(isDrained)
    #expect(waiting.hear().hasSuffix("ok"))
    #expect(!idle.hear().contains("200"))
  }

  @Test func closingTellsThoseWhoWait() throws {
    let loop = try EventLoop()
    var held: [HTTPRequest] = []
    var closed = 0
    let server = try HTTPServer(loop: loop, address: SocketTests.loopback) { request in
      held.append(request)
      request.onClose = { closed += 1 }
      if request.path == "/stream" { request.startStream(status: 200) }
    }
    let clients = ["/wait", "/stream"].map { path in
      let plain = Plain(server.localAddress.port)
      plain.say("GET \(path) HTTP/1.1\r\n\r\n")
      return plain
    }
    while held.count < 2 { loop.turn() }
    server.close()
    server.close()
    #expect(closed == 2)
    for request in held {
      request.respond(status: 200)
      request.write("x")
      request.end()
    }
    for client in clients { _ = client.hear() }
  }

  @Test func aPortInUseSaysSo() throws {
    let loop = try EventLoop()
    let server = try HTTPServer(loop: loop, address: SocketTests.loopback) { _ in }
    let taken = server.localAddress
    #expect(
      throws: SocketError(.inUse, "\(taken) is in use by another program; stop that one, or choose another port")
    ) {
      try HTTPServer(loop: loop, address: taken) { _ in }
    }
  }
}

extension String {
  /// How often a text stands in this one.
  fileprivate func components(_ text: String) -> Int { ranges(of: text).count }
}
