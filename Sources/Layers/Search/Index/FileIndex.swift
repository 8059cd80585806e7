// FileIndex: the names of all local files, folded and side by side: to look through them is one pass over bytes.
import PeersterVocabulary
import StackCore

/// An index over the files that are held here.
///
/// All folded paths lie in one buffer with a zero after each. The rarest of the words is looked
/// for in the whole buffer at once; only where it stands is the rest of the query asked. It costs about 60 bytes and
/// twice the path for a file.
struct FileIndex: Sendable {
  /// A file that was found.
  struct Found {
    var path: String
    var size: Int64
    var root: Hash256
  }

  private var folded: [UInt8] = []
  private var original: [UInt8] = []
  /// Where each file's path begins in the two buffers, and one more at the end; where in the folded one its name
  /// begins.
  private var foldedStarts: [UInt32] = [0]
  private var originalStarts: [UInt32] = [0]
  private var nameStarts: [UInt32] = []
  private var sizes: [Int64] = []
  private var roots: [Hash256] = []
  /// How many files were left out because there were too many.
  private(set) var leftOut = 0

  init() {}

  /// An index over the files of a service, at most so many.
  init(_ files: any FilesService, limit: Int) {
    let expected = min(files.fileCount, limit)
    sizes.reserveCapacity(expected)
    roots.reserveCapacity(expected)
    nameStarts.reserveCapacity(expected)
    var leftOut = 0
    files.forEachFile { file in
      if count < limit, add(file) { return true }
      leftOut += 1
      return count < limit
    }
    self.leftOut = max(leftOut, files.fileCount - count)
  }

  /// How many files are in it, and how many bytes are looked through for a word.
  var count: Int { roots.count }
  var scanBytes: Int { folded.count }
  /// How many bytes it takes.
  var memoryBytes: Int {
    folded.count + original.count + 4 * (foldedStarts.count + originalStarts.count + nameStarts.count)
      + 40 * roots.count
  }

  /// Adds a file; false when there is no room for its path.
  private mutating func add(_ file: HeldFile) -> Bool {
    guard folded.count + 4 * file.path.utf8.count < Int(UInt32.max) else { return false }
    let start = folded.count
    Folding.append(file.path, to: &folded)
    let name = folded[start...].lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? start
    folded.append(0)
    original.append(contentsOf: file.path.utf8)
    nameStarts.append(UInt32(name))
    foldedStarts.append(UInt32(folded.count))
    originalStarts.append(UInt32(original.count))
    sizes.append(file.size)
    roots.append(file.root)
    return true
  }

  private func found(_ file: Int) -> Found {
    let path = original[Int(originalStarts[file])..<Int(originalStarts[file + 1])]
    return Found(path: String(decoding: path, as: UTF8.self), size: sizes[file], root: roots[file])
  }

  /// Calls `body` with each file that a query means, in the order of the paths, until it answers false.
  func search(_ query: Query, _ body: (Found) -> Bool) {
    folded.withUnsafeBytes { text in
      if query.isAny { return searchAny(query, text, body) }
      guard let driver = Self.driver(query, text) else {
        for file in roots.indices where matches(query, file, text) && !body(found(file)) { return }
        return
      }
      each(of: driver, text) { file in !matches(query, file, text) || body(found(file)) }
    }
  }

  /// Of the plain texts that every match holds, the one that is rarest in three samples of the names; of equally rare
  /// ones the longest. A word that stands in every path would have every file looked at.
  private static func driver(_ query: Query, _ text: UnsafeRawBufferPointer) -> ByteSearch? {
    var best: (count: Int, word: ByteSearch)?
    for term in query.terms {
      let word: ByteSearch
      switch term {
      case .word(let search): word = search
      case .name(let glob) where !glob.literal.isEmpty: word = ByteSearch(glob.literal)
      case .name, .size, .hash: continue
      }
      let count = samples(text.count).reduce(0) { $0 + word.count(in: text, $1) }
      if let known = best, known.count < count { continue }
      if let known = best, known.count == count, known.word.needle.count >= word.needle.count { continue }
      best = (count, word)
    }
    return best?.word
  }

  /// Stretches at the start, in the middle and at the end.
  private static func samples(_ count: Int) -> [Range<Int>] {
    let size = 8_192
    guard count > 4 * size else { return [0..<count] }
    return [0, count / 2 - size / 2, count - size].map { $0..<$0 + size }
  }

  private func matches(_ query: Query, _ file: Int, _ text: UnsafeRawBufferPointer) -> Bool {
    let start = Int(foldedStarts[file])
    let path = UnsafeRawBufferPointer(rebasing: text[start..<Int(foldedStarts[file + 1]) - 1])
    return query.matches(
      QueryFacts(
        path: path, nameStart: Int(nameStarts[file]) - start, size: sizes[file]...sizes[file], root: roots[file]))
  }

  /// Calls `body` once for each file in whose path a word stands.
  private func each(of word: ByteSearch, _ text: UnsafeRawBufferPointer, _ body: (Int) -> Bool) {
    var place = 0
    while case let hit = word.find(in: text, from: place, to: text.count), hit >= 0 {
      let file = fileAt(hit)
      let end = Int(foldedStarts[file + 1])
      // What a zero byte in a word would find across two files is none.
      if hit + word.needle.count < end, !body(file) { return }
      place = end
    }
  }

  /// In which file's path a place lies.
  private func fileAt(_ place: Int) -> Int {
    var (low, high) = (0, roots.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if foldedStarts[middle] <= UInt32(place) { low = middle } else { high = middle }
    }
    return low
  }

  /// Any word will do: each marks its files, and then these are asked.
  private func searchAny(_ query: Query, _ text: UnsafeRawBufferPointer, _ body: (Found) -> Bool) {
    var marked = [Bool](repeating: false, count: count)
    for case .word(let word) in query.terms {
      each(of: word, text) { file in
        marked[file] = true
        return true
      }
    }
    for file in marked.indices where marked[file] && matches(query, file, text) && !body(found(file)) { return }
  }
}
