// ShellTests: the completions in the shells themselves, and the manual page in `man`, where these are installed.
import Foundation
import Testing

@testable import Strata

/// A program on this machine's PATH; nil where it isn't installed.
private func installed(_ name: String) -> String? {
  let places = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
  return places.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
}

@Suite(.serialized) struct ShellTests {
  /// What a program prints, in a folder with a node's file in it and with `strata` on the PATH.
  private func output(_ program: String, _ words: [String], input: String = "") throws -> String {
    let folder = try TestFolder()
    let strata = try #require(RunningNodeTests.program)
    try folder.write("alice.json", #"{"listen": "127.0.0.1:0"}"#)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = words
    process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
    var variables = ["HOME": folder.path, "TERM": "dumb", "LC_ALL": "C.UTF-8", "MANWIDTH": "80"]
    variables["PATH"] = "\(strata.dropLast("/strata".count)):" + (ProcessInfo.processInfo.environment["PATH"] ?? "")
    process.environment = variables
    let (said, asked) = (Pipe(), Pipe())
    process.standardOutput = said
    process.standardError = said
    process.standardInput = asked
    try process.run()
    try asked.fileHandleForWriting.write(contentsOf: Data(input.utf8))
    try asked.fileHandleForWriting.close()
    let text = String(decoding: said.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return text
  }

  /// Lines, each with all that its last word may become.
  private static let lines: [(line: String, offers: [String])] = [
    ("strata sta", ["status"]), ("strata gossip pub", ["publish"]), ("strata node al", ["alice.json"]),
    ("strata node --log ", ["text", "json"]), ("strata search find --mo", ["--mode"]),
  ]

  @Test("bash offers what may follow", .enabled(if: installed("bash") != nil && RunningNodeTests.program != nil))
  func bash() throws {
    for (line, offers) in Self.lines {
      let script = """
        source <(strata completion bash)
        COMP_LINE='\(line)'; COMP_POINT=${#COMP_LINE}; read -ra COMP_WORDS <<< "$COMP_LINE"
        [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _strata_complete
        printf '%s\\n' "${COMPREPLY[@]}"
        """
      let said = try output(try #require(installed("bash")), ["--norc", "-c", script])
      let found = said.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
      #expect(found == offers, "\(line): \(said)")
    }
  }

  @Test("fish offers what may follow", .enabled(if: installed("fish") != nil && RunningNodeTests.program != nil))
  func fish() throws {
    for (line, offers) in Self.lines {
      let script = "strata completion fish | source; complete -C '\(line)'"
      let said = try output(try #require(installed("fish")), ["--no-config", "-c", script])
      let found = said.split(separator: "\n").compactMap { $0.split(separator: "\t").first.map(String.init) }
      #expect(found == offers.sorted() || found == offers, "\(line): \(said)")
      if line == "strata sta" { #expect(said.contains("\tShows a running node"), "\(said)") }
    }
  }

  @Test("zsh offers what may follow", .enabled(if: installed("zsh") != nil && RunningNodeTests.program != nil))
  func zsh() throws {
    for (line, offers) in Self.lines {
      let said = try output(try #require(installed("zsh")), ["-f", "-c", Self.zshTyping, "zsh", line])
      let found = said.split(separator: "\n").map(String.init)
      #expect(found.sorted() == offers.sorted(), "\(line): \(said)")
    }
  }

  /// A zsh with a terminal of its own, in which a line and a tab are typed; what is offered is caught on the way.
  private static let zshTyping = #"""
    zmodload zsh/zpty
    zpty -b shell zsh -f -i
    say() { zpty -w shell "$1"; }
    # What is typed is echoed too, so the word that is waited for is typed in two parts.
    hear() { say "print -r -- $1''$2"; zpty -r -m shell heard "*$1$2*"; }
    say "PS1= PROMPT= RPROMPT=; autoload -Uz compinit; compinit -u -D; source <(strata completion zsh)"
    say 'compadd() {'
    say '  if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)* ]]; then'
    say '    local -a shown; builtin compadd -O shown "$@"; print -l -- offer:$^shown >> offers'
    say '  fi'
    say '  builtin compadd "$@"'
    say '}'
    hear rea dy
    zpty -w -n shell "$1"$'\t'
    # The line is taken away again, and what follows is read only when the tab has been dealt with.
    zpty -w -n shell $'\x15'
    hear do ne
    zpty -d shell
    sed -n 's/^offer://p' offers | sort -u
    """#

  @Test("The manual page is one that man shows without complaint", .enabled(if: installed("man") != nil))
  func man() throws {
    let page = URL(filePath: #filePath).appending(path: "../../../docs/man/strata.1").standardizedFileURL.path
    let said = try output(try #require(installed("man")), ["--warnings", "-l", page])
    #expect(!said.contains("warning:") && !said.contains("error:"), "\(said.prefix(2000))")
    for title in ["NAME", "SYNOPSIS", "strata gossip publish"] { #expect(said.contains(title), "\(title)") }
    // Examples stay as they are, so that they can be copied.
    for line in said.split(separator: "\n") where !line.hasPrefix("       strata ") {
      #expect(line.count <= 80, "\(line)")
    }
  }
}
