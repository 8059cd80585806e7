// PeersterTests: packets that real Peersters sent, decoded by layers that register their messages.
import Foundation
import PeersterVocabulary
import StackCore
import Testing

@testable import Strata

/// The Peersters' messages that no layer here speaks, as one of either year would register them.
enum Peerster {
  struct File: WireMessage {
    var name = ""
    var size: Int64 = 0
    var metafileHash: [UInt8] = []
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "name", &name)
      try field(2, "size", &size)
      try field(3, "metafileHash", &metafileHash)
    }
  }
  struct TxPublish: WireMessage {
    var file = File()
    var hopLimit: UInt32 = 0
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "file", &file)
      try field(2, "hopLimit", &hopLimit)
    }
  }
  struct Block: WireMessage {
    var prevHash: [UInt8] = []
    var nonce: [UInt8] = []
    var transactions: [TxPublish] = []
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "prevHash", &prevHash)
      try field(2, "nonce", &nonce)
      try field(3, "transactions", &transactions)
    }
  }
  struct BlockPublish: WireMessage {
    var block = Block()
    var hopLimit: UInt32 = 0
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "block", &block)
      try field(2, "hopLimit", &hopLimit)
    }
  }
  struct TxBlock: WireMessage {
    var prevHash: [UInt8] = []
    var transaction = File()
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "prevHash", &prevHash)
      try field(2, "transaction", &transaction)
    }
  }
  struct TLCMessage: WireMessage {
    var origin = ""
    var id: UInt32 = 0
    var confirmed: Int64 = 0
    var txBlock = TxBlock()
    var vectorClock: Status?
    var fitness: Float = 0
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "origin", &origin)
      try field(2, "id", &id)
      try field(3, "confirmed", &confirmed)
      try field(4, "txBlock", &txBlock)
      try field(5, "vectorClock", &vectorClock)
      try field(6, "fitness", &fitness)
    }
  }
  struct Ack: WireMessage {
    var message = Private()
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try message.fields(&field) }
  }
}

/// What those of 2018 have.
final class Peerster2018: ProtocolLayer {
  static let manifest = LayerManifest("peerster2018", "What Peersters of 2018 say.")
  init(config: NoConfig, setup: LayerSetup<Peerster2018>) {
    setup.sends(9, Peerster.TxPublish.self)
    setup.sends(10, Peerster.BlockPublish.self)
  }
}

/// What those of 2019 have.
final class Peerster2019: ProtocolLayer {
  static let manifest = LayerManifest("peerster2019", "What Peersters of 2019 say.")
  init(config: NoConfig, setup: LayerSetup<Peerster2019>) {
    setup.sends(9, Peerster.TLCMessage.self)
    setup.sends(10, Peerster.Ack.self)
  }
}

/// Our layers, and others with the rest of the messages of 2018.
var peersterCatalog: [any ProtocolLayer.Type] { Catalog.standard + [Peerster2018.self] }

@Suite struct PeersterTests {
  /// Captured packets stand beside the repository, where they are handed out; they are not part of it.
  private static let folder =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("shared/vectors/peerster").path

  /// The packets' files; those of clients hold no packets.
  private static var files: [String] {
    let all = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return all.filter { $0.hasSuffix(".json") && !$0.contains("ClientMessage") }.sorted()
  }

  @Test("Packets of real Peersters are read as they are", .enabled(if: !files.isEmpty, "no captured packets here"))
  func captured() throws {
    for file in Self.files {
      let json = try JSON.parse(try readFile("\(Self.folder)/\(file)"))
      let year: any ProtocolLayer.Type = file.contains("2018") ? Peerster2018.self : Peerster2019.self
      for sample in json["samples"]?.arrayValue ?? [] {
        let said = strata(
          "wire", "decode", sample["hex"]?.stringValue ?? "", catalog: Catalog.standard + [year])
        #expect(said.status == 0, "\(file): \(said.errors)")
        let found = Self.plain(try JSON.parse(said.output))
        let expected = Self.plain(sample["decoded"] ?? .null)
        #expect(found == expected, "\(file)")
      }
    }
  }

  /// Without what differs in spelling only: the case of keys, empty lists, and how data is shown.
  private static func plain(_ json: JSON) -> JSON {
    switch json {
    case .object(let members):
      .object(
        JSONObject(
          members.filter { $0.key != "DataLen" && $0.value != [] }.map { key, value in
            (key == "DataHex" ? "data" : key.lowercased(), plain(value))
          }))
    case .array(let elements): .array(elements.map(plain))
    default: json
    }
  }
}
