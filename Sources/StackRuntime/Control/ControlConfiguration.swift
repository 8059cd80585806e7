// ControlConfiguration: the node's configuration over HTTP: what may be set, what is set, and a change in place.
import StackCore

/// How a running node's configuration is shown and changed; whoever started the node knows where it is kept.
public struct RealNodeConfiguration {
  /// One thing that is wrong with a wanted configuration.
  public struct Fault: Error, Hashable, Sendable {
    /// The key's path, such as `layers.gossip.antiEntropy`; empty for the whole.
    public var path: String
    /// What was found and what would be right.
    public var message: String
    /// A fault at a path.
    public init(path: String, _ message: String) {
      self.path = path
      self.message = message
    }
  }

  /// Why a change was refused.
  public struct Refusal: Error, Hashable, Sendable {
    /// What is wrong, one a key; at least one.
    public var faults: [Fault]
    /// Whether the configuration is wrong; else it could not be read or written.
    public var isWrong: Bool
    /// A refusal.
    public init(_ faults: [Fault], isWrong: Bool = true) {
      self.faults = faults
      self.isWrong = isWrong
    }
  }

  /// What may be set and what is: for `GET /v1/config`.
  public var describe: () throws(Refusal) -> JSON
  /// Checks and keeps the configuration with a merge patch (RFC 7396) applied. The answer takes that back.
  public var change: (_ patch: JSON) throws(Refusal) -> () -> Void

  /// A way to show and change a configuration.
  public init(
    describe: @escaping () throws(Refusal) -> JSON, change: @escaping (_ patch: JSON) throws(Refusal) -> () -> Void
  ) {
    self.describe = describe
    self.change = change
  }
}

extension ControlPort {
  /// Looking at the configuration, and changing it.
  func configurationRoutes() -> [ControlRoute] {
    [
      ControlRoute(
        method: "GET", path: "/v1/config", operation: "config",
        summary: "The node's configuration: each key of the core and of every layer there is, with what it does, what "
          + "it may be and what it is.", tag: "node",
        outputs: [("application/json", ["type": "object"])], problems: [409, 422],
        handle: { [unowned self] request in self.showConfiguration(request) }),
      ControlRoute(
        method: "PATCH", path: "/v1/config", operation: "changeConfig",
        summary: "Changes the node's file by a JSON merge patch (null takes a key out), checked as the file is, and "
          + "takes it on; says of each changed key what came of it. On an error nothing changes.", tag: "node",
        input: Schema(.map(Schema(.any))),
        outputs: [("application/json", Self.answersSchema)], problems: [409, 415, 422],
        handle: { [unowned self] request in self.changeConfiguration(request) }),
    ]
  }

  private var notConfigurable: Problem {
    Problem(409, "not-reloadable", "this node was not started from a file that could be changed")
  }

  private func problem(_ refusal: RealNodeConfiguration.Refusal) -> Problem {
    let faults = refusal.faults.map { fault -> JSON in ["path": .string(fault.path), "message": .string(fault.message)]
    }
    let text = refusal.faults.map { $0.path.isEmpty ? $0.message : "\($0.path): \($0.message)" }
    return Problem(
      422, refusal.isWrong ? "bad-configuration" : "configuration-file",
      "nothing was changed: " + text.joined(separator: "; "), more: ["faults": .array(faults)])
  }

  private func showConfiguration(_ request: HTTPRequest) {
    guard let configuration = owner.options.configuration else { return request.answer(notConfigurable) }
    do throws(RealNodeConfiguration.Refusal) { request.answer(json: try configuration.describe()) } catch {
      request.answer(problem(error))
    }
  }

  private func changeConfiguration(_ request: HTTPRequest) {
    guard !request.body.isEmpty else {
      return request.answer(Problem(400, "no-body", "send the change as a JSON object; what it leaves out stays"))
    }
    let patch: JSON
    switch Self.input(of: request) {
    case .success(let json): patch = json
    case .failure(let refusal): return request.answer(refusal.problem)
    }
    guard let configuration = owner.options.configuration else { return request.answer(notConfigurable) }
    guard patch.objectValue != nil else {
      return request.answer(Problem(422, "bad-configuration", "nothing was changed: a patch is an object"))
    }
    guard owner.state == .running else { return request.answer(Problem(503, "not-running", "the node is not running")) }
    let takeBack: () -> Void
    do throws(RealNodeConfiguration.Refusal) { takeBack = try configuration.change(patch) } catch {
      return request.answer(problem(error))
    }
    do throws(RuntimeError) {
      request.answer(json: ["answers": .array(try owner.reload().map(\.json))])
    } catch {
      takeBack()
      request.answer(problem(.init([.init(path: error.path, error.message)])))
    }
  }
}

extension ReloadAnswer {
  /// As the control port tells it.
  var json: JSON {
    var object: JSONObject = ["path": .string(path), "outcome": .string(outcome.rawValue)]
    if let message { object["message"] = .string(message) }
    return .object(object)
  }
}
