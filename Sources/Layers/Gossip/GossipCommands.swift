// GossipCommands: what people and programs can ask of Gossip.
import PeersterVocabulary
import StackCore

struct PublishInput: CommandInput {
  @Argument("What is said.", count: 1...30_000) var text: String
  @Argument("What it is about.", count: 1...100) var topic: String?
}

/// What was published.
struct Published: Codable, Sendable {
  var origin: WireText
  /// Its number; none of a simple message.
  var id: UInt32?
}

struct RumorsInput: CommandInput {
  @Argument("Only this origin's.") var origin: String?
  @Argument("Only those on this topic.") var topic: String?
  @Argument("Only those heard within so much time.") var since: Duration?
  @Argument("How many, the newest of them.", in: 1...10_000) var limit = 100
}

/// Rumors, the oldest first.
struct RumorList: Codable, Sendable {
  struct Entry: Codable, Sendable {
    var origin: WireText
    var id: UInt32
    var text: WireText
    var topic: WireText?
    var heard: Instant
    var hops: UInt32?
  }
  var rumors: [Entry]
}

struct FollowInput: CommandInput {
  @Argument("Only rumors on this topic.") var topic: String?
}

/// How many rumors a call of `follow` has told.
public struct Followed: Codable, Sendable {
  var rumors: Int
}

struct OriginsInput: CommandInput {
  @Argument("How many at the most.", in: 1...1_000_000) var limit = 10_000
}

/// The origins that are known, by name.
struct OriginList: Codable, Sendable {
  struct Entry: Codable, Sendable {
    var origin: WireText
    /// The first ID that is kept, and the first that was not seen.
    var first: UInt32
    var next: UInt32
    var bytes: UInt64
    /// When the newest was heard.
    var heard: Instant?
  }
  var known: Int
  var origins: [Entry]
}

/// How Gossip stands. Neighbours are known by their addresses, origins by their names: these are two lists.
struct GossipStatus: Codable, Sendable {
  struct Peer: Codable, Sendable {
    var address: Address
    var isStrata: Bool
    var lastHeard: Instant?
    /// What its edge of the tree is, where it has one.
    var edge: BroadcastTree.Edge?
  }
  var name: WireText
  var spread: GossipConfig.Spread
  var nextID: UInt32
  var origins: Int
  var rumors: Int
  var bytes: UInt64
  var held: Int
  var waiting: Int
  /// The neighbours that are sent rumors at once, and those that only hear of them, where rumors spread along a tree.
  var eager: Int?
  var lazy: Int?
  var neighbours: [Peer]
}

extension Gossip {
  func declareCommands(_ setup: LayerSetup<Gossip>) {
    setup.command(
      "publish", "Tells everybody something.", examples: ["\"Hello, world\"", "\"Rain at noon\" --topic weather"],
      Gossip.publish)
    setup.command(
      "rumors", "Shows the rumors that are kept, the newest of them.", examples: ["", "--origin alice --limit 10"],
      Gossip.rumors)
    setup.stream(
      "follow", "Shows rumors as they are heard.", examples: ["", "--topic weather"], Gossip.follow,
      cancelled: Gossip.unfollow)
    setup.command("origins", "Lists whose rumors are known.", examples: ["", "--limit 20"], Gossip.originList)
    setup.command("status", "Shows how Gossip stands, and with whom.", examples: [""], Gossip.status)
  }

  private func publish(_ input: PublishInput, _ context: borrowing LayerContext<Gossip>) throws -> Published {
    guard input.text.utf8.count <= Rumor.longestText else {
      throw CommandError(.invalid, code: "too-long", "a text has at most \(Rumor.longestText) bytes")
    }
    if config.simple {
      guard input.topic == nil else {
        throw CommandError(.invalid, "a simple message has no topic; publish without one, or set simple to false")
      }
      saySimply(WireText(input.text), context)
      return Published(origin: me)
    }
    guard let id = publish(WireText(input.text), topic: input.topic.map { WireText($0) }, context) else {
      throw CommandError(.refused, code: "no-id", "no rumor of ours can follow: our name or our IDs are used up")
    }
    return Published(origin: me, id: id)
  }

  /// Another layer asks for a rumor.
  func asked(_ request: PublishRumor, _ context: borrowing LayerContext<Gossip>) {
    // Route rumors are of no use where nothing but simple messages is spoken.
    if config.simple { return }
    if context.isArmed(.ownIDs), ownIDs.early.count < 64 { return ownIDs.early.append(request) }
    _ = publish(request.text, topic: request.topic, context)
  }

