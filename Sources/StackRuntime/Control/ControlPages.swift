// ControlPages: what a node tells about itself over HTTP: who it is, its layers, its neighbours, its events.
import StackCore

extension ControlPort {
  /// The routes that every node has.
  func fixedRoutes() -> [ControlRoute] {
    return [
      page("/v1/node", "node", "Who the node is: name, address, uptime, layers with their settings.", Self.nodeSchema) {
        $0.nodePage()
      },
      page(
        "/v1/layers", "layers", "What each layer has registered: messages, commands, events, metrics, settings.",
        Self.layersSchema
      ) { $0.layersPage() },
      neighboursRoute(),
      page(
        "/v1/overview", "overview", "The node, its layers and its neighbours, as the three paths tell of them, in one.",
        Self.overviewSchema
      ) { ["node": $0.nodePage(), "layers": $0.layersPage()["layers"] ?? [], "neighbours": $0.neighboursPage()] },
      page("/openapi.json", "openapi", "This document.", ["type": "object"]) { $0.openAPI() },
      metricsRoute(), eventsRoute(), packetsRoute(), reloadRoute(), stopRoute(), healthRoute(), proofRoute(),
    ] + configurationRoutes()
  }

  private func page(
    _ path: String, _ operation: String, _ summary: String, _ schema: JSON, _ make: @escaping (ControlPort) -> JSON
  ) -> ControlRoute {
    ControlRoute(
      method: "GET", path: path, operation: operation, summary: summary, tag: "node",
      outputs: [("application/json", schema)],
      handle: { [unowned self] request in request.answer(json: make(self)) })
  }

  private func metricsRoute() -> ControlRoute {
    ControlRoute(
      method: "GET", path: "/metrics", operation: "metrics", summary: "The metrics, as Prometheus reads them.",
      tag: "node", outputs: [("text/plain", ["type": "string"])],
      handle: { [unowned self] request in
        request.answer(200, MetricsText.contentType, MetricsText(of: self.owner).bytes)
      })
  }

  private func neighboursRoute() -> ControlRoute {
    ControlRoute(
      method: "GET", path: "/v1/neighbours", operation: "neighbours",
      summary: "The neighbours, and what is known of each.", tag: "node",
      parameters: [
        (
          "measure",
          "For so many seconds from now, measures round trips and losses, by a probe of a few bytes to each neighbour "
            + "every two seconds; without it nothing is sent.", ["type": "integer", "minimum": 1, "maximum": 60]
        )
      ],
      outputs: [("application/json", Self.neighboursSchema)],
      handle: { [unowned self] request in
        for item in request.query where item.name == "measure" {
          guard let seconds = Int(item.value), (1...60).contains(seconds) else {
            return request.answer(Problem(400, "bad-measure", "measure: expected whole seconds from 1 to 60"))
          }
          self.owner.node.measure(for: .seconds(seconds), at: self.owner.loop.now)
        }
        request.answer(json: self.neighboursPage())
      })
  }

  private func healthRoute() -> ControlRoute {
    ControlRoute(
      method: "GET", path: "/healthz", operation: "health", summary: "Whether the node answers; needs no token.",
      tag: "node", needsToken: false,
      outputs: [("application/json", Self.object([("status", ["const": "ok"], "That it answers.")]))],
      handle: { request in request.answer(json: ["status": "ok"]) })
  }

  private func reloadRoute() -> ControlRoute {
    ControlRoute(
      method: "POST", path: "/v1/node/reload", operation: "reload",
      summary: "Reads the configuration anew, as SIGHUP does, and says of each changed key what came of it.",
      tag: "node",
      outputs: [("application/json", Self.answersSchema)], problems: [409, 422],
      handle: { [unowned self] request in self.reload(request) })
  }

  /// What came of each changed key of the configuration.
  static var answersSchema: JSON {
    let answer = object([
      ("path", ["type": "string"], "The key, such as `layers.gossip.antiEntropy`."),
      ("outcome", ["enum": .array(ReloadAnswer.Outcome.allCases.map { .string($0.rawValue) })], "What came of it."),
    ])
    return object([("answers", ["type": "array", "items": answer], "One a changed key.")])
  }

  private func reload(_ request: HTTPRequest) {
    guard owner.options.reload != nil else {
      return request.answer(
        Problem(409, "not-reloadable", "this node was not started from a file that could be read again"))
    }
    guard owner.state == .running else { return request.answer(Problem(503, "not-running", "the node is not running")) }
    do throws(RuntimeError) {
      request.answer(json: ["answers": .array(try owner.reload().map(\.json))])
    } catch {
      request.answer(Problem(422, "bad-\(error.kind.rawValue)", "nothing was changed: \(error)"))
    }
  }

