// DatagramPool: the datagrams that are under way, in cells that are used again and again.
import StackCore

/// A datagram under way.
struct Flight {
  var sender: Address
  var bytes: UnsafeMutableRawPointer
  var byteCount: Int32
  var receiver: Int32
  /// The sending node; -1 for one from outside.
  var from: Int32
  /// The size class of its cell.
  var cell: UInt8
}

/// Cells of a few sizes, taken from large chunks and given back to free lists: nothing is allocated in the steady
/// state.
struct DatagramPool: ~Copyable {
  /// Each cell's size, by class.
  private static let sizes: [5 of Int] = [128, 512, 2_048, 9_216, 65_536]
  /// How many datagrams may be under way.
  static let limit = 16 << 20

  private var flights: UnsafeMutablePointer<Flight>
  private var capacity = 1024
  private var used = 0
  private var freeFlights: [Int32] = []
  private var freeCells: [[UnsafeMutableRawPointer]] = Array(repeating: [], count: 5)
  private var chunks: [UnsafeMutableRawPointer] = []
  /// How many datagrams are under way.
  private(set) var count = 0

  init() { flights = .allocate(capacity: capacity) }

  deinit {
    for chunk in chunks { chunk.deallocate() }
    flights.deallocate()
  }

  subscript(_ index: Int32) -> Flight { flights[Int(index)] }

  /// Copies a datagram in; nil when too many are under way.
  mutating func add(
    _ bytes: UnsafeRawPointer, _ byteCount: Int, sender: Address, from: Int32, to receiver: Int32
  ) -> Int32? {
    guard count < Self.limit else { return nil }
    var cell = 0
    while byteCount > Self.sizes[cell] { cell += 1 }
    let place = freeCells[cell].popLast() ?? newCell(cell)
    place.copyMemory(from: bytes, byteCount: byteCount)
    let index = freeFlights.popLast() ?? newFlight()
    flights[Int(index)] = Flight(
      sender: sender, bytes: place, byteCount: Int32(byteCount), receiver: receiver, from: from, cell: UInt8(cell))
    count += 1
    return index
  }

  /// Gives a datagram's cell back.
  mutating func remove(_ index: Int32) {
    let flight = flights[Int(index)]
    freeCells[Int(flight.cell)].append(flight.bytes)
    freeFlights.append(index)
    count -= 1
  }

  private mutating func newCell(_ cell: Int) -> UnsafeMutableRawPointer {
    let size = Self.sizes[cell]
    let cells = max(1, 65_536 / size)
    let chunk = UnsafeMutableRawPointer.allocate(byteCount: cells * size, alignment: 16)
    chunks.append(chunk)
    for place in (1..<max(1, cells)).reversed() { freeCells[cell].append(chunk + place * size) }
    return chunk
  }

  private mutating func newFlight() -> Int32 {
    if used == capacity {
      let larger = UnsafeMutablePointer<Flight>.allocate(capacity: capacity * 2)
      larger.update(from: flights, count: used)
      flights.deallocate()
      flights = larger
      capacity *= 2
    }
    used += 1
    return Int32(used - 1)
  }
}
