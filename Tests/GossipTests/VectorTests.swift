// VectorTests: packets captured between real Peersters are read as what they say, and written as the same bytes.
import Foundation
import PeersterVocabulary
import StackCore
import Testing

@Suite struct VectorTests {
  /// Captured packets stand beside the repository, where they are handed out; they are not part of it.
  private static let folder =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("shared/vectors/peerster").path

  private static let kinds = ["Rumor_route", "Rumor_text", "Status_one", "Status_multi", "Private"]
  private static var files: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted().filter { file in
      kinds.contains { file.hasSuffix(".\($0).json") }
    }
  }

  @Test("Captured packets are read and written the same", .enabled(if: !files.isEmpty, "no captured packets here"))
  func captured() throws {
    var count = 0
    for file in Self.files {
      let text = try String(contentsOfFile: "\(Self.folder)/\(file)", encoding: .utf8)
      for sample in try JSON.parse(text)["samples"]?.arrayValue ?? [] {
        let packet = try #require(Self.bytes(sample["hex"]?.stringValue ?? ""))
        let decoded = try #require(sample["decoded"])
        #expect(try Self.built(decoded) == packet, "\(file)")
        #expect(try Self.rewritten(packet) == packet, "\(file)")
        count += 1
      }
    }
    #expect(Self.files.count == 10 && count > 20)
  }

  private static func bytes(_ hex: String) -> [UInt8]? {
    let digits = Array(hex)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
      .reduce(into: []) { all, byte in byte.map { all?.append($0) } }
  }

  /// The packet of what a capture is said to hold.
  private static func built(_ json: JSON) throws -> [UInt8] {
    func text(_ json: JSON, _ key: String) -> WireText { WireText(json[key]?.stringValue ?? "?") }
    func number(_ json: JSON, _ key: String) -> UInt32 { UInt32(json[key]?.integerValue ?? -1) }
    if let rumor = json["Rumor"] {
      return Rumor(origin: text(rumor, "Origin"), id: number(rumor, "ID"), text: text(rumor, "Text")).packet(as: 2)
    }
    if let status = json["Status"] {
      let want = (status["Want"]?.arrayValue ?? []).map {
        PeerStatus(identifier: text($0, "Identifier"), nextID: number($0, "NextID"))
      }
      return Status(want: want).packet(as: 3)
    }
    let message = try #require(json["Private"])
    return Private(
      origin: text(message, "Origin"), text: text(message, "Text"), destination: text(message, "Destination"),
      hopLimit: number(message, "HopLimit")
    ).packet(as: 4)
  }

  /// The packet read, and written again.
  private static func rewritten(_ bytes: [UInt8]) throws -> [UInt8] {
    var reader = WireReader(bytes.span.bytes)
    let tag = try #require(try reader.nextTag())
    var body = try reader.readNested()
    switch tag.number {
    case 2: return try Rumor(from: &body).packet(as: 2)
    case 3: return try Status(from: &body).packet(as: 3)
    default: return try Private(from: &body).packet(as: 4)
    }
  }

  @Test func textsThatAreNotUTF8PassUnchanged() throws {
    let rumor = Rumor(origin: WireText(bytes: [0xff, 0x41]), id: 3, text: WireText(bytes: [0x80, 0xfe]))
    let again = try Rumor(decoding: rumor.encoded())
    #expect(again == rumor)
    #expect(again.text.text == "\u{fffd}\u{fffd}")
  }

  @Test func ourExtensionsComeLast() {
    let plain = Rumor(origin: "A", id: 1, text: "x").encoded()
    let extended = Rumor(
      origin: "A", id: 1, text: "x", topic: "t", hops: 0, published: Instant(nanoseconds: 5)
    ).encoded()
    #expect(extended.starts(with: plain) && extended.count > plain.count)
  }
}
