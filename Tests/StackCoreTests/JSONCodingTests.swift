// JSONCodingTests: what is promised of coding values to and from JSON.
import StackCore
import Testing

private enum Shape: String, Codable, CaseIterable { case line, ring, star }

private enum Step: Codable, Hashable {
  case wait(Duration)
  case say(text: String, times: Int)
  case stop
}

private struct Everything: Codable, Hashable {
  var flag = false
  var tiny: Int8 = 0
  var whole = 0
  var large: UInt64 = 0
  var real = 0.0
  var small: Float = 0
  var text = ""
  var nothing: String?
  var something: Int?
  var shape = Shape.line
  var wait = Duration.zero
  var size: ByteCount = 0
  var hash: [UInt8] = []
  var hashes: [[UInt8]] = []
  var waits: [Duration?] = []
  var table: [String: Int] = [:]
  var byNumber: [Int: String] = [:]
  var set: Set<String> = []
  var steps: [Step] = []

  static func any(_ random: inout RandomStream) -> Everything {
    var value = Everything()
    value.flag = Bool.random(using: &random)
    value.tiny = Int8.random(in: .min ... .max, using: &random)
    value.whole = Int.random(in: .min ... .max, using: &random)
    value.large = random.next()
    value.real = Double.random(in: -1e9...1e9, using: &random)
    value.small = Float.random(in: -1...1, using: &random)
    value.text = anyText(&random)
    value.nothing = value.flag ? nil : anyText(&random)
    value.something = value.flag ? 7 : nil
    value.shape = Shape.allCases.randomElement(using: &random) ?? .line
    value.wait = .nanoseconds(Int64.random(in: -1_000_000_000...1_000_000_000, using: &random))
    value.size = ByteCount(bytes: Int64.random(in: 0...(.max), using: &random))
    value.hash = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
    value.hashes = [value.hash, []]
    value.waits = [.seconds(1), nil, value.wait]
    for index in 0..<12 {
      value.table[anyText(&random)] = index
      value.byNumber[index] = anyText(&random)
      value.set.insert(anyText(&random))
    }
    value.steps = [.wait(value.wait), .stop, .say(text: value.text, times: 3)]
    return value
  }
}

private class Base: Codable {
  var name = "base"
  init() {}
}

private final class Derived: Base {
  var extra = [1, 2]
  override init() { super.init() }
  private enum Key: CodingKey { case extra, nested }

  required init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    var list = try container.nestedContainer(keyedBy: Key.self, forKey: .nested).nestedUnkeyedContainer(forKey: .extra)
    extra = []
    while !list.isAtEnd { extra.append(try list.decode(Int.self)) }
    try super.init(from: container.superDecoder())
  }

  override func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    var nested = container.nestedContainer(keyedBy: Key.self, forKey: .nested)
    var list = nested.nestedUnkeyedContainer(forKey: .extra)
    for number in extra { try list.encode(number) }
    try super.encode(to: container.superEncoder())
  }
}

/// The text of a decoding error; nil when it decoded.
private func decodingError<T: Decodable>(_ type: T.Type, _ json: JSON, at path: String = "") -> String? {
  do throws(JSONCodingError) {
    _ = try json.decode(type, at: path)
    return nil
  } catch {
    return error.description
  }
}

@Suite struct JSONCodingTests {
  @Test(arguments: 0..<100 as Range<UInt64>) func valuesComeBackTheSame(seed: UInt64) throws {
    var random = RandomStream(seed: seed)
    let value = Everything.any(&random)
    let json = try JSON(encoding: value)
    #expect(try json.decode(Everything.self) == value, "seed \(seed)")
    let text = try JSONCoder(pretty: true).encode(value)
    #expect(try JSONCoder().decode(Everything.self, from: text) == value, "seed \(seed)")
  }

  @Test func valuesStandAsPeopleWriteThem() throws {
    var value = Everything()
    value.wait = .milliseconds(1500)
    value.size = .kib(8)
    value.hash = [0, 255]
    value.small = 0.1
    value.large = .max
    value.table = ["b": 2, "a": 1, "c": 3]
    value.set = ["y", "x"]
    value.byNumber = [2: "two", 10: "ten"]
    let json = try JSON(encoding: value)
    #expect(json["wait"] == "1.5s" && json["size"] == "8KiB" && json["hash"] == "00ff" && json["small"] == 0.1)
    #expect(json["large"] == .unsigned(.max) && json["nothing"] == nil && json["shape"] == "line")
    #expect(json["table"]?.text() == #"{"a":1,"b":2,"c":3}"# && json["set"]?.text() == #"["x","y"]"#)
    #expect(json.objectValue?.keys.first == "flag")
    #expect(try JSON(encoding: Duration.seconds(90)) == "90s")
    #expect(try JSON(encoding: [UInt8]([1, 2])) == "0102")
    #expect(try JSON(encoding: JSON.array([1, .null])) == [1, .null])
    #expect(try JSON(encoding: Optional<Int>.none) == .null)
  }

  @Test func classesNestAndInherit() throws {
    let json = try JSON(encoding: Derived())
    #expect(json == ["nested": ["extra": [1, 2]], "super": ["name": "base"]])
    let back = try json.decode(Derived.self)
    #expect(back.extra == [1, 2] && back.name == "base")
  }

