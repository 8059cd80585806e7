// QueryTests: what a query means, how it is read, and that matching takes time in proportion to what it looks through.
import PeersterVocabulary
import StackCore
import Testing

@testable import Search

@Suite struct QueryTests {
  private func matches(
    _ query: String, _ path: String, size: Int64 = 20_000, root: Hash256 = Hash256()
  ) throws -> Bool {
    let name = path.split(separator: "/").last.map(String.init) ?? path
    return try QueryParser.parse(query).matches(
      FoldedName(name: Array(name.utf8), path: Array(path.utf8)), size: size...size, root: root)
  }

  @Test(arguments: [
    ("report", "Annual Report 2024.pdf", true), ("rep 2024", "Annual Report 2024.pdf", true),
    ("report 2025", "Annual Report 2024.pdf", false), ("\"annual report\"", "Annual Report 2024.pdf", true),
    ("\"report annual\"", "Annual Report 2024.pdf", false), ("holiday", "holiday/paris/img1.jpg", true),
    ("name:*.pdf", "books/a.PDF", true), ("name:*.pdf", "books.pdf/a.txt", false), ("name:a?c.*", "abc.d", true),
    ("name:a?c.*", "aéc.d", true), ("name:a?c", "aéac", false), ("name:*", "x", true), ("name:**a**", "banana", true),
    ("name:b*n*n*a", "banana", true), ("name:b*x*a", "banana", false), ("name:\"my *\"", "My Life.txt", true),
    ("SIZE:>10kB report", "report", true), ("size:<20000", "x", false), ("size:<=20000", "x", true),
    ("size:20000", "x", true), ("size:1kB..1MiB", "x", true), ("size:>=1MiB", "x", false),
    ("hash:00000000", "x", true), ("hash:00000001", "x", false), ("12:30", "at 12:30.txt", true),
    ("\"say \"\"hi\"\"\"", "say \"hi\".txt", true), ("ファイル", "わたしのファイル.txt", true),
  ])
  func meaning(_ query: String, _ path: String, _ expected: Bool) throws {
    #expect(try matches(query, path) == expected)
  }

