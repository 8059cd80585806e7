// CommandLineTool: the whole command: its layers, its console and its table of commands.
import StackCore

/// One invocation of the command.
final class CommandLineTool {
  /// The layers compiled in.
  let catalog: [any ProtocolLayer.Type]
  /// The version that `--version` prints.
  let version: String
  /// Where its words go.
  let console: Console

  init(catalog: [any ProtocolLayer.Type], version: String, console: Console) {
    self.catalog = catalog
    self.version = version
    self.console = console
  }

  /// What the program is called.
  var program: String { console.program }
}
