// ProgressLine: how far a call is: one line that changes on a terminal, else a line each time.
import StackCore

/// How far something is, as far as the names of a progress's fields tell.
struct Amount: Hashable {
  /// What is done, and of how much.
  var done: Double
  var total: Double
  /// Whether they are bytes.
  var isBytes: Bool

  /// Pairs of names that mean "so much" and "of so much".
  private static let done = ["done", "bytes", "received", "bytesReceived", "chunksReceived", "count", "files"]
  private static let doneBytes = ["bytes", "bytesReceived", "received", "done"]
  private static let totals = ["total", "size", "of", "ofBytes", "bytesTotal", "chunksTotal", "ofFiles"]

  /// What a progress says of how far it is; nil when it doesn't.
  init?(_ json: JSON) {
    if let fraction = json["fraction"]?.doubleValue, fraction.isFinite {
      (done, total, isBytes) = (min(max(fraction, 0), 1), 1, false)
      return
    }
    func first(_ names: [String]) -> (name: String, value: Double)? {
      names.lazy.compactMap { name in json[name]?.doubleValue.map { (name, $0) } }.first
    }
    guard let total = first(Self.totals), total.value > 0, total.value.isFinite else { return nil }
    // Of bytes only bytes can be done.
    let isSize = Humane.isSize(total.name) || total.name == "of" && json["bytes"] != nil
    guard let done = first(isSize ? Self.doneBytes : Self.done) else { return nil }
    (self.done, self.total) = (done.value, total.value)
    isBytes = isSize || Humane.isSize(done.name)
  }

  /// Whether progress of this shape tells how far something is; if not, each piece of it is news of its own.
  static func isTold(by schema: Schema) -> Bool {
    let names = schema.properties.map(\.name)
    if names.contains("fraction") { return true }
    guard let total = names.first(where: totals.contains) else { return false }
    // A size alone is a fact about a thing, as of a file that was found.
    return names.contains { $0 != total && (total == "size" ? doneBytes : done).contains($0) }
  }

  /// How much of it, from 0 to 1.
  var fraction: Double { min(max(done / total, 0), 1) }
}

/// Shows how far a call is.
final class ProgressLine {
  private let console: Console
  private let isJSON: Bool
  private let schema: Schema?
  private let seconds: () -> Double
  private var isOpen = false
  /// The rate as of late, smoothed, and what it was last made from.
  private var rate: Double?
  private var last: (seconds: Double, done: Double)?

  init(
    console: Console, isJSON: Bool, schema: Schema? = nil,
    seconds: @escaping () -> Double = { Double(WallClock.system.now()) / 1e9 }
  ) {
    self.console = console
    self.isJSON = isJSON
    self.schema = schema
    self.seconds = seconds
  }

  /// Shows a piece of progress.
  func show(_ json: JSON) {
    if isJSON { return console.write(json.text() + "\n", to: .error) }
    if let schema, !Amount.isTold(by: schema) { return showNews(json) }
    guard console.errorIsTerminal else { return console.write(text(json) + "\n", to: .error) }
    let line = bar(json, width: min(console.width - 1, 100)) ?? text(json)
    console.write("\r\u{1b}[K" + cut(line, max(10, console.width - 1)), to: .error)
    isOpen = true
  }

  /// Takes the line away.
  func end() {
    if isOpen { console.write("\r\u{1b}[K", to: .error) }
    isOpen = false
  }

  /// A piece that is a result by itself, such as a rumor that was heard: a line that stays.
  private func showNews(_ json: JSON) {
    let shown = console.humane.words(json, as: schema)
    guard case .object(let members) = shown else { return console.print(shown.inOneCell) }
    let told = members.filter { !$0.value.isNull && $0.value != .bool(false) && $0.value.arrayValue?.isEmpty != true }
    console.print(
      told.map { "\(console.styled(harmless($0.key), .dim)) \($0.value.briefly)" }.joined(separator: "  "))
  }

  /// The progress in words: `received 5, total 10`.
  func text(_ json: JSON) -> String {
    guard case .object(let members) = console.humane.words(json, as: schema) else { return json.inOneCell }
    return members.filter { !$0.value.isNull }.map { "\(harmless($0.key)) \($0.value.inOneCell)" }
      .joined(separator: ", ")
  }

  // MARK: A bar

  /// A bar with amount, rate and time left, where the progress says how much of how much.
  func bar(_ json: JSON, width: Int) -> String? {
    guard let amount = Amount(json) else { return nil }
    let part = amount.fraction
    var facts = [amount.total == 1 ? "" : figures(amount)]
    let speed = json["rate"]?.doubleValue ?? measured(amount)
    if let speed, speed > 0, amount.total != 1 {
      facts.append(amount.isBytes ? Units.rate(speed) : "\(Units.count(speed))/s")
    }
    let told = json["secondsLeft"]?.doubleValue
    let left = told ?? speed.flatMap { $0 > 0 && part < 1 ? (amount.total - amount.done) / $0 : nil }
    if let left, left > 0, left < 30 * 86_400 { facts.append("\(Units.seconds(max(1, left.rounded()))) left") }
    if let holders = json["holders"]?.integerValue { facts.append(counted(Int(holders), "holder")) }
    for name in ["state", "note", "path", "name"] {
      if let word = json[name]?.stringValue, word != "fetching" { facts.append(oneLine(word)) }
    }
    let about = facts.filter { !$0.isEmpty }.joined(separator: "  ")
    let room = max(10, min(30, width - columns(of: about) - 8))
    let filled = Int(part * Double(room))
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: room - filled)
    let percent = "\(Int(part * 100))%"
    return "\(bar) \(String(repeating: " ", count: max(0, 4 - percent.count)))\(percent)  \(about)"
  }

  private func figures(_ amount: Amount) -> String {
    amount.isBytes
      ? "\(Units.bytes(amount.done)) of \(Units.bytes(amount.total))"
      : "\(Units.count(amount.done)) of \(Units.count(amount.total))"
  }

  /// How much is done a second, as of late; nil while that can't be told.
  private func measured(_ amount: Amount) -> Double? {
    let now = seconds()
    defer { if last == nil || now - (last?.seconds ?? now) >= 0.2 { last = (now, amount.done) } }
    guard let last, now - last.seconds >= 0.2 else { return rate }
    let fresh = max(0, (amount.done - last.done) / (now - last.seconds))
    rate = rate.map { $0 * 0.7 + fresh * 0.3 } ?? fresh
    return rate
  }
}
