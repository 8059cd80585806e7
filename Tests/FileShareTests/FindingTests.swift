// FindingTests: what Search finds is fetched by its number or name, and what was fetched is found and served in turn.
import Gossip
import PeersterVocabulary
import Routing
import Search
import StackCore
import StackSim
import Testing

@testable import FileShare

@Suite struct FindingTests {
  private func network(_ nodes: Int, fileshare: JSON = [:]) throws -> Network {
    let network = try Network(
      nodes,
      layers: [
        "gossip": ["antiEntropy": "1s"], "routing": ["routeRumor": "5s"], "fileshare": fileshare, "search": [:],
      ], catalog: [Gossip.self, Routing.self, FileShare.self, Search.self])
    network.simulation.run(for: .seconds(10))
    return network
  }

  private func find(_ network: Network, _ node: Int, _ words: String) -> [JSON] {
    let input: JSON = ["words": [.string(words)], "mode": "flood", "timeout": "2s", "min": 0]
    guard
      case .finished(let json)? = network.simulation.call(
        node, "search", "find", input, within: .seconds(5)
      ).last
    else { return [] }
    return json["files"]?.arrayValue ?? []
  }

  private func fetched(_ network: Network, _ node: Int, _ name: String) -> [UInt8]? {
    network.simulation.disk(of: node).contents("/data/fileshare/downloads/\(name)")
  }

  /// What is shared is found at once, what is taken back no more; and the index hears of both though nobody asks.
  @Test func whatIsSharedIsIndexedAsItComesAndGoes() throws {
    let network = try network(1)
    func indexed() -> Double { network.simulation.report().metrics.first { $0.metric == "search.files" }?.sum ?? -1 }
    for number in 0..<30 { try network.place(0, "/s/\(number)/report \(number).txt", content(100 + number)) }
    _ = network.answer(0, "share", ["paths": ["/s"]])
    network.simulation.run(for: .milliseconds(10))
    #expect(indexed() == 30)
    #expect(find(network, 0, "report").count == 30 && find(network, 0, "\"report 7\"").count == 1)
    _ = network.answer(0, "unshare", ["paths": ["/s"]])
    network.simulation.run(for: .milliseconds(10))
    #expect(indexed() == 0)
    #expect(find(network, 0, "report").filter { $0["isLocal"] == true }.isEmpty)
  }

  @Test func whatIsFoundIsFetchedByItsNumberOrItsName() throws {
    let network = try network(4)
    let bytes = content(300_000)
    try network.place(3, "/s/Annual report.pdf", bytes)
    _ = network.answer(3, "share", ["paths": ["/s"]])
    for (node, byNumber) in [(0, true), (1, false)] {
      let file = try #require(find(network, node, "annual").first)
      let number = try #require(file["number"]?.integerValue)
      let wanted = byNumber ? "\(number)" : "annual REPORT.pdf"
      let answer = try #require(network.answer(node, "download", ["file": .string(wanted)]), "\(wanted)")
      #expect(answer["state"] == "finished" && answer["root"] == file["root"])
      #expect(fetched(network, node, "Annual report.pdf") == bytes)
    }
  }

  @Test func aNameThatSeveralHaveIsRefusedWithTheChoice() throws {
    let network = try network(3)
    for node in [1, 2] {
      try network.place(node, "/s/notes.txt", content(10_000 + node, seed: UInt64(node)))
      _ = network.answer(node, "share", ["paths": ["/s"]])
    }
    let found = find(network, 0, "notes")
    #expect(found.count == 2)
    let error = try #require(network.error(0, "download", ["file": "notes.txt"]))
    #expect(error.kind == .conflict && error.code == "ambiguous")
    for file in found {
      let number = try #require(file["number"]?.integerValue)
      let size = try #require(file["size"]?.integerValue)
      #expect(error.message.contains("number \(number) (\(size) bytes)"), "\(error.message)")
    }
    #expect(network.error(0, "download", ["file": "777"])?.code == "no-result")
    #expect(network.error(0, "download", ["file": "other.txt"])?.code == "no-result")
    #expect(network.error(0, "download", ["file": "strata:file?size=1"])?.code == "bad-link")
  }

