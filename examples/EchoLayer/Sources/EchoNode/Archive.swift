// Archive: writes the guestbook to a file: shows a service in use, a subscription, files, jobs and raw messages.
import StackCore

final class Archive: ProtocolLayer {
  struct Written: Codable, Sendable {
    var file: String
    var bytes: Int
  }
  struct Nothing: Codable, Sendable {}
  struct Copy: WireMessage {
    var data: [UInt8] = []
    mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "data", &data) }
  }
  static let manifest = LayerManifest(
    "archive", "Writes the guestbook to a file.", requires: [Shared.guestbook])
  private let book: any GuestbookReading
  private let copied: Counter
  private var unwritten = 0

  init(config: NoConfig, setup: LayerSetup<Archive>) throws {
    book = try setup.require(Shared.guestbook)
    copied = setup.counter("copied", "Bytes of other nodes' archives that came.")
    setup.gauge("unwritten", "Lines that came since the file was written.") { Double($0.unwritten) }
    setup.subscribe(Shared.signed) { archive in { _, _ in archive.unwritten += 1 } }
    setup.stream("write", "Writes the book to book.txt, and sends it to the neighbours.", Archive.write)
    setup.onRaw(1011, Copy.self, Archive.heard)
  }

  func write(
    _ input: NoInput, _ call: CommandCall<Nothing, Written>, _ context: borrowing LayerContext<Archive>
  ) {
    let entries = book.entries
    let files = context.files
    let accepted = context.offload {
      Self.save(entries, in: files)
    } then: { archive in
      { result, context in
        switch result {
        case .success(let text):
          archive.unwritten = 0
          context.sendToNeighbours(Copy(data: text), as: 1011)
          call.finish(Written(file: context.files.resolve("book.txt"), bytes: text.count))
        case .failure(let error): call.fail(CommandError(.failed, error.message))
        }
      }
    }
    if !accepted { call.fail(CommandError(.unavailable, "too much work waits")) }
  }

  private static func save(_ entries: [Entry], in files: any LayerFiles) -> Result<[UInt8], FileError> {
    let text = Array(entries.map { "\($0.author): \($0.text)\n" }.joined().utf8)
    do throws(FileError) {
      let file = try files.create("book.txt", reserving: Int64(text.count), resuming: false)
      try text.withUnsafeBufferPointer { bytes throws(FileError) in try file.write(.init(bytes), at: 0) }
      try file.commit(replacing: true)
      return .success(text)
    } catch { return .failure(error) }
  }

  func heard(
    _ reader: inout WireReader, _ peer: Address, _ context: borrowing LayerContext<Archive>
  ) throws(WireError) {
    var bytes = 0
    while let tag = try reader.nextTag() {
      if tag == WireTag(number: 1, type: .bytes) {
        bytes += try reader.readBytes().byteCount
      } else {
        try reader.skip(tag)
      }
    }
    copied.add(UInt64(bytes))
  }
}
