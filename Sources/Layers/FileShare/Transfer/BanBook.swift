// BanBook: who has sent what is wrong of which file, for as long as the node runs.
import PeersterVocabulary
import StackCore

/// Holders that are asked no more for a file, whichever download asks; of too many the oldest are forgotten.
struct BanBook: Sendable {
  /// A holder of a file: by its address, or by its name where that is all that is known.
  private struct Ban: Hashable, Sendable {
    var root: Hash256
    var address: Address?
    var name: WireText?
  }
  private var bans: Set<Ban> = []
  /// In the order they were made, in a ring.
  private var order: [Ban] = []
  private var oldest = 0

  static let most = 4_096

  var count: Int { bans.count }

  /// Notes that a holder has sent what is wrong of a file.
  mutating func note(_ holder: Holder, of root: Hash256) {
    let ban = Self.ban(root, holder)
    guard bans.insert(ban).inserted else { return }
    if order.count < Self.most { return order.append(ban) }
    bans.remove(order[oldest])
    order[oldest] = ban
    oldest = (oldest + 1) % Self.most
  }

  /// Whether a holder has sent what is wrong of a file.
  func contains(_ holder: Holder, of root: Hash256) -> Bool { !bans.isEmpty && bans.contains(Self.ban(root, holder)) }

  private static func ban(_ root: Hash256, _ holder: Holder) -> Ban {
    // One that is known by its name may be reached over another hop tomorrow.
    if holder.isPlain { return Ban(root: root, address: nil, name: holder.name) }
    return Ban(root: root, address: holder.address, name: nil)
  }
}
