// Transfers: downloads: where they declare what they take part in.
import PeersterVocabulary
import StackCore

extension FileShare {
  /// Declares the messages, commands, events and metrics of downloads.
  func declareTransfers(_ setup: LayerSetup<FileShare>) {}

  /// A reply has come for this node, to a request that a download has made, or to none.
  func takeReply(_ reply: DataReply, from peer: Address, _ context: borrowing LayerContext<FileShare>) {}
}
