// PeerBook: the configured neighbours as they were written, and the addresses that their names have.
import StackCore

/// Looks up the neighbours that are names: again and again until each has an address, and then from time to time, for
/// a name may move.
///
/// An address stays for as long as the name still has it, or can't be looked up. It belongs to its loop's thread.
final class PeerBook {
  struct Peer {
    var text: String
    var address: Address?
    var failures = 0
    var nextTry: Instant?
  }

  /// The first and the longest wait before a name is looked up again.
  static let waits = (first: Duration.seconds(1), longest: Duration.seconds(60))

  /// How long after an address was found its name is looked up again.
  var again = Duration.seconds(300)
  /// Looks a name and port up; in tests another than the system.
  var resolve: ((String, @escaping (Result<[Address], ResolveError>) -> Void) -> Void)?

  private let loop: EventLoop
  private let isReachable: (Address) -> Bool
  private let log: (LogLevel, String) -> Void
  private let changed: () -> Void
  private(set) var peers: [Peer] = []
  /// There only while a name is being looked up, so that an idle node has no thread for it.
  private var resolver: Resolver?
  private var lookups = 0
  private var timer: LoopTimer?
  private var isClosed = false

  /// A book that calls `changed` when an address has been found.
  init(
    loop: EventLoop, isReachable: @escaping (Address) -> Bool, log: @escaping (LogLevel, String) -> Void,
    changed: @escaping () -> Void
  ) {
    self.loop = loop
    self.isReachable = isReachable
    self.log = log
    self.changed = changed
  }

  /// The addresses known, each once, in the order written.
  var addresses: [Address] {
    var found: [Address] = []
    for peer in peers { if let address = peer.address, !found.contains(address) { found.append(address) } }
    return found
  }

  /// The names that have no address yet.
  var unresolved: [String] { peers.filter { $0.address == nil }.map(\.text) }

  /// Refuses what is neither an address nor a name and port.
  static func check(_ texts: [String]) throws(RuntimeError) {
    for (place, text) in texts.enumerated() where Address(text) == nil && Resolver.split(text) == nil {
      throw RuntimeError(
        .configuration, path: "peers[\(place)]",
        "found \"\(text)\", expected an address such as \"127.0.0.1:5001\" or a name and port such as "
          + "\"example.org:5000\"")
    }
  }

  /// Takes another list; addresses found before are kept. Names are looked up from `lookUp` on.
  func set(_ texts: [String]) {
    let old = peers
    peers = texts.map { text in
      if let known = old.first(where: { $0.text == text }) { return known }
      let address = Address(text)
      if let address, !isReachable(address) {
        log(.warning, "the neighbour \(text) can't be reached from the address that this node listens at")
      }
      return Peer(text: text, address: address, nextTry: address == nil ? loop.now : nil)
    }
  }

  /// Takes back a list from before, with the addresses that it had.
  func restore(_ old: [Peer]) {
    peers = old
    lookUp()
  }

  /// Looks up every name whose time has come, and sees to the others later.
  func lookUp() {
    guard !isClosed else { return }
    let now = loop.now
    for place in peers.indices {
      guard let time = peers[place].nextTry, time <= now else { continue }
      peers[place].nextTry = nil
      let text = peers[place].text
      lookups += 1
      if let resolve {
        resolve(text) { [weak self] result in self?.answer(text, result) }
        continue
      }
      let resolver = resolver ?? Resolver(loop: loop)
      self.resolver = resolver
      resolver.resolve(text) { [weak self] result in self?.answer(text, result) }
    }
    guard let next = peers.compactMap(\.nextTry).min() else { return }
    let timer = timer ?? loop.timer { [weak self] in self?.lookUp() }
    self.timer = timer
    timer.set(at: next)
  }

  private func answer(_ text: String, _ result: Result<[Address], ResolveError>) {
    lookups -= 1
    if lookups == 0 { resolver = nil }
    guard !isClosed, let place = peers.firstIndex(where: { $0.text == text }), Address(text) == nil else { return }
    var reason = "it has no address of the family that this node listens at"
    switch result {
    case .success(let found):
      let usable = found.filter(isReachable)
      if let address = usable.first {
        let known = peers[place].address
        peers[place].failures = 0
        peers[place].nextTry = loop.now + again
        lookUp()
        // A name with several addresses may list them in another order each time.
        if let known, usable.contains(known) { return }
        peers[place].address = address
        log(.info, "the neighbour \(text) is at \(address)" + (known.map { ", and no more at \($0)" } ?? ""))
        return changed()
      }
    case .failure(let error): reason = error.message
    }
    postpone(place, reason)
    lookUp()
  }

  private func postpone(_ place: Int, _ reason: String) {
    let failures = peers[place].failures
    let wait = min(Self.waits.first * (1 << min(failures, 6)), Self.waits.longest)
    peers[place].failures += 1
    peers[place].nextTry = loop.now + wait
    // It has the address that it had.
    guard peers[place].address == nil else { return }
    // Once at once, and then more and more rarely.
    if failures & (failures + 1) == 0 {
      log(.warning, "the neighbour \(peers[place].text) can't be looked up: \(reason); trying again")
    }
  }

  /// Looks up no more.
  func close() {
    isClosed = true
    timer?.cancel()
    resolver = nil
  }
}
