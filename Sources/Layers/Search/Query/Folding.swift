// Folding: texts without the differences that people don't mean when they search: case, accents, two ways of writing.
import StackCore

/// Folds texts to the bytes that are compared. Two texts that Unicode calls canonically equal fold alike.
///
/// - Case goes, in every script that has it; ß is ss, æ ae, œ oe, þ th, and final sigma is sigma.
/// - Marks over and under letters go in Latin, Greek and Cyrillic, and so do strokes (ø, ł, đ); vowel points and
///   accents of Hebrew and Arabic go too. Signs that change a word in other scripts (Indic vowels, Thai tones) stay.
/// - Hangul is compared by its letters, kana with its voicing marks, full-width Latin as plain Latin.
/// - What is not UTF-8 counts as U+FFFD, byte by byte.
enum Folding {
  /// The folded bytes of a text.
  static func fold(_ text: String) -> [UInt8] {
    var text = text
    return text.withUTF8 { fold(UnsafeRawBufferPointer($0)) }
  }

  /// The folded bytes of a text as it came over the wire.
  static func fold(bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { fold($0) } }

  private static func fold(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var folded: [UInt8] = []
    folded.reserveCapacity(bytes.count)
    append(bytes, to: &folded)
    return folded
  }

  /// Appends a text's folded bytes.
  static func append(_ text: String, to folded: inout [UInt8]) {
    var text = text
    text.withUTF8 { append(UnsafeRawBufferPointer($0), to: &folded) }
  }

  private static func append(_ bytes: UnsafeRawBufferPointer, to folded: inout [UInt8]) {
    var place = 0
    while place < bytes.count, bytes[place] < 0x80 {
      folded.append(lower(bytes[place]))
      place += 1
    }
    if place == bytes.count { return }
    for scalar in String(decoding: bytes[place...], as: UTF8.self).unicodeScalars { append(scalar, to: &folded) }
  }

  private static func lower(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }

  private static func append(_ scalar: Unicode.Scalar, to folded: inout [UInt8]) {
    let value = scalar.value
    if value < 0x80 { return folded.append(lower(UInt8(value))) }
    if isDropped(value) { return }
    if let letter = single(value) { return append(plain: UInt32(letter), to: &folded) }
    if let pair = FoldingTables.pair(value) {
      return pair.withUTF8Buffer { folded.append(contentsOf: $0) }
    }
    switch value {
    case 0xAC00...0xD7A3: appendHangul(value - 0xAC00, to: &folded)
    case 0x3041...0x30FE: appendKana(UInt16(value), to: &folded)
    // Full-width forms stand in the order of ASCII.
    case 0xFF01...0xFF5E: folded.append(lower(UInt8(value - 0xFEE0)))
    // Signs that are nothing but letters: Ohm, Kelvin, Ångström.
    case 0x2126: append(plain: 0x3C9, to: &folded)
    case 0x212A: folded.append(UInt8(ascii: "k"))
    case 0x212B: folded.append(UInt8(ascii: "a"))
    default:
      let properties = scalar.properties
      guard properties.changesWhenLowercased else { return append(plain: value, to: &folded) }
      for lower in properties.lowercaseMapping.unicodeScalars { append(plain: lower.value, to: &folded) }
    }
  }

  /// Marks that are left out.
  private static func isDropped(_ value: UInt32) -> Bool {
    switch value {
    case 0x300...0x36F, 0x483...0x489, 0x1AB0...0x1AFF, 0x1DC0...0x1DFF, 0x20D0...0x20FF, 0xFE20...0xFE2F: true
    // Points and accents of Hebrew; vowels of Arabic; joiners and marks of direction, which nobody sees.
    case 0x591...0x5BD, 0x5BF, 0x5C1, 0x5C2, 0x5C4, 0x5C5, 0x5C7, 0x64B...0x65F, 0x670: true
    case 0xAD, 0x200B...0x200F, 0x202A...0x202E, 0x2060...0x2069, 0xFE00...0xFE0F, 0xFEFF: true
    default: false
    }
  }

  /// The one letter that a table has for a code point.
  private static func single(_ value: UInt32) -> UInt16? {
    let letter: UInt16
    switch value {
    case 0xC0...0x24F: letter = FoldingTables.latin[Int(value) - 0xC0]
    case 0x370...0x52F: letter = FoldingTables.greekAndCyrillic[Int(value) - 0x370]
    case 0x1E00...0x1FFF: letter = FoldingTables.additional[Int(value) - 0x1E00]
    default: return nil
    }
    return letter == 0x20 ? nil : letter
  }

  private static func append(plain value: UInt32, to folded: inout [UInt8]) {
    guard let scalar = Unicode.Scalar(value) else { return }
    folded.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
  }

  /// A syllable as its two or three letters, as Unicode's chapter 3.12 reckons them.
  private static func appendHangul(_ place: UInt32, to folded: inout [UInt8]) {
    append(plain: 0x1100 + place / 588, to: &folded)
    append(plain: 0x1161 + place % 588 / 28, to: &folded)
    if place % 28 != 0 { append(plain: 0x11A7 + place % 28, to: &folded) }
  }

  private static func appendKana(_ value: UInt16, to folded: inout [UInt8]) {
    if let place = FoldingTables.voiced.firstIndex(of: value) {
      append(plain: UInt32(FoldingTables.unvoiced[place]), to: &folded)
      append(plain: 0x3099, to: &folded)
    } else if let place = FoldingTables.halfVoiced.firstIndex(of: value) {
      append(plain: UInt32(FoldingTables.unhalved[place]), to: &folded)
      append(plain: 0x309A, to: &folded)
    } else {
      append(plain: UInt32(value), to: &folded)
    }
  }
}
