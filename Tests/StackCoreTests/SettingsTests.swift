// SettingsTests: what is promised of settings, arguments, schemas and the nearest known word.
import StackCore
import Testing

enum LinkKind: String, Codable, CaseIterable { case direct, relayed }

struct WindowConfig: LayerConfig, Hashable {
  @Setting("how many may be on their way at once", in: 1...64) var size = 8
  @Setting("how long one may take") var patience: Duration = .seconds(2)
}

struct PeerEntry: Codable, Hashable {
  var name: String
  var weight: Int?
}

/// Only wrapped properties: `init()` and the coding are the compiler's.
struct SampleConfig: LayerConfig, Hashable {
  @Setting("how often a random neighbour is asked for news", in: .milliseconds(10)...(.seconds(3600)), live: true)
  var antiEntropy: Duration = .seconds(1)
  @Setting("how many neighbours get a new rumor", in: 1...16) var fanout: Int = 2
  @Setting("the largest message kept", in: .kib(1)...(.mib(1))) var largest: ByteCount = .kib(8)
  @Setting("the chance of going on", in: 0...1) var chance: Double = 0.5
  @Setting("whether relays are used") var relay = true
  @Setting("what it calls itself", count: 1...20) var title: String = "gossip"
  @Setting("which links") var kind: LinkKind = .direct
  @Setting("topics that are followed", count: 0...3) var topics: [String] = []
  @Setting("known peers") var peers: [PeerEntry] = []
  @Setting("a limit, if any", in: 1...100) var limit: Int? = nil
  @Setting("a name, if any") var nickname: String?
  @Setting("a shared key", count: 32...32) var key: [UInt8] = [UInt8](repeating: 0, count: 32)
  @Setting("weights by name") var weights: [String: Double] = [:]
  @Setting("the window") var window = WindowConfig()
}

struct PlainConfig: LayerConfig, Hashable {
  var x = 3
  var name: String?
  var wait: Duration = .seconds(1)
  var window = WindowConfig()
}

struct SendInput: CommandInput, Hashable {
  @Argument("what to say", count: 1...100) var text: String
  @Argument("to whom") var peer: String?
  @Argument("how often") var times: Int = 1
  @Argument("about what") var topic: String? = nil
  @Argument("how long to wait", in: .seconds(1)...(.seconds(60))) var wait: Duration = .seconds(5)
}

/// As a layer in a library of its own would write them.
public struct PublicConfig: LayerConfig, Hashable {
  @Setting("how long to wait") public var wait: Duration = .seconds(1)
  public init() {}
}

public struct PublicInput: CommandInput, Hashable {
  @Argument("a hash, in hex") public var hash: [UInt8]
  @Argument("how many", in: 1...9) public var count: Int
  @Argument("at most so many", in: 1...9) public var limit: Int?
  public init() {}
}

/// The text of the error that a body throws; nil when it throws none.
func codingErrorText(_ body: () throws(JSONCodingError) -> Void) -> String? {
  do throws(JSONCodingError) {
    try body()
    return nil
  } catch {
    return error.description
  }
}

@Suite struct SettingsTests {
  private func refusal(_ json: JSON) -> String? {
    codingErrorText { () throws(JSONCodingError) in
      _ = try decodeSettings(SampleConfig.self, from: json, at: "layers.gossip")
    }
  }

  @Test func whatIsMissingTakesItsDefault() throws {
    #expect(try decodeSettings(SampleConfig.self, from: nil, at: "") == SampleConfig())
    #expect(try decodeSettings(SampleConfig.self, from: [:], at: "") == SampleConfig())
    let config = try decodeSettings(
      SampleConfig.self,
      from: [
        "antiEntropy": "250ms", "window": ["size": 9], "limit": 7, "kind": "relayed", "nickname": .null,
        "peers": [["name": "bob"]], "weights": ["a": 1],
      ], at: "")
    #expect(config.antiEntropy == .milliseconds(250) && config.fanout == 2 && config.limit == 7)
    #expect(config.window.size == 9 && config.window.patience == .seconds(2))
    #expect(config.kind == .relayed && config.peers == [PeerEntry(name: "bob")] && config.weights == ["a": 1])
    #expect(try decodeSettings(SampleConfig.self, from: JSON(encoding: config), at: "") == config)
    #expect(try decodeSettings(NoConfig.self, from: [:], at: "") == NoConfig())
    let plain = try decodeSettings(PlainConfig.self, from: ["name": "n", "window": ["size": 1]], at: "")
    #expect(plain.x == 3 && plain.name == "n" && plain.window.size == 1 && plain.window.patience == .seconds(2))
  }

