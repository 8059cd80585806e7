// Chance: random numbers of several shapes, worked out by our own arithmetic, so that every build draws the same.
import StackCore

/// Logarithm and exponential from additions, multiplications and divisions alone, which IEEE 754 fixes to the last bit.
/// A library's own differ from machine to machine, and then so would a simulation's trace.
enum ExactMath {
  private static let ln2 = 0.693147180559945309417

  /// The natural logarithm of a positive number, good to about 1e-15.
  static func log(_ x: Double) -> Double {
    if !(x > 0) { return -.infinity }
    var exponent = Double(x.exponent)
    var part = x.significand
    if part > 1.4142135623730951 {
      part /= 2
      exponent += 1
    }
    // ln(part) = 2 artanh((part - 1) / (part + 1)), and the argument is below 0.172.
    let z = (part - 1) / (part + 1)
    let square = z * z
    var sum = 0.0
    var divisor = 21.0
    while divisor >= 1 {
      sum = sum * square + 1 / divisor
      divisor -= 2
    }
    return exponent * ln2 + 2 * z * sum
  }

  /// e to the power of a number, good to about 1e-15; 0 and infinity far out.
  static func exp(_ x: Double) -> Double {
    if x < -700 { return 0 }
    if x > 700 { return .infinity }
    let whole = (x / ln2).rounded()
    let rest = x - whole * ln2
    var sum = 1.0
    var step = 18.0
    while step >= 1 {
      sum = 1 + rest / step * sum
      step -= 1
    }
    return Double(sign: .plus, exponent: Int(whole), significand: sum)
  }
}

extension RandomStream {
  /// A number of the normal distribution with mean 0 and deviation 1 (Marsaglia's polar method; the second number that
  /// it yields is given up, so that the stream has no other state).
  mutating func nextNormal() -> Double {
    while true {
      let u = 2 * nextUnit() - 1
      let v = 2 * nextUnit() - 1
      let square = u * u + v * v
      if square > 0, square < 1 { return u * (-2 * ExactMath.log(square) / square).squareRoot() }
    }
  }

  /// A number of the exponential distribution with mean 1.
  mutating func nextExponential() -> Double { -ExactMath.log(1 - nextUnit()) }

  /// Puts elements in random order.
  mutating func shuffle<Element>(_ elements: inout [Element]) {
    var last = elements.count - 1
    while last > 0 {
      elements.swapAt(last, Int(next(below: UInt64(last + 1))))
      last -= 1
    }
  }
}

/// Something that happens with a probability, as a threshold for 64 random bits.
struct Odds {
  let threshold: UInt64
  let isCertain: Bool

  init(_ probability: Double) {
    isCertain = probability >= 1
    threshold = probability > 0 && probability < 1 ? UInt64(probability * 0x1p64) : 0
  }

  /// Whether it can happen at all; if not, nothing is drawn for it.
  var isPossible: Bool { threshold > 0 || isCertain }

  /// Whether it happens this time.
  func happens(_ random: inout RandomStream) -> Bool { isPossible && (isCertain || random.next() < threshold) }
}
