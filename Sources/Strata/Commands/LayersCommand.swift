// LayersCommand: `layers`: what is compiled in, and all that it registers.
import StackCore

extension CommandLineTool {
  /// `layers [NAME]`.
  var layersCommand: CommandSpec {
    CommandSpec(
      name: "layers", summary: "Lists the layers compiled in, with all that they register.",
      positionals: [
        PositionalSpec(
          name: "name", summary: "One layer, with its messages, commands, events, metrics and settings.",
          isRequired: false)
      ],
      options: [OptionSpec(name: "json", summary: "Print JSON.")],
      examples: ["layers", "layers core"],
      action: { parsed, tool in try tool.listLayers(parsed) })
  }

  private func listLayers(_ parsed: ParsedArguments) throws -> Int32 {
    var reports = LayerReport.all(catalog)
    if let name = parsed.positional("name") {
      let known = [LayerReport.core()] + reports
      reports = known.filter { $0.manifest.name == name }
      guard !reports.isEmpty else {
        let names = known.map(\.manifest.name)
        let meant = nearest(name, among: names).map { "\"\($0)\" (did you mean that?)" }
        throw UsageError(
          "found the unknown layer \"\(harmless(name))\", expected \(meant ?? "one of \(names.joined(separator: ", "))")"
        )
      }
      if !parsed.has("json") { for report in reports { show(report) } }
    }
    if parsed.has("json") {
      console.print(JSON.object(["layers": .array(reports.map(\.json))]).text(pretty: true))
    } else if parsed.positional("name") == nil {
      summarise(reports)
    }
    return 0
  }

  private func summarise(_ reports: [LayerReport]) {
    if reports.isEmpty {
      return console.print("No layer is compiled in; `\(program) layers core` shows what every node has.")
    }
    console.print(
      Table(
        titles: ["LAYER", "MESSAGES", "COMMANDS", "EVENTS", "METRICS", "SETTINGS", ""],
        rows: reports.map { report in
          [
            report.manifest.name, "\(report.messages.count)", "\(report.commands.count)", "\(report.events.count)",
            "\(report.metrics.count)", "\(report.settings.properties.count)", report.manifest.summary,
          ]
        }))
  }

  private func show(_ report: LayerReport) {
    let manifest = report.manifest
    console.print(console.styled(manifest.name, .bold) + ": " + manifest.summary)
    for (title, services) in [
      ("provides", manifest.provides), ("requires", manifest.requires), ("uses", manifest.uses),
    ] where !services.isEmpty { console.print("  \(title): \(services.joined(separator: ", "))") }
    if let failure = report.failure { console.print("  It can't be built with its defaults alone: \(failure)") }
    section("Messages", report.messages.map { ["\($0.number)", $0.schema.name, fields($0.schema)] })
    section("Commands", report.commands.map { [usage($0), $0.summary] })
    section("Events", report.events.map { [$0.name, $0.summary] })
    section("Metrics", report.metrics.map { [$0.name, $0.kind, $0.summary] })
    section(
      "Settings",
      report.settings.properties.map { property in
        [property.name, property.defaultValue?.stringValue ?? property.defaultValue?.text() ?? "", about(property)]
      })
  }

  private func about(_ property: Schema.Property) -> String {
    if case .any = property.schema.kind { return property.description }
    return "\(property.description) (\(property.schema.summary)\(property.live ? "; live" : ""))"
  }

  private func fields(_ schema: WireSchema) -> String { schema.fields.map(\.name).joined(separator: ", ") }

  /// A command as it is typed.
  private func usage(_ command: CommandDescription) -> String {
    LayerCommandArguments(command.input)
      .spec(layer: command.layer, name: command.name, summary: command.summary, examples: [])
      .usage(command.name)
      .replacingSuffix(" [OPTIONS]", with: "")
  }

  private func section(_ title: String, _ rows: [[String]]) {
    if rows.isEmpty { return }
    console.print("  " + console.styled(title, .bold))
    console.print(Table(rows: rows, indent: "    "))
  }
}

extension String {
  /// The text with another end, if it has this one.
  fileprivate func replacingSuffix(_ suffix: String, with other: String) -> String {
    hasSuffix(suffix) ? dropLast(suffix.count) + other : self
  }
}
