// Echo: asks every neighbour to answer, again and again, and counts the answers.
import StackCore

public final class Echo: ProtocolLayer {
  public struct Config: LayerConfig {
    @Setting("How often the neighbours are asked.", in: .milliseconds(1) ... .seconds(3600))
    var interval = Duration.seconds(1)
    public init() {}
  }
  public enum Timer { case ask }
  struct Ping: WireMessage {
    var sent: Int64 = 0
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "sent", &sent) }
  }
  struct Pong: WireMessage {
    var sent: Int64 = 0
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "sent", &sent) }
  }
  public static let manifest = LayerManifest("echo", "Asks the neighbours to answer.")
  let interval: Duration
  let answers: Histogram
  public init(config: Config, setup: LayerSetup<Echo>) {
    interval = config.interval
    answers = setup.histogram("roundTrip", "Seconds until a neighbour answered.")
    setup.on(1000, Ping.self, Echo.asked)
    setup.on(1001, Pong.self, Echo.answered)
  }
  public func start(_ context: borrowing LayerContext<Echo>) { context.arm(.ask, after: interval) }
  public func timerFired(_ timer: Timer, _ context: borrowing LayerContext<Echo>) {
    context.sendToNeighbours(Ping(sent: context.now.nanoseconds), as: 1000)
    context.arm(.ask, after: interval)
  }
  func asked(_ ping: Ping, by neighbour: Address, _ context: borrowing LayerContext<Echo>) {
    context.send(Pong(sent: ping.sent), as: 1001, to: neighbour)
  }
  func answered(_ pong: Pong, by neighbour: Address, _ context: borrowing LayerContext<Echo>) {
    answers.record(context.now - Instant(nanoseconds: pong.sent))
  }
}
