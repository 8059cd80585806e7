// FileDescriptor: what must be known of a file before a byte of it is trusted, and the link that says it.
import StackCore

/// A file by its name, its size and the hash that names its content.
public struct FileDescriptor: Hashable, Sendable, Codable {
  /// What its owner calls it. Never trusted: to keep it on disk, make a `SafeName` of it.
  public var name: String
  /// Its bytes.
  public let size: Int64
  /// The bytes in a chunk.
  public let chunkSize: Int
  /// The root of its tree.
  public let root: Hash256

  /// The most bytes in a name; more is refused.
  public static let longestName = 1024
  /// The most bytes in a link.
  public static let longestLink = 4096

  /// A descriptor; nil when a size is not a possible one, or the name is too long.
  public init?(name: String, size: Int64, chunkSize: Int = TreeShape.usualChunkSize, root: Hash256) {
    guard name.utf8.count <= Self.longestName, TreeShape(size: size, chunkSize: chunkSize) != nil else { return nil }
    self.name = name
    self.size = size
    self.chunkSize = chunkSize
    self.root = root
  }

  private enum CodingKeys: String, CodingKey { case name, size, chunkSize, root }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    guard
      let descriptor = FileDescriptor(
        name: try values.decode(String.self, forKey: .name), size: try values.decode(Int64.self, forKey: .size),
        chunkSize: try values.decode(Int.self, forKey: .chunkSize), root: try values.decode(Hash256.self, forKey: .root)
      )
    else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "a file's name, size, chunk size and root"))
    }
    self = descriptor
  }

  /// The shape of its tree.
  public var shape: TreeShape {
    guard let shape = TreeShape(size: size, chunkSize: chunkSize) else {
      preconditionFailure("a descriptor's sizes are checked when it is made")
    }
    return shape
  }

  /// The name as it may be shown and kept.
  public var safeName: SafeName { SafeName(name) }
}

/// Why a text is not a link; it says what would be right.
public struct LinkError: Error, Hashable, Sendable, CustomStringConvertible {
  /// One sentence for a person.
  public var message: String
  public var description: String { message }
}

extension FileDescriptor {
  /// The link: `strata:file?root=…&size=…&chunk=…&name=…`. Only unreserved characters stand in it as they are, so that
  /// it passes through shells, pages and letters unharmed.
  public var link: String { link(prefix: Self.prefix) }

  private static let prefix = "strata:file?"

  func link(prefix: String) -> String {
    var text = prefix + "root=\(root.hex)&size=\(size)"
    if chunkSize != TreeShape.usualChunkSize { text += "&chunk=\(chunkSize)" }
    return text + "&name=" + percentEncoded(name)
  }

  /// Reads a link. `root` and `size` must be there, `chunk` and `name` may; each stands once. Other keys are for later
  /// and are passed over. Numbers are written plainly, without sign or zeros before them.
  public init(link: String) throws(LinkError) { try self.init(link: link, prefix: Self.prefix) }

  init(link: String, prefix: String) throws(LinkError) {
    guard link.utf8.count <= Self.longestLink else {
      throw LinkError(message: "a link has at most \(Self.longestLink) bytes")
    }
    guard link.utf8.starts(with: prefix.utf8) else {
      throw LinkError(message: "this link should begin with \(prefix)")
    }
    var values: [String: String] = [:]
    for part in link.utf8.dropFirst(prefix.utf8.count).split(separator: UInt8(ascii: "&")) {
      let pair = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      guard pair.count == 2, let key = percentDecoded(pair[0]), let value = percentDecoded(pair[1]) else {
        throw LinkError(message: "a link's parts are written key=value, in UTF-8, percent-encoded")
      }
      guard values.updateValue(value, forKey: key) == nil else {
        throw LinkError(message: "this link says its \(SafeName(key).text) twice")
      }
    }
    guard let root = values["root"].flatMap({ Hash256(hex: $0) }) else {
      throw LinkError(message: "a link needs root=, of 64 hexadecimal digits")
    }
    guard let size = values["size"].flatMap(plainNumber), size <= TreeShape.largestSize else {
      throw LinkError(message: "a link needs size=, a number of bytes up to \(TreeShape.largestSize)")
    }
    var chunkSize = TreeShape.usualChunkSize
    if let text = values["chunk"] {
      guard let number = plainNumber(text), TreeShape.isChunkSize(Int(number)) else {
        throw LinkError(message: "a link's chunk= is a power of two from 4096 to 65536")
      }
      chunkSize = Int(number)
    }
    guard let descriptor = FileDescriptor(name: values["name"] ?? "", size: size, chunkSize: chunkSize, root: root)
    else { throw LinkError(message: "a link's name= has at most \(Self.longestName) bytes") }
    self = descriptor
  }
}

/// A number of digits only, without zeros before it; nil for anything else.
private func plainNumber(_ text: String) -> Int64? {
  guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
  if text.utf8.first == 48, text.utf8.count > 1 { return nil }
  return Int64(text)
}

/// A text of which only letters, digits and `-._~` stand as they are.
func percentEncoded(_ text: String) -> String {
  let digits = Array("0123456789ABCDEF".utf8)
  var result: [UInt8] = []
  for byte in text.utf8 {
    switch byte {
    case 48...57, 65...90, 97...122, 45, 46, 95, 126: result.append(byte)
    default: result += [37, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
  }
  return String(decoding: result, as: UTF8.self)
}

/// What a percent-encoded text means; nil when it is not well-formed or not UTF-8.
func percentDecoded(_ text: some Sequence<UInt8>) -> String? {
  var result: [UInt8] = []
  var rest = text.makeIterator()
  while let byte = rest.next() {
    guard byte == 37 else {
      guard byte > 32, byte < 127 else { return nil }
      result.append(byte)
      continue
    }
    guard let high = rest.next(), let low = rest.next(),
      let value = [UInt8](hex: String(decoding: [high, low], as: UTF8.self))
    else { return nil }
    result += value
  }
  return String(validating: result, as: UTF8.self)
}