  @Test(arguments: [0, 100_000, 3_000_000]) func whatWasFetchedIsServedAfterARestart(_ size: Int) throws {
    let network = try network(3)
    let bytes = content(size)
    try network.place(0, "/s/film.mkv", bytes)
    let shared = network.answer(0, "share", ["paths": ["/s/film.mkv"]])
    let link = try #require(shared?["shared"]?.arrayValue?.first?["link"]?.stringValue)
    #expect(network.answer(1, "download", ["file": .string(link)])?["state"] == "finished")
    network.simulation.crash(0)
    try network.simulation.restart(1)
    network.simulation.run(for: .seconds(40))
    #expect(network.paths(1) == ["film.mkv"])
    #expect(find(network, 2, "film").first?["isFull"] == (size == 0 ? nil : true) || size == 0)
    #expect(network.answer(2, "download", ["file": .string(link), "to": "/got"])?["state"] == "finished")
    #expect(network.simulation.disk(of: 2).contents("/got") == bytes)
    #expect(network.paths(2) == ["got"])
    // It can be taken back, by where it lies, and then stays so.
    #expect(network.answer(2, "unshare", ["paths": ["/got"]])?["files"] == 1)
    #expect(network.paths(2).isEmpty)
    // What somebody changes is no more what was fetched, and nobody has said that it is to be shared.
    try network.place(1, "/data/fileshare/downloads/film.mkv", content(size + 1, seed: 9))
    network.simulation.run(for: .seconds(40))
    #expect(network.paths(1).isEmpty)
  }

  @Test func aFileThatOnlyLooksDifferentIsSharedOn() throws {
    let network = try network(2)
    let bytes = content(50_000)
    try network.place(0, "/s/a", bytes)
    let shared = network.answer(0, "share", ["paths": ["/s/a"]])
    let link = try #require(shared?["shared"]?.arrayValue?.first?["link"]?.stringValue)
    #expect(network.answer(1, "download", ["file": .string(link)]) != nil)
    let place = "/data/fileshare/downloads/a"
    #expect(network.answer(1, "unshare", ["paths": [.string(place)]])?["files"] == 1)
    #expect(network.answer(1, "download", ["file": .string(link), "replace": true]) != nil)
    try network.place(1, place, bytes)
    network.simulation.run(for: .seconds(40))
    #expect(network.paths(1) == ["a"])
    var other = bytes
    other[7] ^= 1
    try network.place(1, "/data/fileshare/downloads/a", other)
    network.simulation.run(for: .seconds(40))
    #expect(network.paths(1).isEmpty)
  }

  @Test func fetchedFilesAreNotSharedWhereThatIsNotWanted() throws {
    let network = try network(2, fileshare: ["shareFetched": false])
    try network.place(0, "/s/a", content(50_000))
    let shared = network.answer(0, "share", ["paths": ["/s/a"]])
    let link = try #require(shared?["shared"]?.arrayValue?.first?["link"]?.stringValue)
    #expect(network.answer(1, "download", ["file": .string(link)]) != nil)
    #expect(network.paths(1).isEmpty)
  }

  /// What is still on its way is found too, with the chunks that are there.
  @Test func aFileOnItsWayIsFoundWithWhatIsThere() throws {
    let network = try network(3, fileshare: ["uploadLimit": 100_000])
    try network.place(0, "/s/slow.bin", content(1_000_000))
    let shared = network.answer(0, "share", ["paths": ["/s/slow.bin"]])
    let link = try #require(shared?["shared"]?.arrayValue?.first?["link"]?.stringValue)
    network.simulation.begin(1, "fileshare", "download", ["file": .string(link), "from": "node0"]) { _ in }
    network.simulation.run(for: .seconds(4))
    network.simulation.crash(0)
    #expect(network.paths(1).isEmpty)
    let file = try #require(find(network, 2, "slow").first)
    #expect(file["isFull"] == false && file["size"] == 1_000_000)
    let holder = try #require(file["holders"]?.arrayValue?.first { $0["name"] == "node1" })
    let chunks = try #require(holder["chunks"]?.integerValue)
    #expect(holder["isWhole"] == false && chunks > 10 && chunks < 123, "\(chunks)")
  }

  @Test func theBookIsBounded() {
    var book = FoundBook()
    func root(_ number: Int) -> Hash256 {
      Hash256((0..<32).map { UInt8(truncatingIfNeeded: number >> (8 * min($0, 3))) }) ?? Hash256()
    }
    let many = FoundBook.mostFiles * 3
    for number in 1...many {
      let holders = (0..<40).map { FileHolder(name: WireText("n\($0)"), address: nil, held: .ranges([0..<$0 + 1])) }
      let name = number % 2 == 0 ? "../even" : "odd \(number)"
      book.take(
        FileHolders(root: root(number), name: WireText(name), size: 5, chunkSize: nil, holders: holders, number: number)
      )
    }
    #expect(book.count == FoundBook.mostFiles)
    #expect(book[number: many]?.root == root(many) && book[number: 1] == nil && book[root(1)] == nil)
    #expect(book[number: many]?.holders.count == FoundBook.mostHolders)
    // The newest are kept.
    #expect(book[number: many]?.holders.last?.name == "n39")
    #expect(book.named("_._even").count == FoundBook.mostFiles / 2 && book.named("odd \(many - 1)").count == 1)
    #expect(book.named("ODD \(many - 1)").count == 1 && book.named("../even").isEmpty)
  }
}
