// FuzzInput: a fuzzer's bytes, read as choices; when they are used up, every choice is 0.

/// A cursor over the bytes that a fuzzer tries.
public struct FuzzInput {
  private let bytes: [UInt8]
  private var offset = 0

  /// At the start of some bytes.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Copies what libFuzzer lends.
  public init(_ start: UnsafePointer<UInt8>?, _ count: Int) {
    bytes = [UInt8](UnsafeBufferPointer(start: start, count: start == nil ? 0 : count))
  }

  /// Whether nothing is left.
  public var isEmpty: Bool { offset >= bytes.count }

  /// The next byte.
  public mutating func byte() -> UInt8 {
    guard offset < bytes.count else { return 0 }
    defer { offset += 1 }
    return bytes[offset]
  }

  /// The next bytes as one number, little-endian.
  public mutating func number(bytes count: Int) -> UInt64 {
    var value: UInt64 = 0
    for place in 0..<count { value |= UInt64(byte()) << UInt64(8 * place) }
    return value
  }

  /// A number below a bound of at most 65,536.
  public mutating func choice(below bound: Int) -> Int {
    Int(number(bytes: bound <= 256 ? 1 : 2)) % bound
  }

  /// Up to so many of the bytes that are left.
  public mutating func take(_ count: Int) -> [UInt8] {
    let end = min(bytes.count, offset + max(0, count))
    defer { offset = end }
    return Array(bytes[offset..<end])
  }

  /// All that is left.
  public mutating func rest() -> [UInt8] { take(bytes.count) }
}

/// Stops the fuzzer when a promise is broken.
public func promise(_ kept: Bool, _ what: @autoclosure () -> String) {
  if !kept { fatalError("broken promise: \(what())") }
}
