// FileChoice: which file a person means who gives a link, a root, or a search result's number or name.
import PeersterVocabulary
import StackCore

/// A file to be fetched, by what was said of it.
struct FileChoice: Sendable, Hashable {
  var root: Hash256
  /// What a link says of it. What a search was told is no such thing: a size that nobody vouches for isn't taken over.
  var descriptor: FileDescriptor?
  /// What the search that found it called it.
  var name: SafeName?
}

extension FileShare {
  /// The most candidates that an error lists.
  private static let mostListed = 10

  /// The file that is meant. A number is a search result's; where no result has it, it may still be a name.
  func choice(_ text: String) throws(CommandError) -> FileChoice {
    if let root = Hash256(hex: text) { return FileChoice(root: root) }
    if text.utf8.starts(with: "strata:".utf8) {
      do {
        let descriptor = try FileDescriptor(link: text)
        return FileChoice(root: descriptor.root, descriptor: descriptor)
      } catch { throw CommandError(.invalid, code: "bad-link", error.message) }
    }
    if let number = Int(text), let entry = transfers.found[number: number] { return FileChoice(entry) }
    let found = transfers.found.named(text)
    guard let first = found.first else { throw unknown(text) }
    guard found.count == 1 else { throw ambiguous(first.name, found) }
    return FileChoice(first)
  }

  private func unknown(_ text: String) -> CommandError {
    let shown = SafeName(text).text
    if !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) {
      return CommandError(.notFound, code: "no-result", "no search has found a number \(shown); see strata search find")
    }
    return CommandError(
      .notFound, code: "no-result",
      "no search has found a file called \(shown); a link (strata:file?…), a root of 64 hexadecimal digits, "
        + "or the number or name of what a search has found is wanted")
  }

  private func ambiguous(_ name: SafeName, _ found: [FoundBook.Entry]) -> CommandError {
    let listed = found.prefix(Self.mostListed).map { entry in
      let label = entry.number.map { "number \($0)" } ?? "\(entry.root.hex)"
      return label + (entry.size.map { " (\($0) bytes)" } ?? "")
    }
    let more = found.count > listed.count ? ", and \(found.count - listed.count) more" : ""
    return CommandError(
      .conflict, code: "ambiguous",
      "\(found.count) files are called \(name): \(listed.joined(separator: ", "))\(more); give one's number or root")
  }
}

extension FileChoice {
  fileprivate init(_ entry: FoundBook.Entry) {
    self.init(root: entry.root, descriptor: nil, name: entry.name)
  }
}
