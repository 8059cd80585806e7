// The data directory: one node at a time, and a token that is nobody else's.
import Foundation
import Glibc
import StackCore
import Testing

@testable import StackRuntime

@Suite struct DataDirectoryTests {
  @Test func theSecondNodeIsToldWhoHasIt() throws {
    let scratch = try ScratchDirectory()
    let directory = scratch.path("data/alice")
    var first: DataDirectoryLock? = try DataDirectoryLock(directory: directory)
    #expect(scratch.mode("data/alice") == 0o700)
    let error = #expect(throws: StorageError.self) { try DataDirectoryLock(directory: directory) }
    #expect(error?.kind == .busy)
    #expect(error?.message.contains("process \(getpid())") == true)
    #expect(error?.message.contains(directory) == true)
    #expect(first?.directory == directory)
    first = nil
    _ = try DataDirectoryLock(directory: directory)
  }

  /// A lock that a dead process left behind is no lock: its file stays, and is taken over.
  @Test func theLockOfADeadProcessIsFree() throws {
    let scratch = try ScratchDirectory()
    let child = Process()
    child.executableURL = URL(fileURLWithPath: "/usr/bin/flock")
    guard FileManager.default.isExecutableFile(atPath: "/usr/bin/flock") else { return }
    // One process that holds the lock until it is killed: a second one could still have it when the first is gone.
    child.arguments = [
      "--no-fork", scratch.path("node.lock"), "sh",
      "-c", "echo 4711 > \"$0\"; echo held; exec cat", scratch.path("node.lock"),
    ]
    let (input, output) = (Pipe(), Pipe())
    child.standardInput = input
    child.standardOutput = output
    try child.run()
    #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self) == "held\n")
    let error = #expect(throws: StorageError.self) { try DataDirectoryLock(directory: scratch.path) }
    #expect(error?.message.contains("process 4711") == true)
    kill(child.processIdentifier, SIGKILL)
    child.waitUntilExit()
    try input.fileHandleForWriting.close()
    _ = try DataDirectoryLock(directory: scratch.path)
  }

  @Test func aDirectoryThatCannotBeUsedIsNamed() throws {
    let scratch = try ScratchDirectory()
    try scratch.write("file", [])
    let error = #expect(throws: StorageError.self) { try DataDirectoryLock(directory: scratch.path("file")) }
    #expect(error?.message.contains("not a directory") == true)
    chmod(scratch.path, 0o555)
    defer { chmod(scratch.path, 0o755) }
    let refused = #expect(throws: StorageError.self) {
      try asStranger { try DataDirectoryLock(directory: scratch.path("new")) }
    }
    #expect(refused?.kind == .readOnly)
  }

  @Test func theTokenIsMadeOnceForItsOwnerOnly() throws {
    let scratch = try ScratchDirectory()
    let token = try loadOrCreateToken(in: scratch.path)
    #expect(token.utf8.count == 64)
    #expect(scratch.mode(tokenFileName) == 0o600)
    #expect(try loadOrCreateToken(in: scratch.path) == token)
    #expect(try scratch.names() == [tokenFileName])
    let other = try ScratchDirectory()
    #expect(try loadOrCreateToken(in: other.path) != token)
  }

  @Test func aTokenThatOthersMayReadIsRefused() throws {
    let scratch = try ScratchDirectory()
    _ = try loadOrCreateToken(in: scratch.path)
    for mode: mode_t in [0o640, 0o604, 0o620, 0o644] {
      chmod(scratch.path(tokenFileName), mode)
      let error = #expect(throws: FileError.self) { try loadOrCreateToken(in: scratch.path) }
      #expect(error?.kind == .refused)
      #expect(error?.message.contains("chmod 600") == true)
    }
  }

  @Test func aTokenThatIsNoneIsRefused() throws {
    let scratch = try ScratchDirectory()
    for text in ["", "abc", String(repeating: "G", count: 64), String(repeating: "a", count: 200)] {
      try scratch.write(tokenFileName, [UInt8](text.utf8))
      chmod(scratch.path(tokenFileName), 0o600)
      #expect(throws: FileError.self) { try loadOrCreateToken(in: scratch.path) }
    }
    unlink(scratch.path(tokenFileName))
    symlink("/dev/zero", scratch.path(tokenFileName))
    let error = #expect(throws: FileError.self) { try loadOrCreateToken(in: scratch.path) }
    #expect(error?.kind == .link)
  }
}
