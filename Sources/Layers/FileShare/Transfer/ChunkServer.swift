// ChunkServer: the requests for ranges that wait to be served, each asker's in turn.
import StackCore

/// A request that is being served.
struct ServedRequest {
  let number: UInt32
  let root: Hash256
  let level: Int
  let source: any PieceSource
  var ranges: [UnitRange]
}

/// What waits to be served. Each asker gets its turn, so that one who asks for much doesn't keep others waiting.
struct ChunkServer {
  private struct Asker {
    let address: Address
    var requests: [ServedRequest] = []
    var units = 0
  }
  private var askers: [Asker] = []
  private var next = 0
  /// The askers for whom a job reads at present; their turn comes when it has.
  private var reading: [Address] = []
  var bucket = TokenBucket(rate: 0, at: Instant(nanoseconds: 0))
  /// Bytes of a file on their way into the outbox.
  var staging: [UInt8] = []
  /// Which tells one reading of a changing file's holdings from another.
  var token: UInt64 = 0

  /// The most askers at a time, and the most units that one may have waiting: 32 MiB.
  static let mostAskers = 256
  static let mostUnits = 32 << 10
  static let mostRequests = 1_024

  /// For how many of them jobs read at a time: 4 MiB that the outbox hasn't room for yet.
  static let mostReads = 16

  /// How many requests wait.
  var waiting: Int { askers.reduce(0) { $0 + $1.requests.count } }
  var isEmpty: Bool { askers.isEmpty }

  /// Queues a request, which names a range; false when its asker has too much waiting already.
  mutating func add(_ request: ServedRequest, for asker: Address) -> Bool {
    let units = request.ranges.reduce(0) { $0 + $1.count }
    guard units > 0 else { return false }
    if let place = askers.firstIndex(where: { $0.address == asker }) {
      guard askers[place].units + units <= Self.mostUnits, askers[place].requests.count < Self.mostRequests else {
        return false
      }
      askers[place].requests.append(request)
      askers[place].units += units
      return true
    }
    guard askers.count < Self.mostAskers else { return false }
    askers.append(Asker(address: asker, requests: [request], units: units))
    return true
  }

  /// A job reads for an asker, or has done so.
  mutating func reads(for asker: Address) { reading.append(asker) }
  mutating func hasRead(for asker: Address) { reading.removeAll { $0 == asker } }

  /// The next stretch to be sent, of at most so many units, and to whom.
  mutating func take(_ limit: Int) -> (asker: Address, request: ServedRequest, units: UnitRange)? {
    guard reading.count < Self.mostReads,
      let step = askers.indices.first(where: { !reading.contains(askers[(next + $0) % askers.count].address) })
    else { return nil }
    let place = (next + step) % askers.count
    let asker = askers[place].address
    let request = askers[place].requests[0]
    // A request always names a range.
    guard let range = request.ranges.first else { return nil }
    let units = range.lowerBound..<min(range.upperBound, range.lowerBound + limit)
    askers[place].units -= units.count
    if units.upperBound < range.upperBound {
      askers[place].requests[0].ranges[0] = units.upperBound..<range.upperBound
    } else {
      askers[place].requests[0].ranges.removeFirst()
      if askers[place].requests[0].ranges.isEmpty { drop(at: place) }
    }
    next = askers.isEmpty ? 0 : (place + 1) % askers.count
    return (asker, request, units)
  }

  /// Drops the first request of an asker.
  private mutating func drop(at place: Int) {
    askers[place].requests.removeFirst()
    if askers[place].requests.isEmpty {
      askers.remove(at: place)
      if next > place { next -= 1 }
    }
  }

  /// Drops what waits of one file.
  mutating func drop(_ root: Hash256) {
    for place in askers.indices {
      askers[place].requests.removeAll { $0.root == root }
      askers[place].units = askers[place].requests.reduce(0) { $0 + $1.ranges.reduce(0) { $0 + $1.count } }
    }
    askers.removeAll { $0.requests.isEmpty }
    next = 0
  }
}
