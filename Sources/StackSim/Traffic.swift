// Traffic: what was delivered and dropped over virtual time, by message type, in as many slices as a plot can show.
import StackCore

/// Why the simulated network did not deliver a datagram.
public enum NetworkDrop: String, Codable, CaseIterable, Sendable {
  /// The link lost it.
  case loss
  /// A partition lay between.
  case partition
  /// It was larger than the link carries.
  case mtu
  /// The link's queue was full.
  case queue
  /// Its receiver was not running.
  case down
  /// Nobody has the address.
  case nobody
  /// More were under way than the simulation holds.
  case overload
}

/// Counts of deliveries and drops, in slices of time that double whenever there would be too many.
struct TrafficSeries {
  static let most = 240

  /// One message type's row.
  struct Row {
    var number: UInt32
    var messages: UInt64 = 0
    var bytes: UInt64 = 0
    var slices: [UInt32] = []
  }

  /// A slice's length, in nanoseconds.
  private(set) var width: Int64 = 1_000_000
  private(set) var rows: [Row] = []
  private(set) var drops: [[UInt32]] = Array(repeating: [], count: NetworkDrop.allCases.count)
  /// Where each small field number's row is; 255: none yet.
  private var direct = [UInt8](repeating: 255, count: 2048)

  /// Counts a delivered datagram, by its first message.
  mutating func deliver(_ number: UInt32, _ bytes: Int, at time: Int64) {
    let row = place(of: number)
    let slice = slice(at: time)
    rows[row].messages &+= 1
    rows[row].bytes &+= UInt64(bytes)
    Self.count(&rows[row].slices, slice)
  }

  mutating func drop(_ reason: Int, at time: Int64) {
    let slice = slice(at: time)
    Self.count(&drops[reason], slice)
  }

  private static func count(_ slices: inout [UInt32], _ slice: Int) {
    while slices.count <= slice { slices.append(0) }
    slices[slice] &+= 1
  }

  private mutating func slice(at time: Int64) -> Int {
    while time / width >= Int64(Self.most) { fold() }
    return Int(time / width)
  }

  /// Makes the slices twice as long.
  private mutating func fold() {
    width *= 2
    func folded(_ slices: [UInt32]) -> [UInt32] {
      stride(from: 0, to: slices.count, by: 2).map { slices[$0] &+ ($0 + 1 < slices.count ? slices[$0 + 1] : 0) }
    }
    for row in rows.indices { rows[row].slices = folded(rows[row].slices) }
    drops = drops.map(folded)
  }

  private mutating func place(of number: UInt32) -> Int {
    if number < 2048, direct[Int(number)] != 255 { return Int(direct[Int(number)]) }
    if let known = rows.firstIndex(where: { $0.number == number }) { return known }
    // Garbage may claim any number: beyond so many they are counted together, under 0.
    guard rows.count < 64 || number == 0 else { return place(of: 0) }
    rows.append(Row(number: number))
    if number < 2048 { direct[Int(number)] = UInt8(rows.count - 1) }
    return rows.count - 1
  }
}

/// The number of a packet's first field; 0 for what is none.
@inline(__always) func firstField(_ bytes: UnsafeRawPointer, _ count: Int) -> UInt32 {
  var value: UInt64 = 0
  var at = 0
  while at < min(count, 5) {
    let byte = bytes.load(fromByteOffset: at, as: UInt8.self)
    value |= UInt64(byte & 0x7f) << UInt64(7 * at)
    if byte < 0x80 { return UInt32(truncatingIfNeeded: value >> 3) }
    at += 1
  }
  return 0
}
