// FolderTests: a folder as a list of what is in it, shared under a link of its own and fetched with all that is below.
import Gossip
import PeersterVocabulary
import Routing
import StackCore
import StackSim
import Testing

@testable import FileShare

@Suite struct FolderListTests {
  private func entry(_ name: String, _ seed: UInt8 = 1, isFolder: Bool = false) -> FolderEntry {
    var entry = FolderEntry()
    (entry.name, entry.isFolder, entry.size, entry.chunkSize) = (name, isFolder, 5, 8_192)
    entry.root = Hash256([UInt8](repeating: seed, count: 32)) ?? Hash256()
    return entry
  }

  private func bytes(_ entries: [FolderEntry]) -> [UInt8] {
    entries.reduce(into: []) { all, entry in
      let one = entry.encoded()
      all += [0x0a, UInt8(one.count)] + one
    }
  }

  @Test func theSameContentHasTheSameBytes() throws {
    let entries = ["b", "a", "é", "B", "sub"].enumerated().map { entry($1, UInt8($0)) }
    let list = try #require(FolderList(entries))
    #expect(list.entries.map(\.name) == ["B", "a", "b", "sub", "é"])
    var random = RandomStream(seed: 3)
    for _ in 0..<50 {
      var mixed = entries
      for place in mixed.indices { mixed.swapAt(place, Int(random.next(below: UInt64(mixed.count)))) }
      #expect(FolderList(mixed)?.encoded == list.encoded)
    }
    #expect(try FolderList(decoding: list.encoded) == list)
    #expect(try FolderList(decoding: []).entries.isEmpty)
    // Names that no stranger's disk should have become safe ones, and stay apart.
    let odd = try #require(FolderList([entry("-x"), entry("_x"), entry("a\\b"), entry("a_b"), entry("~x")]))
    #expect(odd.entries.map(\.name) == ["_x", "_x (2)", "_x (3)", "a_b", "a_b (2)"])
    #expect(try FolderList(decoding: odd.encoded) == odd)
  }

  @Test func whatIsNotAListIsRefused() throws {
    let good = [entry("a"), entry("b")]
    #expect(try FolderList(decoding: bytes(good)).entries == good)
    var large = entry("c", isFolder: true)
    large.size = UInt64(FolderList.mostBytes) + 1
    var odd = entry("c")
    odd.chunkSize = 5_000
    var huge = entry("c")
    huge.size = 1 << 60
    let wrong: [[FolderEntry]] = [
      [entry("b"), entry("a")], [entry("a"), entry("a")], [entry("")], [entry("..")], [entry("../x")], [entry("a/b")],
      [entry(".ssh")], [entry("a\u{202e}b")], [entry("a\u{0}")], [entry(String(repeating: "n", count: 300))], [large],
      [odd], [huge],
    ]
    for entries in wrong {
      let one = entries.map { $0.encoded() }.reduce(into: [UInt8]()) { all, one in
        var writer = WireWriter()
        writer.writeVarint(UInt64(one.count))
        all += [0x0a] + writer.copied() + one
      }
      #expect(throws: LinkError.self, "\(entries.map(\.name))") { try FolderList(decoding: one) }
    }
    // The same list written otherwise is another file, so it is none.
    #expect(throws: LinkError.self) { try FolderList(decoding: bytes(good) + [0x10, 1]) }
    var random = RandomStream(seed: 11)
    for _ in 0..<3_000 {
      var mangled = bytes(good)
      for _ in 0...random.next(below: 4) {
        mangled[Int(random.next(below: UInt64(mangled.count)))] = UInt8(truncatingIfNeeded: random.next())
      }
      if let list = try? FolderList(decoding: mangled) { #expect(list.encoded == mangled) }
    }
  }

  @Test func aFoldersLinkIsNoFilesLink() throws {
    let root = Hash256([UInt8](repeating: 7, count: 32)) ?? Hash256()
    let list = try #require(FileDescriptor(name: "my music", size: 100, root: root))
    let folder = try #require(FolderDescriptor(list: list))
    #expect(folder.link == "strata:folder?root=\(root.hex)&size=100&name=my%20music")
    #expect(try FolderDescriptor(link: folder.link) == folder)
    #expect(throws: LinkError.self) { try FolderDescriptor(link: list.link) }
    #expect(throws: LinkError.self) { try FileDescriptor(link: folder.link) }
    #expect(throws: LinkError.self) { try FolderDescriptor(link: "strata:folder?root=\(root.hex)&size=99999999999") }
  }

  @Test func aFolderThatClaimsTooMuchIsRefused() throws {
    let root = Hash256([UInt8](repeating: 7, count: 32)) ?? Hash256()
    let list = try #require(FileDescriptor(name: "x", size: 100, root: root))
    func fetch() throws -> FolderFetch {
      FolderFetch(
        try #require(FolderDescriptor(list: list)), target: "/x", from: "", rate: 0, isReplacing: false,
        at: Instant(nanoseconds: 0))
    }
    let top = FolderFetch.Part(path: "", file: list, depth: 0)
    let many = try #require(FolderList((0..<60_000).map { entry("file \($0)") }))
    let wide = try fetch()
    #expect(wide.take(many, of: top) == nil && wide.take(many, of: top) != nil)
    let deep = try fetch()
    let one = try #require(FolderList([entry("x")]))
    #expect(deep.take(one, of: .init(path: "a", file: list, depth: SafePath.deepest)) != nil)
    let long = String(repeating: "n", count: 2_000)
    #expect(try fetch().take(one, of: .init(path: long, file: list, depth: 3)) != nil)
    var huge = entry("a")
    huge.size = UInt64(TreeShape.largestSize)
    let both = try #require(FolderList([huge, entry("b")]))
    #expect(try fetch().take(both, of: top) != nil)
  }
}

@Suite struct FolderTests {
  /// A folder with folders in it, an empty file, the same content at several places, and odd names.
  private func fill(_ network: Network, _ node: Int) throws -> [String: [UInt8]] {
    var files: [String: [UInt8]] = ["a": content(20_000), "b/a": content(20_000), "b/c/empty": []]
    files["b/c/large.bin"] = content(1_500_000, seed: 5)
    files["b/c/🎬 $(rm -rf).mkv"] = content(9_000, seed: 6)
    for number in 0..<30 { files["many/\(number).txt"] = content(100 + number, seed: UInt64(number)) }
    for (path, bytes) in files.sorted(by: { $0.key < $1.key }) { try network.place(node, "/s/stuff/\(path)", bytes) }
    return files
  }

