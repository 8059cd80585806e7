// SafeName: a file's name that a stranger chose, made fit to be kept on disk and shown to people.
import StackCore

/// A name for one file or folder: never a path, never hidden, nothing in it that can't be seen or that changes how what
/// stands beside it is read.
///
/// What is merely odd stays: spaces, emoji, quotes, `$`, `;` and other letters that mean something to a shell or a
/// database are names like any other to a program that never builds commands of them. It is always the same name for
/// the same text, and making it safe again changes nothing.
public struct SafeName: Hashable, Sendable, CustomStringConvertible {
  /// The name: 1 to 255 bytes of UTF-8.
  public let text: String
  public var description: String { text }

  /// The most bytes that a file system takes.
  public static let longest = 255

  /// The safe name for any text.
  public init(_ name: String) {
    var scalars = String.UnicodeScalarView()
    for scalar in name.unicodeScalars { scalars.append(Self.isUnsafe(scalar) ? "_" : scalar) }
    var rest = scalars[...]
    while rest.first == " " { rest.removeFirst() }
    while rest.last == " " { rest.removeLast() }
    var safe = String.UnicodeScalarView(rest)
    // A dot hides a file or means a folder; a dash or a tilde means something else to many commands.
    if let first = safe.first, first == "." || first == "-" || first == "~" {
      safe.replaceSubrange(safe.startIndex...safe.startIndex, with: ["_"])
    }
    let whole = String(safe)
    text = whole.isEmpty ? "file" : Self.cut(whole)
  }

  /// The safe name for bytes that came over the wire; what is not UTF-8 is replaced.
  public init(bytes: [UInt8]) { self.init(String(decoding: bytes, as: UTF8.self)) }

  /// Separators, what can't be seen, and what turns the direction of reading.
  private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
    if scalar == "/" || scalar == "\\" { return true }
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: return true
    // The joiner holds emoji of several parts together; the tags of flags are the other formats in use.
    case .format: return scalar.value != 0x200d && !(0xe0020...0xe007f).contains(scalar.value)
    default: return false
    }
  }

  /// A name of at most 255 bytes, which keeps its ending where that is a short one.
  private static func cut(_ name: String) -> String {
    guard name.utf8.count > longest else { return name }
    var ending = ""
    if let dot = name.unicodeScalars.lastIndex(of: "."), name[dot...].utf8.count <= 16 { ending = String(name[dot...]) }
    var kept = String.UnicodeScalarView()
    var bytes = 0
    for scalar in name.unicodeScalars {
      bytes += String(scalar).utf8.count
      if bytes + ending.utf8.count > longest { break }
      kept.append(scalar)
    }
    while kept.last == " " { kept.removeLast() }
    return String(kept) + ending
  }
}

/// A path below a folder, of which every part is a safe name: for what a stranger calls a tree of files.
public struct SafePath: Hashable, Sendable, CustomStringConvertible {
  /// The parts, at least one.
  public let parts: [SafeName]
  /// How deep a path may go; what is deeper is refused.
  public static let deepest = 32

  /// The safe path for a text with slashes; empty parts go, and `.` and `..` become names like any other. Nil when
  /// nothing is left, when it goes too deep, or when it is longer than a system takes.
  public init?(_ path: String) {
    let pieces = path.utf8.split(separator: UInt8(ascii: "/"))
    guard !pieces.isEmpty, pieces.count <= Self.deepest, path.utf8.count <= 3_500 else { return nil }
    parts = pieces.map { SafeName(bytes: Array($0)) }
  }

  /// The parts with slashes between them.
  public var text: String { parts.map(\.text).joined(separator: "/") }
  public var description: String { text }
}
