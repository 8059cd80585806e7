// Manual: `man`: the manual page and docs/cli.md, from the table of commands.
import StackCore

extension CommandLineTool {
  /// `man`.
  var manCommand: CommandSpec {
    CommandSpec(
      name: "man", summary: "Prints the manual page of all commands, those of the layers too.",
      options: [OptionSpec(name: "markdown", summary: "Print it as Markdown instead.")],
      examples: ["man | man -l -", "man --markdown > cli.md"],
      action: { parsed, tool in
        let manual = Manual(tool)
        tool.console.write(parsed.has("markdown") ? manual.markdown : manual.roff)
        return 0
      })
  }
}

/// The manual, in the two forms in which it is kept.
struct Manual {
  private let program: String
  private let version: String
  private let root: CommandSpec

  init(_ tool: CommandLineTool) {
    program = tool.program
    version = tool.version
    root = tool.wholeTable
  }

  /// A command that can be typed, after all the words that lead to it.
  private struct Entry {
    var path: String
    var spec: CommandSpec
  }

  /// All commands with an action, in the table's order.
  private func entries(_ spec: CommandSpec, _ path: String) -> [Entry] {
    guard !spec.isHidden else { return [] }
    if spec.subcommands.isEmpty { return [Entry(path: path, spec: spec)] }
    return spec.subcommands.flatMap { entries($0, "\(path) \($0.name)") }
  }

  private func groups() -> [(title: String, about: String, entries: [Entry])] {
    CommandSpec.Group.allCases.flatMap { group -> [(String, String, [Entry])] in
      let commands = root.subcommands.filter { $0.group == group && !$0.isHidden }
      if group != .layer {
        let found = commands.flatMap { entries($0, "\(program) \($0.name)") }
        return found.isEmpty ? [] : [(group.rawValue, "", found)]
      }
      return commands.map { ("Layer \($0.name)", $0.summary, entries($0, "\(program) \($0.name)")) }
    }
  }

  // MARK: What isn't a command

  private static func files(_ program: String) -> [(String, String)] {
    [
      (
        "NAME.json", "A node's file: which layers it has and how they are set. `\(program) config schema` describes it."
      ),
      ("data/NAME/", "What a node keeps: node.sqlite, its layers' files, node.lock while it runs."),
      ("data/NAME/control.token", "The secret that opens its control port; readable by its owner only."),
      ("data/NAME/control.address", "Where its control port is, while it runs."),
    ]
  }

  private static let environment: [(String, String)] = [
    ("STRATA_CONFIG", "The node's file that commands ask about when --config isn't given."),
    ("NO_COLOR", "When set, and not empty, nothing is coloured."),
    ("COLUMNS", "How wide the output may be when it doesn't go to a terminal."),
    ("TZ", "The time zone in which times are shown."),
  ]

  private static let statuses: [(String, String)] = [
    ("0", "All is well."), ("1", "Something was refused, or failed."),
    ("2", "A mistake in the arguments or in a node's file."), ("130", "Interrupted."),
  ]

  // MARK: Markdown

  /// `docs/cli.md`.
  var markdown: String {
    var lines = [
      "# The command line", "",
      "`\(program) COMMAND --help` shows the same, command by command. This page is what `\(program) man --markdown` prints.",
      "", "| command | what it does |", "|---|---|",
    ]
    let groups = groups()
    for group in groups {
      for entry in group.entries {
        lines.append("| [`\(entry.path)`](#\(Self.anchor(entry.path))) | \(Self.cell(entry.spec.summary)) |")
      }
    }
    for group in groups {
      lines += ["", "## \(group.title)"]
      if !group.about.isEmpty { lines += ["", group.about] }
      for entry in group.entries { lines += markdown(entry) }
    }
    lines += ["", "## Files", ""] + Self.rows(Self.files(program))
    lines += ["", "## Environment", ""] + Self.rows(Self.environment)
    lines += ["", "## Exit status", ""] + Self.rows(Self.statuses)
    return lines.joined(separator: "\n") + "\n"
  }

  private func markdown(_ entry: Entry) -> [String] {
    let spec = entry.spec
    var lines = ["", "### \(entry.path)", "", Self.prose(spec.summary), "", "```", spec.usage(entry.path), "```"]
    for paragraph in spec.discussion.split(separator: "\n") { lines += ["", Self.prose(String(paragraph))] }
    let words =
      spec.positionals.map { ("`\($0.name.uppercased())`", $0.summary) }
      + spec.options.filter { !isCommon($0) }.map { ("`\($0.shown.trimmingSpaces)`", $0.description) }
    if !words.isEmpty { lines += [""] + words.map { "- \($0.0): \(Self.prose($0.1))" } }
    if spec.options.contains(where: isCommon) {
      lines += ["", "Which node: `--config FILE`, or `--control URL` with `--token-file FILE`."]
    }
    if !spec.examples.isEmpty {
      lines += ["", "```console"] + spec.examples.map { "$ \(program) \($0)".trimmingSpaces } + ["```"]
    }
    return lines
  }

