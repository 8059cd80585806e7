// Echo: asks every neighbour to answer, and times the answers.
import StackCore

final class Echo: ProtocolLayer {
  struct Config: LayerConfig { @Setting("Time between asks.", in: .milliseconds(1)...) var pause = Duration.seconds(1) }
  enum Timer { case ask }
  struct Ping: WireMessage {
    var sent = Instant()
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "sent", &sent) }
  }
  struct Pong: WireMessage {
    var sent = Instant()
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "sent", &sent) }
  }
  static let manifest = LayerManifest("echo", "Asks the neighbours to answer, and times the answers.")
  init(config: Config, setup: LayerSetup<Echo>) {
    let roundTrip = setup.histogram("roundTrip", "Seconds until a neighbour answered.")
    setup.every(config.pause, .ask)
    setup.on(1000, Ping.self) { _, ping, peer, context in context.send(Pong(sent: ping.sent), as: 1001, to: peer) }
    setup.on(1001, Pong.self) { _, pong, peer, context in roundTrip.record(context.now - pong.sent) }
  }
  func timerFired(_ timer: Timer, _ context: borrowing LayerContext<Echo>) {
    context.sendToNeighbours(Ping(sent: context.now), as: 1000)
  }
}
