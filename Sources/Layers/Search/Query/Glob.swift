// Glob: a pattern with stars and question marks, matched in one pass.
import StackCore

/// A pattern for a whole name: `*` is any text, also none, `?` one character, all else itself.
///
/// All places in the pattern that the name so far can have led to are kept as bits of one number, so each byte of a
/// name costs the same, whatever the pattern. There is nothing to go back to.
struct Glob: Sendable {
  /// The most bytes in a folded pattern, stars that follow a star not counted: bits of the number, less one.
  static let most = 126

  /// For each byte its kind, and for each kind the places whose step it makes: most bytes make the same, and a query is
  /// kept for a while.
  private let kinds: [UInt8]
  private let steps: [UInt128]
  /// How many bytes the two take.
  var tableBytes: Int { kinds.count + steps.count * 16 }
  /// Places that stay for any byte: stars.
  private let stars: UInt128
  /// Places just after a question mark: they stay while its character goes on.
  private let marks: UInt128
  private let start: UInt128
  private let end: UInt128
  /// The runs of plain bytes: what a name must hold for the pattern to match.
  let literals: [[UInt8]]
  /// The longest of them.
  var literal: [UInt8] { literals.max { $0.count < $1.count } ?? [] }

  /// A pattern of folded bytes; nil when it is too long.
  init?(_ pattern: [UInt8]) {
    var steps = [UInt128](repeating: 0, count: 256)
    var (stars, marks): (UInt128, UInt128) = (0, 0)
    var runs: [[UInt8]] = [[]]
    var place = 0
    for byte in pattern {
      if byte == UInt8(ascii: "*") {
        stars |= 1 << UInt128(place)
        runs.append([])
        continue
      }
      guard place < Self.most else { return nil }
      place += 1
      let bit = UInt128(1) << UInt128(place)
      if byte == UInt8(ascii: "?") {
        for lead in 0..<256 where !Self.goesOn(UInt8(lead)) { steps[lead] |= bit }
        marks |= bit
        runs.append([])
      } else {
        steps[Int(byte)] |= bit
        runs[runs.count - 1].append(byte)
      }
    }
    var kinds: [UInt8] = []
    var distinct: [UInt128] = []
    for step in steps {
      let kind = distinct.firstIndex(of: step) ?? distinct.count
      if kind == distinct.count { distinct.append(step) }
      kinds.append(UInt8(kind))
    }
    (self.kinds, self.steps, self.stars, self.marks) = (kinds, distinct, stars, marks)
    (start, end) = (1, UInt128(1) << UInt128(place))
    literals = runs.filter { !$0.isEmpty }
  }

  /// Whether a byte goes on with a character that an earlier byte began.
  private static func goesOn(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }

  /// Whether a whole name matches.
  func matches(_ name: UnsafeRawBufferPointer) -> Bool {
    var state = start
    for byte in name {
      let stays = stars | (Self.goesOn(byte) ? marks : 0)
      state = (state << 1) & steps[Int(kinds[Int(byte)])] | state & stays
      if state == 0 { return false }
    }
    return state & end != 0
  }
}
