// SearchAnswers: answers to others' queries, on their way back, and answers to ours.
import PeersterVocabulary
import StackCore

extension Search {
  // MARK: Answering

  /// Answers a ring's request with files of ours.
  func answer(
    _ request: SearchRequest, _ query: Query, from peer: Address, _ context: borrowing LayerContext<Search>
  ) {
    // What an asker of Peersters' kind can't fetch would only mislead it.
    let isStrata = request.id != nil
    let results = local(query, most: config.results, isOurs: false, context).compactMap { file in
      isStrata || SearchResult.suitsPeersters(file) ? SearchResult(file, withExtensions: isStrata) : nil
    }
    guard !results.isEmpty else { return }
    let hop = routing?.route(to: request.origin)?.nextHop ?? peer
    var sent = 0
    for part in Self.parts(results) {
      let reply = SearchReply(
        origin: me, destination: request.origin, hopLimit: UInt32(config.hopLimit), results: part, id: request.id,
        hops: isStrata ? 0 : nil)
      guard send(reply, as: PeersterField.searchReply, to: hop, context) else { break }
      sent += part.count
    }
    told(query, .ring, files: sent, cached: 0, context)
  }

  /// Answers a flood's query with files of ours, and with what others are said to hold.
  func answer(_ flood: FloodQuery, _ query: Query, from peer: Address, _ context: borrowing LayerContext<Search>) {
    let now = context.now
    let results = local(query, most: config.results, isOurs: false, context).map {
      SearchResult($0, withExtensions: true)
    }
    var sent = 0
    for part in Self.parts(results) {
      let hit = FloodHit(id: flood.id, holder: me, results: part)
      guard send(hit, as: FloodHit.field, to: peer, context) else { break }
      sent += part.count
    }
    var cached = 0
    if config.answerFromCache, cache.count > 0, work.take(cache.scanBytes, at: now) {
      for hit in cache.find(query, most: Self.mostCached, at: now) where hit.holder.address != peer {
        guard let address = hit.holder.address else { continue }
        let message = FloodHit(
          id: flood.id, hops: UInt32(clamping: (hit.holder.hops ?? 0) + 1), holder: hit.holder.name,
          address: WireText("\(address)"), results: [SearchResult(hit.claim)], isCached: true)
        guard send(message, as: FloodHit.field, to: peer, context) else { break }
        cached += 1
        _ = traces.update(.number(flood.id.value)) {
          $0.tell(hit.claim.root, hit.holder.name, whole: hit.claim.isWhole)
        }
      }
    }
    told(query, .flood, files: sent, cached: cached, context)
  }

  /// The most hits of others with which a flood is answered.
  private static let mostCached = 16

  private func told(
    _ query: Query, _ mode: SearchMode, files: Int, cached: Int, _ context: borrowing LayerContext<Search>
  ) {
    guard files + cached > 0 else { return }
    counts.answered.add()
    context.publish(
      QueryAnswered(query: query.text, mode: mode, files: files, cached: cached), on: QueryAnswered.port)
  }

  // MARK: Answers of rings

  func heardReply(_ reply: SearchReply, from peer: Address, _ context: borrowing LayerContext<Search>) {
    guard answerLimits.take(peer, at: context.now), !reply.origin.isEmpty, reply.origin != me,
      reply.origin.bytes.count <= Rumor.longestOrigin
    else { return counts.refused.add() }
    var reply = reply
    // Who hears it first knows where its origin is.
    if reply.hops == 0 { reply.address = WireText("\(peer)") }
    guard reply.destination == me else { return passBack(reply, from: peer, context) }
    let holder = Holder(
      name: Claim.shown(reply.origin), address: address(reply, from: peer), hops: reply.hops.map { Int(min($0, 255)) },
      held: .ranges([]))
    let claims = claims(reply.results)
    var isWanted = false
    for search in searches where reply.id == nil || reply.id?.value == search.id {
      let meant = claims.filter { $0.isMeant(by: search.query) }
      if meant.isEmpty { continue }
      isWanted = true
      deliver(meant, holder, to: search.id, from: peer, isCached: false, context)
    }
    if !isWanted { isWanted = passToFlood(claims, holder, from: peer, context) }
    if !isWanted { counts.unasked.add() }
  }

