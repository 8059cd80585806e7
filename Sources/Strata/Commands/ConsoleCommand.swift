// ConsoleCommand: `console`: where a running node's console is.
import StackCore

extension CommandLineTool {
  /// `console`.
  var consoleCommand: CommandSpec {
    CommandSpec(
      name: "console", summary: "Prints the address of a running node's console, for a browser on this machine.",
      discussion: "The address holds the token that opens the control port: whoever has it can do all that you can.",
      options: ControlClient.options + [OptionSpec(name: "json", summary: "Print JSON.")],
      examples: ["console --config alice.json"],
      action: { parsed, tool in
        let client = try ControlClient(parsed, tool)
        // Nobody is sent to an address that another program may have by now.
        try client.prove()
        let address = client.consoleAddress
        tool.console.print(parsed.has("json") ? JSON.object(["address": .string(address)]).text(pretty: true) : address)
        return 0
      })
  }
}
