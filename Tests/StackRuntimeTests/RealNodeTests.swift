// RealNodeTests: real nodes on loopback: what they carry, what they keep, and what they refuse.
import Foundation
import Glibc
import StackCore
import Testing

@testable import StackRuntime

@Suite struct RealNodeTests {
  static func finished(_ reply: CommandReply) -> JSON? { if case .finished(let json) = reply { json } else { nil } }
  static func failed(_ reply: CommandReply) -> CommandError? {
    if case .failed(let error) = reply { error } else { nil }
  }

  @Test func twoNodesTalkAndLargeMessagesArriveWhole() throws {
    let bench = try RealNodeBench()
    let alice = try bench.node(bench.options("alice", control: false))
    var options = bench.options("bob", control: false)
    options.peers = [alice.address.description]
    let bob = try bench.node(options)
    #expect(alice.address.port != 0 && alice.node.address == alice.address)
    var sizes: [Int] = []
    _ = alice.observe { if $0.name == "heard" { sizes.append(Int($0.json()["size"]?.integerValue ?? 0)) } }
    var backs: [Int] = []
    _ = bob.observe { if $0.name == "heard" { backs.append(Int($0.json()["size"]?.integerValue ?? 0)) } }
    for size in [0, 1, 1200, 20_000, 60_000] {
      let reply = try bench.call(bob, "send", ["peer": .string(alice.address.description), "size": JSON(size)])
      #expect(Self.finished(reply)?["bytes"]?.integerValue == Int64(size))
    }
    try bench.until("alice has heard all, and bob her answers") { sizes.count == 5 && backs.count == 5 }
    #expect(sizes.sorted() == [0, 1, 1200, 20_000, 60_000] && backs.sorted() == [-60_000, -20_000, -1200, -1, 0])
    #expect(alice.node.neighbourList.map(\.address) == [bob.address])
    let traffic = alice.node.traffic
    let known = try #require(alice.node.neighbourList.first)
    #expect(known.datagramsIn == traffic.datagramsIn && known.bytesIn == traffic.bytesIn)
    try bench.stop(alice)
    try bench.stop(bob)
  }

  @Test func messagesLargerThanThePathAreSplitAndPutTogether() throws {
    let bench = try RealNodeBench()
    var options = bench.options("alice", control: false)
    options.limits.pathLimit = 1200
    let alice = try bench.node(options)
    options = bench.options("bob", control: false)
    options.limits.pathLimit = 1200
    options.peers = [alice.address.description]
    let bob = try bench.node(options)
    var heard = 0
    _ = alice.observe { if $0.name == "heard" { heard += Int($0.json()["size"]?.integerValue ?? 0) } }
    for _ in 0..<20 {
      _ = try bench.call(bob, "send", ["peer": .string(alice.address.description), "size": 50_000])
    }
    try bench.until("all has arrived") { heard == 20 * 50_000 }
    #expect(alice.node.traffic.datagramsIn > 20 * 40)
  }

  @Test func whatTheKernelHasNoRoomForLeavesLater() throws {
    let bench = try RealNodeBench()
    let alice = try bench.node(bench.options("alice", control: false))
    let bob = try bench.node(bench.options("bob", control: false))
    bob.socket.pretendedRoom = 1
    for _ in 0..<3 { _ = try bench.call(bob, "send", ["peer": .string(alice.address.description), "size": 9]) }
    try bench.until("the kernel has refused some") { bob.socket.counters.blocked > 0 && bob.node.hasOutgoing }
    bob.socket.pretendedRoom = nil
    try bench.until("all has arrived") { alice.node.traffic.datagramsIn == 3 }
    #expect(bob.node.traffic.datagramsOut == 3 && !bob.node.hasOutgoing)
  }

  @Test func aNodeThatCannotSendStopsAllTheSame() throws {
    let bench = try RealNodeBench()
    let bob = try bench.node(bench.options("bob"))
    bob.socket.pretendedRoom = 0
    _ = try bench.call(bob, "send", ["peer": "127.0.0.1:9", "size": 9])
    bob.stop(within: .milliseconds(50))
    try bench.until("it has stopped") { bob.state == .stopped }
  }

