// Claims: what others say of their files, checked and made small, and what we say of ours.
import PeersterVocabulary
import StackCore

/// A file that somebody claims to hold, as far as it makes sense. Nothing of it is proven.
struct Claim: Hashable, Sendable {
  var root: Hash256
  var name: WireText
  /// Its path, where it was told and ends with the name.
  var path: WireText?
  var size: Int64?
  var chunkSize: Int?
  var chunkCount: Int
  var held: HeldChunks
  /// The folded path, or name, and where in it the name begins.
  private let folded: FoldedName

  /// The most bytes in a name and in a path; the most chunks of a file, and stretches of them that are kept.
  static let longestName = 255
  static let longestPath = 1_024
  static let mostChunks: UInt64 = 1 << 48
  static let mostStretches = 256

  /// What a result claims; nil when that can't be true, or nobody could show it.
  init?(_ result: SearchResult) {
    guard !result.fileName.isEmpty, result.fileName.bytes.count <= Self.longestName,
      result.chunkCount <= Self.mostChunks, result.metafileHash != Hash256()
    else { return nil }
    root = result.metafileHash
    let name = Self.shown(result.fileName)
    self.name = name
    chunkCount = Int(result.chunkCount)
    chunkSize = result.chunkSize.map { Int($0) }
    var size: Int64?
    if let told = result.size, let chunkSize, chunkSize > 0 {
      guard told <= UInt64(Int64.max) else { return nil }
      // A size that doesn't fit its chunks is no size.
      let chunks = told / UInt64(chunkSize) + (told % UInt64(chunkSize) == 0 ? 0 : 1)
      guard chunks == result.chunkCount || (told == 0 && result.chunkCount <= 1) else { return nil }
      size = Int64(told)
    }
    if let told = result.path, told.bytes.count <= Self.longestPath,
      told.bytes.count == result.fileName.bytes.count
        || told.bytes.dropLast(result.fileName.bytes.count).last == UInt8(ascii: "/"),
      told.bytes.suffix(result.fileName.bytes.count) == result.fileName.bytes[...]
    {
      path = Self.shown(told)
    }
    self.size = size
    folded = FoldedName(name: name.bytes, path: path?.bytes)
    held = Self.held(result, chunkCount)
  }

  /// A name that is safe to show: control characters, and marks that turn the direction of writing, are replaced.
  static func shown(_ text: WireText) -> WireText {
    if text.bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return text }
    var shown = String.UnicodeScalarView()
    for scalar in text.text.unicodeScalars {
      let isHidden =
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x2069, 0xFEFF: true
        default: false
        }
      shown.append(isHidden ? "\u{fffd}" : scalar)
    }
    return WireText(String(shown))
  }

  private static func held(_ result: SearchResult, _ count: Int) -> HeldChunks {
    if result.isWhole == true { return .all }
    var ranges: [Range<Int>] = []
    if !result.stretches.isEmpty {
      for place in stride(from: 0, to: result.stretches.count - 1, by: 2) {
        let (first, length) = (result.stretches[place], result.stretches[place + 1])
        guard first < UInt64(count), length > 0, length <= UInt64(count) - first else { continue }
        ranges.append(Int(first)..<Int(first + length))
      }
    } else {
      ranges = result.chunkMap.filter { $0 >= 1 && $0 <= UInt64(count) }.map { Int($0) - 1..<Int($0) }
    }
    return HeldChunks(ranges, of: count)
  }

  /// What its size may be.
  var sizeRange: ClosedRange<Int64> {
    if let size { return size...size }
    // Peersters' chunks have 8 KiB, and all but the last are full.
    let chunk = Int64(chunkSize ?? 8_192)
    let most = Int64(chunkCount).multipliedReportingOverflow(by: chunk)
    guard !most.overflow else { return 0...Int64.max }
    return max(0, most.partialValue - chunk)...most.partialValue
  }

  /// Whether a query may mean it.
  func isMeant(by query: Query) -> Bool { query.matches(folded, size: sizeRange, root: root) }

  /// Whether all of it is held.
  var isWhole: Bool { held == .all }
}

extension HeldChunks {
  /// Stretches in any order, overlapping or not, put in order; all when they cover everything. Of too many, the first.
  init(_ ranges: [Range<Int>], of count: Int) {
    var joined: [Range<Int>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
      if let last = joined.last, range.lowerBound <= last.upperBound {
        joined[joined.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else if joined.count < Claim.mostStretches {
        joined.append(range)
      } else {
        break
      }
    }
    self = joined == [0..<count] ? .all : .ranges(joined)
  }

  /// What either holds.
  func union(_ other: HeldChunks, of count: Int) -> HeldChunks {
    guard case .ranges(let mine) = self, case .ranges(let others) = other else { return .all }
    return HeldChunks(mine + others, of: count)
  }
}

extension SearchResult {
  /// The most chunks that are listed one by one: Peersters' files have no more.
  static let mostListed = 256

  /// What we say of a file of ours. That all chunks are there need not be said by their numbers where the extensions
  /// are understood for certain, as by ourselves.
  init(_ file: HeldFile, withExtensions: Bool, isListed: Bool = true) {
    let (name, path) = (Array(file.name.utf8), Array(file.path.utf8))
    let count = file.chunkCount
    self.init(
      fileName: WireText(bytes: name), metafileHash: file.root, chunkMap: [], chunkCount: UInt64(count))
    if count <= Self.mostListed, isListed || file.held != .all {
      chunkMap = (0..<count).filter { file.held.contains($0) }.map { UInt64($0 + 1) }
    }
    guard withExtensions else { return }
    size = UInt64(max(0, file.size))
    chunkSize = UInt32(clamping: file.chunkSize)
    if path.count > name.count, path.count <= Claim.longestPath { self.path = WireText(bytes: path) }
    switch file.held {
    case .all: isWhole = true
    case .ranges(let ranges):
      if count > Self.mostListed {
        stretches = ranges.prefix(Claim.mostStretches).flatMap { [UInt64($0.lowerBound), UInt64($0.count)] }
      }
    }
  }

  /// A claim of somebody, told on.
  init(_ claim: Claim) {
    self.init(
      fileName: claim.name, metafileHash: claim.root, chunkMap: [], chunkCount: UInt64(max(0, claim.chunkCount)))
    size = claim.size.map { UInt64(max(0, $0)) }
    chunkSize = claim.chunkSize.map { UInt32(clamping: $0) }
    path = claim.path
    switch claim.held {
    case .all: isWhole = true
    case .ranges(let ranges): stretches = ranges.flatMap { [UInt64($0.lowerBound), UInt64($0.count)] }
    }
  }

  /// Whether a Peerster could fetch it: its chunks are of their size, no more than they can count, and all here, since
  /// of a file that is still on its way single chunks aren't found by their hashes.
  static func suitsPeersters(_ file: HeldFile) -> Bool {
    file.chunkSize == 8_192 && file.held == .all && file.chunkCount <= mostListed && file.chunkCount > 0
  }
}
