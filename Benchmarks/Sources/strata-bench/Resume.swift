// Resume: a downloading node is killed at random points: the file comes out the same, and little is fetched twice.
import FileShare
import Glibc
import Hashing
import StackCore
import StackRuntime

/// How large the file is that is fetched again and again, and what its holder may send a second.
private let resumeBytes = Int64(getenv("RESUME_MIB").flatMap { Int(String(cString: $0)) } ?? 64) << 20
private let resumeRate = Int64(getenv("RESUME_MBPS").flatMap { Int(String(cString: $0)) } ?? 24) * 1_000_000

/// What a node tells of its life: in a file that is mapped into memory, so that it is there when the node was killed.
private final class Ledger {
  /// Bytes that have come and were asked for; bytes that came twice or were wrong.
  var fetched: UInt64 { numbers[0] }
  var wasted: UInt64 { numbers[1] }
  /// What the node found when it had looked through what is there, plus one; nothing before.
  var found: Int64? { numbers[2] == 0 ? nil : Int64(numbers[2]) - 1 }
  /// The bytes of the file that are there and right.
  var held: UInt64 { numbers[3] }
  private let numbers: UnsafeMutablePointer<UInt64>
  private static let length = 64

  init(_ path: String, isNew: Bool = false) {
    let file = open(path, O_RDWR | O_CREAT | (isNew ? O_TRUNC : 0), 0o600)
    guard file >= 0, ftruncate(file, off_t(Self.length)) == 0,
      let map = mmap(nil, Self.length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), map != MAP_FAILED
    else { fatalError("no ledger at \(path)") }
    close(file)
    numbers = map.assumingMemoryBound(to: UInt64.self)
  }

  deinit { munmap(numbers, Self.length) }

  func note(fetched: UInt64, wasted: UInt64) { (numbers[0], numbers[1]) = (fetched, wasted) }
  func note(found: Int64) { numbers[2] = UInt64(found) + 1 }
  func note(held: Int64) { numbers[3] = UInt64(held) }
}

/// A node with FileShare in a folder that outlives it.
private func lastingNode(_ folder: String) throws -> RealNode {
  var options = RealNodeOptions(name: "taker", listen: Address(ipv4: 0x7f00_0001, port: 0), dataDirectory: folder)
  options.layers = [(FileShare.self, [:])]
  options.logLevel = .error
  return try RealNode(options, log: LogSink())
}

extension RealNode {
  /// A counter of FileShare's.
  fileprivate func counter(_ name: String) -> Counter {
    for metric in node.metricDescriptions where metric.layer == "fileshare" && metric.name == name {
      if case .counter(let counter) = metric.source { return counter }
    }
    fatalError("FileShare has no counter \(name)")
  }
}

/// `resume-fetch FOLDER PORT LINK TARGET LEDGER`: goes on with what is under way, or begins; ends with the download.
func playResumeFetch(_ role: [String]) throws {
  let ledger = Ledger(role[5])
  let node = try lastingNode(role[1])
  var isOver = false
  var isFetching = false
  _ = node.observe { event in
    guard event.name == "download" else { return }
    let json = event.json()
    switch json["state"]?.stringValue {
    case "fetching": isFetching = true
    case "finished": isOver = true
    case "failed":
      say("the download has failed: \(json["note"]?.stringValue ?? "")")
      exit(1)
    default: break
    }
  }
  node.start()
  if node.ask("fileshare", "downloads")["downloads"]?.arrayValue?.isEmpty ?? true {
    let input: JSON = ["file": .string(role[3]), "from": .string("127.0.0.1:\(role[2])"), "to": .string(role[4])]
    node.call("fileshare", "download", input) { if case .failed(let error) = $0 { say("\(error)") } }
  }
  let (fetched, wasted) = (node.counter("fetchedBytes"), node.counter("wastedBytes"))
  var heldAt: Instant?
  while !isOver {
    node.step()
    ledger.note(fetched: fetched.value, wasted: wasted.value)
    // Looking is not free.
    guard isFetching, heldAt.map({ node.loop.now - $0 >= .milliseconds(20) }) ?? true else { continue }
    heldAt = node.loop.now
    noteHeld(node, ledger)
  }
  ledger.note(fetched: fetched.value, wasted: wasted.value)
  node.stop()
  while node.state != .stopped { node.step() }
}

