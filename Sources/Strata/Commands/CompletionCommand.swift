// CompletionCommand: `completion SHELL`: the few lines by which a shell asks this program what a word may become.
import StackCore

extension CommandLineTool {
  /// Shells that can be told.
  private static let shells = ["bash", "zsh", "fish"]

  /// `completion SHELL`.
  var completionCommand: CommandSpec {
    CommandSpec(
      name: "completion",
      summary: "Prints the completion for a shell: commands, options, layers, node files, addresses.",
      discussion: "bash: source <(\(program) completion bash)\nzsh: source <(\(program) completion zsh)\n"
        + "fish: \(program) completion fish | source\nIn the file that your shell reads at its start, it is there for good.",
      positionals: [
        PositionalSpec(name: "shell", summary: "bash, zsh or fish.", completes: .words(Self.shells))
      ],
      examples: ["completion bash", "completion fish > ~/.config/fish/completions/\(program).fish"],
      action: { parsed, tool in
        let shell = parsed.positional("shell") ?? ""
        guard Self.shells.contains(shell) else {
          let meant = nearest(shell, among: Self.shells).map { " (did you mean \"\($0)\"?)" } ?? ""
          throw UsageError("found the unknown shell \"\(harmless(shell))\", expected bash, zsh or fish\(meant)")
        }
        tool.console.write(Self.script(shell, program: tool.program))
        return 0
      })
  }

  /// `__complete SHELL WORD...`, which the shells' functions call.
  var completeCommand: CommandSpec {
    CommandSpec(
      name: "__complete", summary: "Prints what the last word may become, for a shell.", isHidden: true,
      positionals: [
        PositionalSpec(name: "shell", summary: "bash, zsh or fish."),
        PositionalSpec(name: "words", summary: "The words typed so far.", isRequired: false, takesRest: true),
      ],
      action: { parsed, tool in
        var words = parsed.positionals["words"] ?? []
        let shell = parsed.positional("shell") ?? ""
        if shell == "bash" { words = Array(Self.shellWords(words.first ?? "").dropFirst()) }
        let word = words.last ?? ""
        let answer = Completer(tool).answer(words)
        for offer in answer.offers.prefix(500) { tool.console.print(Self.line(offer, word, shell)) }
        if answer.takesFiles { tool.console.print(":files") }
        return 0
      })
  }

  /// An offer as a shell's function reads it.
  private static func line(_ offer: Completer.Offer, _ word: String, _ shell: String) -> String {
    let about = harmless(offer.about)
    switch shell {
    case "zsh":
      // The marks that part a word from what is said of it.
      let escaped = offer.word.map { $0 == ":" ? "\\:" : String($0) }.joined()
      return about.isEmpty ? escaped : escaped + ":" + about
    case "fish": return about.isEmpty ? offer.word : offer.word + "\t" + about
    default:
      // bash breaks words at these, and completes the last piece only.
      let head = word.lastIndex { ":=".contains($0) }.map { word[...$0].count } ?? 0
      return String(offer.word.dropFirst(head)) + (offer.isOpen || offer.word.hasSuffix("=") ? "" : " ")
    }
  }

  /// The words of a line as bash has it, up to the cursor; the last one is being typed, and may be empty.
  static func shellWords(_ line: String) -> [String] {
    var words: [String] = []
    var word = ""
    var isOpen = false
    var quote: Character?
    var isEscaped = false
    for letter in line {
      if isEscaped {
        word.append(letter)
        isEscaped = false
      } else if letter == "\\", quote != "'" {
        (isEscaped, isOpen) = (true, true)
      } else if let open = quote {
        if letter == open { quote = nil } else { word.append(letter) }
      } else if letter == "'" || letter == "\"" {
        (quote, isOpen) = (letter, true)
      } else if letter == " " || letter == "\t" {
        if isOpen { words.append(word) }
        (word, isOpen) = ("", false)
      } else {
        word.append(letter)
        isOpen = true
      }
    }
    return words + [word]
  }

  private static func script(_ shell: String, program: String) -> String {
    let name = String(program.map { $0.isLetter || $0.isNumber ? $0 : "_" })
    switch shell {
    case "bash":
      return """
        # bash completion for \(program)
        _\(name)_complete() {
          local IFS=$'\\n' line
          COMPREPLY=()
          while read -r line; do
            if [ "${line%% }" = ":files" ]; then
              compopt -o filenames +o nospace 2>/dev/null
              COMPREPLY+=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
            else
              COMPREPLY+=("$line")
            fi
          done < <("${COMP_WORDS[0]}" __complete bash -- "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
        }
        complete -o nospace -F _\(name)_complete \(program)

        """
    case "zsh":
      return """
        #compdef \(program)
        # zsh completion for \(program)
        _\(name)_complete() {
          local -a lines offers
          local line
          lines=("${(@f)$("${words[1]}" __complete zsh -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
          for line in $lines; do
            if [[ $line == ':files' ]]; then _files; elif [[ -n $line ]]; then offers+=("$line"); fi
          done
          (( $#offers )) && _describe -V '\(program)' offers
          return 0
        }
        (( $+functions[compdef] )) || { autoload -Uz compinit; compinit -u }
        compdef _\(name)_complete \(program)

        """
    default:
      return """
        # fish completion for \(program)
        function __\(name)_complete
          set -l words (commandline -opc)
          set -l current (commandline -ct)
          for line in ($words[1] __complete fish -- $words[2..-1] $current 2>/dev/null)
            if test "$line" = ":files"
              __fish_complete_path $current
            else
              echo $line
            end
          end
        end
        complete -c \(program) -f -a '(__\(name)_complete)'

        """
    }
  }
}
