// NodeQueries: `status`, `neighbours`, `metrics` and `events`: what a running node says of itself; `reload` and `stop`.
import StackCore

extension CommandLineTool {
  /// `status`.
  var statusCommand: CommandSpec {
    CommandSpec(
      name: "status", summary: "Shows a running node: its name, address, uptime, layers and settings.",
      options: ControlClient.options + [OptionSpec(name: "json", summary: "Print JSON.")],
      examples: ["status --config alice.json"], action: { parsed, tool in try tool.show("/v1/node", parsed) })
  }

  /// `neighbours`.
  var neighboursCommand: CommandSpec {
    CommandSpec(
      name: "neighbours", summary: "Lists a running node's neighbours.",
      options: ControlClient.options + [OptionSpec(name: "json", summary: "Print JSON.")],
      examples: ["neighbours --config alice.json"],
      action: { parsed, tool in try tool.show("/v1/neighbours?measure=10", parsed) })
  }

  private func show(_ path: String, _ parsed: ParsedArguments) throws -> Int32 {
    let json = try ControlClient(parsed, self).json(path)
    parsed.has("json") ? console.print(json.text(pretty: true)) : console.show(forPeople(json))
    return 0
  }

  /// Without what only programs follow: where the schemas of settings stand.
  private func forPeople(_ json: JSON) -> JSON {
    if let neighbours = json["neighbours"]?.arrayValue {
      var shown: JSON = ["neighbours": .array(neighbours.map(neighbourRow))]
      // Names that have no address are said only where there are some.
      if let names = json["unresolved"], names.arrayValue?.isEmpty == false { shown["unresolved"] = names }
      return shown
    }
    guard let layers = json["layers"]?.arrayValue else { return json }
    var shown = json
    shown["layers"] = .array(
      layers.map { layer in
        var layer = layer
        layer["settingsSchema"] = nil
        return layer
      })
    return shown
  }

  /// What people want to know of a neighbour, in columns that fit a terminal.
  private func neighbourRow(_ json: JSON) -> JSON {
    let isStrata = json["isStrata"] == true
    return [
      "name": json["claimedName"] ?? .null, "address": json["address"] ?? .null,
      "kind": .string(isStrata ? (json["isProven"] == true ? "Strata" : "Strata, unproven") : "Peerster"),
      "lastHeard": json["lastHeard"] ?? .null, "roundTrip": json["roundTrip"] ?? .null, "lost": Self.lost(json),
      "bytesIn": json["bytesIn"] ?? .null, "bytesOut": json["bytesOut"] ?? .null,
    ]
  }

  /// How much was lost of how many probes, where there were any.
  private static func lost(_ json: JSON) -> JSON {
    guard let loss = json["loss"]?.doubleValue, let probes = json["probes"]?.doubleValue else { return .null }
    return .string("\(Units.decimal(loss * 100, 1)) % of \(Units.count(probes))")
  }

  /// `metrics`.
  var metricsCommand: CommandSpec {
    CommandSpec(
      name: "metrics", summary: "Prints a running node's metrics, as Prometheus reads them.",
      options: ControlClient.options + [OptionSpec(name: "json", summary: "Print them as one JSON object.")],
      examples: ["metrics --config alice.json"],
      action: { parsed, tool in
        let text = String(decoding: try ControlClient(parsed, tool).get("/metrics"), as: UTF8.self)
        guard parsed.has("json") else {
          tool.console.write(text)
          return 0
        }
        var object = JSONObject()
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
          guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
            continue
          }
          object[String(line[..<space])] = .number(value)
        }
        tool.console.print(JSON.object(object).text(pretty: true))
        return 0
      })
  }

  /// `reload`.
  var reloadCommand: CommandSpec {
    CommandSpec(
      name: "reload", summary: "Has a running node read its file again, and shows what came of each changed key.",
      options: ControlClient.options + [OptionSpec(name: "json", summary: "Print JSON.")],
      examples: ["reload --config alice.json"],
      action: { parsed, tool in
        let json = try ControlClient(parsed, tool).post("/v1/node/reload")
        if parsed.has("json") {
          tool.console.print(json.text(pretty: true))
        } else if let answers = json["answers"], answers.arrayValue?.isEmpty == false {
          tool.console.show(answers)
        } else {
          tool.console.print("nothing has changed")
        }
        let isRefused = json["answers"]?.arrayValue?.contains { $0["outcome"]?.stringValue == "refused" } ?? false
        return isRefused ? 1 : 0
      })
  }

  /// `stop`.
  var stopCommand: CommandSpec {
    CommandSpec(
      name: "stop", summary: "Stops a running node in good order.",
      options: ControlClient.options + [OptionSpec(name: "json", summary: "Print JSON.")],
      examples: ["stop --config alice.json"],
      action: { parsed, tool in
        let answer = try ControlClient(parsed, tool).post("/v1/node/stop")
        if parsed.has("json") { tool.console.print(answer.text(pretty: true)) }
        return 0
      })
  }

  /// `events`.
  var eventsCommand: CommandSpec {
    CommandSpec(
      name: "events", summary: "Prints a running node's events as they happen.",
      options: ControlClient.options + [
        OptionSpec(name: "follow", short: "f", summary: "Go on until interrupted, which is what it does anyway."),
        OptionSpec(
          name: "layer", value: "LAYER", summary: "Only this layer's events; may be repeated.", repeats: true,
          completes: .layers),
        OptionSpec(name: "count", short: "n", value: "N", summary: "End after so many events."),
        OptionSpec(name: "json", summary: "Print each event as a line of JSON."),
      ],
      examples: ["events --follow --layer gossip"],
      action: { parsed, tool in try tool.follow(parsed) })
  }

  private func follow(_ parsed: ParsedArguments) throws -> Int32 {
    var left = try parsed.number("count", in: 1...Int.max) ?? Int.max
    let layers = parsed.options["layer"] ?? []
    for layer in layers where !layer.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"&#%+?".utf8.contains($0) }) {
      throw UsageError("--layer: found \"\(harmless(layer))\", expected a layer's name")
    }
    let query = layers.isEmpty ? "" : "?layer=\(layers.joined(separator: ","))"
    let known = ([LayerReport.core()] + LayerReport.all(catalog)).flatMap(\.events)
    let schemas = [String: Schema](known.map { ("\($0.layer).\($0.name)", $0.schema) }, uniquingKeysWith: { $1 })
    try ControlClient(parsed, self).follow("/v1/events\(query)") { event in
      let json = (try? JSON.parse(event.data)) ?? .string(event.data)
      console.print(parsed.has("json") ? json.text() : line(event, json, schemas))
      left -= 1
      // Who no longer reads the events needn't be told more.
      return left > 0 && console.outputFailure == nil
    }
    return 0
  }

  /// An event in a line: its time, its layer and name, and what it says.
  private func line(_ event: ServerEvent, _ json: JSON, _ schemas: [String: Schema]) -> String {
    guard let layer = json["layer"]?.stringValue, let name = json["event"]?.stringValue else {
      return "\(console.styled(harmless(event.name), .cyan)) \(json.inOneCell)"
    }
    let time = json["time"].map { console.humane.words($0, key: "time").inOneCell + " " } ?? ""
    let content = console.humane.words(json["data"] ?? .null, as: schemas["\(layer).\(name)"])
    return time + console.styled(harmless("\(layer).\(name)"), .cyan) + " " + content.inOneCell
  }
}
