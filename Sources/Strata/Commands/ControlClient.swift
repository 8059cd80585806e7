// ControlClient: finds a running node's control port and asks it.
import Glibc
import StackCore
import StackRuntime

/// Where a running node takes commands, and the secret that opens it.
struct ControlClient {
  /// The control port's host.
  let host: String
  /// The control port's port.
  let port: UInt16
  private let token: String
  /// Where the token stands, to be named when it turns out wrong.
  private let tokenPath: String
  /// How a person would start the node, for when it doesn't run.
  private let remedy: String
  /// Whose data folder it is, to see whether the node runs at all; nil where only an address was given.
  private var owner: (name: String, data: String)?

  /// The options by which it is found.
  static let options = [
    OptionSpec(
      name: "config", short: "c", value: "FILE",
      summary: "The running node's file. Default: $STRATA_CONFIG, else ./strata.json, else ./node.json.",
      completes: .nodeFiles),
    OptionSpec(
      name: "control", value: "URL", summary: "The control port itself, with --token-file.", completes: .controlPorts),
    OptionSpec(
      name: "token-file", value: "FILE", summary: "The file that holds the control port's token.", completes: .files),
  ]

  /// Where a person opens the node's console.
  var consoleAddress: String {
    "http://\(host.contains(":") ? "[\(host)]" : host):\(port)/#token=\(token)"
  }

  /// The node that the options mean.
  init(_ parsed: ParsedArguments, _ tool: CommandLineTool) throws {
    if let url = parsed.option("control") {
      guard let file = parsed.option("token-file") else {
        throw UsageError("--control: found no --token-file, expected the file control.token of the node's data folder")
      }
      self = try ControlClient(url: url, tokenFile: file)
      return
    }
    self = try ControlClient(file: try Self.file(parsed, tool), program: tool.program, parsed.option("token-file"))
  }

  private init(url: String, tokenFile: String) throws {
    var place = url[...]
    if place.hasPrefix("http://") { place = place.dropFirst(7) }
    while place.last == "/" { place.removeLast() }
    guard let address = Address(String(place)), address.port > 0 else {
      throw UsageError("--control: found \"\(harmless(url))\", expected a URL such as http://127.0.0.1:8080")
    }
    (host, port) = (address.host, address.port)
    token = try Self.token(tokenFile)
    tokenPath = tokenFile
    remedy = "is the node running?"
  }

  /// The node whose data is in a folder.
  init(data folder: String) throws {
    let text: [UInt8]
    do throws(TextFileError) { text = try readFile("\(folder)/\(controlAddressFileName)") } catch {
      throw FailedError("no node runs on \(folder): \(error)")
    }
    guard let address = Address(trimmed(text)), address.port > 0 else {
      throw FailedError("\(folder)/\(controlAddressFileName) holds no address")
    }
    (host, port) = (address.host, address.port)
    tokenPath = "\(folder)/\(tokenFileName)"
    token = try Self.token(tokenPath)
    remedy = "is the node running?"
    owner = (Path.lastPart(Path.absolute(folder)), folder)
  }

  /// The node of a file; its token is in another file than usual, where one is given.
  init(file path: String, program: String, _ tokenFile: String? = nil) throws {
    let file = try NodeFile.readCore(path)
    remedy = "start it with: \(program) node \(path)"
    guard let control = file.control else {
      throw FailedError("node \(file.name) has no control port: \(path) has \"control\": \"off\"")
    }
    var address = control
    if let text = try? readFile("\(file.data)/\(controlAddressFileName)"), let written = Address(trimmed(text)) {
      address = written
    }
    guard address.port > 0 else {
      throw FailedError(
        "node \(file.name) doesn't run, for there is no \(file.data)/\(controlAddressFileName); \(remedy)")
    }
    (host, port) = (address.host, address.port)
    tokenPath = tokenFile ?? "\(file.data)/\(tokenFileName)"
    token = try Self.token(tokenPath)
    owner = (file.name, file.data)
  }

  /// The file of the node that is meant.
  static func file(_ parsed: ParsedArguments, _ tool: CommandLineTool) throws -> String {
    if let path = parsed.option("config") { return path }
    if let path = tool.console.environment("STRATA_CONFIG"), !path.isEmpty { return path }
    for path in ["strata.json", "node.json"] where isFile(path) { return path }
    throw UsageError(
      "found no node to ask, expected --config FILE, $STRATA_CONFIG, or a strata.json or node.json in this folder")
  }

  private static func token(_ path: String) throws -> String {
    do throws(TextFileError) { return trimmed(try readFile(path)) } catch {
      var facts = stat()
      let isMissing = stat(path, &facts) != 0 && errno == ENOENT
      let hint = isMissing ? "a node makes its token at its first start" : "only who runs the node may read it"
      throw FailedError("\(error); \(hint)")
    }
  }

  // MARK: Is it ours?

