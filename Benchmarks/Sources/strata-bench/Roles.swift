// Roles: what the benchmark program does when it is started as one end of a measurement.
import CAllocations
import Glibc
import StackCore
import StackRuntime
import StackSim

let pieceSize = 1200

/// Whether runs of datagrams leave and come in one piece; `PLAIN=1` has every datagram go by itself.
let usesSegments = getenv("PLAIN") == nil

/// How many small messages are kept under way.
let echoWindow = getenv("WINDOW").flatMap { Int(String(cString: $0)) } ?? 512

/// A node on loopback with one layer, in a data directory of its own.
func makeNode(
  _ layer: any ProtocolLayer.Type, _ section: JSON, peer: UInt16? = nil, pathLimit: Int? = nil, control: Bool = false
) throws -> RealNode {
  var options = RealNodeOptions(
    name: "bench", listen: Address(ipv4: 0x7f00_0001, port: 0),
    dataDirectory: makeFolder())
  options.layers = [(layer, section)]
  options.limits.pathLimit = pathLimit
  options.logLevel = .error
  options.socket.offload = usesSegments
  if control { options.control = Address(ipv4: 0x7f00_0001, port: 0) }
  if let peer { options.peers = ["127.0.0.1:\(peer)"] }
  return try RealNode(options, log: LogSink())
}

/// Runs a node, prints its port and serves until it is killed.
func serve(_ node: RealNode) -> Never {
  node.start()
  say("\(node.address.port)")
  while true { node.step() }
}

/// Runs a node for so many seconds after a warm-up, and prints the rate of its layer's count.
func measure(_ node: RealNode, seconds: Double) {
  node.start()
  func count() -> Double {
    var result = 0.0
    var done = false
    node.call(layerName(node), "count", .object([:])) { reply in
      if case .finished(let value) = reply { result = value.doubleValue ?? 0 }
      done = true
    }
    while !done { node.step() }
    return result
  }
  func run(_ duration: Duration) {
    let end = node.loop.now + duration
    let timer = node.loop.timer {}
    timer.set(after: duration)
    while node.loop.now < end { node.step() }
  }
  run(.milliseconds(300))
  let before = count()
  let start = node.loop.now
  run(.nanoseconds(Int64(seconds * 1e9)))
  let rate = (count() - before) / (node.loop.now - start).inSeconds
  say("\(rate)")
}

private func layerName(_ node: RealNode) -> String { node.node.layers.first?.name ?? "" }

func play(_ role: [String]) throws {
  callocations_end_with_parent()
  let port = role.count > 1 ? UInt16(role[1]) ?? 0 : 0
  let seconds = role.count > 2 ? Double(role[2]) ?? 1 : 1
  let server = Address(ipv4: 0x7f00_0001, port: port)
  let clock = try EventLoop()
  switch role[0] {
  case "echo-bare":
    let end = try BareEnd(port: 0)
    say("\(end.socket.localAddress.port)")
    end.echo()
  case "ask-bare":
    let end = try BareEnd(port: 0)
    end.ask(server, window: echoWindow, size: 100, until: clock.now + .milliseconds(300)) { clock.now }
    end.count = 0
    let start = clock.now
    end.ask(server, window: 0, size: 100, until: start + .nanoseconds(Int64(seconds * 1e9))) { clock.now }
    say("\(Double(end.count) / (clock.now - start).inSeconds)")
  case "echo-stack": serve(try makeNode(EchoLayer.self, [:]))
  case "ask-stack": measure(try makeNode(EchoLayer.self, ["window": JSON(echoWindow)], peer: port), seconds: seconds)
  case "sink-bare":
    let end = try BareEnd(port: 0)
    say("\(end.socket.localAddress.port)")
    end.sink(piecesPerMessage: (BulkLayer.size + pieceSize - 1) / pieceSize)
  case "push-bare":
    let end = try BareEnd(port: 0)
    let message = [UInt8](repeating: 7, count: BulkLayer.size)
    func push(_ duration: Duration) {
      end.push(
        server, window: 128, message: message, segmentSize: pieceSize, until: clock.now + duration
      ) { clock.now }
    }
    push(.milliseconds(300))
    let (before, start) = (end.count, clock.now)
    push(.nanoseconds(Int64(seconds * 1e9)))
    say("\(Double(end.count - before) / (clock.now - start).inSeconds * Double(BulkLayer.size))")
  case "share-many": try shareMany(isWatched: role.count > 1 && role[1] == "watched")
  case "resume-serve": try playResumeServe(role)
  case "resume-fetch": try playResumeFetch(role)
  case "sink-stack": try measureSink(seconds: seconds)
  case "push-stack":
    let node = try makeNode(BulkLayer.self, ["window": 128], peer: port, pathLimit: pieceSize)
    node.start()
    while true { node.step() }
  case "idle":
    let node = try makeNode(EchoLayer.self, [:], control: true)
    serve(node)
  case "transfer-serve": try playTransferServe(role[1], limit: role.count > 2 ? Int(role[2]) ?? 0 : 0)
  case "transfer-fetch": try playTransferFetch(role[1].split(separator: ",").map(String.init), role[2])
  case "copy-send": try playCopySend(role[1], segment: Int(role[2]) ?? pieceSize)
  case "copy-receive": try playCopyReceive(port)
  case "idle-sim": playIdleSimulation()
  case "pump": playPump()
  case "publish-rumors": try playPublisher(role)
  case "take-rumors": try playTaker(role)
  case "crowd": try playCrowd(role)
  case "fill-log": try playFillLog(role)
  case "start-log": try playStartLog(role)
  case "witness": try playWitness(role)
  case "survive": try playSurvivor(role)
  case "linger": try playLingerer(role)
  default: fatalError("unknown role \(role[0])")
  }
}

/// The receiving end of the bulk measurement: prints its port, then the rate.
func measureSink(seconds: Double) throws {
  let node = try makeNode(BulkLayer.self, [:], pathLimit: pieceSize)
  node.start()
  say("\(node.address.port)")
  // The warm-up begins with the first message.
  while node.node.traffic.datagramsIn == 0 { node.step() }
  let rateOfMessages = node
  measureRunning(rateOfMessages, seconds: seconds)
}

private func measureRunning(_ node: RealNode, seconds: Double) {
  func count() -> Double {
    var messages = 0.0
    node.node.forEachMessageCount { _, name, messagesIn, _, _, _, _ in
      if name == "Blob" { messages = Double(messagesIn) }
    }
    return messages
  }
  func run(_ duration: Duration) {
    let end = node.loop.now + duration
    while node.loop.now < end { node.step() }
  }
  run(.milliseconds(300))
  let before = count()
  let start = node.loop.now
  run(.nanoseconds(Int64(seconds * 1e9)))
  say("\((count() - before) / (node.loop.now - start).inSeconds * Double(BulkLayer.size))")
}
