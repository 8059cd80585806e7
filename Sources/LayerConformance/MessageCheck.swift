// MessageCheck: whether a message type lists its fields in order and writes again what it has read.
import StackCore

/// Checks of one message type.
enum MessageCheck {
  /// What is wrong with a message type, as some bytes of that type show it; nil when nothing is.
  static func problem<Message: WireMessage>(_: Message.Type, _ bytes: [UInt8]) -> String? {
    var order = OrderChecker()
    var sample = Message()
    try? sample.fields(&order)
    if let problem = order.problem { return problem }
    // A message may refuse what its schema can't say; what it accepts, it must write so that it reads the same.
    guard let read = try? Message(decoding: bytes) else { return nil }
    let once = read.encoded()
    guard let again = try? Message(decoding: once) else {
      return "it can't read what it wrote: \(once.hex.prefix(200))"
    }
    let twice = again.encoded()
    if once != twice { return "written, read and written again it differs: \(once.hex.prefix(200))" }
    return nil
  }
}

/// Sees that numbers ascend.
private struct OrderChecker: WireFields {
  var last: UInt32 = 0
  var problem: String?

  private mutating func note(_ number: UInt32, _ name: StaticString) {
    if number <= last { problem = problem ?? "field \(number) (\(name)) comes after field \(last)" }
    last = number
  }

  mutating func callAsFunction<V: WireValue>(_ number: UInt32, _ name: StaticString, _ value: inout V) {
    note(number, name)
  }
  mutating func callAsFunction<V: WireValue>(_ number: UInt32, _ name: StaticString, _ value: inout V?) {
    note(number, name)
  }
  mutating func callAsFunction<V: WireValue>(
    _ number: UInt32, _ name: StaticString, _ values: inout [V], limit: Int
  ) { note(number, name) }
  mutating func callAsFunction<M: WireMessage>(_ number: UInt32, _ name: StaticString, _ value: inout M) {
    note(number, name)
  }
  mutating func callAsFunction<M: WireMessage>(_ number: UInt32, _ name: StaticString, _ value: inout M?) {
    note(number, name)
  }
  mutating func callAsFunction<M: WireMessage>(
    _ number: UInt32, _ name: StaticString, _ values: inout [M], limit: Int
  ) { note(number, name) }
}
