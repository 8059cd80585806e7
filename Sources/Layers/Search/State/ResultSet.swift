// ResultSet: what a search has found so far, by file: its holders, and what they hold of it together.
import PeersterVocabulary
import StackCore

/// A file that was found.
struct FoundFile: Sendable {
  var number: Int
  var claim: Claim
  /// Which neighbour told of it first; nobody when it was known before.
  var from: Address?
  var holders: [Holder] = []
  /// Whether it is held here, and whether anybody has answered for it in this search.
  var isLocal = false
  var isAnswered = false
  /// What all holders have together.
  var held = HeldChunks.ranges([])
}

/// The files that a search has found, bounded, in the order in which they were first heard of.
struct ResultSet: Sendable {
  private(set) var files: [FoundFile] = []
  private var places: [Hash256: Int] = [:]
  /// How many of the files each neighbour told of first, and which told of the most; only looked up.
  private var parts: [Address: Int] = [:]
  private var largest: Address?
  /// The most files of a search, and holders of a file.
  static let mostFiles = 1_000
  static let mostHolders = 64

  /// What became of a claim.
  enum Outcome: Hashable { case new, changed, known, refused }

  /// How many files others hold whole, alone or together.
  private(set) var fullMatches = 0
  private var full: Set<Hash256> = []

  subscript(_ root: Hash256) -> FoundFile? { places[root].map { files[$0] } }

  /// Takes a claim that a neighbour has brought; `number` is the file's number should it be new here.
  mutating func take(
    _ claim: Claim, _ holder: Holder?, isAnswer: Bool, from peer: Address? = nil, number: @autoclosure () -> Int
  ) -> Outcome {
    var outcome = Outcome.known
    let place: Int
    if let known = places[claim.root] {
      place = known
      merge(claim, place, &outcome)
    } else {
      guard files.count < Self.mostFiles || makeRoom(for: peer) else { return .refused }
      place = files.count
      places[claim.root] = place
      files.append(FoundFile(number: number(), claim: claim, from: peer))
      if let peer { count(peer, 1) }
      outcome = .new
    }
    if let holder {
      merge(holder, place, &outcome)
    } else if !files[place].isLocal {
      files[place].isLocal = true
      if outcome == .known { outcome = .changed }
    }
    if isAnswer {
      files[place].isAnswered = true
      if !full.contains(claim.root), files[place].held == .all {
        full.insert(claim.root)
        fullMatches += 1
      }
    }
    return outcome
  }

  private mutating func count(_ peer: Address, _ change: Int) {
    parts[peer, default: 0] += change
    if part(peer) > part(largest) { largest = peer }
  }

  private func part(_ peer: Address?) -> Int { peer.flatMap { parts[$0] } ?? 0 }

  /// The newest file of whoever told of the most gives way to one who told of less: so nobody fills the room with files
  /// that nobody has.
  private mutating func makeRoom(for peer: Address?) -> Bool {
    guard let from = largest, part(peer) + 1 < part(from),
      let place = files.lastIndex(where: { $0.from == from && !$0.isLocal })
    else { return false }
    let gone = files.remove(at: place)
    places[gone.claim.root] = nil
    if full.remove(gone.claim.root) != nil { fullMatches -= 1 }
    for later in place..<files.count { places[files[later].claim.root] = later }
    count(from, -1)
    for file in files where part(file.from) > part(largest) { largest = file.from }
    return true
  }

  /// What one holder didn't tell, another may. Of two that contradict, the first is believed: a root has one size.
  private mutating func merge(_ claim: Claim, _ place: Int, _ outcome: inout Outcome) {
    guard files[place].claim.size == nil, let size = claim.size else { return }
    files[place].claim.size = size
    files[place].claim.chunkSize = claim.chunkSize
    files[place].claim.chunkCount = claim.chunkCount
    if files[place].claim.path == nil { files[place].claim.path = claim.path }
    files[place].held = files[place].holders.reduce(.ranges([])) { $0.union($1.held, of: claim.chunkCount) }
    outcome = .changed
  }

  private mutating func merge(_ holder: Holder, _ place: Int, _ outcome: inout Outcome) {
    if let known = files[place].holders.firstIndex(where: { $0.isSame(as: holder) }) {
      var merged = holder
      if merged.address == nil { merged.address = files[place].holders[known].address }
      if merged.hops == nil { merged.hops = files[place].holders[known].hops }
      guard merged != files[place].holders[known] else { return }
      files[place].holders[known] = merged
    } else {
      guard files[place].holders.count < Self.mostHolders else { return }
      files[place].holders.append(holder)
    }
    files[place].held = files[place].held.union(holder.held, of: files[place].claim.chunkCount)
    if outcome == .known { outcome = .changed }
  }
}

/// The numbers by which people name what was found: a file keeps its number, and no number is used twice.
struct ResultNumbers: Sendable {
  private var numbers: [Hash256: Int] = [:]
  private var order: [Hash256] = []
  private var next = 1
  /// The most files that have one; the oldest lose theirs.
  static let most = 10_000

  /// The number of a file.
  mutating func number(of root: Hash256) -> Int {
    if let known = numbers[root] { return known }
    if order.count >= Self.most {
      for old in order.prefix(Self.most / 10) { numbers[old] = nil }
      order.removeFirst(Self.most / 10)
    }
    defer { next += 1 }
    numbers[root] = next
    order.append(root)
    return next
  }
}
