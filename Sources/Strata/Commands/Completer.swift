// Completer: what a shell may offer for the word that is being typed, from the table of commands.
import Glibc
import StackCore
import StackRuntime

/// Finds what a word may become.
struct Completer {
  /// One thing that may be typed.
  struct Offer: Hashable {
    /// The whole word.
    var word: String
    /// One line about it; may be empty.
    var about = ""
    /// Whether more is to be typed at its end, as after a folder.
    var isOpen = false
  }

  /// What is offered.
  struct Answer: Hashable {
    var offers: [Offer] = []
    /// Whether the shell's own list of files belongs there too.
    var takesFiles = false
  }

  private let tool: CommandLineTool
  /// What a shell shows at once.
  private static let most = 200

  init(_ tool: CommandLineTool) { self.tool = tool }

  /// What the last of the words may become; before it stand those already typed, without the program's name.
  func answer(_ words: [String]) -> Answer {
    let word = words.last ?? ""
    var spec = tool.wholeTable
    var rest = words.dropLast()[...]
    while !spec.subcommands.isEmpty, let next = rest.first, !next.hasPrefix("-") {
      guard let found = spec.subcommand(next) else { return Answer() }
      spec = found
      rest = rest.dropFirst()
    }
    var answer = complete(word, spec, Array(rest))
    answer.offers = answer.offers.filter { $0.word.hasPrefix(word) }
    return answer
  }

  private func complete(_ word: String, _ spec: CommandSpec, _ before: [String]) -> Answer {
    let typed = Typed(before, spec)
    if let option = typed.open { return values(option.completes, option.choices, word, typed) }
    if word.hasPrefix("--"), let equals = word.firstIndex(of: "=") {
      let head = String(word[...equals])
      guard let option = spec.allOptions.first(where: { head == "--\($0.name)=" }) else { return Answer() }
      var answer = values(option.completes, option.choices, String(word[word.index(after: equals)...]), typed)
      for place in answer.offers.indices { answer.offers[place].word = head + answer.offers[place].word }
      return answer
    }
    if word.hasPrefix("-"), !typed.onlyPlaces { return Answer(offers: options(spec, typed)) }
    if !spec.subcommands.isEmpty {
      return Answer(
        offers: spec.subcommands.filter { !$0.isHidden }.map { Offer(word: $0.name, about: $0.summary) })
    }
    guard let place = spec.positionals.indices.contains(typed.places) ? typed.places : lastRest(spec) else {
      return Answer(offers: options(spec, typed))
    }
    let positional = spec.positionals[place]
    if positional.completes == .nothing { return Answer() }
    return values(positional.completes, [], word, typed)
  }

  private func lastRest(_ spec: CommandSpec) -> Int? {
    spec.positionals.last?.takesRest == true ? spec.positionals.count - 1 : nil
  }

  private func options(_ spec: CommandSpec, _ typed: Typed) -> [Offer] {
    spec.allOptions.filter { $0.repeats || typed.options[$0.name] == nil }
      .map { Offer(word: "--\($0.name)", about: $0.summary) }
  }

  /// What was typed before the word.
  private struct Typed {
    var options: [String: String] = [:]
    var places = 0
    var onlyPlaces = false
    /// The option whose value the word is.
    var open: OptionSpec?

    init(_ words: [String], _ spec: CommandSpec) {
      for word in words {
        if let option = open {
          options[option.name] = word
          open = nil
        } else if word == "--" {
          onlyPlaces = true
        } else if !onlyPlaces, word.hasPrefix("-"), word != "-" {
          let bare = word.drop { $0 == "-" }
          let name = String(bare.prefix { $0 != "=" })
          let found = spec.allOptions.first { $0.name == name || word.count == 2 && $0.short.map { "\($0)" } == name }
          options[found?.name ?? name] = bare.contains("=") ? String(bare.drop { $0 != "=" }.dropFirst()) : ""
          if found?.value != nil, !bare.contains("=") { open = found }
        } else {
          places += 1
        }
      }
    }
  }

  // MARK: Values