  /// Publishes a rumor. It is stored before it leaves, since the node sends nothing before it has committed.
  private func publish(
    _ text: WireText, topic: WireText?, _ context: borrowing LayerContext<Gossip>
  ) -> UInt32? {
    let rumor = Rumor(origin: me, id: log.next(of: me), text: text, topic: topic, hops: 0, published: context.now)
    guard rumor.isSound, log.judge(me, rumor.id) == .new else { return nil }
    keep(rumor, from: nil, context)
    return rumor.id
  }

  // MARK: Looking

  private func rumors(_ input: RumorsInput, _ context: borrowing LayerContext<Gossip>) throws -> RumorList {
    let store = RumorStore(storage: context.storage)
    let cutoff = input.since.map { context.now - $0 }
    let topic = input.topic.map { WireText($0) }
    var runs = log.clock.entries.compactMap { entry in log.run(of: entry.identifier).map { (entry.identifier, $0) } }
    if let origin = input.origin { runs = runs.filter { $0.0 == WireText(origin) } }
    // The origins that were heard last come first; once none of the rest can have anything newer, it is over.
    runs.sort { $0.1.newest > $1.1.newest }
    var found: [RumorList.Entry] = []
    for (origin, run) in runs where run.count > 0 {
      if found.count >= input.limit, found[input.limit - 1].heard > run.newest { break }
      if let cutoff, run.newest < cutoff { break }
      var taken = 0
      try store.scan(origin, reversed: true) { id, stored in
        if let cutoff, stored.heard < cutoff { return false }
        guard !stored.text.isEmpty, topic == nil || stored.topic == topic else { return true }
        taken += 1
        found.append(
          .init(
            origin: origin, id: id, text: stored.text, topic: stored.topic, heard: stored.heard, hops: stored.hops))
        return taken < input.limit
      }
      if found.count >= input.limit {
        found.sort { ($1.heard, $0.origin, $1.id) < ($0.heard, $1.origin, $0.id) }
        found.removeLast(found.count - input.limit)
      }
    }
    return RumorList(rumors: found.sorted { ($0.heard, $0.origin, $0.id) < ($1.heard, $1.origin, $1.id) })
  }

  private func originList(_ input: OriginsInput, _ context: borrowing LayerContext<Gossip>) -> OriginList {
    let entries = log.clock.entries.prefix(input.limit).map { entry in
      let run = log.run(of: entry.identifier) ?? .init()
      return OriginList.Entry(
        origin: entry.identifier, first: run.first, next: run.next, bytes: run.bytes,
        heard: run.count > 0 ? run.newest : nil)
    }
    return OriginList(known: log.clock.count, origins: Array(entries))
  }

  private func status(_ input: NoInput, _ context: borrowing LayerContext<Gossip>) -> GossipStatus {
    GossipStatus(
      name: me, spread: config.spread, nextID: log.next(of: me), origins: log.clock.count, rumors: log.count,
      bytes: log.bytes, held: log.heldCount, waiting: mongering.waits.count,
      eager: config.spread == .tree ? tree.count(.eager) : nil,
      lazy: config.spread == .tree ? tree.count(.lazy) : nil,
      neighbours: context.neighbours.map {
        .init(
          address: $0.address, isStrata: $0.isStrata, lastHeard: $0.lastHeard, edge: tree.edge(of: $0.address))
      })
  }

  // MARK: Following

  private func follow(
    _ input: FollowInput, _ call: CommandCall<RumorHeard, Followed>, _ context: borrowing LayerContext<Gossip>
  ) {
    follows.removeAll { $0.call.isOver }
    follows.append(Follow(call: call, topic: input.topic.map { WireText($0) }))
  }

  private func unfollow(_ call: CommandCall<RumorHeard, Followed>, _ context: borrowing LayerContext<Gossip>) {
    if let follow = follows.first(where: { $0.call.id == call.id }) { call.finish(Followed(rumors: follow.told)) }
    follows.removeAll { $0.call.id == call.id }
  }

  func tellFollowers(_ heard: RumorHeard) {
    for place in follows.indices where follows[place].topic == nil || follows[place].topic == heard.topic {
      follows[place].call.progress(heard)
      follows[place].told += 1
    }
  }
}
