// StreamingTests: a file is read over HTTP from the node that shares it, and from one that is still fetching it.
import Foundation
import StackCore
import StackRuntime
import Testing

@testable import FileShare

@Suite struct StreamingTests {
  private typealias Answer = (head: HTTPHead, body: [UInt8])

  /// Two nodes on one loop: the first shares a file, the second may fetch it.
  private final class Pair {
    let folder: String
    let loop: EventLoop
    let pool: WorkerPool
    let nodes: [RealNode]
    let content: [UInt8]
    var root = ""
    var link = ""

    init(size: Int, name: String = "film.mp4", limit: String = "0B") throws {
      var random = RandomStream(seed: 41, name: "streaming")
      var bytes: [UInt8] = []
      bytes.reserveCapacity(size + 8)
      while bytes.count < size { withUnsafeBytes(of: random.next()) { bytes.append(contentsOf: $0) } }
      content = Array(bytes.prefix(size))
      folder = FileManager.default.temporaryDirectory.path + "/strata-\(UUID().uuidString)"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      try Data(content).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
      loop = try EventLoop()
      pool = WorkerPool(threads: 2)
      var made: [RealNode] = []
      for place in 0..<2 {
        var options = RealNodeOptions(
          name: "n\(place)", listen: Address(ipv4: 0x7f00_0001, port: 0), dataDirectory: "\(folder)/data\(place)")
        options.control = Address(ipv4: 0x7f00_0001, port: 0)
        options.peers = made.map { $0.address.description }
        options.layers = [(FileShare.self, place == 1 ? ["downloadLimit": .string(limit)] : [:])]
        options.logLevel = .error
        made.append(try RealNode(options, loop: loop, log: LogSink()))
        made[place].start()
      }
      nodes = made
      let shared = try call(0, "share", ["paths": [.string("\(folder)/\(name)")]])
      link = try #require(shared["shared"]?.arrayValue?.first?["link"]?.stringValue)
      root = String(try #require(link.split(separator: "root=").last?.prefix(64)))
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func until(_ what: String, within: Duration = .seconds(120), _ holds: () throws -> Bool) throws {
      let end = loop.now + within
      let timer = loop.timer {}
      while try !holds() {
        guard loop.now < end else { throw CommandError(.failed, "not in time: \(what)") }
        timer.set(after: .milliseconds(10))
        loop.turn()
      }
    }

    func call(_ node: Int, _ name: String, _ input: JSON = [:]) throws -> JSON {
      var last: CommandReply?
      nodes[node].call("fileshare", name, input) { if $0.isLast { last = $0 } }
      try until("\(name) has ended") { last != nil }
      if case .finished(let json)? = last { return json }
      if case .failed(let error)? = last { throw error }
      throw CommandError(.failed, "no answer")
    }

    /// Asks over HTTP, while the loop turns.
    func ask(
      _ node: Int, _ range: String? = nil, _ method: String = "GET", path: String? = nil, token: Bool = true,
      more: [HTTPField] = []
    ) throws -> Answer {
      let port = try #require(nodes[node].control).address.port
      var headers = [HTTPField("Host", "127.0.0.1:\(port)")] + more
      if token { headers.append(HTTPField("Authorization", "Bearer \(nodes[node].token)")) }
      if let range { headers.append(HTTPField("Range", range)) }
      let path = path ?? "/v1/fileshare/content/\(root)"
      let all = headers
      var outcome: Result<Answer, HTTPClientError>?
      let completion = loop.expect { (value: Result<Answer, HTTPClientError>) in outcome = value }
      #expect(
        pool.submit {
          completion.finish(
            Result { () throws(HTTPClientError) in
              try HTTPClient().request(method, host: "127.0.0.1", port: port, path: path, headers: all)
            })
        })
      try until("the client has its answer") { outcome != nil }
      return try #require(outcome).get()
    }

    func ticket(_ node: Int) throws -> String {
      let answer = try ask(node, nil, "POST", path: "/v1/fileshare/content/\(root)/ticket")
      return try #require(try JSON.parse(answer.body)["path"]?.stringValue)
    }
  }

