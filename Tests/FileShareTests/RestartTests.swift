// RestartTests: nodes with FileShare alone are killed and started again while a file is fetched, and nobody is told.
import StackCore
import StackSim
import Testing

@testable import FileShare

@Suite struct RestartTests {
  /// A link over which the file takes some seconds.
  private var slow: LinkSettings {
    var link = LinkSettings()
    link.bandwidth = ByteCount(bytes: 1_000_000)
    return link
  }

  enum Victim: CaseIterable { case taker, giver, both }

  /// As long as nothing is on its way between them any more: then nobody speaks first, for no other layer does.
  @Test(arguments: Victim.allCases, [1, 20, 90])
  func itGoesOnAfterAKill(of victim: Victim, downFor seconds: Int64) throws {
    for way in ["link", "from", "root"] {
      let swarm = try Swarm(size: 3_000_000, link: slow, seed: UInt64(seconds))
      var input: JSONObject = ["file": .string(swarm.link), "to": "/fetched"]
      if way == "root" { input["file"] = .string(String(swarm.link.drop { $0 != "=" }.dropFirst().prefix(64))) }
      if way != "link" { input["from"] = .string("\(swarm.sim.address(of: 0))") }
      swarm.sim.begin(1, "fileshare", "download", .object(input)) { _ in }
      swarm.sim.run(for: .milliseconds(1_500))
      #expect(swarm.metric(1, "fetchedBytes") > 100_000, "\(way)")
      let victims = victim == .both ? [0, 1] : [victim == .giver ? 0 : 1]
      // Stopped in good order a node says and keeps no more than one that is killed.
      for node in victims { swarm.sim.leave(node) }
      swarm.sim.run(for: .seconds(seconds))
      for node in victims.reversed() { try swarm.sim.restart(node) }
      // A giver that is missed is asked every two seconds; then the rest takes two.
      let isWhole = swarm.sim.run(within: .seconds(victim == .giver ? 5 : 9)) { _ in
        swarm.sim.disk(of: 1).contents("/fetched") != nil
      }
      #expect(isWhole, "\(way): \(swarm.progress(1) ?? .null)")
      #expect(swarm.sim.disk(of: 1).contents("/fetched") == swarm.content, "\(way)")
    }
  }

  /// Two who have each a part, and wait for the third, are holders to each other.
  @Test func aGiverIsMissedByTwo() throws {
    let swarm = try Swarm(nodes: 3, size: 3_000_000, link: slow, seed: 16)
    for node in [1, 2] {
      swarm.sim.begin(node, "fileshare", "download", ["file": .string(swarm.link), "to": "/fetched"]) { _ in }
    }
    swarm.sim.run(for: .milliseconds(1_500))
    swarm.sim.leave(0)
    swarm.sim.run(for: .seconds(40))
    #expect(swarm.metric(1, "fetchedBytes") > 100_000 && swarm.metric(2, "fetchedBytes") > 100_000)
    try swarm.sim.restart(0)
    let areWhole = swarm.sim.run(within: .seconds(7)) { sim in
      [1, 2].allSatisfy { sim.disk(of: $0).contents("/fetched") == swarm.content }
    }
    #expect(areWhole, "\(swarm.progress(1) ?? .null) \(swarm.progress(2) ?? .null)")
  }

  /// Whoever was started again knows none of its neighbours any more, who know it well and have nothing to say.
  @Test func aNodeThatWasStartedAgainFindsHolders() throws {
    let swarm = try Swarm(size: 300_000, seed: 13)
    #expect(swarm.fetch(1) != nil)
    swarm.sim.leave(1)
    swarm.sim.run(for: .seconds(20))
    try swarm.sim.restart(1, storage: .lose)
    #expect(try #require(swarm.fetch(1, within: .seconds(60))) < .seconds(8))
    #expect(swarm.fetched(1) == swarm.content)
  }

  /// A holder that nobody named and that came to the download after it had been begun is known after a restart too.
  @Test func aHolderThatTurnedUpLaterIsRemembered() throws {
    let swarm = try Swarm(nodes: 1, size: 3_000_000, link: slow, seed: 14)
    #expect(try swarm.sim.join(peers: []) == 1)
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link)]) { _ in }
    swarm.sim.run(for: .seconds(5))
    #expect(swarm.metric(1, "fetchedBytes") == 0)
    let other = JSON.string(String(repeating: "ab", count: 32))
    let taker = JSON.string("\(swarm.sim.address(of: 1))")
    swarm.sim.begin(0, "fileshare", "download", ["file": other, "from": taker]) { _ in }
    swarm.sim.run(for: .milliseconds(1_500))
    #expect(swarm.metric(1, "fetchedBytes") > 100_000)
    _ = swarm.finished(swarm.sim.call(0, "fileshare", "cancel", ["root": other]))
    swarm.sim.leave(1)
    swarm.sim.run(for: .seconds(20))
    try swarm.sim.restart(1)
    #expect(swarm.sim.run(within: .seconds(9)) { _ in swarm.fetched(1) != nil }, "\(swarm.progress(1) ?? .null)")
    #expect(swarm.fetched(1) == swarm.content)
  }

  /// Whoever has the file and comes back at another address is known to nobody there; those it names hear of it, also
  /// where they start a little later.
  @Test(arguments: [false, true]) func aHolderThatNamesTheTakerShowsItself(takerIsLate: Bool) throws {
    let swarm = try Swarm(nodes: 1, size: 300_000, section: ["rescan": "2s"], seed: 15)
    #expect(try swarm.sim.join(peers: []) == 1)
    swarm.sim.begin(1, "fileshare", "download", ["file": .string(swarm.link)]) { _ in }
    swarm.sim.run(for: .seconds(5))
    if takerIsLate { swarm.sim.leave(1) }
    #expect(try swarm.sim.join(peers: [1]) == 2)
    try swarm.share(2)
    swarm.sim.run(for: .seconds(5))
    if takerIsLate { try swarm.sim.restart(1) }
    #expect(swarm.sim.run(within: .seconds(takerIsLate ? 5 : 1)) { _ in swarm.fetched(1) != nil })
    #expect(swarm.fetched(1) == swarm.content)
  }
}
