// LibraryTests: the indexes of what is shared against plain models of them.
import StackCore
import StackSim
import Testing

@testable import FileShare

@Suite struct LibraryTests {
  private func hash(_ number: UInt64) -> Hash256 {
    var random = RandomStream(seed: number)
    return Hash256((0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) }) ?? Hash256()
  }

  @Test func theHashIndexFindsWhatWasPutThere() {
    var index = HashIndex(limit: 5_000)
    for number in 0..<6_000 as Range<UInt64> {
      let location = PieceLocation(
        file: UInt32(number % 50), piece: TreePiece(level: Int(number % 3), index: Int(number)))
      #expect(index.insert(hash(number), location) == (number < 5_000))
    }
    #expect(index.count == 5_000)
    index.keep { $0 % 2 == 0 }
    for number in 0..<5_000 as Range<UInt64> {
      let found = index.find(hash(number))
      #expect(found.map(\.piece.index) == (number % 2 == 0 ? [Int(number)] : []), "\(number)")
    }
    #expect(index.count == 2_500 && index.find(hash(9_999)).isEmpty)
    // 5,000 pieces, at most three quarters of a power of two.
    #expect(index.bytes <= 16 * 8_192)
  }

  @Test func piecesOfOneContentAreKeptUpToAFew() {
    var index = HashIndex(limit: 1_000)
    for chunk in 0..<100_000 { index.insert(hash(1), PieceLocation(file: 1, piece: .chunk(chunk))) }
    #expect(index.find(hash(1)).map(\.piece.index) == [0, 1, 2, 3])
    let huge = PieceLocation(file: 7, piece: .chunk(1 << 28))
    #expect(!index.insert(hash(2), huge) && index.find(hash(2)).isEmpty)
  }

  /// A file of the model: its folder, name and root.
  private struct Model: Hashable {
    var folder: String
    var name: String
    var root: UInt64
  }

  @Test(arguments: [1, 2, 3] as [UInt64]) func theSharedIndexIsWhatItsModelSays(_ seed: UInt64) throws {
    var random = RandomStream(seed: seed)
    var index = SharedIndex()
    var model: [String: Model] = [:]
    let folders = ["", "a", "a/b", "a/b/c", "a-", "ab", "é"]
    var number: UInt32 = 0
    // Who follows the changes, by any slices, knows what there is.
    var (followed, revision): ([Int32: SharedFile], UInt64) = ([:], 0)
    func follow(_ most: Int) {
      var places: [Int32] = []
      index.changes.forEach(after: revision) { change, place in
        if places.count == most { return false }
        #expect(change > revision && !places.contains(place))
        places.append(place)
        revision = change
        followed[place] = index[place]
        return true
      }
    }
    for step in 0..<3_000 {
      let folder = folders[Int(random.next(below: UInt64(folders.count)))]
      let name = ["x", "x-", "xx", "Ä", "A\u{308}", "z", "0"][Int(random.next(below: 7))]
      let key = FolderKey(share: 1, path: folder)
      let id = folder + "//" + Array(name.utf8).hex
      if random.next(below: 3) > 0 {
        number += 1
        let root = random.next(below: 5)
        let place = index.addFolder(key)
        index.add(
          SharedFile(
            folder: place, name: name, size: 10, stamp: UInt64(step), chunkSize: 8_192, number: number, root: hash(root)
          ))
        model[id] = Model(folder: folder, name: name, root: root)
      } else if let place = index.place(of: name, in: key) {
        index.remove(place)
        #expect(model.removeValue(forKey: id) != nil)
      } else {
        #expect(model[id] == nil)
      }
      if step % 7 == 0 { follow(Int(random.next(below: 12))) }
      if step % 500 == 499 { check(index, model, seed) }
      #expect(index.changes.count <= 2 * index.files.count + 1_025)
    }
    follow(.max)
    #expect(revision == index.changes.revision && followed.count == index.count)
    var known: [Int32: UInt32] = [:]
    index.forEach { place, file, _ in
      known[place] = file.number
      return true
    }
    #expect(followed.mapValues(\.number) == known)
    for key in index.subtree(FolderKey(share: 1, path: "")) {
      for place in index.folder(key)?.files ?? [] { index.remove(place) }
      index.removeFolder(key)
    }
    #expect(index.count == 0 && index.bytes == 0 && index.folder(FolderKey(share: 1, path: "")) == nil)
    for root in 0..<5 as Range<UInt64> { #expect(index.place(root: hash(root)) == nil) }
  }

  private func check(_ index: SharedIndex, _ model: [String: Model], _ seed: UInt64) {
    #expect(index.count == model.count && index.bytes == Int64(model.count) * 10, "seed \(seed)")
    var seen: [String] = []
    index.forEach { place, file, folder in
      let id = folder.key.path + "//" + Array(file.name.utf8).hex
      seen.append(id)
      #expect(model[id].map { hash($0.root) } == file.root, "seed \(seed)")
      #expect(index.place(number: file.number) == place && index.places(root: file.root).contains(place))
      return true
    }
    #expect(Set(seen) == Set(model.keys) && seen.count == model.count)
    for folder in index.folders {
      let names = (folder?.files ?? []).compactMap { index[$0]?.name }
      #expect(zip(names, names.dropFirst()).allSatisfy { precedes($0, $1) })
    }
    for root in 0..<5 as Range<UInt64> {
      #expect(index.places(root: hash(root)).count == model.count { $0.value.root == root })
    }
  }

  @Test func aScanTellsNewChangedAndGone() throws {
    let disk = SimDisk()
    for name in ["a", "b", "c-", "c", ".hidden", "sub/x", "sub/y"] { try disk.place("/s/" + name, Array(name.utf8)) }
    let files = disk.files(root: "/s")
    func look(_ known: [KnownFile]) -> FolderScan {
      FolderScan(.init(key: FolderKey(share: 1, path: ""), files: files, path: "", only: nil, known: known, limit: 100))
    }
    let first = look([])
    #expect(first.changed.map(\.name) == ["a", "b", "c", "c-"] && first.folders == ["sub"])
    #expect(first.skipped == [.hidden: 1])
    #expect(look(first.changed).changed.isEmpty && look(first.changed).gone.isEmpty)
    try disk.place("/s/b", [9, 9])
    try files.remove("c")
    try disk.place("/s/bb", [1])
    let second = look(first.changed)
    #expect(second.changed.map(\.name) == ["b", "bb"] && second.gone == ["c"])
    disk.erase()
    #expect(look(first.changed).isGone && look(first.changed).gone == ["a", "b", "c", "c-"])
  }

  @Test func nothingIsAmplifiedTowardsStrangers() {
    var allowances = AnswerAllowances()
    let stranger = Address(ipv4: 0x0a00_0001, port: 9)
    var standing = AnswerAllowances.Standing(isTrusted: false, heard: 1_280)
    func spend(_ bytes: Int, _ standing: AnswerAllowances.Standing?) -> Bool {
      allowances.spend(bytes, on: standing, stranger)
    }
    func answer(_ number: UInt64, _ address: Address) -> Bool { allowances.answer(address, hash(number)) }
    #expect(!spend(1, nil))
    var sent = 0
    while spend(100, standing) { sent += 128 }
    #expect(sent <= 3 * 1_280 && sent > 3 * 1_280 - 128)
    // A guess proves nothing; the very hash does, once.
    allowances.challenge(stranger, hash(1))
    #expect(!answer(2, stranger))
    #expect(!answer(1, Address(ipv4: 1, port: 1)))
    #expect(!spend(8_192, standing))
    #expect(answer(1, stranger))
    #expect(!answer(1, stranger))
    #expect(spend(8_192, standing))
    allowances.forget(stranger)
    #expect(!spend(8_192, standing))
    standing.isTrusted = true
    #expect(spend(8_192, standing))
  }
}
