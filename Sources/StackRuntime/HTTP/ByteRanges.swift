// ByteRanges: which bytes a request's Range header asks for.

/// What a Range header means for content of a size.
enum ByteRanges: Equatable {
  /// All of it: nothing else was asked for, or nothing that can be read.
  case whole
  /// These, in the order they were asked for.
  case some([Range<Int64>])
  /// Only what isn't there.
  case unsatisfiable

  /// More ranges than this in one request are nobody's honest wish.
  static let most = 16

  /// Reads a header. What can't be read counts as absent, as RFC 9110 wants it.
  init(_ header: String?, size: Int64) {
    guard let header, let equals = header.firstIndex(of: "="), header[..<equals].lowercased() == "bytes" else {
      self = .whole
      return
    }
    let items = header[header.index(after: equals)...].split(separator: ",", omittingEmptySubsequences: true)
    guard !items.isEmpty, items.count <= Self.most else {
      self = .whole
      return
    }
    var found: [Range<Int64>] = []
    for item in items {
      guard let range = Self.read(item.filter { $0 != " " && $0 != "\t" }, size) else {
        self = .whole
        return
      }
      if !range.isEmpty { found.append(range) }
    }
    self = found.isEmpty ? .unsatisfiable : .some(found)
  }

  /// One range, empty when it lies beyond the end; nil when it can't be read.
  private static func read(_ text: String, _ size: Int64) -> Range<Int64>? {
    guard let dash = text.firstIndex(of: "-") else { return nil }
    let (first, last) = (text[..<dash], text[text.index(after: dash)...])
    func number(_ digits: Substring) -> Int64? {
      guard !digits.isEmpty, digits.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else {
        return nil
      }
      // A number too large for us is beyond any end.
      return Int64(digits) ?? .max
    }
    if first.isEmpty {
      guard let count = number(last) else { return nil }
      return max(0, size - count)..<size
    }
    guard let start = number(first) else { return nil }
    if last.isEmpty { return min(start, size)..<size }
    guard let end = number(last), end >= start else { return nil }
    return min(start, size)..<min(end == .max ? .max : end + 1, size)
  }
}
