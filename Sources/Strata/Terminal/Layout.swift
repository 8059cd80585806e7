// Layout: text into lines and rows into columns that fit a width.

/// How many columns a text takes on a terminal.
func columns(of text: String) -> Int {
  text.utf8.allSatisfy { $0 < 0x80 } ? text.utf8.count : text.reduce(0) { $0 + columns(of: $1) }
}

/// How many columns a letter takes with the marks on it: two in wide scripts, none for a mark by itself.
private func columns(of letter: Character) -> Int {
  guard let first = letter.unicodeScalars.first else { return 0 }
  if isWide(first) || letter.unicodeScalars.contains("\u{fe0f}") { return 2 }
  switch first.properties.generalCategory {
  case .nonspacingMark, .enclosingMark: return 0
  default: return 1
  }
}

/// The scripts and signs to which terminals give two columns (Unicode's East Asian Width).
private func isWide(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.value {
  case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0x4dbf, 0x4e00...0xa4cf, 0xa960...0xa97f, 0xac00...0xd7a3: true
  case 0xf900...0xfaff, 0xfe30...0xfe6f, 0xff01...0xff60, 0xffe0...0xffe6: true
  case 0x17000...0x18cff, 0x1b000...0x1b2ff, 0x20000...0x3fffd: true
  default: scalar.properties.isEmojiPresentation
  }
}

/// The beginning of a text that fits so many columns; of a letter with a heap of marks only the first are kept.
func cut(_ text: String, _ width: Int) -> String {
  var kept = ""
  var room = width
  for letter in text {
    room -= columns(of: letter)
    if room < 0 { break }
    kept.unicodeScalars.append(contentsOf: letter.unicodeScalars.prefix(16))
  }
  return kept
}

/// A text broken at its spaces into lines of at most `width` columns; a longer word is broken too.
///
/// With `keepsWords`, it stays whole: a link that is broken can't be copied.
func wrapped(_ text: String, width: Int, keepsWords: Bool = false) -> [String] {
  let width = max(1, width)
  var lines: [String] = []
  for paragraph in text.split(separator: "\n", omittingEmptySubsequences: false) {
    var line = ""
    for word in paragraph.split(separator: " ") {
      var word = String(word)
      if !line.isEmpty, columns(of: line) + 1 + columns(of: word) > width {
        lines.append(line)
        line = ""
      }
      while columns(of: word) > width, word.count > 1, !keepsWords {
        if !line.isEmpty {
          lines.append(line)
          line = ""
        }
        let fits = max(1, cut(word, width).count)
        lines.append(String(word.prefix(fits)))
        word = String(word.dropFirst(fits))
      }
      line += line.isEmpty ? word : " " + word
    }
    lines.append(line)
  }
  return lines
}

/// A text to a number of columns, filled up with spaces.
func padded(_ text: String, _ width: Int) -> String {
  text + String(repeating: " ", count: max(0, width - columns(of: text)))
}

/// Rows of cells in columns, the last of which is wrapped to what the width leaves it.
struct Table {
  /// Titles above the columns; none when empty.
  var titles: [String] = []
  /// The rows.
  var rows: [[String]] = []
  /// What stands before each line.
  var indent = ""
  /// Whether words longer than the room for them stay whole, as links must.
  var keepsWords = false
  /// Columns narrower than this aren't made for the last one; it goes on a line of its own instead.
  private static let narrowest = 24

  /// Whether the width leaves the last column room enough.
  func fits(_ width: Int) -> Bool {
    let all = (titles.isEmpty ? [] : [titles]) + rows
    let count = all.map(\.count).max() ?? 0
    let widths = (0..<count).map { place in all.map { place < $0.count ? columns(of: $0[place]) : 0 }.max() ?? 0 }
    let room = width - indent.count - widths.dropLast().reduce(0) { $0 + $1 + 2 }
    return room >= min(widths.last ?? 0, Self.narrowest)
  }

  /// Whether each row fits into one line.
  func isNarrow(_ width: Int) -> Bool {
    let all = (titles.isEmpty ? [] : [titles]) + rows
    let count = all.map(\.count).max() ?? 0
    let widths = (0..<count).map { place in all.map { place < $0.count ? columns(of: $0[place]) : 0 }.max() ?? 0 }
    return indent.count + widths.reduce(0) { $0 + $1 + 2 } - 2 <= width
  }

  /// The lines, to fit `width`.
  func lines(width: Int, style: (String) -> String = { $0 }) -> [String] {
    let all = (titles.isEmpty ? [] : [titles]) + rows
    let count = all.map(\.count).max() ?? 0
    guard count > 0 else { return [] }
    // A cell that would take more than half of the width stands alone on its line.
    let most = max(8, (width - indent.count) / 2)
    var widths = [Int](repeating: 0, count: count)
    for row in all {
      for (place, cell) in row.enumerated() where place < count - 1 {
        let wide = columns(of: cell)
        if place > 0 || wide <= most { widths[place] = max(widths[place], wide) }
      }
    }
    let start = indent.count + widths.dropLast().reduce(0) { $0 + $1 + 2 }
    let room = width - start
    let last = all.map { $0.count == count ? columns(of: $0[count - 1]) : 0 }.max() ?? 0
    let isStacked = room < min(last, Self.narrowest)
    return all.enumerated().flatMap { index, row in
      let cells = row + [String](repeating: "", count: count - row.count)
      let made = lines(of: cells, widths, room: isStacked ? width - indent.count - 4 : room, start, isStacked)
      return index == 0 && !titles.isEmpty ? made.map(style) : made
    }
  }

  private func lines(of cells: [String], _ widths: [Int], room: Int, _ start: Int, _ isStacked: Bool) -> [String] {
    var head = indent
    for (place, cell) in cells.dropLast().enumerated() { head += padded(cell, widths[place]) + "  " }
    let last = wrapped(cells.last ?? "", width: room, keepsWords: keepsWords)
    let isTooLong = columns(of: head) > start || isStacked
    if cells.last?.isEmpty ?? true { return [trimmed(head)] }
    let pad = String(repeating: " ", count: isStacked ? indent.count + 4 : start)
    if isTooLong { return [trimmed(head)] + last.map { pad + $0 } }
    return [trimmed(head + (last.first ?? ""))] + last.dropFirst().map { pad + $0 }
  }

  private func trimmed(_ text: String) -> String {
    var text = text
    while text.last == " " { text.removeLast() }
    return text
  }
}

extension Console {
  /// Prints a table.
  func print(_ table: Table) {
    for line in table.lines(width: width, style: { self.styled($0, .bold) }) { print(line) }
  }
}

/// A number of things, in words: `1 error`, `2 errors`.
func counted(_ count: Int, _ noun: String) -> String { count == 1 ? "1 \(noun)" : "\(count) \(noun)s" }

/// A text within one line, with what could move a terminal's cursor or colours made visible.
func oneLine(_ text: String) -> String {
  var result = ""
  for scalar in harmless(text).unicodeScalars {
    result += scalar == "\n" ? "⏎" : scalar == "\t" ? "⇥" : String(scalar)
  }
  return result
}

/// A text with what could move a terminal's cursor or colours made visible.
func harmless(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    switch scalar.properties.generalCategory {
    case .control where scalar != "\n" && scalar != "\t", .format, .lineSeparator, .paragraphSeparator:
      result += "\\u{\(String(scalar.value, radix: 16))}"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}
