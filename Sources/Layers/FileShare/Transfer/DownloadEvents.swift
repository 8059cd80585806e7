// DownloadEvents: what people and programs see of downloads: their state, their progress, who brings what.
import PeersterVocabulary
import StackCore

/// How far a download is.
public enum DownloadState: String, Codable, Sendable, CaseIterable {
  /// Somebody who has the file, and its size, are looked for.
  case locating
  /// What was fetched before is looked through.
  case checking
  case fetching
  case paused
  /// All is there, and made durable under its own name.
  case finishing
  case finished
  case failed
  case cancelled

  /// Whether nothing will happen to it any more.
  public var isOver: Bool { self == .finished || self == .failed || self == .cancelled }
}

/// What one holder does for a download.
public struct HolderProgress: Codable, Sendable {
  /// Where it is, and what it is called where that is known.
  public var address: Address
  public var name: WireText?
  /// Whether it is asked, away, or banned for this file.
  public var state: String
  /// The bytes that came from it, and how many a second come now.
  public var bytes: Int64
  public var rate: Int64
  /// How many bytes may be under way from it at once, and how many are.
  public var window: Int64
  public var inFlight: Int64
  /// Of each hundredth of the file, how many percent came from it.
  public var cells: [Int]
}

/// How far a download is.
public struct DownloadProgress: Codable, Sendable {
  public var root: Hash256
  public var name: String
  public var state: DownloadState
  /// The file's bytes, and those that are there and right; nil while the size isn't known.
  public var size: Int64?
  public var bytes: Int64
  /// Bytes a second as of late, and seconds left at that rate.
  public var rate: Int64
  public var secondsLeft: Double?
  /// How many holders bring something.
  public var holders: Int
  /// Bytes that came twice or were wrong.
  public var wasted: Int64
  /// Why it waits or has failed.
  public var note: String?

  /// How many parts a file is shown in.
  static let cells = 100
  static let port = EventPort<DownloadProgress>("progress", "How far a download is, twice a second while it runs.")
}

/// Which holder brought which parts of a file; told every two seconds while it is fetched.
public struct DownloadHolders: Codable, Sendable {
  public var root: Hash256
  public var holders: [HolderProgress]
  /// Of each hundredth of the file, how many percent are there.
  public var cells: [Int]
  static let port = EventPort<DownloadHolders>(
    "download-map", "Who brings which parts of a download, every two seconds while it runs.")
}

/// A download has come to another state.
public struct DownloadChanged: Codable, Sendable {
  public var root: Hash256
  public var name: String
  public var state: DownloadState
  /// Where the file is or will be.
  public var path: String
  public var note: String?
  static let port = EventPort<DownloadChanged>("download", "A download has come to another state.")
}

/// A holder sent what is wrong.
public struct HolderBanned: Codable, Sendable {
  public var root: Hash256
  public var address: Address
  public var name: WireText?
  /// The level of the tree and the first chunk that was wrong.
  public var level: Int
  public var chunk: Int
  static let port = EventPort<HolderBanned>(
    "holder-banned", "A holder sent a wrong chunk and is asked no more for this file.")
}
