// Job: work that would hold the node up, done elsewhere; its result comes back as a call.

/// A piece of work a layer has offloaded. The driver runs it wherever it likes and hands the result to `Node.complete`.
public struct Job: Sendable {
  /// Its number, for `Node.complete`.
  public let id: UInt64
  /// Does the work.
  public let run: @Sendable () -> any Sendable
}
