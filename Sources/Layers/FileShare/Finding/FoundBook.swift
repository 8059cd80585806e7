// FoundBook: the files that searches have found: by which number and name people know them, and who holds them.
import PeersterVocabulary
import StackCore

/// What was found, bounded: of too many files those go that were found first.
struct FoundBook: Sendable {
  /// A file that was found. Nothing of it is proven.
  struct Entry: Sendable, Hashable {
    var root: Hash256
    /// The number that the search gave it, and what it is called, made safe.
    var number: Int?
    var name: SafeName
    var size: Int64?
    /// Who is said to hold it; what they hold of it is asked of themselves.
    var holders: [FileHolder] = []
  }

  private var entries: [Hash256: Entry] = [:]
  private var roots: [Int: Hash256] = [:]
  /// In the order in which they were found; those before `head` are gone.
  private var order: [Hash256] = []
  private var head = 0

  /// The most files, and the most holders of one: with the longest names about 3 MiB in all.
  static let mostFiles = 2_048
  static let mostHolders = 16
  static let longestName = 255

  /// How many files are known.
  var count: Int { entries.count }

  /// What is known of a file.
  subscript(_ root: Hash256) -> Entry? { entries[root] }
  /// The file of a number.
  subscript(number number: Int) -> Entry? { roots[number].flatMap { entries[$0] } }

  /// The files of a name, in the order in which they were found; where none is called just so, those that differ in
  /// case alone.
  func named(_ name: String) -> [Entry] {
    let all = order[head...].compactMap { entries[$0] }
    let same = all.filter { $0.name.text.utf8.elementsEqual(name.utf8) }
    return same.isEmpty ? all.filter { $0.name.text.lowercased() == name.lowercased() } : same
  }

  /// Takes news of a file.
  mutating func take(_ news: FileHolders) {
    if entries[news.root] == nil {
      if entries.count >= Self.mostFiles { forgetFirst() }
      order.append(news.root)
      entries[news.root] = Entry(root: news.root, name: SafeName(bytes: Array(news.name.bytes.prefix(1_024))))
    }
    guard var entry = entries[news.root] else { return }
    if let number = news.number, entry.number != number {
      if let old = entry.number { roots[old] = nil }
      // A number is never given twice by one search layer; should it be, the newest counts.
      if let other = roots[number] { entries[other]?.number = nil }
      entry.number = number
      roots[number] = news.root
    }
    entry.size = entry.size ?? news.size
    for holder in news.holders { Self.add(holder, to: &entry.holders) }
    entries[news.root] = entry
  }

  /// The newest holders push out the oldest: these are the likeliest to be gone.
  private static func add(_ told: FileHolder, to holders: inout [FileHolder]) {
    var holder = FileHolder(name: told.name, address: told.address)
    if let name = holder.name, name.isEmpty || name.bytes.count > longestName { holder.name = nil }
    guard holder.name != nil || holder.address != nil else { return }
    holders.removeAll { $0 == holder }
    if holders.count >= mostHolders { holders.removeFirst() }
    holders.append(holder)
  }

  private mutating func forgetFirst() {
    if let number = entries.removeValue(forKey: order[head])?.number { roots[number] = nil }
    head += 1
    if head > Self.mostFiles {
      order.removeFirst(head)
      head = 0
    }
  }
}