  private func stopRoute() -> ControlRoute {
    ControlRoute(
      method: "POST", path: "/v1/node/stop", operation: "stop", summary: "Stops the node in good order.", tag: "node",
      status: 202,
      outputs: [("application/json", Self.object([("state", ["const": "stopping"], "What it does now.")]))],
      handle: { [unowned self] request in
        request.answer(json: ["state": "stopping"], status: 202)
        self.owner.note(.info, "stopping, as the control port was asked to")
        self.owner.stop()
      })
  }

  // MARK: Events

  private func eventsRoute() -> ControlRoute {
    ControlRoute(
      method: "GET", path: "/v1/events", operation: "events",
      summary: "The events from now on, as server-sent events, until the client leaves. With the header "
        + "`Last-Event-ID`, those that were missed come first, or the event `missed` where some are gone.", tag: "node",
      parameters: [("layer", "Only the events of these layers; commas part them.", ["type": "string"])],
      outputs: [("text/event-stream", ["type": "string"])], problems: [404],
      handle: { [unowned self] request in self.watch(request) })
  }

  private func watch(_ request: HTTPRequest) {
    var layers: [String]?
    for item in request.query where item.name == "layer" {
      layers = (layers ?? []) + item.value.split(separator: ",").map(String.init)
    }
    let known = owner.node.layers.map(\.name) + ["core"]
    if let unknown = layers?.first(where: { !known.contains($0) }) {
      let hint = nearest(unknown, among: known).map { "; did you mean \($0)?" } ?? ""
      return request.answer(Problem(404, "unknown-layer", "this node has no layer \(unknown.prefix(100))\(hint)"))
    }
    if request.method == "HEAD" { return request.answer(200, "text/event-stream", []) }
    guard watchers.count < EventWatchers.limit else {
      return request.answer(
        Problem(503, "too-many-watchers", "\(EventWatchers.limit) clients watch the events already"))
    }
    watchers.add(request, layers: layers, since: request.header("Last-Event-ID").flatMap { UInt64($0) })
    request.onClose = { [weak self, weak request] in if let request { self?.watchers.forget(request) } }
  }

  /// Starts or ends the observing of the node's events.
  func observeEvents(_ wanted: Bool) {
    if wanted, observer == nil {
      observer = owner.observe { [unowned self] in self.watchers.tell($0) }
    } else if !wanted, let number = observer {
      owner.unobserve(number)
      observer = nil
    }
  }

  // MARK: Pages

  private func nodePage() -> JSON {
    let uptime = owner.loop.now - owner.builtAt
    let layers = owner.node.layers.map { layer -> JSON in
      [
        "name": .string(layer.name), "summary": .string(layer.summary), "settings": layer.settings,
        "settingsSchema": .string("/openapi.json#/components/schemas/\(layer.name).settings"),
      ]
    }
    var page: JSONObject = [
      "name": .string(owner.options.name), "address": .string(owner.address.description),
      "control": .string(address.description), "version": .string(owner.options.version),
      "state": .string(stateName), "startedAt": .string(timeText(owner.builtAt)),
      "uptimeSeconds": .number(uptime.inSeconds), "layers": .array(layers),
    ]
    if let schema = owner.options.settingsSchema { page["settingsSchema"] = .string(schema) }
    return .object(page)
  }

  private var stateName: String {
    switch owner.state {
    case .built: "built"
    case .running: "running"
    case .failing: "storage-failing"
    case .stopping: "stopping"
    case .stopped: "stopped"
    }
  }

  private func neighboursPage() -> JSON {
    let neighbours = owner.node.neighbourList.map { neighbour -> JSON in
      [
        "address": .string(neighbour.address.description), "configured": .bool(neighbour.configured),
        "lastHeard": neighbour.lastHeard.map { .string(timeText($0)) } ?? .null,
        "isStrata": .bool(neighbour.isStrata), "isProven": .bool(neighbour.isProven),
        "claimedName": neighbour.claimedName.map { .string($0) } ?? .null, "pathLimit": JSON(neighbour.pathLimit),
        "datagramsIn": JSON(neighbour.datagramsIn), "datagramsOut": JSON(neighbour.datagramsOut),
        "bytesIn": JSON(neighbour.bytesIn), "bytesOut": JSON(neighbour.bytesOut),
        "roundTrip": neighbour.roundTrip.map { .number($0.inSeconds) } ?? .null,
        "loss": neighbour.loss.map { .number($0) } ?? .null, "probes": JSON(neighbour.probesCounted),
        "measured": neighbour.measured.map { .string(timeText($0)) } ?? .null,
      ]
    }
    let unresolved = owner.peers?.unresolved ?? []
    return ["neighbours": .array(neighbours), "unresolved": .array(unresolved.map { .string($0) })]
  }

