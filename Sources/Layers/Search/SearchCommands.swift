// SearchCommands: what people and programs can ask of Search.
import PeersterVocabulary
import StackCore

struct FindInput: CommandInput {
  @Argument("Words, \"a phrase\", name:*.pdf, size:>1MiB, hash:….", count: 1...100) var words: [String]
  @Argument("How the query spreads: ring or flood.") var mode: SearchMode?
  @Argument("How long answers are awaited.", in: .milliseconds(10) ... .seconds(3_600)) var timeout: Duration?
  @Argument("How many files, held whole by others, end the search; 0: only the timeout does.", in: 0...1_000)
  var min: Int?
  @Argument("End at the first valid answer.") var first = false
  @Argument("Any of the words is enough, as for Peersters.") var any = false
  @Argument("One ring only, which may ask so many nodes.", in: 1...1_000_000) var budget: Int?
  @Argument("How many hops a flood goes.", in: 1...32) var ttl: Int?
  @Argument("How many files are listed at the end.", in: 1...1_000) var limit = 100
}

/// A holder as people see it.
public struct HolderNews: Codable, Sendable {
  var name: WireText?
  var address: Address?
  /// How many nodes lie between, where that is known.
  var hops: Int?
  var isWhole: Bool
  /// How many of the chunks it has.
  var chunks: Int
}

/// A file that was found, as far as is known now.
public struct FoundFileNews: Codable, Sendable {
  /// By this number, `fileshare download` knows it.
  var number: Int
  var name: WireText
  var path: WireText?
  var size: Int64?
  /// The bytes in a chunk, where that was told: with it, root, size and name make a link.
  var chunkSize: Int?
  var root: Hash256
  /// Whether it is held here, and whether the holders together have all of it.
  var isLocal: Bool
  var isFull: Bool
  /// Whether somebody has answered for it; otherwise it is remembered from before.
  var isAnswered: Bool
  var holders: [HolderNews]

  init(_ file: FoundFile) {
    let count = file.claim.chunkCount
    number = file.number
    (name, path, size, root) = (file.claim.name, file.claim.path, file.claim.size, file.claim.root)
    chunkSize = file.claim.chunkSize
    (isLocal, isFull, isAnswered) = (file.isLocal, file.held == .all, file.isAnswered)
    holders = file.holders.map { holder in
      let chunks =
        switch holder.held {
        case .all: count
        case .ranges(let ranges): ranges.reduce(0) { $0 + $1.count }
        }
      return HolderNews(
        name: holder.name.isEmpty ? nil : holder.name, address: holder.address, hops: holder.hops,
        isWhole: holder.held == .all, chunks: chunks)
    }
  }
}

extension FoundFileNews: JSONWritable {
  /// What `encode` writes, without asking of each value what it is: a search tells up to a thousand of these at once.
  public var json: JSON {
    var object = JSONObject()
    object.reserveCapacity(10)
    object["number"] = JSON(number)
    object["name"] = name.json
    if let path { object["path"] = path.json }
    if let size { object["size"] = .integer(size) }
    if let chunkSize { object["chunkSize"] = JSON(chunkSize) }
    object["root"] = root.json
    object["isLocal"] = .bool(isLocal)
    object["isFull"] = .bool(isFull)
    object["isAnswered"] = .bool(isAnswered)
    object["holders"] = .array(
      holders.map { holder in
        var object = JSONObject()
        if let name = holder.name { object["name"] = name.json }
        if let address = holder.address { object["address"] = .string("\(address)") }
        if let hops = holder.hops { object["hops"] = JSON(hops) }
        object["isWhole"] = .bool(holder.isWhole)
        object["chunks"] = JSON(holder.chunks)
        return .object(object)
      })
    return .object(object)
  }
}

/// What a search has found.
public struct SearchSummary: Codable, Sendable {
  var id: String
  var ending: SearchEnding
  var fullMatches: Int
  /// How many files there are, and the first of them.
  var count: Int
  var files: [FoundFileNews]

  init(_ search: OwnSearch, _ ending: SearchEnding) {
    id = Search.text(search.id)
    self.ending = ending
    (fullMatches, count) = (search.results.fullMatches, search.results.files.count)
    files = search.results.files.prefix(search.limit).map { FoundFileNews($0) }
  }
}

struct RecentInput: CommandInput {
  @Argument("How many, the newest of them.", in: 1...10_000) var limit = 50
}

/// Queries that came by or were ours, the newest first.
struct RecentQueries: Codable, Sendable {
  struct Answer: Codable, Sendable {
    var at: Instant
    var name: WireText
    var hash: Hash256
    var holder: WireText
    var host: String?
    var port: Int?
  }
  struct Entry: Codable, Sendable {
    var time: Instant
    var words: String
    var id: String
    /// The hash that was asked for, where one was.
    var hash: Hash256?
    var mode: SearchMode
    var isOurs: Bool
    var origin: WireText?
    var from: Address?
    /// To whom it went: the first of them, and how many in all.
    var to: [Address]
    var sent: Int
    /// Who answered: the first of them, and how many in all.
    var answers: [Answer]
    var answered: Int
  }
  var queries: [Entry]
}

