// DatagramSocket: one UDP socket, read and written in batches, with the kernel's segmentation where it has it.
import CDatagram
import Glibc
import StackCore

/// Bytes that leave for an address: one datagram, or several of one size.
public struct OutgoingDatagram {
  /// Where they go.
  public var address: Address
  /// Where they stand; they must stay there until they have left.
  public var bytes: UnsafeRawPointer
  /// How many bytes there are.
  public var length: Int
  /// Above 0: the bytes are datagrams of this size, the last of which may be shorter. 0: they are one datagram.
  public var segmentSize: Int
  /// Bytes for an address.
  @inlinable public init(to address: Address, _ bytes: UnsafeRawPointer, length: Int, segmentSize: Int = 0) {
    self.address = address
    self.bytes = bytes
    self.length = length
    self.segmentSize = segmentSize
  }
}

/// How far a batch has come: everything before this entry, and this many bytes of it, is done with.
public struct SendProgress: Hashable, Sendable {
  /// The first entry that is not wholly done; the batch's count when all is.
  public var entry: Int
  /// The bytes of that entry that are done; always whole datagrams.
  public var offset: Int
  /// A place within a batch; without arguments, its start.
  @inlinable public init(entry: Int = 0, offset: Int = 0) {
    self.entry = entry
    self.offset = offset
  }
}

/// A bound UDP socket that never waits. It belongs to the thread that made it.
public final class DatagramSocket {
  /// What may be asked of a socket.
  public struct Options: Sendable {
    /// Whether to use the kernel's segmentation (UDP_SEGMENT, UDP_GRO) where it has it.
    public var offload = true
    /// Bytes of kernel buffer to ask for, each way; the kernel may give less.
    public var kernelBuffer = 4 << 20
    /// The usual options.
    public init() {}
  }

  /// What the socket has met, for the metrics.
  public struct Counters: Sendable, Hashable {
    /// Datagrams and bytes that came in.
    public var datagramsIn = 0
    public var bytesIn = 0
    /// Datagrams and bytes that left.
    public var datagramsOut = 0
    public var bytesOut = 0
    /// Calls to the kernel that moved something.
    public var receiveCalls = 0
    public var sendCalls = 0
    /// Datagrams not sent because nothing answers there (an ICMP error came back).
    public var refused = 0
    /// Datagrams not sent because there is no way there, or the kernel had no room or no leave for it.
    public var undeliverable = 0
    /// Datagrams not sent because they are larger than the path takes.
    public var tooLarge = 0
    /// How often waiting for room was needed.
    public var blocked = 0
  }

  /// The largest payload of one UDP datagram over IPv4, and of one segmented send.
  public static let largestDatagram = 65_507
  /// The most datagrams in one segmented send; older kernels take no more.
  static let largestRun = 64
  static let batch = Int(CDATAGRAM_BATCH)
  static let bufferSize = 1 << 16

  /// The socket's file descriptor, for the event loop; it stays the socket's.
  public let fd: Int32
  /// Where it listens, with the port that the kernel chose if none was given.
  public let localAddress: Address
  /// What it has met so far.
  public private(set) var counters = Counters()
  /// Whether runs of datagrams leave in one piece; false once the kernel has refused to.
  public private(set) var sendsSegments: Bool
  /// Whether runs of datagrams may arrive in one piece.
  public let receivesSegments: Bool
  /// The kernel's receive buffer in bytes.
  public let receiveBufferSize: Int

  /// For tests: treats every segmented send as one that the kernel refused.
  var pretendsSegmentsFail = false
  /// For tests: how many more messages the kernel takes until it says that it has no room.
  var pretendedRoom: Int?

  private let family: Int32
  private let outgoing: UnsafeMutablePointer<cdatagram_message>
  /// Where each message of the batch starts, and where the whole of it ends.
  private let starts: UnsafeMutablePointer<SendProgress>
  private var incoming: UnsafeMutablePointer<cdatagram_message>?
  /// What datagrams arrive in, all of it.
  private(set) var arena: UnsafeMutableRawPointer?
  private var isReceiving = false

  /// Binds a socket. `[::]` speaks IPv4 too; port 0 lets the kernel choose one.
  public init(bind address: Address, options: Options = Options()) throws(SocketError) {
    family = address.family
    fd = try Self.open(address, family)
    guard let bound = Address.local(of: fd) else {
      let code = errno
      Glibc.close(fd)
      throw .binding(address, code)
    }
    localAddress = bound
    // Without these the socket still works: pieces above the path's limit may fragment, and bursts may be lost.
    _ = cdatagram_forbid_fragments(fd, family)
    receiveBufferSize = Int(cdatagram_raise_buffer(fd, SO_RCVBUF, Int32(clamping: options.kernelBuffer)))
    _ = cdatagram_raise_buffer(fd, SO_SNDBUF, Int32(clamping: options.kernelBuffer))
    receivesSegments = options.offload && cdatagram_enable_gro(fd) == 0
    sendsSegments = options.offload && cdatagram_probe_segment(fd) == 0
    outgoing = .allocate(capacity: Self.batch)
    outgoing.initialize(repeating: cdatagram_message(), count: Self.batch)
    starts = .allocate(capacity: Self.batch + 1)
    starts.initialize(repeating: SendProgress(), count: Self.batch + 1)
  }

