// SHA256: the hash of files and of chains, of one piece or of many at once.
import CIPSecMB
import CSodium
import StackCore

/// SHA-256 (FIPS 180-4).
///
/// Many independent pieces are hashed side by side: by the library for it where there is one and it takes them, else by
/// our own code where the processor has what that needs; else one by one. The results are the same. Any thread may call
/// these.
public enum SHA256 {
  /// The hash of the bytes given.
  public static func hash(_ bytes: UnsafeRawBufferPointer) -> Hash256 {
    // Alone in its lane a piece gains only by the processor's own instructions, of which two lanes are the mark.
    guard bytes.count >= fewest, let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
      return plainHash(bytes)
    }
    var words = noHash
    let done = withUnsafeMutableBytes(of: &words) { result in
      let room = result.baseAddress?.assumingMemoryBound(to: UInt8.self)
      if bytes.count <= longest, cipsecmb_lanes(0) == 2 {
        return cipsecmb_hash_chunks(0, start, bytes.count, bytes.count, room) == 1
      }
      guard cipsecmb_long_lanes(0) == 2 else { return false }
      return withUnsafePointer(to: Optional(start)) { piece in
        withUnsafePointer(to: bytes.count) { cipsecmb_hash_long(0, piece, $0, 1, room) == 1 }
      }
    }
    return done ? withUnsafeBytes(of: &words) { Hash256($0) ?? Hash256() } : plainHash(bytes)
  }

  /// The hash of the bytes given.
  public static func hash(_ bytes: [UInt8]) -> Hash256 { bytes.withUnsafeBytes { hash($0) } }

  /// The hashes of a buffer's chunks, the last of which may be shorter; none of an empty buffer.
  public static func hashChunks(of buffer: UnsafeRawBufferPointer, chunkSize: Int) -> [Hash256] {
    let count = chunkCount(buffer.count, chunkSize)
    return [Hash256](unsafeUninitializedCapacity: count) { hashes, made in
      let room = UnsafeMutableRawBufferPointer(hashes)
      hashChunks(of: buffer, chunkSize: chunkSize, into: room)
      // What was written are bytes; a `Hash256` holds them as numbers.
      for place in 0..<count {
        let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[place * 32..<place * 32 + 32])
        hashes[place] = Hash256(bytes) ?? Hash256()
      }
      made = count
    }
  }

  /// Writes the hashes of a buffer's chunks side by side, 32 bytes each; there must be room for all of them.
  public static func hashChunks(
    of buffer: UnsafeRawBufferPointer, chunkSize: Int, into hashes: UnsafeMutableRawBufferPointer
  ) {
    let count = chunkCount(buffer.count, chunkSize)
    precondition(hashes.count >= count * 32, "no room for \(count) hashes")
    guard count > 0, let start = buffer.baseAddress, let room = hashes.baseAddress else { return }
    if count == 1 { return hash(buffer).withBytes { hashes.copyMemory(from: $0) } }
    let done = cipsecmb_hash_chunks(
      0, start.assumingMemoryBound(to: UInt8.self), buffer.count, chunkSize, room.assumingMemoryBound(to: UInt8.self))
    if done == 1 { return }
    // Too long for the library, or there is none.
    let first = start.assumingMemoryBound(to: UInt8.self)
    let starts = (0..<count).map { Optional(first + $0 * chunkSize) }
    let lengths = (0..<count).map { min(chunkSize, buffer.count - $0 * chunkSize) }
    if cipsecmb_hash_long(0, starts, lengths, count, room.assumingMemoryBound(to: UInt8.self)) == 1 { return }
    for place in 0..<count {
      let end = min(buffer.count, (place + 1) * chunkSize)
      let hash = plainHash(UnsafeRawBufferPointer(rebasing: buffer[place * chunkSize..<end]))
      hash.withBytes { UnsafeMutableRawBufferPointer(rebasing: hashes[(place * 32)...]).copyMemory(from: $0) }
    }
  }

  /// The hashes of pieces that lie apart, in their order.
  public static func hashEach(_ pieces: [UnsafeRawBufferPointer]) -> [Hash256] {
    if pieces.count < 2 { return pieces.map { hash($0) } }
    let starts = pieces.map { $0.baseAddress?.assumingMemoryBound(to: UInt8.self) }
    let lengths = pieces.map(\.count)
    var bytes = [UInt8](repeating: 0, count: pieces.count * 32)
    guard
      cipsecmb_hash_each(0, starts, lengths, pieces.count, &bytes) == 1
        || cipsecmb_hash_long(0, starts, lengths, pieces.count, &bytes) == 1
    else { return pieces.map { plainHash($0) } }
    return bytes.withUnsafeBytes { all in
      pieces.indices.map { Hash256(UnsafeRawBufferPointer(rebasing: all[$0 * 32..<$0 * 32 + 32])) ?? Hash256() }
    }
  }

  /// How many pieces this machine hashes side by side; 1 where it hashes one by one.
  public static var lanes: Int { max(1, Int(max(cipsecmb_lanes(0), cipsecmb_long_lanes(0)))) }

  /// The hash by libsodium, one block after the other.
  static func plainHash(_ bytes: UnsafeRawBufferPointer) -> Hash256 {
    var words = noHash
    return withUnsafeMutableBytes(of: &words) { result in
      if let room = result.baseAddress {
        crypto_hash_sha256(
          room.assumingMemoryBound(to: UInt8.self), bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
          UInt64(bytes.count))
      }
      return Hash256(UnsafeRawBufferPointer(result)) ?? Hash256()
    }
  }

  private static func chunkCount(_ bytes: Int, _ chunkSize: Int) -> Int {
    precondition(chunkSize > 0, "a chunk has at least one byte")
    return bytes / chunkSize + (bytes % chunkSize == 0 ? 0 : 1)
  }

  /// Below this, to open the library and to take a manager from its pool would cost more than it gains.
  private static let fewest = 1024
  private static let longest = Int(CIPSECMB_LONGEST)
  private static let noHash: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
}
