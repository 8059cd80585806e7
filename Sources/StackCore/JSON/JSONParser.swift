// JSONParser: strict RFC 8259 text to a JSON value, bounded in size and depth.

/// Why a text is not JSON, and where.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, and what would be right.
  public var message: String
  /// The line, from 1.
  public var line: Int
  /// The character in the line, from 1.
  public var column: Int

  /// An error at a place.
  public init(_ message: String, line: Int, column: Int) {
    self.message = message
    self.line = line
    self.column = column
  }

  public var description: String { "line \(line), column \(column): \(message)" }
}

/// What a JSON text may cost at most.
public struct JSONLimits: Hashable, Sendable {
  /// The longest text that is looked at.
  public var maxBytes: Int
  /// How deep arrays and objects may be nested; more than 512 is taken as 512, for the parser's stack.
  public var maxDepth: Int

  /// Limits; by default 16 MiB and 128 levels.
  public init(maxBytes: Int = 16 << 20, maxDepth: Int = 128) {
    self.maxBytes = maxBytes
    self.maxDepth = min(maxDepth, 512)
  }

  /// 16 MiB, 128 levels.
  public static let standard = JSONLimits()
}

extension JSON {
  /// Parses bytes of JSON text. Strict: UTF-8 only, no byte-order mark, no key twice in an object, no lone surrogate,
  /// nothing after the value.
  public static func parse(
    _ text: UnsafeRawBufferPointer, limits: JSONLimits = .standard
  ) throws(JSONError) -> JSON {
    var parser = JSONParser(bytes: text, maxDepth: limits.maxDepth)
    guard text.count <= limits.maxBytes else {
      throw JSONError("the text is longer than \(limits.maxBytes) bytes", line: 1, column: 1)
    }
    do throws(JSONFault) { return try parser.document() } catch { throw parser.located(error) }
  }

  /// Parses bytes of JSON text.
  public static func parse(_ text: [UInt8], limits: JSONLimits = .standard) throws(JSONError) -> JSON {
    try text.withUnsafeBytes { bytes in result { () throws(JSONError) in try parse(bytes, limits: limits) } }.get()
  }

  /// Parses JSON text.
  public static func parse(_ text: String, limits: JSONLimits = .standard) throws(JSONError) -> JSON {
    var text = text
    return try text.withUTF8 { utf8 in
      result { () throws(JSONError) in try parse(UnsafeRawBufferPointer(utf8), limits: limits) }
    }.get()
  }

  /// Parses bytes of JSON text.
  public static func parse(
    _ text: some Sequence<UInt8>, limits: JSONLimits = .standard
  ) throws(JSONError) -> JSON {
    try parse(Array(text), limits: limits)
  }

  /// Carries a typed error out of a closure that can't throw one.
  private static func result(_ body: () throws(JSONError) -> JSON) -> Result<JSON, JSONError> {
    do throws(JSONError) { return .success(try body()) } catch { return .failure(error) }
  }
}

/// A fault at a byte; its line and column are counted only once it is thrown out.
struct JSONFault: Error {
  var message: String
  var offset: Int
}

/// One pass over a text.
struct JSONParser {
  let bytes: UnsafeRawBufferPointer
  let maxDepth: Int
  var at = 0
  var depth = 0
  /// Holds a string that has escapes while it is put together.
  var scratch: [UInt8] = []

  init(bytes: UnsafeRawBufferPointer, maxDepth: Int) {
    self.bytes = bytes
    self.maxDepth = maxDepth
  }

  /// The whole text: one value.
  mutating func document() throws(JSONFault) -> JSON {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { throw fault("a byte-order mark; JSON starts without one") }
    skipSpace()
    let value = try value()
    skipSpace()
    if at < bytes.count { throw fault("\(found) after the end of the value") }
    return value
  }

  /// The error for a fault, with its line and column.
  func located(_ fault: JSONFault) -> JSONError {
    var line = 1
    var column = 1
    for byte in bytes.prefix(fault.offset) {
      if byte == UInt8(ascii: "\n") {
        line += 1
        column = 1
      } else if byte & 0xC0 != 0x80 {
        column += 1
      }
    }
    return JSONError(fault.message, line: line, column: column)
  }

  func fault(_ message: String) -> JSONFault { JSONFault(message: message, offset: at) }

  /// What stands at the present place, for an error.
  var found: String {
    guard at < bytes.count else { return "the end of the text" }
    let byte = bytes[at]
    guard byte > 0x20, byte < 0x7F else { return "byte 0x\(String(byte, radix: 16))" }
    return "'\(Character(Unicode.Scalar(byte)))'"
  }

  @inline(__always) private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

  @inline(__always) private mutating func skipSpace() {
    while at < bytes.count {
      let byte = bytes[at]
      guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
      at += 1
    }
  }