  /// Where a reply's origin is, so far as that can be known.
  private func address(_ reply: SearchReply, from peer: Address) -> Address? {
    if reply.hops != nil { return address(reply.address, from: peer) }
    return routing?.route(to: reply.origin).flatMap { $0.hops == 0 ? $0.nextHop : nil }
  }

  /// An address that somebody else told: one that a datagram could go to, and on this machine only where it came from
  /// there.
  private func address(_ text: WireText?, from peer: Address) -> Address? {
    guard let text, text.bytes.count <= 64, let address = Address(text.text), address.port != 0,
      !address.isUnspecified, !address.isMulticast, !address.isLoopback || peer.isLoopback
    else { return nil }
    return address
  }

  private func claims(_ results: [SearchResult]) -> [Claim] {
    let claims = results.prefix(ResultSet.mostFiles).compactMap { Claim($0) }
    counts.unfit.add(UInt64(results.count - claims.count))
    return claims
  }

  /// A reply for somebody else goes to the next hop, or where there is none back by the way its request came.
  private func passBack(_ reply: SearchReply, from peer: Address, _ context: borrowing LayerContext<Search>) {
    let limit = min(reply.hopLimit, 32)
    let key = traces.newest(of: reply.destination)
    let back = key.flatMap { traces[$0]?.back }
    guard limit > 1, let hop = routing?.route(to: reply.destination)?.nextHop ?? back, hop != peer else {
      return counts.unasked.add()
    }
    if let key { note(reply, key, from: peer, context) }
    var onward = reply
    onward.hopLimit = limit - 1
    onward.hops = reply.hops.map { min($0, 255) + 1 }
    if send(onward, as: PeersterField.searchReply, to: hop, context) { counts.relayed.add() }
  }

  /// Notes what comes by in answer to a request that came by.
  private func note(
    _ reply: SearchReply, _ key: TraceKey, from peer: Address, _ context: borrowing LayerContext<Search>
  ) {
    guard let trace = traces[key], trace.id == 0 || reply.id?.value == trace.id else { return }
    let holder = Holder(
      name: Claim.shown(reply.origin), address: address(reply, from: peer), hops: reply.hops.map { Int(min($0, 255)) },
      held: .ranges([]))
    for claim in claims(reply.results) where claim.isMeant(by: trace.query) {
      remember(claim, holder, key, isCached: false, context)
    }
  }

  /// Keeps a hit, and notes it beside its query.
  private func remember(
    _ claim: Claim, _ holder: Holder, _ key: TraceKey, isCached: Bool, _ context: borrowing LayerContext<Search>
  ) {
    var holder = holder
    holder.held = claim.held
    // What comes out of a cache goes into none, or a lie would live for ever.
    if !isCached { cache.note(claim, holder, at: context.now) }
    let answer = TraceAnswer(
      root: claim.root, name: claim.name, holder: holder.name, address: holder.address, at: context.now)
    _ = traces.update(key) { $0.answered(answer) }
  }

  // MARK: Hits of floods

  func heardHit(_ hit: FloodHit, from peer: Address, _ context: borrowing LayerContext<Search>) {
    guard answerLimits.take(peer, at: context.now), hit.holder.bytes.count <= Rumor.longestOrigin, hit.holder != me,
      hit.hops <= 255
    else { return counts.refused.add() }
    let key = TraceKey.number(hit.id.value)
    guard let trace = traces[key], trace.toCount > QueryTrace.mostShown || trace.to.contains(peer) else {
      return counts.unasked.add()
    }
    let isFirst = hit.hops == 0 && !hit.isCached
    let holder = Holder(
      name: Claim.shown(hit.holder), address: isFirst ? peer : address(hit.address, from: peer),
      hops: Int(hit.hops), held: .ranges([]))
    guard !holder.name.isEmpty || holder.address != nil else { return counts.unfit.add(UInt64(hit.results.count)) }
    let all = claims(hit.results)
    let meant = all.filter { $0.isMeant(by: trace.query) }
    counts.unfit.add(UInt64(all.count - meant.count))
    if meant.isEmpty { return }
    if trace.from == nil { return deliver(meant, holder, to: trace.id, from: peer, isCached: hit.isCached, context) }
    passBack(meant, holder, key, isCached: hit.isCached, context)
  }

