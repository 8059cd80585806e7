// RealNodeOptions: all that a real node is made from, as the configuration and the command line give it.
import StackCore

/// What a real node is to be.
public struct RealNodeOptions {
  /// Its name.
  public var name: String
  /// The address for datagrams; port 0 lets the kernel choose one.
  public var listen: Address
  /// The neighbours it starts with: addresses, or names and ports such as `example.org:5000`, which are looked up while
  /// the node runs.
  public var peers: [String] = []
  /// The directory of its storage, its files and its token; made if it is missing.
  public var dataDirectory: String
  /// Where the control port listens; only loopback is allowed. Nil: there is none.
  public var control: Address?
  /// The layers it has, each with its section of the configuration.
  public var layers: [(type: any ProtocolLayer.Type, section: JSON)] = []
  /// The bounds of the node's tables and buffers.
  public var limits = NodeLimits()
  /// How the socket is to be: whether it uses the kernel's segmentation, and how much kernel buffer it asks for.
  public var socket = DatagramSocket.Options()
  /// What a commit outlives.
  public var durability = SQLiteStorage.Durability.process
  /// The most that the storage may grow to; nil: what the disk has.
  public var storageBytes: Int64?
  /// Threads for offloaded work; nil: one a core and two more.
  public var workers: Int?
  /// The program's version, shown by `GET /v1/node` and in the OpenAPI document.
  public var version = "0"
  /// The least important log level that is written.
  public var logLevel = LogLevel.info
  /// From which all chance of the node comes; nil: the system's own.
  public var seed: UInt64?
  /// What the control port takes from its clients.
  public var controlLimits = HTTPLimits()
  /// Where the configuration's JSON Schema can be had, shown by `GET /v1/node`; nil: nowhere.
  public var settingsSchema: String?
  /// Reads the configuration anew, for SIGHUP and `POST /v1/node/reload`; nil: there is nothing to reload.
  public var reload: (() throws -> RealNodeReload)?
  /// Shows and changes the configuration, for `/v1/config`; nil: there is none to change.
  public var configuration: RealNodeConfiguration?
  /// Opens another storage than SQLite's in the data directory; for tests. Called again after a storage has failed.
  public var openStorage: (() throws(StorageError) -> any NodeStorage)?

  /// A node with no peers, no control port and no layers.
  public init(name: String, listen: Address, dataDirectory: String) {
    self.name = name
    self.listen = listen
    self.dataDirectory = dataDirectory
  }
}

/// What a configuration that was read anew says.
public struct RealNodeReload {
  /// The neighbours, as in `RealNodeOptions`.
  public var peers: [String]
  /// The layers, each with its section.
  public var layers: [(type: any ProtocolLayer.Type, section: JSON)]
  /// The log level; nil: as it is.
  public var logLevel: LogLevel?
  /// Answers for the keys that only a restart can change, which whoever reads the configuration has compared.
  public var answers: [ReloadAnswer]

  /// A configuration that was read anew.
  public init(
    peers: [String], layers: [(type: any ProtocolLayer.Type, section: JSON)], logLevel: LogLevel? = nil,
    answers: [ReloadAnswer] = []
  ) {
    self.peers = peers
    self.layers = layers
    self.logLevel = logLevel
    self.answers = answers
  }
}
