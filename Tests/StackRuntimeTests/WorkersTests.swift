// WorkersTests: jobs run once, off the loop, within bounds; names are looked up there.
import Glibc
import StackCore
import Testing

@testable import StackRuntime

@Suite struct WorkersTests {
  /// A count that many threads raise; `@unchecked Sendable` is sound because the lock guards it.
  final class Counter: @unchecked Sendable {
    private let lock = Lock()
    private var value = 0
    func add() { lock.with { value += 1 } }
    var now: Int { lock.with { value } }
  }

  @Test func everyJobRunsOnce() throws {
    let pool = WorkerPool(threads: 3, capacity: 20_000)
    let counter = Counter()
    for _ in 0..<10_000 { #expect(pool.submit { counter.add() }) }
    pool.shutdown(finishing: true)
    #expect(counter.now == 10_000)
    #expect(!pool.submit { counter.add() })
    #expect(pool.load == (0, 0))
  }

  @Test func theQueueIsBoundedAndShutdownWaitsForWhatRuns() throws {
    let pool = WorkerPool(threads: 1, capacity: 2)
    let gate = Lock()
    let counter = Counter()
    pthread_mutex_lock(gate.mutex)
    #expect(pool.submit { gate.with { counter.add() } })
    // The first job may still wait for its thread, or run already.
    while pool.load.running == 0 { sched_yield() }
    #expect(pool.submit { counter.add() })
    #expect(pool.submit { counter.add() })
    #expect(!pool.submit { counter.add() })
    #expect(pool.load == (2, 1))
    pthread_mutex_unlock(gate.mutex)
    pool.shutdown(finishing: true)
    #expect(counter.now == 3)
  }

  @Test func anAbandonedPoolDropsWhatWaits() throws {
    let pool = WorkerPool(threads: 1)
    let gate = Lock()
    let counter = Counter()
    pthread_mutex_lock(gate.mutex)
    #expect(pool.submit { gate.with { counter.add() } })
    while pool.load.running == 0 { sched_yield() }
    #expect(pool.submit { Issue.record("ran although it was dropped") })
    pool.abandon()
    pthread_mutex_unlock(gate.mutex)
    while counter.now == 0 { sched_yield() }
  }

  @Test func aPoolMayGoWithItsLastJob() throws {
    let counter = Counter()
    do {
      let pool = WorkerPool(threads: 2)
      for _ in 0..<10 {
        let isTaken = pool.submit { [pool] in
          if pool.threads == 2 { counter.add() }
        }
        #expect(isTaken)
      }
    }
    while counter.now < 10 { sched_yield() }
  }

  @Test func namesAreLookedUp() throws {
    let loop = try EventLoop()
    let resolver = Resolver(loop: loop)
    var answers: [String: Result<[Address], ResolveError>] = [:]
    let texts = [
      "localhost:5000", "127.0.0.1:1", "[::1]:2", "no colon", "a b:1", "x:99999", "127.1:5", "name.invalid:9",
    ]
    for text in texts {
      resolver.resolve(text) { result in
        answers[text] = result
        if answers.count == texts.count { loop.stop() }
      }
    }
    #expect(answers.isEmpty)
    LoopTests.run(loop, seconds: 120)
    let local = try answers["localhost:5000"]?.get() ?? []
    #expect(!local.isEmpty && local.allSatisfy { $0.isLoopback && $0.port == 5000 })
    #expect(Set(local).count == local.count)
    #expect(try answers["127.0.0.1:1"]?.get() == [Address(ipv4: 0x7f00_0001, port: 1)])
    #expect(try answers["[::1]:2"]?.get() == [Address(high: 0, low: 1, port: 2)])
    for text in texts[3...] {
      #expect(throws: ResolveError.self, "\(text)") { try answers[text]?.get() }
    }
  }
}
