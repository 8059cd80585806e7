// ControlPort: the node's HTTP side, on loopback only: commands, events, what it is, how it does.
import StackCore

/// Serves a node's control port.
///
/// Who may ask is decided in this order, before anything else is looked at: the `Host` must be ours (so that a web page
/// can't reach us under a name of its own), an `Origin` must be ours too (so that no other page's script can ask), and
/// the bearer token must be right. It belongs to the thread of the node's loop.
public final class ControlPort {
  /// Where it listens, with the port that the kernel chose if none was given.
  public var address: Address { server.localAddress }
  /// What the server has met so far.
  public var counters: HTTPServer.Counters { server.counters }

  // The node owns its control port, and closes it before it goes.
  unowned let owner: RealNode
  let watchers: EventWatchers
  /// Who watches the packets that come and go.
  let packets: PacketWatch
  private let server: HTTPServer
  private var fixed: [ControlRoute] = []
  private var assets: [String: ControlAsset] = [:]
  private let token: [UInt8]
  /// Who may read which content for a while without the token.
  var tickets = ContentTickets()
  /// How many answers with content are under way.
  var contentAnswers = 0
  /// Our place among the node's observers, while somebody watches.
  var observer: Int?

  init(node: RealNode, address: Address, limits: HTTPLimits) throws(SocketError) {
    owner = node
    token = Array(node.token.utf8)
    watchers = EventWatchers(loop: node.loop, firstID: UInt64(clamping: node.builtAt.nanoseconds / 1_000_000) << 12)
    packets = PacketWatch(loop: node.loop)
    server = try HTTPServer(loop: node.loop, address: address, limits: limits) { _ in }
    fixed = fixedRoutes()
    watchers.observe = { [unowned self] in self.observeEvents($0) }
    server.handler = { [unowned self] in self.handle($0) }
    server.refusal = { (Problem.contentType, Problem($0, $1, $2).bytes) }
  }

  /// Serves some bytes at a path, without asking for the token: a page of a console. The policy says what a browser may
  /// load for it.
  public func addAsset(
    _ path: String, contentType: String, _ bytes: [UInt8],
    contentSecurityPolicy: String = "default-src 'none'; frame-ancestors 'none'"
  ) {
    addAsset(path, contentType: contentType, contentSecurityPolicy: contentSecurityPolicy) { bytes }
  }

  /// Serves at a path what the closure gives whenever it is asked for, without asking for the token. Who asks for a
  /// version of it by its name (`?v=…`) may keep it.
  public func addAsset(
    _ path: String, contentType: String, contentSecurityPolicy: String = "default-src 'none'; frame-ancestors 'none'",
    version: @escaping () -> String? = { nil }, bytes: @escaping () -> [UInt8]
  ) {
    assets[path] = ControlAsset(
      contentType: contentType, bytes: bytes, policy: contentSecurityPolicy, version: version)
  }

  /// Everything that can be asked now: the node's own routes, then a route a command.
  var routes: [ControlRoute] { fixed + commandRoutes() + contentRoutes() }

  // MARK: Who may ask

  private func handle(_ request: HTTPRequest) {
    if let problem = refusal(request) { return request.answer(problem) }
    if let asset = assets[request.path] { return serve(asset, request) }
    let own = fixed.filter { $0.path == request.path }
    var candidates = own.isEmpty ? commandRoute(request.path).map { [$0] } ?? [] : own
    if candidates.isEmpty { candidates = contentRoute(request.pathParts).map { [$0] } ?? [] }
    if candidates.first?.needsToken ?? true, !hasTicket(request), let problem = tokenRefusal(request) {
      return request.answer(problem)
    }
    guard !candidates.isEmpty else { return request.answer(unknownPath(request.path)) }
    guard let route = candidates.first(where: { $0.methods.contains(request.method) }) else {
      return request.answer(wrongMethod(request, candidates.flatMap(\.methods)))
    }
    if request.hasStrayBody {
      return request.answer(Problem(400, "unexpected-body", "a \(request.method) request has no body"))
    }
    route.handle(request)
  }

  private func refusal(_ request: HTTPRequest) -> Problem? {
    let hosts = request.headers.filter { $0.name.lowercased() == "host" }
    guard hosts.count == 1, ownHosts.contains(hosts[0].value.lowercased()) else {
      return Problem(
        421, "wrong-host", "this port answers only to the name it has on this machine, such as \(address)")
    }
    for origin in request.headers where origin.name.lowercased() == "origin" {
      guard ownHosts.contains(where: { "http://\($0)" == origin.value.lowercased() }) else {
        return Problem(403, "wrong-origin", "this port takes nothing from pages of other origins")
      }
    }
    return nil
  }

  /// What a client on this machine may call us.
  private var ownHosts: [String] {
    let names = ["127.0.0.1", "[::1]", "localhost", address.isIPv4 ? address.host : "[\(address.host)]"]
    // A client leaves out the port that it would take anyway.
    return names.map { "\($0):\(address.port)" } + (address.port == 80 ? names : [])
  }

  private func tokenRefusal(_ request: HTTPRequest) -> Problem? {
    let given = request.headers.filter { $0.name.lowercased() == "authorization" }
    if given.count == 1 {
      let parts = given[0].value.split(separator: " ", maxSplits: 1)
      if parts.count == 2, parts[0].lowercased() == "bearer", isToken(Array(parts[1].utf8)) { return nil }
    }
    let place = "the file \(tokenFileName) of the node's data directory"
    return Problem(
      401, given.isEmpty ? "no-token" : "wrong-token",
      given.isEmpty
        ? "send the header `Authorization: Bearer TOKEN`, with the token in \(place)"
        : "that is not this node's token; the right one is in \(place)",
      headers: [HTTPField("WWW-Authenticate", "Bearer realm=\"strata\"")])
  }

  /// Compares in a time that tells nothing of where the difference is.
  private func isToken(_ given: [UInt8]) -> Bool {
    guard given.count == token.count else { return false }
    var difference: UInt8 = 0
    for place in token.indices { difference |= given[place] ^ token[place] }
    return difference == 0
  }

  // MARK: What isn't there

  private func unknownPath(_ path: String) -> Problem {
    let known = routes.map(\.path)
    let hint = path.utf8.count <= 200 ? nearest(path, among: known) : nil
    let known404 = hint.map { "; did you mean \($0)?" } ?? "; see /openapi.json for what is"
    return Problem(
      404, "unknown-path", "there is nothing at \(path.prefix(200))\(known404)",
      more: hint.map { ["nearest": .string($0)] } ?? [:])
  }

  private func wrongMethod(_ request: HTTPRequest, _ allowed: [String]) -> Problem {
    let list = allowed.joined(separator: ", ")
    return Problem(
      405, "wrong-method", "\(request.path) takes \(list) only", headers: [HTTPField("Allow", list)])
  }

  private func serve(_ asset: ControlAsset, _ request: HTTPRequest) {
    let methods = ["GET", "HEAD"]
    guard methods.contains(request.method) else { return request.answer(wrongMethod(request, methods)) }
    let isKept = asset.version().map { $0 == request.queryItem("v") } ?? false
    request.answer(200, asset.contentType, asset.bytes(), policy: asset.policy, isKept: isKept)
  }

  // MARK: The end

  /// Ends the streams, lets the answers under way leave, and closes.
  func drain(within time: Duration, then: @escaping () -> Void) {
    watchers.close()
    packets.close()
    server.drain(within: time, then: then)
  }

  /// Closes at once.
  func close() {
    watchers.close()
    packets.close()
    server.close()
  }
}