  /// Makes sure that what listens there knows the token, before the token is sent. A node that was killed leaves its
  /// address behind, and the port may be another program's by now.
  func prove(within time: Duration = .seconds(10)) throws {
    let nonce: [UInt8]
    do throws(FileError) { nonce = try ControlProof.nonce() } catch { throw FailedError(error.message) }
    let answer: (head: HTTPHead, body: [UInt8])
    var client = HTTPClient()
    client.bodyLimit = 64 << 10
    do throws(HTTPClientError) {
      answer = try client.request(
        "GET", host: host, port: port, path: "\(ControlProof.path)?nonce=\(nonce.hex)",
        headers: [HTTPField("Accept", "application/json")], timeout: time)
    } catch { throw error.kind == .unreachable ? failed(error) : stranger(" (\(error.message))") }
    let proof = (try? JSON.parse(answer.body))?["proof"]?.stringValue ?? ""
    guard answer.head.status == 200, ControlProof.isRight(proof, token: token, nonce: nonce) else {
      throw stranger("")
    }
  }

  /// What a node that was killed leaves behind says that it runs; its lock says that it doesn't.
  private var isGone: Bool { owner.map { !DataDirectoryLock.isHeld(directory: $0.data) } ?? false }

  private func stranger(_ detail: String) -> FailedError {
    if let owner, isGone {
      return FailedError(
        "node \(owner.name) doesn't run: no process has \(owner.data)/\(DataDirectoryLock.fileName), and what listens at "
          + "\(host):\(port) is another program, to which the token was not sent; \(remedy)")
    }
    return FailedError(
      "what listens at \(host):\(port) doesn't know the token in \(tokenPath), so the token was not sent\(detail): "
        + "either another program has the port now, or the token is another node's; \(remedy)")
  }

  // MARK: Asking

  private func headers(accept: String, hasBody: Bool) -> [HTTPField] {
    [HTTPField("Authorization", "Bearer \(token)"), HTTPField("Accept", accept)]
      + (hasBody ? [HTTPField("Content-Type", "application/json")] : [])
  }

  /// Whether the node ends now: what the system closes for a killed process, it closes one after the other.
  private var isEnding: Bool {
    for _ in 0..<25 {
      if isGone { return true }
      poll(nil, 0, 20)
    }
    return false
  }

  /// An answer that was cut, by a node that was there when it was asked.
  private func cut(_ message: String) -> FailedError {
    guard let owner, isEnding else { return FailedError(message) }
    return FailedError("node \(owner.name) has ended before its answer was whole; \(remedy)")
  }

  private func failed(_ error: HTTPClientError) -> FailedError {
    if error.kind == .broken { return cut(error.message) }
    guard error.kind == .unreachable else { return FailedError(error.message) }
    let name = isGone ? owner.map { "node \($0.name) doesn't run: " } : nil
    return FailedError("\(name ?? "")\(error.message); \(remedy)")
  }

  /// The body that a path answers with.
  func get(_ path: String) throws -> [UInt8] { try ask("GET", path) }

  /// The JSON that a path answers with when it is posted to.
  func post(_ path: String) throws -> JSON { try Self.parse(try ask("POST", path)) }

  private func ask(
    _ method: String, _ path: String, _ input: JSON? = nil, within time: Duration = .seconds(30)
  ) throws -> [UInt8] {
    try prove(within: min(time, .seconds(10)))
    let answer: (head: HTTPHead, body: [UInt8])
    do throws(HTTPClientError) {
      answer = try HTTPClient().request(
        method, host: host, port: port, path: path,
        headers: headers(accept: input == nil ? "*/*" : "application/json", hasBody: input != nil),
        body: input.map { Array($0.text().utf8) } ?? [], timeout: time)
    } catch { throw failed(error) }
    if answer.head.status >= 400 { throw Refusal(status: answer.head.status, body: answer.body) }
    return answer.body
  }

  /// The JSON that a path answers with.
  func json(_ path: String) throws -> JSON { try Self.parse(try get(path)) }

  /// What a path answers with, within a time; with an input it is posted to.
  func get(_ path: String, _ input: JSON? = nil, within time: Duration) throws -> [UInt8] {
    try ask(input == nil ? "GET" : "POST", path, input, within: time)
  }

  private static func parse(_ body: [UInt8]) throws -> JSON {
    do { return try JSON.parse(body) } catch { throw FailedError("the node's answer is not JSON: \(error)") }
  }