  private func layersPage() -> JSON {
    let running = owner.node.layers
    let registered = LayerRegistrations(owner.node)
    let layers = running.map { layer -> JSON in
      var object: JSONObject = ["name": .string(layer.name), "summary": .string(layer.summary)]
      if let type = owner.options.layers.first(where: { $0.type.manifest.name == layer.name })?.type {
        let manifest = type.manifest
        object["provides"] = .array(manifest.provides.map { .string($0) })
        object["requires"] = .array(manifest.requires.map { .string($0) })
        object["uses"] = .array(manifest.uses.map { .string($0) })
        object["settings"] = .array(LayerRegistrations.settings(Self.settingsSchema(of: type), layer.settings))
      }
      registered.add(layer.name, to: &object)
      return .object(object)
    }
    var core: JSONObject = ["name": "core", "summary": "The node itself: introductions, split messages, path probes."]
    registered.add("core", to: &core)
    return ["layers": .array(layers + [.object(core)])]
  }

  /// The schema of a layer's section of the configuration.
  static func settingsSchema(of type: any ProtocolLayer.Type) -> Schema {
    func open<Layer: ProtocolLayer>(_: Layer.Type) -> Schema { Schema.of(config: Layer.Config.self) }
    return open(type)
  }

  // MARK: Schemas

  /// The schema of an object all of whose members are always there.
  static func object(_ members: [(name: String, schema: JSONObject, summary: String)]) -> JSON {
    var properties: JSONObject = [:]
    for member in members {
      var schema = member.schema
      schema["description"] = .string(member.summary)
      properties[member.name] = .object(schema)
    }
    return [
      "type": "object", "required": .array(members.map { .string($0.name) }), "properties": .object(properties),
    ]
  }

  private static var nodeSchema: JSON {
    object([
      ("name", ["type": "string"], "The node's name."),
      ("address", ["type": "string"], "Where it takes datagrams."),
      ("control", ["type": "string"], "Where this port is."),
      ("version", ["type": "string"], "The program's version."),
      ("state", ["enum": ["built", "running", "storage-failing", "stopping", "stopped"]], "What it does."),
      ("startedAt", ["type": "string", "format": "date-time"], "When it was built."),
      ("uptimeSeconds", ["type": "number", "minimum": 0], "How long ago that was."),
      (
        "layers",
        [
          "type": "array",
          "items": object([
            ("name", ["type": "string"], "Its name."), ("summary", ["type": "string"], "What it does."),
            ("settings", ["type": "object"], "Its settings, with the defaults filled in."),
            ("settingsSchema", ["type": "string"], "Where their schema is."),
          ]),
        ], "The layers, in the order in which they were built."
      ),
    ])
  }

  private static var layersSchema: JSON {
    let list: JSONObject = ["type": "array", "items": ["type": "object"]]
    let layer = object([
      ("name", ["type": "string"], "Its name."), ("summary", ["type": "string"], "What it does."),
      ("messages", list, "The messages it takes and sends."), ("commands", list, "What it can be asked."),
      ("events", list, "The news that it tells."), ("metrics", list, "What it counts."),
    ])
    return object([("layers", ["type": "array", "items": layer], "The layers, then the node's own core.")])
  }

  private static var overviewSchema: JSON {
    object([
      ("node", nodeSchema.objectValue ?? [:], "What `/v1/node` tells."),
      ("layers", layersSchema["properties"]?["layers"]?.objectValue ?? [:], "What `/v1/layers` tells."),
      ("neighbours", neighboursSchema.objectValue ?? [:], "What `/v1/neighbours` tells."),
    ])
  }

  private static var neighboursSchema: JSON {
    let count: JSONObject = ["type": "integer", "minimum": 0]
    let neighbour = object([
      ("address", ["type": "string"], "Its address."),
      ("configured", ["type": "boolean"], "Whether the configuration names it."),
      ("lastHeard", ["type": ["string", "null"], "format": "date-time"], "When it was last heard."),
      ("isStrata", ["type": "boolean"], "Whether it speaks Strata's own messages."),
      ("isProven", ["type": "boolean"], "Whether it has shown that it receives at this address."),
      ("claimedName", ["type": ["string", "null"]], "The name it gives itself."),
      ("pathLimit", count, "The largest datagram known to arrive there."),
      ("datagramsIn", count, "Datagrams from there."), ("datagramsOut", count, "Datagrams to there."),
      ("bytesIn", count, "Bytes from there."), ("bytesOut", count, "Bytes to there."),
      (
        "roundTrip", ["type": ["number", "null"], "minimum": 0],
        "Seconds until it answers: our introduction, or smoothed over the probes; null while it hasn't."
      ),
      (
        "loss", ["type": ["number", "null"], "minimum": 0, "maximum": 1],
        "The share of the newest probes that had no answer within 4 s; null when none was sent."
      ),
      ("probes", ["type": "integer", "minimum": 0, "maximum": 32], "How many probes that share is of."),
      ("measured", ["type": ["string", "null"], "format": "date-time"], "When the last of them was counted."),
    ])
    return object([
      ("neighbours", ["type": "array", "items": neighbour], "The neighbours, in the order they became known."),
      (
        "unresolved", ["type": "array", "items": ["type": "string"]],
        "Configured neighbours whose names have no address yet."
      ),
    ])
  }
}