  @Test func sharedFilesAreServedInRanges() throws {
    let pair = try Pair(size: 700_001)
    let whole = try pair.ask(0)
    #expect(whole.head.status == 200 && whole.body == pair.content)
    #expect(whole.head.header("Accept-Ranges") == "bytes" && whole.head.header("Content-Length") == "700001")
    #expect(whole.head.header("Content-Type") == "video/mp4")
    #expect(whole.head.header("X-Content-Type-Options") == "nosniff")
    #expect(whole.head.header("Content-Security-Policy")?.contains("sandbox") == true)
    let first = try pair.ask(0, "bytes=0-0")
    #expect(first.head.status == 206 && first.body == [pair.content[0]])
    #expect(first.head.header("Content-Range") == "bytes 0-0/700001")
    #expect(try pair.ask(0, "bytes=-5").body == Array(pair.content.suffix(5)))
    #expect(try pair.ask(0, "bytes=699990-").body == Array(pair.content[699_990...]))
    #expect(try pair.ask(0, "bytes=300000-900000000").body == Array(pair.content[300_000...]))
    let beyond = try pair.ask(0, "bytes=700001-")
    #expect(beyond.head.status == 416 && beyond.head.header("Content-Range") == "bytes */700001")
    let several = try pair.ask(0, "bytes=1-3,-2")
    #expect(several.head.status == 206)
    #expect(several.head.header("Content-Type")?.hasPrefix("multipart/byteranges; boundary=") == true)
    #expect(several.head.header("Content-Length") == String(several.body.count))
    let parts = Data(several.body)
    for range in [1..<4, 699_999..<700_001] {
      let bytes = Data("bytes \(range.lowerBound)-\(range.upperBound - 1)/700001\r\n\r\n".utf8 + pair.content[range])
      #expect(parts.range(of: bytes) != nil)
    }
    let head = try pair.ask(0, nil, "HEAD")
    #expect(head.head.status == 200 && head.head.header("Content-Length") == "700001" && head.body.isEmpty)
    #expect(try pair.ask(0, "bytes=0-1", more: [HTTPField("If-Range", "\"other\"")]).body.count == 700_001)
    #expect(try pair.ask(0, path: "/v1/fileshare/content/\(String(repeating: "0", count: 64))").head.status == 404)
    #expect(try pair.ask(0, path: "/v1/fileshare/content/..%2f..%2fetc").head.status == 404)
  }

  @Test func onlyTheTokenOrATicketOpensAFile() throws {
    let pair = try Pair(size: 20_000, name: "page.html")
    #expect(try pair.ask(0, token: false).head.status == 401)
    #expect(
      try pair.ask(0, nil, "POST", path: "/v1/fileshare/content/\(pair.root)/ticket", token: false).head.status == 401)
    let path = try pair.ticket(0)
    let answer = try pair.ask(0, "bytes=5-9", path: path, token: false)
    #expect(answer.head.status == 206 && answer.body == Array(pair.content[5...9]))
    // What might act as a page is only saved.
    #expect(answer.head.header("Content-Type") == "application/octet-stream")
    #expect(answer.head.header("Content-Disposition")?.hasPrefix("attachment") == true)
    let other = path.replacingOccurrences(of: pair.root, with: String(repeating: "1", count: 64))
    #expect(try pair.ask(0, path: other, token: false).head.status == 401)
    #expect(
      try pair.ask(0, path: path.replacingOccurrences(of: "/content/", with: "/list/"), token: false).head.status == 401
    )
    #expect(try pair.ask(0, path: String(path.dropLast()), token: false).head.status == 401)
    let query = try #require(path.split(separator: "?").last)
    #expect(try pair.ask(0, path: "/v1/node?\(query)", token: false).head.status == 401)
  }

  @Test func whatIsAskedForComesFirstWhileAFileIsFetched() throws {
    // At this rate the whole takes a minute.
    let pair = try Pair(size: 24 << 20, limit: "400KiB")
    pair.nodes[1].call("fileshare", "download", ["file": .string(pair.link)]) { _ in }
    let size = pair.content.count
    let end = try pair.ask(1, "bytes=\(size - 300_000)-\(size - 200_001)")
    #expect(end.head.status == 206 && end.body == Array(pair.content[(size - 300_000)..<(size - 200_000)]))
    let first = try #require(try pair.call(1, "downloads")["downloads"]?.arrayValue?.first)
    #expect(first["state"] == "fetching")
    #expect(first["bytes"]?.integerValue ?? .max < Int64(size / 4), "it was there before the rest")
    // What waits is told when the download ends early.
    var refused: Result<ContentPiece, CommandError>?
    let middle = Int64(size / 2)
    pair.nodes[1].read("fileshare", "content", key: pair.root, middle + 9_000_000..<middle + 9_000_001, limit: 1) {
      refused = $0
    }
    _ = try pair.call(1, "cancel", ["root": .string(pair.root)])
    try pair.until("the read is refused") { refused != nil }
    #expect(throws: CommandError.self) { try #require(refused).get() }
  }

  @Test func aReaderOfADownloadGetsTheWholeFile() throws {
    let pair = try Pair(size: 3_000_000)
    pair.nodes[1].call("fileshare", "download", ["file": .string(pair.link)]) { _ in }
    let whole = try pair.ask(1)
    #expect(whole.head.status == 200 && whole.body == pair.content)
    try pair.until("it is kept") {
      try pair.call(1, "downloads")["downloads"]?.arrayValue?.first?["state"] == "finished"
    }
    #expect(try pair.ask(1, "bytes=-7").body == Array(pair.content.suffix(7)))
  }

  @Test func wantedRangesAreBoundedAndFollowTheirReader() {
    var wanted = WantedRanges()
    wanted.read(0..<100_000_000)
    wanted.read(1_000_000..<100_000_000)
    #expect(wanted.ranges == [1_000_000..<1_000_000 + WantedRanges.ahead])
    for place in 0..<40 { wanted.read(Int64(place) << 30..<Int64(place) << 30 + 5) }
    #expect(wanted.ranges.count == WantedRanges.most && wanted.ranges[0].lowerBound == 39 << 30)
    #expect(wanted.chunks(of: 8_192)[0] == (39 << 30) / 8_192..<(39 << 30) / 8_192 + 1)
    wanted.read(7..<7)
    #expect(wanted.ranges.count == WantedRanges.most)
  }
}
