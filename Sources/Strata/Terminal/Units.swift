// Units: sizes, rates, durations and times as people read them.
import Glibc
import StackCore

/// Numbers in words that fit a cell of a table.
enum Units {
  /// A size: `512 B`, `1.5 KiB`, `27 MiB`.
  static func bytes(_ count: Double) -> String {
    let names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    var amount = count
    var place = 0
    while amount.magnitude >= 1023.5, place < names.count - 1 {
      amount /= 1024
      place += 1
    }
    return "\(decimal(amount, place == 0 ? 0 : 1)) \(names[place])"
  }

  /// Bytes a second.
  static func rate(_ bytesPerSecond: Double) -> String { bytes(bytesPerSecond) + "/s" }

  /// A number of things: `7`, `12345`, `1.2 M`.
  static func count(_ number: Double) -> String {
    switch number.magnitude {
    case 1e9...: "\(decimal(number / 1e9, 1)) G"
    case 1e6...: "\(decimal(number / 1e6, 1)) M"
    default: decimal(number, number.magnitude < 10 ? 1 : 0)
    }
  }

  /// A length of time: `250 µs`, `12 ms`, `3.5 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
  static func seconds(_ seconds: Double) -> String {
    guard seconds.isFinite else { return "–" }
    let size = seconds.magnitude
    let sign = seconds < 0 ? "-" : ""
    if size == 0 { return "0 s" }
    if size < 0.0009995 { return sign + decimal(size * 1e6, 0) + " µs" }
    if size < 0.9995 { return sign + decimal(size * 1e3, 1) + " ms" }
    if size < 59.95 { return sign + decimal(size, 1) + " s" }
    let whole = Int64(min(size.rounded(), 1e15))
    func pair(_ large: Int64, _ largeName: String, _ small: Int64, _ smallName: String) -> String {
      sign + "\(large) \(largeName)" + (small == 0 ? "" : " \(small) \(smallName)")
    }
    if whole < 3600 { return pair(whole / 60, "min", whole % 60, "s") }
    if whole < 86_400 { return pair(whole / 3600, "h", whole % 3600 / 60, "min") }
    return pair(whole / 86_400, "d", whole % 86_400 / 3600, "h")
  }

  /// A number with at most so many decimals; none from ten on, and none that are zero.
  static func decimal(_ number: Double, _ places: Int) -> String {
    guard number.isFinite else { return "–" }
    let kept = number.magnitude >= 9.95 ? 0 : places
    let scale = kept == 0 ? 1.0 : kept == 1 ? 10.0 : 100.0
    let scaled = (number * scale).rounded()
    guard scaled.magnitude < 9e18 else { return "\(number)" }
    let whole = Int64(scaled)
    let rest = (whole % Int64(scale)).magnitude
    let sign = whole < 0 && whole / Int64(scale) == 0 ? "-" : ""
    if rest == 0 { return "\(sign)\(whole / Int64(scale))" }
    var digits = String(Int64(scale) + Int64(rest)).dropFirst()
    while digits.last == "0" { digits.removeLast() }
    return "\(sign)\(whole / Int64(scale)).\(digits)"
  }
}

/// The clock on a person's wall, by which instants are shown.
struct WallClock: Sendable {
  /// Nanoseconds since 1970, now.
  var now: @Sendable () -> Int64
  /// A moment in seconds since 1970, as the hands and the calendar show it here.
  var local: @Sendable (Int64) -> tm

  /// The system's clock and time zone.
  static let system = WallClock(
    now: {
      var time = timespec()
      clock_gettime(CLOCK_REALTIME, &time)
      return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    },
    local: { seconds in
      var time = time_t(seconds)
      var parts = tm()
      localtime_r(&time, &parts)
      return parts
    })

  /// A time of day, `12:03:41`, with its day before it when that isn't today.
  func time(_ nanoseconds: Int64) -> String {
    let parts = local(Self.wholeSeconds(nanoseconds))
    let today = local(Self.wholeSeconds(now()))
    let clock = "\(Self.two(parts.tm_hour)):\(Self.two(parts.tm_min)):\(Self.two(parts.tm_sec))"
    if parts.tm_year == today.tm_year, parts.tm_yday == today.tm_yday { return clock }
    return "\(parts.tm_year + 1900)-\(Self.two(parts.tm_mon + 1))-\(Self.two(parts.tm_mday)) \(clock)"
  }

  /// How long ago something was: `3 s ago`.
  func ago(_ nanoseconds: Int64) -> String {
    let passed = Double(now() - nanoseconds) / 1e9
    // Clocks are read at slightly different moments.
    if passed < 1, passed > -5 { return "just now" }
    return passed < 0 ? "in \(Units.seconds((-passed).rounded()))" : "\(Units.seconds(passed.rounded())) ago"
  }

  private static func wholeSeconds(_ nanoseconds: Int64) -> Int64 {
    nanoseconds >= 0 ? nanoseconds / 1_000_000_000 : -((-nanoseconds + 999_999_999) / 1_000_000_000)
  }

  private static func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }

  /// The nanoseconds since 1970 of a text such as `2026-01-31T12:00:00.000Z`; nil for any other.
  static func instant(_ text: String) -> Int64? {
    let bytes = Array(text.utf8)
    guard (20...30).contains(bytes.count), bytes.last == UInt8(ascii: "Z") else { return nil }
    let marks: [(place: Int, mark: Character)] = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")]
    guard marks.allSatisfy({ bytes[$0.place] == $0.mark.asciiValue }) else { return nil }
    func number(_ range: Range<Int>) -> Int64? {
      let digits = bytes[range]
      guard !digits.isEmpty, digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
      return digits.reduce(0) { $0 * 10 + Int64($1 - 48) }
    }
    guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
      let minute = number(14..<16), let second = number(17..<19), (1...12).contains(month), (1...31).contains(day)
    else { return nil }
    var fraction: Int64 = 0
    if bytes.count > 20 {
      guard bytes[19] == UInt8(ascii: "."), let digits = number(20..<(bytes.count - 1)) else { return nil }
      fraction = digits
      for _ in (bytes.count - 21)..<9 { fraction *= 10 }
    }
    // Days since 1970 of a day of the Gregorian calendar, counted from March so that a leap day comes last.
    let shifted = month > 2 ? year : year - 1
    let ofEra = shifted % 400
    let ofYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let days = shifted / 400 * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000 + fraction
  }
}
