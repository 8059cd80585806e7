// SearchOwn: searches of our own, from their first ring to their end.
import PeersterVocabulary
import StackCore

/// A search of ours that is under way.
struct OwnSearch {
  let id: UInt64
  let query: Query
  let mode: SearchMode
  /// When it ends at the latest, and when its next ring is due.
  let deadline: Instant
  var nextRing: Instant?
  var rings: RingState
  let timeToLive: UInt32
  /// How many full matches end it; 0: none do. Whether the first answer does.
  let enough: Int
  let endsAtFirst: Bool
  /// How many files are listed at its end.
  let limit: Int
  var results = ResultSet()
  /// Up to which change of our files the index must be before all of them have been looked through; nil: they have.
  var awaited: UInt64?
  /// How it has ended, but for that.
  var ending: SearchEnding?
  var call: CommandCall<FoundFileNews, SearchSummary>?

  /// When something is to be done; nil for one that only waits for the index.
  var due: Instant? { ending == nil ? min(deadline, nextRing ?? deadline) : nil }
}

extension Search {
  /// Begins a search: what is here comes first, then what is remembered, then what others say.
  func begin(_ search: OwnSearch, _ context: borrowing LayerContext<Search>) {
    var search = search
    let key = TraceKey.number(search.id)
    var trace = QueryTrace(
      key: key, id: search.id, mode: search.mode, query: search.query, origin: nil, from: nil, at: context.now)
    trace.isActive = true
    _ = traces.add(trace)
    armSweep(context)
    context.publish(
      SearchStarted(id: Self.text(search.id), query: search.query.text, mode: search.mode), on: SearchStarted.port)
    noteLocal(in: &search, context)
    if isBehind { search.awaited = files?.revision }
    for hit in cache.find(search.query, most: ResultSet.mostFiles, at: context.now) {
      var holder = hit.holder
      holder.held = hit.claim.held
      note(hit.claim, holder, in: &search, context)
    }
    searches.append(search)
    if search.awaited != nil { context.arm(.index, after: Self.shortPause) }
    sendOut(searches.count - 1, context)
    armSearches(context)
  }

  private func noteLocal(in search: inout OwnSearch, _ context: borrowing LayerContext<Search>) {
    for file in local(search.query, most: ResultSet.mostFiles, isOurs: true, context) {
      guard let claim = Claim(SearchResult(file, withExtensions: true, isListed: false)) else { continue }
      note(claim, nil, in: &search, context)
    }
  }

  /// Tells a search that began while the index was being made of what was missing there; if it was only waiting for
  /// that, it ends.
  func tellTheRest(_ place: Int, _ context: borrowing LayerContext<Search>) {
    var search = searches.remove(at: place)
    search.awaited = nil
    noteLocal(in: &search, context)
    searches.insert(search, at: place)
    if let ending = search.ending { end(search.id, ending, context) }
  }

  /// Notes a file that was known before anybody answered.
  private func note(
    _ claim: Claim, _ holder: Holder?, in search: inout OwnSearch, _ context: borrowing LayerContext<Search>
  ) {
    let outcome = search.results.take(claim, holder, isAnswer: false, number: numbers.number(of: claim.root))
    guard outcome == .new || outcome == .changed, let file = search.results[claim.root] else { return }
    search.call?.progress(FoundFileNews(file))
    if let holder { publish(file, [holder], context) }
  }

  /// Sends a search's next ring, or its flood.
  private func sendOut(_ place: Int, _ context: borrowing LayerContext<Search>) {
    let search = searches[place]
    let key = TraceKey.number(search.id)
    let words = search.query.keywords.map { WireText($0) }
    let text = WireText(search.query.text)
    switch search.mode {
    case .flood:
      let flood = FloodQuery(
        id: Fixed64(search.id), timeToLive: search.timeToLive, hops: 0, query: text, isAny: search.query.isAny)
      let count = spreadFlood(flood, search.query, key: key, except: nil, nil, context)
      context.publish(
        SearchRound(id: Self.text(search.id), timeToLive: search.timeToLive, neighbours: count), on: SearchRound.port)
    case .ring:
      guard let budget = searches[place].rings.take() else { return }
      let request = SearchRequest(
        origin: me, budget: budget, keywords: words, query: search.query.isAny ? nil : text, id: Fixed64(search.id))
      let count = spreadRing(request, budget: budget - 1, key: key, except: nil, context)
      searches[place].nextRing = searches[place].rings.next == nil ? nil : context.now + config.ringInterval
      context.publish(
        SearchRound(id: Self.text(search.id), budget: budget, neighbours: count), on: SearchRound.port)
    }
  }

  func armSearches(_ context: borrowing LayerContext<Search>) {
    guard let due = searches.compactMap(\.due).min() else { return context.cancel(.searches) }
    context.arm(.searches, after: max(.zero, due - context.now))
  }

  /// Rings and ends that are due.
  func goOn(_ context: borrowing LayerContext<Search>) {
    for search in searches where search.ending == nil && search.deadline <= context.now {
      end(search.id, .timeout, context)
    }
    for place in searches.indices {
      if searches[place].ending == nil, let ring = searches[place].nextRing, ring <= context.now {
        sendOut(place, context)
      }
    }
    armSearches(context)
  }

  func endIfEnough(_ id: UInt64, _ context: borrowing LayerContext<Search>) {
    guard let search = searches.first(where: { $0.id == id }), search.ending == nil else { return }
    if search.endsAtFirst, search.results.files.contains(where: \.isAnswered) { return end(id, .first, context) }
    if search.enough > 0, search.results.fullMatches >= search.enough { end(id, .enough, context) }
  }

  private func end(_ id: UInt64, _ ending: SearchEnding, _ context: borrowing LayerContext<Search>) {
    guard let place = searches.firstIndex(where: { $0.id == id }) else { return }
    guard searches[place].awaited == nil else {
      // Not before all of our files have been looked through.
      searches[place].ending = ending
      return armSearches(context)
    }
    let search = searches.remove(at: place)
    _ = traces.update(.number(id)) { $0.isActive = false }
    context.publish(
      SearchEnded(
        id: Self.text(id), ending: ending, files: search.results.files.count,
        fullMatches: search.results.fullMatches), on: SearchEnded.port)
    search.call?.finish(SearchSummary(search, ending))
    armSearches(context)
  }

  /// Nobody waits for a search any more.
  func cancelled(
    _ call: CommandCall<FoundFileNews, SearchSummary>, _ context: borrowing LayerContext<Search>
  ) {
    for search in searches where search.call?.id == call.id {
      _ = traces.update(.number(search.id)) { $0.isActive = false }
    }
    searches.removeAll { $0.call?.id == call.id }
    armSearches(context)
  }
}
