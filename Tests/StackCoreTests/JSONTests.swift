// JSONTests: what is promised of JSON values, their text, and the test vectors of the JSON parsing suite.
import Foundation
import StackCore
import Testing

/// Any JSON value, of bounded size.
func anyJSON(_ random: inout RandomStream, depth: Int = 4) -> JSON {
  switch Int.random(in: 0..<(depth > 0 ? 9 : 7), using: &random) {
  case 0: return .null
  case 1: return .bool(Bool.random(using: &random))
  case 2: return .integer(Int64(bitPattern: random.next()) >> Int64.random(in: 0..<63, using: &random))
  case 3: return JSON(random.next())
  case 4:
    let value = Double(bitPattern: random.next())
    return .number(value.isFinite ? value : 0.5)
  case 5: return .number(Double.random(in: -1000...1000, using: &random))
  case 6: return .string(anyText(&random))
  case 7:
    let count = Int.random(in: 0..<6, using: &random)
    return .array((0..<count).map { _ in anyJSON(&random, depth: depth - 1) })
  default:
    var object = JSONObject()
    for _ in 0..<Int.random(in: 0..<14, using: &random) {
      object[anyText(&random)] = anyJSON(&random, depth: depth - 1)
    }
    return .object(object)
  }
}

/// Text with all sorts of characters.
func anyText(_ random: inout RandomStream) -> String {
  var text = ""
  for _ in 0..<Int.random(in: 0..<20, using: &random) {
    let limit: UInt32 = [0x20, 0x7F, 0x7F, 0x7F, 0x800, 0x3000, 0x11_0000].randomElement(using: &random) ?? 0x7F
    if let scalar = Unicode.Scalar(UInt32.random(in: 0..<limit, using: &random)) { text.unicodeScalars.append(scalar) }
  }
  return text
}

/// The text of a parse error; nil when it parsed.
private func parseError(_ text: String, limits: JSONLimits = .standard) -> String? {
  do throws(JSONError) {
    _ = try JSON.parse(text, limits: limits)
    return nil
  } catch {
    return error.description
  }
}

@Suite struct JSONTests {
  @Test(arguments: 0..<200 as Range<UInt64>) func whatIsWrittenReadsBackTheSame(seed: UInt64) throws {
    var random = RandomStream(seed: seed)
    let json = anyJSON(&random)
    for pretty in [false, true] {
      for htmlSafe in [false, true] {
        let text = json.text(pretty: pretty, sortedKeys: seed.isMultiple(of: 2), htmlSafe: htmlSafe)
        #expect(try JSON.parse(text) == json, "seed \(seed): \(text)")
        if htmlSafe { #expect(!text.contains("<") && !text.unicodeScalars.contains("\u{2028}")) }
      }
    }
    #expect(try JSON.parse(json.text()).hashValue == json.hashValue)
  }

  @Test(arguments: 0..<50 as Range<UInt64>) func damagedTextNeverCrashes(seed: UInt64) {
    var random = RandomStream(seed: seed)
    var bytes = Array(anyJSON(&random).text().utf8)
    for _ in 0..<4 where !bytes.isEmpty {
      bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
    }
    _ = try? JSON.parse(bytes)
    _ = try? JSON.parse(bytes.prefix(bytes.count / 2))
  }

  @Test func numbersAreExact() throws {
    #expect(try JSON.parse("9223372036854775807") == .integer(.max))
    #expect(try JSON.parse("-9223372036854775808") == .integer(.min))
    #expect(try JSON.parse("18446744073709551615") == .unsigned(.max))
    #expect(try JSON.parse("18446744073709551616") == .number(18446744073709551616))
    #expect(try JSON.parse("1e3").integerValue == 1000)
    #expect(try JSON.parse("0.1") == 0.1)
    #expect(try JSON.parse("123456789012345678901234567890e-10").doubleValue == 123456789012345678901234567890e-10)
    #expect(try JSON.parse("-0").doubleValue?.sign == .minus)
    #expect(JSON.number(5).text() == "5")
    #expect(JSON.number(0.1).text() == "0.1")
    #expect(JSON.number(.nan).text() == "null" && JSON.number(-.infinity).text() == "null")
    #expect(JSON.integer(5) == JSON.number(5) && JSON.integer(5).hashValue == JSON.number(5).hashValue)
    #expect(JSON.unsigned(5) == JSON.integer(5))
    #expect(JSON.integer(.max) != JSON.number(9_223_372_036_854_775_808))
  }

  @Test func textIsWrittenAsAsked() {
    let json: JSON = ["b": [1, true, 2.5], "a": ["</script>\u{2028}\u{1}\n\"", [:], []]]
    #expect(json.text() == "{\"b\":[1,true,2.5],\"a\":[\"</script>\u{2028}\\u0001\\n\\\"\",{},[]]}")
    #expect(json["a"]?.text(htmlSafe: true) == #"["\u003c/script\u003e\u2028\u0001\n\"",{},[]]"#)
    #expect(
      JSON.object(["b": 1, "a": [2]]).text(pretty: true, sortedKeys: true)
        == "{\n  \"a\": [\n    2\n  ],\n  \"b\": 1\n}")
  }

