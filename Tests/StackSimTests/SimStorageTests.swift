// The simulated storage: its ordered table against a plain model, its crash model, and what it costs.
// (What it shares with the real one is tested with that one.)
import StackCore
import Testing

@testable import StackSim

private func keys(_ table: OrderedBytes<Int>) -> [[UInt8]] {
  var found: [[UInt8]] = []
  table.scan(from: []) { key, _ in
    found.append(key)
    return true
  }
  return found
}

@Suite struct OrderedBytesTests {
  @Test func bytesAreOrderedLikeBytes() {
    var numbers = RandomStream(seed: 5)
    for _ in 0..<2000 {
      let count = Int.random(in: 0...20, using: &numbers)
      var left = (0..<count).map { _ in UInt8.random(in: 0...255, using: &numbers) }
      var right = left
      if !right.isEmpty, Bool.random(using: &numbers) { right[.random(in: 0..<count, using: &numbers)] &+= 1 }
      if Bool.random(using: &numbers) { left.append(0) }
      #expect(precedes(left, right) == left.lexicographicallyPrecedes(right))
      #expect(precedes(right, left) == right.lexicographicallyPrecedes(left))
      #expect(!precedes(left, left))
    }
  }

  @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64]) func randomOperationsAgreeWithTheModel(seed: UInt64) {
    var numbers = RandomStream(seed: seed)
    var table = OrderedBytes<Int>()
    var model: [[UInt8]: Int] = [:]
    // Alternately mostly growing and mostly shrinking, so that blocks split and join again.
    for step in 0..<6000 {
      let isGrowing = step / 1500 % 2 == 0
      let key = (0..<Int.random(in: 0...3, using: &numbers)).map { _ in UInt8.random(in: 0...12, using: &numbers) }
      if Int.random(in: 0..<10, using: &numbers) < (isGrowing ? 9 : 1) {
        #expect(table.set(key, step) == model.updateValue(step, forKey: key))
      } else {
        #expect(table.remove(key) == model.removeValue(forKey: key))
      }
      #expect(table.count == model.count)
      #expect(table[key] == model[key])
      guard step % 100 == 0 else { continue }
      let sorted = model.keys.sorted { $0.lexicographicallyPrecedes($1) }
      #expect(keys(table) == sorted, "seed \(seed), step \(step)")
      var backwards: [[UInt8]] = []
      table.scan(from: key, upTo: key + [6], reversed: true, limit: 7) { key, _ in
        backwards.append(key)
        return true
      }
      let inRange = sorted.filter {
        !$0.lexicographicallyPrecedes(key) && $0.lexicographicallyPrecedes(key + [6])
      }
      #expect(backwards == Array(inRange.reversed().prefix(7)))
    }
  }

  @Test func aCopyKeepsWhatItHad() {
    var table = OrderedBytes<Int>()
    for number in 0..<1000 { table.set([UInt8(number >> 8), UInt8(number & 255)], number) }
    let copy = table
    for number in 0..<1000 where number % 3 != 0 { table.remove([UInt8(number >> 8), UInt8(number & 255)]) }
    #expect(copy.count == 1000)
    #expect(keys(copy).count == 1000)
    #expect(table.count == 334)
  }

  @Test func manyKeysInAndOutOfOrder() {
    var table = OrderedBytes<Int>()
    let many = 100_000
    // 7919 is coprime to the count: each number comes once, out of order.
    for step in 0..<many {
      let number = step * 7919 % many
      table.set([UInt8(number >> 16), UInt8(number >> 8 & 255), UInt8(number & 255)], number)
    }
    #expect(table.count == many)
    var next = 0
    table.scan(from: []) { _, value in
      defer { next += 1 }
      return value == next
    }
    #expect(next == many)
  }
}

