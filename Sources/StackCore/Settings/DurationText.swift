// DurationText: durations as people write them: "250ms", "1s", "1m30s", "7d".

extension Duration {
  /// What an error says was expected.
  static let expectedText = "a duration such as \"250ms\", \"1s\" or \"10m\""

  /// Units from the largest to the smallest, in attoseconds.
  private static let units: [(name: String, worth: Int128)] = [
    ("d", 86_400_000_000_000_000_000_000), ("h", 3_600_000_000_000_000_000_000), ("m", 60_000_000_000_000_000_000),
    ("s", 1_000_000_000_000_000_000), ("ms", 1_000_000_000_000_000), ("us", 1_000_000_000_000), ("ns", 1_000_000_000),
  ]

  /// Reads "250ms", "1.5s", "1m30s": amounts with units (d, h, m, s, ms, us, ns), the larger before the smaller; a
  /// leading "-" makes it negative. Nil for anything else.
  public init?(text: String) {
    var scanner = AmountScanner(text)
    let isNegative = scanner.take(UInt8(ascii: "-"))
    var total: Int128 = 0
    // Above this the seconds would not fit 64 bits.
    let limit = Int128(Int64.max) * 1_000_000_000_000_000_000
    var units = Self.units[...]
    repeat {
      guard let amount = scanner.amount() else { return nil }
      var name = scanner.letters()
      if name == "µs" || name == "μs" { name = "us" }  // the micro sign, and the Greek letter
      guard let place = units.firstIndex(where: { $0.name == name }), let part = amount.times(units[place].worth) else {
        return nil
      }
      units = units[(place + 1)...]
      // Each of seven parts is below the limit, so their sum can't overflow.
      guard part < limit else { return nil }
      total += part
    } while !scanner.isAtEnd
    guard total < limit else { return nil }
    self.init(attoseconds: isNegative ? -total : total)
  }

  /// The shortest text that means exactly this.
  public var text: String {
    let magnitude = attoseconds.magnitude
    if magnitude == 0 { return "0s" }
    var best = Self.decimal(magnitude, name: "ns", worth: 1_000_000_000)
    for unit in Self.units.reversed().dropFirst() {
      let worth = unit.worth.magnitude
      // A minute and more have no decimals that people read at a glance.
      guard magnitude % worth == 0 || (unit.name.hasSuffix("s") && magnitude > worth) else { continue }
      let candidate = Self.decimal(magnitude, name: unit.name, worth: worth)
      if candidate.utf8.count <= best.utf8.count { best = candidate }
    }
    let compound = Self.compound(magnitude)
    if compound.utf8.count < best.utf8.count { best = compound }
    return (attoseconds < 0 ? "-" : "") + best
  }

  /// "1.5s": all of it in one unit (a second or less, whose decimals end).
  private static func decimal(_ magnitude: UInt128, name: String, worth: UInt128) -> String {
    let (whole, rest) = magnitude.quotientAndRemainder(dividingBy: worth)
    if rest == 0 { return "\(whole)\(name)" }
    var decimals = String(String(worth + rest).dropFirst())  // with its leading zeros
    while decimals.last == "0" { decimals.removeLast() }
    return "\(whole).\(decimals)\(name)"
  }

  /// "1h30m": so much of each unit.
  private static func compound(_ magnitude: UInt128) -> String {
    var rest = magnitude
    var text = ""
    for unit in units.dropLast() {
      let (whole, remainder) = rest.quotientAndRemainder(dividingBy: unit.worth.magnitude)
      if whole > 0 { text += "\(whole)\(unit.name)" }
      rest = remainder
    }
    return rest == 0 ? text : text + decimal(rest, name: "ns", worth: 1_000_000_000)
  }
}
