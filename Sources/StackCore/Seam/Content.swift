// Content: how a layer answers for stretches of bytes under a name, a piece at a time, whenever they come to be there.

/// A piece of some content, and what is known of the whole.
public struct ContentPiece: Sendable {
  /// What people call it; not to be trusted, and no path.
  public var name: String
  /// The bytes in all.
  public var size: Int64
  /// The bytes from where they were asked for; fewer than asked are followed up, none stand for the end.
  public var bytes: [UInt8]
  /// What names exactly this content, such as a hash, in visible ASCII without quotes; nil where it may change.
  public var tag: String?

  public init(name: String, size: Int64, bytes: [UInt8], tag: String? = nil) {
    self.tag = tag
    self.name = name
    self.size = size
    self.bytes = bytes
  }
}

/// What a driver wants of some content: the next piece of a range. The layer keeps it until the bytes are there, and
/// then answers once. Back-pressure comes of itself: who can't take more doesn't ask for more.
public final class ContentRead {
  /// This read's number, unique among the node's calls.
  public let id: UInt64
  /// Which content, by the name that the asker gave. Nothing of it is checked.
  public let key: String
  /// All that is wanted in this order, from the next byte on, so that the layer can look ahead. Empty: only the name
  /// and the size are asked for.
  public let range: Range<Int64>
  /// The most bytes that the answer may have.
  public let limit: Int
  // Weak as that of a command's call.
  private weak var node: Node?
  private let sink: (Result<ContentPiece, CommandError>) -> Void

  init(
    id: UInt64, key: String, range: Range<Int64>, limit: Int, node: Node,
    sink: @escaping (Result<ContentPiece, CommandError>) -> Void
  ) {
    (self.id, self.key, self.range, self.limit, self.node, self.sink) = (id, key, range, limit, node, sink)
  }

  /// Whether it has been answered or was cancelled. Whatever is said to it then is ignored.
  public var isOver: Bool { node == nil }

  /// Answers with a piece.
  public func finish(_ piece: ContentPiece) { end(.success(piece)) }

  /// Answers with a refusal.
  public func fail(_ error: CommandError) { end(.failure(error)) }

  private func end(_ result: Result<ContentPiece, CommandError>) {
    guard let node else { return }
    self.node = nil
    node.callEnded(id)
    node.news.append(.reply(.finished(.null)) { [sink] _ in sink(result) })
  }
}

/// A kind of content as people and programs see it.
public struct ContentDescription: Sendable {
  public var layer: String
  public var name: String
  public var summary: String
  /// What the keys are, such as `root`.
  public var key: String
}

extension LayerSetup {
  /// Declares content that people can read by key, in ranges; each read is answered when its bytes are there.
  public func content(
    _ name: String, _ summary: String, key: String,
    _ handler: @escaping (Layer) -> (ContentRead, borrowing LayerContext<Layer>) -> Void,
    cancelled: @escaping (Layer) -> (ContentRead, borrowing LayerContext<Layer>) -> Void
  ) {
    if node.contents.contains(where: { $0.description.layer == slot.name && $0.description.name == name }) {
      failures.append(BuildError(path: "layers.\(slot.name)", "the content \(name) is declared twice"))
      return
    }
    let description = ContentDescription(layer: slot.name, name: name, summary: summary, key: key)
    bindings.append { [node, slot] layer in
      node.contents.append(
        .init(description: description, owner: slot.index) { [unowned layer, unowned node, unowned slot] read in
          node.callStarted(read.id, owner: slot.index) { [unowned node, unowned slot] reason in
            if read.isOver { return }
            cancelled(layer)(read, LayerContext(node, slot))
            read.fail(reason)
          }
          handler(layer)(read, LayerContext(node, slot))
        })
    }
  }
}
