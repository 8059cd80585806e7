// DescriptorTests: links, and names that strangers choose.
import PeersterVocabulary
import StackCore
import Testing

@testable import FileShare

@Suite struct DescriptorTests {
  private let root = Hash256(Array(0..<32)) ?? Hash256()

  /// Names as the worst of strangers write them.
  static let hostile = [
    "", ".", "..", "../../etc/passwd", "/etc/shadow", "a/../../b", "nul\0name", "line\nbreak\r\ttab", "\u{1b}[31mred",
    "-rf", "~root", ".bashrc", "$(reboot)", "`id`; rm -rf *", "'; DROP TABLE files; --", "a\\b\\c", " spaces ",
    "\u{202e}gnp.exe", "\u{200f}\u{2066}x\u{2069}", "zero\u{200b}width\u{feff}", "👩‍👩‍👧‍👦 family 🏳️‍🌈.png", "CON", "a|b>c<d&e",
    String(repeating: "x", count: 300) + ".tar.gz", String(repeating: "é", count: 300),
    String(repeating: "👩‍👩‍👧‍👦", count: 40),
    "\u{85}\u{2028}\u{2029}", "\u{7f}", "%2e%2e%2f", String(repeating: ".", count: 400),
  ]

  @Test func noNameLeadsAstray() {
    for name in Self.hostile {
      let safe = SafeName(name).text
      #expect((1...255).contains(safe.utf8.count), "\(name)")
      #expect(!safe.utf8.contains { $0 < 32 || $0 == 127 || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") })
      #expect(!safe.hasPrefix(".") && !safe.hasPrefix("-") && !safe.hasPrefix("~") && !safe.hasPrefix(" "))
      #expect(
        !safe.unicodeScalars.contains { (0x202a...0x202e).contains($0.value) || (0x2066...0x2069).contains($0.value) })
      #expect(SafeName(safe).text == safe, "\(name)")
      #expect((try? CheckedPath(safe))?.parts == [safe], "\(name)")
    }
    var random = RandomStream(seed: 4)
    for _ in 0..<2_000 {
      let bytes = (0..<random.next(below: 400)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let safe = SafeName(bytes: bytes).text
      #expect((1...255).contains(safe.utf8.count) && SafeName(safe).text == safe && !safe.contains("/"))
    }
  }

  @Test func whatIsMerelyOddStays() {
    for name in ["👩‍👩‍👧‍👦 family 🏳️‍🌈.png", "$(reboot)", "'; DROP TABLE files; --", "naïve café.txt", "a.b.c", "مرحبا.txt"] {
      #expect(SafeName(name).text == name)
    }
    #expect(SafeName(String(repeating: "x", count: 300) + ".tar").text.hasSuffix("x.tar"))
    #expect(SafeName("../../etc/passwd").text == "_._.._etc_passwd")
  }

  @Test func pathsStayBelow() {
    #expect(SafePath("../a//b/./c")?.text == "_./a/b/_/c")
    #expect(SafePath("///") == nil && SafePath("") == nil)
    #expect(SafePath(String(repeating: "a/", count: 33)) == nil)
    #expect(SafePath(String(repeating: "a", count: 4_000)) == nil)
    for name in Self.hostile {
      guard let path = SafePath(name) else { continue }
      #expect((try? CheckedPath(path.text))?.isAbsolute == false)
    }
  }

  @Test func linksComeBackAsTheyWere() throws {
    for name in Self.hostile where name.utf8.count <= 1_024 {
      for (size, chunk) in [(0 as Int64, 8_192), (1, 4_096), (TreeShape.largestSize, 65_536)] {
        let file = try #require(FileDescriptor(name: name, size: size, chunkSize: chunk, root: root))
        #expect(file.link.utf8.allSatisfy { $0 > 32 && $0 < 127 && !"'\"`$;<>|\\".utf8.contains($0) })
        #expect(try FileDescriptor(link: file.link) == file)
      }
    }
    let file = try #require(FileDescriptor(name: "a b.txt", size: 12, root: root))
    #expect(file.link == "strata:file?root=\(root.hex)&size=12&name=a%20b.txt")
  }

  @Test func wrongLinksAreRefused() {
    let hex = root.hex
    let wrong = [
      "", "strata:file?", "strata:file", "http://x", "strata:file?root=\(hex)", "strata:file?size=1",
      "strata:file?root=\(hex)&size=-1", "strata:file?root=\(hex)&size=+1", "strata:file?root=\(hex)&size=01",
      "strata:file?root=\(hex)&size=1152921504606846976", "strata:file?root=\(hex)&size=99999999999999999999",
      "strata:file?root=\(hex)&size=1&size=1", "strata:file?root=\(hex.dropLast())&size=1",
      "strata:file?root=\(hex)&size=1&chunk=8191", "strata:file?root=\(hex)&size=1&chunk=131072",
      "strata:file?root=\(hex)&size=1&name=%", "strata:file?root=\(hex)&size=1&name=%zz",
      "strata:file?root=\(hex)&size=1&name=%ff", "strata:file?root=\(hex)&size=1&name=a b",
      "strata:file?root=\(hex)&size=1&name", "strata:file?root=\(hex)&size=1&name=é",
      "strata:file?root=\(hex)&size=1&name=" + String(repeating: "a", count: 1_025),
      "strata:file?root=\(hex)&size=1&name=" + String(repeating: "a", count: 5_000),
    ]
    for link in wrong { #expect(throws: LinkError.self, "\(link)") { try FileDescriptor(link: link) } }
    #expect((try? FileDescriptor(link: "strata:file?size=1&later=x&root=\(hex)"))?.name == "")
    var random = RandomStream(seed: 8)
    let right = Array("strata:file?root=\(hex)&size=123456&chunk=4096&name=a%20b".utf8)
    for _ in 0..<3_000 {
      var bytes = right
      for _ in 0...random.next(below: 3) {
        bytes[Int(random.next(below: UInt64(bytes.count)))] = UInt8(truncatingIfNeeded: random.next())
      }
      if let file = try? FileDescriptor(link: String(decoding: bytes, as: UTF8.self)) {
        #expect((try? FileDescriptor(link: file.link)) == file)
      }
    }
  }
}