/// Notes how many bytes of its download a node says are there.
private func noteHeld(_ node: RealNode, _ ledger: Ledger) {
  node.call("fileshare", "downloads", [:]) { reply in
    guard case .finished(let json) = reply, let first = json["downloads"]?.arrayValue?.first,
      let bytes = first["bytes"]?.integerValue
    else { return }
    if ledger.found == nil { ledger.note(found: bytes) }
    ledger.note(held: bytes)
  }
}

/// One download, killed so many times: what came of it.
private struct ResumedDownload {
  /// All bytes that came in all lives, twice or not, and what the giver has sent, to whomever.
  var fetched: UInt64 = 0
  var sent: UInt64 = 0
  /// Kills before anything was fetched in that life.
  var early = 0
  var failures: [String] = []
}

/// A giver, and the number of bytes that it has sent.
private final class Giver {
  let child: Child
  let port: String
  let link: String
  private let ledger: Ledger
  var sent: UInt64 { ledger.fetched }

  init(_ path: String, _ folder: String) {
    let ledgerPath = folder + "/giver"
    ledger = Ledger(ledgerPath, isNew: true)
    child = Child(["resume-serve", path, "\(resumeRate)", ledgerPath])
    let words = child.line().split(separator: " ").map(String.init)
    guard words.count == 2 else { fatalError("the giver doesn't start") }
    (port, link) = (words[0], words[1])
  }
}

/// `resume-serve FILE RATE LEDGER`: shares a file.
func playResumeServe(_ role: [String]) throws -> Never {
  let ledger = Ledger(role[3])
  let node = try makeNode(FileShare.self, ["uploadLimit": JSON(Int(role[2]) ?? 0)])
  node.start()
  let shared = node.ask("fileshare", "share", ["paths": [.string(role[1])]])
  say("\(node.address.port) \(shared["shared"]?.arrayValue?.first?["link"]?.stringValue ?? "none")")
  let sent = node.counter("sentBytes")
  while true {
    node.step()
    ledger.note(fetched: sent.value, wasted: 0)
  }
}

/// Fetches the file, and kills the node at these points: each a part of the file that is fetched by then, or a time
/// after its start.
private func fetchKilled(
  _ giver: Giver, _ folder: String, kills: Int, _ random: inout RandomStream
) -> ResumedDownload {
  var result = ResumedDownload()
  let (data, target, ledgerPath) = (folder + "/data", folder + "/fetched", folder + "/ledger")
  let sentBefore = giver.sent
  var held: UInt64 = 0
  for kill in 0...kills {
    let ledger = Ledger(ledgerPath, isNew: true)
    let child = Child(["resume-fetch", data, giver.port, giver.link, target, ledgerPath])
    var isGone = false
    if kill < kills {
      // One in five in the midst of its start, the others once so much more has come: on the average, the kills are
      // spread over the whole file.
      let isEarly = random.next(below: 5) == 0
      let left = Double(resumeBytes) - Double(held)
      let share = 0.97 * random.nextUnit() * (kills == 1 ? 1 : 2 / Double(kills - kill + 1))
      let wanted = isEarly ? 0 : UInt64(max(0, left * share))
      let end = monotonicNanoseconds() + (isEarly ? Int64(random.next(below: 100_000_000)) : 120_000_000_000)
      while monotonicNanoseconds() < end, isEarly || ledger.fetched < max(1, wanted) {
        if waitpid(child.pid, nil, WNOHANG) != 0 {
          isGone = true
          break
        }
        usleep(200)
      }
      if !isEarly, ledger.fetched < max(1, wanted) { result.failures.append("kill \(kill): it brings too little") }
      if !isGone { Glibc.kill(child.pid, SIGKILL) }
    }
    let said = child.available()
    if !said.isEmpty { result.failures.append("kill \(kill): \(said)") }
    child.join()
    if getenv("RESUME_TRACE") != nil {
      say(
        "  life \(kill): found \(ledger.found ?? -1), fetched \(ledger.fetched), held \(ledger.held), sent "
          + "\(giver.sent - sentBefore)")
    }
    if ledger.fetched == 0 { result.early += 1 }
    result.fetched += ledger.fetched + ledger.wasted
    // What was told as there before the kill is there after it.
    if let found = ledger.found, UInt64(found) < held {
      result.failures.append("kill \(kill): \(held) bytes were there, and \(found) are")
    }
    held = max(held, ledger.held)
  }
  result.sent = giver.sent - sentBefore
  if access(target, R_OK) != 0 {
    result.failures.append("there is no file")
  } else if fileHash(target) != fileHash(folder + "/random") {
    result.failures.append("the file is another one")
  }
  unlink(target)
  removeFolder(data)
  return result
}

