// Listing: what is shared here as a list, and the lists of others, page by page.
import PeersterVocabulary
import StackCore

/// Asks for a page of what somebody shares.
struct ListRequest: WireMessage, Hashable {
  /// The asker's number for it, which the answer repeats.
  var number = Fixed64(0)
  /// How many files to pass over.
  var first: UInt64 = 0
  /// Only those whose path begins so.
  var below = ""

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "number", &number)
    try field(2, "first", &first)
    try field(3, "below", &below)
  }

  func check() throws(WireError) { if below.utf8.count > ListedFile.longestPath { throw .tooMany } }
  static let field: UInt32 = 128
}

/// A file in a list. Nothing of it is checked.
struct ListedFile: WireMessage, Hashable {
  var path = WireText("")
  var size: UInt64 = 0
  var chunkSize: UInt32 = 0
  var root = Hash256()

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "path", &path)
    try field(2, "size", &size)
    try field(3, "chunkSize", &chunkSize)
    try field(4, "root", &root)
  }
  static let longestPath = 4_096
}

/// A page of a list.
struct ListPage: WireMessage, Hashable {
  /// The request's number.
  var number = Fixed64(0)
  /// How many files there are in all.
  var total: UInt64 = 0
  /// Where the next page begins; 0 after the last.
  var next: UInt64 = 0
  /// Whether the list is not for the asker.
  var isRefused = false
  var files: [ListedFile] = []

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "number", &number)
    try field(2, "total", &total)
    try field(3, "next", &next)
    try field(4, "isRefused", &isRefused)
    try field(5, "files", &files, limit: 1_024)
  }
  static let field: UInt32 = 129
  /// About how many bytes of files a page has: what gets through everywhere in few pieces.
  static let bytes = 8_000
}

struct ListInput: CommandInput {
  @Argument("Whose list; without it, what is shared here.") var of: String?
  @Argument("Only files whose path begins so.", count: 0...4_000) var below: String = ""
  @Argument("How many files to pass over.", in: 0...100_000_000) var first = 0
  @Argument("How many files at the most.", in: 1...10_000) var limit = 100
}

/// A list of files.
struct FileList: Codable, Sendable {
  struct Entry: Codable, Sendable {
    var path: String
    var size: Int64
    var root: Hash256
    var link: String
  }
  /// Who shares them.
  var of: String
  /// How many there are in all, and where the next page begins, if there is more.
  var total: Int
  var next: Int?
  /// What was shared here, each with whether it is being looked through.
  var shares: [String]
  var files: [Entry]
}

struct ListProgress: Codable, Sendable {
  var files: Int
  var total: Int
}

/// A list of another node that is on its way.
struct Listing {
  var call: CommandCall<ListProgress, FileList>
  var number: UInt64
  var of: WireText
  var below: String
  var limit: Int
  var list: FileList
  var next: UInt64
  var tries = 0
  var due: Instant
}

/// How many pages of lists are made: each goes through all that is shared, so of much there are fewer.
struct ListBudget {
  private var spent = 0
  private var since = Instant()
  /// How many pages a second are made at the most, and how many files are gone through for them.
  static let pages = 20
  static let files = 400_000

  /// Whether a page may be made that goes through so many files. The last one may overdraw, and is made up for.
  mutating func take(files: Int, at now: Instant) -> Bool {
    let seconds = Int((now - since).inSeconds)
    if seconds > 0 {
      spent = seconds > spent / Self.files ? 0 : spent - seconds * Self.files
      since = now
    }
    guard spent < Self.files else { return false }
    spent += max(files, Self.files / Self.pages)
    return true
  }
}

extension FileShare {
  static let mostListings = 64

  func declareListing(_ setup: LayerSetup<FileShare>) {
    setup.stream(
      "list", "Lists what is shared here, or by another node.",
      examples: ["", "--of bob", "--below music/ --limit 1000"], FileShare.list, cancelled: FileShare.listCancelled)
    setup.sendsRouted()
    setup.onRouted(ListRequest.field, ListRequest.self, FileShare.askedForList)
    setup.onRouted(ListPage.field, ListPage.self, FileShare.heardPage)
  }

  private func list(
    _ input: ListInput, _ call: CommandCall<ListProgress, FileList>, _ context: borrowing LayerContext<FileShare>
  ) throws {
    guard let name = input.of, !name.isEmpty, WireText(name) != me else { return call.finish(ownList(input)) }
    guard routing != nil else {
      throw CommandError(.unavailable, code: "no-routing", "to ask another node, the layer routing must be on")
    }
    guard listings.count < Self.mostListings else {
      throw CommandError(.unavailable, code: "too-many", "\(Self.mostListings) lists are asked for already")
    }
    let empty = FileList(of: SafeName(name).text, total: 0, next: nil, shares: [], files: [])
    listings.append(
      Listing(
        call: call, number: max(1, context.unguessable()), of: WireText(name), below: input.below, limit: input.limit,
        list: empty, next: UInt64(input.first), due: context.now))
    ask(listings.count - 1, context)
  }

  private func listCancelled(
    _ call: CommandCall<ListProgress, FileList>, _ context: borrowing LayerContext<FileShare>
  ) { listings.removeAll { $0.call.id == call.id } }

