// PeerBookTests: neighbours that are names, whose addresses may change.
import StackCore
import Testing

@testable import StackRuntime

@Suite struct PeerBookTests {
  /// A name server that says what it is told to.
  private final class Names {
    var answers: [Result<[Address], ResolveError>] = []
    var asked = 0

    func resolve(_ text: String, _ body: (Result<[Address], ResolveError>) -> Void) {
      asked += 1
      body(answers[min(asked, answers.count) - 1])
    }
  }

  private func address(_ last: UInt32) -> Address { Address(ipv4: 0x0A00_0000 + last, port: 5000) }

  @Test func aNameIsLookedUpAgainFromTimeToTime() throws {
    let bench = try RealNodeBench()
    let names = Names()
    let gone = ResolveError(message: "nobody answers", isTemporary: true)
    // The same, in another order; away for a moment; then somewhere else.
    names.answers = [
      .success([address(1), address(2)]), .success([address(2), address(1)]), .failure(gone), .success([address(3)]),
    ]
    var changes: [[Address]] = []
    var lines: [String] = []
    var book: PeerBook?
    let made = PeerBook(
      loop: bench.loop, isReachable: { $0.isIPv4 }, log: { lines.append("\($0) \($1)") },
      changed: { changes.append(book?.addresses ?? []) })
    book = made
    made.again = .milliseconds(1)
    made.resolve = names.resolve
    made.set(["moving.example:5000", "10.0.0.9:5000"])
    made.lookUp()
    try bench.until("it has moved") { made.addresses.contains(address(3)) }
    #expect(changes.map { $0[0] } == [address(1), address(3)])
    // A name server that is away takes no neighbour from us, and is not complained about.
    #expect(!lines.contains { $0.contains("nobody answers") })
    #expect(lines.last?.contains("and no more at 10.0.0.1:5000") == true)
    #expect(made.unresolved.isEmpty)
    made.close()
    let asked = names.asked
    made.lookUp()
    #expect(names.asked == asked)
  }

  @Test func anAddressIsNeverLookedUp() throws {
    let bench = try RealNodeBench()
    let names = Names()
    let book = PeerBook(loop: bench.loop, isReachable: { _ in true }, log: { _, _ in }, changed: {})
    book.resolve = names.resolve
    book.set(["10.0.0.9:5000"])
    book.lookUp()
    #expect(names.asked == 0 && book.addresses == [address(9)])
  }
}
