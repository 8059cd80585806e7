// NodeBlueprint: all that a node is built from, before anything of it exists.

/// What a node is to be.
public struct NodeBlueprint {
  /// Its name, which other nodes know it by.
  public var name: String
  /// The address it speaks from.
  public var address: Address
  /// The neighbours it starts with.
  public var peers: [Address]
  /// The layers it has, each with its section of the configuration.
  public var layers: [(type: any ProtocolLayer.Type, section: JSON)]
  /// From which all chance of this node comes.
  public var seed: UInt64
  public var limits = NodeLimits()

  public init(
    name: String, address: Address, peers: [Address] = [], layers: [(type: any ProtocolLayer.Type, section: JSON)],
    seed: UInt64
  ) {
    self.name = name
    self.address = address
    self.peers = peers
    self.layers = layers
    self.seed = seed
  }
}

/// The bounds of a node's own tables and buffers.
public struct NodeLimits: Sendable {
  /// How many neighbours are kept. Those in the configuration count, and always find a place.
  public var neighbours = 1024
  /// How many bytes may wait to be sent.
  public var outboxBytes = 4 << 20
  /// The largest datagram sent where nothing larger is proven, taken into `smallestPathLimit` ... `largestDatagram`;
  /// nil: 1,200 bytes, and large on loopback.
  public var pathLimit: Int?
  /// How many jobs may be under way.
  public var jobs = 1024
  /// How many calls of streaming commands may be open.
  public var calls = 256
  /// How many events may wait for their subscribers.
  public var queuedEvents = 65_536
  /// How many answers, events and log lines may wait for the driver.
  public var news = 65_536

  /// The least that a path must carry, so that 64 KiB go in no more pieces than a receiver takes.
  public static let smallestPathLimit = Reassembler.smallestPiece + Piece.overhead
  /// What every path is taken to carry.
  public static let safePathLimit = 1_200
  /// What a UDP datagram can carry at the most.
  public static let largestDatagram = 65_507
  /// The largest message: what splitting can carry.
  public static let largestMessage = 65_536

  public init() {}
}

/// Why a datagram or a message went no further.
public enum DropReason: String, CaseIterable, Sendable {
  /// It could not be read.
  case malformed
  /// A datagram without a byte.
  case empty
  /// The outbox was full.
  case outboxFull = "outbox-full"
  /// A Strata message to a neighbour that isn't known to speak Strata.
  case notStrata = "not-strata"
  /// A message larger than can be sent.
  case tooLarge = "too-large"
  /// A datagram from an address that nobody can have: port 0, a group, none at all.
  case badSender = "bad-sender"
  /// A large message whose receiver never introduced itself, or an answer to a stranger that would be over three times
  /// what came from it.
  case unproven
  /// A piece without the cookie that we gave to its sender.
  case badCookie = "bad-cookie"
  /// An unfinished message whose pieces didn't come in time.
  case reassemblyTimeout = "reassembly-timeout"
  /// An unfinished message pushed out by newer ones.
  case reassemblyFull = "reassembly-full"
  /// A sender that found no place among the neighbours.
  case neighboursFull = "neighbours-full"
  /// An event, answer or log line that nobody took in time.
  case newsFull = "news-full"
  /// What it rests on could not be written to disk.
  case storage
  /// The network refused it.
  case network
}
