// InitCommand: `init`: three questions, and a node's file that says no more than it must.
import Glibc
import StackCore
import StackRuntime

extension CommandLineTool {
  /// `init [FILE]`.
  var initCommand: CommandSpec {
    CommandSpec(
      name: "init", summary: "Writes a node's file, after three questions at most.",
      discussion:
        "Asks for what isn't given: the node's name, its layers, and a node to join. Enter takes the answer in brackets; "
        + "without a terminal all of them are taken. The schema that it writes beside the file makes an editor complete "
        + "and check it. For a file with every setting and what it means, see `\(program) config init`.",
      positionals: [
        PositionalSpec(
          name: "file", summary: "Where to write it; the node's name and .json when left out.", isRequired: false,
          completes: .files)
      ],
      options: [
        OptionSpec(name: "name", value: "NAME", summary: "What other nodes know this one by."),
        OptionSpec(
          name: "layers", value: "A,B", summary: "The layers to switch on; all for all that are compiled in.",
          completes: .layers),
        OptionSpec(
          name: "peer", short: "p", value: "HOST:PORT", summary: "A node to join; may be repeated.", repeats: true),
        OptionSpec(
          name: "listen", value: "ADDRESS",
          summary: "The UDP address it speaks from; else the first free port from 5000 on."),
        OptionSpec(name: "force", summary: "Replace the file if it is there."),
        OptionSpec(name: "json", summary: "Print what was written as JSON."),
      ],
      examples: ["init", "init alice.json --name alice --layers gossip,routing --peer 192.0.2.7:5000"],
      action: { parsed, tool in try tool.initialiseNode(parsed) })
  }

  private func initialiseNode(_ parsed: ParsedArguments) throws -> Int32 {
    // Before anybody is asked anything that would be in vain.
    if let path = parsed.positional("file") { try refuseToReplace(path, parsed) }
    let name = try name(parsed)
    let path = parsed.positional("file") ?? "\(name).json"
    if parsed.positional("file") == nil { try refuseToReplace(path, parsed) }
    let layers = try chosenLayers(parsed)
    let peers = try peers(parsed)
    let listen = try listen(parsed, peers)
    let schema = "\(program).schema.json"
    let folder = Path.folder(of: path)
    var file: JSON = ["$schema": .string(schema), "name": .string(name), "listen": .string(listen.description)]
    file["peers"] = .array(peers.map { .string($0) })
    file["layers"] = .object(JSONObject(layers.map { ($0, [:]) }))
    let bytes = Array((file.text(pretty: true) + "\n").utf8)
    _ = try NodeFile.parse(bytes, path: path, catalog: catalog)
    try writeFile(path, bytes, replacing: parsed.has("force"))
    let writesSchema = try writeSchema("\(folder)/\(schema)")
    if parsed.has("json") {
      console.print(JSON.object(["file": .string(path), "node": file]).text(pretty: true))
      return 0
    }
    say(path, name, listen, peers, layers, schema: writesSchema ? schema : nil)
    return 0
  }

  private func refuseToReplace(_ path: String, _ parsed: ParsedArguments) throws {
    guard !parsed.has("force"), access(path, F_OK) == 0 else { return }
    throw FailedError("\(path) exists already; choose another name, or add --force to replace it")
  }

  private func say(
    _ path: String, _ name: String, _ listen: Address, _ peers: [String], _ layers: [String], schema: String?
  ) {
    let beside = schema.map { " (and \($0) beside it, for editors)" } ?? ""
    console.print("\(console.styled(path, .bold)) is written\(beside).")
    console.print(
      "\(name) will speak from \(listen), with "
        + (layers.isEmpty ? "no layers" : "the layers \(layers.joined(separator: ", "))")
        + (peers.isEmpty ? ", and wait for others to join it." : ", and join \(peers.joined(separator: ", "))."))
    if !peers.isEmpty, listen.isUnspecified {
      console.print("It listens on every interface, since others are to reach it.")
    }
    console.print("\nStart it:             \(program) node \(path)")
    console.print("Then, elsewhere:      \(program) status --config \(path)")
  }

  // MARK: The questions

  private func name(_ parsed: ParsedArguments) throws -> String {
    if let given = parsed.option("name") {
      guard let fault = NodeName.fault(given) else { return given }
      throw UsageError("--name: found \(fault), expected \(NodeName.expected)")
    }
    let usual = NodeFile.defaultName(parsed.positional("file") ?? "node.json")
    return ask("What should other nodes call this one?", usual: usual) { answer in
      NodeName.fault(answer).map { .failure("That is \($0). Expected is \(NodeName.expected).") } ?? .success(answer)
    }
  }

