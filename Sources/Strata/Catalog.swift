// Catalog: the layers that come with Strata, one line each.
import FileShare
import Gossip
import Routing
import Search
import StackCore

/// The layers a program may be built with.
public enum Catalog {
  /// Those that come with Strata. A program of one's own adds to them: `Catalog.standard + [MyLayer.self]`.
  public static var standard: [any ProtocolLayer.Type] {
    [
      Gossip.self,
      Routing.self,
      FileShare.self,
      Search.self,
    ]
  }
}
