// Address: where a node is heard and found: an IPv6 address (IPv4 stands in it as v4-mapped), a port, and a scope.

/// A network address and port, as a plain value of 24 bytes.
///
/// IPv4 is kept as its v4-mapped IPv6 address (`::ffff:127.0.0.1`), so one peer has one value whichever kind of socket
/// heard it. As text it is `127.0.0.1:5000`, `[::1]:5000` or, with a numeric scope, `[fe80::1%2]:5000`.
public struct Address: Hashable, Sendable {
  /// Network bytes 0…7, the first being the most significant.
  public var high: UInt64
  /// Network bytes 8…15, the first being the most significant.
  public var low: UInt64
  /// The UDP or TCP port; 0 stands for "any".
  public var port: UInt16
  /// The interface's number, for link-local IPv6 addresses; otherwise 0.
  public var scope: UInt32

  /// The address of these very numbers.
  @inlinable public init(high: UInt64, low: UInt64, port: UInt16, scope: UInt32 = 0) {
    self.high = high
    self.low = low
    self.port = port
    self.scope = scope
  }

  /// An IPv4 address; the first of its four octets is the most significant byte.
  @inlinable public init(ipv4: UInt32, port: UInt16) {
    self.init(high: 0, low: 0xffff_0000_0000 | UInt64(ipv4), port: port)
  }

  /// An address without brackets and port, `127.0.0.1` or `::1` or `fe80::1%2`; nil if the text is not exactly that.
  public init?(host text: String, port: UInt16) {
    // The longest: eight groups with a dotted tail and a ten-digit scope.
    guard text.utf8.count <= 64 else { return nil }
    guard let parsed = AddressParser.host(Array(text.utf8)[...]) else { return nil }
    self = parsed
    self.port = port
  }

  /// Whether this is an IPv4 address.
  @inlinable public var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }

  /// The IPv4 address as one number, first octet most significant; nil for IPv6.
  @inlinable public var ipv4: UInt32? { isIPv4 ? UInt32(truncatingIfNeeded: low) : nil }

  /// Whether a node can be there: not port 0, not a group of machines, not none.
  @inlinable var canBeNeighbour: Bool { port != 0 && !isMulticast && !isUnspecified && ipv4 != .max }

  /// Whether it means this very machine: 127.0.0.0/8 or ::1.
  @inlinable public var isLoopback: Bool { isIPv4 ? (low >> 24) & 0xff == 127 : high == 0 && low == 1 }

  /// Whether it means a group of machines: 224.0.0.0/4 or ff00::/8.
  @inlinable public var isMulticast: Bool { isIPv4 ? (low >> 28) & 0xf == 0xe : high >> 56 == 0xff }

  /// Whether it means no machine (or, to bind to, every one): 0.0.0.0 or ::.
  @inlinable public var isUnspecified: Bool {
    high == 0 && (low == 0 || low == 0xffff_0000_0000)
  }

  /// Whether it only holds on one link: 169.254.0.0/16 or fe80::/10.
  @inlinable public var isLinkLocal: Bool {
    isIPv4 ? (low >> 16) & 0xffff == 0xa9fe : high >> 54 == 0x3fa
  }

  /// The same machine at another port.
  @inlinable public func with(port: UInt16) -> Address { Address(high: high, low: low, port: port, scope: scope) }

  @inlinable public func hash(into hasher: inout Hasher) {
    // Every bit goes in, lest a stranger with many prefixes fills one bucket; IPv4 is spared the zeros.
    if high != 0 { hasher.combine(high) }
    hasher.combine(low)
    hasher.combine(UInt64(scope) << 16 | UInt64(port))
  }
}

extension Address: Comparable {
  /// Orders by address, then port, then scope.
  @inlinable public static func < (left: Address, right: Address) -> Bool {
    if left.high != right.high { return left.high < right.high }
    if left.low != right.low { return left.low < right.low }
    if left.port != right.port { return left.port < right.port }
    return left.scope < right.scope
  }
}

extension Address: LosslessStringConvertible {
  /// The address that a text names, strictly: no leading zeros in IPv4 octets or the port, IPv6 in brackets, a port
  /// in 0…65535, and nothing before or after; nil otherwise. Names are not addresses: a resolver turns one into
  /// another.
  public init?(_ text: String) {
    guard text.utf8.count <= 80 else { return nil }
    let bytes = Array(text.utf8)
    // A host never has a colon right before the port's digits but the separator, so the last colon it is.
    guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")) else { return nil }
    guard let port = AddressParser.decimal(bytes[(colon + 1)...], limit: 65535) else { return nil }
    var host = bytes[..<colon]
    let bracketed = host.first == UInt8(ascii: "[")
    if bracketed {
      guard host.count >= 2, host.last == UInt8(ascii: "]") else { return nil }
      host = host.dropFirst().dropLast()
    }
    // Brackets mark IPv6, and only IPv6, so that a text reads one way only.
    guard host.contains(UInt8(ascii: ":")) == bracketed else { return nil }
    guard let parsed = AddressParser.host(host) else { return nil }
    self = parsed
    self.port = UInt16(port)
  }

  /// The address and port, IPv6 as RFC 5952 writes it; `Address(description)` is the same address again.
  public var description: String { isIPv4 ? "\(host):\(port)" : "[\(host)]:\(port)" }

