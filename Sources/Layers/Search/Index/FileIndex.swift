// FileIndex: the names of all local files, folded and side by side: to look through them is one pass over bytes.
import PeersterVocabulary
import StackCore

/// An index over the files that are held here, by the places at which they stand there.
///
/// The folded paths lie in parts of a few thousand files, with a zero after each. The rarest of the words is looked for
/// in a whole part at once; only where it stands is the rest of the query asked. New files go to the end of the last
/// part, and those that are gone are marked; a part of which most are gone gives the others to the last one. So a
/// change costs the same however many files there are. A file takes about 60 bytes and its path.
struct FileIndex: Sendable {
  /// A file that was found.
  struct Found {
    var place: Int
    var root: Hash256
  }

  private var parts: [IndexPart] = [IndexPart()]
  /// Where the next file goes, and parts that are empty.
  private var last = 0
  private var free: [Int] = []
  /// For each place its part and its number there, in one; `none` where there is no file.
  private var spots: [UInt32] = []
  private static let none = UInt32.max

  /// How many files are in it.
  private(set) var count = 0
  /// How many bytes are looked through for a word.
  private(set) var scanBytes = 0
  /// How many bytes it takes.
  var memoryBytes: Int { parts.reduce(4 * spots.count) { $0 + $1.memoryBytes } }

  /// Whether a file is in it.
  func holds(_ place: Int) -> Bool { spot(place) != nil }

  private func spot(_ place: Int) -> (part: Int, file: Int)? {
    guard spots.indices.contains(place), spots[place] != Self.none else { return nil }
    let spot = Int(spots[place])
    return (spot / IndexPart.mostFiles, spot % IndexPart.mostFiles)
  }

  private mutating func set(_ place: Int, _ part: Int, _ file: Int) {
    spots[place] = UInt32(part * IndexPart.mostFiles + file)
  }

  /// Takes up the file that stands at a place now.
  mutating func put(_ file: HeldFile, at place: Int) {
    guard place >= 0, place < Int(Int32.max) else { return }
    makeRoom()
    let number = parts[last].count
    let before = parts[last].bytes
    parts[last].append(file, at: Int32(place))
    let old = spot(place)
    if let old, parts[old.part].isSame(old.file, as: number, of: parts[last]) { return parts[last].removeLast() }
    while spots.count <= place { spots.append(Self.none) }
    set(place, last, number)
    count += 1
    scanBytes += parts[last].bytes - before
    if let old { forget(old.part, old.file) }
  }

  /// Forgets the file at a place.
  mutating func remove(at place: Int) {
    guard let (part, file) = spot(place) else { return }
    spots[place] = Self.none
    forget(part, file)
  }

  private mutating func forget(_ part: Int, _ file: Int) {
    parts[part].remove(file)
    count -= 1
    if part != last, parts[part].isSparse { empty(part) }
  }

  /// Sees that the last part has room for one more.
  private mutating func makeRoom() {
    guard parts[last].isFull else { return }
    let full = last
    last = free.popLast() ?? parts.count
    if last == parts.count { parts.append(IndexPart()) }
    if parts[full].isSparse { empty(full) }
  }

  /// Has the files of a part of which most are gone stand in the last one.
  private mutating func empty(_ part: Int) {
    let old = parts[part]
    parts[part] = IndexPart()
    scanBytes -= old.bytes
    for file in 0..<old.count where old.place(of: file) >= 0 {
      makeRoom()
      let before = parts[last].bytes
      set(Int(old.place(of: file)), last, parts[last].count)
      parts[last].append(old, file)
      scanBytes += parts[last].bytes - before
    }
    free.append(part)
  }

  /// Calls `body` with each file that a query means, in an order that only depends on what has happened, until it
  /// answers false.
  func search(_ query: Query, _ body: (Found) -> Bool) {
    let driver = query.isAny ? nil : driver(query)
    for part in parts where part.count > 0 { if !part.search(query, driver, body) { return } }
  }

  /// Of the plain texts that every match holds, the one that is rarest in three samples of the names; of equally rare
  /// ones the longest. A word that stands in every path would have every file looked at.
  private func driver(_ query: Query) -> ByteSearch? {
    var best: (count: Int, word: ByteSearch)?
    let samples = [0, parts.count / 2, parts.count - 1]
    for term in query.terms {
      let words: [ByteSearch]
      switch term {
      case .word(let search): words = [search]
      case .name(let glob): words = glob.literals.map { ByteSearch($0) }
      case .size, .hash: continue
      }
      for word in words {
        let count = samples.reduce(0) { $0 + parts[$1].sample(word) }
        if let known = best, known.count < count { continue }
        if let known = best, known.count == count, known.word.needle.count >= word.needle.count { continue }
        best = (count, word)
      }
    }
    return best?.word
  }
}

