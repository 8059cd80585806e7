// MailboxNetworkTests: messages for nodes that are away, kept by those that stay.
import PeersterVocabulary
import StackCore
import StackSim
import Testing

@testable import Routing

@Suite struct MailboxNetworkTests {
  @Test(arguments: [[1], [0], [0, 1, 2], [2]])
  func aMessageForOneWhoIsAwayArrivesOnceItIsBack(_ mailboxes: [Int]) throws {
    let network = try Network(4, Topology(.line), routing: ["receiptTimeout": "500ms"], mailboxes: mailboxes)
    network.simulation.crash(3)
    var passed = 0
    network.onPrivate = { _ in passed += 1 }
    #expect(network.send(0, to: "node3", "when you are back") == "kept", "\(mailboxes)")
    network.simulation.run(for: .seconds(600))
    // Mailboxes don't hand it to and fro: what is tried while nobody is there becomes rare.
    #expect(passed < 120, "\(mailboxes)")
    #expect(network.states(0) == ["when you are back": "kept"])
    try network.simulation.restart(3)
    network.simulation.run(for: .seconds(30))
    #expect(network.received[3] == ["when you are back"], "\(mailboxes)")
    #expect(network.states(0) == ["when you are back": "delivered"], "\(mailboxes)")
    passed = 0
    network.simulation.run(for: .seconds(1_300))
    #expect(passed == 0, "\(mailboxes)")
    let kept = mailboxes.map { network.command($0, "messages")?["mailbox"]?.integerValue }
    #expect(kept.allSatisfy { $0 == 0 })
  }

  @Test func withoutOneTheSenderLearnsThatThereIsNoAnswer() throws {
    let network = try Network(3, Topology(.line))
    network.simulation.crash(2)
    #expect(network.send(0, to: "node2", "hello") == "no answer")
    let says = network.command(0, "messages")?["messages"]?.arrayValue?.first?["says"]?.stringValue
    #expect(says == "no answer after 62s")
  }

  @Test func aMailboxSurvivesItsCrashAndSoDoesTheSender() throws {
    let network = try Network(3, Topology(.line), routing: ["receiptTimeout": "500ms"], mailboxes: [0, 1])
    network.simulation.crash(2)
    #expect(network.send(0, to: "node2", "kept on the way") == "kept")
    for node in [0, 1] {
      network.simulation.crash(node)
      network.simulation.run(for: .seconds(1))
      try network.simulation.restart(node)
    }
    network.simulation.run(for: .seconds(60))
    try network.simulation.restart(2)
    network.simulation.run(for: .seconds(60))
    #expect(network.received[2] == ["kept on the way"])
    #expect(network.states(0) == ["kept on the way": "delivered"])
  }

  @Test func whatWasSentWithoutAWayGoesOnceThereIsOne() throws {
    let network = try Network(
      2, Topology(.line), routing: ["routeAge": "12s", "receiptTimeout": "500ms"], mailboxes: [0])
    network.simulation.crash(1)
    network.simulation.run(for: .seconds(40))
    #expect(network.command(0, "routes")?["routes"]?.arrayValue?.isEmpty == true)
    #expect(network.send(0, to: "node1", "first") == "kept")
    // Nothing is kept for a name that was never heard of.
    #expect(network.send(0, to: "nodeI", "a slip of the pen") == "no route")
    try network.simulation.restart(1)
    network.simulation.run(for: .seconds(20))
    #expect(network.received[1] == ["first"] && network.states(0)["first"] == "delivered")
  }

  @Test func theOldestGiveWayAndTheirSendersKnow() throws {
    let network = try Network(
      3, Topology(.line), routing: ["receiptTimeout": "500ms", "mailboxLimits": ["count": 2]], mailboxes: [1])
    network.simulation.crash(2)
    for text in ["first", "second", "third"] {
      network.post(0, to: "node2", text)
      network.simulation.run(for: .seconds(40))
    }
    #expect(network.states(0) == ["first": "no answer", "second": "kept", "third": "kept"])
    #expect(network.count(1, "letGo") == 1)
    try network.simulation.restart(2)
    network.simulation.run(for: .seconds(20))
    #expect(network.received[2]?.sorted() == ["second", "third"])
  }

  @Test func whatIsTooOldGoesAndItsSenderKnows() throws {
    let network = try Network(
      3, Topology(.line), routing: ["receiptTimeout": "500ms", "mailboxLimits": ["age": "2m"]], mailboxes: [1])
    network.simulation.crash(2)
    #expect(network.send(0, to: "node2", "old") == "kept")
    network.simulation.run(for: .seconds(150))
    #expect(network.states(0) == ["old": "no answer"] && network.count(1, "letGo") == 1)
  }

  @Test func aPeerstersMessageIsKeptTooAndSentOnce() throws {
    let network = try Network(
      2, Topology(.line), routing: ["routeAge": "12s"], mailboxes: [0])
    network.simulation.crash(1)
    network.simulation.run(for: .seconds(40))
    let message = Private(origin: "Go", text: "plain", destination: "node1", hopLimit: 10)
    network.simulation.inject(packet(4, message), to: 0, from: Address(ipv4: 0xc0a8_0001, port: 5000))
    try network.simulation.restart(1)
    network.simulation.run(for: .seconds(60))
    #expect(network.received[1] == ["plain"])
  }
}
