// Transfers: downloads: where they declare what they take part in.
import StackCore

extension FileShare {
  /// Declares the messages, commands, events and metrics of downloads.
  func declareTransfers(_ setup: LayerSetup<FileShare>) {}
}