  @Test func whatIsWrongIsNamed() {
    let path = "layers.gossip."
    #expect(
      refusal(["antiEntropy": "5 parsecs"]) == path
        + "antiEntropy: found \"5 parsecs\", expected a duration from 10ms to 1h")
    #expect(refusal(["antiEntropy": "2h"]) == path + "antiEntropy: found \"2h\", expected a duration from 10ms to 1h")
    #expect(refusal(["fanout": 0]) == path + "fanout: found 0, expected a whole number from 1 to 16")
    #expect(refusal(["fanout": .null]) == path + "fanout: found null, expected a whole number from 1 to 16")
    #expect(refusal(["largest": "2MiB"]) == path + "largest: found \"2MiB\", expected a size from 1KiB to 1MiB")
    #expect(refusal(["chance": 1.5]) == path + "chance: found 1.5, expected a number from 0.0 to 1.0")
    #expect(refusal(["kind": "Direct"]) == path + "kind: found \"Direct\", expected \"direct\" or \"relayed\"")
    #expect(refusal(["title": ""]) == path + "title: found \"\", expected text of 1 to 20 characters")
    #expect(refusal(["topics": [1]]) == path + "topics[0]: found 1, expected text")
    #expect(
      refusal(["topics": ["a", "b", "c", "d"]]) == path
        + "topics: found 4 elements, expected an array of at most 3 elements")
    #expect(refusal(["limit": 101]) == path + "limit: found 101, expected a whole number from 1 to 100")
    #expect(refusal(["key": "00"]) == path + "key: found 1 bytes, expected hex text of 32 bytes")
    #expect(refusal(["peers": [["nmae": "x"]]]) == path + "peers[0].name: found nothing, expected text")
    #expect(
      refusal(["window": ["szie": 1]]) == path
        + "window.szie: found an unknown key, expected \"size\" (did you mean that?)")
    #expect(refusal(["antiEntorpy": "1s"])?.contains("expected \"antiEntropy\" (did you mean that?)") == true)
    #expect(refusal([1]) == "layers.gossip: found an array, expected an object")
    let noKeys = codingErrorText { () throws(JSONCodingError) in
      _ = try decodeSettings(NoConfig.self, from: ["a": 1], at: "layers.x")
    }
    #expect(noKeys == "layers.x.a: found an unknown key, expected no keys here")
  }

  @Test func anAddressSaysWhatItLooksLike() {
    struct Ping: CommandInput {
      @Argument("whom") var peer: Address
      @Argument("who else") var others: [Address] = []
      init() {}
    }
    let schema = Schema.of(input: Ping.self)
    let json = schema.jsonSchema()
    #expect(json["properties"]?["peer"]?["type"] == "string")
    let pattern = json["properties"]?["peer"]?["pattern"]?.stringValue
    #expect(
      pattern?.hasPrefix("^") == true && pattern == json["properties"]?["others"]?["items"]?["pattern"]?.stringValue)
    #expect(schema.check(["peer": "127.0.0.1:1", "others": ["[fe80::1%2]:5000"]], at: "").isEmpty)
    #expect(
      schema.check(["peer": "there", "others": ["1.2.3.4:99999"]], at: "").map(\.description) == [
        #"peer: found "there", expected an address such as "127.0.0.1:5000" or "[::1]:5000""#,
        #"others[0]: found "1.2.3.4:99999", expected an address such as "127.0.0.1:5000" or "[::1]:5000""#,
      ])
  }

  /// Every address that is right matches the pattern that machines are given.
  @Test(arguments: ["1.2.3.4:0", "255.255.255.255:65535", "[::]:1", "[::ffff:1.2.3.4]:5", "[fe80::1%4294967295]:65535"])
  func thePatternOfAnAddressTakesEveryAddress(text: String) throws {
    let pattern = try #require(Address.schema.form?.pattern)
    #expect(Address(text) != nil)
    #expect(try Regex(pattern).wholeMatch(in: text) != nil)
    #expect(try Regex(pattern).wholeMatch(in: text + "x") == nil)
  }

  @Test func allErrorsAreFoundAtOnce() {
    let schema = Schema.of(config: SampleConfig.self)
    let errors = schema.check(["fanout": "x", "relay": 1, "window": ["size": 0], "zzzzzzzz": 1], at: "")
    #expect(errors.map(\.path) == ["fanout", "relay", "window.size", "zzzzzzzz"])
    let many = JSON.object(JSONObject((0..<1000).map { ("k\($0)", .null) }))
    #expect(schema.check(many, at: "").count == 64)
  }

  @Test func argumentsAreRequiredUnlessTheyHaveADefault() throws {
    let input = try decodeInput(SendInput.self, from: ["text": "hi", "wait": "2s"])
    #expect(
      input.text == "hi" && input.peer == nil && input.times == 1 && input.topic == nil && input.wait == .seconds(2))
    #expect(try JSON(encoding: input)["text"] == "hi")
    #expect(try JSON(encoding: SendInput())["text"] == nil, "what was never given is left out")
    #expect(try decodeInput(NoInput.self, from: nil) == NoInput())
    let missing = codingErrorText { () throws(JSONCodingError) in _ = try decodeInput(SendInput.self, from: nil) }
    #expect(missing == "text: found nothing, expected text of 1 to 100 characters")
    let long = codingErrorText { () throws(JSONCodingError) in
      _ = try decodeInput(SendInput.self, from: ["text": "a", "wait": "2m"])
    }
    #expect(long == "wait: found \"2m\", expected a duration from 1s to 1m")
    var made = SendInput()
    made.text = "made"
    #expect(made != SendInput() && made.text == "made")
  }

  @Test func publicTypesWorkAlike() throws {
    let input = try decodeInput(PublicInput.self, from: ["hash": "00FF", "count": 3])
    #expect(input.hash == [0, 255] && input.count == 3 && input.limit == nil)
    let errors = Schema.of(input: PublicInput.self).check(["limit": 10], at: "in")
    #expect(errors.map(\.path) == ["in.hash", "in.count", "in.limit"])
    #expect(try decodeSettings(PublicConfig.self, from: ["wait": "2s"], at: "").wait == .seconds(2))
    let negative = codingErrorText { () throws(JSONCodingError) in
      _ = try decodeSettings(PublicConfig.self, from: ["wait": "-2s"], at: "")
    }
    #expect(negative == "wait: found \"-2s\", expected a duration such as \"250ms\", \"1s\" or \"10m\"")
  }

  @Test func emptyTypesAreEmptyObjects() throws {
    struct Nothing: Codable {}
    #expect(try JSON(encoding: NoConfig()) == [:] && JSON(encoding: Nothing()) == [:])
    #expect(Schema.of(output: Nothing.self) == Schema(.object([])))
    _ = try JSON.object([:]).decode(Nothing.self)
  }

  @Test func nearestWordIsFound() {
    let words = ["antiEntropy", "fanout", "peers", "listen"]
    #expect(nearest("antientropy", among: words) == "antiEntropy")
    #expect(nearest("pers", among: words) == "peers" && nearest("peesr", among: words) == "peers")
    #expect(nearest("lisen", among: words) == "listen" && nearest("fan", among: words) == nil)
    #expect(nearest("", among: words) == nil && nearest("x", among: ["y"]) == nil)
  }
}