  /// What came for a query of somebody else goes back to whom the query came from, each holder's each file once.
  private func passBack(
    _ claims: [Claim], _ holder: Holder, _ key: TraceKey, isCached: Bool, _ context: borrowing LayerContext<Search>
  ) {
    guard let trace = traces[key], let back = trace.back else { return }
    var new: [SearchResult] = []
    for claim in claims {
      let isNew = traces.update(key) { $0.tell(claim.root, holder.name, whole: claim.isWhole) } ?? false
      if !isNew { continue }
      remember(claim, holder, key, isCached: isCached, context)
      new.append(SearchResult(claim))
    }
    for part in Self.parts(new) {
      let onward = FloodHit(
        id: Fixed64(trace.id), hops: UInt32(clamping: min(255, (holder.hops ?? 0) + 1)), holder: holder.name,
        address: holder.address.map { WireText("\($0)") }, results: part, isCached: isCached)
      if send(onward, as: FloodHit.field, to: back, context) { counts.relayed.add() }
    }
  }

  /// A Peerster's answer to a flood that we told it in its own words goes back as a hit.
  private func passToFlood(
    _ claims: [Claim], _ holder: Holder, from peer: Address, _ context: borrowing LayerContext<Search>
  ) -> Bool {
    for key in gateways.reversed() {
      guard let trace = traces[key], trace.from != nil, trace.to.contains(peer) else { continue }
      // To hold many files against many queries is work like any other done for others.
      guard work.take(claims.count * trace.query.terms.count * 32, at: context.now) else {
        counts.unsearched.add()
        return false
      }
      let meant = claims.filter { $0.isMeant(by: trace.query) }
      if meant.isEmpty { continue }
      var holder = holder
      (holder.address, holder.hops) = (peer, 0)
      passBack(meant, holder, key, isCached: false, context)
      return true
    }
    return false
  }

  // MARK: Answers to us

  /// Somebody has answered a search of ours.
  func deliver(
    _ claims: [Claim], _ holder: Holder, to id: UInt64, from peer: Address, isCached: Bool,
    _ context: borrowing LayerContext<Search>
  ) {
    for claim in claims {
      var holder = holder
      holder.held = claim.held
      remember(claim, holder, .number(id), isCached: isCached, context)
      counts.hits.add()
      guard let place = searches.firstIndex(where: { $0.id == id }) else { continue }
      let outcome = searches[place].results.take(
        claim, holder, isAnswer: true, from: peer, number: numbers.number(of: claim.root))
      guard outcome == .new || outcome == .changed, let file = searches[place].results[claim.root] else { continue }
      context.publish(
        SearchHit(
          id: Self.text(id), number: file.number, root: claim.root, name: claim.name, holder: holder.name,
          address: holder.address, isWhole: claim.isWhole), on: SearchHit.port)
      publish(file, [holder], context)
      searches[place].call?.progress(FoundFileNews(file))
    }
    endIfEnough(id, context)
  }

  /// Tells FileShare who holds a file.
  func publish(_ file: FoundFile, _ holders: [Holder], _ context: borrowing LayerContext<Search>) {
    let told = holders.map {
      FileHolder(name: $0.name.isEmpty ? nil : $0.name, address: $0.address, held: $0.held)
    }
    context.publish(
      FileHolders(
        root: file.claim.root, name: file.claim.name, size: file.claim.size, chunkSize: file.claim.chunkSize,
        holders: told, number: file.number), on: FileHolders.port)
  }
}
