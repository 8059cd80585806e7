// JSONCodingError: what is wrong with a JSON value, where, and what would be right; and the path that says where.

/// A value that isn't what it should be.
public struct JSONCodingError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Where: "layers.gossip.antiEntropy", "peers[2]"; empty for the whole value.
  public var path: String
  /// What stands there: `"5 parsecs"`, `17`, `an object`, `nothing`.
  public var found: String
  /// What would be right: `a duration such as "250ms"`.
  public var expected: String

  /// An error at a path.
  public init(path: String, found: String, expected: String) {
    self.path = path
    self.found = found
    self.expected = expected
  }

  public var description: String { (path.isEmpty ? "" : path + ": ") + "found \(found), expected \(expected)" }

  /// The path of a member of what is at a path.
  static func path(_ base: String, _ key: String) -> String { base.isEmpty ? key : base + "." + key }
  /// The path of an element of what is at a path.
  static func path(_ base: String, _ index: Int) -> String { "\(base)[\(index)]" }
}

extension JSON {
  /// The value in a few words, for an error.
  public var shown: String {
    switch self {
    case .array(let elements): elements.isEmpty ? "an empty array" : "an array"
    case .object(let members): members.isEmpty ? "an empty object" : "an object"
    case .string(let text): JSON.string(text.count > 60 ? text.prefix(60) + "…" : text).text()
    default: text()
    }
  }
}

/// A coding key made of any name or index.
struct JSONKey: CodingKey {
  var stringValue: String
  var intValue: Int?

  init(_ name: String) { stringValue = name }
  init(_ index: Int) {
    stringValue = "\(index)"
    intValue = index
  }
  init?(stringValue: String) { self.init(stringValue) }
  init?(intValue: Int) { self.init(intValue) }
}

/// The way from the outermost value to the one that is being coded.
indirect enum CodingTrail: Sendable {
  /// The outermost value, and what its path is in a larger whole.
  case root(String)
  case member(CodingTrail, String)
  case element(CodingTrail, Int)

  /// The path as people read it.
  var text: String {
    switch self {
    case .root(let base): base
    case .member(let parent, let key): JSONCodingError.path(parent.text, key)
    case .element(let parent, let index): JSONCodingError.path(parent.text, index)
    }
  }

  /// The path as the standard library's coders have it.
  var codingPath: [any CodingKey] {
    switch self {
    case .root: []
    case .member(let parent, let key): parent.codingPath + [JSONKey(key)]
    case .element(let parent, let index): parent.codingPath + [JSONKey(index)]
    }
  }

  /// The base of the whole path.
  var base: String {
    switch self {
    case .root(let base): base
    case .member(let parent, _), .element(let parent, _): parent.base
    }
  }

  /// What a value at this place should have been.
  func error(found: JSON?, expected: String) -> JSONCodingError {
    JSONCodingError(path: text, found: found?.shown ?? "nothing", expected: expected)
  }
}

/// Makes any error that came out of coding one with a path.
func codingError(_ error: any Error, in json: JSON?, base: String) -> JSONCodingError {
  if let error = error as? JSONCodingError { return error }
  var context: DecodingError.Context?
  var expected: String?
  switch error as? DecodingError {
  case .dataCorrupted(let its): context = its
  case .valueNotFound(let type, let its): (context, expected) = (its, "\(type)")
  case .typeMismatch(let type, let its): (context, expected) = (its, "\(type)")
  case .keyNotFound(let key, let its): (context, expected) = (its, "the key \"\(key.stringValue)\"")
  default: break
  }
  if case .invalidValue(let value, let its) = error as? EncodingError {
    return JSONCodingError(path: path(its.codingPath, base), found: "\(value)", expected: its.debugDescription)
  }
  guard let context else { return JSONCodingError(path: base, found: "an error", expected: "\(error)") }
  var place = json
  for key in context.codingPath { place = key.intValue.flatMap { place?[$0] } ?? place?[key.stringValue] }
  return JSONCodingError(
    path: path(context.codingPath, base), found: place?.shown ?? "nothing",
    expected: expected ?? context.debugDescription)
}

/// A standard library's path as people read it.
private func path(_ keys: [any CodingKey], _ base: String) -> String {
  keys.reduce(base) { path, key in
    key.intValue.map { JSONCodingError.path(path, $0) } ?? JSONCodingError.path(path, key.stringValue)
  }
}