  private mutating func value() throws(JSONFault) -> JSON {
    guard let byte = next else { throw fault("the end of the text, expected a value") }
    switch byte {
    case UInt8(ascii: "\""):
      return .string(try string())
    case UInt8(ascii: "{"):
      return try object()
    case UInt8(ascii: "["):
      return try array()
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      return try number()
    case UInt8(ascii: "t"):
      try word("true")
      return .bool(true)
    case UInt8(ascii: "f"):
      try word("false")
      return .bool(false)
    case UInt8(ascii: "n"):
      try word("null")
      return .null
    default:
      throw fault("\(found), expected a value")
    }
  }

  private mutating func word(_ word: StaticString) throws(JSONFault) {
    let count = word.utf8CodeUnitCount
    let matches =
      bytes.count - at >= count && (0..<count).allSatisfy { bytes[at + $0] == word.utf8Start[$0] }
    guard matches else { throw fault("\(found), expected a value (perhaps \(word))") }
    at += count
  }

  private mutating func enter() throws(JSONFault) {
    guard depth < maxDepth else { throw fault("nested more than \(maxDepth) levels deep") }
    depth += 1
    at += 1
    skipSpace()
  }

  private mutating func leave() {
    depth -= 1
    at += 1
  }

  private mutating func array() throws(JSONFault) -> JSON {
    try enter()
    var elements: [JSON] = []
    if next == UInt8(ascii: "]") {
      leave()
      return .array(elements)
    }
    while true {
      elements.append(try value())
      skipSpace()
      guard let byte = next else { throw fault("the end of the text in an array, expected ',' or ']'") }
      if byte == UInt8(ascii: "]") {
        leave()
        return .array(elements)
      }
      guard byte == UInt8(ascii: ",") else { throw fault("\(found) in an array, expected ',' or ']'") }
      at += 1
      skipSpace()
    }
  }

  private mutating func object() throws(JSONFault) -> JSON {
    try enter()
    var members = JSONObject()
    if next == UInt8(ascii: "}") {
      leave()
      return .object(members)
    }
    members.reserveCapacity(4)  // spares most objects two moves
    while true {
      try member(into: &members)
      skipSpace()
      guard let byte = next else { throw fault("the end of the text in an object, expected ',' or '}'") }
      if byte == UInt8(ascii: "}") {
        leave()
        return .object(members)
      }
      guard byte == UInt8(ascii: ",") else { throw fault("\(found) in an object, expected ',' or '}'") }
      at += 1
      skipSpace()
    }
  }

  private mutating func member(into members: inout JSONObject) throws(JSONFault) {
    let start = at
    guard next == UInt8(ascii: "\"") else { throw fault("\(found), expected a key in double quotes") }
    let key = try string()
    skipSpace()
    guard next == UInt8(ascii: ":") else { throw fault("\(found), expected ':' after a key") }
    at += 1
    skipSpace()
    guard members.insert(key, try value()) else {
      throw JSONFault(message: "the key \"\(key.prefix(64))\" stands here a second time", offset: start)
    }
  }
}

// Strings.
extension JSONParser {
  private mutating func string() throws(JSONFault) -> String {
    at += 1
    let start = at
    var ascii: UInt8 = 0
    while at < bytes.count {
      let byte = bytes[at]
      if byte == UInt8(ascii: "\"") {
        let text = try text(UnsafeRawBufferPointer(rebasing: bytes[start..<at]), isASCII: ascii < 0x80, start: start)
        at += 1
        return text
      }
      if byte == UInt8(ascii: "\\") { return try stringWithEscapes(from: start) }
      guard byte >= 0x20 else { throw fault("a control character in a string; write it as \\u00..") }
      ascii |= byte
      at += 1
    }
    throw fault("the end of the text in a string, expected '\"'")
  }

  /// The text of raw bytes, or a fault at the string's start when they are not UTF-8.
  private func text(_ raw: UnsafeRawBufferPointer, isASCII: Bool, start: Int) throws(JSONFault) -> String {
    if isASCII { return String(decoding: raw, as: UTF8.self) }
    guard let text = String(validating: raw, as: UTF8.self) else {
      throw JSONFault(message: "a string that is not valid UTF-8", offset: start)
    }
    return text
  }

  private mutating func stringWithEscapes(from start: Int) throws(JSONFault) -> String {
    scratch.removeAll(keepingCapacity: true)
    scratch.append(contentsOf: bytes[start..<at])
    while at < bytes.count {
      let byte = bytes[at]
      switch byte {
      case UInt8(ascii: "\""):
        at += 1
        guard let text = String(validating: scratch, as: UTF8.self) else {
          throw JSONFault(message: "a string that is not valid UTF-8", offset: start)
        }
        return text
      case UInt8(ascii: "\\"):
        try escape()
      case ..<0x20:
        throw fault("a control character in a string; write it as \\u00..")
      default:
        scratch.append(byte)
        at += 1
      }
    }
    throw fault("the end of the text in a string, expected '\"'")
  }