  @Test func aMessageThatMayBeFragmentedLeavesWholeAndTheSocketForbidsItAgainAfterwards() throws {
    let from = try DatagramSocket(bind: SocketTests.loopback)
    let to = try DatagramSocket(bind: SocketTests.loopback)
    let bytes = [UInt8](repeating: 3, count: 9000)
    #expect(bytes.withUnsafeBytes { from.sendFragmenting($0, to: to.localAddress) })
    #expect(SocketTests.receive(1, on: to).first?.bytes == bytes)
    var mode: Int32 = -1
    var size = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(from.fd, Int32(IPPROTO_IP), IP_MTU_DISCOVER, &mode, &size)
    #expect(mode == IP_PMTUDISC_PROBE)
  }

  @Test func aNeighbourThatIsANameIsLookedUp() throws {
    let bench = try RealNodeBench()
    let alice = try bench.node(bench.options("alice", control: false))
    var options = bench.options("bob", control: false)
    options.peers = ["localhost:\(alice.address.port)", "nowhere.invalid:5000"]
    let bob = try bench.node(options)
    try bench.until("the name has an address") { bob.node.neighbourList.contains { $0.address == alice.address } }
    try bench.until("the other name was tried") { bench.lines.contains { $0.contains("nowhere.invalid") } }
    #expect(bob.peers?.unresolved == ["nowhere.invalid:5000"])
  }

  @Test func aPeerThatIsNeitherAddressNorNameIsRefused() throws {
    let bench = try RealNodeBench()
    var options = bench.options("alice")
    options.peers = ["127.0.0.1:1", "no port"]
    let error = #expect(throws: RuntimeError.self) { try bench.build(options) }
    #expect(error?.kind == .configuration && error?.path == "peers[1]" && error?.message.contains("no port") == true)
  }

  @Test func aControlPortForAllIsRefused() throws {
    let bench = try RealNodeBench()
    var options = bench.options("alice")
    options.control = Address("0.0.0.0:0")
    let error = #expect(throws: RuntimeError.self) { try bench.build(options) }
    #expect(error?.kind == .configuration && error?.path == "control")
    #expect(!bench.scratch.exists("alice"))
  }

  @Test func offloadedWorkComesBack() throws {
    let bench = try RealNodeBench()
    let alice = try bench.node(bench.options("alice", control: false))
    #expect(Self.finished(try bench.call(alice, "work", [:]))?["step"]?.integerValue == 5050)
  }

  @Test func theSecondNodeOnADataDirectoryIsRefused() throws {
    let bench = try RealNodeBench()
    let first = try bench.node(bench.options("alice"))
    let error = #expect(throws: RuntimeError.self) { try bench.build(bench.options("alice")) }
    #expect(error?.kind == .data && error?.message.contains("in use") == true)
    try bench.stop(first)
    let again = try bench.node(bench.options("alice"))
    #expect(again.token == first.token)
    try bench.stop(again)
  }

  @Test func aPortInUseIsNamed() throws {
    let bench = try RealNodeBench()
    let alice = try bench.node(bench.options("alice"))
    var options = bench.options("bob")
    options.listen = alice.address
    let busy = #expect(throws: RuntimeError.self) { try bench.build(options) }
    #expect(busy?.kind == .network && busy?.path == "listen" && busy?.message.contains("in use") == true)
    options.listen = SocketTests.loopback
    options.control = alice.control?.address
    let control = #expect(throws: RuntimeError.self) { try bench.build(options) }
    #expect(control?.kind == .control && control?.path == "control" && control?.message.contains("in use") == true)
    // What was refused has left nothing behind that would be in the way.
    options.control = nil
    try bench.stop(try bench.node(options))
  }

  @Test func aNodeThatIsLetGoLeavesNothingBehind() throws {
    let bench = try RealNodeBench()
    weak var engine: Node?
    weak var whole: RealNode?
    do {
      let node = try bench.node(bench.options("alice"))
      (engine, whole) = (node.node, node)
      _ = try bench.ask(node, "GET", "/v1/node")
      _ = try bench.call(node, "count", ["steps": 2])
      try bench.stop(node)
    }
    #expect(engine == nil && whole == nil)
  }