  private func values(_ kind: Completes, _ choices: [String], _ word: String, _ typed: Typed) -> Answer {
    if !choices.isEmpty { return Answer(offers: choices.map { Offer(word: $0) }) }
    switch kind {
    case .nothing: return Answer()
    case .files: return Answer(takesFiles: true)
    case .folders: return Answer(offers: entries(word).filter(\.isOpen))
    case .words(let words): return Answer(offers: words.map { Offer(word: $0) })
    case .layers: return Answer(offers: layers(word))
    case .commands:
      return Answer(
        offers: tool.wholeTable.subcommands.filter { !$0.isHidden }.map { .init(word: $0.name, about: $0.summary) })
    case .nodeFiles:
      let offers = entries(word).filter { $0.isOpen || isNodeFile($0.word) }
      return Answer(offers: offers, takesFiles: offers.isEmpty)
    case .controlPorts: return Answer(offers: controlPorts())
    case .neighbours: return Answer(offers: neighbours(typed))
    }
  }

  /// The names of layers, after those that stand before the last comma.
  private func layers(_ word: String) -> [Offer] {
    let head = word.lastIndex(of: ",").map { String(word[...$0]) } ?? ""
    let taken = head.split(separator: ",").map(String.init)
    return tool.catalog.map { $0.manifest }.filter { !taken.contains($0.name) }
      .map { Offer(word: head + $0.name, about: $0.summary) }
  }

  /// What stands in the folder that a word names.
  private func entries(_ word: String) -> [Offer] {
    let head = word.lastIndex(of: "/").map { String(word[...$0]) } ?? ""
    let hidden = word.dropFirst(head.count).hasPrefix(".")
    let names = ((try? folderNames(head.isEmpty ? "." : head)) ?? []).filter { hidden || !$0.hasPrefix(".") }.sorted()
    return names.prefix(5 * Self.most).compactMap { name in
      let path = head + name
      guard path.hasPrefix(word) else { return nil }
      return isFolder(path) ? Offer(word: path + "/", isOpen: true) : Offer(word: path)
    }
  }

  /// Whether a file looks like a node's.
  private func isNodeFile(_ path: String) -> Bool {
    guard path.hasSuffix(".json"), let bytes = try? readFile(path), bytes.count < 256 << 10,
      let json = try? JSON.parse(bytes), json["nodes"] == nil, json["$schema"]?.stringValue?.contains("2020-12") != true
    else { return false }
    return ["layers", "listen", "peers", "control"].contains { json[$0] != nil }
  }

  private func controlPorts() -> [Offer] {
    RunningNodes.inFolder(".").compactMap { node in
      guard let text = try? readFile("\(node.data)/\(controlAddressFileName)") else { return nil }
      let address = String(decoding: text.prefix { $0 > 0x20 }, as: UTF8.self)
      return Address(address) == nil ? nil : Offer(word: "http://\(address)", about: node.name)
    }
  }

  /// A shell waits for the answer, so a node that doesn't give it at once isn't waited for.
  private func neighbours(_ typed: Typed) -> [Offer] {
    var parsed = ParsedArguments()
    for (name, value) in typed.options { parsed.options[name] = [value] }
    guard let client = try? ControlClient(parsed, tool),
      let body = try? client.get("/v1/neighbours", within: .milliseconds(400)), let json = try? JSON.parse(body)
    else { return [] }
    return (json["neighbours"]?.arrayValue ?? []).prefix(Self.most).compactMap { neighbour in
      neighbour["address"]?.stringValue.map {
        Offer(word: $0, about: harmless(neighbour["claimedName"]?.stringValue ?? ""))
      }
    }
  }
}

/// The names of what is in a folder.
func folderNames(_ folder: String) throws -> [String] {
  guard let open = opendir(folder) else { throw FailedError("can't read \(folder): \(systemText(errno))") }
  defer { closedir(open) }
  var names: [String] = []
  while let entry = readdir(open) {
    let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    if name != ".", name != ".." { names.append(name) }
  }
  return names
}

/// Whether there is a folder.
func isFolder(_ path: String) -> Bool {
  var facts = stat()
  return stat(path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFDIR
}
