// Streaming: the bytes of a file for who looks at it now: from disk, or as they come, with what was asked for first.
import PeersterVocabulary
import StackCore

/// What readers of a download wait for, the newest first.
struct WantedRanges: Sendable {
  private(set) var ranges: [Range<Int64>] = []
  /// How many are remembered, and how far ahead of a reader is fetched in haste.
  static let most = 8
  static let ahead: Int64 = 8 << 20

  /// Somebody reads from the start of a range on. What it overlaps is taken for an earlier place of the same reader.
  mutating func read(_ range: Range<Int64>) {
    let near = range.lowerBound..<min(range.upperBound, range.lowerBound + Self.ahead)
    guard !near.isEmpty else { return }
    ranges.removeAll { $0.overlaps(near) }
    ranges.insert(near, at: 0)
    if ranges.count > Self.most { ranges.removeLast() }
  }

  /// The chunks that hold them.
  func chunks(of chunkSize: Int) -> [Range<Int>] {
    ranges.map { Int($0.lowerBound) / chunkSize..<(Int($0.upperBound) + chunkSize - 1) / chunkSize }
  }
}

extension FileShare {
  func declareStreaming(_ setup: LayerSetup<FileShare>) {
    setup.content(
      "content",
      "The bytes of a file that is shared here, was fetched or is being fetched; what is asked for comes "
        + "first.", key: "root", FileShare.read, cancelled: FileShare.readCancelled)
  }

  private func readCancelled(_ read: ContentRead, _ context: borrowing LayerContext<FileShare>) {
    transfers.reads.removeAll { $0.read.id == read.id }
  }

  /// Somebody wants a piece of a file.
  private func read(_ read: ContentRead, _ context: borrowing LayerContext<FileShare>) {
    guard let root = Hash256(hex: read.key) else {
      return read.fail(CommandError(.notFound, "name a file by its root hash of 64 hexadecimal digits"))
    }
    answer(read, root, context)
  }

  private func answer(_ read: ContentRead, _ root: Hash256, _ context: borrowing LayerContext<FileShare>) {
    if let (source, name) = librarySource(root, context) {
      let end = min(read.range.upperBound, source.shape.size)
      return answer(read, root, name, source, upTo: end, of: nil, context)
    }
    guard let download = transfers.download(root) else {
      return read.fail(CommandError(.notFound, "this file is neither shared here nor being fetched"))
    }
    answer(read, of: download, context)
  }

  /// Answers from a download what is there, and waits for what isn't.
  private func answer(_ read: ContentRead, of download: Download, _ context: borrowing LayerContext<FileShare>) {
    if download.state.isOver {
      let note = download.note.map { ": \($0)" } ?? ""
      return read.fail(CommandError(.conflict, "this download is \(download.state.rawValue)\(note)"))
    }
    if let descriptor = download.descriptor, download.state != .finishing {
      if read.range.isEmpty || read.range.lowerBound >= descriptor.size {
        return read.finish(piece(descriptor.safeName.text, descriptor.size, [], download.root))
      }
      download.wanted.read(read.range.lowerBound..<min(read.range.upperBound, descriptor.size))
      if let source = download.source, let map = download.mapToKeep {
        let first = Int(read.range.lowerBound) / descriptor.chunkSize
        if map[first] {
          let last = map.first(false, from: first) ?? map.count
          let end = min(read.range.upperBound, descriptor.size, Int64(last) * Int64(descriptor.chunkSize))
          hasten(download)
          return answer(read, download.root, descriptor.safeName.text, source, upTo: end, of: download, context)
        }
      }
    }
    guard download.state != .paused else {
      return read.fail(CommandError(.conflict, code: "paused", "this part isn't here yet, and the download is paused"))
    }
    transfers.reads.append((read, download.root))
    hasten(download)
    pump(download, context)
  }

  private func piece(_ name: String, _ size: Int64, _ bytes: [UInt8], _ root: Hash256) -> ContentPiece {
    ContentPiece(name: name, size: size, bytes: bytes, tag: root.hex)
  }

  /// Reads elsewhere, and answers.
  private func answer(
    _ read: ContentRead, _ root: Hash256, _ name: String, _ source: any PieceSource, upTo end: Int64,
    of download: Download?, _ context: borrowing LayerContext<FileShare>
  ) {
    let start = read.range.lowerBound
    let count = Int(max(0, min(Int64(read.limit), end - start)))
    guard count > 0 else { return read.finish(piece(name, source.shape.size, [], root)) }
    let work: @Sendable () -> [UInt8]? = {
      var isRead = false
      let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        isRead = source.read(level: 0, at: start, into: UnsafeMutableRawBufferPointer(buffer))
        filled = isRead ? count : 0
      }
      return isRead ? bytes : nil
    }
    let hasStarted = context.offload(work) { layer in
      { bytes, context in
        guard !read.isOver else { return }
        if let bytes { return read.finish(layer.piece(name, source.shape.size, bytes, root)) }
        // A download's file may have got its name meanwhile.
        if let download, download.state != .fetching { return layer.answer(read, root, context) }
        read.fail(CommandError(.conflict, code: "changed", "the file has changed or is gone"))
      }
    }
    if !hasStarted { read.fail(CommandError(.unavailable, code: "busy", "too much else is being done")) }
  }

  /// Has the download fetch first what readers wait for.
  func hasten(_ download: Download) {
    guard download.level == 0, download.source != nil, let descriptor = download.descriptor else { return }
    download.scheduler.urgent = download.wanted.chunks(of: descriptor.chunkSize)
  }

  /// More of a download is there, or it is in another state: looks again at what readers wait for.
  func serveReads(of download: Download, _ context: borrowing LayerContext<FileShare>) {
    guard !transfers.reads.isEmpty else { return }
    let waiting = transfers.reads.filter { $0.root == download.root }
    guard !waiting.isEmpty else { return }
    transfers.reads.removeAll { $0.root == download.root }
    for (read, root) in waiting where !read.isOver { answer(read, root, context) }
  }
}