  private func ownList(_ input: ListInput) -> FileList {
    let shares = library.shares.filter { !$0.isKept }.map(\.path)
    var list = FileList(of: me.text, total: 0, next: nil, shares: shares, files: [])
    forEachShared { file in
      guard file.path.utf8.starts(with: input.below.utf8) else { return true }
      if list.total >= input.first, list.files.count < input.limit { list.files.append(Self.entry(file)) }
      list.total += 1
      return true
    }
    if input.first + list.files.count < list.total { list.next = input.first + list.files.count }
    return list
  }

  private static func entry(_ file: HeldFile) -> FileList.Entry {
    let link = FileDescriptor(
      name: String(file.name.prefix(200)), size: file.size, chunkSize: file.chunkSize, root: file.root)?.link
    return FileList.Entry(path: file.path, size: file.size, root: file.root, link: link ?? "")
  }

  // MARK: Asked

  private func askedForList(
    _ request: ListRequest, from origin: WireText, _ context: borrowing LayerContext<FileShare>
  ) {
    var page = ListPage()
    page.number = request.number
    guard maySee(origin) else {
      page.isRefused = true
      return answer(page, to: origin, context)
    }
    guard listBudget.take(files: library.count, at: context.now) else { return counts.refused.add() }
    var bytes = 0
    var place: UInt64 = 0
    forEachShared { file in
      guard file.path.utf8.starts(with: request.below.utf8) else { return true }
      defer { place += 1 }
      guard place >= request.first, page.next == 0 else { return true }
      guard bytes < ListPage.bytes else {
        page.next = place
        return true
      }
      var listed = ListedFile()
      (listed.path, listed.size) = (WireText(file.path), UInt64(file.size))
      (listed.chunkSize, listed.root) = (UInt32(file.chunkSize), file.root)
      page.files.append(listed)
      bytes += file.path.utf8.count + 56
      return true
    }
    page.total = place
    answer(page, to: origin, context)
  }

  /// Sends a page, unless the way leads to an address that hasn't shown that it receives: anybody may have said that
  /// the asker is there.
  private func answer(_ page: ListPage, to origin: WireText, _ context: borrowing LayerContext<FileShare>) {
    guard let way = routing?.route(to: origin)?.nextHop else { return }
    let bytes = page.encoded().count + Self.around(me, origin)
    guard allowances.spend(bytes, on: standing(way, context), way) else {
      counts.withheld.add()
      return context.introduce(to: way)
    }
    context.route(page, as: ListPage.field, to: origin)
  }

  /// Whether somebody may see what is shared here. A neighbour is who is reached without another in between.
  private func maySee(_ origin: WireText) -> Bool {
    switch config.listing {
    case .public: true
    case .none: false
    case .neighbours: routing?.route(to: origin)?.hops == 0
    }
  }

  // MARK: Asking

  private func ask(_ place: Int, _ context: borrowing LayerContext<FileShare>) {
    var request = ListRequest()
    request.number = Fixed64(listings[place].number)
    request.first = listings[place].next
    request.below = listings[place].below
    context.route(request, as: ListRequest.field, to: listings[place].of)
    listings[place].due = context.now + .seconds(2)
    listings[place].tries += 1
    if !context.isArmed(.lists) { context.arm(.lists, after: .seconds(2)) }
  }

  private func heardPage(_ page: ListPage, from origin: WireText, _ context: borrowing LayerContext<FileShare>) {
    guard let place = listings.firstIndex(where: { $0.number == page.number.value && $0.of == origin }) else { return }
    guard !page.isRefused else {
      let listing = listings.remove(at: place)
      return listing.call.fail(
        CommandError(.refused, code: "not-for-you", "\(listing.list.of) doesn't show its list to this node"))
    }
    var taken = 0
    for file in page.files where listings[place].list.files.count < listings[place].limit {
      taken += 1
      guard file.path.bytes.count <= ListedFile.longestPath, let size = Int64(exactly: file.size),
        let path = SafePath(file.path.text), let last = path.parts.last,
        let descriptor = FileDescriptor(
          name: last.text, size: size, chunkSize: Int(file.chunkSize), root: file.root)
      else { continue }
      listings[place].list.files.append(
        .init(path: path.text, size: size, root: file.root, link: descriptor.link))
    }
    listings[place].list.total = Int(clamping: page.total)
    let isFull = listings[place].list.files.count >= listings[place].limit
    if isFull || page.next <= listings[place].next || page.files.isEmpty {
      var listing = listings.remove(at: place)
      // Of the last page only some may have had room.
      let next = taken < page.files.count ? listing.next &+ UInt64(taken) : page.next
      if next > 0 { listing.list.next = Int(clamping: next) }
      return listing.call.finish(listing.list)
    }
    listings[place].next = page.next
    listings[place].tries = 0
    // Another number, so that a late copy of this page isn't taken for the next.
    listings[place].number = max(1, context.unguessable())
    listings[place].call.progress(
      ListProgress(files: listings[place].list.files.count, total: listings[place].list.total))
    ask(place, context)
  }

  /// Asks again for pages that are overdue, and gives up at the fifth time.
  func endListings(_ context: borrowing LayerContext<FileShare>) {
    for place in listings.indices.reversed() where listings[place].due <= context.now {
      if listings[place].tries >= 5 {
        let listing = listings.remove(at: place)
        listing.call.fail(CommandError(.failed, code: "no-answer", "\(listing.list.of) doesn't answer"))
      } else {
        ask(place, context)
      }
    }
    if let next = listings.map(\.due).min() { context.arm(.lists, after: max(.zero, next - context.now)) }
  }
}
