// NodeTests: the engine, driven by hand.
import Testing

@testable import StackCore

@Suite struct NodeTests {
  final class Echo: ProtocolLayer {
    struct Config: LayerConfig { @Setting("How often.") var interval = Duration.seconds(1) }
    enum Timer { case ask }
    struct Ping: WireMessage {
      var sent: Int64 = 0
      mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "sent", &sent) }
    }
    static let manifest = LayerManifest("echo", "Asks the neighbours to answer.")
    let interval: Duration
    let asked: Counter
    init(config: Config, setup: LayerSetup<Echo>) {
      interval = config.interval
      asked = setup.counter("asked", "How often it was asked.")
      setup.on(1000, Ping.self, Echo.asked)
    }
    func start(_ context: borrowing LayerContext<Echo>) { context.arm(.ask, after: interval) }
    func timerFired(_ timer: Timer, _ context: borrowing LayerContext<Echo>) {
      context.sendToNeighbours(Ping(sent: context.now.nanoseconds), as: 1000)
    }
    func asked(_ ping: Ping, by neighbour: Address, _ context: borrowing LayerContext<Echo>) {
      asked.add()
      context.send(Ping(sent: 5), as: 1000, to: neighbour)
    }
  }
}
