// TransferSim: downloads where the path or the holders set the pace: a link that loses much, holders with a limit.
import FileShare
import Glibc
import StackCore
import StackSim

/// The part of a link of 100 Mbit/s and 40 ms round trip, of which a twentieth is lost each way, that one whole
/// download of so many bytes gets, from the command to the file's name.
func lossyShare(bytes: Int, seed: UInt64) -> Double {
  let json: JSON = [
    "name": "lossy", "nodes": 2, "topology": ["kind": "full"], "node": ["layers": ["fileshare": [:]]],
    "link": ["latency": "20ms", "loss": 0.05, "bandwidth": 12_500_000], "stop": ["after": "1h"],
  ]
  guard let scenario = try? Scenario.load(json, catalog: [FileShare.self]),
    let world = try? Simulation(scenario, catalog: [FileShare.self], seed: seed)
  else { fatalError("no simulation") }
  world.run(for: .milliseconds(500))
  var random = RandomStream(seed: seed, name: "content")
  var content: [UInt8] = []
  content.reserveCapacity(bytes + 8)
  while content.count < bytes { withUnsafeBytes(of: random.next()) { content.append(contentsOf: $0) } }
  guard (try? world.disk(of: 0).place("/s/file", content)) != nil,
    case .finished(let shared)? = world.call(
      0, "fileshare", "share", ["paths": ["/s/file"]], within: .seconds(60)
    ).last, let link = shared["shared"]?.arrayValue?.first?["link"]
  else { fatalError("it could not be shared") }
  let start = world.now
  guard
    case .finished? = world.call(1, "fileshare", "download", ["file": link], within: .seconds(600)).last
  else { return 0 }
  return Double(bytes) / (world.now - start).inSeconds / 12_500_000
}

func lossyFigures(runs: Int) -> [Figure] {
  [25, 100].map { megabytes in
    let shares = (1...max(1, runs)).map { lossyShare(bytes: megabytes * 1_000_000, seed: UInt64($0)) }
    say("  \(megabytes) MB: \(shares.map { round3($0) }.joined(separator: " "))")
    return Figure(
      name: megabytes == 25 ? "fileshare.lossy.linkShare" : "fileshare.lossy.\(megabytes)MB.linkShare",
      value: median(shares), unit: "of the link, \(megabytes) MB, 5 % lost, 40 ms")
  }
}

/// What each holder may send in a second.
private let holderRate = 20_000_000

/// A file from so many processes, each of which may send so much a second: its part of the sum.
func holderFigures(runs: Int) -> [Figure] {
  let path = randomFile(bytes: 256 << 20)
  defer { unlink(path) }
  return [1, 2, 4].map { count in
    let rates = (0..<max(1, min(runs, 3))).map { _ in
      let holders = (0..<count).map { _ in Child(["transfer-serve", path, "\(holderRate)"]) }
      let lines = holders.map { $0.line().split(separator: " ").map(String.init) }
      let ports = lines.compactMap(\.first).joined(separator: ",")
      let receiver = Child(["transfer-fetch", ports, lines.first?.last ?? ""])
      var seconds = 0.0
      while seconds == 0 {
        let words = receiver.line().split(separator: " ")
        guard let word = words.first else { break }
        if word == "written" { seconds = words.last.flatMap { Double($0) } ?? 0 }
      }
      receiver.end()
      for holder in holders { holder.end() }
      return Double(256 << 20) / 1e6 / max(seconds, 1e-9)
    }
    let sum = Double(count * holderRate) / 1e6
    return Figure(
      name: "fileshare.holders.\(count).ratio", value: median(rates), unit: "MB/s, of 20 a holder", baseline: sum,
      ratio: median(rates) / sum)
  }
}
