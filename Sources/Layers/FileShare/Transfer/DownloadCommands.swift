// DownloadCommands: what people can ask of downloads.
import PeersterVocabulary
import StackCore

/// What is to be downloaded.
public struct DownloadInput: CommandInput {
  @Argument("The file's link, or its root hash in 64 hexadecimal digits.") public var file = ""
  @Argument("Who has it: a node's name or address. Empty: all neighbours, and whom a search has found.")
  public var from = ""
  @Argument("Where it goes: an absolute path. Empty: the folder of downloads.") public var to = ""
  @Argument("How many bytes a second it may take; 0: as many as come.") public var rate = ByteCount(bytes: 0)
  @Argument("Whether a file that is there already may be replaced.") public var replace = false

  public init() {}
}

/// Which download is meant.
public struct DownloadChoice: CommandInput {
  @Argument("The file's root hash, or its first digits.") public var root = ""

  public init() {}
}

/// All downloads.
public struct DownloadList: Codable, Sendable {
  /// In the order they were begun.
  public var downloads: [DownloadProgress]
}

extension FileShare {
  func declareDownloadCommands(_ setup: LayerSetup<FileShare>) {
    setup.stream(
      "download", "Fetches a file from all who have it.",
      examples: ["strata:file?root=…&size=…", "\(String(repeating: "ab", count: 32)) --from alice"],
      FileShare.download)
    setup.command("downloads", "Shows the downloads.", FileShare.listDownloads)
    setup.command("pause", "Stops a download for now.", FileShare.pauseCommand)
    setup.command("resume", "Goes on with a download.", FileShare.resumeCommand)
    setup.command("cancel", "Gives a download up and removes what is there of it.", FileShare.cancelCommand)
    setup.command("holders", "Shows who brings which parts of a download.", FileShare.holdersCommand)
  }

  private func download(
    _ input: DownloadInput, _ call: CommandCall<DownloadProgress, DownloadProgress>,
    _ context: borrowing LayerContext<FileShare>
  ) throws {
    var descriptor: FileDescriptor?
    let root: Hash256
    if let hash = Hash256(hex: input.file) {
      root = hash
    } else {
      do { descriptor = try FileDescriptor(link: input.file) } catch {
        throw CommandError(.invalid, code: "bad-link", "\(error.message); or give a root hash of 64 digits")
      }
      guard let descriptor else { return }
      root = descriptor.root
    }
    if let known = transfers.download(root), !known.state.isOver {
      if known.state == .paused { try resume(known, context) }
      // It may wait for just this holder.
      if !input.from.isEmpty { add(holder: input.from, to: known, context) }
      keepBook(of: known, context)
      return known.watchers.append(call)
    }
    if !input.to.isEmpty, input.to.utf8.first != UInt8(ascii: "/") {
      throw CommandError(.invalid, code: "relative-path", "--to needs an absolute path")
    }
    guard transfers.downloads.count(where: { !$0.state.isOver }) < Transfers.mostDownloads else {
      throw CommandError(.unavailable, code: "too-many", "\(Transfers.mostDownloads) downloads are under way already")
    }
    try checkSize(descriptor)
    transfers.downloads.removeAll { $0.root == root }
    let download = Download(
      root: root, descriptor: descriptor, target: input.to.isEmpty ? nil : input.to, isReplacing: input.replace,
      rate: input.rate.bytes, at: context.now)
    transfers.downloads.append(download)
    download.watchers.append(call)
    if input.from.isEmpty {
      download.isOpenToAll = true
      addEverybody(to: download, context)
    } else {
      add(holder: input.from, to: download, context)
    }
    begin(download, context)
    if !download.state.isOver { keepBook(of: download, context) }
  }

  /// Adds the holder that a person named: an address, or a name.
  private func add(holder: String, to download: Download, _ context: borrowing LayerContext<FileShare>) {
    guard let address = Address(holder) else { return addHolder(named: WireText(holder), to: download, context) }
    context.introduce(to: address)
    addHolder(address, nil, to: download, context)
  }

  /// The largest file whose map of chunks fits into storage.
  static let mostChunks = 1 << 26

  private func checkSize(_ descriptor: FileDescriptor?) throws {
    guard let descriptor, descriptor.shape.chunkCount > Self.mostChunks else { return }
    throw CommandError(
      .refused, code: "too-large",
      "a file of \(descriptor.size) bytes in chunks of \(descriptor.chunkSize) has too many")
  }

  private func find(_ choice: DownloadChoice) throws -> Download {
    let found = transfers.downloads.filter { $0.root.hex.hasPrefix(choice.root) && !choice.root.isEmpty }
    guard let first = found.first else { throw CommandError(.notFound, "there is no download \(choice.root)") }
    guard found.count == 1 else {
      throw CommandError(.conflict, code: "ambiguous", "\(found.count) downloads begin with \(choice.root)")
    }
    return first
  }

  private func listDownloads(_ input: NoInput, _ context: borrowing LayerContext<FileShare>) throws -> DownloadList {
    DownloadList(downloads: transfers.downloads.map { $0.progress() })
  }

  private func holdersCommand(
    _ choice: DownloadChoice, _ context: borrowing LayerContext<FileShare>
  ) throws -> DownloadHolders { try find(choice).map() }

  private func pauseCommand(
    _ choice: DownloadChoice, _ context: borrowing LayerContext<FileShare>
  ) throws -> DownloadProgress {
    let download = try find(choice)
    guard [.locating, .checking, .fetching].contains(download.state) else {
      throw CommandError(.conflict, "this download is \(download.state.rawValue)")
    }
    pause(download, context)
    return download.progress()
  }

  private func resume(_ download: Download, _ context: borrowing LayerContext<FileShare>) throws {
    guard download.state == .paused else {
      throw CommandError(.conflict, "this download is \(download.state.rawValue)")
    }
    begin(download, context)
    if !download.state.isOver { keepBook(of: download, context) }
  }

  private func resumeCommand(
    _ choice: DownloadChoice, _ context: borrowing LayerContext<FileShare>
  ) throws -> DownloadProgress {
    let download = try find(choice)
    try resume(download, context)
    return download.progress()
  }

  private func cancelCommand(
    _ choice: DownloadChoice, _ context: borrowing LayerContext<FileShare>
  ) throws -> DownloadProgress {
    let download = try find(choice)
    guard !download.state.isOver else {
      throw CommandError(.conflict, "this download is \(download.state.rawValue)")
    }
    cancel(download, context)
    return download.progress()
  }
}
