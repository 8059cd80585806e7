// PageBuffer: bytes that begin at a page of memory, so that a disk can take them from where they are.

/// A fixed number of bytes that begin at a page, as long as the buffer isn't copied; after that they may not, which is
/// slower and no less right.
struct PageBuffer: Sendable {
  private var storage: [UInt8]
  private let start: Int
  let count: Int

  static let empty = PageBuffer(count: 0)
  private static let page = 4_096

  /// A buffer whose bytes are whatever was in memory: each is to be written before it is read.
  init(count: Int) {
    let size = count == 0 ? 0 : count + Self.page
    storage = [UInt8](unsafeUninitializedCapacity: size) { _, filled in filled = size }
    start = storage.withUnsafeBytes { bytes in
      bytes.baseAddress.map { (Self.page - Int(bitPattern: $0) % Self.page) % Self.page } ?? 0
    }
    self.count = count
  }

  func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    storage.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[start..<start + count])) }
  }

  mutating func withUnsafeMutableBytes<Result>(_ body: (UnsafeMutableRawBufferPointer) -> Result) -> Result {
    storage.withUnsafeMutableBytes { body(UnsafeMutableRawBufferPointer(rebasing: $0[start..<start + count])) }
  }
}