  @Test func aDataDirectoryThatCannotBeWrittenIsRefused() throws {
    let bench = try RealNodeBench()
    let options = bench.options("alice")
    // The scratch directory belongs to this user and lets strangers only look.
    let error = asStranger { #expect(throws: RuntimeError.self) { try bench.build(options) } }
    if geteuid() == 0 { #expect(error?.kind == .data && error?.message.isEmpty == false) }
  }

  @Test func aRestartKeepsWhatWasStored() throws {
    let bench = try RealNodeBench()
    let first = try bench.node(bench.options("alice"))
    _ = try bench.call(first, "keep", ["key": "a", "value": "still here"])
    try bench.stop(first)
    let second = try bench.node(bench.options("alice"))
    #expect(Self.finished(try bench.call(second, "kept", ["key": "a"]))?["value"]?.stringValue == "still here")
  }

  @Test func aStoppingNodeEndsItsCallsAndLetsWhatItSentLeave() throws {
    let bench = try RealNodeBench()
    let alice = try bench.node(bench.options("alice"))
    var last: CommandReply?
    alice.call("parrot", "count", [:]) { if $0.isLast { last = $0 } }
    alice.stop()
    try bench.until("it has stopped") { alice.state == .stopped }
    #expect(last.flatMap(Self.failed)?.code == "stopping")
    var refused: CommandReply?
    alice.call("parrot", "greet", [:]) { refused = $0 }
    #expect(refused.flatMap(Self.failed)?.kind == .unavailable)
  }

  @Test func aReloadAppliesWhatCanBeAppliedAndSaysSo() throws {
    let bench = try RealNodeBench()
    var options = bench.options("alice")
    options.reload = {
      RealNodeReload(
        peers: ["127.0.0.1:9"], layers: [(Parrot.self, ["greeting": "ahoy", "limit": 5]), (Bystander.self, [:])],
        logLevel: .warning, answers: [ReloadAnswer(path: "listen", outcome: .needsRestart)])
    }
    let alice = try bench.node(options)
    let answers = try alice.reload()
    let outcomes = answers.map { "\($0.path) \($0.outcome.rawValue)" }.sorted()
    #expect(
      outcomes == [
        "layers.bystander applied", "layers.parrot.greeting applied", "layers.parrot.limit needs a restart",
        "listen needs a restart", "logLevel applied", "peers applied",
      ])
    #expect(Self.finished(try bench.call(alice, "greet", [:]))?["greeting"]?.stringValue == "ahoy")
    #expect(alice.node.neighbourList.map(\.address.port) == [9] && alice.node.layers.count == 2)
  }

  @Test func aReloadThatCannotBeLeavesAllAsItIs() throws {
    let bench = try RealNodeBench()
    let bob = try bench.node(bench.options("bob", control: false))
    var options = bench.options("alice")
    options.peers = ["localhost:\(bob.address.port)"]
    options.reload = {
      RealNodeReload(peers: ["127.0.0.1:9"], layers: [(Parrot.self, ["greeting": 5])])
    }
    let alice = try bench.node(options)
    try bench.until("the name has an address") { !alice.node.neighbourList.isEmpty }
    let error = #expect(throws: RuntimeError.self) { try alice.reload() }
    #expect(error?.path == "layers.parrot.greeting" && alice.node.neighbourList.map(\.address) == [bob.address])
    // A name that had an address keeps it.
    #expect(alice.peers?.unresolved == [] && alice.peers?.addresses == [bob.address])
  }

  @Test func theStorageIsClosedBeforeTheDirectoryIsFree() throws {
    let bench = try RealNodeBench()
    let alice = try bench.node(bench.options("alice", control: false))
    let kept: CommandReply = try bench.call(alice, "keep", ["key": "a", "value": "b"])
    #expect(Self.finished(kept) != nil)
    alice.stop()
    try bench.until("it has stopped") { alice.state == .stopped }
    // The node is still there, and holds no file of its directory any more: SQLite has folded its log away.
    #expect(!bench.scratch.exists("alice/node.sqlite-wal"))
    let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
      try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
    }
    #expect(!open.contains { $0.contains(bench.scratch.path("alice")) })
    // Whoever comes next finds all of it, and whoever asks the old one is refused.
    #expect(throws: StorageError.self) { try alice.storage.namespace("parrot", version: 1) }
    let next = try bench.node(bench.options("alice", control: false))
    let found: CommandReply = try bench.call(next, "kept", ["key": "a"])
    #expect(Self.finished(found)?["value"] == "b")
  }

  @Test func aNodeWithNothingToDoSleeps() throws {
    let bench = try RealNodeBench()
    let alice = try bench.node(bench.options("alice"))
    _ = try bench.call(alice, "greet", [:])
    // Nothing but the test's own timer is left to wake the loop.
    let turns = bench.loop.turns
    var isOver = false
    let timer = bench.loop.timer { isOver = true }
    timer.set(after: .milliseconds(300))
    try bench.until("the time is over") { isOver }
    #expect(bench.loop.turns - turns <= 2 && alice.node.nextDeadline == nil)
  }