/// Some of the files of an index.
private struct IndexPart: Sendable {
  private var folded: [UInt8] = []
  /// Where each file's path begins, and one more at the end; and where its name begins.
  private var starts: [UInt32] = [0]
  private var nameStarts: [UInt32] = []
  private var sizes: [Int64] = []
  private var roots: [Hash256] = []
  /// Where each file stands in the library; -1 once it is gone.
  private var places: [Int32] = []
  private var living = 0

  /// The most files of a part, and the bytes of paths after which it takes no further one.
  static let mostFiles = 4_096
  static let enoughBytes = 1 << 20

  var count: Int { places.count }
  var bytes: Int { folded.count }
  var memoryBytes: Int { bytes + 52 * count }
  var isFull: Bool { count >= Self.mostFiles || bytes >= Self.enoughBytes }
  /// Whether more files are gone than are there.
  var isSparse: Bool { 2 * living < count }

  func place(of file: Int) -> Int32 { places[file] }

  /// Adds a file.
  mutating func append(_ file: HeldFile, at place: Int32) {
    let start = folded.count
    Folding.append(file.path, to: &folded)
    let name = folded[start...].lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? start
    folded.append(0)
    finish(place, name: name, size: file.size, root: file.root)
  }

  /// Adds a file of another part.
  mutating func append(_ other: IndexPart, _ file: Int) {
    let start = Int(other.starts[file])
    let name = folded.count + Int(other.nameStarts[file]) - start
    folded.append(contentsOf: other.folded[start..<Int(other.starts[file + 1])])
    finish(other.places[file], name: name, size: other.sizes[file], root: other.roots[file])
  }

  private mutating func finish(_ place: Int32, name: Int, size: Int64, root: Hash256) {
    starts.append(UInt32(folded.count))
    nameStarts.append(UInt32(name))
    sizes.append(size)
    roots.append(root)
    places.append(place)
    living += 1
  }

  /// Marks a file as gone.
  mutating func remove(_ file: Int) {
    places[file] = -1
    living -= 1
  }

  /// Takes back the file that was added last.
  mutating func removeLast() {
    starts.removeLast()
    nameStarts.removeLast()
    sizes.removeLast()
    roots.removeLast()
    places.removeLast()
    folded.removeLast(folded.count - Int(starts[starts.count - 1]))
    living -= 1
  }

  /// Whether a file is found by the same queries as one of another part.
  func isSame(_ file: Int, as other: Int, of part: IndexPart) -> Bool {
    roots[file] == part.roots[other] && sizes[file] == part.sizes[other]
      && folded[path(file)].elementsEqual(part.folded[part.path(other)])
  }

  private func path(_ file: Int) -> Range<Int> { Int(starts[file])..<Int(starts[file + 1]) - 1 }

  /// How often a word stands in a stretch from the middle.
  func sample(_ word: ByteSearch) -> Int {
    let size = 8_192
    let start = max(0, (bytes - size) / 2)
    return folded.withUnsafeBytes { word.count(in: $0, start..<min(bytes, start + size)) }
  }

  /// Calls `body` with each file that a query means; false once that has answered false. Where there is a `driver`, it
  /// stands in the path of each.
  func search(_ query: Query, _ driver: ByteSearch?, _ body: (FileIndex.Found) -> Bool) -> Bool {
    folded.withUnsafeBytes { text in
      if let driver { return each(of: driver, text) { ask(query, $0, text, body) } }
      // Where any word will do, each marks its files, and then these are asked.
      var marked = [Bool](repeating: !query.isAny, count: count)
      if query.isAny {
        for case .word(let word) in query.terms {
          _ = each(of: word, text) { file in
            marked[file] = true
            return true
          }
        }
      }
      for file in marked.indices where marked[file] && !ask(query, file, text, body) { return false }
      return true
    }
  }

  /// Has `body` know of a file if a query means it.
  private func ask(
    _ query: Query, _ file: Int, _ text: UnsafeRawBufferPointer, _ body: (FileIndex.Found) -> Bool
  ) -> Bool {
    guard places[file] >= 0 else { return true }
    let path = path(file)
    let facts = QueryFacts(
      path: UnsafeRawBufferPointer(rebasing: text[path]), nameStart: Int(nameStarts[file]) - path.lowerBound,
      size: sizes[file]...sizes[file], root: roots[file])
    return !query.matches(facts) || body(FileIndex.Found(place: Int(places[file]), root: roots[file]))
  }

  /// Calls `body` once for each file in whose path a word stands, until it answers false; then answers false.
  private func each(of word: ByteSearch, _ text: UnsafeRawBufferPointer, _ body: (Int) -> Bool) -> Bool {
    var place = 0
    while case let hit = word.find(in: text, from: place, to: text.count), hit >= 0 {
      let file = fileAt(hit)
      let end = Int(starts[file + 1])
      // What a zero byte in a word would find across two files is none.
      if hit + word.needle.count < end, !body(file) { return false }
      place = end
    }
    return true
  }

  /// In which file's path a place lies.
  private func fileAt(_ place: Int) -> Int {
    var (low, high) = (0, count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= UInt32(place) { low = middle } else { high = middle }
    }
    return low
  }
}
