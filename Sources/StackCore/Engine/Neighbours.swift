// Neighbours: the addresses a node talks with, where it knows them from, and what it knows of each.

/// What a node knows of one neighbour.
public struct Neighbour: Sendable {
  public var address: Address
  /// Named in the configuration: never pushed out.
  public var configured: Bool
  /// When a well-formed datagram last came from there.
  public var lastHeard: Instant?
  /// Whether it speaks Strata's own messages.
  public var isStrata: Bool
  /// Whether it has shown that it receives at this address.
  public var isProven: Bool = false
  /// The name it gives itself; not checked by anybody.
  public var claimedName: String?
  /// The largest datagram that is known to arrive there.
  public var pathLimit: Int
  /// Datagrams from there in which something was well-formed, and their bytes.
  public var datagramsIn: UInt64 = 0
  public var datagramsOut: UInt64 = 0
  public var bytesIn: UInt64 = 0
  public var bytesOut: UInt64 = 0

  /// How long it takes to answer: our introduction, or smoothed over probes while they are sent; nil while it hasn't.
  public var roundTrip: Duration?
  /// When a probe of it was last answered or given up; nil while none was. See `Node.measure(for:at:)`.
  public internal(set) var measured: Instant?
  /// How many of the newest probes were answered or given up, and which, a bit each, the newest lowest.
  public internal(set) var probesCounted = 0
  var probesAnswered: UInt32 = 0

  /// When it became known.
  var since = Instant(nanoseconds: 0)
  /// Whether we turned to it before it ever spoke.
  var isChosen = false
  /// The bytes, with headers, of the core's answers while it hasn't shown that it receives at its address.
  var answered: UInt64 = 0
  /// The mark that this neighbour wants to see on split messages from us.
  var cookie: UInt64?
  /// When we last introduced ourselves.
  var helloSent: Instant?
  /// How often we did so again since nothing came back.
  var reintroductions = 0
  /// When we first asked for the introduction that has yet to come.
  var helloAsked: Instant?
  /// The messages too large for the path, waiting for the neighbour's cookie.
  var waiting: WaitingMessages?
  var probe: PathProbe?

  /// What an IPv4 and a UDP header take, for what goes over the wire in small datagrams is mostly they.
  static let headerBytes = 28

  /// When it last gave a reason to be kept.
  var lastSeen: Instant { lastHeard ?? since }

  /// Notes that we ask for its introduction. One that did not come within a second was lost: then it counts from now.
  mutating func asked(at now: Instant) {
    if let asked = helloAsked, now - asked < .seconds(1) { return }
    helloAsked = now
  }

  /// Notes that it has shown our mark, which it can only have from what we asked.
  mutating func answered(at now: Instant) {
    if let asked = helloAsked { roundTrip = now - asked }
    helloAsked = nil
  }

  /// Counts an answer of the core; false when it must not go: nobody shall have us send a third party, whose address it
  /// writes on its datagrams, over three times what it sent itself.
  mutating func spend(_ size: Int) -> Bool {
    if isProven || isChosen || configured { return true }
    let wire = UInt64(size + Self.headerBytes)
    guard answered + wire <= 3 * (bytesIn + datagramsIn * UInt64(Self.headerBytes)) else { return false }
    answered += wire
    return true
  }
}

/// Large messages that wait until their receiver has introduced itself.
struct WaitingMessages: Sendable {
  var packets: [[UInt8]] = []
  var bytes = 0
  var tries = 0
}

/// The table of neighbours, bounded.
///
/// When it is full, one that has been silent for a minute makes room, and a stranger makes room for a newcomer that has
/// shown that it receives at its address. So a flood of invented senders can fill empty places, but pushes nobody out.
struct NeighbourTable {
  private(set) var slots: [Neighbour] = []
  /// The slots' addresses side by side: of a few, looking at each is quicker than hashing.
  private var addresses: [Address] = []
  private static let few = 16
  private var index: [Address: Int] = [:]
  let limit: Int
  private var lastAddress = Address(high: 0, low: 0, port: 0)
  private var lastIndex = -1

  init(limit: Int) { self.limit = max(1, limit) }

  var count: Int { slots.count }

  subscript(_ place: Int) -> Neighbour {
    _read { yield slots[place] }
    _modify { yield &slots[place] }
  }

  /// Where an address stands; the last one asked for is found at once.
  mutating func find(_ address: Address) -> Int? {
    if lastIndex >= 0, lastAddress == address { return lastIndex }
    guard let place = peek(address) else { return nil }
    lastAddress = address
    lastIndex = place
    return place
  }

  /// Where an address stands, without remembering the question.
  func peek(_ address: Address) -> Int? {
    if addresses.count > Self.few { return index[address] }
    for place in addresses.indices where addresses[place] == address { return place }
    return nil
  }

  /// How long a neighbour must have been silent before a stranger may take its place.
  static let silence = Duration.seconds(60)

  /// Adds an address that isn't there; answers its place and who made room, or nil when nobody could.
  mutating func add(_ neighbour: Neighbour, at now: Instant) -> (place: Int, evicted: Address?)? {
    precondition(index[neighbour.address] == nil)
    if slots.count < limit || neighbour.configured {
      index[neighbour.address] = slots.count
      slots.append(neighbour)
      addresses.append(neighbour.address)
      return (slots.count - 1, nil)
    }
    guard let victim = victim(),
      slots[victim].lastSeen + Self.silence < now
        || (neighbour.isProven && !slots[victim].isProven)
    else { return nil }
    let evicted = slots[victim].address
    index[evicted] = nil
    index[neighbour.address] = victim
    slots[victim] = neighbour
    addresses[victim] = neighbour.address
    lastIndex = -1
    return (victim, evicted)
  }

  /// Forgets an address.
  mutating func remove(_ address: Address) {
    guard let place = index.removeValue(forKey: address) else { return }
    slots.remove(at: place)
    addresses.remove(at: place)
    lastIndex = -1
    for later in place..<slots.count { index[slots[later].address] = later }
  }

  private func victim() -> Int? {
    var best: Int?
    for place in slots.indices where !slots[place].configured {
      guard let current = best else {
        best = place
        continue
      }
      if Self.goesBefore(slots[place], slots[current]) { best = place }
    }
    return best
  }

  private static func goesBefore(_ left: Neighbour, _ right: Neighbour) -> Bool {
    if left.isProven != right.isProven { return !left.isProven }
    return left.lastSeen < right.lastSeen
  }
}