  /// The address alone, without brackets and port, IPv6 as RFC 5952 writes it.
  public var host: String {
    if let ipv4 {
      return "\(ipv4 >> 24).\(ipv4 >> 16 & 0xff).\(ipv4 >> 8 & 0xff).\(ipv4 & 0xff)"
    }
    let groups = (0..<8).map { index in
      UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - index % 4 * 16))
    }
    let gap = Self.longestZeroRun(groups)
    var text = ""
    var index = 0
    while index < 8 {
      if !gap.isEmpty, index == gap.lowerBound {
        text += "::"
        index = gap.upperBound
        continue
      }
      if index > 0, index != gap.upperBound || gap.isEmpty { text += ":" }
      text += String(groups[index], radix: 16)
      index += 1
    }
    return scope == 0 ? text : "\(text)%\(scope)"
  }

  /// The first of the longest runs of at least two zero groups; empty if there is none.
  private static func longestZeroRun(_ groups: [UInt16]) -> Range<Int> {
    var best = 0..<0
    var start = 0
    for index in 0...groups.count where index == groups.count || groups[index] != 0 {
      if index - start >= 2, index - start > best.count { best = start..<index }
      start = index + 1
    }
    return best
  }
}

extension Address: Codable {
  /// Reads the text form.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let parsed = Address(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "an address such as \"127.0.0.1:5000\" or \"[::1]:5000\"")
    }
    self = parsed
  }

  /// Writes the text form.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

extension Address: SchemaProviding {
  /// Text such as "127.0.0.1:5000".
  public static var schema: Schema {
    Schema(
      .string(allowed: nil, minCount: nil, maxCount: nil),
      form: .init(
        "an address such as \"127.0.0.1:5000\" or \"[::1]:5000\"",
        pattern: #"^([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9a-fA-F:.]{2,45}(%[0-9]{1,10})?\]):[0-9]{1,5}$"#
      ) { Address($0) != nil })
  }
  /// An address of this machine.
  public static let schemaSample = Address(ipv4: 0x7f00_0001, port: 1)
}

/// The strict reading of an address's text, byte by byte.
private enum AddressParser {
  /// A decimal number without leading zeros, signs or spaces, at most `limit`.
  static func decimal(_ text: ArraySlice<UInt8>, limit: UInt64) -> UInt64? {
    guard (1...10).contains(text.count), text.count == 1 || text.first != UInt8(ascii: "0") else { return nil }
    var value: UInt64 = 0
    for byte in text {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      value = value * 10 + UInt64(byte - UInt8(ascii: "0"))
    }
    return value <= limit ? value : nil
  }

  /// One group of an IPv6 address: one to four hexadecimal digits.
  static func group(_ text: ArraySlice<UInt8>) -> UInt16? {
    guard (1...4).contains(text.count) else { return nil }
    var value: UInt16 = 0
    for byte in text {
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
      default: return nil
      }
      value = value << 4 | UInt16(digit)
    }
    return value
  }

  /// Four octets with dots between.
  static func ipv4(_ text: ArraySlice<UInt8>) -> UInt32? {
    let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var value: UInt32 = 0
    for part in parts {
      guard let octet = decimal(part, limit: 255) else { return nil }
      value = value << 8 | UInt32(octet)
    }
    return value
  }

  /// Either kind of address, IPv6 with a scope perhaps.
  static func host(_ text: ArraySlice<UInt8>) -> Address? {
    guard text.contains(UInt8(ascii: ":")) else { return ipv4(text).map { Address(ipv4: $0, port: 0) } }
    let parts = text.split(separator: UInt8(ascii: "%"), maxSplits: 1, omittingEmptySubsequences: false)
    guard let groups = ipv6(parts[0]) else { return nil }
    var address = Address(high: 0, low: 0, port: 0)
    for index in 0..<4 {
      address.high = address.high << 16 | UInt64(groups[index])
      address.low = address.low << 16 | UInt64(groups[index + 4])
    }
    if parts.count == 2 {
      // Zero means "no scope", which is written by leaving it out; and an IPv4 address has none.
      guard let scope = decimal(parts[1], limit: UInt64(UInt32.max)), scope > 0, !address.isIPv4 else { return nil }
      address.scope = UInt32(scope)
    }
    return address
  }

  /// The eight groups of an IPv6 address, with at most one `::` put in full.
  static func ipv6(_ text: ArraySlice<UInt8>) -> [UInt16]? {
    let colon = UInt8(ascii: ":")
    var gap: Int?
    for index in text.indices.dropLast() where text[index] == colon && text[index + 1] == colon {
      // A second gap, or three colons in a row, reads more than one way.
      guard gap == nil else { return nil }
      gap = index
    }
    guard let gap else {
      guard let groups = list(text, dottedTail: true), groups.count == 8 else { return nil }
      return groups
    }
    guard let head = list(text[..<gap], dottedTail: false), let tail = list(text[(gap + 2)...], dottedTail: true),
      head.count + tail.count <= 7
    else { return nil }
    return head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
  }

  /// Groups with single colons between; none for an empty text; the last two as four octets if `dottedTail`.
  static func list(_ text: ArraySlice<UInt8>, dottedTail: Bool) -> [UInt16]? {
    if text.isEmpty { return [] }
    let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    var groups: [UInt16] = []
    for (index, part) in parts.enumerated() {
      if dottedTail, index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
        guard let tail = ipv4(part) else { return nil }
        groups += [UInt16(tail >> 16), UInt16(truncatingIfNeeded: tail)]
      } else {
        guard let value = group(part) else { return nil }
        groups.append(value)
      }
    }
    return groups
  }
}
