// ByteRangesTests: what a Range header means, what a browser may show, and for how long a ticket is good.
import StackCore
import Testing

@testable import StackRuntime

@Suite struct ByteRangesTests {
  @Test(
    arguments: [
      (nil, ByteRanges.whole), ("bytes=0-0", .some([0..<1])), ("bytes=-3", .some([7..<10])),
      ("bytes=-30", .some([0..<10])), ("bytes=4-", .some([4..<10])), ("bytes=4-400", .some([4..<10])),
      ("bytes=10-", .unsatisfiable), ("bytes=-0", .unsatisfiable), ("bytes=12-15", .unsatisfiable),
      ("bytes=0-1,12-15, -1", .some([0..<2, 9..<10])), ("bytes=3-2", .whole), ("bytes=a-2", .whole),
      ("bytes=", .whole), ("bytes=1", .whole), ("lines=0-1", .whole), ("bytes=--1", .whole), ("bytes=+1-2", .whole),
      ("bytes=0-99999999999999999999", .some([0..<10])), ("bytes=99999999999999999999-", .unsatisfiable),
      ("Bytes=1-1", .some([1..<2])),
    ] as [(String?, ByteRanges)])
  func headers(_ header: String?, _ wanted: ByteRanges) { #expect(ByteRanges(header, size: 10) == wanted) }

  @Test func manyRangesAreNobodysWish() {
    #expect(ByteRanges("bytes=" + Array(repeating: "0-", count: 17).joined(separator: ","), size: 10) == .whole)
    #expect(ByteRanges("bytes=0-", size: 0) == .unsatisfiable)
  }

  @Test func nothingThatCouldActAsAPageIsShown() {
    for name in ["a.html", "a.svg", "a.xhtml", "a.xml", "a.js", "a", "", "a.png.html", "a.mp4\n"] {
      let type = ContentTypes.type(of: name)
      #expect(type == ContentTypes.unknown, "\(name)")
      #expect(ContentTypes.disposition(name: name, type: type).hasPrefix("attachment;"))
    }
    #expect(ContentTypes.type(of: "Film.MP4") == "video/mp4")
    let said = ContentTypes.disposition(name: "a\"\r\nX: ü.txt", type: "text/plain")
    #expect(said == "inline; filename*=UTF-8''a%22%0D%0AX%3A%20%C3%BC.txt")
  }

  @Test func ticketsExpireAndAreBounded() throws {
    var tickets = ContentTickets()
    let start = Instant(nanoseconds: 0)
    let first = try tickets.make(for: "/a", at: start)
    func isGood(_ ticket: String, _ path: String, _ seconds: Int) -> Bool {
      tickets.use(ticket, for: path, at: start + .seconds(seconds))
    }
    #expect(isGood(first, "/a", 500))
    #expect(!isGood(first, "/b", 500))
    #expect(isGood(first, "/a", 1_000), "use keeps it alive")
    #expect(!isGood(first, "/a", 1_700))
    for _ in 0..<200 {
      let one = try tickets.make(for: "/a", at: start)
      #expect(isGood(one, "/a", 1))
    }
    let old = try tickets.make(for: "/a", at: start)
    for _ in 0..<ContentTickets.most { _ = try tickets.make(for: "/c", at: start + .seconds(2)) }
    #expect(!isGood(old, "/a", 2), "what would expire first goes first")
  }
}
