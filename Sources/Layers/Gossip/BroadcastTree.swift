// BroadcastTree: which neighbours get a rumor at once and which only hear that there is one, after Plumtree.
import PeersterVocabulary
import StackCore

/// One node's part in a spanning tree that nobody plans (Leitão, Pereira, Rodrigues 2007, "Epidemic Broadcast Trees").
///
/// ```
///        publisher                     ═══  eager: rumors go over it at once
///        ║      ║ ╲                    ───  lazy: only announcements do, some at a time
///        A      B──C
///       ║ ╲    ║   ╲     1. At first every edge is eager: a rumor floods.
///       ║  ╲   ║    ╲    2. Who gets it twice says "prune" to the second: that edge becomes lazy on both sides.
///       D───E══F─────G   3. What stays eager is a tree. Later rumors cross each of its edges once.
///           ║            4. An announcement of what doesn't come in time is answered by a "graft": the edge becomes
///           H               eager again, and the rumor comes over it. So the tree mends itself.
/// ```
///
/// Here G has lost its eager edge. B and F announce to it what they have; it waits a moment, and grafts to the first.
struct BroadcastTree {
  /// What an edge is at our end.
  enum Edge: String, Codable, Sendable { case eager, lazy }

  struct Peer: Equatable {
    let address: Address
    fileprivate(set) var edge = Edge.eager
    /// Which entries of the queue it is to be told: those from `opened` up to `closed`, or to the end while it is lazy.
    fileprivate var opened = 0
    fileprivate var closed: Int? = 0
    /// By how many hops its path was shorter lately, on the whole; and when it was last chosen for that.
    fileprivate var gain = 0.0
    fileprivate var swapped: Instant?
  }

  /// A rumor's name among all.
  struct Name: Hashable {
    var origin: WireText
    var id: UInt32
  }

  /// Who brought a rumor, and whether it came along the tree or is our own.
  private struct Recent {
    var from: Address?
    var hops: UInt32?
    var isPushed: Bool
  }

  /// Something to announce.
  private struct Item {
    var announcement: Announcement
    var from: Address?
  }

  /// How many neighbours have edges, and how many rumors are remembered with who brought them; the oldest go first.
  static let peerLimit = 4_096
  static let recentLimit = 2_048
  /// So many entries to announce are not kept waiting any longer.
  static let queueLimit = 512

  private(set) var peers: [Peer] = []
  private var places: [Address: Int] = [:]
  private var recents: [Name: Recent] = [:]
  private var ring: [Name] = []
  private var ringStart = 0
  private var queue: [Item] = []
  /// Entries before this one are not added to: some neighbours are told only the later ones.
  private var floor = 0
  private var lastSwap: Instant?
  var missing = MissingRumors()
  /// Whether what is taken in just now comes from comparing notes, so that others may well have it: nobody is sent it
  /// unasked.
  var isSynced = false

  // MARK: Edges

  func edge(of peer: Address) -> Edge? { places[peer].map { peers[$0].edge } }
  func count(_ edge: Edge) -> Int { peers.count { $0.edge == edge } }

  /// A neighbour is new: its edge is eager. No matter if it is there already.
  mutating func add(_ peer: Address) {
    guard places[peer] == nil, peers.count < Self.peerLimit else { return }
    places[peer] = peers.count
    peers.append(Peer(address: peer, opened: queue.count, closed: queue.count))
    floor = queue.count
  }

  /// A neighbour is gone, and its edge with it.
  mutating func remove(_ peer: Address) {
    guard let place = places.removeValue(forKey: peer) else { return }
    peers.remove(at: place)
    for later in place..<peers.count { places[peers[later].address] = later }
    missing.forget(peer)
  }

  /// Makes a neighbour's edge eager or lazy; false when it was so already, or there is none.
  @discardableResult mutating func set(_ peer: Address, _ edge: Edge) -> Bool {
    guard let place = places[peer], peers[place].edge != edge else { return false }
    peers[place].edge = edge
    floor = queue.count
    if edge == .eager {
      // What waits to be announced to it still is: it was not sent.
      peers[place].closed = queue.count
    } else {
      if peers[place].opened == peers[place].closed { peers[place].opened = queue.count }
      peers[place].closed = nil
    }
    return true
  }

  /// To whom a rumor goes at once. Our own would go to nobody when all have pruned us: then one edge becomes eager, for
  /// else each of our rumors would have to be announced first.
  mutating func targets(except peer: Address?) -> [Address] {
    let targets = peers.compactMap { $0.edge == .eager && $0.address != peer ? $0.address : nil }
    guard targets.isEmpty, peer == nil, let first = peers.first?.address else { return targets }
    set(first, .eager)
    return [first]
  }

  // MARK: Rumors that come

