// Commands: what a person or a program can ask a layer to do, from the command line, over HTTP or in a simulation.

/// Why a command was refused or failed.
public struct CommandError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of refusal it is; decides the HTTP status.
  public enum Kind: String, Sendable, Codable, CaseIterable {
    case invalid, notFound, conflict, refused, unavailable, cancelled, failed
  }
  /// What kind of refusal this is.
  public var kind: Kind
  /// A stable word for programs, such as `no-route`.
  public var code: String
  /// A sentence for people.
  public var message: String

  public init(_ kind: Kind, code: String? = nil, _ message: String) {
    self.kind = kind
    self.code = code ?? (kind == .notFound ? "not-found" : kind.rawValue)
    self.message = message
  }
  public var description: String { message }
}

/// One piece of an answer.
public enum CommandReply: Sendable {
  case progress(JSON)
  case finished(JSON)
  case failed(CommandError)

  /// Whether nothing comes after it.
  public var isLast: Bool { if case .progress = self { false } else { true } }
}

/// A command that was called and answers over time. The layer keeps it until it has finished or failed it.
public final class CommandCall<Progress: Codable & Sendable, Output: Codable & Sendable> {
  /// This call's number, unique in its node.
  public let id: UInt64
  // Weak, since the node holds the layer that holds the call: a node that is let go must not live on by its open calls.
  private weak var node: Node?
  private let sink: (CommandReply) -> Void

  init(id: UInt64, node: Node, sink: @escaping (CommandReply) -> Void) {
    self.id = id
    self.node = node
    self.sink = sink
  }

  /// Whether the call has ended: finished, failed or cancelled. Whatever is said to it then is ignored.
  public var isOver: Bool { node == nil }

  /// Tells how far it is. Dropped, and counted, when the driver is far behind.
  public func progress(_ progress: Progress) { send { .progress(try JSON(encoding: progress)) } }

  /// Ends the call with its result.
  public func finish(_ output: Output) { send { .finished(try JSON(encoding: output)) } }

  /// Ends the call with an error.
  public func fail(_ error: CommandError) { send { .failed(error) } }

  private func send(_ make: () throws -> CommandReply) {
    guard let node else { return }
    let reply: CommandReply
    do { reply = try make() } catch {
      reply = .failed(CommandError(.failed, code: "unencodable", "the answer can't be written as JSON: \(error)"))
    }
    if reply.isLast {
      self.node = nil
      node.callEnded(id)
    } else if node.news.count >= node.limits.news {
      return node.drop(.newsFull)
    }
    node.news.append(.reply(reply, to: sink))
  }
}

/// A command as people and programs see it.
public struct CommandDescription: Sendable {
  public var layer: String
  public var name: String
  public var summary: String
  public var input: Schema
  public var output: Schema
  /// What it tells on the way; nil when it answers at once.
  public var progress: Schema?
  /// Arguments to show in help, each a line as typed after the command's name.
  public var examples: [String]
}