@Suite struct SimStorageTests {
  @Test func aCrashTakesWhatWasNotCommitted() throws {
    let storage = SimStorage()
    let layer = try storage.namespace("gossip", version: 1)
    try layer.set([1], [1])
    try layer.set([2], [2])
    try layer.setStoredVersion(1)
    try storage.commit()
    let bytes = storage.usedBytes
    try layer.set([1], [9])
    try layer.set([1], [8, 8])
    try layer.remove([2])
    try layer.set([3], [3])
    try layer.setStoredVersion(2)
    try layer.removeRange(from: [], upTo: nil)
    storage.crash()
    #expect(!storage.isDirty)
    #expect(storage.usedBytes == bytes)
    let after = try storage.namespace("gossip", version: 1)
    #expect(try after.get([1]) == [1])
    #expect(try after.get([2]) == [2])
    #expect(try after.count() == 2)
    #expect(after.storedVersion == 1)
  }

  @Test func aFaultStopsItUntilTheRestart() throws {
    let storage = SimStorage()
    let layer = try storage.namespace("gossip", version: 1)
    try layer.set([1], [1])
    try storage.commit()
    try layer.set([2], [2])
    storage.fail(StorageError(.other, "the disk reports an error"))
    #expect(storage.isDirty)
    #expect(throws: StorageError.self) { try storage.commit() }
    #expect(throws: StorageError.self) { try layer.get([1]) }
    storage.crash()
    #expect(try layer.count() == 1)
    storage.erase()
    #expect(try layer.count() == 0)
    #expect(storage.usedBytes == 0)
  }

  @Test func aFaultWithinAScanLeavesItUsableAfterTheRestart() throws {
    let storage = SimStorage()
    let layer = try storage.namespace("gossip", version: 1)
    try layer.set([1], [1])
    try storage.commit()
    try layer.scan(from: [], upTo: nil, reversed: false, limit: 9) { _, _ in
      storage.fail(StorageError(.other, "broken"))
      return true
    }
    storage.crash()
    try layer.set([2], [2])
    #expect(try layer.count() == 2)
  }
}

@Suite struct SimDiskTests {
  @Test func aCrashLeavesWhatWasSyncedOrCommitted() throws {
    let disk = SimDisk()
    let files = disk.files(root: "/data/files")
    let whole = try files.create("whole", reserving: 0, resuming: false)
    try write([1, 2, 3], to: whole)
    try whole.commit(replacing: false)
    let half = try files.create("half", reserving: 10, resuming: false)
    try write([4, 5], to: half)
    try half.sync()
    try write([6, 7, 8], to: half)
    let never = try files.create("never", reserving: 0, resuming: false)
    try write([9], to: never)
    disk.crash()
    #expect(throws: FileError.self) { try half.sync() }
    #expect(throws: FileError.self) { try half.commit(replacing: false) }
    #expect(disk.contents("/data/files/whole") == [1, 2, 3])
    #expect(disk.contents("/data/files/half") == nil)
    let again = try files.create("half", reserving: 10, resuming: true)
    #expect(try again.facts().size == 2)
    try again.commit(replacing: false)
    #expect(disk.contents("/data/files/half") == [4, 5])
    #expect(try files.create("never", reserving: 0, resuming: true).facts().size == 0)
    #expect(disk.usedBytes == 5)
  }

  @Test func roomIsCountedAndGivenBack() throws {
    let disk = SimDisk(capacity: 100)
    let files = disk.files(root: "/data")
    try disk.place("/data/old", [UInt8](repeating: 1, count: 30))
    let file = try files.create("new", reserving: 60, resuming: false)
    #expect(disk.usedBytes == 90)
    let error = #expect(throws: FileError.self) { try files.create("more", reserving: 11, resuming: false) }
    #expect(error?.kind == .full)
    try write([1, 2], to: file)
    #expect(throws: FileError.self) { try write([UInt8](repeating: 0, count: 71), to: file) }
    try file.commit(replacing: false)
    #expect(disk.usedBytes == 32)
    let reader = try files.open("old")
    try files.remove("old")
    #expect(disk.usedBytes == 32)
    #expect(try reader.facts().size == 30)
    withExtendedLifetime(reader) {}
    try files.create("gone", reserving: 50, resuming: false).discard()
    #expect(disk.usedBytes <= 32)
    disk.erase()
    #expect(disk.usedBytes == 0)
  }

  private func write(_ bytes: [UInt8], to file: any WritableFile) throws {
    try bytes.withUnsafeBytes { try file.write($0, at: 0) }
  }
}
