// Problem: an error of the control port, as RFC 9457 writes one, with a code that stays the same.
import StackCore

/// Why a request got no good answer.
struct Problem {
  var status: Int
  /// A stable word for programs.
  var code: String
  /// A sentence for people.
  var detail: String
  /// Headers that go with it.
  var headers: [HTTPField] = []
  /// What else it tells, such as a line and a column.
  var more: JSONObject = [:]

  init(_ status: Int, _ code: String, _ detail: String, headers: [HTTPField] = [], more: JSONObject = [:]) {
    self.status = status
    self.code = code
    self.detail = detail
    self.headers = headers
    self.more = more
  }

  /// A refused or failed command. A command that was tried in vain is no fault of the server, so it gets 422; 500 is
  /// left for an answer that the layer itself has spoilt.
  init(_ error: CommandError) {
    let status =
      switch error.kind {
      case .invalid: 400
      case .notFound: 404
      case .conflict, .cancelled: 409
      case .refused: 403
      case .failed: error.code == "unencodable" ? 500 : 422
      case .unavailable: 503
      }
    self.init(status, error.code, error.message)
  }

  var json: JSON {
    var object: JSONObject = [
      "type": .string("urn:strata:problem:\(code)"), "title": .string(httpReason(status)), "status": JSON(status),
      "code": .string(code), "detail": .string(detail),
    ]
    for (key, value) in more { object[key] = value }
    return .object(object)
  }

  /// Its JSON, as bytes.
  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    json.write(into: &bytes)
    return bytes
  }

  static let contentType = "application/problem+json"

  /// Its schema, for the OpenAPI document.
  static let schema: JSON = [
    "type": "object", "description": "Why a request got no good answer (RFC 9457).",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": [
      "type": ["type": "string", "description": "A URN that ends with the code."],
      "title": ["type": "string", "description": "The words that go with the status."],
      "status": ["type": "integer", "minimum": 400, "maximum": 599],
      "code": ["type": "string", "description": "A stable word for programs, such as `unknown-command`."],
      "detail": ["type": "string", "description": "A sentence for people."],
      "line": ["type": "integer", "description": "Where the body's JSON is broken."],
      "column": ["type": "integer", "description": "Where in the line it is broken."],
      "nearest": ["type": "string", "description": "The path that is most like the one asked for."],
      "faults": [
        "type": "array", "description": "What is wrong with a configuration, one a key.",
        "items": [
          "type": "object", "required": ["path", "message"],
          "properties": [
            "path": ["type": "string", "description": "The key's path; empty for the whole."],
            "message": ["type": "string", "description": "What was found and what would be right."],
          ],
        ],
      ],
    ],
  ]
}

extension HTTPRequest {
  /// Headers of every answer: a browser is to guess nothing, load nothing, and keep nothing but what never changes.
  static func headers(_ contentType: String, _ policy: String, isKept: Bool = false) -> [HTTPField] {
    [
      HTTPField("Content-Type", contentType),
      HTTPField("Cache-Control", isKept ? "private, max-age=31536000, immutable" : "no-store"),
      HTTPField("X-Content-Type-Options", "nosniff"), HTTPField("Content-Security-Policy", policy),
      HTTPField("Referrer-Policy", "no-referrer"), HTTPField("Cross-Origin-Resource-Policy", "same-origin"),
    ]
  }

  /// What an answer may load when nothing else is said.
  static var strictPolicy: String { "default-src 'none'; frame-ancestors 'none'" }

  /// Answers with bytes of a type.
  func answer(
    _ status: Int, _ contentType: String, _ body: [UInt8], policy: String = HTTPRequest.strictPolicy,
    isKept: Bool = false
  ) {
    respond(status: status, headers: Self.headers(contentType, policy, isKept: isKept), body: body)
  }

  /// Answers with JSON.
  func answer(json: JSON, status: Int = 200) {
    var body: [UInt8] = []
    json.write(into: &body)
    answer(status, "application/json", body)
  }

  /// Answers with an error.
  func answer(_ problem: Problem) {
    respond(
      status: problem.status, headers: Self.headers(Problem.contentType, Self.strictPolicy) + problem.headers,
      body: problem.bytes)
  }

  /// Starts an answer of server-sent events.
  func startEvents() { startStream(status: 200, headers: Self.headers("text/event-stream", Self.strictPolicy)) }

  /// Sends one event, which JSON text keeps on one line.
  func send(event: String, id: UInt64? = nil, _ json: JSON) { write(Self.eventBytes(event, id: id, json)) }

  /// One event as it goes over the wire.
  static func eventBytes(_ event: String, id: UInt64? = nil, _ json: JSON) -> [UInt8] {
    var bytes = Array("event: \(event)\n".utf8)
    if let id { bytes += Array("id: \(id)\n".utf8) }
    bytes += Array("data: ".utf8)
    json.write(into: &bytes)
    bytes += [UInt8(ascii: "\n"), UInt8(ascii: "\n")]
    return bytes
  }
}