  @Test func valuesAreReachedByKeyAndIndex() {
    var json: JSON = ["list": [1, "two", 3.5], "flag": true]
    #expect(json["list"]?[1]?.stringValue == "two")
    #expect(json["list"]?[9] == nil && json["none"] == nil && json[0] == nil)
    #expect(json["flag"]?.boolValue == true && json["list"]?[2]?.doubleValue == 3.5)
    json["flag"] = nil
    json["more"] = 7
    #expect(json.objectValue?.keys == ["list", "more"])
    #expect(json == ["more": 7, "list": [1, "two", 3.5]], "the order of keys doesn't count")
    #expect(json.hashValue == JSON.object(["more": 7, "list": [1, "two", 3.5]]).hashValue)
  }

  @Test func largeObjectsKeepTheirOrder() throws {
    var object = JSONObject()
    for index in 0..<1000 { object["key \(index)"] = JSON(index) }
    object["key 3"] = nil
    object["key 5"] = "five"
    #expect(object.count == 999 && object["key 3"] == nil && object["key 999"] == 999)
    #expect(object.keys.prefix(5) == ["key 0", "key 1", "key 2", "key 4", "key 5"])
    #expect(try JSON.parse(JSON.object(object).text()).objectValue?.keys == object.keys)
  }

  @Test func errorsSayWhereAndWhat() {
    #expect(parseError("{\n  \"ä\" 1}") == "line 2, column 7: '1', expected ':' after a key")
    #expect(parseError("{\"a\":1,\n\"a\":2}") == "line 2, column 1: the key \"a\" stands here a second time")
    #expect(parseError("[1,]") == "line 1, column 4: ']', expected a value")
    #expect(parseError("") == "line 1, column 1: the end of the text, expected a value")
    #expect(parseError("\u{FEFF}1")?.contains("byte-order mark") == true)
    #expect(parseError("\"\\ud800\"")?.contains("half a surrogate pair") == true)
    #expect(parseError("1e999")?.contains("too large") == true)
    #expect(
      parseError("[[[1]]]", limits: JSONLimits(maxDepth: 2)) == "line 1, column 3: nested more than 2 levels deep")
    #expect(parseError("[1,2]", limits: JSONLimits(maxBytes: 4))?.contains("longer than 4 bytes") == true)
  }

  @Test func anyDepthAskedForIsBounded() {
    let deep = String(repeating: "[", count: 100_000)
    #expect(
      parseError(deep, limits: JSONLimits(maxDepth: .max)) == "line 1, column 513: nested more than 512 levels deep")
  }
}

/// The vectors of the JSON parsing suite, where they are to be had.
@Suite struct JSONVectorTests {
  static let folder: URL? = {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let asked = ProcessInfo.processInfo.environment["STRATA_VECTORS"].map { URL(filePath: $0) }
    let places = [asked, root.appending(path: "../shared/vectors")].compactMap {
      $0?.appending(path: "json/test_parsing")
    }
    return places.first { FileManager.default.fileExists(atPath: $0.path) }
  }()

  @Test(.enabled(if: folder != nil, "no vectors: set STRATA_VECTORS to the folder that holds json/test_parsing"))
  func vectorsAreAcceptedAndRefused() throws {
    // A key twice is refused by choice: the suite lets it pass.
    let refusedByChoice = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"]
    let folder = try #require(Self.folder)
    var seen = 0
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() {
      let bytes = [UInt8](try Data(contentsOf: folder.appending(path: name)))
      let json = try? JSON.parse(bytes)
      if name.hasPrefix("n_") || refusedByChoice.contains(name) { #expect(json == nil, "\(name)") }
      if name.hasPrefix("y_"), !refusedByChoice.contains(name) {
        #expect(try JSON.parse(#require(json, "\(name)").text()) == json, "\(name)")
      }
      seen += 1
    }
    #expect(seen > 300)
  }
}
