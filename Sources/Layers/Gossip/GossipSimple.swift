// GossipSimple: the simple messages of the exercise's first part, which flood.
import PeersterVocabulary
import StackCore

/// The simple messages heard of late, by a hash, so that none goes round in circles.
struct RecentSimples {
  private var known: Set<UInt64> = []
  private var order: [(hash: UInt64, at: Instant)] = []
  /// How many are remembered, and for how long. The same words said again within that time are taken for an echo.
  static let limit = 4_096
  static let window = Duration.seconds(60)

  /// Whether a message is heard for the first time.
  mutating func isNew(_ simple: Simple, at now: Instant) -> Bool {
    let old = order.prefix { now - $0.at > Self.window }.count
    // A good part at once, so that each costs little.
    if old > 256 || old == order.count || order.count >= Self.limit {
      let gone = max(old, order.count >= Self.limit ? Self.limit / 4 : 0)
      for entry in order.prefix(gone) { known.remove(entry.hash) }
      order.removeFirst(gone)
    }
    let hash = stableHash(simple.originalName.bytes + [0xff] + simple.contents.bytes)
    if known.contains(hash), let last = order.last(where: { $0.hash == hash }), now - last.at <= Self.window {
      return false
    }
    known.insert(hash)
    order.append((hash, now))
    return true
  }
}

extension Gossip {
  /// Says something to all neighbours, who pass it on.
  func saySimply(_ text: WireText, _ context: borrowing LayerContext<Gossip>) {
    let simple = Simple(originalName: me, relayPeerAddr: "", contents: text)
    // Said again on purpose: it goes out, and what comes back is still an echo.
    _ = simples.isNew(simple, at: context.now)
    passOn(simple, except: nil, context)
    context.publish(SimpleHeard(name: me, contents: text, from: nil), on: SimpleHeard.port)
  }

  func heardSimple(_ simple: Simple, from peer: Address, _ context: borrowing LayerContext<Gossip>) {
    guard simples.isNew(simple, at: context.now) else { return }
    context.publish(
      SimpleHeard(name: simple.originalName, contents: simple.contents, from: peer), on: SimpleHeard.port)
    if config.simple { passOn(simple, except: peer, context) }
  }

  private func passOn(_ simple: Simple, except: Address?, _ context: borrowing LayerContext<Gossip>) {
    var ours = simple
    ours.relayPeerAddr = WireText("\(context.address)")
    context.sendToNeighbours(ours, as: PeersterField.simple, except: except)
  }
}