  /// What is to be done with a rumor that a neighbour has pushed.
  enum Arrival {
    /// It is taken in as any rumor is.
    case take
    /// We have it, but not by the tree: now it goes on along the tree, as it would have gone.
    case passOn
    /// It came once too often: the neighbour is told to prune.
    case prune
  }

  /// A neighbour has pushed a rumor.
  ///
  /// A rumor that a Peerster has passed on (it has no `hops`) may have entered the tree in several places. Where its
  /// ways meet is no reason to part, for other rumors need the edge.
  mutating func came(_ rumor: Name, from peer: Address, hops: UInt32?, isNew: Bool) -> Arrival {
    guard let hops else {
      note(rumor, from: peer, hops: nil)
      return .take
    }
    if let known = recents[rumor] {
      // The same twice from one neighbour is the network's doing.
      if known.isPushed { return known.from == peer ? .take : part(peer) }
      // We had it before the tree could bring it. That says nothing about the tree.
      recents[rumor] = Recent(from: peer, hops: hops, isPushed: true)
    } else if isNew {
      note(rumor, from: peer, hops: hops)
    } else {
      return part(peer)
    }
    set(peer, .eager)
    return isNew ? .take : .passOn
  }

  private mutating func part(_ peer: Address) -> Arrival {
    set(peer, .lazy)
    return places[peer] == nil ? .take : .prune
  }

  /// Remembers who brought a rumor first, nobody if it is our own, unless somebody is remembered already.
  mutating func note(_ rumor: Name, from peer: Address?, hops: UInt32?, isPushed: Bool = true) {
    guard recents[rumor] == nil else { return }
    recents[rumor] = Recent(from: peer, hops: hops, isPushed: isPushed)
    if ring.count < Self.recentLimit { return ring.append(rumor) }
    recents[ring[ringStart]] = nil
    ring[ringStart] = rumor
    ringStart = (ringStart + 1) % Self.recentLimit
  }

  // MARK: Shorter paths

  /// A neighbour announces a rumor that we have: if its path has been shorter by so many hops for a while, its edge
  /// takes the place of that over which the rumor came. Answers whose edge that was.
  ///
  /// One lucky rumor is not enough, since the tree serves all origins. Nobody is chosen more than once a minute, so
  /// that who lies about its hops gains little: what it doesn't bring is announced by others.
  mutating func shorten(
    _ rumor: Name, hops: UInt32?, by peer: Address, threshold: Int, at now: Instant
  ) -> Address? {
    guard threshold > 0, let place = places[peer], peers[place].edge == .lazy, let hops,
      let known = recents[rumor], let parent = known.from, let ours = known.hops, edge(of: parent) == .eager
    else { return nil }
    let gain = min(max(Double(ours) - Double(hops), -16), 16)
    peers[place].gain += (gain - peers[place].gain) / 4
    guard gain >= Double(threshold), peers[place].gain >= Double(threshold) / 2 else { return nil }
    if let last = lastSwap, now - last < .seconds(1) { return nil }
    if let last = peers[place].swapped, now - last < .seconds(60) { return nil }
    (lastSwap, peers[place].swapped, peers[place].gain) = (now, now, 0)
    set(peer, .eager)
    set(parent, .lazy)
    return parent
  }

  // MARK: Announcing

  /// Queues a rumor for the lazy neighbours; as an offer for all, since nobody is sent it. Answers how many entries
  /// wait.
  mutating func announce(_ rumor: Name, hops: UInt32?, from peer: Address?, isOffer: Bool = false) -> Int {
    if let last = queue.last, queue.count > floor, last.from == peer {
      let next = last.announcement
      if next.origin == rumor.origin, next.hops == hops, (next.isOffer ?? false) == isOffer,
        rumor.id == next.first &+ next.count
      {
        queue[queue.count - 1].announcement.count += 1
        return queue.count
      }
    }
    queue.append(
      Item(
        announcement: Announcement(
          origin: rumor.origin, first: rumor.id, count: 1, hops: hops, isOffer: isOffer ? true : nil),
        from: peer))
    return queue.count
  }

  /// Takes out what waits to be announced, for each neighbour that it concerns.
  mutating func takeAnnouncements() -> [(peer: Address, announcements: [Announcement])] {
    var result: [(Address, [Announcement])] = []
    for place in peers.indices {
      let peer = peers[place]
      let window = peer.opened..<max(peer.opened, peer.closed ?? queue.count)
      let items = queue.indices.compactMap { index -> Announcement? in
        let item = queue[index]
        guard item.from != peer.address, item.announcement.isOffer == true || window.contains(index) else {
          return nil
        }
        return item.announcement
      }
      if !items.isEmpty { result.append((peer.address, items)) }
      peers[place].opened = 0
      peers[place].closed = peer.edge == .lazy ? nil : 0
    }
    queue.removeAll(keepingCapacity: true)
    floor = 0
    return result
  }
}
