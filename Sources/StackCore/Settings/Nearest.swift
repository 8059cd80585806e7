// Nearest: the known word that a mistyped one was probably meant to be.

/// The word among these that is fewest slips (a letter too many, too few, wrong, or two swapped) from `word`, letters
/// of either case alike; nil when none is near. Only the first 64 bytes of words, and 1,024 words, are looked at.
public func nearest(_ word: String, among words: [String]) -> String? {
  let typed = Array(word.lowercased().utf8.prefix(64))
  // A third of the letters, and at least one, may be wrong.
  let allowed = max(1, typed.count / 3)
  var best: (word: String, slips: Int)?
  for candidate in words.prefix(1024) {
    let slips = slipsBetween(typed, Array(candidate.lowercased().utf8.prefix(64)))
    if slips <= allowed, slips < typed.count, slips < best?.slips ?? .max { best = (candidate, slips) }
  }
  return best?.word
}

/// The Damerau-Levenshtein distance (optimal string alignment).
private func slipsBetween(_ a: [UInt8], _ b: [UInt8]) -> Int {
  if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
  var before: [Int] = []
  var last = Array(0...b.count)
  for i in 1...a.count {
    var row = [i]
    for j in 1...b.count {
      let same = a[i - 1] == b[j - 1]
      var slips = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1))
      if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { slips = min(slips, before[j - 2] + 1) }
      row.append(slips)
    }
    before = last
    last = row
  }
  return last[b.count]
}