  @Test(arguments: [
    ("Café", "CAFE\u{301}"), ("straße", "STRASSE"), ("Ångström", "angstrom"), ("Łódź", "lodz"), ("Ærø", "aero"),
    ("Ελλάδα", "ΕΛΛΑΔΑ"), ("ὈΔΥΣΣΕΎΣ", "οδυσσευσ"), ("ᾳ", "α"), ("Ёлка", "елка"), ("Йод", "и\u{306}од"),
    ("İstanbul", "istanbul"), ("ﬁle", "file"), ("ＡＢＣ１", "abc1"),
    ("한글", "\u{1112}\u{1161}\u{11AB}\u{1100}\u{1173}\u{11AF}"),
    ("ガ", "カ\u{3099}"), ("ぱ", "は\u{309A}"), ("Việt", "viet"), ("ſ", "s"), ("\u{212B}", "å"), ("Ա", "ա"), ("Ꭰ", "ꭰ"),
    ("שָׁלוֹם", "שלום"), ("مُحَمَّد", "محمد"), ("so\u{AD}ft", "soft"), ("𐐀", "𐐨"), ("Œuvre", "oeuvre"),
  ])
  func foldsAlike(_ left: String, _ right: String) { #expect(Folding.fold(left) == Folding.fold(right)) }

  @Test(arguments: [("が", "か"), ("ば", "ぱ"), ("नी", "न"), ("กำ", "ก"), ("a", "b"), ("ŋ", "n"), ("가", "나")])
  func keepsApart(_ left: String, _ right: String) { #expect(Folding.fold(left) != Folding.fold(right)) }

  @Test func everyCharacterFoldsAsItsTwinAndOnlyOnce() {
    // Over all of the plane: what the library calls equal folds alike, and what is folded stays.
    for value in (0x20...0xFFFF as ClosedRange<UInt32>) {
      guard let scalar = Unicode.Scalar(value), scalar.properties.generalCategory != .unassigned else { continue }
      let once = Folding.fold(String(Character(scalar)))
      #expect(Folding.fold(bytes: once) == once, "U+\(String(value, radix: 16))")
      let isDecomposed =
        (0xC0...0x24F).contains(value) || (0x370...0x52F).contains(value) || value >= 0x1E00 && value < 0x2000
      guard isDecomposed else { continue }
      // Each case of a letter folds like the other, where it has one of its own.
      let lower = scalar.properties.lowercaseMapping
      #expect(Folding.fold(lower) == once, "U+\(String(value, radix: 16))")
    }
  }

  @Test(arguments: [
    ("", 1, "an empty query"), ("   ", 1, "an empty query"), ("a \"b", 3, "quote"),
    ("a \"\"", 3, "nothing to look for"),
    ("size:big", 6, "a size"), ("x size:>", 8, "a size"), ("size:2MiB..1MiB", 6, "range"),
    ("hash:12", 6, "hexadecimal"),
    ("hash:zzzzzzzzzz", 6, "hexadecimal"), ("name:", 6, "pattern"), ("\u{301}", 1, "nothing to look for"),
    ("size:<0", 6, "smaller"), ("size:>9223372036854775807", 6, "a size"),
  ])
  func errorsNameThePlace(_ query: String, _ column: Int, _ words: String) throws {
    let error = #expect(throws: QueryError.self) { try QueryParser.parse(query) }
    #expect(error?.column == column && error?.message.contains(words) == true, "\(query): \(String(describing: error))")
  }

  @Test func longOnesAreRefused() {
    #expect(throws: QueryError.self) { try QueryParser.parse(String(repeating: "a", count: 1_001)) }
    #expect(throws: QueryError.self) { try QueryParser.parse(String(repeating: "a ", count: 40)) }
    #expect(throws: QueryError.self) { try QueryParser.parse("name:" + String(repeating: "a", count: 200)) }
    #expect(Query(keywords: ["", " ", "\u{301}"]) == nil)
  }

  @Test func parsingTakesAnything() {
    var random = RandomStream(seed: 7)
    let parts = [
      "\"", "name:", "size:", "hash:", ">", "..", "1MiB", "*", "?", " ", "é", "\0", "word", "\u{1F600}", "ab12",
    ]
    for _ in 0..<5_000 {
      var text = ""
      for _ in 0..<random.next(below: 12) { text += parts[Int(random.next(below: UInt64(parts.count)))] }
      guard let query = try? QueryParser.parse(text) else { continue }
      _ = query.matches(FoldedName(name: Array(text.utf8), path: nil), size: 0...1, root: Hash256())
      #expect(!query.keywords.isEmpty)
    }
  }

  @Test func bytesAreFoundWhereTheyStand() {
    var random = RandomStream(seed: 3)
    for round in 0..<3_000 {
      let letters = UInt64(round % 3 + 1)
      let text = (0..<Int(random.next(below: 80))).map { _ in UInt8(97 + random.next(below: letters)) }
      let needle = (0..<Int(random.next(below: 6)) + 1).map { _ in UInt8(97 + random.next(below: letters)) }
      var expected = -1
      for place in 0..<max(0, text.count - needle.count + 1)
      where text[place..<place + needle.count] == needle[...] && expected < 0 { expected = place }
      let found = text.withUnsafeBytes { ByteSearch(needle).find(in: $0, from: 0, to: $0.count) }
      #expect(found == expected, "\(needle) in \(text)")
    }
  }

  /// A glob by its definition, to hold the quick one against.
  private func matches(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
    guard let first = pattern.first else { return name.isEmpty }
    if first == UInt8(ascii: "*") {
      return matches(pattern.dropFirst(), name) || (!name.isEmpty && matches(pattern, name.dropFirst()))
    }
    guard let head = name.first, first == head || first == UInt8(ascii: "?") else { return false }
    return matches(pattern.dropFirst(), name.dropFirst())
  }

  @Test func globsMatchAsTheyAreDefined() throws {
    var random = RandomStream(seed: 5)
    let letters = Array("ab*?".utf8)
    for _ in 0..<5_000 {
      let pattern = (0..<Int(random.next(below: 8))).map { _ in letters[Int(random.next(below: 4))] }
      let name = (0..<Int(random.next(below: 10))).map { _ in letters[Int(random.next(below: 2))] }
      let glob = try #require(Glob(pattern))
      let found = name.withUnsafeBytes { glob.matches($0) }
      #expect(found == matches(pattern[...], name[...]), "\(pattern) on \(name)")
    }
  }

  @Test func hardPatternsCostNoMoreThanEasyOnes() throws {
    // With going back, each star would multiply the work; with none, this is a few million steps.
    // A query is kept for a while, with all its patterns.
    #expect(try #require(Glob(Array("*a*".utf8))).tableBytes <= 512)
    let glob = try #require(Glob(Array((String(repeating: "*a", count: 60) + "*b").utf8)))
    let word = ByteSearch(Array((String(repeating: "a", count: 500) + "b" + String(repeating: "a", count: 499)).utf8))
    let name = [UInt8](repeating: UInt8(ascii: "a"), count: 100_000)
    let took = computing {
      #expect(!name.withUnsafeBytes { glob.matches($0) })
      #expect(!word.isIn(name))
    }
    #expect(took < .seconds(5))
  }
}
