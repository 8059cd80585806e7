// WireTests: protobuf's wire format, read and written; every length checked.
import Testing

@testable import StackCore

@Suite struct WireTests {
  struct Inner: WireMessage, Hashable {
    var text = ""
    var number: Int64 = 0
    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "text", &text)
      try field(2, "number", &number)
    }
  }

  /// One field of every kind there is.
  struct Everything: WireMessage, Hashable {
    var flag = false
    var small: UInt32 = 0
    var large: UInt64 = 0
    var signed: Int32 = 0
    var signedLarge: Int64 = 0
    var float: Float = 0
    var double = 0.0
    var fixed32 = Fixed32(0)
    var fixed64 = Fixed64(0)
    var text = ""
    var bytes: [UInt8] = []
    var hash = Hash256()
    var maybe: UInt64?
    var maybeText: String?
    var numbers: [UInt64] = []
    var signedNumbers: [Int64] = []
    var doubles: [Double] = []
    var texts: [String] = []
    var blobs: [[UInt8]] = []
    var hashes: [Hash256] = []
    var inner = Inner()
    var maybeInner: Inner?
    var inners: [Inner] = []

    mutating func fields(_ field: inout some WireFields) throws(WireError) {
      try field(1, "flag", &flag)
      try field(2, "small", &small)
      try field(3, "large", &large)
      try field(4, "signed", &signed)
      try field(5, "signedLarge", &signedLarge)
      try field(6, "float", &float)
      try field(7, "double", &double)
      try field(8, "fixed32", &fixed32)
      try field(9, "fixed64", &fixed64)
      try field(10, "text", &text)
      try field(11, "bytes", &bytes)
      try field(12, "hash", &hash)
      try field(13, "maybe", &maybe)
      try field(14, "maybeText", &maybeText)
      try field(15, "numbers", &numbers)
      try field(16, "signedNumbers", &signedNumbers)
      try field(17, "doubles", &doubles)
      try field(18, "texts", &texts)
      try field(19, "blobs", &blobs)
      try field(20, "hashes", &hashes)
      try field(21, "inner", &inner)
      try field(22, "maybeInner", &maybeInner)
      try field(23, "inners", &inners, limit: 100)
    }

    static func random(_ random: inout RandomStream) -> Everything {
      func count(_ most: UInt64) -> Int { Int(random.next(below: most)) }
      func number() -> UInt64 { random.next() >> random.next(below: 64) }
      func text() -> String {
        String(
          String.UnicodeScalarView(
            (0..<count(20)).compactMap { _ in Unicode.Scalar(UInt32(random.next(below: 0x1ffff))) }))
      }
      func blob() -> [UInt8] { (0..<count(300)).map { _ in UInt8(truncatingIfNeeded: random.next()) } }
      func hash() -> Hash256 { Hash256((0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) }) ?? Hash256() }
      func inner() -> Inner { Inner(text: text(), number: Int64(bitPattern: number())) }
      var value = Everything()
      value.flag = count(2) == 1
      value.small = UInt32(truncatingIfNeeded: number())
      value.large = number()
      value.signed = Int32(truncatingIfNeeded: number())
      value.signedLarge = Int64(bitPattern: number())
      value.float = Float(Int32(truncatingIfNeeded: number()))
      value.double = Double(Int64(bitPattern: number()))
      value.fixed32 = Fixed32(UInt32(truncatingIfNeeded: number()))
      value.fixed64 = Fixed64(number())
      value.text = text()
      value.bytes = blob()
      value.hash = hash()
      value.maybe = count(2) == 0 ? nil : number()
      value.maybeText = count(2) == 0 ? nil : text()
      value.numbers = (0..<count(20)).map { _ in number() }
      value.signedNumbers = (0..<count(20)).map { _ in Int64(bitPattern: number()) }
      value.doubles = (0..<count(20)).map { _ in Double(Int64(bitPattern: number())) }
      value.texts = (0..<count(5)).map { _ in text() }
      value.blobs = (0..<count(5)).map { _ in blob() }
      value.hashes = (0..<count(5)).map { _ in hash() }
      value.inner = inner()
      value.maybeInner = count(2) == 0 ? nil : inner()
      value.inners = (0..<count(5)).map { _ in inner() }
      return value
    }
  }

  @Test func whatIsWrittenIsRead() throws {
    var random = RandomStream(seed: 7)
    for _ in 0..<500 {
      let value = Everything.random(&random)
      let bytes = value.encoded()
      #expect(try Everything(decoding: bytes) == value)
      #expect(try Everything(decoding: bytes).encoded() == bytes)
    }
  }

  @Test func truncatedAndFlippedBytesNeverCrash() {
    var random = RandomStream(seed: 8)
    for _ in 0..<300 {
      let bytes = Everything.random(&random).encoded()
      for _ in 0..<20 {
        var broken = Array(bytes.prefix(Int(random.next(below: UInt64(bytes.count + 1)))))
        for _ in 0..<random.next(below: 4) where !broken.isEmpty {
          broken[Int(random.next(below: UInt64(broken.count)))] ^= UInt8(1 << random.next(below: 8))
        }
        _ = try? Everything(decoding: broken)
      }
    }
  }

  @Test func fieldsInAnyOrderAndUnknownOnesInBetween() throws {
    struct Pair: WireMessage, Equatable {
      var a: UInt64 = 0
      var b = ""
      mutating func fields(_ field: inout some WireFields) throws(WireError) {
        try field(1, "a", &a)
        try field(2, "b", &b)
      }
    }
    let known = Pair(a: 300, b: "hi")
    // b, unknown varint 9, unknown bytes 10, unknown group 11 with a nested group, fixed32 12, fixed64 13, a.
    let bytes: [UInt8] =
      [0x12, 2, 0x68, 0x69, 0x48, 5, 0x52, 1, 0xff, 0x5b, 0x08, 1, 0x63, 0x64, 0x5c, 0x65, 1, 2, 3, 4, 0x69]
      + [1, 2, 3, 4, 5, 6, 7, 8, 0x08, 0xac, 2]
    #expect(try Pair(decoding: bytes) == known)
    // The last one counts when a field comes twice.
    #expect(try Pair(decoding: [8, 1, 8, 2]) == Pair(a: 2))
  }

  @Test func repeatedNumbersPackedOrNot() throws {
    struct Numbers: WireMessage {
      var values: [UInt64] = []
      mutating func fields(_ field: inout some WireFields) throws(WireError) {
        try field(3, "values", &values, limit: 4)
      }
    }
    #expect(try Numbers(decoding: [0x1a, 3, 1, 2, 3]).values == [1, 2, 3])
    #expect(try Numbers(decoding: [0x18, 1, 0x18, 2, 0x1a, 1, 3]).values == [1, 2, 3])
    #expect(Numbers(values: [1, 2, 300]).encoded() == [0x1a, 4, 1, 2, 0xac, 2])
    #expect(throws: WireError.tooMany) { try Numbers(decoding: [0x1a, 5, 1, 2, 3, 4, 5]) }
  }

  @Test(
    arguments: [
      ([0x08], WireError.truncated), ([0x08, 0x80], .truncated),
      ([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], .overlongNumber),
      ([0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], .overlongNumber),
      ([0x00, 0x01], .badTag), ([0x0e], .badTag), ([0x0f], .badTag), ([0x52, 5, 1], .truncated),
      ([0x52, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], .truncated),
      ([0x52, 1, 0xff], .badText), ([0x50, 1], .wrongType), ([0x62, 3, 1, 2, 3], .badLength),
      ([0xfc, 0x07], .badTag), ([0xfb, 0x07], .truncated),
    ] as [([UInt8], WireError)])
  func brokenBytesAreRefused(_ bytes: [UInt8], _ expected: WireError) {
    #expect(throws: expected) { try Everything(decoding: bytes) }
  }

  @Test func depthIsBounded() {
    struct Nest: WireMessage {
      var inner: [Nest] = []
      mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "inner", &inner) }
    }
    func nested(_ depth: Int) -> [UInt8] {
      var writer = WireWriter()
      var starts: [Int] = []
      for _ in 0..<depth {
        writer.writeTag(1, .bytes)
        starts.append(writer.beginNested())
      }
      for start in starts.reversed() { writer.endNested(start) }
      return writer.copied()
    }
    #expect(throws: Never.self) { try Nest(decoding: nested(32)) }
    #expect(throws: WireError.tooDeep) { try Nest(decoding: nested(33)) }
    // Groups as well, without recursion.
    #expect(throws: WireError.tooDeep) { try Nest(decoding: Array(repeating: 0x13, count: 100_000)) }
  }

  @Test func aMessagesOwnRuleSeesItWholeInWhateverOrderItCame() throws {
    struct Ruled: WireMessage {
      var id: UInt64 = 0
      var text = ""
      mutating func fields(_ field: inout some WireFields) throws(WireError) {
        try field(1, "id", &id)
        try field(2, "text", &text)
      }
      func check() throws(WireError) { if id == 0 { throw .badValue } }
    }
    #expect(try Ruled(decoding: [0x08, 1, 0x12, 1, 0x61]).text == "a")
    #expect(try Ruled(decoding: [0x12, 1, 0x61, 0x08, 1]).id == 1)
    #expect(throws: WireError.badValue) { try Ruled(decoding: []) }
    #expect(throws: WireError.badValue) { try Ruled(decoding: [0x12, 1, 0x61]) }
    #expect(throws: WireError.badValue) { try Ruled(decoding: [0x48, 1]) }
  }

  @Test func numbersOfEveryLength() throws {
    struct One: WireMessage, Equatable {
      var value: UInt64 = 0
      mutating func fields(_ field: inout some WireFields) throws(WireError) { try field(1, "value", &value) }
    }
    for shift in 0..<64 {
      for value in [UInt64(1) << UInt64(shift), (UInt64(1) << UInt64(shift)) - 1, UInt64.max >> UInt64(shift)] {
        #expect(try One(decoding: One(value: value).encoded()).value == value)
      }
    }
  }

  @Test func lengthsAtEveryBoundary() throws {
    for length in [0, 1, 126, 127, 128, 129, 16_382, 16_383, 16_384, 16_385, 65_000] {
      var value = Everything()
      value.maybeInner = Inner(text: String(repeating: "x", count: length))
      #expect(try Everything(decoding: value.encoded()) == value)
    }
  }

  @Test func aFullWriterSaysSo() {
    var writer = WireWriter(limit: 10)
    writer.writeRaw([UInt8](repeating: 1, count: 8).span.bytes)
    let before = writer.overflowed
    writer.writeFixed32(7)
    let (full, kept) = (writer.overflowed, writer.count)
    writer.writeRaw([1 as UInt8].span.bytes)
    let after = (writer.overflowed, writer.count)
    #expect(!before && full && kept == 8)
    // What is smaller may still fit, but that something is missing stays said.
    #expect(after == (true, 9))
  }

  @Test func aSchemaNamesEveryField() {
    let schema = WireSchema.of(Everything.self)
    #expect(schema.name == "Everything")
    #expect(schema.fields.map(\.number) == Array(1...23))
    #expect(schema.fields[4].kind == .value(protoName: "sint64"))
    #expect(schema.fields[12].presence == .optional)
    #expect(schema.fields[22].presence == .repeated)
    #expect(schema.fields[20].kind == .message(WireSchema.of(Inner.self)))
  }

  @Test func hashesHaveThirtyTwoBytes() throws {
    let hash = try #require(Hash256(Array(0..<32)))
    #expect(hash.hex == "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
    #expect(Hash256(hex: hash.hex) == hash)
    #expect(hash.bytes == Array(0..<32))
    #expect(Hash256(hex: "00") == nil)
    #expect(Hash256(hex: String(repeating: "g", count: 64)) == nil)
    #expect(Hash256() < hash)
  }
}
