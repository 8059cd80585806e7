// Console: where the command's words go: standard output and standard error, as wide and as colourful as they allow.
import Glibc

/// A process's output as the commands see it; tests put in one that keeps what was said.
final class Console {
  /// Where words go.
  enum Stream: Int32 { case output = 1, error = 2 }

  /// What the program is called, as errors begin.
  let program: String
  /// How many columns a line may have.
  let width: Int
  /// Whether a person sees the output as it comes.
  let isTerminal: Bool
  /// Whether a person sees what goes to standard error.
  let errorIsTerminal: Bool
  /// Whether the output may have colours.
  let hasColours: Bool
  /// The environment's variables.
  let environment: (String) -> String?
  /// By which times are shown.
  let clock: WallClock
  /// Whether a person can be asked something.
  let inputIsTerminal: Bool
  /// A line that the person types, without its end; nil when there is none.
  let readLine: () -> String?
  /// Why the last words on standard output were lost, as an `errno`, if they were.
  private(set) var outputFailure: Int32?
  private let sink: (Stream, String) -> Int32?

  init(
    program: String, width: Int = 100, isTerminal: Bool = false, errorIsTerminal: Bool = false,
    hasColours: Bool = false, environment: @escaping (String) -> String? = { _ in nil },
    clock: WallClock = .system, inputIsTerminal: Bool = false, readLine: @escaping () -> String? = { nil },
    sink: @escaping (Stream, String) -> Int32?
  ) {
    self.program = program
    self.width = width
    self.isTerminal = isTerminal
    self.errorIsTerminal = errorIsTerminal
    self.hasColours = hasColours
    self.environment = environment
    self.clock = clock
    self.inputIsTerminal = inputIsTerminal
    self.readLine = readLine
    self.sink = sink
  }

  /// The process's own.
  static func process(program: String) -> Console {
    let isTerminal = isatty(1) == 1
    let variable = { (name: String) -> String? in getenv(name).map { String(cString: $0) } }
    let refusesColours = !(variable("NO_COLOR") ?? "").isEmpty || variable("TERM") == "dumb"
    return Console(
      program: program, width: columns(variable), isTerminal: isTerminal, errorIsTerminal: isatty(2) == 1,
      hasColours: isTerminal && !refusesColours, environment: variable, inputIsTerminal: isatty(0) == 1,
      readLine: { Swift.readLine() }, sink: writeAll)
  }

  /// The terminal's width, else what the environment says, else 100.
  private static func columns(_ variable: (String) -> String?) -> Int {
    var size = winsize()
    if ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return max(40, Int(size.ws_col)) }
    return variable("COLUMNS").flatMap { Int($0) }.map { min(max(40, $0), 1000) } ?? 100
  }

  /// Writes all of a text; an `errno` when that can't be done.
  private static func writeAll(_ stream: Stream, _ text: String) -> Int32? {
    var text = text
    return text.withUTF8 { bytes in
      var rest = UnsafeRawBufferPointer(bytes)[...]
      while !rest.isEmpty {
        let count =
          UnsafeRawBufferPointer(rebasing: rest).baseAddress.map { Glibc.write(stream.rawValue, $0, rest.count) } ?? 0
        if count > 0 {
          rest = rest.dropFirst(count)
        } else if count == 0 || errno != EINTR {
          return count == 0 ? EIO : errno
        }
      }
      return nil
    }
  }

  /// Prints a line.
  func print(_ line: String = "") { write(line + "\n") }

  /// Prints text as it is.
  func write(_ text: String, to stream: Stream = .output) {
    let failure = sink(stream, text)
    if stream == .output { outputFailure = failure ?? outputFailure }
  }

  /// Says what went wrong, after the program's name.
  func complain(_ message: String) { write("\(program): \(message)\n", to: .error) }

  /// A text in a colour or weight, where that can be seen.
  func styled(_ text: String, _ style: Style) -> String {
    hasColours ? "\u{1b}[\(style.rawValue)m\(text)\u{1b}[0m" : text
  }

  /// How a text can stand out.
  enum Style: String { case bold = "1", dim = "2", red = "31", green = "32", yellow = "33", cyan = "36" }

  /// Prints a heading.
  func heading(_ text: String) { print(styled(text, .bold)) }
}
