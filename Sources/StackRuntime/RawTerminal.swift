// RawTerminal: a terminal that a program draws on by itself, and that is as it was when the program ends, however it ends.
import Glibc
import StackCore

/// What the terminal was like, for the handler of a crash.
// Written before the handlers are installed and read by them only: by then nobody else touches it.
nonisolated(unsafe) private var terminalBefore = termios()

/// Where the handler of a signal tells its number.
// Written before the handlers are installed and after they are taken back; a handler only reads it.
nonisolated(unsafe) private var signalPipe: Int32 = -1

/// What puts the terminal's screen back: lines that wrap, a cursor, the screen from before, no colours.
private let screenBack: StaticString = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l\u{1b}[0m"

/// The terminal of this process, drawn on by rows. One at a time; it belongs to the thread that made it.
///
/// Keys come one by one and aren't shown. Signals that end or stop a process come as input, so that the terminal is put
/// back first; after a crash it is put back by the signal's handler.
public final class RawTerminal {
  /// What happened.
  public enum Input: Hashable, Sendable {
    /// A key, as the bytes that it sends: `q`, or `ESC [ C`.
    case key(String)
    /// The window has another size, or was away: all must be drawn again.
    case redraw
    /// The process is to end, by this signal.
    case end(Int32)
    /// The terminal is gone.
    case gone
    /// Nothing did.
    case timeout
  }

  private static let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP]
  private static let crashes = [SIGSEGV, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE]

  private let input: Int32
  private let output: Int32
  private let signalSource: Descriptor
  private let signalSink: Descriptor
  private let before: termios
  private var isOpen = true
  /// The rows as the terminal shows them.
  private var shown: [String] = []
  /// Whether the last write failed.
  private var isGone = false

  /// Takes the terminal; nil where there is none.
  public init?(input: Int32 = STDIN_FILENO, output: Int32 = STDOUT_FILENO) {
    var before = termios()
    guard isatty(output) == 1, tcgetattr(input, &before) == 0 else { return nil }
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return nil }
    for end in ends {
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
    }
    (self.input, self.output, self.before) = (input, output, before)
    (signalSource, signalSink) = (Descriptor(ends[0]), Descriptor(ends[1]))
    signal(SIGPIPE, SIG_IGN)
    (terminalBefore, signalPipe) = (before, ends[1])
    // Whoever started the process may have blocked them.
    var wanted = sigset_t()
    sigemptyset(&wanted)
    for number in Self.signals { sigaddset(&wanted, number) }
    pthread_sigmask(SIG_UNBLOCK, &wanted, nil)
    for number in Self.signals {
      signal(number) { number in
        var byte = UInt8(truncatingIfNeeded: number)
        _ = Glibc.write(signalPipe, &byte, 1)
      }
    }
    for number in Self.crashes {
      signal(number) { number in
        tcsetattr(STDIN_FILENO, TCSANOW, &terminalBefore)
        _ = Glibc.write(STDOUT_FILENO, screenBack.utf8Start, screenBack.utf8CodeUnitCount)
        signal(number, SIG_DFL)
        raise(number)
      }
    }
    take()
  }

  deinit { close() }

  /// How many columns and rows there are.
  public var size: (columns: Int, rows: Int) {
    var size = winsize()
    guard ioctl(output, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
    return (Int(size.ws_col), Int(size.ws_row))
  }

  private func take() {
    var raw = before
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO)
    // Ctrl-S would stop the drawing for good, as far as a person can tell.
    raw.c_iflag &= ~tcflag_t(IXON)
    tcsetattr(input, TCSANOW, &raw)
    send("\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l\u{1b}[2J")
    shown = []
  }

  private func giveBack() {
    send("\(screenBack)")
    var old = before
    tcsetattr(input, TCSANOW, &old)
  }

  /// Puts the terminal back as it was. Nothing may be drawn after it.
  public func close() {
    guard isOpen else { return }
    isOpen = false
    giveBack()
    for number in Self.crashes + Self.signals { signal(number, SIG_DFL) }
    signalPipe = -1
  }

  // MARK: Drawing

  /// Shows these rows, from the top; only those that have changed are sent. A row may hold colours, and ends without
  /// them.
  public func draw(_ rows: [String]) {
    var text = ""
    for (place, row) in rows.enumerated() where place >= shown.count || shown[place] != row {
      // Cleared before it is written: after a full row the cursor still stands on its last letter.
      text += "\u{1b}[\(place + 1);1H\u{1b}[2K\(row)"
    }
    if rows.count < shown.count { text += "\u{1b}[\(rows.count + 1);1H\u{1b}[J" }
    shown = rows
    if !text.isEmpty { send(text) }
  }

  private func send(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty, !isGone {
      let count = rest.withUnsafeBytes { Glibc.write(output, $0.baseAddress, $0.count) }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        var entry = pollfd(fd: output, events: Int16(POLLOUT), revents: 0)
        poll(&entry, 1, 1000)
      } else if errno != EINTR {
        isGone = true
      }
    }
  }

  // MARK: Input

  /// Waits for something to happen, no longer than a time.
  public func wait(_ time: Duration) -> Input {
    if isGone { return .gone }
    var entries = [
      pollfd(fd: signalSource.number, events: Int16(POLLIN), revents: 0),
      pollfd(fd: input, events: Int16(POLLIN), revents: 0),
    ]
    let left = Int32(clamping: max(0, time.nanoseconds / 1_000_000))
    // A signal ends the wait, and has told its number by then.
    if poll(&entries, 2, left) < 0 { return takeSignal().map(act) ?? .timeout }
    if entries[0].revents != 0, let number = takeSignal() { return act(number) }
    guard entries[1].revents != 0 else { return .timeout }
    var bytes = [UInt8](repeating: 0, count: 16)
    let count = read(input, &bytes, bytes.count)
    if count <= 0 { return count < 0 && errno == EINTR ? .timeout : .gone }
    return .key(String(decoding: bytes.prefix(count), as: UTF8.self))
  }

  private func takeSignal() -> Int32? {
    var byte: UInt8 = 0
    return read(signalSource.number, &byte, 1) == 1 ? Int32(byte) : nil
  }

  private func act(_ number: Int32) -> Input {
    switch number {
    case SIGWINCH:
      send("\u{1b}[2J")
      shown = []
      return .redraw
    case SIGTSTP:
      giveBack()
      // The process stands still here until it is told to go on.
      kill(getpid(), SIGSTOP)
      take()
      return .redraw
    default: return .end(number)
    }
  }
}
