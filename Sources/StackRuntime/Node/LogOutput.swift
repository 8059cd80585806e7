// LogOutput: writes log lines to a descriptor without ever waiting for whoever reads them.
import Glibc
import StackCore

/// A descriptor that lines are written to. What its reader doesn't take waits, up to a limit; beyond that lines are
/// dropped whole, counted, and their number is told once there is room again. It belongs to one thread.
public final class LogOutput {
  /// How many bytes may wait for the reader.
  public let limit: Int
  /// How many lines were dropped so far.
  public private(set) var dropped: UInt64 = 0
  /// Makes the line that tells how many were dropped.
  var notice: (UInt64) -> [UInt8] = { Array("\($0) log lines were dropped, for nobody read them in time\n".utf8) }

  /// How the descriptor is kept from making us wait.
  private enum Way { case asItIs, socket, asking }

  private let fd: Int32
  private let isOwn: Bool
  private let way: Way
  private var waiting: [UInt8] = []
  private var untold: UInt64 = 0
  private var writable: EventSource?

  /// What goes to a descriptor, which stays its owner's.
  public init(_ descriptor: Int32 = STDERR_FILENO, limit: Int = 256 << 10) {
    self.limit = limit
    // The descriptor may be shared with other programs, which must not find it changed, so it is opened once more.
    let again = Self.canWait(descriptor) ? Self.reopened(descriptor) : -1
    isOwn = again >= 0
    fd = isOwn ? again : descriptor
    way = isOwn || !Self.canWait(descriptor) ? .asItIs : Self.isSocket(descriptor) ? .socket : .asking
  }

  deinit { if isOwn { close(fd) } }

  private static func kind(_ descriptor: Int32) -> mode_t {
    var facts = stat()
    return fstat(descriptor, &facts) == 0 ? facts.st_mode & S_IFMT : 0
  }

  /// A regular file has no reader that could be slow.
  private static func canWait(_ descriptor: Int32) -> Bool { kind(descriptor) != S_IFREG }
  private static func isSocket(_ descriptor: Int32) -> Bool { kind(descriptor) == S_IFSOCK }

  private static func reopened(_ descriptor: Int32) -> Int32 {
    open("/proc/self/fd/\(descriptor)", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
  }

  /// Has what waits written as soon as there is room for it, by a loop.
  func attach(_ loop: EventLoop) {
    writable = loop.onWritable(fd) { [weak self] in self?.flush() }
    if !waiting.isEmpty { writable?.enable() }
  }

  /// Ends what `attach` began.
  func detach() {
    writable?.cancel()
    writable = nil
  }

  /// Writes a line, or keeps it until there is room, or drops it.
  func write(_ line: [UInt8]) {
    flush()
    guard waiting.isEmpty || waiting.count + line.count <= limit else {
      dropped &+= 1
      untold += 1
      return
    }
    waiting += line
    flush()
  }

  /// Writes as much of what waits as there is room for.
  func flush() {
    var done = 0
    while done < waiting.count {
      let count = send(waiting[done...])
      if count == 0 { break }
      // Nobody is there any more, and nobody will be.
      if count < 0 { done = waiting.count } else { done += count }
    }
    waiting.removeFirst(done)
    if waiting.isEmpty, untold > 0 {
      waiting = notice(untold)
      untold = 0
      return flush()
    }
    if !waiting.isEmpty { writable?.enable() }
  }

  /// Waits for the reader, but not for long: for the end of a process.
  func flush(within time: Duration) {
    flush()
    var left = Int32(clamping: time.nanoseconds / 1_000_000)
    while !waiting.isEmpty, left > 0 {
      var entry = pollfd(fd: fd, events: Int16(POLLOUT), revents: 0)
      poll(&entry, 1, min(left, 20))
      left -= 20
      flush()
    }
  }

  /// How many bytes went; 0 when there is no room now, less than 0 when there never will be.
  private func send(_ bytes: ArraySlice<UInt8>) -> Int {
    bytes.withUnsafeBytes { bytes in
      while true {
        let count =
          switch way {
          case .asItIs: Glibc.write(fd, bytes.baseAddress, bytes.count)
          case .socket:
            Glibc.send(fd, bytes.baseAddress, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
          case .asking: askedWrite(bytes)
          }
        if count > 0 { return count }
        if count < 0, errno == EINTR { continue }
        return count < 0 && errno != EAGAIN && errno != EWOULDBLOCK ? -1 : 0
      }
    }
  }

  /// A pipe that is ready takes so much without waiting.
  private func askedWrite(_ bytes: UnsafeRawBufferPointer) -> Int {
    var entry = pollfd(fd: fd, events: Int16(POLLOUT), revents: 0)
    guard poll(&entry, 1, 0) > 0 else { return 0 }
    return Glibc.write(fd, bytes.baseAddress, min(bytes.count, 4096))
  }
}
