// LoopHandle: what other threads may hold of an event loop: a way to run something on it.
import CDatagram
import Glibc

/// A way into an event loop from any thread. It may outlive its loop; what it is given then is dropped.
///
/// `@unchecked Sendable` is sound because every field but `fd`, which never changes, is only touched with `lock` held.
public final class LoopHandle: @unchecked Sendable {
  /// The file descriptor that wakes the loop.
  let fd: Int32
  private let lock = Lock()
  private var jobs: [@Sendable () -> Void] = []
  private var isClosed = false

  init?() {
    fd = cdatagram_wake_descriptor()
    guard fd >= 0 else { return nil }
  }

  deinit { close(fd) }

  /// Runs a closure on the loop's thread, in the order given; false if the loop is gone. Callers bound how many they
  /// give.
  @discardableResult public func post(_ job: @escaping @Sendable () -> Void) -> Bool {
    let isFirst: Bool? = lock.with {
      if isClosed { return nil }
      jobs.append(job)
      return jobs.count == 1
    }
    guard let isFirst else { return false }
    if isFirst { wake() }
    return true
  }

  /// Makes the loop turn once, even if nothing else happens.
  public func wake() {
    var one: UInt64 = 1
    // A full counter means that the loop is about to wake anyway.
    _ = write(fd, &one, 8)
  }

  /// Takes what was posted, and lets the next post wake the loop again.
  func take() -> [@Sendable () -> Void] {
    var count: UInt64 = 0
    _ = read(fd, &count, 8)
    return lock.with {
      let taken = jobs
      jobs = []
      return taken
    }
  }

  func shut() {
    let dropped = lock.with {
      isClosed = true
      let dropped = jobs
      jobs = []
      return dropped
    }
    // Dropped outside the lock: what a closure held may post as it goes.
    _ = dropped
  }
}

/// A mutual-exclusion lock. Sound as `@unchecked Sendable`: the mutex it points to is made for many threads.
final class Lock: @unchecked Sendable {
  let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  init() {
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
  }
  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }
  @inline(__always) func with<R>(_ body: () throws -> R) rethrows -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }
}
