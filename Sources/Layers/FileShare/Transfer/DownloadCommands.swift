// DownloadCommands: what people can ask of downloads.
import PeersterVocabulary
import StackCore

/// What is to be downloaded.
public struct DownloadInput: CommandInput {
  @Argument("Its link, its root hash in 64 hexadecimal digits, or the number or the name of what a search has found.")
  public var file: String
  @Argument("Who has it: a node's name or address. Empty: all neighbours, and whom a search has found.")
  public var from = ""
  @Argument("Where it goes: an absolute path. Empty: the folder of downloads.") public var to = ""
  @Argument("How many bytes a second it may take; 0: as many as come.") public var rate = ByteCount(bytes: 0)
  @Argument("Whether a file that is there already may be replaced.") public var replace = false

  public init() {}
}

/// Which download is meant.
public struct DownloadChoice: CommandInput {
  @Argument("The root hash of the file, or of the folder's list, or its first digits.") public var root: String

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
      "download", "Fetches a file or a folder from all who have it.",
      examples: ["'strata:file?root=…&size=…'", "3", "\(String(repeating: "ab", count: 32)) --from alice"],
      FileShare.download)
    setup.command("downloads", "Shows the downloads.", examples: [""], FileShare.listDownloads)
    setup.command("pause", "Stops a download for now.", examples: ["2be435ce"], FileShare.pauseCommand)
    setup.command("resume", "Goes on with a download.", examples: ["2be435ce"], FileShare.resumeCommand)
    setup.command(
      "cancel", "Gives a download up and removes what is there of it.", examples: ["2be435ce"], FileShare.cancelCommand)
    setup.command(
      "holders", "Shows who brings which parts of a download.", examples: ["2be435ce"], FileShare.holdersCommand)
  }

  private func download(
    _ input: DownloadInput, _ call: CommandCall<DownloadProgress, DownloadProgress>,
    _ context: borrowing LayerContext<FileShare>
  ) throws {
    if input.file.utf8.starts(with: FolderDescriptor.prefix.utf8) { return try downloadFolder(input, call, context) }
    let choice = try choice(input.file)
    if let known = transfers.download(choice.root), !known.state.isOver {
      if known.state == .paused { try resume(known, context) }
      // It may wait for just this holder.
      if !input.from.isEmpty { add(holder: input.from, to: known, context) }
      keepBook(of: known, context)
      return known.watchers.append(call)
    }
    if !input.to.isEmpty, input.to.utf8.first != UInt8(ascii: "/") {
      throw CommandError(.invalid, code: "relative-path", "--to needs an absolute path")
    }
    try beginDownload(
      choice, target: try target(input.to, choice, context), isReplacing: input.replace, rate: input.rate.bytes,
      from: input.from, watcher: call, context)
  }

  /// Begins to fetch a file that isn't being fetched.
  func beginDownload(
    _ choice: FileChoice, target: String?, isReplacing: Bool, rate: Int64, from: String,
    watcher: CommandCall<DownloadProgress, DownloadProgress>? = nil, _ context: borrowing LayerContext<FileShare>
  ) throws {
    guard transfers.downloads.count(where: { !$0.state.isOver }) < Transfers.mostDownloads else {
      throw CommandError(.unavailable, code: "too-many", "\(Transfers.mostDownloads) downloads are under way already")
    }
    try checkSize(choice.descriptor)
    transfers.downloads.removeAll { $0.root == choice.root }
    let download = Download(
      root: choice.root, descriptor: choice.descriptor, target: target, isReplacing: isReplacing, rate: rate,
      at: context.now)
    transfers.downloads.append(download)
    if let watcher { download.watchers.append(watcher) }
    if from.isEmpty {
      download.isOpenToAll = true
      addEverybody(to: download, context)
    } else {
      add(holder: from, to: download, context)
    }
    begin(download, context)
    if !download.state.isOver { keepBook(of: download, context) }
  }

  /// Where a file goes: where the person said, or under the name by which a search has found it.
  private func target(
    _ to: String, _ choice: FileChoice, _ context: borrowing LayerContext<FileShare>
  ) throws -> String? {
    guard to.isEmpty else { return to }
    guard let name = choice.name else { return nil }
    try context.files.makeDirectory(config.downloads)
    return config.downloads.isEmpty ? name.text : config.downloads + "/" + name.text
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
    DownloadList(downloads: folders.map { progress($0) } + transfers.downloads.map { $0.progress() })
  }

  private func holdersCommand(
    _ choice: DownloadChoice, _ context: borrowing LayerContext<FileShare>
  ) throws -> DownloadHolders { try find(choice).map() }

  private func pauseCommand(
    _ choice: DownloadChoice, _ context: borrowing LayerContext<FileShare>
  ) throws -> DownloadProgress {
    if let folder = folder(choice.root), folder.state == .fetching {
      pause(folder, context)
      return progress(folder)
    }
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
    for place in download.holders.indices where download.holders[place].state != .ready {
      download.holders[place].silences = 0
    }
    begin(download, context)
    if !download.state.isOver { keepBook(of: download, context) }
  }

  private func resumeCommand(
    _ choice: DownloadChoice, _ context: borrowing LayerContext<FileShare>
  ) throws -> DownloadProgress {
    if let folder = folder(choice.root), folder.state == .paused {
      resume(folder, context)
      return progress(folder)
    }
    let download = try find(choice)
    try resume(download, context)
    return download.progress()
  }

  private func cancelCommand(
    _ choice: DownloadChoice, _ context: borrowing LayerContext<FileShare>
  ) throws -> DownloadProgress {
    if let folder = folder(choice.root) {
      cancel(folder, context)
      return progress(folder)
    }
    let download = try find(choice)
    guard !download.state.isOver else {
      throw CommandError(.conflict, "this download is \(download.state.rawValue)")
    }
    cancel(download, context)
    return download.progress()
  }
}
