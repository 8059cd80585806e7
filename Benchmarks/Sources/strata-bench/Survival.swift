// Survival: a node that publishes is killed at random instants: nothing that it has acknowledged may be lost.
import Gossip
import Glibc
import PeersterVocabulary
import StackCore
import StackRuntime

/// `survive FOLDER PORT SINCE ROUND`: says which rumors of its own it finds after an ID, then publishes as fast as the
/// acknowledgements come, and says each acknowledged one.
func playSurvivor(_ role: [String]) throws -> Never {
  let node = try survivor(role)
  var number = 0
  var random = RandomStream(seed: UInt64(role[4]) ?? 0)
  while true {
    // Some alone, some many in one commit.
    for _ in 0...random.next(below: 20) {
      number += 1
      let text = "\(role[4]).\(number)"
      node.call("gossip", "publish", ["text": .string(text)]) { reply in
        if case .finished(let json) = reply { say("said \(json["id"]?.integerValue ?? 0) \(text)") }
      }
    }
    node.step()
    if random.next(below: 2) == 0 { node.run(for: .milliseconds(2)) }
  }
}

/// Starts the node, and says what it has kept.
private func survivor(_ role: [String]) throws -> RealNode {
  let node = try GossipNodeSettings(
    name: "survivor", directory: role[1], gossip: ["antiEntropy": "1s", "retention": ["originCount": 100_000_000]],
    peers: ["127.0.0.1:\(role[2])"]
  ).node()
  node.start()
  let since = Int64(role[3]) ?? 0
  for rumor in ownRumors(node) where rumor.id > since { say("kept \(rumor.id) \(rumor.text)") }
  say("next \(node.ask("gossip", "status")["nextID"]?.integerValue ?? 0)")
  return node
}

private func ownRumors(_ node: RealNode) -> [(id: Int64, text: String)] {
  let found = node.ask("gossip", "rumors", ["origin": "survivor", "limit": 10_000])
  return (found["rumors"]?.arrayValue ?? []).map { ($0["id"]?.integerValue ?? 0, $0["text"]?.stringValue ?? "") }
}

/// `linger FOLDER PORT SINCE`: the node once more, only to answer its neighbour.
func playLingerer(_ role: [String]) throws -> Never {
  let node = try survivor(role)
  while true { node.step() }
}

/// `witness FOLDER`: the neighbour: says what it hears, and each second text under one ID that it refuses.
func playWitness(_ role: [String]) throws -> Never {
  let node = try GossipNodeSettings(
    name: "witness", directory: role[1], gossip: ["antiEntropy": "1s", "retention": ["originCount": 100_000_000]]
  ).node()
  _ = node.observe { event in
    let json = event.json()
    if event.name == "equivocation" { say("twice \(json["id"]?.integerValue ?? 0)") }
    if event.name == "rumor", json["origin"] == "survivor" {
      say("heard \(json["id"]?.integerValue ?? 0) \(json["text"]?.stringValue ?? "")")
    }
  }
  node.start()
  say("\(node.address.port)")
  while true { node.step() }
}

/// What is known of the rumors that were published.
struct SurvivalBook {
  /// By ID, the text under which it was acknowledged, found on disk or heard.
  private(set) var texts: [Int64: String] = [:]
  private(set) var acknowledged: Set<Int64> = []
  private(set) var heard: Set<Int64> = []
  /// What went wrong.
  private(set) var failures: [String] = []
  /// The largest ID that was acknowledged.
  private(set) var last: Int64 = 0
  private var kept: Set<Int64> = []
  /// The first ID that the node found free at its latest start, and the acknowledgements that it had to know.
  private(set) var next: Int64 = 1
  private var unchecked: [Int64] = []

  mutating func take(_ line: Substring) {
    let words = line.split(separator: " ", maxSplits: 2)
    guard words.count >= 2, let id = Int64(words[1]) else { return }
    switch words[0] {
    case "said":
      if acknowledged.contains(id) { failures.append("ID \(id) was acknowledged twice") }
      note(id, words)
      acknowledged.insert(id)
      unchecked.append(id)
      last = max(last, id)
    case "kept":
      note(id, words)
      kept.insert(id)
    case "heard":
      if heard.contains(id) { failures.append("ID \(id) was heard twice") }
      note(id, words)
      heard.insert(id)
    case "twice": failures.append("the neighbour has refused a second text under ID \(id)")
    case "next":
      next = id
      for lost in unchecked where lost >= id || !kept.contains(lost) {
        failures.append("ID \(lost) was acknowledged, and is lost")
      }
      unchecked = []
      kept = []
    default: failures.append("found \(line)")
    }
  }

