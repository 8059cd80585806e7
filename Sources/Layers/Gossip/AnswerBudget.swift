// AnswerBudget: how many bytes go in answer to those who may not be who they say.
import StackCore

/// How many bytes may go in answer to those who have neither proven their address nor are in the configuration: they
/// may be somebody else, on whom another wants us to pour what we know. A Peerster can't prove anything; so each gets
/// three times what it has sent, and a trickle besides.
struct AnswerBudget {
  private struct Account {
    var left = AnswerBudget.burst
    var heard: UInt64 = 0
    var said: UInt64 = 0
    var at: Instant
  }
  private var accounts: [Address: Account] = [:]
  /// How many bytes at once, and how many a second, without anything being sent for them.
  static let burst = 65_536.0
  static let perSecond = 16_384.0
  /// What an IPv4 and a UDP header take.
  private static let headers: UInt64 = 28
  let limit: Int

  init(limit: Int = 4_096) { self.limit = limit }

  /// Whether a neighbour may be answered: once it may, with a whole message.
  mutating func allows(_ neighbour: Neighbour, at now: Instant) -> Bool {
    if neighbour.isProven || neighbour.configured { return true }
    let heard = neighbour.bytesIn + neighbour.datagramsIn * Self.headers
    let said = neighbour.bytesOut + neighbour.datagramsOut * Self.headers
    guard var account = accounts[neighbour.address] else {
      guard accounts.count < limit else { return false }
      accounts[neighbour.address] = Account(heard: heard, said: said, at: now)
      return true
    }
    let earned = (now - account.at).inSeconds * Self.perSecond + 3 * Double(heard - min(heard, account.heard))
    account.left = min(Self.burst, account.left + earned - Double(said - min(said, account.said)))
    (account.heard, account.said, account.at) = (heard, said, now)
    accounts[neighbour.address] = account
    return account.left > 0
  }

  /// A neighbour is gone.
  mutating func forget(_ peer: Address) { accounts[peer] = nil }
}
