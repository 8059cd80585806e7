// HumaneTests: sizes, times and progress as people read them.
import Glibc
import StackCore
import Testing

@testable import Strata

/// A wall clock that stands still at noon UTC of 2026-01-31.
let noon = WallClock(
  now: { 1_769_860_800_000_000_000 },
  local: { seconds in
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    return parts
  })

@Suite struct HumaneTests {
  @Test(
    "Sizes", arguments: [(0, "0 B"), (512, "512 B"), (1536, "1.5 KiB"), (1_048_576, "1 MiB"), (28_521_267, "27 MiB")])
  func bytes(_ count: Double, _ text: String) { #expect(Units.bytes(count) == text) }

  @Test(
    "Lengths of time",
    arguments: [
      (0, "0 s"), (0.00025, "250 µs"), (0.0015, "1.5 ms"), (0.25, "250 ms"), (3.54, "3.5 s"), (59.99, "1 min"),
      (200, "3 min 20 s"), (7500, "2 h 5 min"), (360_000, "4 d 4 h"), (-2, "-2 s"), (.infinity, "–"),
    ])
  func seconds(_ seconds: Double, _ text: String) { #expect(Units.seconds(seconds) == text) }

  @Test("No number is too odd to be shown") func odd() {
    for number in [Double.nan, .infinity, -.infinity, 1e300, -1e300, .leastNonzeroMagnitude] {
      #expect(!Units.bytes(number).isEmpty && !Units.seconds(number).isEmpty && !Units.count(number).isEmpty)
    }
  }

  @Test("Instants are times of day, or of another day") func clock() {
    #expect(noon.time(noon.now() - 3_000_000_000) == "11:59:57")
    #expect(noon.time(noon.now() - 86_400_000_000_000) == "2026-01-30 12:00:00")
    #expect(noon.ago(noon.now() - 3_000_000_000) == "3 s ago" && noon.ago(noon.now()) == "just now")
    #expect(noon.ago(noon.now() + 90_000_000_000) == "in 1 min 30 s")
  }

  @Test("Times as the control port writes them are read, and nothing else is") func instants() {
    #expect(WallClock.instant("2026-01-31T12:00:00.000Z") == noon.now())
    #expect(WallClock.instant("1970-01-01T00:00:00Z") == 0)
    #expect(WallClock.instant("2024-02-29T23:59:59.5Z") == 1_709_251_199_500_000_000)
    for text in ["", "2026-01-31", "2026-13-31T12:00:00Z", "2026-01-31T12:00:00.Z", "2026-01-31 12:00:00Z"] {
      #expect(WallClock.instant(text) == nil, "\(text)")
    }
  }

  private struct Entry: Codable, Sendable {
    var name: String
    var heard: Instant
    var lastHeard: Instant?
    var bytes: UInt64
    var rate: Int
    var secondsLeft: Double
    var count: Int
  }

  @Test("A layer's instants are shown as times, its sizes and durations with their units") func layer() throws {
    let before = Instant(nanoseconds: noon.now() - 5_000_000_000)
    let entry = Entry(name: "a", heard: before, lastHeard: before, bytes: 2048, rate: 512, secondsLeft: 90, count: 1024)
    let json: JSON = ["entries": .array([try JSON(encoding: entry)])]
    struct List: Codable { var entries: [Entry] }
    for schema in [Schema.of(output: List.self), Schema(jsonSchema: Schema.of(output: List.self).jsonSchema())] {
      let words = Humane(clock: noon).words(json, as: schema)
      #expect(
        words["entries"]?[0] == [
          "name": "a", "heard": "11:59:55", "lastHeard": "5 s ago", "bytes": "2 KiB", "rate": "512 B/s",
          "left": "1 min 30 s", "count": 1024,
        ])
    }
  }

  // MARK: Progress

  private func line(terminal: Bool, _ said: Said = Said(), seconds: @escaping () -> Double = { 0 }) -> ProgressLine {
    let console = Console(
      program: "strata", width: 90, errorIsTerminal: terminal, clock: noon,
      sink: { stream, text in
        if stream == .error { said.errors += text } else { said.output += text }
        return nil
      })
    return ProgressLine(console: console, isJSON: false, schema: nil, seconds: seconds)
  }

  @Test("Progress that says how much of how much is a bar, with rate and time left") func bar() {
    let line = line(terminal: true)
    #expect(
      line.bar(["done": 5, "total": 10], width: 60) == String(repeating: "█", count: 15)
        + String(repeating: "░", count: 15) + "  50%  5 of 10")
    let download: JSON = [
      "name": "a.bin", "state": "fetching", "size": 2_097_152, "bytes": 1_048_576, "rate": 262_144, "secondsLeft": 4.0,
      "holders": 3,
    ]
    #expect(
      line.bar(download, width: 100)?.hasSuffix("  50%  1 MiB of 2 MiB  256 KiB/s  4 s left  3 holders  a.bin") == true)
    #expect(line.bar(["bytes": 10, "ofBytes": 40, "files": 1], width: 60)?.contains(" 25%  10 B of 40 B") == true)
    #expect(line.bar(["path": "/x", "bytes": 10, "of": 40], width: 60)?.contains(" 25%  10 B of 40 B") == true)
    #expect(line.bar(["found": 5], width: 60) == nil && line.bar(["done": 5, "total": 0], width: 60) == nil)
    #expect(line.text(["found": 5, "name": "x"]) == "found 5, name x")
    #expect(line.bar(["bytes": 10, "of": 40, "name": "a\nb\tc"], width: 60)?.hasSuffix("  a⏎b⇥c") == true)
    // One line stays one, however wide its letters are.
    let said = Said()
    let wide = self.line(terminal: true, said)
    wide.show(["bytes": 10, "of": 40, "name": .string(String(repeating: "漢", count: 80))])
    let shown = said.errors.drop { $0 == "\r" || $0 == "\u{1b}" || $0 == "[" || $0 == "K" }
    #expect(columns(of: String(shown)) <= 89, "\(columns(of: String(shown)))")
  }

  @Test("A list too wide for a table is one of what tells its rows apart; a single thing is shown whole") func brief() {
    func shown(_ json: JSON, _ width: Int) -> [String] {
      let said = Said()
      let console = Console(program: "strata", width: width, clock: noon) { _, text in
        said.output += text
        return nil
      }
      console.show(json)
      return said.output.split(separator: "\n").map(String.init)
    }
    func file(_ number: Int64, _ name: String) -> JSON {
      [
        "number": .integer(number), "name": .string(name), "path": .string("somewhere/below/\(name)"), "size": 2048,
        "chunkSize": 8192, "root": .string(String(repeating: "ab0\(number)", count: 16)), "isWhole": true,
        "holders": [["name": "cleo", "address": "127.0.0.1:7203"], ["address": "127.0.0.1:7205"]],
      ]
    }
    let files: JSON = ["files": [file(1, "a.txt"), file(2, "b.txt")]]
    #expect(
      shown(files, 100) == [
        "files", "  NUMBER  PATH                   SIZE   CHUNK SIZE  ROOT          HOLDERS",
        "  1       somewhere/below/a.txt  2 KiB  8 KiB       ab01ab01ab01  cleo, 127.0.0.1:7205",
        "  2       somewhere/below/b.txt  2 KiB  8 KiB       ab02ab02ab02  cleo, 127.0.0.1:7205",
        "  Shortened to fit; all of it: --json",
      ])
    #expect(shown(files, 80)[2] == "  1       somewhere/below/a.txt  ab01ab01ab01")
    #expect(shown(files, 24).count > 10, "where even that doesn't fit, a block for each")
    let one = shown(["files": [file(1, "a.txt")]], 80)
    #expect(one.contains { $0.hasSuffix(String(repeating: "ab01", count: 16)) } && one.count == 9)
  }

  @Test("Where the rate isn't told it is measured") func measured() {
    var now = 0.0
    let line = line(terminal: true, seconds: { now })
    _ = line.bar(["bytes": 0, "size": 4096], width: 90)
    now = 1
    #expect(line.bar(["bytes": 1024, "size": 4096], width: 90)?.contains("1 KiB/s  3 s left") == true)
  }

  @Test("Progress that is news of its own is printed, line by line, whatever the terminal") func news() {
    struct Heard: Codable { var text: String; var at: Instant }
    let said = Said()
    let console = Console(
      program: "strata", errorIsTerminal: true, clock: noon,
      sink: { stream, text in
        if stream == .error { said.errors += text } else { said.output += text }
        return nil
      })
    let line = ProgressLine(console: console, isJSON: false, schema: Schema.of(output: Heard.self))
    line.show(["text": "hello\u{1b}[2J", "at": 1_769_860_790])
    line.show(["text": "again", "at": 1_769_860_795.5])
    #expect(said.output == "text hello\\u{1b}[2J  at 11:59:50\ntext again  at 11:59:55\n" && said.errors.isEmpty)
  }
}
