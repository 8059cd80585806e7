// OrderedNumber: numbers as parts of keys in storage, where they stand in their order.

extension [UInt8] {
  /// Appends a number, its highest byte first: keys with it stand in storage in the order of their numbers.
  @inlinable public mutating func append<Number: FixedWidthInteger & UnsignedInteger>(ordered number: Number) {
    var shift = Number.bitWidth
    while shift > 0 {
      shift -= 8
      append(UInt8(truncatingIfNeeded: number >> Number(shift)))
    }
  }
}

extension FixedWidthInteger where Self: UnsignedInteger {
  /// The number that such bytes stand for; of more bytes than it has, the last.
  @inlinable public init(ordered bytes: some Sequence<UInt8>) {
    self = bytes.reduce(0) { ($0 << 8) | Self($1) }
  }
}
