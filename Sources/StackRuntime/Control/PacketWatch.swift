// PacketWatch: shows packets as they come and go, to whoever watches: some in full, all as counts, nobody: nothing.
import StackCore

/// The packets of a node as a stream of server-sent events.
///
/// While nobody watches, a packet costs one look at an optional. While somebody does, all packets are counted by the
/// type of their first message, and of each quarter of a second the first few are shown with their fields.
final class PacketWatch {
  /// The most clients that may watch packets at once.
  static let limit = 8
  /// How often clients are told.
  static let pause = Duration.milliseconds(250)
  /// How many packets are shown in full between two tellings, and how many of one type.
  static let shown = 16
  static let shownOfType = 6
  /// A packet with more bytes is shown without its fields.
  static let decodedBytes = 4096
  /// How often the messages' descriptions are asked for anew, since layers come and go.
  private static let schemaAge = Duration.seconds(5)

  private struct Count {
    var number: UInt32
    var isIncoming: Bool
    var packets: UInt64 = 0
    var bytes: UInt64 = 0
    var shown = 0
  }

  private let loop: EventLoop
  private var clients: [HTTPRequest] = []
  private var timer: LoopTimer?
  private var counts: [Count] = []
  private var packets: [JSON] = []
  private var nextID: UInt64 = 1
  private var fields: [PacketField] = []
  private var schema = WireSchema.packet([])
  private var schemaTime: Instant?
  /// The descriptions of all registered messages.
  var messages: () -> [MessageDescription] = { [] }

  init(loop: EventLoop) { self.loop = loop }

  /// Whether anybody watches.
  var isWatched: Bool { !clients.isEmpty }
  /// How many do.
  var count: Int { clients.count }

  /// Adds a client.
  func add(_ request: HTTPRequest) {
    request.startEvents()
    request.write(": watching\n\n")
    clients.append(request)
    arm()
  }

  /// Forgets a client.
  func forget(_ request: HTTPRequest) {
    clients.removeAll { $0 === request }
    guard clients.isEmpty else { return }
    timer?.cancel()
    (counts, packets, fields, schemaTime) = ([], [], [], nil)
  }

  private func arm() {
    let timer = timer ?? loop.timer { [unowned self] in self.tell() }
    self.timer = timer
    if timer.deadline == nil { timer.set(after: Self.pause) }
  }

  /// Notes a packet that came in or went out; `copies` of one size and type where a message went in pieces.
  func note(_ packet: RawSpan, peer: Address, isIncoming: Bool, copies: Int = 1, wireBytes: Int? = nil) {
    let number = Self.firstField(packet)
    let place =
      counts.firstIndex { $0.number == number && $0.isIncoming == isIncoming } ?? append(number, isIncoming)
    counts[place].packets += UInt64(copies)
    counts[place].bytes += UInt64(wireBytes ?? packet.byteCount)
    guard packets.count < Self.shown, counts[place].shown < Self.shownOfType else { return }
    counts[place].shown += 1
    packets.append(describe(packet, peer: peer, isIncoming: isIncoming, copies: copies, number: number))
  }

  /// A place for a type's numbers. What no layer knows shares one, so that no peer makes the table grow.
  private func append(_ number: UInt32, _ isIncoming: Bool) -> Int {
    refreshSchema()
    let known = fields.contains { $0.number == number } ? number : 0
    if known == 0, let place = counts.firstIndex(where: { $0.number == 0 && $0.isIncoming == isIncoming }) {
      return place
    }
    counts.append(Count(number: known, isIncoming: isIncoming))
    return counts.count - 1
  }

  /// The number of a packet's first field; 0 where there is none that can be read.
  private static func firstField(_ packet: RawSpan) -> UInt32 {
    var reader = WireReader(packet)
    guard let tag = try? reader.nextTag() else { return 0 }
    return tag.number
  }

  private func refreshSchema() {
    if let schemaTime, loop.now - schemaTime < Self.schemaAge { return }
    schemaTime = loop.now
    fields = PacketField.of(messages())
    schema = WireSchema.packet(fields)
  }

  private func describe(_ packet: RawSpan, peer: Address, isIncoming: Bool, copies: Int, number: UInt32) -> JSON {
    refreshSchema()
    let field = fields.first { $0.number == number }
    var object: JSONObject = [
      "id": JSON(nextID), "time": .string(timeText(loop.now)), "in": .bool(isIncoming),
      "peer": .string(peer.description), "bytes": JSON(packet.byteCount), "number": JSON(UInt64(number)),
      "type": .string(field?.schema.name ?? "unknown"), "layer": .string(field?.layer ?? ""),
    ]
    nextID += 1
    if copies > 1 { object["copies"] = JSON(copies) }
    if packet.byteCount <= Self.decodedBytes {
      let bytes = packet.withUnsafeBytes { [UInt8]($0) }
      do throws(WireDecodeError) { object["fields"] = try WireDecoder.json(bytes, as: schema) } catch {
        object["fault"] = .string(error.description)
      }
    }
    return .object(object)
  }

  /// Tells what has passed since the last time; nothing when nothing has.
  private func tell() {
    guard isWatched else { return }
    defer { arm() }
    guard !counts.isEmpty else { return beat() }
    let told: [JSON] = counts.filter { $0.packets > 0 }.map { count in
      let field = fields.first { $0.number == count.number }
      return [
        "number": JSON(UInt64(count.number)), "in": .bool(count.isIncoming), "packets": JSON(count.packets),
        "bytes": JSON(count.bytes), "type": .string(field?.schema.name ?? "unknown"),
        "layer": .string(field?.layer ?? ""),
      ]
    }
    let bytes = HTTPRequest.eventBytes("packets", ["counts": .array(told), "packets": .array(packets)])
    (counts, packets, quiet) = ([], [], 0)
    for client in clients { client.write(bytes) }
  }

  /// How often in a row there was nothing to tell.
  private var quiet = 0

  /// A sign of life where nothing passes, so that both sides learn when the other has gone.
  private func beat() {
    quiet += 1
    guard quiet >= Int(EventWatchers.heartbeat / Self.pause) else { return }
    quiet = 0
    for client in clients { client.write(":\n\n") }
  }

  /// Ends all streams.
  func close() {
    let all = clients
    clients = []
    timer?.cancel()
    for request in all { request.end() }
  }
}

extension ControlPort {
  func packetsRoute() -> ControlRoute {
    ControlRoute(
      method: "GET", path: "/v1/packets", operation: "packets",
      summary: "Packets as they come and go, four times a second, as server-sent events: all as counts by type, some "
        + "with their fields.", tag: "node",
      outputs: [("text/event-stream", ["type": "string"])],
      handle: { [unowned self] request in self.watchPackets(request) })
  }

  private func watchPackets(_ request: HTTPRequest) {
    if request.method == "HEAD" { return request.answer(200, "text/event-stream", []) }
    guard packets.count < PacketWatch.limit else {
      return request.answer(
        Problem(503, "too-many-watchers", "\(PacketWatch.limit) clients watch the packets already"))
    }
    packets.messages = { [unowned self] in self.owner.node.messages }
    packets.add(request)
    request.onClose = { [weak self, weak request] in if let request { self?.packets.forget(request) } }
  }
}
