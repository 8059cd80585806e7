// WatchTests: what a watch over folders tells, the same on a real disk and on a simulated one.
import Foundation
import StackCore
import StackSim
import Testing

@testable import StackRuntime

@Suite struct WatchTests {
  /// Puts a small file somewhere, in one step, as far as a watch can see.
  private func put(_ files: any LayerFiles, _ path: String, _ byte: UInt8) throws {
    let file = try files.create(path, reserving: 0, resuming: false)
    try withUnsafeBytes(of: byte) { try file.write($0, at: 0) }
    try file.commit(replacing: true)
  }

  private func check(_ files: any LayerFiles) throws {
    try files.makeDirectory("a/b")
    try files.makeDirectory("c")
    let watch = try #require(files.watch())
    for folder in ["", "a", "a/b", "c"] { #expect(watch.add(folder), "\(folder)") }
    #expect(!watch.add("missing"))
    #expect(watch.changes() == [])
    try put(files, "c/one", 1)
    try put(files, "a/b/two", 2)
    #expect(watch.changes() == ["a/b", "c"])
    #expect(watch.changes() == [])
    try put(files, "c/one", 3)
    #expect(watch.changes() == ["c"])
    try files.remove("a/b/two")
    #expect(watch.changes() == ["a/b"])
    try files.makeDirectory("a/new")
    #expect(watch.changes() == ["a"])
    // What is below is watched once it is added.
    try put(files, "a/new/three", 4)
    #expect(watch.changes() == [])
    #expect(watch.add("a/new"))
    try put(files, "a/new/four", 5)
    #expect(watch.changes() == ["a/new"])
    // Named again, it is told once.
    #expect(watch.add("c"))
    try put(files, "c/five", 6)
    #expect(watch.changes() == ["c"])
  }

  @Test func onARealDisk() throws {
    let scratch = try ScratchDirectory()
    try check(DiskFiles(root: scratch.path).below("files"))
  }

  @Test func onASimulatedOne() throws { try check(SimDisk().files(root: "/files")) }

  @Test func aLinkIsNotWatched() throws {
    let scratch = try ScratchDirectory()
    let files = DiskFiles(root: scratch.path)
    try files.makeDirectory("a")
    symlink(scratch.path("a"), scratch.path("link"))
    let watch = try #require(files.watch())
    #expect(!watch.add("link") && !watch.add("link/x") && watch.add("a"))
  }

  @Test func tooMuchAtOnceIsSaid() throws {
    let scratch = try ScratchDirectory()
    let files = DiskFiles(root: scratch.path)
    let watch = try #require(files.watch())
    #expect(watch.add(""))
    // Each name makes several events, and the kernel keeps no more than so many.
    let limit = try String(contentsOfFile: "/proc/sys/fs/inotify/max_queued_events", encoding: .utf8)
    let most = try #require(Int(limit.filter(\.isNumber)))
    guard most <= 100_000 else { return }
    for number in 0..<most / 2 + 1_000 {
      try scratch.write("\(number)", [])
      try files.remove("\(number)")
    }
    #expect(watch.changes() == nil)
    while watch.changes() == nil {}
    try scratch.write("later", [])
    #expect(watch.changes() == [""])
  }
}
