// WorkerPool: a few threads for work that would hold up the loop: hashing, mining, disk, name lookups.
import Glibc

/// Threads that run jobs in the order given. Threads start when there is work, so an idle node has none.
///
/// `@unchecked Sendable` is sound because the fields that change are in `Shared` and only touched with its lock held.
public final class WorkerPool: @unchecked Sendable {
  /// How many threads there may be.
  public let threads: Int
  /// How many jobs may wait.
  public let capacity: Int
  private let shared = Shared()

  /// What the threads and the pool have in common; the threads hold it, so it outlives an abandoned pool. Sound as
  /// `@unchecked Sendable` for the same reason as the pool.
  private final class Shared: @unchecked Sendable {
    let lock = Lock()
    let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    // Taken from `head` on, and compacted now and then: an array's first element is dear to remove.
    var queue: [(@Sendable () -> Void)?] = []
    var head = 0
    var running: [pthread_t] = []
    var idle = 0
    var busy = 0
    var isClosing = false

    init() {
      condition.initialize(to: pthread_cond_t())
      pthread_cond_init(condition, nil)
    }
    deinit {
      pthread_cond_destroy(condition)
      condition.deallocate()
    }
    var waiting: Int { queue.count - head }
    func pop() -> (@Sendable () -> Void)? {
      guard head < queue.count else { return nil }
      let job = queue[head]
      queue[head] = nil
      head += 1
      if head == queue.count || head >= 1024 {
        queue.removeFirst(head)
        head = 0
      }
      return job
    }
  }

  /// A pool of at most so many threads (by default one a core, and two that wait for disks), with room for so many
  /// waiting jobs.
  public init(threads: Int? = nil, capacity: Int = 4096) {
    self.threads = max(threads ?? sysconf(Int32(_SC_NPROCESSORS_ONLN)) + 2, 1)
    self.capacity = capacity
  }

  deinit { close(dropping: true) }

  /// How many jobs wait, and how many run.
  public var load: (waiting: Int, running: Int) { shared.lock.with { (shared.waiting, shared.busy) } }

  /// Takes a job; false if too many wait, if no thread can be had, or after `shutdown`.
  public func submit(_ job: @escaping @Sendable () -> Void) -> Bool {
    let isTaken = shared.lock.with {
      guard !shared.isClosing, shared.waiting < capacity else { return false }
      if shared.idle <= shared.waiting, shared.running.count < threads { start() }
      guard !shared.running.isEmpty else { return false }
      shared.queue.append(job)
      return true
    }
    // With the lock held, whoever wakes would only wait for it.
    if isTaken { pthread_cond_signal(shared.condition) }
    return isTaken
  }

  /// Starts one more thread; the lock is held.
  private func start() {
    // Signals are the loop's business: a thread inherits the mask of the one that starts it.
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    var thread = pthread_t()
    let context = Unmanaged.passRetained(shared)
    let result = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        WorkerPool.work(Unmanaged<Shared>.fromOpaque(context).takeRetainedValue())
        return nil
      }, context.toOpaque())
    if result == 0 { shared.running.append(thread) } else { context.release() }
  }

  private static func work(_ shared: Shared) {
    pthread_mutex_lock(shared.lock.mutex)
    while true {
      while shared.waiting == 0, !shared.isClosing {
        shared.idle += 1
        pthread_cond_wait(shared.condition, shared.lock.mutex)
        shared.idle -= 1
      }
      guard let job = shared.pop() else { break }
      shared.busy += 1
      pthread_mutex_unlock(shared.lock.mutex)
      job()
      pthread_mutex_lock(shared.lock.mutex)
      shared.busy -= 1
    }
    pthread_mutex_unlock(shared.lock.mutex)
  }

  private func close(dropping: Bool) {
    let (threads, dropped) = shared.lock.with {
      shared.isClosing = true
      let threads = shared.running
      shared.running = []
      var dropped: [(@Sendable () -> Void)?] = []
      if dropping {
        dropped = shared.queue
        shared.queue = []
        shared.head = 0
      }
      pthread_cond_broadcast(shared.condition)
      return (threads, dropped)
    }
    // What the dropped jobs held goes outside the lock.
    _ = dropped
    for thread in threads {
      // A job may be the one that lets go of the pool; a thread can't wait for itself.
      if dropping || pthread_equal(thread, pthread_self()) != 0 {
        pthread_detach(thread)
      } else {
        pthread_join(thread, nil)
      }
    }
  }

  /// Takes no more jobs, and waits for those that run. Those that wait are dropped, or run first if `finishing`.
  public func shutdown(finishing: Bool = false) {
    if !finishing {
      let dropped = shared.lock.with {
        let dropped = shared.queue
        shared.queue = []
        shared.head = 0
        return dropped
      }
      _ = dropped
    }
    close(dropping: false)
  }

  /// Takes no more jobs, drops those that wait, and doesn't wait for those that run: for jobs that may hang.
  public func abandon() { close(dropping: true) }
}
