// LinkSettings: what a link does to the datagrams on it, as a scenario writes it.
import StackCore

/// A link, one direction at a time: how long datagrams take on it, and what befalls them.
public struct LinkSettings: LayerConfig, Hashable {
  @Setting("How long a datagram is under way: a time, or a distribution such as \"normal(20ms, 5ms)\".")
  public var latency = Latency.fixed(.milliseconds(10))
  @Setting("Up to so much is added to the latency, each time as likely.", in: .zero ... .seconds(3600))
  public var jitter = Duration.zero
  @Setting("How likely it is that a datagram is lost.", in: 0...1)
  public var loss = 0.0
  @Setting("How likely it is that a datagram arrives twice.", in: 0...1)
  public var duplicate = 0.0
  @Setting("How likely it is that a datagram is held back, so that later ones overtake it.", in: 0...1)
  public var reorder = 0.0
  @Setting("How long such a datagram is held back.", in: .zero ... .seconds(3600))
  public var reorderDelay = Duration.milliseconds(50)
  @Setting("How likely it is that one to four bits of a datagram are flipped.", in: 0...1)
  public var corrupt = 0.0
  @Setting("How many bytes a second the link carries; 0: as many as come.", in: ByteCount(bytes: 0)...)
  public var bandwidth = ByteCount(bytes: 0)
  @Setting("How many bytes may wait for a link with a bandwidth; what comes when it is full is dropped.")
  public var queue = ByteCount.kib(64)
  @Setting("The largest datagram that passes, in bytes; larger ones are dropped.", in: 64...65_507)
  public var mtu = 1_472

  public init() {}
}

/// What is different about some links; what it doesn't name stays.
public struct LinkChange: LayerConfig, Hashable {
  @Setting(
    "Between which nodes: every link from the first to the second; without it, all links that aren't named elsewhere.")
  public var between: [NodeSelection]? = nil
  @Setting("Whether only the direction from the first to the second is meant.")
  public var oneWay = false
  @Setting("How long a datagram is under way.") public var latency: Latency?
  @Setting("Up to so much is added to the latency.", in: .zero ... .seconds(3600))
  public var jitter: Duration? = nil
  @Setting("How likely it is that a datagram is lost.", in: 0...1)
  public var loss: Double? = nil
  @Setting("How likely it is that a datagram arrives twice.", in: 0...1)
  public var duplicate: Double? = nil
  @Setting("How likely it is that a datagram is held back.", in: 0...1)
  public var reorder: Double? = nil
  @Setting("How long such a datagram is held back.", in: .zero ... .seconds(3600))
  public var reorderDelay: Duration? = nil
  @Setting("How likely it is that bits of a datagram are flipped.", in: 0...1)
  public var corrupt: Double? = nil
  @Setting("How many bytes a second the link carries; 0: as many as come.") public var bandwidth: ByteCount?
  @Setting("How many bytes may wait for a link with a bandwidth.") public var queue: ByteCount?
  @Setting("The largest datagram that passes, in bytes.", in: 64...65_507)
  public var mtu: Int? = nil

  public init() {}

  /// A link with the change.
  public func applied(to link: LinkSettings) -> LinkSettings {
    var link = link
    link.latency = latency ?? link.latency
    link.jitter = jitter ?? link.jitter
    link.loss = loss ?? link.loss
    link.duplicate = duplicate ?? link.duplicate
    link.reorder = reorder ?? link.reorder
    link.reorderDelay = reorderDelay ?? link.reorderDelay
    link.corrupt = corrupt ?? link.corrupt
    link.bandwidth = bandwidth ?? link.bandwidth
    link.queue = queue ?? link.queue
    link.mtu = mtu ?? link.mtu
    return link
  }
}

/// A link's settings, made ready for the hot path.
struct LinkModel {
  let settings: LinkSettings
  let latency: Latency
  /// The latency when it is always the same, which is most often; else -1.
  let fixedLatency: Int64
  let jitter: UInt64
  let loss: Odds
  let duplicate: Odds
  let reorder: Odds
  let reorderDelay: Int64
  let corrupt: Odds
  let bytesPerSecond: Int64
  let queueBytes: Int64
  let mtu: Int
  /// Whether nothing can befall a datagram but its latency.
  let isPlain: Bool

  init(_ settings: LinkSettings) {
    self.settings = settings
    latency = settings.latency
    if case .fixed(let time) = settings.latency, settings.jitter == .zero {
      fixedLatency = max(Latency.shortest, time.nanoseconds)
    } else {
      fixedLatency = -1
    }
    jitter = UInt64(max(0, settings.jitter.nanoseconds))
    loss = Odds(settings.loss)
    duplicate = Odds(settings.duplicate)
    reorder = Odds(settings.reorder)
    reorderDelay = settings.reorderDelay.nanoseconds
    corrupt = Odds(settings.corrupt)
    bytesPerSecond = max(0, settings.bandwidth.bytes)
    queueBytes = max(0, settings.queue.bytes)
    mtu = settings.mtu
    isPlain =
      !loss.isPossible && !duplicate.isPossible && !reorder.isPossible && !corrupt.isPossible && bytesPerSecond == 0
  }

  /// Draws how long a datagram is under way, in nanoseconds.
  func delay(_ random: inout RandomStream) -> Int64 {
    if fixedLatency >= 0 { return fixedLatency }
    let base = latency.sample(&random)
    return jitter == 0 ? base : base + Int64(random.next(below: jitter + 1))
  }
}
