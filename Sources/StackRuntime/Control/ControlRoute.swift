// ControlRoute: one thing that can be asked of the control port; the router and the OpenAPI document share the list.
import StackCore

/// A path and a method, what they take and answer, and what is done.
struct ControlRoute {
  /// GET (which HEAD may stand for), POST or PATCH.
  var method: String
  var path: String
  /// The operation's name, unique in the document.
  var operation: String
  var summary: String
  /// The group it is shown in.
  var tag: String
  var needsToken = true
  /// Query parameters: name, what it does, schema.
  var parameters: [(name: String, summary: String, schema: JSON)] = []
  /// Those of them that must be given.
  var requiredParameters: [String] = []
  /// What stands for a part of the path, in braces: name, what it is.
  var pathParameter: (name: String, summary: String)?
  /// What the body holds; nil when there is none.
  var input: Schema?
  /// Whether a request without a body is as good as an empty object.
  var mayOmitInput = false
  /// The status of the good answer, and its types with their schemas.
  var status = 200
  var outputs: [(contentType: String, schema: JSON)] = []
  /// Errors that it may answer, beyond those that any route may.
  var problems: [Int] = []
  /// Answers.
  var handle: (HTTPRequest) -> Void

  /// The methods that it takes.
  var methods: [String] { method == "GET" ? ["GET", "HEAD"] : [method] }

  /// Errors that any route may answer.
  var commonProblems: [Int] { (needsToken ? [401] : []) + [400, 403, 405, 408, 413, 421, 503] }
}

/// A file that the control port serves as it is, such as a page of the console.
struct ControlAsset {
  var contentType: String
  var bytes: () -> [UInt8]
  var policy: String
  /// The name of the version that it is now, under which it never changes; nil when it may.
  var version: () -> String?
}
