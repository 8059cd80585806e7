// LayerManifest: what a layer is called and what it needs, known before any of it is built.

/// What a layer says of itself before it is built.
public struct LayerManifest: Sendable {
  /// Its name: its section in the configuration, its part of the command line and of the HTTP paths.
  public var name: String
  /// One line for people.
  public var summary: String
  /// The services it provides.
  public var provides: [String]
  /// The services without which it can't work.
  public var requires: [String]
  /// The services it makes use of where they are provided.
  public var uses: [String]
  /// The version of what it keeps in storage; older is the layer's to migrate, newer is refused.
  public var storageVersion: Int

  public init(
    _ name: String, _ summary: String, provides: [any AnyServiceKey] = [], requires: [any AnyServiceKey] = [],
    uses: [any AnyServiceKey] = [], storageVersion: Int = 1
  ) {
    self.name = name
    self.summary = summary
    self.provides = provides.map(\.name)
    self.requires = requires.map(\.name)
    self.uses = uses.map(\.name)
    self.storageVersion = storageVersion
  }
}

/// A service key without its type.
public protocol AnyServiceKey: Sendable {
  var name: String { get }
}

/// Names a service and its type. Both sides import the key from shared vocabulary; neither imports the other.
///
/// A service only looks up or transforms; whatever has an effect goes through an event, so that nothing re-enters.
public struct ServiceKey<Service>: AnyServiceKey {
  public let name: String
  public init(_ name: String) { self.name = name }
}

/// Why a node can't be built; the text names both sides and what would be right.
public struct BuildError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Where in the configuration it shows, such as `layers.routing`.
  public var path: String
  public var message: String
  public init(path: String, _ message: String) {
    self.path = path
    self.message = message
  }
  public var description: String { "\(path): \(message)" }
}