  private func chosenLayers(_ parsed: ParsedArguments) throws -> [String] {
    let names = catalog.map { $0.manifest.name }
    if let given = parsed.option("layers") {
      switch layerNames(given) {
      case .success(let chosen): return chosen
      case .failure(let fault): throw UsageError("--layers: \(fault.text)")
      }
    }
    guard console.inputIsTerminal, !names.isEmpty else { return names }
    console.print()
    console.print(Table(rows: catalog.map { [$0.manifest.name, $0.manifest.summary] }, indent: "  "))
    return ask("Which of these layers? Names with commas between them, or none.", usual: "all", layerNames)
  }

  /// Something to ask again about.
  private struct Fault: Error, ExpressibleByStringInterpolation {
    var text: String
    init(stringLiteral text: String) { self.text = text }
  }

  private func layerNames(_ text: String) -> Result<[String], Fault> {
    let names = catalog.map { $0.manifest.name }
    if text == "all" { return .success(names) }
    if text == "none" { return .success([]) }
    var chosen: [String] = []
    for word in text.split(whereSeparator: { $0 == "," || $0 == " " }).map(String.init) {
      guard names.contains(word) else {
        let meant = nearest(word, among: names).map { "\"\($0)\" (did you mean that?)" }
        let known =
          meant ?? (names.isEmpty ? "none, for none is compiled in" : "one of \(names.joined(separator: ", "))")
        return .failure("found the unknown layer \"\(harmless(word))\", expected \(known)")
      }
      if !chosen.contains(word) { chosen.append(word) }
    }
    // What a layer needs comes along, rather than failing later.
    var place = 0
    while place < chosen.count {
      let manifest = catalog.first { $0.manifest.name == chosen[place] }?.manifest
      for need in manifest?.requires ?? [] {
        let providers = catalog.map { $0.manifest }.filter { $0.provides.contains(need) }.map(\.name)
        if !providers.contains(where: chosen.contains), let first = providers.first { chosen.append(first) }
      }
      place += 1
    }
    return .success(names.filter(chosen.contains))
  }

  private func peers(_ parsed: ParsedArguments) throws -> [String] {
    if let given = parsed.options["peer"] {
      for text in given {
        if let fault = HostAndPort.fault(text) {
          throw UsageError("--peer: found \(fault), expected \(HostAndPort.expected)")
        }
      }
      return given
    }
    let text = ask("A node to join, as host:port?", usual: "", shown: "none yet") { answer in
      answer.isEmpty
        ? .success("")
        : HostAndPort.fault(answer).map {
          .failure("Found \($0), expected \(HostAndPort.expected).")
        } ?? .success(answer)
    }
    return text.isEmpty ? [] : [text]
  }

  /// Asks until the answer is one; without a terminal the usual answer is taken.
  private func ask<T>(
    _ question: String, usual: String, shown: String? = nil, _ read: (String) -> Result<T, Fault>
  ) -> T {
    while true {
      var answer = usual
      if console.inputIsTerminal {
        console.write("\(console.styled(question, .bold)) [\(shown ?? usual)] ")
        let line = console.readLine()
        // The end of the input answers all that is still asked.
        if line == nil { console.print() }
        let typed = (line ?? "").split(separator: " ").joined(separator: " ")
        if !typed.isEmpty { answer = typed }
      }
      switch read(answer) {
      case .success(let value): return value
      case .failure(let fault): console.print("  \(fault.text)")
      }
    }
  }

  // MARK: Where it listens

  /// An address that is free now. Whoever joins a node elsewhere has to be reached from there.
  private func listen(_ parsed: ParsedArguments, _ peers: [String]) throws -> Address {
    if let text = parsed.option("listen") {
      guard let address = Address(text) else {
        throw UsageError("--listen: found \"\(harmless(text))\", expected an address such as 127.0.0.1:5000")
      }
      return address
    }
    let isLocal = peers.allSatisfy { Address($0)?.isLoopback ?? $0.hasPrefix("localhost:") }
    let isSix = peers.contains { $0.hasPrefix("[") }
    let host = isLocal ? (isSix ? "::1" : "127.0.0.1") : (isSix ? "::" : "0.0.0.0")
    for port in UInt16(5000)...5999 {
      guard let address = Address(host: host, port: port) else { break }
      if (try? DatagramSocket(bind: address, options: .init())) != nil { return address }
    }
    throw FailedError("no port from 5000 to 5999 is free on \(host); choose one with --listen")
  }

  /// Writes the schema where there is none, or an older one of ours; whether it did.
  private func writeSchema(_ path: String) throws -> Bool {
    let schema = NodeFile.jsonSchema(catalog: catalog, program: program)
    if access(path, F_OK) == 0 {
      guard let bytes = try? readFile(path), let old = try? JSON.parse(bytes), old["title"] == schema["title"],
        old["$schema"] == schema["$schema"], old != schema
      else { return false }
    }
    try writeFile(path, Array((schema.text(pretty: true) + "\n").utf8), replacing: true)
    return true
  }
}
