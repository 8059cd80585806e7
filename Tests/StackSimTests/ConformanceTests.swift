// ConformanceTests: good layers keep their promises, and each way of breaking one is found.
import LayerConformance
import StackCore
import StackSim
import Synchronization
import Testing

@Suite struct ConformanceTests {
  private func options(_ edit: (inout ConformanceOptions) -> Void = { _ in }) -> ConformanceOptions {
    var options = ConformanceOptions()
    options.rounds = 15
    options.floodMessages = 3_000
    options.floodSenders = 500
    options.print = { _ in }
    edit(&options)
    return options
  }

  @Test func goodLayersPass() throws {
    let report = try LayerConformance.check(Gossip.self, config: ["again": "100ms"], options: options())
    #expect(report.checks.count == 9 && report.passed)
    try LayerConformance.check(Keeper.self, options: options())
  }

  /// Keeps few promises.
  final class Sloppy: ProtocolLayer {
    struct Config: LayerConfig {
      @Setting("How many.", in: 5...9) var count = 3
      @Setting("") var undescribed = 1
      init() {}
    }
    enum Timer: Hashable { case one(UInt64) }
    struct Lossy: WireMessage {
      var id: UInt64 = 0
      mutating func fields(_ field: inout some WireFields) throws(WireError) {
        try field(1, "id", &id)
        id &+= 1
      }
    }
    static let manifest = LayerManifest("sloppy", "")
    static let heard = Mutex(0)
    init(config: Config, setup: LayerSetup<Sloppy>) {
      setup.on(1002, Lossy.self, Sloppy.heard)
      _ = setup.counter("things", "")
      setup.command("never", "Never answers right.") { _ in
        { (_: NoInput, context: borrowing LayerContext<Sloppy>) throws -> Int in throw CommandError(.failed, "") }
      }
    }
    func heard(_ message: Lossy, _ sender: Address, _ context: borrowing LayerContext<Sloppy>) {
      // Shared by all nodes and all runs, which no layer may do.
      let count = Self.heard.withLock { count in
        count += 1
        return count
      }
      context.arm(.one(UInt64(count)), after: .seconds(100_000))
      if count % 3 == 0 { context.send(message, as: 1002, to: sender) }
    }
  }

  @Test func brokenPromisesAreListed() throws {
    let error = #expect(throws: ConformanceError.self) {
      try LayerConformance.check(Sloppy.self, config: ["count": 5], options: options { $0.mostTimers = 500 })
    }
    let text = try #require(error).description
    #expect(text.contains("its manifest has no line of description"))
    #expect(text.contains("the defaults.count: found 3"))
    #expect(text.contains("the setting undescribed has no description"))
    #expect(text.contains("the metric things has no description"))
    #expect(text.contains("an error without a message"))
    #expect(text.contains("timers armed: "))
    #expect(text.contains("differ"))
  }
}