@Suite struct SettingsSchemaTests {
  struct Neighbour: Codable {
    var address: String
    var heard: Instant?
    var age: Duration
    var id: [UInt8]
  }

  struct Report: Codable {
    var total: Int
    var share: Double
    var kind: LinkKind
    var neighbours: [Neighbour]
    var byType: [String: UInt64]
    var tree: Tree?
    var anything: JSON
    var choosy: Choosy
    var after: Bool
  }

  struct Tree: Codable {
    var name: String
    var children: [Tree]
  }

  /// Accepts only 64 hex digits.
  struct Choosy: Codable {
    var text: String
    init(from decoder: any Decoder) throws {
      text = try decoder.singleValueContainer().decode(String.self)
      if text.count != 64 { throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "64 digits")) }
    }
    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      try container.encode(text)
    }
  }

  @Test func configIsDescribed() throws {
    let schema = Schema.of(config: SampleConfig.self)
    #expect(schema.closed)
    #expect(
      schema.properties.map(\.name) == [
        "antiEntropy", "fanout", "largest", "chance", "relay", "title", "kind", "topics", "peers", "limit", "nickname",
        "key", "weights", "window",
      ])
    let first = try #require(schema.property("antiEntropy"))
    #expect(first.live && first.defaultValue == "1s" && !first.required)
    #expect(first.schema.kind == .duration(min: .milliseconds(10), max: .seconds(3600)))
    #expect(first.description == "how often a random neighbour is asked for news")
    #expect(schema.property("fanout")?.schema.kind == .integer(min: 1, max: 16))
    #expect(
      schema.property("kind")?.schema.kind == .string(allowed: ["direct", "relayed"], minCount: nil, maxCount: nil))
    #expect(schema.property("limit")?.schema == Schema(.integer(min: 1, max: 100), nullable: true))
    #expect(schema.property("limit")?.defaultValue == nil)
    #expect(schema.property("weights")?.schema.kind == .map(Schema(.number(min: nil, max: nil))))
    #expect(schema.property("window")?.schema == Schema.of(config: WindowConfig.self))
    guard case .array(let peer) = schema.property("peers")?.schema.kind else {
      throw JSONCodingError(path: "", found: "", expected: "")
    }
    #expect(peer.closed && peer.property("name")?.required == true && peer.property("weight")?.required == false)
  }

  @Test func plainPropertiesAreFoundEvenWhenNil() throws {
    let schema = Schema.of(config: PlainConfig.self)
    #expect(schema.properties.map(\.name) == ["x", "name", "wait", "window"])
    #expect(
      schema.property("name")?.schema == Schema(.string(allowed: nil, minCount: nil, maxCount: nil), nullable: true))
    #expect(Schema.of(config: NoConfig.self) == Schema(.object([]), closed: true))
    #expect(Schema.of(input: NoInput.self) == Schema(.object([]), closed: true))
  }

  @Test func inputIsDescribed() {
    let schema = Schema.of(input: SendInput.self)
    #expect(schema.properties.map(\.name) == ["text", "peer", "times", "topic", "wait"])
    #expect(schema.properties.map(\.required) == [true, false, false, false, false])
    #expect(schema.property("times")?.defaultValue == 1 && schema.property("text")?.defaultValue == nil)
    #expect(schema.property("peer")?.schema.nullable == true)
  }

  @Test func outputIsDescribed() throws {
    let schema = Schema.of(output: Report.self)
    #expect(!schema.closed)
    #expect(
      schema.properties.map(\.name)
        == ["total", "share", "kind", "neighbours", "byType", "tree", "anything", "choosy", "after"])
    #expect(schema.property("tree")?.required == false && schema.property("total")?.required == true)
    #expect(schema.property("choosy")?.schema.kind == .string(allowed: nil, minCount: nil, maxCount: nil))
    guard case .array(let neighbour) = schema.property("neighbours")?.schema.kind else {
      Issue.record("neighbours is no array")
      return
    }
    #expect(neighbour.properties.map(\.name) == ["address", "heard", "age", "id"])
    #expect(
      neighbour.properties.map(\.schema.kind).dropFirst() == [
        .number(min: nil, max: nil), .duration(min: nil, max: nil), .hex,
      ])
    #expect(schema.property("tree")?.schema.property("children")?.schema.kind == .array(Schema(.any)))
    #expect(Schema.of(output: [Neighbour].self).kind == .array(neighbour))
    #expect(Schema.of(output: Int.self).kind == .integer(min: nil, max: nil))
  }

  @Test func jsonSchemaIsWritten() throws {
    let json = Schema.of(config: SampleConfig.self).jsonSchema()
    #expect(json["type"] == "object" && json["additionalProperties"] == false && json["required"] == nil)
    let properties = try #require(json["properties"])
    #expect(
      properties["fanout"] == [
        "type": "integer", "minimum": 1, "maximum": 16, "description": "how many neighbours get a new rumor",
        "default": 2,
      ])
    #expect(
      properties["kind"]?["enum"] == ["direct", "relayed"] && properties["limit"]?["type"] == ["integer", "null"])
    #expect(properties["antiEntropy"]?["pattern"]?.stringValue?.hasPrefix("^") == true)
    #expect(
      properties["antiEntropy"]?["description"]
        == "how often a random neighbour is asked for news; a duration from 10ms to 1h")
    #expect(properties["largest"]?["type"] == ["string", "integer"])
    #expect(properties["key"]?["minLength"] == 64 && properties["key"]?["maxLength"] == 64)
    #expect(properties["topics"]?["maxItems"] == 3 && properties["topics"]?["items"] == ["type": "string"])
    #expect(properties["weights"]?["additionalProperties"] == ["type": "number"])
    #expect(properties["window"]?["properties"]?["size"]?["default"] == 8)
    let input = Schema.of(input: SendInput.self).jsonSchema()
    #expect(input["required"] == ["text"] && input["properties"]?["text"]?["maxLength"] == 100)
    #expect(Schema.of(output: Report.self).jsonSchema()["additionalProperties"] == nil)
  }
}
