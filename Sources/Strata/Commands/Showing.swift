// Showing: JSON as people read it: pairs, tables, and single values.
import StackCore

extension JSON {
  /// The value within one line.
  var inOneCell: String {
    switch self {
    case .string(let text): oneLine(text)
    case .null: "-"
    case .bool(let value): value ? "yes" : "no"
    case .array(let elements):
      elements.isEmpty ? "none" : elements.map(\.inOneCell).joined(separator: ", ")
    case .object(let members): members.map { "\(harmless($0.key))=\($0.value.inOneCell)" }.joined(separator: " ")
    default: text()
    }
  }

  /// The value in as few letters as still tell it from others: a hash by its first digits, things by their names.
  var briefly: String {
    switch self {
    case .null: ""
    case .string(let text) where text.utf8.count >= 32 && [UInt8](hex: text) != nil: String(text.prefix(12))
    case .array(let elements) where isTable:
      elements.map { ($0["name"] ?? $0["address"] ?? $0).inOneCell }.joined(separator: ", ")
    default: inOneCell
    }
  }

  /// Whether it is a list of objects, which is best seen as a table.
  fileprivate var isTable: Bool {
    guard case .array(let elements) = self, !elements.isEmpty else { return false }
    return elements.allSatisfy { $0.objectValue != nil }
  }
}

extension Console {
  /// What puts times, sizes and durations into words.
  var humane: Humane { Humane(clock: clock) }

  /// Prints a value for people, with its times, sizes and durations in words.
  func show(_ json: JSON, as schema: Schema? = nil) { show(humane.words(json, as: schema), indent: "") }

  private func show(_ json: JSON, indent: String) {
    switch json {
    case .null: break
    case .object(let members): show(members, indent: indent)
    case .array(let elements) where json.isTable: show(elements.compactMap(\.objectValue), indent: indent)
    case .array(let elements): for element in elements { print(indent + element.inOneCell) }
    case .string(let text): print(indent + harmless(text))
    default: print(indent + json.inOneCell)
    }
  }

  private func show(_ members: JSONObject, indent: String) {
    let plain = members.filter { !isLarge($0.value) }
    if !plain.isEmpty {
      print(Table(rows: plain.map { [harmless($0.key), $0.value.inOneCell] }, indent: indent, keepsWords: true))
    }
    for member in members where isLarge(member.value) {
      print(indent + styled(harmless(member.key), .bold))
      show(member.value, indent: indent + "  ")
    }
  }

  /// Whether a value needs more than a line.
  private func isLarge(_ json: JSON) -> Bool {
    switch json {
    case .object(let members): !members.isEmpty
    case .array: json.isTable
    default: false
    }
  }

  /// A table; where its columns don't fit, one of those that matter; where these don't, a block of pairs for each row.
  private func show(_ rows: [JSONObject], indent: String) {
    var keys: [String] = []
    for row in rows { for key in row.keys where !keys.contains(key) { keys.append(key) } }
    let table = Table(
      titles: keys.map { inWords(harmless($0)).uppercased() },
      rows: rows.map { row in keys.map { row[$0]?.inOneCell ?? "" } }, indent: indent)
    if table.fits(width) { return print(table) }
    if rows.count > 1, let brief = brief(rows, keys, indent: indent) {
      print(brief)
      return print(indent + styled("Shortened to fit; all of it: --json", .dim))
    }
    for (place, row) in rows.enumerated() {
      if place > 0 { print("") }
      print(Table(rows: row.map { [harmless($0.key), $0.value.inOneCell] }, indent: indent, keepsWords: true))
    }
  }

  /// The columns that tell rows apart, each cell in few letters; nil where even these don't fit.
  private func brief(_ rows: [JSONObject], _ keys: [String], indent: String) -> Table? {
    // A path tells the name as well.
    let hasNameInPath = rows.allSatisfy { row in
      row["path"]?.stringValue?.hasSuffix(row["name"]?.stringValue ?? "/") ?? false
    }
    let told = keys.filter { key in
      if key == "name", hasNameInPath { return false }
      return rows.contains { $0[key].map { !$0.isNull && $0.boolValue == nil } ?? false }
    }
    let differing = told.filter { key in Set(rows.map { $0[key]?.briefly ?? "" }).count > 1 }
    let shorter = differing.indices.reversed().map { Array(differing[...$0]) }
    return ([told] + shorter).lazy.filter { $0.count > 2 }.map { shown in
      Table(
        titles: shown.map { self.inWords(harmless($0)).uppercased() },
        rows: rows.map { row in shown.map { row[$0]?.briefly ?? "" } }, indent: indent)
    }.first { $0.isNarrow(width) }
  }

  /// A key such as `lastHeard` as words.
  private func inWords(_ key: String) -> String {
    var words = ""
    for letter in key {
      if letter.isUppercase, words.last?.isLowercase == true { words += " " }
      words.append(letter)
    }
    return words
  }
}
