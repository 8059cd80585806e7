// ControlContent: a layer's content over HTTP, in ranges, as it comes to be there; and tickets for players and links.
import StackCore

/// Who may read what without the token: a player or a link can't send one. A ticket is good for one path only.
struct ContentTickets {
  private var entries: [(ticket: [UInt8], path: String, madeAt: Instant, expires: Instant)] = []
  /// How many there may be; the one that would expire first goes first.
  static let most = 64
  /// How long one lasts after its last use, and in all.
  static let life = Duration.seconds(600)
  static let longest = Duration.seconds(43_200)

  /// A new ticket for a path.
  mutating func make(for path: String, at now: Instant) throws(FileError) -> String {
    let text = hexadecimal(try randomBytes(16))
    entries.removeAll { $0.expires <= now }
    if entries.count >= Self.most, let place = entries.indices.min(by: { entries[$0].expires < entries[$1].expires }) {
      entries.remove(at: place)
    }
    entries.append((Array(text.utf8), path, now, now + Self.life))
    return text
  }

  /// Whether a ticket is good for a path now; if so it lasts on.
  mutating func use(_ ticket: String, for path: String, at now: Instant) -> Bool {
    let given = Array(ticket.utf8)
    var found: Int?
    for place in entries.indices where entries[place].ticket.count == given.count {
      var difference: UInt8 = 0
      for (one, other) in zip(entries[place].ticket, given) { difference |= one ^ other }
      if difference == 0 { found = place }
    }
    guard let found, entries[found].path == path, entries[found].expires > now else { return false }
    entries[found].expires = min(now + Self.life, entries[found].madeAt + Self.longest)
    return true
  }
}

extension ControlPort {
  /// How many answers with content there may be at a time.
  static var mostContentAnswers: Int { 32 }

  /// The routes of all content, for the document.
  func contentRoutes() -> [ControlRoute] {
    owner.node.contentDescriptions.flatMap { [contentRoute($0, key: nil), ticketRoute($0, key: nil)] }
  }

  /// The route that a path of content means.
  func contentRoute(_ parts: [String]) -> ControlRoute? {
    guard parts.count == 4 || parts.count == 5 && parts[4] == "ticket", parts[0] == "v1",
      let content = owner.node.contentDescriptions.first(where: { $0.layer == parts[1] && $0.name == parts[2] })
    else { return nil }
    return parts.count == 4 ? contentRoute(content, key: parts[3]) : ticketRoute(content, key: parts[3])
  }

  /// Whether a request has a ticket for what it asks for.
  func hasTicket(_ request: HTTPRequest) -> Bool {
    guard request.method == "GET" || request.method == "HEAD", let ticket = request.queryItem("ticket") else {
      return false
    }
    return tickets.use(ticket, for: request.path, at: owner.loop.now)
  }

  private func contentRoute(_ content: ContentDescription, key: String?) -> ControlRoute {
    var route = ControlRoute(
      method: "GET", path: Self.path(of: content), operation: "\(content.layer)_\(content.name)_read",
      summary: content.summary, tag: content.layer,
      parameters: [
        ("ticket", "What the ticket's route gave for this very path, instead of the token.", ["type": "string"])
      ],
      outputs: [(ContentTypes.unknown, ["type": "string", "format": "binary"])],
      problems: [404, 409, 416, 500],
      handle: { [unowned self] request in self.read(content, key ?? "", request) })
    route.pathParameter = (content.key, "Which content.")
    return route
  }

  private func ticketRoute(_ content: ContentDescription, key: String?) -> ControlRoute {
    let schema = Self.object([("path", ["type": "string"], "Where it can be read without the token for a while.")])
    var route = ControlRoute(
      method: "POST", path: Self.path(of: content) + "/ticket", operation: "\(content.layer)_\(content.name)_ticket",
      summary: "A path by which a player or a link reads this content only, until it was not used for 10 minutes.",
      tag: content.layer, outputs: [("application/json", schema)], problems: [500],
      handle: { [unowned self] request in self.makeTicket(request) })
    route.pathParameter = (content.key, "Which content.")
    return route
  }

  private static func path(of content: ContentDescription) -> String {
    "/v1/\(content.layer)/\(content.name)/{\(content.key)}"
  }

  private func makeTicket(_ request: HTTPRequest) {
    let path = String(request.path.dropLast("/ticket".count))
    do throws(FileError) {
      let ticket = try tickets.make(for: path, at: owner.loop.now)
      let raw = request.rawPath.dropLast("/ticket".count)
      request.answer(json: ["path": .string("\(raw)?ticket=\(ticket)")])
    } catch { request.answer(Problem(500, "no-random", error.message)) }
  }

  private func read(_ content: ContentDescription, _ key: String, _ request: HTTPRequest) {
    guard contentAnswers < Self.mostContentAnswers else {
      return request.answer(
        Problem(503, "too-many-readers", "\(Self.mostContentAnswers) readers are being served already"))
    }
    contentAnswers += 1
    ContentAnswer(owner, content, key, request) { [weak self] in self?.contentAnswers -= 1 }.begin()
  }
}