  private mutating func note(_ id: Int64, _ words: [Substring]) {
    let text = words.count > 2 ? String(words[2]) : ""
    if let known = texts[id], known != text { failures.append("ID \(id) was used for \(known) and for \(text)") }
    texts[id] = text
  }

  /// The IDs that were acknowledged and that the neighbour has not heard.
  var unheard: [Int64] { acknowledged.filter { !heard.contains($0) }.sorted() }
}

/// Lines as they come from several children, none of which is ever kept waiting.
private struct Lines {
  var rest: [Substring]
  let children: [Child]
  init(_ children: [Child]) {
    self.children = children
    rest = children.map { _ in "" }
  }

  /// Takes what there is within so many milliseconds; false once the first child has closed its end.
  mutating func take(within milliseconds: Int32, into book: inout SurvivalBook) -> Bool {
    var polls = children.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
    poll(&polls, nfds_t(polls.count), milliseconds)
    for place in children.indices where polls[place].revents != 0 {
      let text = children[place].available()
      if text.isEmpty, place == 0 { return false }
      var lines = (rest[place] + text).split(separator: "\n", omittingEmptySubsequences: false)
      // A line without an end is not said yet, or never will be.
      rest[place] = lines.popLast() ?? ""
      for line in lines { book.take(line) }
    }
    return true
  }
}

/// Kills a publishing node so many times; prints what came of it, and answers whether all is well.
func survive(rounds: Int, seed: UInt64) -> Bool {
  let (folder, witnessFolder) = (makeFolder(), makeFolder())
  defer { for path in [folder, witnessFolder] { removeFolder(path) } }
  var random = RandomStream(seed: seed)
  var book = SurvivalBook()
  let witness = Child(["witness", witnessFolder])
  let port = witness.line()
  var duringStart = 0
  for round in 1...rounds {
    let child = Child(["survive", folder, port, "\(book.next - 1)", "\(round)"])
    var lines = Lines([child, witness])
    let before = book.acknowledged.count
    // One in four in the midst of its start, the others up to a quarter of a second after its first acknowledgement.
    let isEarly = random.next(below: 4) == 0
    let pause = Int64(random.next(below: isEarly ? 100_000_000 : 250_000_000))
    let latest = monotonicNanoseconds() + 10_000_000_000
    while !isEarly, book.acknowledged.count == before, monotonicNanoseconds() < latest {
      guard lines.take(within: 20, into: &book) else { break }
    }
    let end = monotonicNanoseconds() + pause
    while monotonicNanoseconds() < end {
      let left = (end - monotonicNanoseconds()) / 1_000_000
      _ = lines.take(within: Int32(max(0, min(left, 20))), into: &book)
    }
    kill(child.pid, SIGKILL)
    while lines.take(within: 100, into: &book) {}
    child.join()
    if book.acknowledged.count == before { duringStart += 1 }
    if round % 20 == 0 || round == rounds {
      say("\(round) kills, \(book.acknowledged.count) rumors acknowledged, \(book.failures.count) failures")
    }
  }
  // Once more, so that the neighbour gets what it lacks.
  let child = Child(["linger", folder, port, "\(book.next - 1)"])
  var lines = Lines([child, witness])
  let end = monotonicNanoseconds() + 60_000_000_000
  while monotonicNanoseconds() < end, book.next <= book.last || Int64(book.heard.count) < book.next - 1 {
    _ = lines.take(within: 100, into: &book)
  }
  for child in [child, witness] { child.end() }
  for failure in book.failures.prefix(20) { say(failure) }
  say(
    "survival: \(rounds) kills, \(duringStart) of them before anything was acknowledged; \(book.acknowledged.count) "
      + "rumors acknowledged, \(book.next - 1) on disk, \(book.heard.count) heard by the neighbour; "
      + "\(book.failures.count) lost or used twice, \(book.unheard.count) never heard; seed \(seed)")
  return book.failures.isEmpty && book.unheard.isEmpty && book.next > book.last
}