struct CacheInput: CommandInput {
  @Argument("How many, the newest of them.", in: 1...10_000) var limit = 50
  @Argument("Forget them all.") var clear = false
}

/// Hits that are kept, the newest first.
struct CachedHits: Codable, Sendable {
  struct Entry: Codable, Sendable {
    var name: WireText
    var hash: Hash256
    var size: Int64?
    var holder: WireText
    var host: String?
    var port: Int?
    var isWhole: Bool
    var learned: Instant
    var expires: Instant
    var uses: Int
  }
  var count: Int
  /// How many were forgotten by this call.
  var cleared: Int
  var hits: [Entry]
}

extension Search {
  func declareCommands(_ setup: LayerSetup<Search>) {
    setup.stream(
      "find", "Finds files by words, name, size or hash; tells each as it is found.",
      examples: ["annual report", "holiday 'name:*.mp4' --mode flood --min 1", "'hash:2be435ce7a0eebeb' --first"],
      Search.find, cancelled: Search.cancelled)
    setup.command(
      "recent", "Shows the queries that came by lately, and who answered them.", examples: ["", "--limit 10"],
      Search.recent)
    setup.command("cache", "Shows the hits that are kept.", examples: ["", "--clear"], Search.cached)
  }

  /// The words of a command line as one query: several arguments are words and phrases, one is a query as it stands.
  static func text(of words: [String]) -> String {
    if words.count == 1 { return words[0] }
    return words.map { word in
      let isPhrase = word.contains(" ") && !word.contains("\"")
      return isPhrase ? "\"\(word)\"" : word
    }.joined(separator: " ")
  }

  private func query(_ input: FindInput) throws -> Query {
    let text = Self.text(of: input.words)
    if !input.any {
      do { return try QueryParser.parse(text) } catch {
        throw CommandError(.invalid, code: "query", "the query \"\(text)\": \(error)")
      }
    }
    let words = input.words.flatMap { $0.split(whereSeparator: \.isWhitespace).map(String.init) }
    guard text.utf8.count <= Query.longest, words.count <= Query.mostTerms, let query = Query(keywords: words) else {
      throw CommandError(
        .invalid, code: "query", "give 1 to \(Query.mostTerms) words of at most \(Query.longest) bytes together")
    }
    return query
  }

  private func find(
    _ input: FindInput, _ call: CommandCall<FoundFileNews, SearchSummary>, _ context: borrowing LayerContext<Search>
  ) throws {
    let query = try query(input)
    guard searches.count < Self.mostSearches else {
      throw CommandError(.unavailable, code: "too-many", "\(Self.mostSearches) searches are under way already")
    }
    let rings =
      if let budget = input.budget { RingState(only: UInt64(budget)) } else {
        RingState(first: UInt64(config.budget), most: UInt64(max(config.budget, config.largestBudget)))
      }
    begin(
      OwnSearch(
        id: max(1, context.unguessable()), query: query, mode: input.mode ?? config.mode,
        deadline: context.now + (input.timeout ?? config.timeout), nextRing: nil, rings: rings,
        timeToLive: UInt32(input.ttl ?? config.timeToLive), enough: input.min ?? config.matches,
        endsAtFirst: input.first, limit: input.limit, call: call), context)
  }

  private func recent(_ input: RecentInput, _ context: borrowing LayerContext<Search>) -> RecentQueries {
    RecentQueries(
      queries: traces.newest(input.limit).map { trace in
        RecentQueries.Entry(
          time: trace.first, words: trace.query.text, id: Self.text(trace.id), hash: trace.query.hash,
          mode: trace.mode, isOurs: trace.from == nil, origin: trace.origin.map { Claim.shown($0) }, from: trace.from,
          to: trace.to, sent: trace.toCount,
          answers: trace.answers.map {
            .init(
              at: $0.at, name: $0.name, hash: $0.root, holder: $0.holder, host: $0.address?.host,
              port: $0.address.map { Int($0.port) })
          }, answered: trace.answerCount)
      })
  }

  private func cached(_ input: CacheInput, _ context: borrowing LayerContext<Search>) -> CachedHits {
    let cleared = input.clear ? cache.clear() : 0
    let newest = cache.hits.sorted { $0.learned > $1.learned }.prefix(input.limit)
    return CachedHits(
      count: cache.count, cleared: cleared,
      hits: newest.map {
        .init(
          name: $0.claim.name, hash: $0.claim.root, size: $0.claim.size, holder: $0.holder.name,
          host: $0.holder.address?.host, port: $0.holder.address.map { Int($0.port) }, isWhole: $0.claim.isWhole,
          learned: $0.learned, expires: $0.expires, uses: $0.uses)
      })
  }
}
