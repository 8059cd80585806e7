// ControlCommands: a layer's commands over HTTP: JSON in, JSON out, or progress as server-sent events.
import StackCore

extension ControlPort {
  /// A route a registered command.
  func commandRoutes() -> [ControlRoute] { owner.node.commandDescriptions.map(route) }

  /// The route of a command, by its path.
  func commandRoute(_ path: String) -> ControlRoute? {
    owner.node.commandDescriptions.first { Self.path(of: $0) == path }.map(route)
  }

  static func path(of command: CommandDescription) -> String { "/v1/\(command.layer)/\(command.name)" }

  private func route(_ command: CommandDescription) -> ControlRoute {
    let name = "\(command.layer).\(command.name)"
    let reference = { (part: String) in JSON.object(["$ref": .string("#/components/schemas/\(name).\(part)")]) }
    return ControlRoute(
      method: "POST", path: Self.path(of: command), operation: "\(command.layer)_\(command.name)",
      summary: command.summary, tag: command.layer, input: command.input,
      mayOmitInput: !command.input.properties.contains(where: \.required),
      outputs: [
        ("application/json", reference("output")), ("text/event-stream", ["type": "string"]),
      ],
      problems: [404, 409, 415, 422, 500],
      handle: { [unowned self] request in self.run(command, request) })
  }

  private func run(_ command: CommandDescription, _ request: HTTPRequest) {
    let input: JSON
    switch Self.input(of: request) {
    case .success(let json): input = json
    case .failure(let refusal): return request.answer(refusal.problem)
    }
    let wantsEvents = request.header("Accept")?.lowercased().contains("text/event-stream") ?? false
    let answer: CommandAnswer = wantsEvents ? StreamedAnswer(request, watchers) : CommandAnswer(request)
    let id = owner.call(command.layer, command.name, input) { answer.take($0) }
    guard request.isOpen else { return }
    request.onClose = { [weak owner, weak watchers, weak request] in
      if let request { watchers?.forget(request) }
      owner?.cancel(call: id)
    }
    if wantsEvents { answer.startSoon(owner.loop) }
  }

  /// A refusal as an error that can be thrown.
  struct Refusal: Error {
    var problem: Problem
  }

  /// The JSON of a request's body; an empty body is an empty object.
  static func input(of request: HTTPRequest) -> Result<JSON, Refusal> {
    func refuse(_ problem: Problem) -> Result<JSON, Refusal> { .failure(Refusal(problem: problem)) }
    let type = request.header("Content-Type")
    if request.body.isEmpty, type == nil { return .success(.object([:])) }
    guard let type, isJSON(type) else {
      return refuse(
        Problem(
          415, "wrong-content-type", "send the body as application/json" + (type.map { ", not as \($0)" } ?? "")))
    }
    if request.body.isEmpty { return .success(.object([:])) }
    do throws(JSONError) { return .success(try JSON.parse(request.body)) } catch {
      return refuse(
        Problem(
          400, "bad-json", "the body is not JSON: \(error)",
          more: ["line": JSON(error.line), "column": JSON(error.column)]))
    }
  }

  /// Whether a content type is JSON in UTF-8.
  private static func isJSON(_ type: String) -> Bool {
    let parts = type.lowercased().split(separator: ";", omittingEmptySubsequences: false).map { part in
      part.filter { $0 != " " && $0 != "\t" && $0 != "\"" }
    }
    guard parts.first == "application/json" else { return false }
    return parts.dropFirst().allSatisfy { $0.isEmpty || !$0.hasPrefix("charset=") || $0 == "charset=utf-8" }
  }
}

/// The answer to a command whose client waits for the end.
class CommandAnswer {
  let request: HTTPRequest
  init(_ request: HTTPRequest) { self.request = request }

  /// Takes a piece of the answer.
  func take(_ reply: CommandReply) {
    switch reply {
    case .progress: break
    case .finished(let json): request.answer(json: json)
    case .failed(let error): request.answer(Problem(error))
    }
  }

  func startSoon(_ loop: EventLoop) {}
}

/// The answer to a command whose client watches its progress.
final class StreamedAnswer: CommandAnswer {
  private let watchers: EventWatchers
  private var isStarted = false
  private var timer: LoopTimer?

  init(_ request: HTTPRequest, _ watchers: EventWatchers) {
    self.watchers = watchers
    super.init(request)
  }

  override func take(_ reply: CommandReply) {
    switch reply {
    case .progress(let json):
      start()
      request.send(event: "progress", json)
    case .finished(let json):
      start()
      request.send(event: "finished", json)
      end()
    case .failed(let error):
      // One that failed before anything was said is still told by its status.
      guard isStarted else {
        timer = nil
        return request.answer(Problem(error))
      }
      request.send(event: "failed", Problem(error).json)
      end()
    }
  }

  /// Starts the stream in the next turn, if the first round brings no answer, so that the client knows it was heard.
  override func startSoon(_ loop: EventLoop) {
    guard !isStarted else { return }
    let timer = loop.timer { [weak self] in self?.start() }
    timer.set(after: .zero)
    self.timer = timer
  }

  private func start() {
    timer = nil
    guard !isStarted, request.isOpen else { return }
    isStarted = true
    request.startEvents()
    watchers.keepAlive(request)
  }

  private func end() {
    watchers.forget(request)
    request.end()
  }
}
