// Files: what every LayerFiles promises, asked of the real and the simulated; then what only a real disk can do to us.
import Foundation
import Glibc
import StackCore
import StackSim
import Testing

@testable import StackRuntime

/// Which files are asked.
enum FilesKind: String, CaseIterable { case disk, simulated }

/// A layer's files, and where they are.
private final class FilesBench {
  let files: any LayerFiles
  let root: String
  private let scratch: ScratchDirectory?

  init(_ kind: FilesKind) throws {
    switch kind {
    case .disk:
      let scratch = try ScratchDirectory()
      self.scratch = scratch
      root = scratch.path("files")
      files = DiskFiles(root: root)
    case .simulated:
      scratch = nil
      root = "/data/files"
      let disk = SimDisk(capacity: 1 << 40)
      try disk.files(root: "/data").makeDirectory("")
      files = disk.files(root: root)
    }
  }
}

extension WritableFile {
  func write(_ bytes: [UInt8], at offset: Int64 = 0) throws { try bytes.withUnsafeBytes { try write($0, at: offset) } }

  func read(_ count: Int, at offset: Int64 = 0) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = try bytes.withUnsafeMutableBytes { try read(into: $0, at: offset) }
    return Array(bytes[..<got])
  }
}

extension ReadableFile {
  func read(_ count: Int, at offset: Int64 = 0) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = try bytes.withUnsafeMutableBytes { try read(into: $0, at: offset) }
    return Array(bytes[..<got])
  }
}

extension LayerFiles {
  /// Makes a file with some content.
  func make(_ path: String, _ bytes: [UInt8], replacing: Bool = false) throws {
    let file = try create(path, reserving: Int64(bytes.count), resuming: false)
    try file.write(bytes)
    try file.commit(replacing: replacing)
  }
}

private func kind(_ body: () throws -> Void) -> FileError.Kind? {
  do {
    try body()
    return nil
  } catch {
    return (error as? FileError)?.kind
  }
}

@Suite struct FilesContractTests {
  @Test(arguments: FilesKind.allCases) func aFileAppearsWholeOrNotAtAll(kind: FilesKind) throws {
    let bench = try FilesBench(kind)
    let file = try bench.files.create("song", reserving: 1000, resuming: false)
    try file.write([1, 2, 3])
    try file.write([9], at: 5)
    #expect(try file.read(10) == [1, 2, 3, 0, 0, 9])
    #expect(try file.facts().size == 6)
    #expect(StackRuntimeTests.kind { _ = try bench.files.open("song") } == .notFound)
    #expect(try bench.files.list("", limit: 10).isEmpty)
    try file.commit(replacing: false)
    #expect(StackRuntimeTests.kind { try file.write([1]) } == .other)
    #expect(StackRuntimeTests.kind { try file.commit(replacing: false) } == .other)
    file.discard()
    let read = try bench.files.open("song")
    #expect(try read.read(100) == [1, 2, 3, 0, 0, 9])
    #expect(try read.read(2, at: 4) == [0, 9])
    #expect(try read.read(2, at: 6).isEmpty)
    #expect(try read.facts() == bench.files.facts("song"))
    #expect(try bench.files.facts(bench.root + "/song").size == 6)
  }

  @Test(arguments: FilesKind.allCases) func nothingIsReplacedUnlessAsked(kind: FilesKind) throws {
    let bench = try FilesBench(kind)
    let files = bench.files
    try files.make("song", [1])
    let old = try files.open("song")
    let stamp = try files.facts("song").stamp
    let file = try files.create("song", reserving: 0, resuming: false)
    try file.write([2, 2])
    #expect(StackRuntimeTests.kind { try file.commit(replacing: false) } == .exists)
    #expect(try files.open("song").read(9) == [1])
    try file.commit(replacing: true)
    #expect(try files.open("song").read(9) == [2, 2])
    // Who had it open still reads what they had.
    #expect(try old.read(9) == [1])
    #expect(try files.facts("song").stamp != stamp)
  }

