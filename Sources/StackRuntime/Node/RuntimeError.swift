// RuntimeError: why a real node can't start or can't do what was asked, in words that say what to do.
import StackCore

/// Why a node can't be run; the text names what is wrong and what would be right.
public struct RuntimeError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of trouble it is.
  public enum Kind: String, Sendable {
    /// The configuration asks for something that can't be: a clash of layers, a bad setting, a control port for all.
    case configuration
    /// The data directory can't be used: held by another node, read-only, damaged, full.
    case data
    /// The address for datagrams can't be had.
    case network
    /// The control port can't be had.
    case control
  }
  /// Which kind this is.
  public var kind: Kind
  /// The key of the node's configuration that it concerns, such as `listen` or `layers.gossip.interval`; may be empty.
  public var path: String
  /// What is wrong and what would be right, for people.
  public var message: String

  /// An error of this kind, about this key.
  public init(_ kind: Kind, path: String, _ message: String) {
    self.kind = kind
    self.path = path
    self.message = message
  }
  public var description: String { path.isEmpty ? message : "\(path): \(message)" }
}

extension RuntimeError {
  /// What building a node or its layers threw.
  init(building error: any Error) {
    switch error {
    case let error as RuntimeError: self = error
    case let error as BuildError: self.init(.configuration, path: error.path, error.message)
    case let error as JSONCodingError:
      self.init(.configuration, path: error.path, "found \(error.found), expected \(error.expected)")
    case let error as StorageError: self.init(.data, path: "data", error.message)
    case let error as FileError: self.init(.data, path: "data", error.message)
    default: self.init(.configuration, path: "layers", "\(error)")
    }
  }
}
