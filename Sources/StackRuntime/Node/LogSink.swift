// LogSink: where a node's log lines go: text for people, or one JSON object a line for machines.
import Glibc
import StackCore

/// Writes log lines to standard error, or to where it is told.
///
/// What a line holds may come from a stranger, so control characters and marks that turn the direction of text are
/// written as escapes: a line stays one line, and a terminal obeys nobody but its owner. It belongs to one thread.
public final class LogSink {
  /// How a line looks.
  public enum Format: String, Sendable, CaseIterable { case text, json }

  /// The least important level that is written.
  public var level: LogLevel
  private let format: Format
  private let isColoured: Bool
  private let write: ([UInt8]) -> Void
  private let output: LogOutput?

  /// How many lines were dropped because nobody read them in time.
  public var dropped: UInt64 { output?.dropped ?? 0 }

  /// A sink. Without `colour`, text is coloured when standard error is a terminal that wants it; without `write`, lines
  /// go to `output`, or else to standard error. They never wait for whoever reads them.
  public init(
    format: Format = .text, level: LogLevel = .info, colour: Bool? = nil, output: LogOutput? = nil,
    write: (([UInt8]) -> Void)? = nil
  ) {
    self.format = format
    self.level = level
    isColoured = format == .text && (colour ?? (write == nil && output == nil && Self.terminalWantsColour))
    let output = output ?? (write == nil ? LogOutput() : nil)
    self.output = output
    self.write = write ?? { output?.write($0) }
    output?.notice = { [format] count in
      let record = LogRecord(
        level: .warning, layer: "log", time: Self.wallClock,
        message: "\(count) log lines were dropped, for nobody read them in time")
      return (format == .json ? Self.json(record) : Self.text(record, coloured: false)) + [UInt8(ascii: "\n")]
    }
  }

  private static var wallClock: Instant {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  /// Has lines that wait for a reader written by a loop, as soon as the reader takes them.
  func attach(_ loop: EventLoop) { output?.attach(loop) }

  /// Ends what `attach` began, and gives the reader a last moment.
  func end(within time: Duration) {
    output?.detach()
    output?.flush(within: time)
  }

  /// Writes a line, if its level is wanted.
  public func log(_ level: LogLevel, _ layer: String, at time: Instant, _ message: @autoclosure () -> String) {
    if level >= self.level { log(LogRecord(level: level, layer: layer, time: time, message: message())) }
  }

  /// Writes a line, if its level is wanted.
  public func log(_ record: LogRecord) {
    guard record.level >= level else { return }
    var line = format == .text ? Self.text(record, coloured: isColoured) : Self.json(record)
    line.append(UInt8(ascii: "\n"))
    write(line)
  }

  // MARK: Lines

  private static func text(_ record: LogRecord, coloured: Bool) -> [UInt8] {
    let level = record.level.rawValue
    let levelField = level + String(repeating: " ", count: max(0, 7 - level.utf8.count))
    let layerField = record.layer + String(repeating: " ", count: max(0, 9 - record.layer.utf8.count))
    let time = timeText(record.time)
    let message = escaped(record.message)
    if !coloured { return Array("\(time) \(levelField) \(escaped(layerField)) \(message)".utf8) }
    let colour = colour(record.level)
    return Array("\u{1b}[2m\(time)\u{1b}[0m \(colour)\(levelField)\u{1b}[0m \(escaped(layerField)) \(message)".utf8)
  }

  private static func colour(_ level: LogLevel) -> String {
    switch level {
    case .debug: "\u{1b}[2m"
    case .info: "\u{1b}[32m"
    case .notice: "\u{1b}[36m"
    case .warning: "\u{1b}[33m"
    case .error: "\u{1b}[31m"
    }
  }

  private static func json(_ record: LogRecord) -> [UInt8] {
    let line: JSON = [
      "time": .string(timeText(record.time)), "level": .string(record.level.rawValue), "layer": .string(record.layer),
      "message": .string(escaped(record.message)),
    ]
    var bytes: [UInt8] = []
    line.write(into: &bytes)
    return bytes
  }

  /// The text with escapes for whatever isn't plainly shown.
  static func escaped(_ text: String) -> String {
    if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      if isShown(scalar) {
        result.unicodeScalars.append(scalar)
      } else if scalar == "\n" {
        result += "\\n"
      } else {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      }
    }
    return result
  }

  private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
    default: true
    }
  }

  // MARK: Out

  private static var terminalWantsColour: Bool {
    guard isatty(STDERR_FILENO) == 1, getenv("NO_COLOR") == nil else { return false }
    return getenv("TERM").map { String(cString: $0) != "dumb" } ?? false
  }
}

/// An instant as people and programs write it: `2026-01-31T12:00:00.000Z`.
func timeText(_ time: Instant) -> String {
  let millisecond = 1_000_000 as Int64
  let total = time.nanoseconds.quotientRoundedDown(by: millisecond)
  var seconds = time_t(total.quotientRoundedDown(by: 1000))
  var parts = tm()
  gmtime_r(&seconds, &parts)
  func padded(_ number: some BinaryInteger, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
  }
  let day = "\(padded(parts.tm_year + 1900, 4))-\(padded(parts.tm_mon + 1, 2))-\(padded(parts.tm_mday, 2))"
  let clock = "\(padded(parts.tm_hour, 2)):\(padded(parts.tm_min, 2)):\(padded(parts.tm_sec, 2))"
  return "\(day)T\(clock).\(padded(total - Int64(seconds) * 1000, 3))Z"
}

extension Int64 {
  /// The quotient, rounded down, so that time before 1970 counts on as it should.
  fileprivate func quotientRoundedDown(by divisor: Int64) -> Int64 {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }
}