  @Test func errorsNameThePathAndWhatWouldBeRight() {
    struct Gossip: Codable { var antiEntropy: Duration }
    struct Peers: Codable { var peers: [String] }
    #expect(
      decodingError(Gossip.self, ["antiEntropy": "5 parsecs"], at: "layers.gossip")
        == "layers.gossip.antiEntropy: found \"5 parsecs\", expected a duration such as \"250ms\", \"1s\" or \"10m\"")
    #expect(decodingError(Peers.self, ["peers": ["a", "b", 3]]) == "peers[2]: found 3, expected text")
    #expect(decodingError(Peers.self, [:], at: "node") == "node.peers: found nothing, expected a value")
    #expect(decodingError(Peers.self, ["peers": [:]]) == "peers: found an empty object, expected an array")
    #expect(decodingError(Peers.self, [1]) == "found an array, expected an object")
    #expect(decodingError(UInt8.self, 256) == "found 256, expected a whole number from 0 to 255")
    #expect(decodingError(Int.self, "x") == "found \"x\", expected a whole number")
    #expect(decodingError(Int.self, 1.5) == "found 1.5, expected a whole number from \(Int.min) to \(Int.max)")
    #expect(decodingError(Shape.self, "rnig") == "found \"rnig\", expected \"line\", \"ring\" or \"star\"")
    #expect(decodingError([UInt8].self, "0g") == "found \"0g\", expected hex text such as \"00ff\"")
    #expect(decodingError(ByteCount.self, "8 potatoes")?.contains("expected a size such as") == true)
    #expect(
      decodingError([Instant].self, [1e99], at: "at")
        == "at[0]: found 1e+99, expected seconds since 1970, less than 9e9")
    #expect(decodingError([Step].self, [["stop": [:]], ["go": [:]]])?.hasPrefix("[1]: found") == true)
  }
}

@Suite struct JSONTextValueTests {
  @Test(
    arguments: [
      ("250ms", 250_000_000), ("1s", 1_000_000_000), ("1.5s", 1_500_000_000), ("10m", 600_000_000_000),
      ("2h", 7_200_000_000_000), ("7d", 604_800_000_000_000), ("1us", 1000), ("50ns", 50), ("0s", 0),
      ("-1s", -1_000_000_000),
      ("90s", 90_000_000_000), ("1h1s", 3_601_000_000_000), ("1m0.25s", 60_250_000_000),
    ] as [(String, Int64)]) func durationsRead(text: String, nanoseconds: Int64) throws
  {
    let duration = try #require(Duration(text: text))
    #expect(duration == .nanoseconds(nanoseconds))
    #expect(Duration(text: duration.text) == duration)
    #expect(duration.text.count <= text.count)
  }

  @Test(arguments: [
    "", "5", "s", "5 s", "5 parsecs", "1s1m", "1s1s", "1.s", ".5s", "--1s", "1e3s", "99999999999999999999s",
    "9999999999999999d", "106751991167299d106751991167299h", "9223372036854775807s1ms", "1S",
  ])
  func otherDurationsAreRefused(text: String) { #expect(Duration(text: text) == nil) }

  @Test func durationsPrintShort() {
    #expect(Duration.milliseconds(250).text == "250ms" && Duration.milliseconds(1500).text == "1.5s")
    #expect(Duration.seconds(60).text == "1m" && Duration.seconds(90).text == "90s" && Duration.seconds(0).text == "0s")
    #expect(Duration.seconds(7 * 86400).text == "7d" && Duration.seconds(3601).text == "1h1s")
    #expect(Duration(secondsComponent: 0, attosecondsComponent: 1).text == "0.000000001ns")
    #expect(Duration(text: "1µs") == .microseconds(1))
  }

  @Test(arguments: 0..<200 as Range<UInt64>) func anyDurationComesBack(seed: UInt64) {
    var random = RandomStream(seed: seed)
    let shift = Int64.random(in: 0..<63, using: &random)
    let duration = Duration(
      secondsComponent: Int64(bitPattern: random.next()) >> shift,
      attosecondsComponent: Int64.random(in: 0..<1_000_000_000, using: &random)
        * [0, 1, 1_000_000_000, 1_000_000].randomElement(using: &random)!)
    #expect(Duration(text: duration.text) == duration, "seed \(seed): \(duration.text)")
    let size = ByteCount(bytes: Int64(random.next() >> 1) >> shift)
    #expect(ByteCount(text: size.text) == size, "seed \(seed): \(size.text)")
  }

  @Test func sizesReadAndPrintShort() {
    let sizes: [(String, Int64)] = [
      ("8KiB", 8192), ("1MiB", 1 << 20), ("64GiB", 64 << 30), ("512B", 512), ("1200B", 1200), ("10MB", 10_000_000),
      ("1kB", 1000), ("0B", 0), ("1TiB", 1 << 40),
    ]
    for (text, bytes) in sizes {
      #expect(ByteCount(text: text)?.bytes == bytes)
      #expect(ByteCount(bytes: bytes).text == text)
    }
    #expect(ByteCount(text: "1.5MiB") == .kib(1536) && ByteCount(text: "77") == 77 && ByteCount(text: "1KB") == 1000)
    for text in ["", "-1B", "1.5B", "KiB", "1 KiB", "9EiB", "9223372036854775808", "1XB"] {
      #expect(ByteCount(text: text) == nil, "\(text)")
    }
    #expect(ByteCount.mib(1) > .kib(8))
  }
}
