// IndexTests: the index of our own files, as it is made and as it follows what changes.
import PeersterVocabulary
import StackCore
import Testing

@testable import Search

@Suite struct IndexTests {
  private let config = TestFiles.Config()

  /// An index that has followed all there is.
  private func followed(_ files: Names, limit: Int = 100_000, slice: Int = .max) -> LocalFiles {
    var index = LocalFiles(limit: limit)
    while index.isBehind(files) { index.follow(files, slice: slice) }
    return index
  }

  private func paths(_ index: LocalFiles, _ query: Query, _ files: Names) -> [String] {
    index.find(query, most: .max, files).map(\.path)
  }

  /// What a query means, each file asked by itself.
  private func meant(_ query: Query, _ files: [HeldFile]) -> [HeldFile] {
    files.filter {
      let name = $0.path.split(separator: "/").last.map(String.init) ?? ""
      return query.matches(
        FoldedName(name: Array(name.utf8), path: Array($0.path.utf8)), size: $0.size...$0.size, root: $0.root)
    }
  }

  @Test func theIndexFindsWhatThereIs() throws {
    let files = Names(
      (0..<1_000).map { "folder \($0 % 10)/File number \($0).\($0 % 2 == 0 ? "pdf" : "txt")" }.map {
        TestFiles.file($0, config)
      })
    let index = followed(files)
    func paths(_ query: Query) -> [String] { self.paths(index, query, files) }
    #expect(index.count == 1_000)
    #expect(try paths(QueryParser.parse("number 77")).count == 19)
    #expect(try paths(QueryParser.parse("\"FOLDER 3/\" name:*.txt")).count == 100)
    #expect(try paths(QueryParser.parse("name:*5*.pdf")).allSatisfy { $0.hasSuffix(".pdf") && $0.contains("5") })
    #expect(try paths(QueryParser.parse("name:*number?42?.*")).count == 10)
    #expect(try paths(QueryParser.parse("size:>1MiB")).isEmpty)
    #expect(try paths(QueryParser.parse("size:20000")).count == 1_000)
    let root = TestFiles.root(of: "File number 5.txt")
    #expect(try paths(QueryParser.parse("hash:\(root.hex.prefix(20))")) == ["folder 5/File number 5.txt"])
    #expect(try #require(Query(keywords: ["number 5.", "number 6."])).isAny)
    #expect(paths(try #require(Query(keywords: ["number 5.", "number 6."]))).count == 2)
    // Peersters look at names, not at folders.
    #expect(paths(try #require(Query(keywords: ["folder"]))).isEmpty)
    // A word never reaches from one file into the next.
    #expect(paths(try #require(Query(keywords: ["pdf\0folder"]))).isEmpty)
    // What comes out is in order, and no more than is wanted.
    let all = try paths(QueryParser.parse("file"))
    #expect(all == all.sorted() && all.count == 1_000)
    #expect(try index.find(QueryParser.parse("file"), most: 7, files).count == 7)
  }

  @Test func theIndexAgreesWithAskingEachFile() throws {
    var random = RandomStream(seed: 11)
    let words = ["alpha", "Béta", "gamma", "ab", "a", "delta-9", "Ω", "pdf"]
    let files = (0..<400).map { number -> HeldFile in
      var path = ""
      for _ in 0...random.next(below: 3) {
        path += words[Int(random.next(below: 8))] + (random.next(below: 4) == 0 ? "/" : " ")
      }
      return TestFiles.file(path + "\(number).pdf", config)
    }
    var index = FileIndex()
    for (place, file) in files.enumerated() { index.put(file, at: place) }
    let terms = ["alpha", "BETA", "\"ab a\"", "name:*a*.pdf", "ω", "name:?b*", "1", "size:20000", "gamm"]
    for _ in 0..<200 {
      let text = (0...random.next(below: 2)).map { _ in terms[Int(random.next(below: 9))] }.joined(separator: " ")
      let query = try QueryParser.parse(text)
      var found: [HeldFile] = []
      index.search(query) {
        found.append(files[$0.place])
        return true
      }
      #expect(found == meant(query, files), "\(text)")
    }
  }

