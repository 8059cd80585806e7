// HashIndex: from the hash of a piece to the file and the place it stands at, in 16 bytes a piece.
import StackCore

/// Where a piece is: which file, and which piece of its tree.
struct PieceLocation: Hashable, Sendable {
  /// The file's number.
  var file: UInt32
  var piece: TreePiece

  /// The file's number, the level and the index in one word; nil when the index is too large for that.
  fileprivate var packed: UInt64? {
    guard piece.index < 1 << 28, piece.level < 15 else { return nil }
    return UInt64(file) << 32 | UInt64(piece.level + 1) << 28 | UInt64(piece.index)
  }

  fileprivate init(packed: UInt64) {
    file = UInt32(truncatingIfNeeded: packed >> 32)
    piece = TreePiece(level: Int(packed >> 28 & 15) - 1, index: Int(packed & 0xfff_ffff))
  }

  init(file: UInt32, piece: TreePiece) {
    self.file = file
    self.piece = piece
  }
}

/// A table of the first eight bytes of hashes. What it answers is a guess that the reader checks, so those bytes are
/// enough; two pieces of equal content both stand in it, up to a few.
struct HashIndex {
  /// How many pieces there may be; further ones are refused.
  let limit: Int
  private(set) var count = 0
  private var keys: [UInt64] = []
  /// 0: empty.
  private var places: [UInt64] = []
  /// Of pieces of one content (a file of zeros has many) so many are kept.
  static let mostAlike = 4

  /// What decides, besides a hash, where it stands.
  private let salt: UInt64

  init(limit: Int, salt: UInt64 = 0) {
    self.limit = limit
    self.salt = salt
  }

  /// The bytes it takes.
  var bytes: Int { keys.count * 16 }

  private static func key(_ hash: Hash256) -> UInt64 {
    hash.withBytes { $0.loadUnaligned(as: UInt64.self) }
  }

  /// A hash's bytes are even already; but who chooses files could choose them alike, if nothing here were secret.
  private func start(_ key: UInt64) -> Int {
    var mixed = (key ^ salt) &* 0x9E37_79B9_7F4A_7C15
    mixed ^= mixed >> 32
    return Int(truncatingIfNeeded: mixed) & (keys.count - 1)
  }

  /// Adds a piece; false when there is no room for it or enough of its like are there.
  @discardableResult mutating func insert(_ hash: Hash256, _ location: PieceLocation) -> Bool {
    guard count < limit, let packed = location.packed else { return false }
    if (count + 1) * 4 > keys.count * 3 { grow() }
    let key = Self.key(hash)
    var place = start(key)
    var alike = 0
    while places[place] != 0 {
      if keys[place] == key {
        if places[place] == packed { return true }
        alike += 1
        if alike >= Self.mostAlike { return false }
      }
      place = (place + 1) & (keys.count - 1)
    }
    keys[place] = key
    places[place] = packed
    count += 1
    return true
  }

  /// Where a piece of this hash may be.
  func find(_ hash: Hash256) -> [PieceLocation] {
    if keys.isEmpty { return [] }
    let key = Self.key(hash)
    var place = start(key)
    var found: [PieceLocation] = []
    while places[place] != 0 {
      if keys[place] == key { found.append(PieceLocation(packed: places[place])) }
      place = (place + 1) & (keys.count - 1)
    }
    return found
  }

  /// Keeps only the pieces of some files.
  mutating func keep(_ isKept: (UInt32) -> Bool) {
    let (oldKeys, oldPlaces) = (keys, places)
    keys = [UInt64](repeating: 0, count: oldKeys.count)
    places = [UInt64](repeating: 0, count: oldKeys.count)
    count = 0
    for place in oldKeys.indices where oldPlaces[place] != 0 {
      if isKept(PieceLocation(packed: oldPlaces[place]).file) { put(oldKeys[place], oldPlaces[place]) }
    }
  }

  private mutating func grow() {
    let (oldKeys, oldPlaces) = (keys, places)
    let size = max(64, oldKeys.count * 2)
    keys = [UInt64](repeating: 0, count: size)
    places = [UInt64](repeating: 0, count: size)
    count = 0
    for place in oldKeys.indices where oldPlaces[place] != 0 { put(oldKeys[place], oldPlaces[place]) }
  }

  private mutating func put(_ key: UInt64, _ packed: UInt64) {
    var place = start(key)
    while places[place] != 0 { place = (place + 1) & (keys.count - 1) }
    keys[place] = key
    places[place] = packed
    count += 1
  }
}
