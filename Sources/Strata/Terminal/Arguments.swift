// Arguments: what each command takes, as a table from which its help is printed and its words are read.

/// A word that is given as `--name`, or `--name VALUE`.
struct OptionSpec {
  /// Its name, without the dashes.
  var name: String
  /// One letter that means the same.
  var short: Character?
  /// What its value is called in help; nil for one that takes none.
  var value: String?
  /// One line about it.
  var summary: String
  /// The words its value may be; any when empty.
  var choices: [String] = []
  /// Whether it may be given more than once.
  var repeats = false
  /// What a shell may offer for its value.
  var completes = Completes.nothing
}

/// What a shell may offer for a word.
enum Completes: Hashable {
  case nothing
  /// Any file, which the shell finds itself.
  case files
  /// Folders.
  case folders
  /// Files that are a node's.
  case nodeFiles
  /// Layers, several with commas between them.
  case layers
  /// Commands of this program.
  case commands
  /// Where the control ports of running nodes are.
  case controlPorts
  /// Addresses of a running node's neighbours.
  case neighbours
  /// These words.
  case words([String])
}

/// A word that is known by its place.
struct PositionalSpec {
  /// What it is called in help.
  var name: String
  /// One line about it.
  var summary: String
  /// Whether it must be given.
  var isRequired = true
  /// An option that stands for it too.
  var unless: String?
  /// Whether it takes all that is left.
  var takesRest = false
  /// What a shell may offer for it.
  var completes = Completes.nothing
}

/// A command of the command line.
struct CommandSpec {
  /// What a command does with its arguments; the answer is the exit status.
  typealias Action = (ParsedArguments, CommandLineTool) throws -> Int32

  /// Its word.
  var name: String
  /// One line about it.
  var summary: String
  /// Under which title the program's help lists it.
  var group = Group.program
  /// Whether help leaves it out: it is for programs.
  var isHidden = false
  /// More about it, for its own help.
  var discussion = ""
  /// Words known by their places.
  var positionals: [PositionalSpec] = []
  /// Words with dashes.
  var options: [OptionSpec] = []
  /// Commands below this one.
  var subcommands: [CommandSpec] = []
  /// What may be typed after the program's name, to show.
  var examples: [String] = []
  /// What it does; nil when it only has subcommands.
  var action: Action?

  /// The titles under which the program's help lists its commands, in this order.
  enum Group: String, CaseIterable {
    case start = "To begin"
    case ask = "A running node"
    case layer = "Its layers"
    case develop = "Files, layers and the wire"
    case program = "This program"
  }

  /// `--help`, which every command has.
  static let help = OptionSpec(name: "help", short: "h", summary: "Show this help.")

  /// All its options.
  var allOptions: [OptionSpec] { options + [Self.help] }

  /// Its line of usage, after the words that lead to it.
  func usage(_ path: String) -> String {
    var text = path
    if !subcommands.isEmpty { text += action == nil ? " COMMAND" : " [COMMAND]" }
    for positional in positionals {
      let shown = positional.name.uppercased() + (positional.takesRest ? "..." : "")
      text += positional.isRequired ? " \(shown)" : " [\(shown)]"
    }
    return options.isEmpty ? text : text + " [OPTIONS]"
  }
}

/// Words that a command can't do anything with; the exit status is 2.
struct UsageError: Error, Hashable, CustomStringConvertible {
  /// What was found and what would be right.
  var description: String
  /// What to type for help, after the program's name.
  var help: String?

  init(_ description: String, help: String? = nil) {
    self.description = description
    self.help = help
  }
}

/// A command that was refused or failed; the exit status is 1.
struct FailedError: Error, Hashable, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

/// What was given to a command.
struct ParsedArguments {
  /// The words by place, in the order of their specs; those that take the rest have several.
  var positionals: [String: [String]] = [:]
  /// The options' values; a flag has one empty value each time.
  var options: [String: [String]] = [:]
  /// Whether help was asked for.
  var wantsHelp = false

  /// A word by place.
  func positional(_ name: String) -> String? { positionals[name]?.first }
  /// The last value of an option.
  func option(_ name: String) -> String? { options[name]?.last }
  /// Whether a flag was given.
  func has(_ name: String) -> Bool { options[name] != nil }

  /// A number given to an option, within bounds.
  func number<I: FixedWidthInteger>(_ name: String, in range: ClosedRange<I>) throws -> I? {
    guard let text = option(name) else { return nil }
    guard let number = I(text), range.contains(number) else {
      throw UsageError(
        "--\(name): found \"\(text)\", expected a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }
}
