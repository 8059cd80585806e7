// FileShareConfig: the settings of FileShare.
import StackCore

/// How FileShare works.
public struct FileShareConfig: LayerConfig {
  /// Who may see the list of what is shared.
  public enum Listing: String, Codable, Sendable, CaseIterable { case `public`, neighbours, none }

  @Setting("The folder whose files are shared; absolute, or below the layer's own folder. Empty: none.")
  public var shared = ""
  @Setting("How often what is shared is looked through for changes.", in: .seconds(1) ... .seconds(86_400))
  public var rescan = Duration.seconds(30)
  @Setting("The bytes in a chunk of a file: a power of two. Peersters know only 8KiB.", in: .kib(4) ... .kib(64))
  public var chunkSize = ByteCount.kib(8)
  @Setting("Who may see the list of what is shared.", live: true)
  public var listing = Listing.neighbours
  @Setting("The folder downloads go to, below the layer's own folder or absolute; empty: that folder itself.")
  public var downloads = "downloads"
  @Setting("Whether files that were fetched are shared on, for as long as they stay as they are.", live: true)
  public var shareFetched = true
  @Setting("How many bytes a second are sent to others; 0: as many as go.", live: true)
  public var uploadLimit = ByteCount(bytes: 0)
  @Setting("How many bytes a second are fetched; 0: as many as come.", live: true)
  public var downloadLimit = ByteCount(bytes: 0)
  @Setting("How many files are shared at the most; further ones are left out.", in: 1...10_000_000)
  public var files = 1_000_000
  @Setting("How many pieces of files can be found by their hashes alone.", in: 1_024...100_000_000)
  public var pieces = 1_000_000
  @Setting("How many nodes a request or a reply of ours may pass.", in: 1...32, live: true)
  public var hopLimit = 10
  @Setting("How many requests a second are taken from one neighbour.", in: 1...1_000_000, live: true)
  public var rate = 10_000

  /// The defaults.
  public init() {}
}