  /// Files come, go, are renamed and get other content, and places are used again. Whatever the slices by which an
  /// index follows: it never tells of what isn't so, and once it has followed it tells the same as one made anew.
  @Test(arguments: 1...12 as ClosedRange<UInt64>)
  func theIndexFollowsWhateverChanges(_ seed: UInt64) throws {
    var random = RandomStream(seed: seed)
    func below(_ bound: Int) -> Int { Int(random.next(below: UInt64(bound))) }
    let words = ["alpha", "Béta", "gamma", "ab", "delta", "Ω"]
    let files = Names()
    var version = 0
    func file() -> HeldFile {
      version += 1
      let path = "\(words[below(6)])/\(words[below(6)]) \(below(40)).txt"
      var file = TestFiles.file(path, config)
      file.size = Int64(1_000 * below(5))
      // Some have the content of others.
      file.root = TestFiles.root(of: below(4) == 0 ? "\(below(20))" : "\(seed) \(version)")
      return file
    }
    let texts = ["alpha", "BETA", "name:*ab*", "delta 1", "ω", "size:>=2000", "name:*m?a*2*.txt", "\"/gamma 3\""]
    let queries = try texts.map { try QueryParser.parse($0) } + [try #require(Query(keywords: ["ab", "béta"]))]
    var index = LocalFiles(limit: 100_000)
    for _ in 0..<300 {
      for _ in 0...below(12) {
        let present = files.placed.files.indices.filter { files.placed.files[$0] != nil }
        guard !present.isEmpty else {
          files.placed.add(file())
          continue
        }
        let place = present[below(present.count)]
        switch below(10) {
        case 0..<5: files.placed.add(file())
        case 5..<7: files.placed.set(place, nil)
        case 7:
          // Renamed: it goes from its place, and its root comes at another or at the same.
          var renamed = file()
          renamed.root = files.placed.files[place]?.root ?? renamed.root
          files.placed.set(place, nil)
          files.placed.add(renamed)
        case 8: files.placed.set(place, file())
        default: files.placed.set(place, files.placed.files[place])
        }
      }
      if below(3) > 0 { index.follow(files, slice: 1 + below(20)) }
      let query = queries[below(queries.count)]
      let right = meant(query, files.placed.held)
      let found = index.find(query, most: .max, files)
      #expect(found.allSatisfy { right.contains($0) })
      #expect(Set(found.map(\.root)).count == found.count)
      if !index.isBehind(files) { #expect(Set(found.map(\.root)) == Set(right.map(\.root)), "\(query.text)") }
    }
    while index.isBehind(files) { index.follow(files, slice: 7) }
    let anew = followed(files)
    #expect(index.count == files.fileCount && anew.count == files.fileCount)
    for query in queries {
      #expect(Set(index.find(query, most: .max, files).map(\.root)) == Set(meant(query, files.placed.held).map(\.root)))
      #expect(
        Set(index.find(query, most: .max, files).map(\.root)) == Set(anew.find(query, most: .max, files).map(\.root)))
    }
  }

  /// Parts fill, thin out and are emptied; the index stays as large as what is in it.
  @Test func theIndexShrinksWithTheLibrary() throws {
    var index = FileIndex()
    func file(_ number: Int) -> HeldFile { TestFiles.file("folder/number \(number) of many.bin", config) }
    for number in 0..<20_000 { index.put(file(number), at: number) }
    let full = (bytes: index.scanBytes, memory: index.memoryBytes)
    // The same again changes nothing.
    for number in 0..<500 { index.put(file(number), at: number) }
    #expect(index.count == 20_000 && index.scanBytes == full.bytes)
    for number in 0..<20_000 where number % 10 != 3 { index.remove(at: number) }
    #expect(index.count == 2_000 && index.scanBytes < full.bytes * 3 / 10, "\(index.scanBytes) of \(full.bytes)")
    // Others come at the same places, over and over.
    for round in 1...4 {
      for number in 0..<5_000 { index.put(file(round * 100_000 + number), at: number) }
    }
    #expect(index.count == 5_000 + 1_500)
    #expect(index.scanBytes < full.bytes && index.memoryBytes < full.memory)
    var found: [Int] = []
    index.search(try QueryParser.parse("\"number 4\"")) {
      found.append($0.place)
      return true
    }
    #expect(found.sorted() == Array(0..<5_000))
    found = []
    index.search(try QueryParser.parse("name:*993?of*")) {
      found.append($0.place)
      return true
    }
    // Of the last round every thousandth, and of those that stayed.
    let stayed = stride(from: 5_003, to: 20_000, by: 10).filter { $0 % 1_000 == 993 }
    #expect(found.sorted() == [993, 1_993, 2_993, 3_993, 4_993] + stayed)
  }

  @Test func filesBeyondTheLimitComeInOnceThereIsRoom() throws {
    let files = Names((0..<1_000).map { TestFiles.file("file \($0)", config) })
    var index = followed(files, limit: 100, slice: 30)
    #expect(index.count == 100 && index.isShort)
    for place in 0..<50 { files.placed.set(place, nil) }
    while index.isBehind(files) { index.follow(files, slice: 30) }
    #expect(index.count == 100 && index.isShort)
    for place in 50..<950 { files.placed.set(place, nil) }
    while index.isBehind(files) { index.follow(files, slice: 30) }
    #expect(index.count == 50 && !index.isShort)
    #expect(try paths(index, QueryParser.parse("file"), files).count == 50)
  }

  @Test func filesOnTheirWayAreFoundToo() throws {
    let files = Names([TestFiles.file("here.txt", config)])
    var half = TestFiles.file("half here.txt", config)
    half.held = .ranges([0..<1])
    var nothing = TestFiles.file("not here.txt", config)
    nothing.held = .ranges([])
    (files.arriving, files.arrivingRevision) = ([half, nothing], 1)
    var index = followed(files)
    let query = try QueryParser.parse("here")
    #expect(paths(index, query, files) == ["half here.txt", "here.txt"])
    (files.arriving, files.arrivingRevision) = ([], 2)
    // It has gone before the index hears of it.
    #expect(paths(index, query, files) == ["here.txt"])
    index.follow(files)
    #expect(index.count == 1)
  }
}
