// ListingTests: lists of what others share, over a stand-in for Routing that knows every way.
import Gossip
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import FileShare

/// A routed message on its way along a line of nodes.
private struct Carried: WireMessage {
  var origin: WireText = ""
  var destination: WireText = ""
  var field: UInt32 = 0
  var body: [UInt8] = []

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "origin", &origin)
    try field(2, "destination", &destination)
    try field(3, "field", &self.field)
    try field(4, "body", &body)
  }
}

/// Brings routed messages along a line of nodes, each named after its place; now and then it loses one.
private final class Line: ProtocolLayer, RoutingService {
  static let manifest = LayerManifest("line", "A line of nodes.", provides: [ServiceKey.routing])
  let me: WireText
  var neighbours: [Address] = []
  var sent = 0

  init(config: NoConfig, setup: LayerSetup<Line>) throws {
    me = WireText(setup.nodeName)
    setup.on(1_000, Carried.self, Line.heard)
    setup.event(RoutedArrival.port)
    setup.subscribe(RouteRequest.port, Line.asked)
    setup.provide(.routing, self)
  }

  func start(_ context: borrowing LayerContext<Line>) { neighbours = context.neighbours.map(\.address) }

  private func place(_ name: WireText) -> Int { Int(name.text.dropFirst(4)) ?? 0 }

  func route(to destination: WireText) -> Route? {
    let hops = abs(place(destination) - place(me)) - 1
    guard hops >= 0, let next = neighbours.first else { return nil }
    return Route(destination: destination, nextHop: next, hops: UInt32(hops))
  }

  private func asked(_ request: RouteRequest, _ context: borrowing LayerContext<Line>) {
    let carried = Carried(
      origin: me, destination: request.destination, field: request.field, body: request.body.bytes)
    sent += 1
    if sent % 3 != 2 { context.sendToNeighbours(carried, as: 1_000) }
  }

  private func heard(_ carried: Carried, from: Address, _ context: borrowing LayerContext<Line>) {
    guard carried.destination == me else { return context.sendToNeighbours(carried, as: 1_000, except: from) }
    context.publish(
      RoutedArrival(number: 1, origin: carried.origin, field: carried.field, body: RoutedBody(carried.body)),
      on: RoutedArrival.port)
  }
}

@Suite struct ListingTests {
  private func network(_ fileshare: JSON) throws -> Network {
    // By Gossip's messages they know each other for Strata.
    let network = try Network(
      3, layers: ["gossip": ["antiEntropy": "1s"], "line": [:], "fileshare": fileshare],
      catalog: [Gossip.self, Line.self, FileShare.self])
    network.simulation.run(for: .seconds(5))
    for number in 0..<400 { try network.place(0, "/m/\(number % 9)/file number \(number)", [UInt8(number & 255)]) }
    _ = network.answer(0, "share", ["paths": ["/m"]])
    return network
  }

  @Test(arguments: [("public", [1, 2]), ("neighbours", [1]), ("none", [])])
  func listsAreForWhomTheyAreFor(_ listing: String, _ may: [Int]) throws {
    let network = try network(["listing": .string(listing)])
    for node in [1, 2] {
      guard may.contains(node) else {
        #expect(network.error(node, "list", ["of": "node0"])?.code == "not-for-you", "\(listing) \(node)")
        continue
      }
      let list = network.answer(node, "list", ["of": "node0", "limit": 1_000])
      let files = list?["files"]?.arrayValue ?? []
      #expect(list?["total"] == 400 && files.count == 400, "\(listing) \(node)")
      #expect(Set(files.compactMap { $0["path"]?.stringValue }).count == 400)
      for file in files { #expect(throws: Never.self) { try FileDescriptor(link: file["link"]?.stringValue ?? "") } }
      let some = network.answer(node, "list", ["of": "node0", "limit": 10, "below": "m/3/"])
      let paths = (some?["files"]?.arrayValue ?? []).compactMap { $0["path"]?.stringValue }
      #expect(paths.count == 10 && paths.allSatisfy { $0.hasPrefix("m/3/") })
    }
  }

  /// The same over Routing itself: who is a neighbour is known by the rumors, and pages go several hops.
  @Test(arguments: [("public", [1, 2, 3]), ("neighbours", [1]), ("none", [])])
  func listsGoOverRouting(_ listing: String, _ may: [Int]) throws {
    let network = try Network(4, fileshare: ["listing": .string(listing)])
    for number in 0..<300 { try network.place(0, "/m/\(number % 7)/a file of number \(number)", [UInt8(number & 255)]) }
    _ = network.answer(0, "share", ["paths": ["/m"]])
    network.simulation.run(for: .seconds(20))
    for node in 1...3 {
      guard may.contains(node) else {
        #expect(network.error(node, "list", ["of": "node0"])?.code == "not-for-you", "\(listing) \(node)")
        continue
      }
      var paths: [String] = []
      var first: Int64? = 0
      // By pages of our own, of which each takes several of the wire's.
      while let start = first, paths.count < 1_000 {
        let list = try #require(
          network.answer(node, "list", ["of": "node0", "first": JSON(Int(start)), "limit": 130]), "\(listing) \(node)")
        #expect(list["total"] == 300)
        paths += (list["files"]?.arrayValue ?? []).compactMap { $0["path"]?.stringValue }
        first = list["next"]?.integerValue
      }
      #expect(paths == network.paths(0), "\(listing) \(node)")
    }
    #expect(network.error(1, "list", ["of": "nobody"])?.code == "no-answer")
  }

  @Test func whoDoesNotAnswerIsGivenUp() throws {
    let network = try network(["listing": "public"])
    network.simulation.crash(0)
    let silent = network.error(1, "list", ["of": "node0"])
    // That another node is silent is no fault of this one.
    #expect(silent?.code == "no-answer" && silent?.kind == .failed)
    let own = try #require(network.answer(1, "list"))
    #expect(network.answer(1, "list", ["of": ""]) == own)
  }

  @Test func aListThatNobodyAskedForIsNoList() throws {
    var page = ListPage()
    page.number = Fixed64(7)
    page.files = [ListedFile()]
    #expect(try ListPage(decoding: page.encoded()) == page)
    var request = ListRequest()
    request.below = String(repeating: "x", count: 5_000)
    #expect(throws: WireError.self) { try ListRequest(decoding: request.encoded()) }
  }
}
