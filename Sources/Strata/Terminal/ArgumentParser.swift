// ArgumentParser: reads a command's words by its table, and prints its help from the same.
import StackCore

extension CommandSpec {
  /// Reads the words given to this command. `path` is what leads to it, for errors.
  func parse(_ words: ArraySlice<String>, path: String) throws(UsageError) -> ParsedArguments {
    var parser = ArgumentParser(spec: self, path: path, words: words)
    return try parser.parse()
  }

  /// Its help.
  func helpLines(path: String, console: Console) -> [String] {
    var lines = wrapped(summary, width: console.width)
    lines += ["", console.styled("Usage:", .bold) + " " + usage(path)]
    if !discussion.isEmpty { lines += [""] + wrapped(discussion, width: console.width) }
    func section(_ title: String, _ rows: [[String]]) {
      if rows.isEmpty { return }
      lines += ["", console.styled(title, .bold)]
      lines += Table(rows: rows, indent: "  ").lines(width: console.width)
    }
    let shown = subcommands.filter { !$0.isHidden }
    if Set(shown.map(\.group)).count > 1 {
      for group in CommandSpec.Group.allCases {
        section(group.rawValue + ":", shown.filter { $0.group == group }.map { [$0.name, $0.summary] })
      }
    } else {
      section("Commands:", shown.map { [$0.name, $0.summary] })
    }
    section("Arguments:", positionals.map { [$0.name.uppercased(), $0.summary] })
    section("Options:", allOptions.map { [$0.shown, $0.description] })
    section("Examples:", examples.map { ["\(console.program) \($0)"] })
    return lines
  }

  /// The subcommand of a name.
  func subcommand(_ name: String) -> CommandSpec? { subcommands.first { $0.name == name } }
}

extension OptionSpec {
  /// How help shows it.
  var shown: String {
    (short.map { "-\($0), " } ?? "    ") + "--\(name)" + (value.map { " \($0)" } ?? "")
  }

  /// What help says of it.
  var description: String {
    choices.isEmpty ? summary : summary + " One of \(choices.joined(separator: ", "))."
  }
}

/// One pass over a command's words.
private struct ArgumentParser {
  let spec: CommandSpec
  let path: String
  var words: ArraySlice<String>
  var parsed = ParsedArguments()
  var places: [String] = []

  init(spec: CommandSpec, path: String, words: ArraySlice<String>) {
    self.spec = spec
    self.path = path
    self.words = words
  }

  mutating func parse() throws(UsageError) -> ParsedArguments {
    var onlyPlaces = false
    while let word = words.popFirst() {
      if onlyPlaces || !looksLikeOption(word) {
        places.append(word)
      } else if word == "--" {
        onlyPlaces = true
      } else {
        try option(word)
      }
    }
    parsed.wantsHelp = parsed.has("help")
    if !parsed.wantsHelp { try place() }
    return parsed
  }

  /// A lone dash is a file, and a number below zero is a value.
  private func looksLikeOption(_ word: String) -> Bool {
    guard word.hasPrefix("-"), word != "-" else { return false }
    return Double(word) == nil
  }

  private func error(_ text: String) -> UsageError { UsageError(text, help: path + " --help") }

  private mutating func option(_ word: String) throws(UsageError) {
    let (name, given) = split(word)
    let found =
      word.hasPrefix("--")
      ? spec.allOptions.first { $0.name == name }
      : spec.allOptions.first { $0.short.map { "\($0)" == name } ?? false }
    guard let found else { throw unknown(word, name) }
    var value = given ?? ""
    if let placeholder = found.value {
      guard let next = given ?? words.popFirst() else {
        throw error("\(word): found nothing after it, expected \(placeholder)")
      }
      value = next
    } else if given != nil {
      throw error("--\(found.name): found a value, expected none")
    }
    if !found.choices.isEmpty, !found.choices.contains(value) {
      let meant = nearest(value, among: found.choices).map { " (did you mean \"\($0)\"?)" } ?? ""
      throw error(
        "--\(found.name): found \"\(harmless(value))\", expected one of \(found.choices.joined(separator: ", "))\(meant)"
      )
    }
    if parsed.has(found.name), !found.repeats, found.value != nil {
      throw error("--\(found.name): found a second time, expected once")
    }
    parsed.options[found.name, default: []].append(value)
  }

  /// `--name=value` taken apart.
  private func split(_ word: String) -> (name: String, value: String?) {
    let bare = word.drop { $0 == "-" }
    guard word.hasPrefix("--"), let equals = bare.firstIndex(of: "=") else { return (String(bare), nil) }
    return (String(bare[..<equals]), String(bare[bare.index(after: equals)...]))
  }

  private func unknown(_ word: String, _ name: String) -> UsageError {
    let names = spec.allOptions.map(\.name)
    let meant = nearest(name, among: names).map { "\"--\($0)\" (did you mean that?)" }
    let shown = word.hasPrefix("--") ? "--" + name : word
    return error(
      "found the unknown option \"\(harmless(shown))\", expected "
        + (meant ?? names.map { "--\($0)" }.joined(separator: ", ")))
  }

  private mutating func place() throws(UsageError) {
    var rest = places[...]
    for positional in spec.positionals {
      if positional.takesRest {
        if !rest.isEmpty { parsed.positionals[positional.name] = Array(rest) }
        rest = []
      } else if let word = rest.popFirst() {
        parsed.positionals[positional.name] = [word]
      }
      let isGivenElsewhere = positional.unless.map { parsed.has($0) } ?? false
      if positional.isRequired, !isGivenElsewhere, parsed.positionals[positional.name] == nil {
        throw error("\(positional.name.uppercased()) is missing: \(positional.summary)")
      }
    }
    if let extra = rest.first {
      throw error("found \"\(harmless(extra))\", expected nothing more: \(spec.usage(path))")
    }
  }
}
