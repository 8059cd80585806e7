// PeersterTests: what Search says to neighbours that speak the exercise's language only, byte by byte; and to liars.
import Foundation
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Search

/// One node with Search, and neighbours that the test plays.
private final class Stage {
  let node: Node
  let peers: [Address]
  var now = Instant(nanoseconds: 1_000_000_000)

  struct Sent {
    var number: UInt32
    var body: [UInt8]
    var to: Address
    var size: Int
  }

  init(_ search: JSON = [:], paths: [String] = [], neighbours: Int = 1) throws {
    peers = (0..<neighbours).map { Address(ipv4: 0x0a00_0100 + UInt32($0), port: 5_000) }
    let blueprint = NodeBlueprint(
      name: "me", address: Address(ipv4: 0x0a00_0002, port: 5000), peers: peers,
      layers: [(TestFiles.self, ["paths": .array(paths.map { .string($0) })]), (Search.self, search)], seed: 1)
    let disk = SimDisk()
    node = try Node(blueprint, storage: SimStorage()) { disk.files(root: "/\($0)") }
    node.observesEvents = true
    node.start(at: now)
    _ = sent()
  }

  func sent(after time: Duration = .zero) -> [Sent] {
    now = now + time
    if let due = node.nextDeadline, due <= now { node.fireTimers(at: now) }
    var found: [Sent] = []
    try? node.commit()
    node.withOutgoing { bytes, entries in
      for entry in entries {
        let datagram = UnsafeRawBufferPointer(start: bytes + entry.offset, count: entry.byteCount)
        var reader = WireReader(datagram.bytes)
        while let tag = try? reader.nextTag() {
          if tag.type == .bytes, let body = try? reader.readBytes() {
            found.append(
              Sent(
                number: tag.number, body: body.withUnsafeBytes { Array($0) }, to: entry.destination,
                size: entry.byteCount))
          } else {
            try? reader.skip(tag)
          }
        }
      }
      return (entries.count, 0)
    }
    return found
  }

  func receive(_ number: UInt32, _ message: some WireMessage, from: Address? = nil, isStrata: Bool = false) {
    var writer = WireWriter()
    writer.writeTag(number, .bytes)
    writer.writeBytes(message.encoded().span.bytes)
    if isStrata {
      writer.writeTag(34, .varint)
      writer.writeVarint(1)
    }
    node.receive(writer.bytes, from: from ?? peers[0], at: now)
  }

  func find(_ words: String, _ input: JSON = [:]) -> () -> [JSON] {
    let box = Box()
    var input = input.objectValue ?? [:]
    input["words"] = [.string(words)]
    _ = node.call("search", "find", .object(input), at: now) { reply in
      switch reply {
      case .progress(let json), .finished(let json): box.replies.append(json)
      case .failed(let error): Issue.record("\(error)")
      }
    }
    return { [node] in
      for news in node.takeNews() { if case .reply(let reply, let sink) = news { sink(reply) } }
      return box.replies
    }
  }
  private final class Box {
    var replies: [JSON] = []
  }

  func metric(_ name: String) -> Double {
    for metric in node.metricDescriptions where metric.layer == "search" && metric.name == name {
      switch metric.source {
      case .counter(let counter): return Double(counter.value)
      case .gauge(let value): return value()
      default: break
      }
    }
    return -1
  }
}

