// LayerRegistrations: all that layers have registered, as JSON, for a console that is made from it.
import StackCore

/// What a node's layers have registered, to be shown layer by layer.
struct LayerRegistrations {
  private let messages: [MessageDescription]
  private let commands: [CommandDescription]
  private let events: [EventDescription]
  private let metrics: [MetricDescription]

  init(_ node: Node) {
    messages = node.messages
    commands = node.commandDescriptions
    events = node.eventDescriptions
    metrics = node.metricDescriptions
  }

  /// Adds what one layer has registered.
  func add(_ layer: String, to object: inout JSONObject) {
    object["messages"] = .array(messages.filter { $0.layer == layer }.map(Self.message))
    object["commands"] = .array(commands.filter { $0.layer == layer }.map(Self.command))
    object["events"] = .array(events.filter { $0.layer == layer }.map(Self.event))
    object["metrics"] = .array(metrics.filter { $0.layer == layer }.map(Self.metric))
  }

  private static func message(_ message: MessageDescription) -> JSON {
    [
      "number": JSON(UInt64(message.number)), "name": .string(message.schema.name),
      "sendOnly": .bool(message.sendOnly), "fields": .array(message.schema.fields.map(field)),
      "messagesIn": JSON(message.messagesIn), "bytesIn": JSON(message.bytesIn),
      "messagesOut": JSON(message.messagesOut), "bytesOut": JSON(message.bytesOut),
      "malformed": JSON(message.malformed),
    ]
  }

  private static func field(_ field: WireFieldSchema) -> JSON {
    var object: JSONObject = ["number": JSON(UInt64(field.number)), "name": .string(field.name)]
    switch field.kind {
    case .value(let name): object["type"] = .string(name)
    case .recursion(let name): object["type"] = .string(name)
    case .message(let schema):
      object["type"] = .string(schema.name)
      object["fields"] = .array(schema.fields.map(Self.field))
    }
    switch field.presence {
    case .always: break
    case .optional: object["optional"] = true
    case .repeated: object["repeated"] = true
    }
    return .object(object)
  }

  private static func command(_ command: CommandDescription) -> JSON {
    [
      "name": .string(command.name), "summary": .string(command.summary),
      "path": .string(ControlPort.path(of: command)), "input": command.input.jsonSchema(),
      "output": command.output.jsonSchema(), "progress": command.progress?.jsonSchema() ?? .null,
      "examples": .array(command.examples.map { .string($0) }),
    ]
  }

  private static func event(_ event: EventDescription) -> JSON {
    [
      "name": .string(event.name), "summary": .string(event.summary), "schema": event.schema.jsonSchema(),
      "count": JSON(event.count),
    ]
  }

  private static func metric(_ metric: MetricDescription) -> JSON {
    [
      "name": .string(metric.name), "summary": .string(metric.summary),
      "kind": .string(MetricsText.kind(of: metric)), "series": .string(MetricsText.name(of: metric)),
    ]
  }

  /// The settings of a layer: what each means, what it is, and what it would be.
  static func settings(_ schema: Schema, _ values: JSON) -> [JSON] {
    schema.properties.map { property in
      [
        "name": .string(property.name), "description": .string(property.description),
        "schema": property.schema.jsonSchema(), "default": property.defaultValue ?? .null,
        "value": values[property.name] ?? .null, "live": .bool(property.live),
      ]
    }
  }
}
