// SearchSpreading: to whom queries go: a ring's budget in parts to random neighbours, a flood to all.
import PeersterVocabulary
import StackCore

extension Search {
  /// The places of neighbours other than two, in random order where not all are wanted.
  private func candidates(
    _ neighbours: [Neighbour], except first: Address?, _ second: Address?, inOrder: Bool,
    _ context: borrowing LayerContext<Search>
  ) -> [Int] {
    let places = neighbours.indices.filter { neighbours[$0].address != first && neighbours[$0].address != second }
    return inOrder ? places : context.shuffled(places)
  }

  /// Sends a ring's request on, its budget split over random neighbours. Answers to how many.
  func spreadRing(
    _ request: SearchRequest, budget: UInt64, key: TraceKey, except peer: Address?,
    _ context: borrowing LayerContext<Search>
  ) -> Int {
    guard budget > 0 else { return 0 }
    let neighbours = context.neighbours
    let most = min(config.neighbours, Int(clamping: budget))
    var request = request
    // The longest that it can become, for those who may be sent only so much.
    request.budget = budget
    let size = request.encoded().count + 8
    var chosen: [Address] = []
    for place in candidates(neighbours, except: peer, nil, inOrder: false, context) where chosen.count < most {
      if reach.take(size, for: neighbours[place]) {
        chosen.append(neighbours[place].address)
      } else {
        counts.unreached.add()
      }
    }
    for (address, part) in zip(chosen, split(budget: budget, over: chosen.count)) {
      request.budget = part
      context.send(request, as: PeersterField.searchRequest, to: address)
      counts.passed.add()
      _ = traces.update(key) { $0.passed(to: address) }
    }
    return min(chosen.count, Int(clamping: budget))
  }

  /// Sends a flood's query on to all neighbours. To one that is not known for a Strata node it goes in the Peersters'
  /// words, as a request that is not to be passed on; a Strata node understands it all the same. Answers to how many.
  func spreadFlood(
    _ flood: FloodQuery, _ query: Query, key: TraceKey, except peer: Address?, _ second: Address?,
    _ context: borrowing LayerContext<Search>
  ) -> Int {
    guard flood.timeToLive > 0 else { return 0 }
    let neighbours = context.neighbours
    let isAll = neighbours.count <= config.neighbours
    let plain = SearchRequest(
      origin: me, budget: 1, keywords: query.keywords.map { WireText($0) }, query: flood.isAny ? nil : flood.query,
      id: flood.id, timeToLive: flood.timeToLive, hops: flood.hops)
    let sizes = (strata: flood.encoded().count + 8, plain: plain.encoded().count + 8)
    var sent = 0
    var isGateway = false
    for place in candidates(neighbours, except: peer, second, inOrder: isAll, context) where sent < config.neighbours {
      let (address, isStrata) = (neighbours[place].address, neighbours[place].isStrata)
      guard reach.take(isStrata ? sizes.strata : sizes.plain, for: neighbours[place]) else {
        counts.unreached.add()
        continue
      }
      if isStrata {
        context.send(flood, as: FloodQuery.field, to: address)
      } else {
        context.send(plain, as: PeersterField.searchRequest, to: address)
        isGateway = true
      }
      sent += 1
      counts.passed.add()
      _ = traces.update(key) { $0.passed(to: address) }
    }
    if isGateway, !gateways.contains(key) {
      if gateways.count >= Self.mostGateways { gateways.removeFirst() }
      gateways.append(key)
    }
    return sent
  }

  // MARK: Others' queries

  /// Whether a neighbour may have one more query taken.
  private func mayAsk(_ peer: Address, _ now: Instant) -> Bool {
    if queryLimits.take(peer, at: now) { return true }
    counts.refused.add()
    return false
  }

  /// The query of a request: the whole of it, or where that is missing or of another time, its words.
  private func query(_ request: SearchRequest) -> Query? {
    if let text = request.query, let query = try? QueryParser.parse(text.text) { return query }
    return Query(keywords: request.keywords.map(\.text))
  }

