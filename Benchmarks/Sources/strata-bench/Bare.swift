// Bare: the baselines: the same datagrams over the same socket calls in the same batches, with no stack at all.
import Glibc
import StackCore
import StackRuntime

/// A socket and its loop, nothing else.
final class BareEnd {
  let socket: DatagramSocket
  private var out: UnsafeMutableRawPointer
  private var used = 0
  private var entries: [OutgoingDatagram] = []
  private let capacity = 4 << 20
  var count: UInt64 = 0

  init(port: UInt16) throws {
    var options = DatagramSocket.Options()
    options.offload = usesSegments
    socket = try DatagramSocket(bind: Address(ipv4: 0x7f00_0001, port: port), options: options)
    out = .allocate(byteCount: capacity, alignment: 8)
  }

  /// Copies bytes to the end of the outgoing buffer.
  func queue(_ bytes: UnsafeRawBufferPointer, to address: Address, segmentSize: Int = 0) {
    guard used + bytes.count <= capacity, let start = bytes.baseAddress else { return }
    (out + used).copyMemory(from: start, byteCount: bytes.count)
    entries.append(
      OutgoingDatagram(to: address, out + used, length: bytes.count, segmentSize: segmentSize))
    used += bytes.count
  }

  func flush() {
    var progress = SendProgress()
    while progress.entry < entries.count {
      progress = entries.withUnsafeBufferPointer { socket.send($0, from: progress) }
      if progress.entry < entries.count {
        var wait = pollfd(fd: socket.fd, events: Int16(POLLOUT), revents: 0)
        poll(&wait, 1, 100)
      }
    }
    entries.removeAll(keepingCapacity: true)
    used = 0
  }

  /// Waits for something to read, at most so long.
  func wait(_ milliseconds: Int32) -> Bool {
    var wait = pollfd(fd: socket.fd, events: Int16(POLLIN), revents: 0)
    return poll(&wait, 1, milliseconds) > 0
  }

  /// Sends back all that comes, for ever.
  func echo() -> Never {
    while true {
      _ = wait(1000)
      _ = socket.receive { datagram, sender in datagram.withUnsafeBytes { queue($0, to: sender) } }
      flush()
    }
  }

  /// Keeps a window of datagrams under way until a time.
  func ask(_ server: Address, window: Int, size: Int, until end: Instant, now: () -> Instant) {
    let message = [UInt8](repeating: 7, count: size)
    func fill() { for _ in 0..<window { message.withUnsafeBytes { queue($0, to: server) } } }
    fill()
    flush()
    while now() < end {
      if !wait(100) { fill() }
      _ = socket.receive { datagram, sender in
        count += 1
        datagram.withUnsafeBytes { queue($0, to: sender) }
      }
      flush()
    }
  }

  /// Takes pieces, grants a credit for each so many messages, for ever.
  func sink(piecesPerMessage: Int) -> Never {
    var pieces: UInt64 = 0
    var credited: UInt64 = 0
    while true {
      _ = wait(1000)
      var from: Address?
      _ = socket.receive { _, sender in
        pieces += 1
        from = sender
      }
      let whole = pieces / UInt64(piecesPerMessage)
      if let from, whole >= credited + 16 {
        credited = whole
        withUnsafeBytes(of: whole) { queue($0, to: from) }
        flush()
      }
    }
  }

  /// Sends messages of so many equal pieces, a window ahead of the credit, until a time.
  func push(
    _ receiver: Address, window: UInt64, message: [UInt8], segmentSize: Int, until end: Instant, now: () -> Instant
  ) {
    var sent: UInt64 = 0
    while now() < end {
      while sent < count + window {
        sent += 1
        message.withUnsafeBytes { queue($0, to: receiver, segmentSize: segmentSize) }
      }
      flush()
      if !wait(100) { sent = count }
      _ = socket.receive { datagram, _ in
        if datagram.byteCount == 8 { count = max(count, datagram.unsafeLoadUnaligned(as: UInt64.self)) }
      }
    }
  }
}