  private mutating func escape() throws(JSONFault) {
    at += 1
    guard let byte = next else { throw fault("the end of the text in a string") }
    let plain: UInt8
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): plain = byte
    case UInt8(ascii: "b"): plain = 0x08
    case UInt8(ascii: "f"): plain = 0x0C
    case UInt8(ascii: "n"): plain = 0x0A
    case UInt8(ascii: "r"): plain = 0x0D
    case UInt8(ascii: "t"): plain = 0x09
    case UInt8(ascii: "u"):
      at += 1
      return try unicodeEscape()
    default:
      throw fault("\(found) after '\\', expected one of \"\\/bfnrtu")
    }
    scratch.append(plain)
    at += 1
  }

  private mutating func unicodeEscape() throws(JSONFault) {
    let start = at
    var code = UInt32(try fourHexDigits())
    if (0xD800..<0xDC00).contains(code), at + 1 < bytes.count,
      bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u")
    {
      at += 2
      let low = UInt32(try fourHexDigits())
      guard (0xDC00..<0xE000).contains(low) else {
        throw JSONFault(message: "half a surrogate pair", offset: start)
      }
      code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
    }
    guard let scalar = Unicode.Scalar(code) else {
      throw JSONFault(message: "half a surrogate pair", offset: start)
    }
    scratch.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
  }

  private mutating func fourHexDigits() throws(JSONFault) -> UInt16 {
    var code: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = hexDigit(byte) else { throw fault("\(found), expected four hex digits") }
      code = code << 4 | UInt16(digit)
      at += 1
    }
    return code
  }
}

/// The worth of a hex digit of either case.
func hexDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}

// Numbers.
extension JSONParser {
  /// What a number's digits amount to, as they are read.
  private struct Digits {
    var isNegative = false
    /// All digits as one whole number, as long as it fits.
    var worth: UInt64 = 0
    var fits = true
    /// How many of the digits come after the point.
    var fraction = 0
    var exponent = 0

    @inline(__always) mutating func take(_ byte: UInt8) {
      let (product, high) = worth.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(byte & 0x0F))
      if high || carry { fits = false } else { worth = sum }
    }
  }

  private var atDigit: Bool {
    @inline(__always) get { at < bytes.count && bytes[at] &- UInt8(ascii: "0") < 10 }
  }

  private mutating func number() throws(JSONFault) -> JSON {
    let start = at
    var digits = Digits()
    if bytes[at] == UInt8(ascii: "-") {
      digits.isNegative = true
      at += 1
    }
    guard atDigit else { throw fault("\(found), expected a digit") }
    if bytes[at] == UInt8(ascii: "0") {
      at += 1
      if atDigit { throw fault("a digit after a leading 0") }
    } else {
      takeDigits(&digits)
    }
    let isWhole = try fractionAndExponent(&digits)
    if isWhole, digits.fits, let whole = whole(digits) { return whole }
    return .number(try double(digits, from: start))
  }

  @inline(__always) private mutating func takeDigits(_ digits: inout Digits) {
    while atDigit {
      digits.take(bytes[at])
      at += 1
    }
  }

  /// Reads what may follow the whole part; true when nothing does.
  private mutating func fractionAndExponent(_ digits: inout Digits) throws(JSONFault) -> Bool {
    var isWhole = true
    if next == UInt8(ascii: ".") {
      isWhole = false
      at += 1
      guard atDigit else { throw fault("\(found), expected a digit after the point") }
      let start = at
      takeDigits(&digits)
      digits.fraction = at - start
    }
    guard let byte = next, byte | 0x20 == UInt8(ascii: "e") else { return isWhole }
    at += 1
    var isNegative = false
    if let sign = next, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
      isNegative = sign == UInt8(ascii: "-")
      at += 1
    }
    guard atDigit else { throw fault("\(found), expected a digit of the exponent") }
    while atDigit {
      digits.exponent = min(digits.exponent * 10 + Int(bytes[at] & 0x0F), 1_000_000)
      at += 1
    }
    if isNegative { digits.exponent.negate() }
    return false
  }

  private func whole(_ digits: Digits) -> JSON? {
    if !digits.isNegative { return JSON(digits.worth) }
    if digits.worth == 0 { return .number(-0.0) }  // the sign of -0 is kept
    guard digits.worth <= UInt64(Int64.max) + 1 else { return nil }
    return .integer(Int64(truncatingIfNeeded: 0 &- digits.worth))
  }

  private func double(_ digits: Digits, from start: Int) throws(JSONFault) -> Double {
    // A whole number below 2^53 and a power of ten up to 10^22 are exact, so one rounding gives the nearest double.
    let exponent = digits.exponent - digits.fraction
    if digits.fits, digits.worth <= 1 << 53, exponent.magnitude <= 22 {
      let power = Self.powersOfTen[Int(exponent.magnitude)]
      let worth = Double(digits.worth)
      let value = exponent < 0 ? worth / power : worth * power
      return digits.isNegative ? -value : value
    }
    let text = String(decoding: UnsafeRawBufferPointer(rebasing: bytes[start..<at]), as: UTF8.self)
    guard let value = Double(text), value.isFinite else {
      throw JSONFault(message: "a number too large for 64-bit floating point", offset: start)
    }
    return value
  }

  private static let powersOfTen: [Double] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
  ]
}