  /// The options by which a node is found stand at every command, and are told once.
  private func isCommon(_ option: OptionSpec) -> Bool { ControlClient.options.contains { $0.name == option.name } }

  private static func anchor(_ title: String) -> String {
    String(
      title.lowercased().compactMap { $0 == " " ? "-" : $0.isLetter || $0.isNumber || "-_".contains($0) ? $0 : nil })
  }

  private static func prose(_ text: String) -> String {
    text.map { "<>".contains($0) ? "\\\($0)" : String($0) }.joined()
  }

  private static func cell(_ text: String) -> String { prose(text).map { $0 == "|" ? "\\|" : String($0) }.joined() }

  private static func rows(_ pairs: [(String, String)]) -> [String] { pairs.map { "- `\($0.0)`: \(prose($0.1))" } }

  // MARK: The manual page

  /// `docs/man/strata.1`.
  var roff: String {
    var lines = [
      ".\\\" Made by `\(program) man`.",
      ".TH \(program.uppercased()) 1 \"\" \"\(program) \(version)\" \"User Commands\"",
      ".SH NAME", "\(program) \\- \(Self.roff(Self.lowered(root.summary)))",
      ".SH SYNOPSIS", ".B \(program)", ".I COMMAND", "[\\fIOPTIONS\\fR]", ".SH DESCRIPTION",
      "A node is a JSON file; a layer is on when its section is there.",
      "Commands that ask a running node find it by \\fB\\-\\-config\\fR \\fIFILE\\fR, or by \\fB\\-\\-control\\fR \\fIURL\\fR",
      "with \\fB\\-\\-token\\-file\\fR \\fIFILE\\fR; without either by $STRATA_CONFIG, ./strata.json or ./node.json.",
      "With \\fB\\-\\-json\\fR they print JSON. \\fB\\-\\-help\\fR explains each.",
    ]
    for group in groups() {
      lines.append(".SH \"\(group.title.uppercased())\"")
      if !group.about.isEmpty { lines.append(Self.roff(group.about)) }
      for entry in group.entries { lines += roff(entry) }
    }
    lines.append(".SH FILES")
    lines += Self.items(Self.files(program))
    lines.append(".SH ENVIRONMENT")
    lines += Self.items(Self.environment)
    lines.append(".SH EXIT STATUS")
    lines += Self.items(Self.statuses)
    return lines.joined(separator: "\n") + "\n"
  }

  private func roff(_ entry: Entry) -> [String] {
    let spec = entry.spec
    var lines = [".SS \"\(Self.roff(spec.usage(entry.path)))\"", Self.roff(spec.summary)]
    for paragraph in spec.discussion.split(separator: "\n") { lines += [".PP", Self.roff(String(paragraph))] }
    lines += Self.items(spec.positionals.map { ($0.name.uppercased(), $0.summary) })
    lines += Self.items(
      spec.options.filter { !isCommon($0) }.map { ($0.shown.trimmingSpaces, $0.description) })
    if !spec.examples.isEmpty {
      lines +=
        [".PP", "Examples:", ".PP", ".nf"] + spec.examples.map { Self.roff("\(program) \($0)".trimmingSpaces) } + [
          ".fi"
        ]
    }
    return lines
  }

  private static func items(_ pairs: [(String, String)]) -> [String] {
    pairs.flatMap { [".TP", ".B \(roff($0.0))", roff($0.1)] }
  }

  /// Text in which nothing is taken for a request or an escape, and dashes are those that can be copied.
  private static func roff(_ text: String) -> String {
    var result = ""
    for letter in text {
      switch letter {
      case "\\": result += "\\e"
      case "-": result += "\\-"
      case "\"": result += "\\(dq"
      case "'" where result.isEmpty: result += "\\&'"
      case "." where result.isEmpty: result += "\\&."
      case "\n": result += " "
      default: result.append(letter)
      }
    }
    return result
  }

  private static func lowered(_ text: String) -> String {
    let end = text.hasSuffix(".") ? text.dropLast() : text[...]
    return end.prefix(1).lowercased() + end.dropFirst()
  }
}

extension String {
  /// Without spaces at either end.
  fileprivate var trimmingSpaces: String {
    var text = self[...]
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}