  /// A ring's request: answered from our own files, and the rest of its budget passed on.
  func heardRequest(_ request: SearchRequest, from peer: Address, _ context: borrowing LayerContext<Search>) {
    guard mayAsk(peer, context.now) else { return }
    let bytes = request.keywords.reduce(request.query?.bytes.count ?? 0) { $0 + $1.bytes.count }
    guard bytes <= 2 * Query.longest, let query = query(request) else { return counts.refused.add() }
    if let id = request.id, let timeToLive = request.timeToLive {
      let flood = FloodQuery(
        id: id, timeToLive: timeToLive, hops: request.hops ?? 0, query: WireText(query.text), isAny: query.isAny)
      return takeFlood(flood, query, from: peer, context)
    }
    guard request.budget > 0, !request.origin.isEmpty, request.origin.bytes.count <= Rumor.longestOrigin,
      request.origin != me
    else { return counts.refused.add() }
    let key = TraceKey.ring(request.origin, request.keywords, request.query, request.id)
    guard note(request, query, key, from: peer, context) else { return }
    answer(request, query, from: peer, context)
    let rest = min(request.budget, UInt64(config.budgetLimit)) - 1
    let count = spreadRing(request, budget: rest, key: key, except: peer, context)
    if count > 0 {
      context.publish(QueryPassed(query: query.text, mode: .ring, neighbours: count), on: QueryPassed.port)
    }
  }

  /// Remembers a ring's request; false when it came just now already.
  private func note(
    _ request: SearchRequest, _ query: Query, _ key: TraceKey, from peer: Address,
    _ context: borrowing LayerContext<Search>
  ) -> Bool {
    let now = context.now
    let window = config.duplicateWindow
    let isNew = traces.update(key) { trace in
      guard now - trace.latest >= window else { return false }
      // The next ring of the same search; its answers go the way that it came.
      (trace.latest, trace.back, trace.told) = (now, peer, [])
      return true
    }
    if let isNew {
      if !isNew { counts.duplicates.add() }
      return isNew
    }
    let trace = QueryTrace(
      key: key, id: request.id?.value ?? 0, mode: .ring, query: query, origin: request.origin, from: peer, at: now)
    guard traces.add(trace) else {
      counts.refused.add()
      return false
    }
    counts.queries.add()
    armSweep(context)
    context.publish(QueryHeard(query: query.text, mode: .ring, from: peer, hops: nil), on: QueryHeard.port)
    return true
  }

  func heardFlood(_ flood: FloodQuery, from peer: Address, _ context: borrowing LayerContext<Search>) {
    guard mayAsk(peer, context.now) else { return }
    guard flood.query.bytes.count <= Query.longest else { return counts.refused.add() }
    let text = flood.query.text
    let parsed =
      flood.isAny ? Query(keywords: text.split(separator: " ").map(String.init)) : try? QueryParser.parse(text)
    // What we can't read, a newer node may: it goes on, and nobody answers it here.
    let query = parsed ?? Query(text: text, terms: [])
    takeFlood(flood, query, from: peer, context)
  }

  /// A flood's query: answered from our own files and the cache, and passed on while it lives.
  private func takeFlood(
    _ flood: FloodQuery, _ query: Query, from peer: Address, _ context: borrowing LayerContext<Search>
  ) {
    let lives = min(flood.timeToLive, UInt32(config.timeToLiveLimit))
    guard flood.id.value != 0, lives > 0, flood.hops <= 255 else { return counts.refused.add() }
    let key = TraceKey.number(flood.id.value)
    let now = context.now
    var onward = flood
    (onward.timeToLive, onward.hops) = (lives - 1, flood.hops + 1)
    if let known = traces[key] {
      counts.duplicates.add()
      // By a shorter way it may get further than the copy that was quicker.
      guard known.from != nil, lives > known.timeToLive else { return }
      _ = traces.update(key) { $0.timeToLive = lives }
      _ = spreadFlood(onward, query, key: key, except: peer, known.from, context)
      return
    }
    var trace = QueryTrace(
      key: key, id: flood.id.value, mode: .flood, query: query, origin: nil, from: peer, at: now)
    trace.timeToLive = lives
    guard traces.add(trace) else { return counts.refused.add() }
    counts.queries.add()
    armSweep(context)
    context.publish(
      QueryHeard(query: query.text, mode: .flood, from: peer, hops: flood.hops), on: QueryHeard.port)
    if !query.terms.isEmpty { answer(flood, query, from: peer, context) }
    let count = spreadFlood(onward, query, key: key, except: peer, nil, context)
    if count > 0 {
      context.publish(QueryPassed(query: query.text, mode: .flood, neighbours: count), on: QueryPassed.port)
    }
  }
}
