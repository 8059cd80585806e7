// ContentAnswer: one answer with content: its head once the size is known, then pieces as the client takes them.
import StackCore

/// Answers one request for content. One piece is on its way to the client and one more is read meanwhile, no more.
final class ContentAnswer {
  /// What is still to be sent: bytes of our own, or a range of the content.
  private enum Part {
    case bytes([UInt8])
    case range(Range<Int64>)
  }
  private weak var owner: RealNode?
  private let content: ContentDescription
  private let key: String
  private let request: HTTPRequest
  private var parts: [Part] = []
  private var reading: UInt64?
  private var ready: [UInt8]?
  private var isSending = false
  private var whenOver: (() -> Void)?

  /// How many bytes are read at once.
  static let pieceBytes = 256 << 10

  init(
    _ owner: RealNode, _ content: ContentDescription, _ key: String, _ request: HTTPRequest,
    whenOver: @escaping () -> Void
  ) {
    (self.owner, self.content, self.key, self.request, self.whenOver) = (owner, content, key, request, whenOver)
  }

  /// Asks for the size first. Whatever is under way holds this object.
  func begin() {
    request.onClose = {
      if let reading = self.reading { self.owner?.cancel(call: reading) }
      self.over()
    }
    read(0..<0) { self.open($0) }
  }

  private func over() {
    reading = nil
    let told = whenOver
    whenOver = nil
    told?()
  }

  private func fail(_ error: CommandError) {
    if request.state == .waiting {
      request.answer(Problem(error))
      return over()
    }
    // The length is promised already: only a cut says that it won't be kept.
    request.abort()
    over()
  }

  private func read(_ range: Range<Int64>, then: @escaping (ContentPiece) -> Void) {
    guard let owner else { return fail(CommandError(.unavailable, "the node is gone")) }
    var isAnswered = false
    let id = owner.read(content.layer, content.name, key: key, range, limit: Self.pieceBytes) { result in
      isAnswered = true
      self.reading = nil
      guard self.request.isOpen else { return }
      switch result {
      case .success(let piece): then(piece)
      case .failure(let error): self.fail(error)
      }
    }
    if !isAnswered { reading = id }
  }

  // MARK: The head

  private func open(_ whole: ContentPiece) {
    let type = ContentTypes.type(of: whole.name)
    let tag = whole.tag.map { "\"\($0)\"" }
    var headers = HTTPRequest.headers(type, ContentTypes.policy(for: type))
    headers += [
      HTTPField("Accept-Ranges", "bytes"),
      HTTPField("Content-Disposition", ContentTypes.disposition(name: whole.name, type: type)),
    ]
    if let tag { headers.append(HTTPField("ETag", tag)) }
    let isSame = request.header("If-Range").map { $0 == tag } ?? true
    switch ByteRanges(isSame && request.method == "GET" ? request.header("Range") : nil, size: whole.size) {
    case .whole:
      parts = [.range(0..<whole.size)]
      start(200, headers)
    case .some(let ranges) where ranges.count == 1:
      parts = [.range(ranges[0])]
      start(206, headers + [HTTPField("Content-Range", Self.text(ranges[0], whole.size))])
    case .some(let ranges):
      startSeveral(ranges, type, whole.size, headers)
    case .unsatisfiable:
      request.answer(
        Problem(
          416, "no-such-range", "there are \(whole.size) bytes",
          headers: [HTTPField("Content-Range", "bytes */\(whole.size)"), HTTPField("Accept-Ranges", "bytes")]))
      over()
    }
  }

  private static func text(_ range: Range<Int64>, _ size: Int64) -> String {
    "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"
  }

  /// Several ranges as parts of one body, each under a head of its own.
  private func startSeveral(_ ranges: [Range<Int64>], _ type: String, _ size: Int64, _ headers: [HTTPField]) {
    guard let random = try? randomBytes(12) else { return fail(CommandError(.failed, "there is no randomness")) }
    let boundary = "strata-\(hexadecimal(random))"
    for range in ranges {
      let head =
        "\r\n--\(boundary)\r\nContent-Type: \(type)\r\nContent-Range: \(Self.text(range, size))\r\n\r\n"
      parts += [.bytes(Array(head.utf8)), .range(range)]
    }
    parts.append(.bytes(Array("\r\n--\(boundary)--\r\n".utf8)))
    let others = headers.filter { $0.name != "Content-Type" }
    start(206, others + [HTTPField("Content-Type", "multipart/byteranges; boundary=\(boundary)")])
  }

  private func start(_ status: Int, _ headers: [HTTPField]) {
    let length = parts.reduce(Int64(0)) { sum, part in
      switch part {
      case .bytes(let bytes): sum + Int64(bytes.count)
      case .range(let range): sum + (range.upperBound - range.lowerBound)
      }
    }
    request.startStream(status: status, headers: headers + [HTTPField("Content-Length", String(length))])
    if request.method == "HEAD" || length == 0 {
      request.end()
      return over()
    }
    goOn()
  }

  // MARK: The body

  /// Reads the next piece, unless one waits or is being read.
  private func goOn() {
    guard reading == nil, ready == nil, request.isOpen, let part = parts.first else { return }
    switch part {
    case .bytes(let bytes):
      parts.removeFirst()
      ready = bytes
      push()
    case .range(let range):
      read(range) { self.took($0, of: range) }
    }
  }

  private func took(_ piece: ContentPiece, of range: Range<Int64>) {
    let count = Int64(piece.bytes.count)
    guard count > 0, count <= range.upperBound - range.lowerBound else {
      return fail(CommandError(.failed, "the content has come to an early end"))
    }
    let rest = range.lowerBound + count..<range.upperBound
    if rest.isEmpty { parts.removeFirst() } else { parts[0] = .range(rest) }
    ready = piece.bytes
    push()
  }

  /// Sends what was read, once what was sent before has left.
  private func push() {
    guard !isSending, let bytes = ready else { return }
    ready = nil
    if parts.isEmpty {
      request.write(bytes)
      request.end()
      return over()
    }
    isSending = true
    request.write(bytes) {
      self.isSending = false
      self.push()
    }
    goOn()
  }
}
