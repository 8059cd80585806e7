// RateLimits: what may be spent on others' queries, and what an address that has shown nothing may be sent.
import StackCore

/// What may be spent on others' queries: so many bytes looked through a second, saved up for two.
struct WorkAllowance {
  private var left: Double
  private var at = Instant()
  var perSecond: Double

  init(perSecond: Int64) {
    self.perSecond = Double(perSecond)
    left = self.perSecond * 2
  }

  /// Takes so much; false, and nothing taken, when nothing is left. The last one may overdraw.
  mutating func take(_ amount: Int, at now: Instant) -> Bool {
    left = min(perSecond * 2, left + max(0, (now - at).inSeconds) * perSecond)
    at = now
    guard left > 0 else { return false }
    left -= Double(amount)
    return true
  }
}

/// What was sent to addresses that have not shown that they receive there: never over three times what came from them.
struct ReachAllowance {
  private var sent: [Address: UInt64] = [:]
  let limit: Int

  init(limit: Int = 4_096) { self.limit = limit }

  /// What goes over the wire beside a message: IPv4's and UDP's headers.
  static let headerBytes = 28

  /// Whether so many bytes may go to a neighbour; if so, they are counted.
  mutating func take(_ bytes: Int, for neighbour: Neighbour) -> Bool {
    if neighbour.isProven || neighbour.configured { return true }
    let came = neighbour.bytesIn &+ neighbour.datagramsIn &* UInt64(Self.headerBytes)
    let went = sent[neighbour.address] ?? 0
    let wire = UInt64(bytes + Self.headerBytes)
    guard went &+ wire <= came.multipliedReportingOverflow(by: 3).partialValue else { return false }
    if went == 0, sent.count >= limit { return false }
    sent[neighbour.address] = went + wire
    return true
  }

  mutating func forget(_ peer: Address) { sent[peer] = nil }
}
