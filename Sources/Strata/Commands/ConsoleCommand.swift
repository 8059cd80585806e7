// ConsoleCommand: `console`: where a running node's console is.
import StackCore

extension CommandLineTool {
  /// `console`.
  var consoleCommand: CommandSpec {
    CommandSpec(
      name: "console", summary: "Prints the address of a running node's console, for a browser on this machine.",
      discussion: "The address holds the token that opens the control port: whoever has it can do all that you can.",
      options: ControlClient.options, examples: ["console --config alice.json"],
      action: { parsed, tool in
        tool.console.print(try ControlClient(parsed, tool).consoleAddress)
        return 0
      })
  }
}
