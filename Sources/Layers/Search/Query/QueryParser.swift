// QueryParser: reads a query as people write it, and says where one can't be read.
import StackCore

/// Why a query can't be read.
struct QueryError: Error, Hashable, CustomStringConvertible {
  /// Which character it is about, counted from 1, and what would be right.
  var column: Int
  var message: String
  var description: String { "character \(column): \(message)" }
}

/// Reads words, `"phrases"`, `name:`, `size:` and `hash:`, in one pass.
struct QueryParser {
  private let characters: [Unicode.Scalar]
  private var place = 0

  private init(_ text: String) { characters = Array(text.unicodeScalars) }

  /// The query that a text writes.
  static func parse(_ text: String) throws(QueryError) -> Query {
    guard text.utf8.count <= Query.longest else {
      throw QueryError(column: 1, message: "a query has at most \(Query.longest) bytes, this one \(text.utf8.count)")
    }
    var parser = QueryParser(text)
    return try parser.query(text)
  }

  private mutating func query(_ text: String) throws(QueryError) -> Query {
    var terms: [Query.Term] = []
    var words: [String] = []
    while skipBlanks() {
      guard terms.count < Query.mostTerms else {
        throw QueryError(column: place + 1, message: "a query has at most \(Query.mostTerms) terms")
      }
      let start = place
      if let field = field() {
        terms.append(try filter(field, start))
      } else {
        let word = try value()
        let folded = Folding.fold(word)
        guard folded.contains(where: { $0 > 0x20 }) else {
          throw QueryError(column: start + 1, message: "nothing to look for in \"\(word)\"")
        }
        terms.append(.word(ByteSearch(folded)))
        words.append(word)
      }
    }
    if terms.isEmpty {
      throw QueryError(column: 1, message: "an empty query: give a word, \"a phrase\", name:, size: or hash:")
    }
    return Query(text: text, terms: terms, words: words)
  }

  private static func isBlank(_ scalar: Unicode.Scalar) -> Bool { scalar.properties.isWhitespace }

  /// Passes over blanks; whether anything is left.
  private mutating func skipBlanks() -> Bool {
    while place < characters.count, Self.isBlank(characters[place]) { place += 1 }
    return place < characters.count
  }

  /// A field's name and its colon; without them, nothing is read.
  private mutating func field() -> String? {
    for name in ["name", "size", "hash"] {
      let end = place + name.unicodeScalars.count
      guard end < characters.count, characters[end] == ":" else { continue }
      let found = characters[place..<end].map { $0.properties.lowercaseMapping }.joined()
      guard found == name else { continue }
      place = end + 1
      return name
    }
    return nil
  }

  /// Text up to a blank, or between quotes; `""` within quotes is one quote.
  private mutating func value() throws(QueryError) -> String {
    var value = String.UnicodeScalarView()
    guard place < characters.count, characters[place] == "\"" else {
      while place < characters.count, !Self.isBlank(characters[place]) {
        value.append(characters[place])
        place += 1
      }
      return String(value)
    }
    let start = place
    place += 1
    while place < characters.count {
      if characters[place] == "\"" {
        guard place + 1 < characters.count, characters[place + 1] == "\"" else {
          place += 1
          return String(value)
        }
        place += 1
      }
      value.append(characters[place])
      place += 1
    }
    throw QueryError(column: start + 1, message: "a quote that isn't closed")
  }

  private mutating func filter(_ field: String, _ start: Int) throws(QueryError) -> Query.Term {
    let column = place + 1
    let text = try value()
    switch field {
    case "name":
      let folded = Folding.fold(text)
      if folded.isEmpty { throw QueryError(column: column, message: "name: wants a pattern such as *.pdf") }
      guard let glob = Glob(folded) else {
        throw QueryError(column: column, message: "a pattern has at most \(Glob.most) bytes")
      }
      return .name(glob)
    case "size": return .size(try Self.size(text, column))
    default:
      guard text.utf8.count >= Query.fewestDigits, let prefix = HashPrefix(text) else {
        throw QueryError(
          column: column, message: "hash: wants \(Query.fewestDigits) to 64 hexadecimal digits, found \"\(text)\"")
      }
      return .hash(prefix)
    }
  }

  /// `>1MiB`, `>=1MiB`, `<`, `<=`, `1MiB`, `1MiB..2MiB`.
  private static func size(_ text: String, _ column: Int) throws(QueryError) -> ClosedRange<Int64> {
    let wanted = QueryError(
      column: column, message: "size: wants a size such as >1MiB, <=10kB or 1MiB..2MiB, found \"\(text)\"")
    func bytes(_ text: Substring) throws(QueryError) -> Int64 {
      guard let count = ByteCount(text: String(text)), count.bytes >= 0 else { throw wanted }
      return count.bytes
    }
    if text.hasPrefix(">=") { return try bytes(text.dropFirst(2))...Int64.max }
    if text.hasPrefix("<=") { return try 0...bytes(text.dropFirst(2)) }
    if text.hasPrefix(">") {
      let least = try bytes(text.dropFirst())
      guard least < .max else { throw wanted }
      return least + 1...Int64.max
    }
    if text.hasPrefix("<") {
      let most = try bytes(text.dropFirst())
      guard most > 0 else { throw QueryError(column: column, message: "nothing is smaller than 0 bytes") }
      return 0...most - 1
    }
    let utf8 = Array(text.utf8)
    for place in utf8.indices.dropLast() where utf8[place] == UInt8(ascii: ".") && utf8[place + 1] == utf8[place] {
      let least = try bytes(Substring(String(decoding: utf8[..<place], as: UTF8.self)))
      let most = try bytes(Substring(String(decoding: utf8[(place + 2)...], as: UTF8.self)))
      guard least <= most else { throw QueryError(column: column, message: "a range from the larger to the smaller") }
      return least...most
    }
    let exact = try bytes(text[...])
    return exact...exact
  }
}
