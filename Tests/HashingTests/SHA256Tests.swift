// SHA256Tests: each way of hashing against NIST's messages, and against each other.
import CIPSecMB
import Foundation
import StackCore
import Testing

@testable import Hashing

@Suite struct SHA256Tests {
  /// NIST's files stand beside the repository, where they are handed out; they are not part of it.
  private static let folder =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("shared/vectors/nist-sha256").path
  private static let isThere = FileManager.default.fileExists(atPath: folder)

  /// The messages of a file and their hashes.
  private static func messages(_ file: String) throws -> [(message: [UInt8], hash: Hash256)] {
    let text = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
    var length = 0
    var message: [UInt8] = []
    var found: [([UInt8], Hash256)] = []
    for line in text.split(whereSeparator: \.isNewline) {
      let parts = line.split(separator: " ").map(String.init)
      guard parts.count == 3, parts[1] == "=" else { continue }
      switch parts[0] {
      case "Len": length = Int(parts[2]) ?? -8
      case "Msg": message = Array(try #require([UInt8](hex: parts[2])).prefix(length / 8))
      case "MD": found.append((message, try #require(Hash256(hex: parts[2]))))
      default: break
      }
    }
    return found
  }

  /// What a way of the library makes of pieces; nil where it can't be gone here.
  private static func multi(_ way: Int32, _ pieces: [[UInt8]]) -> [Hash256]? {
    var hashes = [UInt8](repeating: 0, count: pieces.count * 32)
    let all = pieces.flatMap { $0 }
    let done = all.withUnsafeBufferPointer { bytes in
      var place = 0
      let starts: [UnsafePointer<UInt8>?] = pieces.map { piece in
        defer { place += piece.count }
        return bytes.baseAddress.map { $0 + place }
      }
      return cipsecmb_hash_each(way, starts, pieces.map(\.count), pieces.count, &hashes) == 1
    }
    guard done else { return nil }
    return pieces.indices.compactMap { Hash256(Array(hashes[$0 * 32..<$0 * 32 + 32])) }
  }

  /// What a way of our own makes of pieces; nil where it can't be gone here.
  private static func long(_ way: Int32, _ pieces: [[UInt8]]) -> [Hash256]? {
    var hashes = [UInt8](repeating: 0, count: pieces.count * 32)
    // One more, so that there is an address where all pieces are empty.
    let all: [UInt8] = Array(pieces.joined()) + [0]
    let done = all.withUnsafeBufferPointer { bytes in
      var place = 0
      let starts: [UnsafePointer<UInt8>?] = pieces.map { piece in
        defer { place += piece.count }
        return bytes.baseAddress.map { $0 + place }
      }
      return cipsecmb_hash_long(way, starts, pieces.map(\.count), pieces.count, &hashes) == 1
    }
    guard done else { return nil }
    return pieces.indices.compactMap { Hash256(Array(hashes[$0 * 32..<$0 * 32 + 32])) }
  }

  @Test("NIST's short and long messages", .enabled(if: isThere, "no NIST vectors here"))
  func nist() throws {
    let vectors = try Self.messages("SHA256ShortMsg.rsp") + Self.messages("SHA256LongMsg.rsp")
    #expect(vectors.count == 129)
    for (message, hash) in vectors {
      #expect(SHA256.hash(message) == hash)
      #expect(message.withUnsafeBytes { SHA256.plainHash($0) } == hash)
    }
    let some = vectors.filter { !$0.message.isEmpty }
    for way in 0...4 as ClosedRange<Int32> where cipsecmb_lanes(way) > 0 {
      #expect(Self.multi(way, some.map(\.message)) == some.map(\.hash), "way \(way)")
    }
    for way in 0...4 as ClosedRange<Int32> where cipsecmb_long_lanes(way) > 0 {
      #expect(Self.long(way, vectors.map(\.message)) == vectors.map(\.hash), "way \(way)")
    }
  }

  @Test("NIST's Monte Carlo chain", .enabled(if: isThere, "no NIST vectors here"))
  func monteCarlo() throws {
    let text = try String(contentsOfFile: "\(Self.folder)/SHA256Monte.rsp", encoding: .utf8)
    let lines = text.split(whereSeparator: \.isNewline).map { $0.split(separator: " ").map(String.init) }
    var seed = try #require(lines.first { $0.first == "Seed" }.flatMap { [UInt8](hex: $0[2]) })
    let expected = lines.filter { $0.first == "MD" }.map { $0[2] }
    #expect(expected.count == 100)
    for (round, wanted) in expected.prefix(10).enumerated() {
      var last = [seed, seed, seed]
      for _ in 0..<1000 { last = [last[1], last[2], SHA256.hash(last[0] + last[1] + last[2]).bytes] }
      seed = last[2]
      #expect(seed.hex == wanted, "round \(round)")
    }
  }

  @Test func allWaysAgreeOnAllLengths() {
    var random = RandomStream(seed: 5)
    var pieces: [[UInt8]] = []
    for length in Array(1...200) + [4_095, 8_191, 8_192, 32_768, 65_407, 65_408] {
      pieces.append((0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) })
    }
    let expected = pieces.map { piece in piece.withUnsafeBytes { SHA256.plainHash($0) } }
    for way in 0...4 as ClosedRange<Int32> where cipsecmb_lanes(way) > 0 {
      #expect(Self.multi(way, pieces) == expected, "way \(way)")
      // One alone, and what comes after it.
      #expect(Self.multi(way, [pieces[100]]) == [expected[100]], "way \(way)")
    }
    #expect(pieces.map { SHA256.hash($0) } == expected)
  }

  @Test func piecesThatTheLibraryCannotTakeAreRefusedByItAndHashedAnyway() {
    for length in [0, 65_409, 65_536, 200_000] {
      let piece = [UInt8](repeating: 7, count: length)
      #expect(Self.multi(0, [piece]) == nil)
      let expected = piece.withUnsafeBytes { SHA256.plainHash($0) }
      piece.withUnsafeBytes { bytes in
        #expect(SHA256.hashEach([bytes, bytes, bytes]) == [expected, expected, expected])
      }
      #expect(SHA256.hash(piece) == expected)
    }
  }

  /// Our own code takes any length, and lanes that are of different lengths don't disturb each other.
  @Test func ourOwnWaysAgreeOnAllLengths() {
    var random = RandomStream(seed: 7)
    var pieces: [[UInt8]] = []
    for length in Array(0...200) + [65_407, 65_409, 65_536, 65_537, 131_072, 4_095, 1, 200_000] {
      pieces.append((0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) })
    }
    let expected = pieces.map { piece in piece.withUnsafeBytes { SHA256.plainHash($0) } }
    for way in 0...4 as ClosedRange<Int32> where cipsecmb_long_lanes(way) > 0 {
      #expect(Self.long(way, pieces) == expected, "way \(way)")
      for count in 1...17 {
        #expect(Self.long(way, Array(pieces.suffix(count))) == expected.suffix(count), "way \(way), \(count)")
      }
    }
    #expect(pieces.map { SHA256.hash($0) } == expected)
  }

  @Test func chunksAreHashedAsEachAlone() {
    var random = RandomStream(seed: 6)
    for size in [0, 1, 4_095, 4_096, 4_097, 65_536, 200_001] {
      let content = (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      for chunk in [4_096, 8_192, 32_768, 65_536, 100_000] {
        let expected = stride(from: 0, to: size, by: chunk).map { start in
          Array(content[start..<min(size, start + chunk)]).withUnsafeBytes { SHA256.plainHash($0) }
        }
        #expect(content.withUnsafeBytes { SHA256.hashChunks(of: $0, chunkSize: chunk) } == expected)
      }
    }
  }

  @Test func manyThreadsHashAtOnce() async {
    let content = [UInt8](repeating: 3, count: 100_000)
    let expected = content.withUnsafeBytes { SHA256.hashChunks(of: $0, chunkSize: 4_096) }
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<40 {
        group.addTask {
          (0..<50).allSatisfy { _ in
            content.withUnsafeBytes { SHA256.hashChunks(of: $0, chunkSize: 4_096) } == expected
          }
        }
      }
      for await isRight in group { #expect(isRight) }
    }
  }
}
