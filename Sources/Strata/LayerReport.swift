// LayerReport: all that a layer registers, found by building it into a node that never runs.
import StackCore
import StackSim

/// What a layer says of itself and registers.
struct LayerReport {
  /// What it is called and needs.
  var manifest: LayerManifest
  /// Its section of a node's file.
  var settings: Schema
  var messages: [MessageDescription] = []
  var commands: [CommandDescription] = []
  var events: [EventDescription] = []
  var metrics: [MetricDescription] = []
  /// Why it could not be built with its defaults alone, if so; the lists above are empty then.
  var failure: String?

  /// The reports of all layers of a catalog, in its order.
  static func all(_ catalog: [any ProtocolLayer.Type]) -> [LayerReport] {
    catalog.map { LayerReport($0, catalog: catalog) }
  }

  /// A layer, built together with the layers that it needs.
  init(_ type: any ProtocolLayer.Type, catalog: [any ProtocolLayer.Type]) {
    manifest = type.manifest
    settings = settingsSchema(of: type)
    do {
      let name = manifest.name
      let node = try probeNode(Self.closure(of: type, in: catalog).map { ($0, [:]) })
      messages = node.messages.filter { $0.layer == name }
      commands = node.commandDescriptions.filter { $0.layer == name }
      events = node.eventDescriptions.filter { $0.layer == name }
      metrics = node.metricDescriptions.filter { $0.layer == name }
    } catch {
      failure = "\(error)"
    }
  }

  /// What every node has, whatever its layers.
  static func core() -> LayerReport {
    var report = LayerReport(manifest: LayerManifest("core", "What every node has."))
    guard let node = try? probeNode([]) else { return report }
    report.messages = node.messages
    report.events = node.eventDescriptions
    return report
  }

  private init(manifest: LayerManifest) {
    self.manifest = manifest
    settings = Schema.of(config: CoreSettings.self)
  }

  /// A layer and, for each need, the first layer that meets it, and so on.
  private static func closure(
    of type: any ProtocolLayer.Type, in catalog: [any ProtocolLayer.Type]
  ) -> [any ProtocolLayer.Type] {
    var chosen = [type]
    var place = 0
    while place < chosen.count {
      for need in chosen[place].manifest.requires
      where !chosen.contains(where: { $0.manifest.provides.contains(need) }) {
        if let provider = catalog.first(where: { $0.manifest.provides.contains(need) }) { chosen.append(provider) }
      }
      place += 1
    }
    return chosen
  }
}

/// A node of some layers that keeps everything in memory and never starts.
func probeNode(_ layers: [(type: any ProtocolLayer.Type, section: JSON)]) throws -> Node {
  let blueprint = NodeBlueprint(
    name: "probe", address: Address(ipv4: 0x7f00_0001, port: 1), layers: layers, seed: 0)
  let disk = SimDisk()
  return try Node(blueprint, storage: SimStorage(), files: { disk.files(root: "/\($0)") })
}

extension LayerReport {
  /// The report as JSON, in the words of `GET /v1/layers`.
  var json: JSON {
    var json: JSON = [
      "name": .string(manifest.name), "summary": .string(manifest.summary),
      "provides": strings(manifest.provides), "requires": strings(manifest.requires), "uses": strings(manifest.uses),
      "settings": .array(settings.properties.map(\.json)),
      "messages": .array(messages.map(\.json)), "commands": .array(commands.map(\.json)),
      "events": .array(events.map(\.json)), "metrics": .array(metrics.map(\.json)),
    ]
    if let failure { json["failure"] = .string(failure) }
    return json
  }

  private func strings(_ texts: [String]) -> JSON { .array(texts.map { .string($0) }) }
}

extension Schema.Property {
  /// A setting, in the words of `GET /v1/layers`.
  fileprivate var json: JSON {
    [
      "name": .string(name), "description": .string(description), "schema": schema.jsonSchema(),
      "default": defaultValue ?? .null, "live": .bool(live),
    ]
  }
}

extension MessageDescription {
  fileprivate var json: JSON {
    [
      "number": .integer(Int64(number)), "name": .string(schema.name), "sendOnly": .bool(sendOnly),
      "fields": fields(schema),
    ]
  }

  private func fields(_ schema: WireSchema) -> JSON {
    .array(
      schema.fields.map { field in
        var json: JSON = ["number": .integer(Int64(field.number)), "name": .string(field.name)]
        switch field.kind {
        case .value(let name): json["type"] = .string(name)
        case .recursion(let name): json["type"] = .string(name)
        case .message(let inner):
          json["type"] = .string(inner.name)
          json["fields"] = fields(inner)
        }
        switch field.presence {
        case .always: break
        case .optional: json["optional"] = true
        case .repeated: json["repeated"] = true
        }
        return json
      })
  }
}

extension CommandDescription {
  fileprivate var json: JSON {
    [
      "name": .string(name), "summary": .string(summary), "path": .string("/v1/\(layer)/\(name)"),
      "input": input.jsonSchema(), "output": output.jsonSchema(),
      "progress": progress?.jsonSchema() ?? .null, "examples": .array(examples.map { .string($0) }),
    ]
  }
}

extension EventDescription {
  fileprivate var json: JSON {
    ["name": .string(name), "summary": .string(summary), "schema": schema.jsonSchema()]
  }
}

extension MetricDescription {
  /// What kind of number it is.
  var kind: String {
    switch source {
    case .counter: "counter"
    case .gauge: "gauge"
    case .histogram: "histogram"
    }
  }

  fileprivate var json: JSON {
    ["name": .string(name), "summary": .string(summary), "kind": .string(kind)]
  }
}
