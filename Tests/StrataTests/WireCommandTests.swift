// WireCommandTests: packets to JSON, and all messages as a .proto file.
import Foundation
import StackCore
import StackRuntime
import Testing

@testable import Strata

@Suite struct WireCommandTests {
  /// A packet with one message in a field.
  private func packet(_ number: UInt32, _ message: some WireMessage) -> [UInt8] {
    var writer = WireWriter()
    writer.writeTag(number, .bytes)
    let start = writer.beginNested()
    message.encode(into: &writer)
    writer.endNested(start)
    return writer.copied()
  }

  private func decode(_ bytes: [UInt8]) throws -> JSON {
    let said = strata("wire", "decode", bytes.hex)
    guard said.status == 0 else { throw FailedError(said.errors) }
    return try JSON.parse(said.output)
  }

  @Test("Every sort of value is shown by its name") func values() throws {
    let branch = Tree.Branch(
      name: "root", branches: [.init(name: "twig"), .init(name: "leaf", line: .init(number: -5))],
      signed: -7, exact: Fixed64(.max), part: 0.5, hash: Hash256(), yes: true)
    let json = try decode(packet(1002, branch))["branch"]
    #expect(json?["name"] == "root" && json?["signed"] == -7 && json?["yes"] == true && json?["part"] == 0.5)
    #expect(json?["exact"] == JSON(UInt64.max))
    #expect(json?["hash"]?.stringValue == String(repeating: "0", count: 64))
    #expect(json?["branches"]?[1]?["name"] == "leaf" && json?["branches"]?[1]?["line"]?["number"] == -5)
    #expect(json?["line"] == nil)
  }

  @Test("Numbers in a list may be packed or not") func packed() throws {
    let packed = try decode(packet(1000, Chat.Line(text: "x", ids: [1, 300])))
    #expect(packed["line"] == ["text": "x", "ids": [1, 300]])
    // Field 1000 with 1: "x", and field 2 twice as single numbers.
    let single = try decode([0xC2, 0x3E, 0x08, 0x0A, 0x01, 0x78, 0x10, 0x01, 0x10, 0xAC, 0x02])
    #expect(single == packed)
  }

  @Test("Fields that nobody knows are shown as they are") func unknown() throws {
    let json = try decode([0x98, 0x75, 0x05, 0x9D, 0x75, 1, 2, 3, 4, 0x9A, 0x75, 0x02, 0xAB, 0xCD])
    #expect(
      json["unknownFields"] == [
        ["number": 1875, "type": "varint", "value": 5], ["number": 1875, "type": "fixed32", "hex": "01020304"],
        ["number": 1875, "type": "bytes", "hex": "abcd"],
      ])
  }

  @Test(
    "Bytes that are no packet are refused, with the place",
    arguments: [
      ("c23e05", "byte 0 (line): the bytes end inside a field"),
      ("c23e03080178", "byte 3 (line.text): a known field with another wire type than it has"),
      ("c23e030a01ff", "byte 3 (line.text): text that is not UTF-8"),
      ("c23e0212ff", "byte 3 (line.ids): the bytes end inside a field"),
      ("07", "byte 0: not a field: its number or its wire type doesn't exist"),
      ("90ffffffffffffffffffff01", "byte 0: a number longer than 64 bits"),
    ])
  func malformed(_ hex: String, _ message: String) {
    let said = strata("wire", "decode", hex)
    #expect(said.errors == "strata: not a packet of these layers: \(message)\n")
    #expect(said.status == 1)
  }

  @Test("Random bytes never do harm") func random() {
    var state: UInt64 = 42
    let schema = WireSchema.packet(
      CommandLineTool(catalog: testCatalog, version: "", console: Console(program: "") { _, _ in nil }).packetFields())
    for _ in 0..<5_000 {
      var bytes: [UInt8] = []
      for _ in 0..<Int(state % 40) {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes.append(UInt8(truncatingIfNeeded: state >> 33))
      }
      state = state &* 6_364_136_223_846_793_005 &+ 1
      do throws(WireDecodeError) { _ = try WireDecoder.json(bytes, as: schema) } catch {
        #expect((0...bytes.count).contains(error.offset))
      }
    }
  }

  @Test("A long list is read one by one, in order") func long() throws {
    var writer = WireWriter()
    for number in 0..<300_000 as Range<UInt64> {
      writer.writeTag(2, .varint)
      writer.writeVarint(number % 7)
    }
    let ids = WireFieldSchema(number: 2, name: "ids", kind: .value(protoName: "uint32"), presence: .repeated)
    let json = try WireDecoder.json(writer.copied(), as: WireSchema(name: "Line", fields: [ids]))
    #expect(json["ids"]?.arrayValue?.count == 300_000 && json["ids"]?[299_999] == .integer(299_999 % 7))
  }

  @Test("Messages that hold themselves without end are refused") func deep() {
    var bytes: [UInt8] = []
    for _ in 0..<60 {
      var writer = WireWriter()
      writer.writeTag(2, .bytes)
      writer.writeBytes(bytes.span.bytes)
      bytes = writer.copied()
    }
    let said = strata("wire", "decode", bytes.hex, "--message", "branch")
    #expect(said.status == 1 && said.errors.contains("messages nested more than 32 deep"))
  }

  @Test("A file may hold the hex or the bytes") func files() throws {
    let folder = try TestFolder()
    let bytes = packet(1000, Chat.Line(text: "x", ids: []))
    let hex = try folder.write("packet.hex", bytes.map { [$0].hex }.joined(separator: " ") + "\n")
    #expect(FileManager.default.createFile(atPath: folder.path + "/packet.bin", contents: Data(bytes)))
    for path in [hex, folder.path + "/packet.bin"] {
      #expect(strata("wire", "decode", path).output.contains("\"text\": \"x\""))
    }
  }

  @Test("The .proto file names each message once, whoever registered it") func proto() {
    let text = strata("proto").output
    for line in [
      "syntax = \"proto3\";", "  Line line = 1000;  // chat", "  TreeLine treeLine = 1001;  // tree",
      "  optional uint64 capability = 34;  // core", "  repeated .strata.Branch branches = 2;",
      "  .strata.TreeLine line = 3;", "  repeated uint32 ids = 2;", "message Hello {",
    ] { #expect(text.contains("\n\(line)") || text.hasPrefix(line), "\(line)") }
    let names = text.split(separator: "\n").filter { $0.hasPrefix("message ") }
    #expect(Set(names).count == names.count)
  }

  @Test("protoc takes the .proto file", .enabled(if: protoc != nil, "protoc is not installed"))
  func protocAccepts() throws {
    let folder = try TestFolder()
    try folder.write("strata.proto", strata("proto", catalog: testCatalog + peersterCatalog).output)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(protoc))
    process.arguments = ["-I", folder.path, "--descriptor_set_out=/dev/null", "strata.proto"]
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
  }
}

/// The protobuf compiler, where there is one.
let protoc = ["/usr/bin/protoc", "/usr/local/bin/protoc"].first { FileManager.default.isExecutableFile(atPath: $0) }