  private func link(_ network: Network, _ node: Int) throws -> String {
    let shared = network.answer(node, "share", ["paths": ["/s/stuff"]])
    return try #require(shared?["shared"]?.arrayValue?.first?["link"]?.stringValue)
  }

  private func expect(_ files: [String: [UInt8]], _ network: Network, _ node: Int, below: String) {
    for (path, bytes) in files.sorted(by: { $0.key < $1.key }) {
      #expect(network.simulation.disk(of: node).contents("\(below)/\(path)") == bytes, "\(path)")
    }
  }

  @Test func aFolderIsFetchedWithAllThatIsBelow() throws {
    let network = try Network(3)
    network.simulation.run(for: .seconds(10))
    let files = try fill(network, 0)
    let link = try link(network, 0)
    #expect(try FolderDescriptor(link: link).list.name == "stuff")
    // The lists are served, and seen by nobody.
    #expect(network.paths(0).count == files.count)
    #expect(network.events.count { $0.name == "shared" } == files.count)
    let answer = try #require(network.answer(1, "download", ["file": .string(link)]))
    #expect(answer["state"] == "finished" && answer["name"] == "stuff")
    #expect(answer["size"]?.integerValue == Int64(files.values.reduce(0) { $0 + $1.count }))
    #expect(answer["note"]?.stringValue == "\(files.count) of \(files.count) files")
    expect(files, network, 1, below: "/data/fileshare/downloads/stuff")
    #expect(network.paths(1).count == files.count)
    // It is there now, and is written over only by who says so; from whom has fetched it, it can be fetched in turn.
    #expect(network.error(1, "download", ["file": .string(link)])?.code == "exists")
    network.simulation.crash(0)
    network.simulation.run(for: .seconds(5))
    #expect(network.answer(2, "download", ["file": .string(link), "to": "/there"])?["state"] == "finished")
    expect(files, network, 2, below: "/there")
  }

  @Test func theLinkNamesWhatTheFolderIs() throws {
    let network = try Network(2)
    let files = try fill(network, 0)
    let first = try link(network, 0)
    #expect(try link(network, 0) == first)
    try network.place(0, "/s/stuff/b/c/new", [1, 2, 3])
    let second = try link(network, 0)
    #expect(second != first)
    // The older link still means what it meant.
    network.simulation.run(for: .seconds(5))
    #expect(network.answer(1, "download", ["file": .string(first)])?["state"] == "finished")
    expect(files, network, 1, below: "/data/fileshare/downloads/stuff")
    #expect(network.simulation.disk(of: 1).contents("/data/fileshare/downloads/stuff/b/c/new") == nil)
    // Taken back, its lists are gone as well.
    #expect(network.answer(0, "unshare", ["paths": ["/s/stuff"]])?["files"]?.integerValue == Int64(files.count + 1))
    let root = try FolderDescriptor(link: second).list.root.hex
    #expect(network.simulation.disk(of: 0).contents("/data/fileshare/folders/1/\(root)") == nil)
  }

