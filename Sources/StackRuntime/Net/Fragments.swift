// Fragments: for the rare datagram that must go whole, the leave for the network to cut it on the way.
import Glibc
import StackCore

extension DatagramSocket {
  /// Sends one datagram that the network may cut where a path takes no more; false if the kernel has no room for it.
  ///
  /// Only a message larger than the path to somebody who can't put split messages together goes this way.
  func sendFragmenting(_ bytes: UnsafeRawBufferPointer, to address: Address) -> Bool {
    setDiscovery(IP_PMTUDISC_DONT, IPV6_PMTUDISC_DONT)
    defer { setDiscovery(IP_PMTUDISC_PROBE, IPV6_PMTUDISC_PROBE) }
    return send(bytes, to: address)
  }

  private func setDiscovery(_ four: Int32, _ six: Int32) {
    var four = four
    var six = six
    let size = socklen_t(MemoryLayout<Int32>.size)
    // A kernel that refuses leaves the datagram to be counted as too large.
    _ = setsockopt(fd, Int32(IPPROTO_IP), IP_MTU_DISCOVER, &four, size)
    if localAddress.family == AF_INET6 { _ = setsockopt(fd, Int32(IPPROTO_IPV6), IPV6_MTU_DISCOVER, &six, size) }
  }
}
