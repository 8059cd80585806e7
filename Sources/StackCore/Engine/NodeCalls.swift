// NodeCalls: commands: how people call them, and the calls that are under way.

extension Node {
  /// Calls a command. The sink gets the pieces of the answer through `takeNews`; the answer is the call's number.
  @discardableResult
  public func call(
    _ layer: String, _ command: String, _ input: JSON, at time: Instant, _ sink: @escaping (CommandReply) -> Void
  ) -> UInt64 {
    advance(to: time)
    let id = nextNumber
    nextNumber += 1
    func fail(_ error: CommandError) { news.append(.reply(.failed(error), to: sink)) }
    if let found = commands.first(where: { $0.description.layer == layer && $0.description.name == command }) {
      if found.description.progress != nil, openCalls.count >= limits.calls {
        fail(CommandError(.unavailable, code: "too-many-calls", "\(limits.calls) commands are under way already"))
      } else {
        do { try found.run(input, sink, id) } catch { fail(CommandError(describing: error)) }
      }
    } else {
      fail(unknownCommand(layer, command))
    }
    settle()
    return id
  }

  /// Asks a layer for the next piece of some content. The sink gets the one answer through `takeNews`, at the latest
  /// when the layer goes; the number is for `cancel`.
  @discardableResult
  public func read(
    _ layer: String, _ content: String, key: String, _ range: Range<Int64>, limit: Int, at time: Instant,
    _ sink: @escaping (Result<ContentPiece, CommandError>) -> Void
  ) -> UInt64 {
    advance(to: time)
    let read = ContentRead(id: nextNumber, key: key, range: range, limit: max(1, limit), node: self, sink: sink)
    nextNumber += 1
    if openCalls.count >= limits.calls {
      read.fail(CommandError(.unavailable, code: "too-many-calls", "\(limits.calls) calls are under way already"))
    } else if let found = contents.first(where: { $0.description.layer == layer && $0.description.name == content }) {
      found.run(read)
    } else {
      read.fail(CommandError(.notFound, code: "unknown-content", "there is no content \(layer)/\(content)"))
    }
    settle()
    return read.id
  }

  private func unknownCommand(_ layer: String, _ command: String) -> CommandError {
    let layers = slots.compactMap { $0?.name }
    guard layers.contains(layer) else {
      return CommandError(
        .notFound, code: "unknown-layer",
        "this node has no layer \(layer); it has \(layers.isEmpty ? "none" : layers.joined(separator: ", "))")
    }
    let known = commands.filter { $0.description.layer == layer }.map(\.description.name)
    return CommandError(
      .notFound, code: "unknown-command",
      "layer \(layer) has no command \(command); it has \(known.isEmpty ? "none" : known.joined(separator: ", "))")
  }

  /// Ends a call that is under way; its layer is told. No matter if it has ended.
  public func cancel(call id: UInt64, at time: Instant) {
    advance(to: time)
    openCalls.first { $0.id == id }?.cancel(CommandError(.cancelled, "the call was cancelled"))
    settle()
  }

  // MARK: The layers' side

  func callStarted(_ id: UInt64, owner: Int32, _ cancel: @escaping (CommandError) -> Void) {
    openCalls.append((id, owner, cancel))
  }

  func callEnded(_ id: UInt64) { openCalls.removeAll { $0.id == id } }

  /// Ends the calls of one layer.
  func cancelCalls(owner: Int32, _ reason: CommandError) {
    for call in openCalls where call.owner == owner { call.cancel(reason) }
  }
}

extension CommandError {
  /// Any error a command may throw, as an answer.
  init(describing error: any Error) {
    switch error {
    case let error as CommandError: self = error
    case let error as JSONCodingError: self.init(.invalid, code: "invalid-input", error.description)
    case let error as FileError:
      self.init(error.kind == .notFound ? .notFound : .refused, code: "file-\(error.kind.rawValue)", error.message)
    case let error as StorageError:
      self.init(.unavailable, code: "storage-\(error.kind.rawValue)", error.message)
    default: self.init(.failed, "\(error)")
    }
  }
}
