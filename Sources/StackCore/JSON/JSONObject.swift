// JSONObject: keys and values in the order in which they were put in, with fast look-up however many there are.

/// The members of a JSON object, in insertion order. Equality and hashing don't regard the order.
public struct JSONObject: Sendable {
  /// A key and its value.
  public typealias Member = (key: String, value: JSON)

  private var members: [Member] = []
  /// Where each key stands; kept only for objects too large to search one by one.
  private var places: [String: Int] = [:]

  /// Up to so many keys are searched one by one, which is faster than hashing them.
  private static var searchedByHand: Int { 16 }

  /// An object without members.
  public init() {}

  /// An object of these members; of two with the same key the last stays.
  public init(_ members: some Sequence<(String, JSON)>) {
    for (key, value) in members { self[key] = value }
  }

  /// The keys, in order.
  public var keys: [String] { members.map(\.key) }
  /// The values, in the order of their keys.
  public var values: [JSON] { members.map(\.value) }
  /// How many members there are.
  public var count: Int { members.count }
  /// Whether there is none.
  public var isEmpty: Bool { members.isEmpty }

  /// The value under a key. Setting keeps the place of a key that is there; setting nil removes it.
  public subscript(key: String) -> JSON? {
    get { place(of: key).map { members[$0].value } }
    set {
      switch (place(of: key), newValue) {
      case (let place?, let value?): members[place].value = value
      case (let place?, nil): remove(at: place)
      case (nil, let value?): append(key, value)
      case (nil, nil): break
      }
    }
  }

  /// Puts a member at the end; false, and nothing changed, when the key is there already.
  mutating func insert(_ key: String, _ value: JSON) -> Bool {
    if place(of: key) != nil { return false }
    append(key, value)
    return true
  }

  /// Makes room for so many members.
  public mutating func reserveCapacity(_ count: Int) {
    members.reserveCapacity(count)
  }

  /// The same members, keys in Unicode order.
  public func sorted() -> JSONObject {
    JSONObject(members.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
  }

  private func place(of key: String) -> Int? {
    if members.count > Self.searchedByHand { return places[key] }
    for place in members.indices where members[place].key == key { return place }
    return nil
  }

  private mutating func append(_ key: String, _ value: JSON) {
    members.append((key, value))
    if members.count == Self.searchedByHand + 1 {
      indexAll()
    } else if members.count > Self.searchedByHand {
      places[key] = members.count - 1
    }
  }

  private mutating func remove(at place: Int) {
    members.remove(at: place)
    places.removeAll()
    if members.count > Self.searchedByHand { indexAll() }
  }

  private mutating func indexAll() {
    for (place, member) in members.enumerated() { places[member.key] = place }
  }
}

extension JSONObject: Hashable {
  public static func == (left: JSONObject, right: JSONObject) -> Bool {
    guard left.count == right.count else { return false }
    return left.allSatisfy { right[$0.key] == $0.value }
  }

  public func hash(into hasher: inout Hasher) {
    // A sum, so that the order doesn't count.
    var sum = 0
    for (key, value) in self {
      var one = Hasher()
      one.combine(key)
      one.combine(value)
      sum &+= one.finalize()
    }
    hasher.combine(count)
    hasher.combine(sum)
  }
}

extension JSONObject: RandomAccessCollection {
  public var startIndex: Int { 0 }
  public var endIndex: Int { members.count }
  /// The member at a place in the order.
  public subscript(position: Int) -> Member { members[position] }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
  public init(dictionaryLiteral elements: (String, JSON)...) { self.init(elements) }
}
