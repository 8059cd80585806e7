// Guestbook: shows what Echo has no need of: commands, events, a service, storage and a live setting.
import StackCore

/// A line in the book, on the wire, on disk and as an event.
struct Entry: WireMessage, Codable {
  var author = ""
  var text = ""
  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "author", &author)
    try field(2, "text", &text)
  }
  func check() throws(WireError) {
    if text.isEmpty || text.utf8.count > 200 || author.utf8.count > 40 { throw .badValue }
  }
}

/// What other layers may ask of the guestbook.
protocol GuestbookReading: AnyObject {
  var entries: [Entry] { get }
}

/// What the layers share; with layers in targets of their own, this is a small target that all of them import.
enum Shared {
  static let guestbook = ServiceKey<any GuestbookReading>("guestbook")
  static let signed = EventPort<Entry>("signed", "A line came into the book.")
}

/// The latest lines, oldest first; at most so many.
final class Book: GuestbookReading {
  private(set) var entries: [Entry] = []
  /// The number of the line that comes next.
  private(set) var next: UInt64 = 0
  let limit: Int

  init(limit: Int) { self.limit = limit }

  func append(_ entry: Entry, number: UInt64) {
    entries.append(entry)
    if entries.count > limit { entries.removeFirst() }
    next = number + 1
  }
}

final class Guestbook: ProtocolLayer {
  struct Config: LayerConfig {
    @Setting("How many lines are kept.", in: 1...10_000) var lines = 1000
    @Setting("Whether others may sign.", live: true) var open = true
  }
  struct SignInput: CommandInput { @Argument("What to write.", count: 1...200) var text: String }
  struct Signed: Codable, Sendable { var number: UInt64 }
  struct WaitInput: CommandInput { @Argument("How many lines to wait for.", in: 1...100) var lines = 1 }
  struct Waited: Codable, Sendable { var lines: Int }
  static let manifest = LayerManifest(
    "guestbook", "A book that all neighbours can sign.", provides: [Shared.guestbook])
  private let book: Book
  private var config: Config
  private var waiting: [(call: CommandCall<Entry, Waited>, seen: Int, wanted: Int)] = []

  init(config: Config, setup: LayerSetup<Guestbook>) {
    self.config = config
    book = Book(limit: config.lines)
    setup.on(1010, Entry.self, Guestbook.heard)
    setup.command("sign", "Writes a line into every neighbour's book.", examples: ["hello"], Guestbook.sign)
    setup.stream(
      "wait", "Shows the next lines as they come.", examples: ["--lines 3"], Guestbook.wait,
      cancelled: Guestbook.stoppedWaiting
    )
    setup.event(Shared.signed)
    setup.provide(Shared.guestbook, book)
  }

  func start(_ context: borrowing LayerContext<Guestbook>) {
    do throws(StorageError) {
      try context.storage.scan(from: [], upTo: nil, reversed: false, limit: .max) { key, value in
        if let entry = try? Entry(decoding: value) { book.append(entry, number: number(of: key)) }
        return true
      }
    } catch { context.log(.error, "the book can't be read: \(error)") }
  }

  func sign(_ input: SignInput, _ context: borrowing LayerContext<Guestbook>) throws -> Signed {
    let entry = Entry(author: context.me, text: input.text)
    do { try entry.check() } catch { throw CommandError(.invalid, code: "too-long", "a line has at most 200 bytes") }
    let number = try add(entry, context)
    context.sendToNeighbours(entry, as: 1010)
    return Signed(number: number)
  }

  func heard(_ entry: Entry, _ peer: Address, _ context: borrowing LayerContext<Guestbook>) {
    guard config.open else { return }
    do { _ = try add(entry, context) } catch { context.log(.error, "a line was lost: \(error)") }
  }

  func add(_ entry: Entry, _ context: borrowing LayerContext<Guestbook>) throws -> UInt64 {
    let number = book.next
    try context.storage.set(key(of: number), entry.encoded())
    if number >= UInt64(config.lines) {
      try context.storage.removeRange(from: [], upTo: key(of: number - UInt64(config.lines) + 1))
    }
    book.append(entry, number: number)
    context.publish(entry, on: Shared.signed)
    for place in waiting.indices {
      waiting[place].call.progress(entry)
      waiting[place].seen += 1
      if waiting[place].seen == waiting[place].wanted { waiting[place].call.finish(Waited(lines: waiting[place].seen)) }
    }
    waiting.removeAll { $0.call.isOver }
    return number
  }

  func wait(
    _ input: WaitInput, _ call: CommandCall<Entry, Waited>, _ context: borrowing LayerContext<Guestbook>
  ) throws {
    if waiting.count >= 16 { throw CommandError(.unavailable, "16 calls wait already") }
    waiting.append((call: call, seen: 0, wanted: input.lines))
  }

  func stoppedWaiting(_ call: CommandCall<Entry, Waited>, _ context: borrowing LayerContext<Guestbook>) {
    waiting.removeAll { $0.call === call }
  }

  func reconfigured(_ config: Config, _ context: borrowing LayerContext<Guestbook>) {
    self.config.open = config.open
  }

  /// Eight bytes, the highest first, so that lines are in order.
  private func key(of number: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) } }
  private func number(of key: [UInt8]) -> UInt64 { key.reduce(0) { $0 << 8 | UInt64($1) } }
}
