// CoreSettings: the keys of a node's file that are not a layer's.
import StackCore

/// How much a datagram may hold where nothing larger is proven.
struct PathLimit: Codable, Hashable, Sendable, SchemaProviding {
  /// The bytes; nil to find out.
  var bytes: Int?

  /// What any path carries, and what UDP can.
  static let range: ClosedRange<Int64> = 576...Int64(NodeLimits.largestDatagram)
  /// What an error says was expected.
  static let expected = "\"auto\" or a size from 576B to 65507B"
  static let schema = Schema(.any)
  static let schemaSample = PathLimit()

  init(bytes: Int? = nil) { self.bytes = bytes }

  /// Reads "auto", a size, or a number of bytes.
  init?(_ json: JSON) {
    if json.stringValue == "auto" { return }
    guard let size = json.integerValue ?? json.stringValue.flatMap({ ByteCount(text: $0)?.bytes }),
      Self.range.contains(size)
    else { return nil }
    bytes = Int(size)
  }

  init(from decoder: any Decoder) throws {
    guard let limit = PathLimit(try JSON(from: decoder)) else {
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: Self.expected))
    }
    self = limit
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(bytes.map { ByteCount(bytes: Int64($0)).text } ?? "auto")
  }
}

/// How a node's log lines look.
public enum LogFormat: String, Codable, Hashable, Sendable, CaseIterable {
  /// A line for people.
  case text
  /// A JSON object a line.
  case json
}

/// When a node takes what it has written as kept.
public enum Durability: String, Codable, Hashable, Sendable, CaseIterable {
  /// What was answered survives the end of the process.
  case process
  /// What was answered survives a power cut; each commit waits for the disk.
  case power
}

/// The keys of a node's file, but for `layers`.
struct CoreSettings: LayerConfig {
  @Setting(
    "What other nodes know this one by: 1 to 40 bytes. Default: this file's name without .json, or the host's name if that is node, strata or config."
  )
  var name: String?

  @Setting(
    "The UDP address that this node speaks from; port 0 takes any free one, and 0.0.0.0 or [::] every interface.")
  var listen = "127.0.0.1:5000"

  @Setting("The neighbours it starts with, each \"host:port\".", count: 0...1024, live: true)
  var peers: [String] = []

  @Setting(
    "The folder for what it keeps. Default: ./data/ and the node's name. Relative paths are relative to this file.")
  var data: String?

  @Setting(
    "The address of the control port, on loopback only; \"off\" for none. With port 0 a free one is taken and written to control.address in the data folder."
  )
  var control: String? = "127.0.0.1:0"

  @Setting(
    "The largest datagram where nothing larger is proven: \"auto\" (1200B, large on loopback) or a size from 576B.")
  var pathLimit = PathLimit()

  @Setting("How much may wait to be sent; what comes on top is dropped and counted.", in: .kib(64) ... .gib(1))
  var outbox = ByteCount.mib(4)

  @Setting("How many neighbours are remembered beside those in peers.", in: 1...1_000_000)
  var neighbours = 1024

  @Setting("What was answered survives the end of the process, or a power cut too (slower).")
  var durability = Durability.process

  @Setting("How many threads do heavy work; 0 for one a processor and two that wait for disks.", in: 0...256)
  var workers = 0

  @Setting("What log lines look like.")
  var log = LogFormat.text

  @Setting("The least important log lines that are written.", live: true)
  var logLevel = LogLevel.info

  @Setting("A number from which all of the node's chance comes, to repeat a run; never set it for real use.")
  var seed: UInt64?

  init() {}
}