  /// Calls a command. Progress comes as it is made; the answer is the result.
  func call(_ layer: String, _ command: String, _ input: JSON, progress: (JSON) -> Void) throws -> JSON {
    var events = EventStreamReader()
    var whole: [UInt8] = []
    var isStream = false
    var outcome: Result<JSON, Refusal>?
    try prove()
    let head: HTTPHead
    do throws(HTTPClientError) {
      // A call may take as long as it takes: the person who waits can end it.
      head = try HTTPClient().stream(
        "POST", host: host, port: port, path: "/v1/\(escaped(layer))/\(escaped(command))",
        headers: headers(accept: "text/event-stream, application/json", hasBody: true),
        body: Array(input.text().utf8), timeout: .seconds(3600),
        onHead: { head in
          isStream = head.header("Content-Type")?.hasPrefix("text/event-stream") ?? false
          return true
        },
        onBytes: { bytes in
          guard isStream else {
            whole += bytes
            return whole.count <= largestEvent
          }
          for event in events.feed(bytes) where !events.wasCut {
            let json = (try? JSON.parse(event.data)) ?? .string(event.data)
            switch event.name {
            case "progress": progress(json)
            case "failed", "error": outcome = .failure(Refusal(json))
            default: outcome = .success(json)
            }
          }
          return outcome == nil && !events.wasCut
        })
    } catch { throw failed(error) }
    if events.wasCut || whole.count > largestEvent {
      throw FailedError("the node's answer is larger than \(ByteCount(bytes: Int64(largestEvent)))")
    }
    if head.status >= 400 { throw Refusal(status: head.status, body: whole) }
    if isStream {
      guard let outcome else { throw cut("the node ended the answer before its result") }
      return try outcome.get()
    }
    return whole.isEmpty ? .null : try JSON.parse(whole)
  }

  /// Hands over a stream of events until it ends or the body answers false.
  func follow(_ path: String, _ body: (ServerEvent) -> Bool) throws {
    var events = EventStreamReader()
    var whole: [UInt8] = []
    var isRefused = false
    try prove()
    let head: HTTPHead
    do throws(HTTPClientError) {
      head = try HTTPClient().stream(
        "GET", host: host, port: port, path: path, headers: headers(accept: "text/event-stream", hasBody: false),
        onHead: { head in
          isRefused = head.status >= 400
          return true
        },
        onBytes: { bytes in
          if isRefused {
            whole += bytes
            return whole.count <= largestFile
          }
          return events.feed(bytes).allSatisfy(body)
        })
    } catch { throw failed(error) }
    if isRefused { throw Refusal(status: head.status, body: whole) }
  }

  /// A name as part of a path.
  private func escaped(_ name: String) -> String {
    name.utf8.map { byte in
      let isPlain = (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
      if isPlain || [45, 46, 95, 126].contains(byte) { return String(UnicodeScalar(byte)) }
      return "%" + [byte].hex.uppercased()
    }.joined()
  }
}

/// A file's text without the white space at its end.
private func trimmed(_ bytes: [UInt8]) -> String {
  var bytes = bytes[...]
  while let last = bytes.last, last <= 0x20 { bytes.removeLast() }
  return String(decoding: bytes, as: UTF8.self)
}

/// What a node says when it refuses or fails.
struct Refusal: Error, CustomStringConvertible {
  /// What is said to people.
  var description: String

  /// A problem as the control port words it.
  init(_ problem: JSON) {
    let detail = problem["detail"]?.stringValue ?? problem["message"]?.stringValue ?? problem["title"]?.stringValue
    description = detail ?? problem.text()
    if let code = problem["code"]?.stringValue { description += " (\(code))" }
  }

  init(status: Int, body: [UInt8]) {
    if let problem = try? JSON.parse(body), problem.objectValue != nil {
      self = Refusal(problem)
    } else {
      description = "the node answers with status \(status)"
    }
  }
}

/// One server-sent event.
struct ServerEvent: Hashable {
  /// What sort it is; `message` when that isn't said.
  var name = "message"
  /// What it says.
  var data = ""
}

/// No longer line of an event is taken.
private let largestEvent = 64 << 20

/// Takes server-sent events apart as their bytes come.
struct EventStreamReader {
  private var line: [UInt8] = []
  private var name = ""
  private var data: [String] = []
  private var afterReturn = false
  /// Whether something longer than is taken was met, and cut.
  private(set) var wasCut = false

  /// The events that are whole with these bytes.
  mutating func feed(_ bytes: [UInt8]) -> [ServerEvent] {
    var events: [ServerEvent] = []
    for byte in bytes {
      // A line ends with CR, LF or both.
      if byte == 0x0A, afterReturn {
        afterReturn = false
        continue
      }
      afterReturn = byte == 0x0D
      if byte != 0x0A, byte != 0x0D {
        if line.count < largestEvent { line.append(byte) } else { wasCut = true }
      } else if let event = endLine() {
        events.append(event)
      }
    }
    return events
  }

  private mutating func endLine() -> ServerEvent? {
    defer { line.removeAll(keepingCapacity: true) }
    if line.isEmpty {
      defer { (name, data) = ("", []) }
      return data.isEmpty ? nil : ServerEvent(name: name.isEmpty ? "message" : name, data: data.joined(separator: "\n"))
    }
    let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
    var value = line[min(colon + 1, line.endIndex)...]
    if value.first == 0x20 { value = value.dropFirst() }
    let text = String(decoding: value, as: UTF8.self)
    switch String(decoding: line[..<colon], as: UTF8.self) {
    case "event": name = text
    case "data": if data.count < 4096 { data.append(text) }
    default: break  // comments, ids and times to wait
    }
    return nil
  }
}