/// The SHA-256 of a file as a whole.
private func fileHash(_ path: String) -> Hash256? {
  guard let file = fopen(path, "r") else { return nil }
  defer { fclose(file) }
  var bytes = [UInt8](repeating: 0, count: Int(resumeBytes) + 1)
  bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
  return SHA256.hash(bytes)
}

/// Kills downloads, each `kills` times, `rounds` of them; answers the figures, and whether all is well.
func resumeFigures(rounds: Int, seed: UInt64) -> (figures: [Figure], isWell: Bool) {
  let folder = makeFolder()
  defer { removeFolder(folder) }
  let source = randomFile(bytes: resumeBytes)
  guard rename(source, folder + "/random") == 0 else { fatalError("the file can't be moved to \(folder)") }
  let giver = Giver(folder + "/random", folder)
  defer { giver.child.end() }
  var random = RandomStream(seed: seed)
  var failures: [String] = []
  // What a download takes that nobody disturbs: the file, and the hashes above it.
  let whole = fetchKilled(giver, folder, kills: 0, &random)
  failures += whole.failures
  let base = Double(whole.fetched)
  func again(_ bytes: UInt64) -> Double { (Double(bytes) - base) / Double(resumeBytes) }
  var worst = (fetched: 0.0, sent: 0.0, all: 0.0)
  var early = 0
  for round in 1...max(1, rounds) {
    let one = fetchKilled(giver, folder, kills: 1, &random)
    failures += one.failures.map { "download \(round): \($0)" }
    early += one.early
    worst.fetched = max(worst.fetched, again(one.fetched))
    worst.sent = max(worst.sent, again(one.sent))
    worst.all = max(worst.all, Double(one.fetched) / Double(resumeBytes))
  }
  let many = fetchKilled(giver, folder, kills: rounds, &random)
  failures += many.failures.map { "the one killed \(rounds) times: \($0)" }
  for failure in failures.prefix(20) { say("  \(failure)") }
  func percent(_ share: Double) -> String { "\(round3(100 * share)) %" }
  say(
    "resume: \(resumeBytes >> 20) MiB at \(resumeRate / 1_000_000) MB/s; \(rounds) downloads killed once "
      + "(\(early) before anything had come): fetched twice at most \(percent(worst.fetched)), in all "
      + "\(percent(worst.all)) of the file (undisturbed \(percent(base / Double(resumeBytes)))), "
      + "sent by the giver \(percent(worst.sent)) more; one killed \(rounds) times: "
      + "\(percent(again(many.fetched))), sent \(percent(again(many.sent))) more; "
      + "\(failures.count) failures; seed \(seed)")
  let figures = [
    Figure(
      name: "fileshare.resume.refetched.ratio", value: max(0, worst.fetched),
      unit: "of the file fetched twice, the worst of \(rounds) downloads", baseline: 0.01,
      ratio: max(0, worst.fetched) / 0.01),
    Figure(
      name: "fileshare.resume.total.ratio", value: worst.all, unit: "of the file fetched in all, with its hashes"),
    Figure(
      name: "fileshare.resume.\(rounds)kills.refetched.ratio", value: max(0, again(many.fetched)),
      unit: "of the file fetched twice, one killed \(rounds) times"),
  ]
  return (figures, failures.isEmpty && worst.fetched <= 0.01 && worst.all <= 1.01)
}
