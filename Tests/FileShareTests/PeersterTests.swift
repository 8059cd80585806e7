// PeersterTests: requests and replies as captured between Peersters, byte for byte.
import Foundation
import PeersterVocabulary
import StackCore
import Testing

@testable import FileShare

@Suite struct PeersterTests {
  /// Captured packets stand beside the repository, where they are handed out; they are not part of it.
  private static let folder =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("shared/vectors/peerster").path
  private static let kinds = ["DataRequest", "DataReply_chunk", "DataReply_meta_or_small"]
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
        let bytes = try #require([UInt8](hex: sample["hex"]?.stringValue ?? ""))
        var reader = WireReader(bytes.span.bytes)
        let tag = try #require(try reader.nextTag())
        var body = try reader.readNested()
        count += 1
        if tag.number == PeersterField.dataRequest {
          let request = try DataRequest(from: &body)
          let decoded = try #require(sample["decoded"]?["DataRequest"])
          #expect(request.packet(as: tag.number) == bytes)
          #expect(request.origin.text == decoded["Origin"]?.stringValue)
          #expect(request.destination.text == decoded["Destination"]?.stringValue)
          #expect(Int64(request.hopLimit) == decoded["HopLimit"]?.integerValue)
          #expect(request.hashValue.hex == decoded["HashValue"]?.stringValue)
        } else {
          let reply = try DataReply(from: &body)
          let decoded = try #require(sample["decoded"]?["DataReply"])
          #expect(reply.packet(as: tag.number) == bytes)
          #expect(Int64(reply.data.count) == decoded["DataLen"]?.integerValue)
          #expect(reply.hashValue.hex == decoded["HashValue"]?.stringValue)
        }
      }
    }
    #expect(Self.files.count == 6 && count > 10)
  }

  @Test func hashesOfAnotherLengthAreRefused() {
    for length in [0, 1, 31, 33, 64] {
      var writer = WireWriter()
      writer.writeTag(4, .bytes)
      writer.writeBytes([UInt8](repeating: 1, count: length).span.bytes)
      #expect(throws: WireError.self) { try DataRequest(decoding: writer.copied()) }
    }
  }

  @Test func theLargestReplyFitsWhatPeerstersRead() {
    let reply = DataReply(
      origin: WireText(String(repeating: "a", count: 255)), destination: WireText(String(repeating: "b", count: 255)),
      hopLimit: 10, hashValue: Hash256(), data: [UInt8](repeating: 1, count: 8_192))
    #expect(reply.packet(as: PeersterField.dataReply).count <= PeersterField.largestDatagram)
  }
}
