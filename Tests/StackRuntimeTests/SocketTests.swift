// SocketTests: datagrams come through whole, in batches and in segmented runs, and trouble is told in plain words.
import Glibc
import StackCore
import Testing

@testable import StackRuntime

@Suite struct SocketTests {
  static let loopback = Address(ipv4: 0x7f00_0001, port: 0)

  /// Receives until `count` datagrams are here (or two seconds are over), in order.
  static func receive(_ count: Int, on socket: DatagramSocket) -> [(bytes: [UInt8], from: Address)] {
    var all: [(bytes: [UInt8], from: Address)] = []
    while all.count < count {
      let more = socket.receive { bytes, sender in
        all.append((bytes.withUnsafeBytes { Array($0) }, sender))
      }
      if more > 0 { continue }
      var entry = pollfd(fd: socket.fd, events: Int16(POLLIN), revents: 0)
      if poll(&entry, 1, 2000) <= 0 { break }
    }
    return all
  }

  /// Sends until all has left, waiting where the kernel has no room.
  @discardableResult static func sendAll(
    _ entries: [OutgoingDatagram], on socket: DatagramSocket, tooLarge: (Address, Int) -> Void = { _, _ in }
  ) -> Int {
    var progress = SendProgress()
    var calls = 0
    entries.withUnsafeBufferPointer { entries in
      while progress.entry < entries.count {
        progress = socket.send(entries, from: progress, tooLarge: tooLarge)
        calls += 1
        if progress.entry < entries.count {
          var entry = pollfd(fd: socket.fd, events: Int16(POLLOUT), revents: 0)
          poll(&entry, 1, 2000)
        }
      }
    }
    return calls
  }