  // MARK: Storage that fails

  /// A storage whose commits fail while it is told so; like the real one it stops then until it is opened again.
  final class Failing: NodeStorage {
    static let error = StorageError(.full, "the disk is full; make room")
    private let inner: any NodeStorage
    private let isFull: () -> Bool
    private var hasStopped = false
    init(_ inner: any NodeStorage, _ isFull: @escaping () -> Bool) { (self.inner, self.isFull) = (inner, isFull) }
    func namespace(_ layer: String, version: Int) throws(StorageError) -> any LayerStorage {
      try inner.namespace(layer, version: version)
    }
    var isDirty: Bool { inner.isDirty || hasStopped }
    func commit() throws(StorageError) {
      if isFull() { hasStopped = true }
      if hasStopped { throw Self.error }
      try inner.commit()
    }
  }

  @Test func nothingLeavesThatCouldNotBeSavedAndTheNodeRecovers() throws {
    let bench = try RealNodeBench()
    let bob = try bench.node(bench.options("bob", control: false))
    var options = bench.options("alice")
    options.peers = [bob.address.description]
    var isFull = false
    var opened = 0
    let directory = options.dataDirectory
    options.openStorage = { () throws(StorageError) in
      opened += 1
      if isFull { throw Failing.error }
      return Failing(try SQLiteStorage(directory: directory)) { isFull }
    }
    let alice = try bench.node(options)
    _ = try bench.call(alice, "keep", ["key": "a", "value": "before"])
    try bench.until("bob has heard it") { bob.node.traffic.datagramsIn == 1 }
    var last: CommandReply?
    alice.call("parrot", "count", [:]) { if $0.isLast { last = $0 } }
    isFull = true
    let refusal = Self.failed(try bench.call(alice, "keep", ["key": "a", "value": "lost"]))
    #expect(refusal?.kind == .unavailable && refusal?.code == "storage-full")
    #expect(last.flatMap(Self.failed)?.code == "storage-full")
    #expect(alice.state == .failing(Failing.error))
    #expect(Self.failed(try bench.call(alice, "greet", [:]))?.code == "storage-full")
    #expect(try bench.ask(alice, "POST", "/v1/parrot/greet", [:]).status == 503)
    #expect(try bench.ask(alice, "GET", "/v1/node").json["state"]?.stringValue == "storage-failing")
    #expect(bench.lines.filter { $0.contains("make room") }.count == 1)
    isFull = false
    try bench.until("it runs again") { alice.state == .running }
    #expect(opened >= 2 && bob.node.traffic.datagramsIn == 1)
    #expect(alice.node.traffic.drops.first { $0.reason == .storage }?.count ?? 0 >= 1)
    #expect(Self.finished(try bench.call(alice, "kept", ["key": "a"]))?["value"]?.stringValue == "before")
    #expect(alice.node.neighbourList.map(\.address) == [bob.address])
    // Stopping while it fails ends too.
    isFull = true
    _ = try bench.call(alice, "keep", ["key": "b"])
    try bench.stop(alice)
  }

  // MARK: The log

  @Test func logLinesStayLinesWhateverStrangersPutInThem() throws {
    var lines: [String] = []
    let time = Instant(nanoseconds: 1_767_225_599_999_000_000)
    let text = LogSink(format: .text, colour: false) { lines.append(String(decoding: $0, as: UTF8.self)) }
    text.log(.warning, "gossip", at: time, "a\nb\u{1b}[31mc\u{202e}d é")
    text.log(.debug, "gossip", at: time, "not wanted")
    #expect(lines == ["2025-12-31T23:59:59.999Z warning gossip    a\\nb\\u{1b}[31mc\\u{202e}d é\n"])
    lines = []
    let json = LogSink(format: .json) { lines.append(String(decoding: $0, as: UTF8.self)) }
    json.log(.error, "node", at: time, "\"\u{7}\"")
    let line = try JSON.parse(try #require(lines.first))
    #expect(line["level"] == "error" && line["layer"] == "node" && line["message"] == "\"\\u{7}\"")
    lines = []
    LogSink(format: .text, colour: true) { lines.append(String(decoding: $0, as: UTF8.self)) }
      .log(.info, "node", at: time, "hello")
    #expect(lines.first?.contains("\u{1b}[32minfo") == true)
  }
}
