// ConfigCommands: `config check`, `config schema`, `config init`.
import StackCore

extension CommandLineTool {
  /// `config`.
  var configCommand: CommandSpec {
    CommandSpec(
      name: "config", summary: "Checks, describes and starts a node's file.",
      subcommands: [configCheckCommand, configSchemaCommand, configInitCommand])
  }

  private var configCheckCommand: CommandSpec {
    CommandSpec(
      name: "check", summary: "Checks a node's file: all that is wrong with it, a line each.",
      positionals: [
        PositionalSpec(name: "file", summary: "The node's file; - for standard input.", completes: .nodeFiles)
      ],
      options: [OptionSpec(name: "json", summary: "Print the file with all its defaults, as JSON.")],
      examples: ["config check alice.json"],
      action: { parsed, tool in
        let path = parsed.positional("file") ?? ""
        let file = try NodeFile.checked(path, catalog: tool.catalog)
        if parsed.has("json") {
          tool.console.print(file.filled.text(pretty: true))
        } else {
          let names = file.layers.map { $0.type.manifest.name }
          let layers = names.isEmpty ? "no layers" : "the layers \(names.joined(separator: ", "))"
          tool.console.print("\(path): right; node \(file.name) at \(file.listen) with \(layers)")
        }
        return 0
      })
  }

  private var configSchemaCommand: CommandSpec {
    CommandSpec(
      name: "schema", summary: "Prints the JSON Schema of a node's file, for editors.",
      discussion:
        "Write it beside your files and name it in them under \"$schema\", and an editor completes and checks them.",
      examples: ["config schema > strata.schema.json"],
      action: { _, tool in
        tool.console.print(NodeFile.jsonSchema(catalog: tool.catalog, program: tool.program).text(pretty: true))
        return 0
      })
  }

  private var configInitCommand: CommandSpec {
    CommandSpec(
      name: "init", summary: "Writes a file to start from: every setting with its default, and a comment about it.",
      discussion: "JSON has no comments, so keys that start with // stand for them, anywhere in a node's file.",
      positionals: [
        PositionalSpec(name: "file", summary: "Where to write it; printed when left out.", isRequired: false)
      ],
      options: [
        OptionSpec(name: "name", value: "NAME", summary: "The node's name."),
        OptionSpec(
          name: "layers", value: "A,B", summary: "The layers to switch on; all that are compiled in if left out."),
        OptionSpec(name: "schema", value: "PATH", summary: "What to write under $schema, for editors."),
        OptionSpec(name: "force", summary: "Replace the file if it is there."),
      ],
      examples: ["config init alice.json --name alice"],
      action: { parsed, tool in try tool.initialise(parsed) })
  }

  private func initialise(_ parsed: ParsedArguments) throws -> Int32 {
    if let name = parsed.option("name"), let fault = NodeName.fault(name) {
      throw UsageError("--name: found \(fault), expected \(NodeName.expected)")
    }
    let chosen = try parsed.option("layers").map { try layers(named: $0) } ?? catalog
    let file = NodeFile.starting(
      name: parsed.option("name"), layers: chosen, schemaReference: parsed.option("schema"))
    let text = file.text(pretty: true) + "\n"
    guard let path = parsed.positional("file") else {
      console.write(text)
      return 0
    }
    try writeFile(path, Array(text.utf8), replacing: parsed.has("force"))
    console.print("\(path) is written; start it with: \(program) node \(path)")
    return 0
  }

  private func layers(named text: String) throws -> [any ProtocolLayer.Type] {
    try text.split(separator: ",").map { name in
      guard let type = catalog.first(where: { $0.manifest.name == name }) else {
        let names = catalog.map { $0.manifest.name }
        let meant = nearest(String(name), among: names).map { "\"\($0)\" (did you mean that?)" }
        let known = names.isEmpty ? "none, for no layer is compiled in" : "one of \(names.joined(separator: ", "))"
        throw UsageError("--layers: found the unknown layer \"\(harmless(String(name)))\", expected \(meant ?? known)")
      }
      return type
    }
  }
}

extension NodeFile {
  /// Reads a file, and builds its layers into a node that never runs, so that what they refuse themselves is found too.
  static func checked(_ path: String, catalog: [any ProtocolLayer.Type]) throws(NodeFileError) -> NodeFile {
    let file = try read(path, catalog: catalog)
    do {
      _ = try probeNode(file.layers)
    } catch let error as BuildError {
      throw NodeFileError(file: path, problems: [.init(path: error.path, error.message)])
    } catch let error as JSONCodingError {
      throw NodeFileError(file: path, problems: [.init(error)])
    } catch {
      // What is kept on disk is not looked at here, so that its absence proves nothing.
    }
    return file
  }

  /// The whole file with all its defaults.
  var filled: JSON {
    var all = settings
    all["layers"] = .object(
      JSONObject(layers.map { ($0.type.manifest.name, settingsSchema(of: $0.type).filled($0.section)) }))
    return all
  }
}
