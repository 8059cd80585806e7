// Strata: the whole command as one call, for this program and for anybody's own with other layers.
import Glibc
import StackCore

/// The `strata` command, for a program of any name and any layers.
public enum Strata {
  /// The version of Strata.
  public static let version = "0.1.0"

  /// Does what the process's arguments say, with these layers compiled in, and ends the process: with status 0, with 1
  /// when something was refused or failed, with 2 for a mistake in the arguments or the configuration.
  ///
  /// A program of one's own is this call with one's own layers:
  ///
  /// ```swift
  /// import Strata
  /// Strata.run(layers: Catalog.standard + [MyLayer.self], name: "mynode")
  /// ```
  /// - Parameters:
  ///   - layers: what may be switched on in a node's file.
  ///   - name: what the program is called in its help and its errors.
  ///   - version: what `--version` says.
  public static func run(
    layers: [any ProtocolLayer.Type], name: String = "strata", version: String = Strata.version
  ) -> Never {
    let tool = CommandLineTool(catalog: layers, version: version, console: .process(program: name))
    exit(tool.run(Array(CommandLine.arguments.dropFirst())))
  }
}
