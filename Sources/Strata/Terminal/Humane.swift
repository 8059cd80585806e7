// Humane: JSON with its times, sizes, rates and durations in the words that people use.
import StackCore

/// Puts what programs read into words, by what a schema says of a value, and else by what its key says.
struct Humane {
  /// By which instants are shown.
  var clock: WallClock

  /// A value in which every leaf reads well; its structure stays.
  func words(_ json: JSON, as schema: Schema? = nil, key: String = "", beside: JSONObject = [:]) -> JSON {
    switch json {
    case .object(let members):
      return .object(
        JSONObject(
          members.map { name, value in
            let known = Self.member(name, of: schema)
            return (Self.title(name, value), words(value, as: known, key: name, beside: members))
          }))
    case .array(let elements):
      let element: Schema? = if case .array(let inner) = schema?.kind { inner } else { nil }
      return .array(elements.map { words($0, as: element, key: key) })
    default: return leaf(json, schema, key, beside).map { .string($0) } ?? json
    }
  }

  private static func member(_ name: String, of schema: Schema?) -> Schema? {
    switch schema?.kind {
    case .object: schema?.property(name)?.schema
    case .map(let value): value
    default: nil
    }
  }

  private func leaf(_ json: JSON, _ schema: Schema?, _ key: String, _ beside: JSONObject) -> String? {
    if let text = json.stringValue {
      if let moment = WallClock.instant(text) { return time(moment, key) }
      guard case .duration = schema?.kind, let duration = Duration(text: text) else { return nil }
      return Units.seconds(duration.inSeconds)
    }
    guard let number = json.doubleValue else { return nil }
    if schema?.format == .unixTime { return time(Int64(number * 1e6) * 1000, key) }
    if Self.isSize(key) { return Units.bytes(number) }
    if Self.isRate(key), beside.keys.contains(where: Self.isSize) { return Units.rate(number) }
    return Self.isDuration(key) ? Units.seconds(number) : nil
  }

  private func time(_ nanoseconds: Int64, _ key: String) -> String {
    key.lowercased().hasPrefix("last") ? clock.ago(nanoseconds) : clock.time(nanoseconds)
  }

  // MARK: What keys say

  /// `bytes`, `size`, `bytesIn`, `ofBytes`, `chunkSize`.
  static func isSize(_ key: String) -> Bool {
    ["bytes", "size", "chunkSize"].contains(key) || key.hasSuffix("Bytes")
      || key.hasPrefix("bytes") && startsWord(key, 5)
  }

  /// `rate`, `ourRate`.
  static func isRate(_ key: String) -> Bool { key == "rate" || key.hasSuffix("Rate") }

  /// `seconds`, `uptimeSeconds`, `secondsLeft`, `roundTrip`.
  static func isDuration(_ key: String) -> Bool {
    key == "seconds" || key == "roundTrip" || key.hasSuffix("Seconds") || key.hasPrefix("seconds") && startsWord(key, 7)
  }

  private static func startsWord(_ key: String, _ place: Int) -> Bool {
    key.dropFirst(place).first?.isUppercase ?? false
  }

  /// The key without the unit that the value now names itself.
  private static func title(_ key: String, _ value: JSON) -> String {
    guard value.doubleValue != nil, isDuration(key) else { return key }
    if key.hasSuffix("Seconds") { return String(key.dropLast(7)) }
    guard key.hasPrefix("seconds"), key != "seconds" else { return key }
    return key.dropFirst(7).prefix(1).lowercased() + key.dropFirst(8)
  }
}