@Suite struct PeersterTests {
  private static let folder =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("shared/vectors/peerster").path
  private static var files: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted().filter { $0.contains(".Search") }
  }

  @Test("Captured packets are read and written the same", .enabled(if: !files.isEmpty, "no captured packets here"))
  func captured() throws {
    var count = 0
    for file in Self.files {
      let text = try String(contentsOfFile: "\(Self.folder)/\(file)", encoding: .utf8)
      for sample in try JSON.parse(text)["samples"]?.arrayValue ?? [] {
        let bytes = try #require([UInt8](hex: sample["hex"]?.stringValue ?? "-"))
        #expect(try Self.built(try #require(sample["decoded"])) == bytes, "\(file)")
        var reader = WireReader(bytes.span.bytes)
        let tag = try #require(try reader.nextTag())
        var body = try reader.readNested()
        let again =
          tag.number == 7
          ? try SearchRequest(from: &body).packet(as: 7) : try SearchReply(from: &body).packet(as: 8)
        #expect(again == bytes, "\(file)")
        count += 1
      }
    }
    #expect(Self.files.count == 5 && count >= 10)
  }

  /// The packet of what a capture is said to hold.
  private static func built(_ json: JSON) throws -> [UInt8] {
    func text(_ json: JSON, _ key: String) -> WireText { WireText(json[key]?.stringValue ?? "?") }
    func number(_ json: JSON, _ key: String) -> UInt64 { UInt64(json[key]?.integerValue ?? 0) }
    if let request = json["SearchRequest"] {
      let words = (request["Keywords"]?.arrayValue ?? []).map { WireText($0.stringValue ?? "?") }
      return SearchRequest(origin: text(request, "Origin"), budget: number(request, "Budget"), keywords: words)
        .packet(as: 7)
    }
    let reply = try #require(json["SearchReply"])
    let results = try (reply["Results"]?.arrayValue ?? []).map { result in
      SearchResult(
        fileName: text(result, "FileName"),
        metafileHash: try #require(Hash256(hex: result["MetafileHash"]?.stringValue ?? "")),
        chunkMap: (result["ChunkMap"]?.arrayValue ?? []).map { UInt64($0.integerValue ?? 0) },
        chunkCount: number(result, "ChunkCount"))
    }
    return SearchReply(
      origin: text(reply, "Origin"), destination: text(reply, "Destination"),
      hopLimit: UInt32(number(reply, "HopLimit")), results: results
    ).packet(as: 8)
  }

  /// Who floods and who answers as a Peerster may be one: files that nobody asked for, held against many queries.
  @Test func answersThatNobodyAskedForCostLittle() throws {
    let stage = try Stage(["scan": "64KiB"], neighbours: 2)
    for number in 1...40 {
      let query = WireText((0..<30).map { "word\(number)x\($0)" }.joined(separator: " "))
      stage.receive(
        FloodQuery.field, FloodQuery(id: Fixed64(UInt64(number)), timeToLive: 3, hops: 0, query: query, isAny: true),
        from: stage.peers[0], isStrata: true)
      #expect(!stage.sent().isEmpty)
    }
    let results = (0..<300).map {
      SearchResult(
        fileName: WireText("f\($0)"), metafileHash: TestFiles.root(of: "\($0)"), chunkMap: [1], chunkCount: 1)
    }
    stage.receive(
      8, SearchReply(origin: "x", destination: "me", hopLimit: 3, results: results), from: stage.peers[1])
    #expect(stage.metric("unsearched") == 1 && stage.metric("unasked") == 1)
  }

  @Test func aPeerstersRequestIsAnsweredInItsOwnWords() throws {
    let stage = try Stage(paths: ["golden_tiny.txt", "folder/Golden two.txt", "other.txt"], neighbours: 3)
    stage.receive(7, SearchRequest(origin: "C", budget: 6, keywords: ["golden", "xyz"]))
    let sent = stage.sent()
    let replies = sent.filter { $0.number == 8 }
    #expect(replies.count == 1 && replies[0].to == stage.peers[0])
    let reply = try SearchReply(decoding: replies[0].body)
    #expect(reply.origin == "me" && reply.destination == "C" && reply.hopLimit == 10 && reply.id == nil)
    #expect(reply.results.map(\.fileName.text).sorted() == ["Golden two.txt", "golden_tiny.txt"])
    #expect(
      reply.results.allSatisfy { $0.chunkMap == [1, 2, 3] && $0.chunkCount == 3 && $0.size == nil && $0.path == nil })
    // The rest of the budget is split over the others, and never 0.
    let onward = try sent.filter { $0.number == 7 }.map { ($0.to, try SearchRequest(decoding: $0.body)) }
    #expect(onward.map(\.1.budget).sorted() == [2, 3] && !onward.contains { $0.0 == stage.peers[0] })
    #expect(onward.allSatisfy { $0.1.origin == "C" && $0.1.keywords == ["golden", "xyz"] })
    // The same within half a second is ignored; later it is the next ring.
    stage.receive(7, SearchRequest(origin: "C", budget: 6, keywords: ["golden", "xyz"]), from: stage.peers[1])
    #expect(stage.sent().isEmpty && stage.metric("duplicates") == 1)
    _ = stage.sent(after: .seconds(1))
    stage.receive(7, SearchRequest(origin: "C", budget: 1, keywords: ["golden", "xyz"]))
    #expect(stage.sent().map(\.number) == [8])
  }

  @Test func theRingIsWhatPeerstersSendAndTheirAnswersCount() throws {
    let stage = try Stage()
    let replies = stage.find("golden_ name:*.txt")
    let first = stage.sent()
    #expect(first.count == 1)
    let request = try SearchRequest(decoding: first[0].body)
    #expect(request.origin == "me" && request.budget == 1 && request.keywords == ["golden_"])
    // Ours come after theirs: a Peerster skips them.
    var plain = request
    (plain.query, plain.id) = (nil, nil)
    #expect(first[0].body.starts(with: plain.encoded()))
    var budgets: [UInt64] = []
    for _ in 0..<6 {
      for sent in stage.sent(after: .seconds(1)) where sent.number == 7 {
        budgets.append(try SearchRequest(decoding: sent.body).budget)
      }
    }
    #expect(budgets == [3, 7, 15, 31])
    // A Peerster's answer has no number; what doesn't fit the query is left out.
    let results = ["golden_tiny.txt", "golden_tiny.pdf", "silver.txt"].map {
      SearchResult(fileName: WireText($0), metafileHash: TestFiles.root(of: $0), chunkMap: [1], chunkCount: 1)
    }
    stage.receive(8, SearchReply(origin: "B", destination: "me", hopLimit: 9, results: results))
    let told = replies()
    #expect(told.count == 1 && told[0]["name"] == "golden_tiny.txt" && told[0]["isFull"] == true)
    #expect(told[0]["holders"]?.arrayValue?.first?["name"] == "B")
    stage.receive(
      8,
      SearchReply(
        origin: "D", destination: "me", hopLimit: 0,
        results: [
          SearchResult(
            fileName: "golden_2.txt", metafileHash: TestFiles.root(of: "2"), chunkMap: [2, 1], chunkCount: 2)
        ]))
    let end = replies()
    #expect(end.last?["ending"] == "enough" && end.last?["fullMatches"] == 2)
    // Now nobody asks any more.
    stage.receive(8, SearchReply(origin: "B", destination: "me", hopLimit: 9, results: results))
    #expect(stage.metric("unasked") == 1)
  }

  @Test func aFloodAsksPeerstersInTheirWordsAndBringsTheirAnswersBack() throws {
    let stage = try Stage(neighbours: 2)
    // The first neighbour is a Strata node, as its message shows; the second may be a Peerster.
    stage.receive(
      FloodQuery.field, FloodQuery(id: Fixed64(77), timeToLive: 5, hops: 2, query: "\"golden tiny\""))
    let sent = stage.sent().filter { $0.number == 7 }
    #expect(sent.map(\.to) == [stage.peers[1]])
    let request = try SearchRequest(decoding: sent[0].body)
    #expect(request.budget == 1 && request.origin == "me" && request.keywords == ["golden tiny"])
    #expect(request.id == Fixed64(77) && request.timeToLive == 4 && request.hops == 3)
    stage.receive(
      8,
      SearchReply(
        origin: "B", destination: "me", hopLimit: 9,
        results: [
          SearchResult(fileName: "golden tiny", metafileHash: TestFiles.root(of: "g"), chunkMap: [1], chunkCount: 1)
        ]), from: stage.peers[1])
    let back = stage.sent().filter { $0.number == FloodHit.field }
    #expect(back.count == 1 && back[0].to == stage.peers[0])
    let hit = try FloodHit(decoding: back[0].body)
    #expect(hit.id == Fixed64(77) && hit.holder == "B" && hit.address == WireText("\(stage.peers[1])") && hit.hops == 1)
  }

  @Test func theFirstMessageOfAStrataNodeIsAnsweredInStratasWords() throws {
    let stage = try Stage(paths: ["a.txt"])
    stage.receive(
      7,
      SearchRequest(
        origin: "N", budget: 1, keywords: ["a"], query: "a.txt", id: Fixed64(3), timeToLive: 2, hops: 0),
      isStrata: true)
    let sent = stage.sent()
    #expect(sent.filter { $0.number == FloodHit.field }.count == 1 && !sent.contains { $0.number == 8 })
  }

  // MARK: Hostile ones

  @Test func whatMakesNoSenseIsRefused() throws {
    let stage = try Stage(paths: ["a.txt"], neighbours: 4)
    func request(_ budget: UInt64, _ words: [WireText], _ origin: WireText = "X") -> SearchRequest {
      SearchRequest(origin: origin, budget: budget, keywords: words)
    }
    for bad in [
      request(0, ["a"]), request(5, []), request(5, [""]), request(5, ["a"], ""), request(5, ["a"], "me"),
      request(5, [WireText(String(repeating: "a", count: 5_000))]),
      request(5, ["a"], WireText(String(repeating: "n", count: 300))),
    ] { stage.receive(7, bad) }
    for bad in [
      FloodQuery(id: Fixed64(0), timeToLive: 3, hops: 0, query: "a"),
      FloodQuery(id: Fixed64(5), timeToLive: 0, hops: 0, query: "a"),
      FloodQuery(id: Fixed64(6), timeToLive: 3, hops: 900, query: "a"),
      FloodQuery(id: Fixed64(7), timeToLive: 3, hops: 0, query: WireText(String(repeating: "a", count: 5_000))),
    ] { stage.receive(FloodQuery.field, bad) }
    #expect(stage.sent().filter { $0.number == 7 || $0.number == 8 || $0.number >= 160 }.isEmpty)
    #expect(stage.metric("refused") == 11)
  }

  @Test func hugeBudgetsAndLivesAreCut() throws {
    let stage = try Stage(neighbours: 4)
    stage.receive(7, SearchRequest(origin: "X", budget: .max, keywords: ["a"]))
    let budgets = try stage.sent().filter { $0.number == 7 }.map { try SearchRequest(decoding: $0.body).budget }
    #expect(budgets.reduce(0, +) == 127)
    stage.receive(FloodQuery.field, FloodQuery(id: Fixed64(9), timeToLive: 255, hops: 0, query: "a"))
    let lives = try stage.sent().filter { $0.number == 7 }.map { try SearchRequest(decoding: $0.body).timeToLive }
    #expect(lives == [9, 9, 9])
  }

  @Test func aFloodOfQueriesIsBoundedAndCostsItsSenderOnly() throws {
    let stage = try Stage(["rate": 100, "recent": 64], neighbours: 2)
    for id in 1...5_000 as ClosedRange<UInt64> {
      stage.receive(FloodQuery.field, FloodQuery(id: Fixed64(id), timeToLive: 3, hops: 0, query: "a"))
    }
    #expect(stage.metric("traces") == 16 && stage.metric("passed") == 16 && stage.metric("refused") == 4_984)
    _ = stage.sent()
    stage.receive(
      FloodQuery.field, FloodQuery(id: Fixed64(9_999), timeToLive: 3, hops: 0, query: "a"), from: stage.peers[1])
    #expect(stage.metric("passed") == 17)
  }

  @Test func nobodyIsFloodedByAForgedSender() throws {
    let paths = (0..<60).map { "a file with a name of some length, which everybody has, number \($0).txt" }
    let stage = try Stage(paths: paths, neighbours: 0)
    let victim = Address(ipv4: 0xC000_0201, port: 53)
    var came = 0
    var went = 0
    for round in 0..<200 {
      let request = SearchRequest(
        origin: WireText("X\(round)"), budget: 1, keywords: ["file"], query: "file", id: Fixed64(UInt64(round + 1)))
      came += request.encoded().count + 2 + 28
      stage.receive(7, request, from: victim)
      for sent in stage.sent() where sent.to == victim && (sent.number == 8 || sent.number == 7) {
        went += sent.size + 28
      }
    }
    #expect(went <= 3 * came, "\(went) for \(came)")
    #expect(stage.metric("unreached") > 0)
  }

  @Test func answersThatNobodyAskedForGoNowhere() throws {
    let stage = try Stage(neighbours: 3)
    let result = SearchResult(fileName: "a.txt", metafileHash: TestFiles.root(of: "a"), chunkMap: [1], chunkCount: 1)
    stage.receive(FloodHit.field, FloodHit(id: Fixed64(4), holder: "L", results: [result]))
    stage.receive(8, SearchReply(origin: "L", destination: "me", hopLimit: 5, results: [result]))
    stage.receive(8, SearchReply(origin: "L", destination: "Z", hopLimit: 5, results: [result]))
    #expect(stage.metric("unasked") == 3)
    // From a neighbour that was not asked, about a query that is there; and a file that was not asked for.
    stage.receive(FloodQuery.field, FloodQuery(id: Fixed64(4), timeToLive: 1, hops: 0, query: "a.txt"))
    stage.receive(FloodHit.field, FloodHit(id: Fixed64(4), holder: "L", results: [result]), from: stage.peers[1])
    #expect(stage.metric("unasked") == 4)
    stage.receive(FloodQuery.field, FloodQuery(id: Fixed64(5), timeToLive: 3, hops: 0, query: "b.txt"))
    stage.receive(FloodHit.field, FloodHit(id: Fixed64(5), holder: "L", results: [result]), from: stage.peers[1])
    #expect(stage.metric("unfit") == 1 && stage.metric("cached") == 0 && stage.metric("relayed") == 0)
    #expect(stage.sent().filter { $0.number == FloodHit.field }.isEmpty)
  }

  @Test func hugeAnswersAreBounded() throws {
    let stage = try Stage()
    let replies = stage.find("x", ["mode": "flood", "min": 0, "timeout": "5s"])
    let sent = stage.sent()
    let id = try #require(try SearchRequest(decoding: sent[0].body).id)
    for part in 0..<20 {
      let results = (0..<200).map { number -> SearchResult in
        let name = "x\u{7} \(part) \(number)"
        var result = SearchResult(
          fileName: WireText(name), metafileHash: TestFiles.root(of: name), chunkMap: [], chunkCount: 1 << 40)
        result.stretches = (0..<20).flatMap { [UInt64($0) * 5, 2] }
        return result
      }
      stage.receive(FloodHit.field, FloodHit(id: id, holder: WireText("H\(part)"), results: results))
    }
    _ = stage.sent(after: .seconds(6))
    let end = replies().last
    #expect(end?["ending"] == "timeout" && end?["count"] == 1_000)
    #expect(end?["files"]?.arrayValue?.allSatisfy { $0["name"]?.stringValue?.hasPrefix("x\u{fffd} ") == true } == true)
    #expect(stage.metric("cached") <= 2_048)
  }

  @Test func addressesThatOthersTellAreLookedAt() throws {
    let stage = try Stage()
    let replies = stage.find("x", ["mode": "flood", "min": 0])
    let id = try #require(try SearchRequest(decoding: stage.sent()[0].body).id)
    for (place, address) in ["0.0.0.0:80", "224.0.0.1:80", "127.0.0.1:80", "1.2.3.4:0", "nonsense", "1.2.3.4:80"]
      .enumerated()
    {
      let name = "x\(place)"
      let result = SearchResult(
        fileName: WireText(name), metafileHash: TestFiles.root(of: name), chunkMap: [1], chunkCount: 1)
      stage.receive(
        FloodHit.field,
        FloodHit(id: id, hops: 3, holder: "H", address: WireText(address), results: [result]))
    }
    let addresses = replies().map { $0["holders"]?.arrayValue?.first?["address"]?.stringValue }
    #expect(addresses == [nil, nil, nil, nil, nil, "1.2.3.4:80"])
  }
}