  @Test(arguments: FilesKind.allCases) func anInterruptedFileIsTakenUpAgain(kind: FilesKind) throws {
    let bench = try FilesBench(kind)
    let files = bench.files
    do {
      let file = try files.create("film", reserving: 100, resuming: false)
      try file.write([1, 2, 3, 4])
      // One writer at a time.
      #expect(StackRuntimeTests.kind { _ = try files.create("film", reserving: 0, resuming: true) } == .exists)
    }
    do { #expect(try files.create("film", reserving: 100, resuming: true).read(9) == [1, 2, 3, 4]) }
    do { #expect(try files.create("film", reserving: 3, resuming: true).read(9) == [1, 2, 3]) }
    do { #expect(try files.create("film", reserving: 100, resuming: false).read(9).isEmpty) }
    let file = try files.create("film", reserving: 0, resuming: true)
    try file.write([7])
    file.discard()
    file.discard()
    #expect(try files.create("film", reserving: 0, resuming: true).facts().size == 0)
  }

  @Test(arguments: FilesKind.allCases) func whatDoesNotFitIsRefusedBeforeItIsWritten(kind: FilesKind) throws {
    let bench = try FilesBench(kind)
    let files = bench.files
    let error = #expect(throws: FileError.self) { try files.create("huge", reserving: 1 << 60, resuming: false) }
    #expect(error?.kind == .full)
    #expect(error?.message.contains("free") == true)
    #expect(try files.list("", limit: 9).isEmpty)
    try files.make("huge", [1])
  }

  @Test(arguments: FilesKind.allCases) func directoriesAreListedInOrder(kind: FilesKind) throws {
    let bench = try FilesBench(kind)
    let files = bench.files
    try files.makeDirectory("a/b")
    try files.makeDirectory("a/b")
    for name in ["a/z", "a/b/inner", "a/b-", "a/é", "a/Z", "a/.hidden"] { try files.make(name, [1]) }
    let part = try files.create("a/unfinished", reserving: 0, resuming: false)
    #expect(try files.list("a", limit: 99).map(\.name) == [".hidden", "Z", "b", "b-", "z", "é"])
    #expect(try files.list("a", limit: 2).map(\.name) == [".hidden", "Z"])
    #expect(try files.list("a", limit: 0).isEmpty)
    #expect(try files.list("a", limit: 3).map(\.kind) == [.file, .file, .directory])
    #expect(try files.below("a/b").list("", limit: 9).map(\.name) == ["inner"])
    #expect(try files.below("a").open("b/inner").read(9) == [1])
    #expect(StackRuntimeTests.kind { _ = try files.list("a/z", limit: 9) } == .notRegular)
    #expect(StackRuntimeTests.kind { _ = try files.list("nowhere", limit: 9) } == .notFound)
    #expect(StackRuntimeTests.kind { _ = try files.open("a") } == .notRegular)
    #expect(StackRuntimeTests.kind { try files.remove("a") } == .notRegular)
    #expect(StackRuntimeTests.kind { try files.make("a", [], replacing: true) } == .exists)
    #expect(StackRuntimeTests.kind { try files.makeDirectory("a/z") } == .notRegular)
    #expect(StackRuntimeTests.kind { _ = try files.create("new/file", reserving: 0, resuming: false) } == .notFound)
    part.discard()
    try files.remove("a/z")
    try files.remove("a/z")
    try files.remove("no/such/place")
    #expect(StackRuntimeTests.kind { _ = try files.facts("a/z") } == .notFound)
    #expect(try files.facts("").kind == .directory)
  }

  @Test(arguments: FilesKind.allCases) func noNameLeadsOutOfTheFolder(kind: FilesKind) throws {
    let bench = try FilesBench(kind)
    for path in ["../x", "a/../../x", "..", "a\0b", String(repeating: "n", count: 256)] {
      #expect(StackRuntimeTests.kind { _ = try bench.files.facts(path) } == .badName)
      #expect(StackRuntimeTests.kind { try bench.files.make(path, [1]) } == .badName)
      #expect(StackRuntimeTests.kind { try bench.files.makeDirectory(path) } == .badName)
    }
    for path in ["", ".", "/", "./."] { #expect(StackRuntimeTests.kind { try bench.files.make(path, []) } == .badName) }
    // A slash with an accent on it is one character, and still a slash to the system.
    try bench.files.makeDirectory("a")
    try bench.files.make("a/\u{301}b", [1])
    #expect(try bench.files.list("a", limit: 9).map(\.name) == ["\u{301}b"])
    // Two spellings of one letter are two names, as they are to the system.
    try bench.files.make("caf\u{e9}", [1])
    try bench.files.make("cafe\u{301}", [2])
    #expect(try bench.files.open("caf\u{e9}").read(9) == [1])
  }

  @Test(arguments: FilesKind.allCases) func aLongNameCanBeWritten(kind: FilesKind) throws {
    let bench = try FilesBench(kind)
    let files = bench.files
    let stem = String(repeating: "é", count: 127)
    let one = try files.create(stem + "1", reserving: 0, resuming: false)
    let other = try files.create(stem + "2", reserving: 0, resuming: false)
    try one.write([1])
    try other.write([2])
    try one.commit(replacing: false)
    try other.commit(replacing: false)
    #expect(try files.open(stem + "2").read(9) == [2])
  }
}

@Suite struct DiskFilesTests {
  @Test func linksAreNotFollowedWhereAPeerCouldHavePutThem() throws {
    let scratch = try ScratchDirectory()
    mkdir(scratch.path("secret"), 0o700)
    try scratch.write("secret/key", [42])
    mkdir(scratch.path("shared"), 0o700)
    symlink(scratch.path("secret"), scratch.path("shared/way"))
    symlink(scratch.path("secret/key"), scratch.path("shared/file"))
    let shared = DiskFiles(root: scratch.path("shared"))
    #expect(kind { _ = try shared.open("file") } == .link)
    #expect(kind { _ = try shared.open("way/key") } == .link)
    #expect(kind { _ = try shared.list("way", limit: 9) } == .notRegular)
    #expect(kind { _ = try shared.create("way/new", reserving: 0, resuming: false) } == .link)
    #expect(kind { try shared.makeDirectory("way/new") } == .link)
    #expect(try shared.facts("file").kind == .other)
    #expect(try shared.list("", limit: 9).map(\.kind) == [.other, .other])
    // In a path that the person gave, only the last part may not be one.
    #expect(try shared.open(scratch.path("shared/way/key")).read(9) == [42])
    #expect(kind { _ = try shared.open(scratch.path("shared/file")) } == .link)
    // And a folder that the person chose may be one itself.
    #expect(try shared.below(scratch.path("shared/way")).open("key").read(9) == [42])
    // Removing takes the link, not what it points to; committing puts the file in its place.
    try shared.make("file", [1], replacing: true)
    try shared.remove("way")
    #expect(try scratch.read("secret/key") == [42])
    #expect(try scratch.read("shared/file") == [1])
  }

  @Test func aPlantedTemporaryFileIsNotWrittenThrough() throws {
    let scratch = try ScratchDirectory()
    let files = DiskFiles(root: scratch.path)
    try scratch.write("victim", [1, 2, 3])
    symlink(scratch.path("victim"), scratch.path(".a.strata-part"))
    link(scratch.path("victim"), scratch.path(".b.strata-part"))
    mkfifo(scratch.path(".c.strata-part"), 0o600)
    for name in ["a", "b", "c"] {
      let file = try files.create(name, reserving: 0, resuming: true)
      try file.write([9, 9, 9, 9])
      try file.commit(replacing: false)
      #expect(try scratch.read(name) == [9, 9, 9, 9])
    }
    #expect(try scratch.read("victim") == [1, 2, 3])
    mkdir(scratch.path(".d.strata-part"), 0o700)
    #expect(kind { _ = try files.create("d", reserving: 0, resuming: true) } != nil)
  }

  @Test func pipesAndDevicesAreRefusedWithoutWaiting() throws {
    let scratch = try ScratchDirectory()
    mkfifo(scratch.path("pipe"), 0o600)
    let files = DiskFiles(root: scratch.path)
    #expect(kind { _ = try files.open("pipe") } == .notRegular)
    #expect(kind { _ = try files.open("/dev/null") } == .notRegular)
    #expect(try files.facts("pipe").kind == .other)
    #expect(kind { _ = try files.open("pipe/below") } == .notRegular)
  }

  @Test func reservedSpaceIsReallyClaimedAndGivenBack() throws {
    let scratch = try ScratchDirectory()
    let files = DiskFiles(root: scratch.path)
    let file = try files.create("big", reserving: 1 << 20, resuming: false)
    var facts = stat()
    stat(scratch.path(".big.strata-part"), &facts)
    #expect(facts.st_blocks * 512 >= 1 << 20)
    #expect(facts.st_size == 0)
    try file.write([1])
    try file.commit(replacing: false)
    stat(scratch.path("big"), &facts)
    #expect(facts.st_blocks * 512 < 1 << 16)
    #expect(try scratch.names() == ["big"])
  }

  /// Large files are written past the kernel's cache where whole blocks are, and as usual where they aren't.
  @Test func aLargeFileIsWhatWasWritten() throws {
    let scratch = try ScratchDirectory()
    let files = DiskFiles(root: scratch.path)
    let size = 16 << 20 + 5_000
    var content = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 12) }
    let pages = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 4_096)
    defer { pages.deallocate() }
    var file = try files.create("large", reserving: Int64(size), resuming: false)
    pages.copyBytes(from: content)
    // The second half first, in blocks; then from a place in memory and in the file that is no block's start.
    let half = 8 << 20
    try file.write(UnsafeRawBufferPointer(rebasing: pages[half...]), at: Int64(half))
    try file.write(UnsafeRawBufferPointer(rebasing: pages[..<4_096]), at: 0)
    try file.write(UnsafeRawBufferPointer(rebasing: pages[4_096..<10_000]), at: 4_096)
    #expect(try file.facts().size == Int64(size))
    file = try files.create("other", reserving: 0, resuming: false)
    file = try files.create("large", reserving: Int64(size), resuming: true)
    #expect(try file.facts().size == Int64(size))
    try file.write(UnsafeRawBufferPointer(rebasing: pages[10_000..<half]), at: 10_000)
    #expect(try file.read(size + 1) == content)
    // Over what is there, and what was read before is not what is read after.
    content.replaceSubrange(8_192..<16_384, with: repeatElement(7, count: 8_192))
    pages.copyBytes(from: content)
    try file.write(UnsafeRawBufferPointer(rebasing: pages[8_192..<16_384]), at: 8_192)
    #expect(try file.read(size) == content)
    try file.commit(replacing: false)
    let read = try files.open("large")
    #expect(try read.read(size + 1) == content)
    // It is in memory now, so nothing is waited for.
    var bytes = [UInt8](repeating: 0, count: 100_000)
    let got = try bytes.withUnsafeMutableBytes { try read.readNow(into: $0, at: 50_000) }
    #expect(got == 100_000 && bytes[...] == content[50_000..<150_000])
    let end = try bytes.withUnsafeMutableBytes { try read.readNow(into: $0, at: Int64(size) - 10) }
    #expect(end == 10)
  }

  /// A large file is made longer ahead of what is written; nobody sees that but whoever takes it up after a crash.
  @Test(arguments: [8_192, 131_072]) func aLargeFileEndsWhereItsBytesEnd(length: Int) throws {
    let scratch = try ScratchDirectory()
    let files = DiskFiles(root: scratch.path)
    let pages = UnsafeMutableRawBufferPointer.allocate(byteCount: length, alignment: 4_096)
    defer { pages.deallocate() }
    pages.copyBytes(from: [UInt8](repeating: 5, count: length))
    let end = 4_096 + length
    var file = try files.create("large", reserving: 32 << 20, resuming: false)
    try file.write(UnsafeRawBufferPointer(pages), at: 4_096)
    #expect(try file.facts().size == Int64(end))
    file = try files.create("other", reserving: 0, resuming: false)
    file = try files.create("large", reserving: 32 << 20, resuming: true)
    let size = try file.facts().size
    #expect(size >= Int64(end) && size <= 32 << 20)
    let back = try file.read(end + 4_096)
    #expect(back[4_096..<end].allSatisfy { $0 == 5 } && back[end...].allSatisfy { $0 == 0 })
    file.discard()
    file = try files.create("large", reserving: 32 << 20, resuming: false)
    try file.write(UnsafeRawBufferPointer(pages), at: 0)
    try file.commit(replacing: false)
    #expect(try files.facts("large").size == Int64(length))
  }

  /// A short write far ahead isn't cut off by a long one that makes the file longer at the same time.
  @Test func shortAndLongWritesSideBySideLoseNothing() throws {
    let scratch = try ScratchDirectory()
    let files = DiskFiles(root: scratch.path)
    let far: Int64 = 150 << 20
    for round in 0..<100 {
      let file = try files.create("large", reserving: 160 << 20, resuming: false)
      let pool = WorkerPool(threads: 2)
      for offset in [far, 0] {
        let length = offset == 0 ? 131_072 : 65_536
        let write: @Sendable () -> Void = {
          let pages = UnsafeMutableRawBufferPointer.allocate(byteCount: length, alignment: 4_096)
          defer { pages.deallocate() }
          pages.copyBytes(from: [UInt8](repeating: 7, count: length))
          do { try file.write(UnsafeRawBufferPointer(pages), at: offset) } catch { Issue.record("\(error)") }
        }
        #expect(pool.submit(write))
      }
      pool.shutdown(finishing: true)
      var back = [UInt8](repeating: 0, count: 65_536)
      let count = try back.withUnsafeMutableBytes { try file.read(into: $0, at: far) }
      #expect(count == 65_536 && back.allSatisfy { $0 == 7 }, "round \(round)")
      file.discard()
    }
  }

  @Test func aDirectoryWithoutRightsIsRefused() throws {
    let scratch = try ScratchDirectory()
    try scratch.write("mine", [1])
    chmod(scratch.path("mine"), 0o600)
    let files = DiskFiles(root: scratch.path)
    chmod(scratch.path, 0o555)
    defer { chmod(scratch.path, 0o755) }
    #expect(asStranger { kind { _ = try files.create("new", reserving: 0, resuming: false) } } == .refused)
    if geteuid() == 0 { #expect(asStranger { kind { _ = try files.open("mine") } } == .refused) }
  }

  @Test func aFolderWithManyNamesIsListedWithinBounds() throws {
    let scratch = try ScratchDirectory()
    for number in 0..<500 { try scratch.write("f\(1000 + number * 7 % 500)", []) }
    let files = DiskFiles(root: scratch.path)
    #expect(try files.list("", limit: 5).map(\.name) == (1000..<1005).map { "f\($0)" })
    #expect(try files.list("", limit: .max).count == 500)
    // A name that isn't UTF-8 could not be opened again by what we would call it.
    var odd = Array(scratch.path.utf8CString.dropLast()) + [0x2f, 0x66, -1, 0]
    close(odd.withUnsafeMutableBufferPointer { name in name.baseAddress.map { open($0, O_CREAT, 0o600) } ?? -1 })
    #expect(try scratch.names().count == 501)
    #expect(try files.list("", limit: 1000).count == 500)
  }

  @Test func temporaryNamesFitAndDiffer() {
    #expect(temporaryName(for: "a") == ".a.strata-part")
    let stem = String(repeating: "é", count: 127)
    for name in [stem, stem + "x", String(repeating: "x", count: 242), String(repeating: "x", count: 243)] {
      #expect(temporaryName(for: name).utf8.count <= 255)
    }
    #expect(temporaryName(for: stem + "x") != temporaryName(for: stem + "y"))
  }

  @Test func contentsAreReplacedInOneStep() throws {
    let scratch = try ScratchDirectory()
    let path = scratch.path("node.json")
    try replaceContents(path, [1, 2])
    #expect(scratch.mode("node.json") == 0o644)
    chmod(path, 0o640)
    let before = open(path, O_RDONLY)
    defer { close(before) }
    try replaceContents(path, [3])
    #expect(try scratch.read("node.json") == [3])
    #expect(scratch.mode("node.json") == 0o640)
    var old = [UInt8](repeating: 0, count: 4)
    #expect(pread(before, &old, 4, 0) == 2)
    try replaceContents(path, [4], mode: 0o600)
    #expect(scratch.mode("node.json") == 0o600)
    symlink(path, scratch.path("link"))
    try replaceContents(scratch.path("link"), [5])
    #expect(try scratch.read("node.json") == [5])
    #expect(try scratch.names() == ["link", "node.json"])
    mkdir(scratch.path("folder"), 0o700)
    #expect(kind { try replaceContents(scratch.path("folder"), []) } == .notRegular)
    #expect(kind { try replaceContents(scratch.path("no/where"), []) } == .notFound)
    let long = String(repeating: "x", count: 255)
    try replaceContents(scratch.path(long), [6])
    #expect(try scratch.read(long) == [6])
  }

  @Test func sizesAreSaidAsPeopleSayThem() {
    #expect(readable(0) == "0 bytes")
    #expect(readable(1023) == "1023 bytes")
    #expect(readable(1536) == "1.5 KiB")
    #expect(readable(10 << 30) == "10.0 GiB")
    #expect(readable(.max) == "7.9 EiB")
  }
}