  static func pattern(_ count: Int, _ seed: Int = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: ($0 &+ seed) &* 31 &+ ($0 &+ seed) >> 8) }
  }

  enum Mode: CaseIterable { case offload, plain, refusing }

  static func sockets(_ mode: Mode, _ address: Address = loopback) throws -> (DatagramSocket, DatagramSocket) {
    var options = DatagramSocket.Options()
    options.offload = mode != .plain
    let sender = try DatagramSocket(bind: address, options: options)
    sender.pretendsSegmentsFail = mode == .refusing
    return (sender, try DatagramSocket(bind: address, options: options))
  }

  @Test(arguments: Mode.allCases) func runsOfManySizesComeBackAsTheDatagramsTheyWere(mode: Mode) throws {
    let (sender, receiver) = try Self.sockets(mode)
    for segment in [1, 2, 3, 100, 508, 1199, 1200, 1201, 1472, 8192, 30_000, 32_753, 32_754, 60_000, 65_507] {
      for length in [
        1, segment - 1, segment, segment + 1, segment * 5 / 2, segment * 64, segment * 65 + 1, segment * 130,
      ]
      where length > 0 && length <= 300_000 {
        let bytes = Self.pattern(length, segment)
        bytes.withUnsafeBytes { raw in
          guard let base = raw.baseAddress else { return }
          Self.sendAll(
            [OutgoingDatagram(to: receiver.localAddress, base, length: length, segmentSize: segment)], on: sender)
        }
        let count = (length + segment - 1) / segment
        let got = Self.receive(count, on: receiver)
        #expect(got.count == count, "segment \(segment), length \(length)")
        #expect(got.dropLast().allSatisfy { $0.bytes.count == segment }, "segment \(segment), length \(length)")
        #expect(got.flatMap(\.bytes) == bytes, "segment \(segment), length \(length)")
        #expect(got.allSatisfy { $0.from == sender.localAddress })
      }
    }
    #expect(sender.counters.undeliverable == 0 && sender.counters.tooLarge == 0)
    #expect(sender.counters.datagramsOut == receiver.counters.datagramsIn)
    #expect(sender.counters.bytesOut == receiver.counters.bytesIn)
    if mode != .offload { #expect(!sender.sendsSegments) }
  }

  @Test func entriesThatLieNextToEachOtherLeaveInOneCall() throws {
    let (sender, receiver) = try Self.sockets(.offload)
    let (_, other) = try Self.sockets(.offload)
    let bytes = Self.pattern(100 * 40 + 30 + 100 + 77)
    try bytes.withUnsafeBytes { raw in
      let base = try #require(raw.baseAddress)
      var entries = (0..<40).map { OutgoingDatagram(to: receiver.localAddress, base + $0 * 100, length: 100) }
      // A shorter one may end a run; what follows is a run of its own, and so is what goes elsewhere or isn't a run.
      entries.append(OutgoingDatagram(to: receiver.localAddress, base + 4000, length: 30))
      entries.append(OutgoingDatagram(to: receiver.localAddress, base + 4030, length: 100))
      entries.append(OutgoingDatagram(to: receiver.localAddress, base + 4130, length: 77, segmentSize: 10))
      entries.append(OutgoingDatagram(to: other.localAddress, base, length: 100))
      entries.append(OutgoingDatagram(to: receiver.localAddress, base, length: 0))
      Self.sendAll(entries, on: sender)
    }
    let sizes = Array(repeating: 100, count: 40) + [30, 100] + Array(repeating: 10, count: 7) + [7, 0]
    let got = Self.receive(sizes.count, on: receiver)
    #expect(got.map(\.bytes.count) == sizes)
    #expect(got.flatMap(\.bytes) == bytes)
    #expect(Self.receive(1, on: other).map(\.bytes) == [Array(bytes[..<100])])
    #expect(sender.counters.sendCalls == 1)
    if sender.sendsSegments, receiver.receivesSegments { #expect(receiver.counters.receiveCalls <= 2) }
  }

  @Test func tenThousandDatagramsAreEchoed() throws {
    let (client, server) = try Self.sockets(.offload)
    var next = 0
    var echoed: [Bool] = Array(repeating: false, count: 10_000)
    while next < 10_000 {
      // Windows small enough for the kernel's buffer, so that none is lost.
      let window = Array(next..<min(next + 100, 10_000))
      next += window.count
      for number in window {
        let bytes = withUnsafeBytes(of: UInt64(number).bigEndian) { Array($0) } + Self.pattern(number % 500)
        let isSent = bytes.withUnsafeBytes { client.send($0, to: server.localAddress) }
        #expect(isSent)
      }
      for (bytes, sender) in Self.receive(window.count, on: server) {
        #expect(bytes.withUnsafeBytes { server.send($0, to: sender) })
      }
      for (bytes, _) in Self.receive(window.count, on: client) {
        let number = bytes[..<8].reduce(0) { $0 << 8 | Int($1) }
        #expect(bytes.count == 8 + number % 500 && !echoed[number])
        echoed[number] = true
      }
    }
    #expect(echoed.allSatisfy { $0 })
  }

  @Test func speaksIPv6AndBothAtOnce() throws {
    let six = try #require(Address("[::1]:0"))
    guard let first = try? DatagramSocket(bind: six) else { return }  // This machine has no IPv6.
    let both = try DatagramSocket(bind: try #require(Address("[::]:0")))
    let four = try DatagramSocket(bind: Self.loopback)
    let atBoth = Address(high: 0, low: 1, port: both.localAddress.port)
    #expect([1, 2, 3].withUnsafeBytes { first.send($0, to: atBoth) })
    #expect(Self.receive(1, on: both).first?.from == first.localAddress)
    #expect([4].withUnsafeBytes { four.send($0, to: Self.loopback.with(port: both.localAddress.port)) })
    // IPv4 has one value, whichever socket heard it.
    #expect(Self.receive(1, on: both).first?.from == four.localAddress)
    #expect([5].withUnsafeBytes { both.send($0, to: four.localAddress) })
    #expect(Self.receive(1, on: four).count == 1)
    // What a family can't reach is counted, and what comes after it in the batch still leaves.
    [UInt8](repeating: 7, count: 10).withUnsafeBytes { raw in
      guard let base = raw.baseAddress else { return }
      let to = [first.localAddress, four.localAddress, first.localAddress, four.localAddress]
      Self.sendAll(to.map { OutgoingDatagram(to: $0, base, length: 10) }, on: four)
    }
    #expect(four.counters.undeliverable == 2)
    #expect(Self.receive(2, on: four).count == 2)
  }

  @Test(arguments: Mode.allCases) func aFullKernelIsWaitedFor(mode: Mode) throws {
    let (sender, receiver) = try Self.sockets(mode)
    let bytes = Self.pattern(60_500)
    var got: [[UInt8]] = []
    var calls = 0
    try bytes.withUnsafeBytes { raw in
      let base = try #require(raw.baseAddress)
      let entry = OutgoingDatagram(to: receiver.localAddress, base, length: 60_500, segmentSize: 1000)
      let entries = Array(repeating: entry, count: 20)
      var progress = SendProgress()
      entries.withUnsafeBufferPointer { entries in
        while progress.entry < entries.count, calls < 10_000 {
          // Room for none at all, then for one, two, three messages.
          sender.pretendedRoom = calls % 4
          let before = progress
          progress = sender.send(entries, from: progress)
          calls += 1
          #expect(progress.offset % 1000 == 0)
          #expect((progress == before) == (sender.pretendedRoom == 0 && calls % 4 == 1))
          while receiver.receive({ bytes, _ in got.append(bytes.withUnsafeBytes { Array($0) }) }) > 0 {}
        }
      }
    }
    // Nothing was passed over and nothing came twice.
    #expect(got.count == 20 * 61)
    #expect(got.flatMap { $0 } == (0..<20).flatMap { _ in bytes })
    #expect(sender.counters.blocked >= calls - 1)
  }

  @Test(arguments: Mode.allCases) func tooLargeIsToldByAddress(mode: Mode) throws {
    let (sender, receiver) = try Self.sockets(mode)
    let bytes = Self.pattern(70_000)
    var told: [(Address, Int)] = []
    try bytes.withUnsafeBytes { raw in
      let base = try #require(raw.baseAddress)
      Self.sendAll(
        [
          OutgoingDatagram(to: receiver.localAddress, base, length: 10),
          OutgoingDatagram(to: receiver.localAddress, base, length: 65_508),
          OutgoingDatagram(to: receiver.localAddress, base + 100, length: 20),
        ], on: sender, tooLarge: { told.append(($0, $1)) })
    }
    #expect(told.map(\.0) == [receiver.localAddress] && told.map(\.1) == [65_508])
    #expect(Self.receive(2, on: receiver).map(\.bytes.count) == [10, 20])
    #expect(sender.counters.tooLarge == 1)
    if mode == .offload { #expect(sender.sendsSegments) }
  }

  @Test func nobodyThereIsNoError() throws {
    let sender = try DatagramSocket(bind: Self.loopback)
    let gone = try DatagramSocket(bind: Self.loopback).localAddress
    for _ in 0..<10 { #expect([1].withUnsafeBytes { sender.send($0, to: gone) }) }
    #expect(sender.receive { _, _ in } == 0)
  }

  @Test func whatCannotBeBoundSaysWhy() throws {
    let first = try DatagramSocket(bind: Self.loopback)
    let taken = first.localAddress
    #expect(
      throws: SocketError(.inUse, "\(taken) is in use by another program; stop that one, or choose another port")
    ) { try DatagramSocket(bind: taken) }
    // TEST-NET-1 is no machine's address.
    #expect(throws: SocketError(.notHere, "192.0.2.1 is not an address of this machine")) {
      try DatagramSocket(bind: Address(ipv4: 0xc000_0201, port: 0))
    }
    #expect(SocketError.binding(Self.loopback.with(port: 80), EACCES).message.contains("1024"))
  }

  @Test func anIdleSocketTouchesNoBuffers() throws {
    let socket = try DatagramSocket(bind: Self.loopback)
    #expect(socket.receive { _, _ in } == 0)
    // A large page that begins before them may be another's.
    #expect(Self.residentPages(socket) <= 512)
    let sender = try DatagramSocket(bind: Self.loopback)
    #expect([1, 2, 3].withUnsafeBytes { sender.send($0, to: socket.localAddress) })
    #expect(Self.receive(1, on: socket).count == 1)
    #expect(Self.residentPages(socket) > 0)
  }

  /// How many pages of what datagrams arrive in cost memory.
  private static func residentPages(_ socket: DatagramSocket) -> Int {
    guard let arena = socket.arena else { return 0 }
    let size = DatagramSocket.batch * DatagramSocket.bufferSize
    var pages = [UInt8](repeating: 0, count: size / sysconf(Int32(_SC_PAGESIZE)))
    guard mincore(arena, size, &pages) == 0 else { return 0 }
    return pages.count { $0 & 1 == 1 }
  }
}
