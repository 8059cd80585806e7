// OpenAPI: the control port described for machines, made from the very list that routes its requests.
import StackCore

extension ControlPort {
  /// The OpenAPI 3.1 document.
  func openAPI() -> JSON {
    let routes = routes
    var paths: JSONObject = [:]
    for route in routes {
      var item = paths[route.path]?.objectValue ?? [:]
      item[route.method.lowercased()] = operation(route)
      paths[route.path] = .object(item)
    }
    return [
      "openapi": "3.1.0",
      "info": [
        "title": .string("Strata node \(owner.options.name)"), "version": .string(owner.options.version),
        "description": "The control port of a running node: its commands, events, state and metrics.",
      ],
      "servers": [["url": .string("http://\(address)")]],
      "security": [["token": []]],
      "tags": .array(tags(routes)),
      "paths": .object(paths),
      "components": [
        "securitySchemes": [
          "token": [
            "type": "http", "scheme": "bearer",
            "description": .string("The content of \(tokenFileName) in the node's data directory."),
          ]
        ],
        "schemas": .object(schemas()),
        "responses": ["Problem": Self.problemResponse],
      ],
    ]
  }

  private func tags(_ routes: [ControlRoute]) -> [JSON] {
    var names: [String] = []
    for route in routes where !names.contains(route.tag) { names.append(route.tag) }
    let layers = owner.node.layers
    return names.map { name in
      let summary = layers.first { $0.name == name }?.summary ?? "The node itself."
      return ["name": .string(name), "description": .string(summary)]
    }
  }

  /// Schemas by name: those of commands and events, and each layer's settings.
  private func schemas() -> JSONObject {
    var schemas: JSONObject = ["Problem": Problem.schema]
    for command in owner.node.commandDescriptions {
      let name = "\(command.layer).\(command.name)"
      schemas["\(name).input"] = command.input.jsonSchema()
      schemas["\(name).output"] = command.output.jsonSchema()
      if let progress = command.progress { schemas["\(name).progress"] = progress.jsonSchema() }
    }
    for event in owner.node.eventDescriptions {
      schemas["\(event.layer).events.\(event.name)"] = event.schema.jsonSchema()
    }
    for route in fixedRoutes() {
      if let input = route.input { schemas[Self.inputName(route)] = input.jsonSchema() }
    }
    for (type, _) in owner.options.layers {
      schemas["\(type.manifest.name).settings"] = Self.settingsSchema(of: type).jsonSchema()
    }
    return schemas
  }

  private func operation(_ route: ControlRoute) -> JSON {
    var operation: JSONObject = [
      "operationId": .string(route.operation), "summary": .string(route.summary), "tags": [.string(route.tag)],
    ]
    if !route.needsToken { operation["security"] = [] }
    if !route.parameters.isEmpty || route.pathParameter != nil {
      let ofPath = route.pathParameter.map { parameter -> JSON in
        [
          "name": .string(parameter.name), "in": "path", "required": true,
          "description": .string(parameter.summary), "schema": ["type": "string"],
        ]
      }
      operation["parameters"] = .array(
        (ofPath.map { [$0] } ?? [])
          + route.parameters.map { parameter in
            [
              "name": .string(parameter.name), "in": "query",
              "required": .bool(route.requiredParameters.contains(parameter.name)),
              "description": .string(parameter.summary), "schema": parameter.schema,
            ]
          })
    }
    if route.input != nil {
      let name = "#/components/schemas/\(Self.inputName(route))"
      operation["requestBody"] = [
        "required": .bool(!route.mayOmitInput),
        "content": ["application/json": ["schema": ["$ref": .string(name)]]],
      ]
    }
    operation["responses"] = .object(responses(route))
    return .object(operation)
  }

  /// What the schema of a route's body is called.
  private static func inputName(_ route: ControlRoute) -> String {
    "\(route.path.dropFirst("/v1/".count).split(separator: "/").joined(separator: ".")).input"
  }

  private func responses(_ route: ControlRoute) -> JSONObject {
    var content: JSONObject = [:]
    for output in route.outputs { content[output.contentType] = ["schema": output.schema] }
    var responses: JSONObject = [:]
    responses[String(route.status)] = [
      "description": .string(route.status == 202 ? "It has begun." : "It is done."), "content": .object(content),
    ]
    for status in Set(route.commonProblems + route.problems).sorted() {
      responses[String(status)] = ["$ref": "#/components/responses/Problem"]
    }
    return responses
  }

  /// Any error.
  private static var problemResponse: JSON {
    [
      "description": "Why the request got no good answer.",
      "content": [
        "application/problem+json": ["schema": ["$ref": "#/components/schemas/Problem"]]
      ],
    ]
  }
}
