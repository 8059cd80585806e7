// PortTable: which packet field belongs to which layer, and what has passed through it.

/// A registered message as people and programs see it.
public struct MessageDescription: Sendable {
  /// The packet field's number.
  public var number: UInt32
  /// The layer that registered it, or `core`.
  public var layer: String
  public var schema: WireSchema
  /// The message's own type, for tools that read and write messages themselves.
  public var type: any WireMessage.Type
  /// Whether the layer only sends it.
  public var sendOnly: Bool
  public var messagesIn: UInt64
  public var bytesIn: UInt64
  public var messagesOut: UInt64
  public var bytesOut: UInt64
  public var malformed: UInt64
}

/// Reads a message's bytes and hands it to its layer.
@usableFromInline typealias PortHandler = (RawSpan, Address) throws(WireError) -> Void

/// The packet's fields, by number.
struct PortTable: ~Copyable {
  struct Port {
    var number: UInt32
    var owner: Int32
    var layer: String
    var name: String
    var sendOnly: Bool
    var type: any WireMessage.Type
    var handler: PortHandler?
    /// Owned by the table; apart, so that counting copies and checks nothing.
    let counts: UnsafeMutablePointer<Counts>
  }

  /// What has passed through a port.
  struct Counts {
    var messagesIn: UInt64 = 0
    var bytesIn: UInt64 = 0
    var messagesOut: UInt64 = 0
    var bytesOut: UInt64 = 0
    var malformed: UInt64 = 0
  }

  /// The largest field number that protobuf has.
  static let largestNumber: UInt32 = (1 << 29) - 1
  /// Numbers the core keeps for itself.
  static let core: ClosedRange<UInt32> = 32...63

  var ports: [Port] = []

  deinit { for port in ports { port.counts.deallocate() } }

  /// Small numbers are found by index, others in a dictionary.
  private var direct: [Int16] = []
  private var sparse: [UInt32: Int] = [:]
  private static let directLimit: UInt32 = 2048

  /// Where a number's port stands.
  func find(_ number: UInt32) -> Int? {
    if number < direct.count {
      let place = direct[Int(number)]
      return place < 0 ? nil : Int(place)
    }
    return number < Self.directLimit ? nil : sparse[number]
  }

  /// Whether a layer speaks the Peersters' own messages.
  var hasPeersterPorts: Bool { ports.contains { $0.number < 32 } }

  mutating func declare(
    _ number: UInt32, owner: Int32, layer: String, sendOnly: Bool, type: any WireMessage.Type
  ) throws(BuildError) -> Int {
    let path = "layers.\(layer)"
    let name = type.messageName
    guard number >= 1, number <= Self.largestNumber, !(19_000...19_999).contains(number) else {
      throw BuildError(
        path: path,
        "message \(name) claims field \(number), but a field is 1 to \(Self.largestNumber) and not 19000 to 19999")
    }
    guard !Self.core.contains(number) || owner < 0 else {
      throw BuildError(path: path, "message \(name) claims field \(number), but 32 to 63 belong to the core")
    }
    if let place = find(number) {
      let other = ports[place]
      throw BuildError(
        path: path,
        "message \(name) claims field \(number), which layer \(other.layer) has for \(other.name); choose another number"
      )
    }
    let counts = UnsafeMutablePointer<Counts>.allocate(capacity: 1)
    counts.initialize(to: Counts())
    ports.append(
      .init(
        number: number, owner: owner, layer: layer, name: name, sendOnly: sendOnly, type: type, counts: counts))
    index()
    return ports.count - 1
  }

  mutating func remove(owner: Int32) {
    for port in ports where port.owner == owner { port.counts.deallocate() }
    ports.removeAll { $0.owner == owner }
    index()
  }

  private mutating func index() {
    let largest = ports.map(\.number).filter { $0 < Self.directLimit }.max() ?? 0
    direct = Array(repeating: -1, count: Int(largest) + 1)
    sparse = [:]
    for (place, port) in ports.enumerated() {
      if port.number < Self.directLimit {
        direct[Int(port.number)] = Int16(place)
      } else {
        sparse[port.number] = place
      }
    }
  }
}