  deinit {
    close(fd)
    outgoing.deallocate()
    starts.deallocate()
    incoming?.deallocate()
    if let arena { munmap(arena, Self.batch * Self.bufferSize) }
  }

  private static func open(_ address: Address, _ family: Int32) throws(SocketError) -> Int32 {
    let fd = socket(family, SocketKind.datagram | SocketKind.nonBlocking, 0)
    guard fd >= 0 else { throw .binding(address, errno) }
    if family == AF_INET6 {
      var only: Int32 = address.isUnspecified ? 0 : 1
      setsockopt(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &only, socklen_t(MemoryLayout<Int32>.size))
    }
    let result = address.withSockaddr(family: family) { Glibc.bind(fd, $0, $1) } ?? -1
    guard result == 0 else {
      let code = errno
      Glibc.close(fd)
      throw .binding(address, code)
    }
    return fd
  }

  // MARK: receiving

  /// Hands each waiting datagram of one batch to `body`, with its sender, and answers how many there were.
  ///
  /// Zero means that nothing waits (or that the kernel has reported an error, which is gone by that). Otherwise more
  /// may
  /// wait: the loop tells, or the caller asks again. The bytes are only lent: the next batch overwrites them. The body
  /// may send on this socket, but must not receive.
  public func receive(_ body: (_ datagram: RawSpan, _ sender: Address) -> Void) -> Int {
    precondition(!isReceiving, "DatagramSocket.receive called from its own body")
    guard let messages = buffers() else { return 0 }
    let count = Int(cdatagram_receive(fd, messages, Int32(Self.batch)))
    guard count > 0 else {
      if count < 0, -Int32(count) == ECONNREFUSED { counters.refused += 1 }
      return 0
    }
    isReceiving = true
    defer { isReceiving = false }
    counters.receiveCalls += 1
    var datagrams = 0
    for index in 0..<count {
      let message = messages[index]
      guard let bytes = message.bytes else { continue }
      let sender = Address(message.address)
      let length = Int(message.length)
      let piece = message.segment > 0 ? Int(message.segment) : max(length, 1)
      counters.bytesIn += length
      var offset = 0
      // An empty datagram is a datagram as well, so the body runs at least once.
      repeat {
        let part = UnsafeRawBufferPointer(start: bytes + offset, count: min(piece, length - offset))
        body(part.bytes, sender)
        datagrams += 1
        offset += piece
      } while offset < length
    }
    counters.datagramsIn += datagrams
    return datagrams
  }

  /// The receive buffers, mapped when the first datagram is asked for; a page costs memory once the kernel fills it.
  private func buffers() -> UnsafeMutablePointer<cdatagram_message>? {
    if let incoming { return incoming }
    let size = Self.batch * Self.bufferSize
    let mapped = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let mapped, mapped != UnsafeMutableRawPointer(bitPattern: -1) else { return nil }
    arena = mapped
    let messages = UnsafeMutablePointer<cdatagram_message>.allocate(capacity: Self.batch)
    messages.initialize(repeating: cdatagram_message(), count: Self.batch)
    let bytes = mapped.assumingMemoryBound(to: UInt8.self)
    for index in 0..<Self.batch {
      messages[index].bytes = bytes + index * Self.bufferSize
      messages[index].capacity = UInt32(Self.bufferSize)
    }
    incoming = messages
    return messages
  }

  // MARK: sending

  /// Sends a batch from `progress` on, as far as the kernel takes it without waiting, and answers how far that is.
  ///
  /// When the answer is short of the batch's end, the kernel has no room: wait until the socket is writable and go on
  /// from there. A datagram that can't be delivered is counted and passed over. One larger than the path takes is
  /// reported through `tooLarge` with its address and size, so that the limit for that path can shrink.
  public func send(
    _ entries: UnsafeBufferPointer<OutgoingDatagram>, from progress: SendProgress = SendProgress(),
    tooLarge: (_ address: Address, _ size: Int) -> Void = { _, _ in }
  ) -> SendProgress {
    var place = progress
    // After a refused segmented send, just one datagram goes alone, to tell whose fault it was.
    var single = false
    while place.entry < entries.count {
      let count = gather(entries, from: place, segments: sendsSegments && !single, limit: single ? 1 : Self.batch)
      let result = transmit(count)
      if result > 0 {
        // The datagram alone went through where the run didn't: the kernel can't segment for us after all.
        if single { sendsSegments = false }
        single = false
        place = starts[result]
        continue
      }
      let code = Int32(-result)
      if code == EAGAIN || code == EWOULDBLOCK {
        counters.blocked += 1
        return place
      }
      if outgoing[0].segment > 0, [EINVAL, EIO, EOPNOTSUPP, EMSGSIZE, ENOPROTOOPT].contains(code) {
        single = true
        continue
      }
      single = false
      passOver(code, tooLarge)
      place = starts[1]
    }
    return place
  }

