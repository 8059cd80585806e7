// AddressTests: what an address's text may be, and that text and value are the same thing.
import StackCore
import Testing

@Suite struct AddressTests {
  @Test(arguments: [
    ("127.0.0.1:5000", "127.0.0.1:5000"), ("0.0.0.0:0", "0.0.0.0:0"),
    ("255.255.255.255:65535", "255.255.255.255:65535"),
    ("[::1]:5000", "[::1]:5000"), ("[::]:0", "[::]:0"), ("[fe80::1%2]:5000", "[fe80::1%2]:5000"),
    ("[2001:DB8:0:0:1:0:0:1]:1", "[2001:db8::1:0:0:1]:1"), ("[2001:db8:0:1:1:1:1:1]:1", "[2001:db8:0:1:1:1:1:1]:1"),
    ("[1:0:0:2:0:0:0:3]:1", "[1:0:0:2::3]:1"), ("[1:2:3:4:5:6:7::]:1", "[1:2:3:4:5:6:7:0]:1"),
    ("[::2:3:4:5:6:7:8]:1", "[0:2:3:4:5:6:7:8]:1"), ("[1::]:9", "[1::]:9"), ("[0001:0:0:0:0:0:0:00ff]:9", "[1::ff]:9"),
    ("[::ffff:10.1.2.3]:7", "10.1.2.3:7"), ("[64:ff9b::192.0.2.33]:7", "[64:ff9b::c000:221]:7"),
    ("[1:2:3:4:5:6:1.2.3.4]:7", "[1:2:3:4:5:6:102:304]:7"), ("[::1.2.3.4]:7", "[::102:304]:7"),
    ("[fe80::1%4294967295]:1", "[fe80::1%4294967295]:1"),
  ])
  func readsAndPrints(text: String, canonical: String) throws {
    let address = try #require(Address(text))
    #expect(address.description == canonical)
    #expect(Address(canonical) == address)
  }

  @Test(arguments: [
    "", ":", "127.0.0.1", "127.0.0.1:", ":5000", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1:05",
    "127.0.0.1:5 ", " 127.0.0.1:5", "127.0.0.01:5", "127.0.0.256:5", "127.0.0:5", "127.0.0.1.2:5", "1.2.3.:5",
    ".1.2.3:5",
    "[127.0.0.1]:5", "::1:5", "[::1]", "[::1]:", "[::1:5", "::1]:5", "[::1]5", "[]:5", "[:]:5", "[:::]:5", "[::1::]:5",
    "[1:2:3:4:5:6:7]:5", "[1:2:3:4:5:6:7:8:9]:5", "[1:2:3:4::5:6:7:8]:5", "[12345::]:5", "[g::]:5", "[:1::]:5",
    "[::1:]:5",
    "[1:2:3:4:5:6:7:1.2.3.4]:5", "[::1.2.3]:5", "[::01.2.3.4]:5", "[1.2.3.4::]:5", "[::1.2.3.4:5]:5", "[fe80::1%]:5",
    "[fe80::1%0]:5", "[fe80::1%01]:5", "[fe80::1%eth0]:5", "[fe80::1%4294967296]:5", "[::ffff:1.2.3.4%3]:5", "[%1]:5",
    "localhost:5000", "0x7f.0.0.1:5", "127.1:5", "١٢٧.0.0.1:5", "[[::1]]:5", "99999999999999999999.0.0.1:5",
  ])
  func refuses(text: String) { #expect(Address(text) == nil) }

  @Test func tellsItsKind() throws {
    let yes: [(KeyPath<Address, Bool>, [String], [String])] = [
      (
        \.isLoopback, ["127.0.0.1:1", "127.255.0.9:1", "[::1]:1"], ["128.0.0.1:1", "[::2]:1", "[1::1]:1", "0.0.0.0:1"]
      ),
      (
        \.isIPv4, ["0.0.0.0:0", "1.2.3.4:5", "[::ffff:1.2.3.4]:5"], ["[::]:0", "[::1.2.3.4]:5", "[1::ffff:1.2.3.4]:5"]
      ),
      (\.isMulticast, ["224.0.0.1:1", "239.9.9.9:1", "[ff02::1]:1"], ["223.0.0.1:1", "240.0.0.1:1", "[fe80::1]:1"]),
      (\.isUnspecified, ["0.0.0.0:7", "[::]:7"], ["0.0.0.1:7", "[::1]:7", "[1::]:7"]),
      (
        \.isLinkLocal, ["169.254.3.4:1", "[fe80::1%2]:1", "[febf::]:1"], ["169.253.0.1:1", "[fec0::1]:1", "[fe00::]:1"]
      ),
    ]
    for (kind, these, those) in yes {
      for text in these { #expect(try #require(Address(text))[keyPath: kind], "\(text)") }
      for text in those { #expect(try !#require(Address(text))[keyPath: kind], "\(text)") }
    }
    #expect(Address(ipv4: 0x7f00_0001, port: 80).description == "127.0.0.1:80")
    #expect(Address(ipv4: 0x0102_0304, port: 80).ipv4 == 0x0102_0304)
    #expect(Address("[::1]:5")?.with(port: 9).description == "[::1]:9")
    #expect(Address(host: "fe80::9%3", port: 4)?.description == "[fe80::9%3]:4")
    #expect(Address(host: "10.0.0.1", port: 4)?.description == "10.0.0.1:4")
    #expect(Address(host: "[::1]", port: 4) == nil)
    #expect(Address(host: "localhost", port: 4) == nil)
  }

  @Test(arguments: [1 as UInt64, 2, 3]) func everyValueComesBackFromItsText(seed: UInt64) throws {
    var numbers = RandomStream(seed: seed)
    var previous = Address(ipv4: 0, port: 0)
    for _ in 0..<5000 {
      // Groups are zero half of the time, so that gaps of every place and length come up.
      let mask = { (word: UInt64) in
        (0..<4).reduce(UInt64(0)) { word >> UInt64($1) & 1 == 0 ? $0 : $0 | 0xffff << UInt64($1 * 16) }
      }
      var address = Address(
        high: numbers.next() & mask(numbers.next()), low: numbers.next() & mask(numbers.next()),
        port: UInt16(truncatingIfNeeded: numbers.next()))
      if numbers.next() % 4 == 0 {
        address = Address(ipv4: UInt32(truncatingIfNeeded: address.low), port: address.port)
      }
      if numbers.next() % 4 == 0, !address.isIPv4 { address.scope = UInt32(truncatingIfNeeded: numbers.next()) }
      let text = address.description
      #expect(Address(text) == address, "seed \(seed): \(text)")
      #expect(Address(text)?.hashValue == address.hashValue)
      #expect((address < previous) != (previous < address) || address == previous)
      previous = address
      // A damaged text is refused or reads as something that itself comes back; it never traps.
      var bytes = Array(text.utf8)
      bytes[Int(numbers.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: numbers.next() % 128)
      if let other = Address(String(decoding: bytes, as: UTF8.self)) { #expect(Address(other.description) == other) }
    }
  }
}
