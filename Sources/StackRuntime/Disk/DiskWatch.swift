// DiskWatch: which folders of a layer have changed, as the kernel tells it by inotify.
import CFiles
import Glibc
import StackCore
import Synchronization

/// A watch over folders on the real file system. It has a descriptor that is only ever read without waiting.
final class DiskWatch: FolderWatch {
  private let kernel: Descriptor
  private let files: DiskFiles
  /// The folders by the kernel's numbers for them.
  private let folders = Mutex<[Int32: String]>([:])
  /// How much is read before all is given up as too much.
  private static let mostReads = 64

  /// Nil when the system has no more watches.
  init?(_ files: DiskFiles) {
    let number = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
    guard number >= 0 else { return nil }
    kernel = Descriptor(number)
    self.files = files
  }

  func add(_ path: String) -> Bool {
    guard let folder = try? files.folder(path) else { return false }
    // By the open folder, so that a link put in its place meanwhile is not followed.
    let mask = UInt32(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR)
    let number = inotify_add_watch(kernel.number, "/proc/self/fd/\(folder.number)", mask)
    guard number >= 0 else { return false }
    folders.withLock { $0[number] = path }
    return true
  }

  func changes() -> [String]? {
    folders.withLock { folders in
      var found: Set<Int32> = []
      var isComplete = true
      withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 8) { buffer in
        for round in 0... {
          let count = read(kernel.number, buffer.baseAddress, buffer.count)
          guard count > 0 else { return }
          if round == Self.mostReads { isComplete = false }
          Self.take(UnsafeRawBufferPointer(rebasing: buffer[0..<count]), &found, &isComplete, &folders)
        }
      }
      guard isComplete else { return nil }
      return found.compactMap { folders[$0] }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
  }

  /// Takes the events of one read. Each has a head of 16 bytes, and a name of the length that the head says.
  private static func take(
    _ events: UnsafeRawBufferPointer, _ found: inout Set<Int32>, _ isComplete: inout Bool,
    _ folders: inout [Int32: String]
  ) {
    var place = 0
    while place + 16 <= events.count {
      let number = events.loadUnaligned(fromByteOffset: place, as: Int32.self)
      let mask = events.loadUnaligned(fromByteOffset: place + 4, as: UInt32.self)
      let length = events.loadUnaligned(fromByteOffset: place + 12, as: UInt32.self)
      if mask & UInt32(IN_Q_OVERFLOW) != 0 { isComplete = false }
      if mask & UInt32(IN_IGNORED) != 0 { folders[number] = nil } else { found.insert(number) }
      place += 16 + Int(length)
    }
  }
}
