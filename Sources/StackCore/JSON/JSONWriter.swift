// JSONWriter: a JSON value to its text.

extension JSON {
  /// The value as JSON text.
  ///
  /// Doubles print with the fewest digits that read back the same; what JSON has no number for becomes `null`.
  /// - Parameters:
  ///   - pretty: on lines of their own, indented by two spaces.
  ///   - sortedKeys: keys in Unicode order rather than as they were put in.
  ///   - htmlSafe: `<`, `>`, `&` and the line separators U+2028 and U+2029 are escaped, so that the text can stand in
  ///     an HTML `script` element.
  public func text(pretty: Bool = false, sortedKeys: Bool = false, htmlSafe: Bool = false) -> String {
    var bytes: [UInt8] = []
    write(into: &bytes, pretty: pretty, sortedKeys: sortedKeys, htmlSafe: htmlSafe)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Appends the value as UTF-8 JSON text; see `text`.
  public func write(
    into bytes: inout [UInt8], pretty: Bool = false, sortedKeys: Bool = false, htmlSafe: Bool = false
  ) {
    let writer = JSONWriter(pretty: pretty, sortedKeys: sortedKeys, htmlSafe: htmlSafe)
    writer.write(self, into: &bytes, level: 0)
  }
}

/// How a value is written.
struct JSONWriter {
  let pretty: Bool
  let sortedKeys: Bool
  let htmlSafe: Bool

  func write(_ json: JSON, into out: inout [UInt8], level: Int) {
    switch json {
    case .null: out.append(contentsOf: "null".utf8)
    case .bool(let value): out.append(contentsOf: (value ? "true" : "false").utf8)
    case .integer(let value): write(value.magnitude, isNegative: value < 0, into: &out)
    case .unsigned(let value): write(value, isNegative: false, into: &out)
    case .number(let value): write(value, into: &out)
    case .string(let value): write(value, into: &out)
    case .array(let elements): write(elements, into: &out, level: level)
    case .object(let members): write(sortedKeys ? members.sorted() : members, into: &out, level: level)
    }
  }

  private func write(_ elements: [JSON], into out: inout [UInt8], level: Int) {
    out.append(UInt8(ascii: "["))
    for (index, element) in elements.enumerated() {
      if index > 0 { out.append(UInt8(ascii: ",")) }
      newLine(into: &out, level: level + 1)
      write(element, into: &out, level: level + 1)
    }
    if !elements.isEmpty { newLine(into: &out, level: level) }
    out.append(UInt8(ascii: "]"))
  }

  private func write(_ members: JSONObject, into out: inout [UInt8], level: Int) {
    out.append(UInt8(ascii: "{"))
    for (index, member) in members.enumerated() {
      if index > 0 { out.append(UInt8(ascii: ",")) }
      newLine(into: &out, level: level + 1)
      write(member.key, into: &out)
      out.append(UInt8(ascii: ":"))
      if pretty { out.append(UInt8(ascii: " ")) }
      write(member.value, into: &out, level: level + 1)
    }
    if !members.isEmpty { newLine(into: &out, level: level) }
    out.append(UInt8(ascii: "}"))
  }

  private func newLine(into out: inout [UInt8], level: Int) {
    guard pretty else { return }
    out.append(UInt8(ascii: "\n"))
    for _ in 0..<level { out.append(contentsOf: "  ".utf8) }
  }

  private func write(_ value: Double, into out: inout [UInt8]) {
    guard value.isFinite else {
      out.append(contentsOf: "null".utf8)
      return
    }
    var text = value.description
    if text.hasSuffix(".0") { text.removeLast(2) }
    out.append(contentsOf: text.utf8)
  }

  private func write(_ magnitude: UInt64, isNegative: Bool, into out: inout [UInt8]) {
    if isNegative { out.append(UInt8(ascii: "-")) }
    let start = out.count
    var rest = magnitude
    repeat {
      out.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
      rest /= 10
    } while rest > 0
    out[start...].reverse()
  }

  private func write(_ text: String, into out: inout [UInt8]) {
    out.append(UInt8(ascii: "\""))
    var text = text
    text.withUTF8 { utf8 in
      var plainFrom = 0
      var at = 0
      while at < utf8.count {
        let escaped = escapedLength(utf8, at)
        if escaped > 0 {
          out.append(contentsOf: utf8[plainFrom..<at])
          escape(utf8, at, escaped, into: &out)
          plainFrom = at + escaped
          at = plainFrom
        } else {
          at += 1
        }
      }
      out.append(contentsOf: utf8[plainFrom...])
    }
    out.append(UInt8(ascii: "\""))
  }

  /// How many bytes at a place must be escaped together; 0 when they can stand as they are.
  @inline(__always)
  private func escapedLength(_ utf8: UnsafeBufferPointer<UInt8>, _ at: Int) -> Int {
    let byte = utf8[at]
    if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == 0x7F { return 1 }
    guard htmlSafe else { return 0 }
    if byte == UInt8(ascii: "<") || byte == UInt8(ascii: ">") || byte == UInt8(ascii: "&") { return 1 }
    // U+2028 and U+2029 are E2 80 A8 and E2 80 A9.
    let isSeparator = byte == 0xE2 && at + 2 < utf8.count && utf8[at + 1] == 0x80 && utf8[at + 2] & 0xFE == 0xA8
    return isSeparator ? 3 : 0
  }

  private func escape(_ utf8: UnsafeBufferPointer<UInt8>, _ at: Int, _ length: Int, into out: inout [UInt8]) {
    if length == 3 {
      out.append(contentsOf: (utf8[at + 2] == 0xA8 ? "\\u2028" : "\\u2029").utf8)
      return
    }
    let byte = utf8[at]
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): out.append(contentsOf: [UInt8(ascii: "\\"), byte])
    case 0x0A: out.append(contentsOf: "\\n".utf8)
    case 0x0D: out.append(contentsOf: "\\r".utf8)
    case 0x09: out.append(contentsOf: "\\t".utf8)
    default:
      out.append(contentsOf: "\\u00".utf8)
      out.append(hexText(byte >> 4))
      out.append(hexText(byte & 0x0F))
    }
  }
}

/// The lower-case hex digit of a number below 16.
func hexText(_ digit: UInt8) -> UInt8 {
  digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
}