  @Test(arguments: [200, 900, 2_500]) func itGoesOnAfterACrash(_ milliseconds: Int64) throws {
    let network = try Network(2, fileshare: ["uploadLimit": 500_000])
    network.simulation.run(for: .seconds(10))
    let files = try fill(network, 0)
    let link = try link(network, 0)
    network.simulation.begin(1, "fileshare", "download", ["file": .string(link)]) { _ in }
    network.simulation.run(for: .milliseconds(milliseconds))
    network.simulation.crash(1)
    try network.simulation.restart(1)
    let last = "/data/fileshare/downloads/stuff/b/c/large.bin"
    network.simulation.run(within: .seconds(60)) { $0.disk(of: 1).contents(last) != nil }
    network.simulation.run(for: .seconds(10))
    expect(files, network, 1, below: "/data/fileshare/downloads/stuff")
    #expect(network.answer(1, "downloads")?["downloads"]?.arrayValue?.contains { $0["name"] == "stuff" } == false)
  }

  /// What stands in the way of one file stops the folder, and is told; without it the same command goes on.
  @Test func whatIsThereIsNotWrittenOver() throws {
    let network = try Network(2, fileshare: ["uploadLimit": 1_000_000])
    network.simulation.run(for: .seconds(10))
    let files = try fill(network, 0)
    let link = try link(network, 0)
    var ended: CommandReply?
    network.simulation.begin(1, "fileshare", "download", ["file": .string(link)]) { ended = $0 }
    let place = "/data/fileshare/downloads/stuff/many/29.txt"
    try network.place(1, place, [1, 2, 3])
    network.simulation.run(within: .seconds(60)) { _ in ended?.isLast == true }
    guard case .failed(let error)? = ended else { return #expect(Bool(false), "\(String(describing: ended))") }
    #expect(error.message.contains("29.txt") && error.message.contains("there already"), "\(error.message)")
    #expect(network.simulation.disk(of: 1).contents(place) == [1, 2, 3])
    try network.simulation.disk(of: 1).files(root: "/").remove(String(place.dropFirst()))
    #expect(network.answer(1, "download", ["file": .string(link)])?["state"] == "finished")
    expect(files, network, 1, below: "/data/fileshare/downloads/stuff")
  }

  /// A list that was only touched is hashed again, and stays.
  @Test func aTouchedListStays() throws {
    let network = try Network(2)
    let files = try fill(network, 0)
    let link = try link(network, 0)
    let root = try FolderDescriptor(link: link).list.root.hex
    let place = "/data/fileshare/folders/1/\(root)"
    let bytes = try #require(network.simulation.disk(of: 0).contents(place))
    try network.place(0, place, bytes)
    network.simulation.run(for: .seconds(40))
    #expect(network.simulation.disk(of: 0).contents(place) == bytes)
    #expect(network.answer(1, "download", ["file": .string(link)])?["state"] == "finished")
    expect(files, network, 1, below: "/data/fileshare/downloads/stuff")
  }

  @Test func itIsPausedResumedAndCancelled() throws {
    let network = try Network(2, fileshare: ["uploadLimit": 300_000])
    network.simulation.run(for: .seconds(10))
    let files = try fill(network, 0)
    let link = try link(network, 0)
    let root = JSON.string(try FolderDescriptor(link: link).list.root.hex)
    var ended: CommandReply?
    network.simulation.begin(1, "fileshare", "download", ["file": .string(link)]) { ended = $0 }
    network.simulation.run(for: .seconds(2))
    #expect(network.answer(1, "pause", ["root": root])?["state"] == "paused")
    network.simulation.run(for: .seconds(20))
    #expect(network.simulation.disk(of: 1).contents("/data/fileshare/downloads/stuff/b/c/large.bin") == nil)
    #expect(network.answer(1, "resume", ["root": root])?["state"] == "fetching")
    network.simulation.run(within: .seconds(60)) { _ in ended?.isLast == true }
    guard case .finished? = ended else { return #expect(Bool(false), "\(String(describing: ended))") }
    expect(files, network, 1, below: "/data/fileshare/downloads/stuff")
    network.simulation.begin(1, "fileshare", "download", ["file": .string(link), "to": "/x"]) { ended = $0 }
    #expect(network.answer(1, "cancel", ["root": root])?["state"] == "cancelled")
    guard case .failed(let error)? = ended else { return #expect(Bool(false)) }
    #expect(error.kind == .cancelled)
  }
}