  /// Sends one datagram; false if the kernel has no room for it now.
  public func send(
    _ bytes: UnsafeRawBufferPointer, to address: Address,
    tooLarge: (_ address: Address, _ size: Int) -> Void = { _, _ in }
  ) -> Bool {
    // An empty datagram needs no bytes, but a place.
    withUnsafePointer(to: family) { anywhere in
      var entry = OutgoingDatagram(
        to: address, bytes.baseAddress ?? UnsafeRawPointer(anywhere), length: bytes.count)
      return withUnsafePointer(to: &entry) {
        send(UnsafeBufferPointer(start: $0, count: 1), tooLarge: tooLarge).entry == 1
      }
    }
  }

  /// Counts what the first message of the batch has lost, and why.
  private func passOver(_ code: Int32, _ tooLarge: (Address, Int) -> Void) {
    let message = outgoing[0]
    let size = message.segment > 0 ? message.segment : message.length
    let datagrams = message.segment > 0 ? Int((message.length + size - 1) / size) : 1
    switch code {
    case EMSGSIZE:
      counters.tooLarge += datagrams
      tooLarge(Address(message.address), Int(size))
    case ECONNREFUSED: counters.refused += datagrams
    default: counters.undeliverable += datagrams
    }
  }

  /// Hands the gathered messages to the kernel; how many it took, or minus errno.
  private func transmit(_ count: Int) -> Int {
    var count = count
    if pretendsSegmentsFail, let first = (0..<count).first(where: { outgoing[$0].segment > 0 }) {
      if first == 0 { return -Int(EIO) }
      count = first
    }
    if let room = pretendedRoom {
      if room == 0 { return -Int(EAGAIN) }
      count = min(count, room)
    }
    let sent = Int(cdatagram_send(fd, family, outgoing, Int32(count)))
    if sent > 0 { pretendedRoom = pretendedRoom.map { $0 - sent } }
    guard sent > 0 else { return sent == 0 ? -Int(EAGAIN) : sent }
    counters.sendCalls += 1
    for index in 0..<sent {
      let message = outgoing[index]
      counters.bytesOut += Int(message.length)
      counters.datagramsOut += message.segment > 0 ? Int((message.length + message.segment - 1) / message.segment) : 1
    }
    return sent
  }

  /// Puts the entries from a place on into messages, as few as may be, and remembers where each starts.
  private func gather(
    _ entries: UnsafeBufferPointer<OutgoingDatagram>, from place: SendProgress, segments: Bool, limit: Int
  ) -> Int {
    var place = place
    var count = 0
    starts[0] = place
    while count < limit, place.entry < entries.count {
      let entry = entries[place.entry]
      let left = max(entry.length - place.offset, 0)
      let piece = entry.segmentSize > 0 ? entry.segmentSize : max(entry.length, 1)
      var length = min(piece, left)
      place.offset += length
      if segments, length == piece, piece <= Self.largestDatagram / 2 {
        length = extend(entries, &place, entry, piece)
      }
      if place.offset >= entries[place.entry].length { place = SendProgress(entry: place.entry + 1) }
      let bytes = UnsafeMutableRawPointer(mutating: entry.bytes) + starts[count].offset
      outgoing[count].bytes = bytes.assumingMemoryBound(to: UInt8.self)
      outgoing[count].length = UInt32(clamping: length)
      outgoing[count].segment = length > piece ? UInt32(piece) : 0
      outgoing[count].address = entry.address.forC
      count += 1
      starts[count] = place
    }
    return count
  }

  /// Lengthens a run that has one piece so far by further pieces of its entry, then by entries that go on where it
  /// stops: to the same address, next to it in memory, and equal in size. The run's whole length.
  private func extend(
    _ entries: UnsafeBufferPointer<OutgoingDatagram>, _ place: inout SendProgress, _ first: OutgoingDatagram,
    _ piece: Int
  ) -> Int {
    let most = min(Self.largestDatagram / piece, Self.largestRun) * piece
    var length = piece
    while length < most {
      let entry = entries[place.entry]
      if place.offset < entry.length {
        let more = min(piece, entry.length - place.offset)
        length += more
        place.offset += more
        // A shorter piece may only be a run's last.
        if more < piece { break }
        continue
      }
      guard place.entry + 1 < entries.count else { break }
      let next = entries[place.entry + 1]
      let isOnePiece = next.length <= piece && (next.segmentSize == 0 || next.segmentSize >= next.length)
      let isAdjacent = next.bytes == entry.bytes + entry.length
      guard isAdjacent, next.address == first.address, next.length > 0, next.segmentSize == piece || isOnePiece
      else { break }
      place = SendProgress(entry: place.entry + 1)
    }
    return length
  }
}
