// GuestbookTests: the guestbook and its archive, in virtual time.
import LayerConformance
import StackCore
import StackSim
import Testing

@testable import EchoNode

@Suite struct GuestbookTests {
  let catalog: [any ProtocolLayer.Type] = [Guestbook.self, Archive.self]

  func lines(_ world: Simulation, _ node: Int) throws -> Int {
    try world.storage(of: node).namespace("guestbook", version: 1).count()
  }

  func output(_ replies: [CommandReply]) -> JSON? {
    if case .finished(let output)? = replies.last { output } else { nil }
  }

  @Test func aLineIsInEveryNeighboursBook() throws {
    let world = try Simulation(nodes: 3, ["guestbook": [:]], topology: Topology(.ring), catalog: catalog)
    world.run(for: .seconds(1))
    #expect(output(world.call(0, "guestbook", "sign", ["text": "hello"])) == ["number": 0])
    world.run(for: .seconds(1))
    for node in 0..<3 { #expect(try lines(world, node) == 1) }
  }

  @Test func whatWasAnsweredOutlivesACrash() throws {
    let world = try Simulation(nodes: 2, ["guestbook": ["lines": 2]], catalog: catalog)
    world.run(for: .seconds(1))
    for text in ["one", "two", "three"] { world.call(0, "guestbook", "sign", ["text": .string(text)]) }
    world.crash(0)
    try world.restart(0)
    world.run(for: .seconds(1))
    #expect(try lines(world, 0) == 2)
    #expect(output(world.call(0, "guestbook", "sign", ["text": "four"])) == ["number": 3])
  }

  @Test func waitingShowsLinesAndEnds() throws {
    let world = try Simulation(nodes: 2, ["guestbook": [:]], catalog: catalog)
    world.run(for: .seconds(1))
    var replies: [CommandReply] = []
    world.begin(1, "guestbook", "wait", ["lines": 2]) { replies.append($0) }
    world.call(0, "guestbook", "sign", ["text": "one"])
    world.call(0, "guestbook", "sign", ["text": "two"])
    world.run(for: .seconds(1))
    #expect(replies.count == 3 && output(replies) == ["lines": 2])
  }

  @Test func aClosedBookTakesNothingAndNeedsNoRestart() throws {
    let world = try Simulation(nodes: 2, ["guestbook": [:]], catalog: catalog)
    world.run(for: .seconds(1))
    let closed: JSON = ["open": .bool(false)]
    let answers = try #require(world.node(1)).reload(
      peers: [world.address(of: 0)], layers: [(type: Guestbook.self, section: closed)], at: world.now)
    #expect(answers.map(\.path) == ["layers.guestbook.open"] && answers.map(\.outcome) == [.applied])
    world.call(0, "guestbook", "sign", ["text": "hello"])
    world.run(for: .seconds(1))
    #expect(try lines(world, 1) == 0)
  }

  @Test func aLineWithoutTextIsMalformed() throws {
    #expect(throws: WireError.badValue) { try Entry(decoding: Entry(author: "eve", text: "").encoded()) }
  }

  @Test func theArchiveIsWrittenAndSent() throws {
    let world = try Simulation(nodes: 2, ["guestbook": [:], "archive": [:]], catalog: catalog)
    world.run(for: .seconds(1))
    world.call(0, "guestbook", "sign", ["text": "hello"])
    let written = output(world.call(0, "archive", "write", within: .seconds(1)))
    #expect(written?["bytes"] == 13)
    world.run(for: .seconds(1))
    #expect(metric("copied", world.node(1)) == 13)
    #expect(metric("unwritten", world.node(0)) == 0 && metric("unwritten", world.node(1)) == 1)
  }

  func metric(_ name: String, _ node: Node?) -> Double? {
    switch node?.metricDescriptions.first(where: { $0.name == name })?.source {
    case .counter(let counter): Double(counter.value)
    case .gauge(let value): value()
    default: nil
    }
  }

  @Test func bothKeepThePromisesOfALayer() throws {
    var options = ConformanceOptions()
    options.floodMessages = 5_000
    try LayerConformance.check(Guestbook.self, options: options)
    try LayerConformance.check(Archive.self, with: [Guestbook.self], options: options)
  }
}
