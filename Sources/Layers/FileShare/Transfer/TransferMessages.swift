// TransferMessages: what Strata nodes say to each other to move files: who holds what, ranges asked for, pieces sent.
import StackCore

/// The packet fields of the fast path.
enum TransferField {
  static let holdingsRequest: UInt32 = 140
  static let holdings: UInt32 = 141
  static let rangeRequest: UInt32 = 142
  static let filePiece: UInt32 = 143
  static let rangeRefusal: UInt32 = 144
}

/// Asks what somebody holds of a file.
struct HoldingsRequest: WireMessage, Hashable {
  var root = Hash256()
  /// The asker's own number for it, so that only who was asked can answer.
  var number = Fixed64(0)

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "root", &root)
    try field(2, "number", &number)
  }
}

/// Says what the sender holds of a file. Nothing of it is believed beyond what the tree confirms.
struct Holdings: WireMessage, Hashable {
  var root = Hash256()
  var number = Fixed64(0)
  /// The file's bytes and the bytes in a chunk; both 0 from somebody who holds nothing of it.
  var size: UInt64 = 0
  var chunkSize: UInt32 = 0
  var isWhole = false
  /// Which chunks are there, unless all are: each time how many are missing and how many follow that are there.
  var lengths: [UInt64] = []
  /// What the holder calls it.
  var name = ""

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "root", &root)
    try field(2, "number", &number)
    try field(3, "size", &size)
    try field(4, "chunkSize", &chunkSize)
    try field(5, "isWhole", &isWhole)
    try field(6, "lengths", &lengths, limit: Self.mostLengths)
    try field(7, "name", &name)
  }

  func check() throws(WireError) { if name.utf8.count > FileDescriptor.longestName { throw .tooMany } }

  /// Longer lists are cut; what is left out can be asked for later.
  static let mostLengths = 512
}

/// Asks for ranges of a level of a file's tree: of its chunks, or of the hashes above them.
struct RangeRequest: WireMessage, Hashable {
  var root = Hash256()
  /// The asker's number; pieces that answer it carry it.
  var number = Fixed32(0)
  /// 0 for the file itself; above that, the level of the tree.
  var level: UInt32 = 0
  /// Pairs of where a range begins and how long it is, in units of 1 KiB.
  var ranges: [UInt64] = []

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "root", &root)
    try field(2, "number", &number)
    try field(3, "level", &level)
    try field(4, "ranges", &ranges, limit: 2 * Self.mostRanges)
  }

  func check() throws(WireError) {
    guard !ranges.isEmpty, ranges.count % 2 == 0, level < 64 else { throw .badValue }
    var total: UInt64 = 0
    for pair in stride(from: 0, to: ranges.count, by: 2) {
      guard ranges[pair] < 1 << 41, ranges[pair + 1] > 0, ranges[pair + 1] <= UInt64(Self.mostUnits) else {
        throw .badValue
      }
      total += ranges[pair + 1]
    }
    guard total <= UInt64(Self.mostUnits) else { throw .tooMany }
  }

  static let mostRanges = 32
  /// What one request can draw: a MiB.
  static let mostUnits = 1_024
}

/// The units in which ranges are asked for and pieces are cut.
enum Unit {
  static let bytes = 1_024
  static let shift = 10
  /// How many units so many bytes take.
  static func count(_ bytes: Int64) -> Int { Int((bytes + 1_023) >> 10) }
}

/// A stretch of a level that was asked for: whole units, but for the end of the level.
struct FilePiece: WireMessage {
  var number = Fixed32(0)
  /// Where in the level it begins, in bytes.
  var offset = Fixed64(0)
  var data: [UInt8] = []

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "number", &number)
    try field(2, "offset", &offset)
    try field(3, "data", &data)
  }

  /// The most that its packet has beside the data: tag 2 and length 3; 5; 9; tag 1 and length 3.
  static let overhead = 23
}

extension FilePiece {
  /// Writes a piece's fields straight from the buffer that the file was read into.
  static func write(_ number: UInt32, _ offset: Int64, _ data: UnsafeRawBufferPointer, _ writer: inout WireWriter) {
    writer.writeTag(1, .fixed32)
    writer.writeFixed32(number)
    writer.writeTag(2, .fixed64)
    writer.writeFixed64(UInt64(offset))
    writer.writeTag(3, .bytes)
    writer.writeVarint(UInt64(data.count))
    writer.writeRaw(data)
  }
}

/// Why ranges don't come.
struct RangeRefusal: WireMessage, Hashable {
  /// What stands in the way.
  enum Reason: UInt32, Sendable {
    /// The file isn't here, or not these chunks of it.
    case absent = 1
    /// The asker has not shown yet that it receives at its address.
    case unproven = 2
    /// Too much is asked for at a time.
    case busy = 3
  }
  var number = Fixed32(0)
  var reason: UInt32 = 0

  mutating func fields(_ field: inout some WireFields) throws(WireError) {
    try field(1, "number", &number)
    try field(2, "reason", &reason)
  }
}
