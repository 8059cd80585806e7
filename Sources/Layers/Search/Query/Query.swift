// Query: what is looked for, as terms that a file is held against.
import StackCore

/// What is looked for. All terms must hold of a file; of a Peerster's keywords, any.
struct Query: Sendable {
  /// One thing that must hold.
  enum Term: Sendable {
    /// A word or a phrase, folded: somewhere in the path.
    case word(ByteSearch)
    /// A pattern for the file's own name.
    case name(Glob)
    /// A range of sizes.
    case size(ClosedRange<Int64>)
    /// How the root begins: so many hexadecimal digits.
    case hash(HashPrefix)
  }

  /// As it was written.
  let text: String
  let terms: [Term]
  /// Whether any of the words is enough, in the name alone, as Peersters have it.
  let isAny: Bool
  /// The words and phrases as they were written: what a Peerster is asked.
  let words: [String]

  /// The most bytes in a query, and the most terms.
  static let longest = 1_000
  static let mostTerms = 32
  /// The fewest digits of a hash.
  static let fewestDigits = 8

  init(text: String, terms: [Term], isAny: Bool = false, words: [String] = []) {
    (self.text, self.isAny, self.words) = (text, isAny, words)
    // What costs least is asked first.
    self.terms = terms.filter { !$0.readsText } + terms.filter(\.readsText)
  }

  /// The query of a Peerster's keywords; nil when there is nothing in them to look for. Those beyond the most are left
  /// out, as are empty ones.
  init?(keywords: [String]) {
    var terms: [Term] = []
    var words: [String] = []
    for keyword in keywords.prefix(Self.mostTerms) where keyword.utf8.count <= Self.longest {
      let folded = Folding.fold(keyword)
      if folded.allSatisfy({ $0 <= 0x20 }) { continue }
      terms.append(.word(ByteSearch(folded)))
      words.append(keyword)
    }
    if terms.isEmpty { return nil }
    self.init(text: words.joined(separator: " "), terms: terms, isAny: true, words: words)
  }

  /// What Peersters are asked: the words; without any, the longest plain part of a pattern; else the query itself, by
  /// which they find nothing.
  var keywords: [String] {
    if !words.isEmpty { return words }
    var longest: [UInt8] = []
    for case .name(let glob) in terms where glob.literal.count > longest.count { longest = glob.literal }
    return [longest.isEmpty ? text : String(decoding: longest, as: UTF8.self)]
  }

  /// The hash that is asked for, where it is all of it.
  var hash: Hash256? {
    for case .hash(let prefix) in terms { if let root = prefix.whole { return root } }
    return nil
  }
}

/// The first digits of a hash.
struct HashPrefix: Sendable, Hashable {
  let digits: String
  /// The lowest and the highest hash that begin so.
  let lowest: Hash256
  let highest: Hash256

  /// These hexadecimal digits, at most 64; nil when there are others among them.
  init?(_ digits: String) {
    let digits = digits.lowercased()
    let count = digits.utf8.count
    guard count <= 64, let lowest = Hash256(hex: digits + String(repeating: "0", count: 64 - count)),
      let highest = Hash256(hex: digits + String(repeating: "f", count: 64 - count))
    else { return nil }
    (self.digits, self.lowest, self.highest) = (digits, lowest, highest)
  }

  /// The hash, where all of it is given.
  var whole: Hash256? { digits.utf8.count == 64 ? lowest : nil }

  func matches(_ root: Hash256) -> Bool { lowest <= root && root <= highest }
}

/// What is known of a file when it is held against a query.
struct QueryFacts {
  /// The folded path, and where in it the file's own name begins.
  let path: UnsafeRawBufferPointer
  let nameStart: Int
  /// What its size may be: others don't always tell it.
  let size: ClosedRange<Int64>
  let root: Hash256
}

extension Query {
  /// Whether a file may be meant. Where its size is not known for certain, it is given the benefit of the doubt.
  func matches(_ file: QueryFacts) -> Bool {
    let name = UnsafeRawBufferPointer(rebasing: file.path[file.nameStart...])
    if isAny { return terms.contains { $0.matches(file, path: name, name: name) } }
    return terms.allSatisfy { $0.matches(file, path: file.path, name: name) }
  }

  /// Whether a file of which others told may be meant.
  func matches(_ name: FoldedName, size: ClosedRange<Int64>, root: Hash256) -> Bool {
    name.bytes.withUnsafeBytes {
      matches(QueryFacts(path: $0, nameStart: name.nameStart, size: size, root: root))
    }
  }
}

/// A name as others wrote it, folded, with its path before it where they gave it.
struct FoldedName: Hashable, Sendable {
  private(set) var bytes: [UInt8] = []
  private(set) var nameStart = 0

  /// A name; a path that doesn't end with it is left out.
  init(name: [UInt8], path: [UInt8]?) {
    if let path, path.count > name.count, path.suffix(name.count) == name[...],
      path[path.count - name.count - 1] == UInt8(ascii: "/")
    {
      bytes = Folding.fold(bytes: Array(path.dropLast(name.count)))
      nameStart = bytes.count
    }
    bytes += Folding.fold(bytes: name)
  }
}

extension Query.Term {
  /// Whether the path has to be read for it.
  fileprivate var readsText: Bool {
    switch self {
    case .word, .name: true
    case .size, .hash: false
    }
  }

  func matches(_ file: QueryFacts, path: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer) -> Bool {
    switch self {
    case .word(let word): word.find(in: path, from: 0, to: path.count) >= 0
    case .name(let glob): glob.matches(name)
    case .size(let range): range.overlaps(file.size)
    case .hash(let prefix): prefix.matches(file.root)
    }
  }
}
