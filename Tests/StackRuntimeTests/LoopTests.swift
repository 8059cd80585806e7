// LoopTests: the loop runs what is ready, when it is ready, and sleeps otherwise.
import Glibc
import StackCore
import StackRuntime
import Testing

@Suite struct LoopTests {
  /// Runs a loop until its body says so; a loop that hangs is a failure, not a hang.
  static func run(_ loop: EventLoop, seconds: Int = 120) {
    let guardTimer = loop.timer {
      Issue.record("the loop didn't stop")
      loop.stop()
    }
    guardTimer.set(after: .seconds(seconds))
    loop.run()
    guardTimer.cancel()
  }

  @Test func timersFireInOrderAndNotEarly() throws {
    let loop = try EventLoop()
    var fired: [Int] = []
    var timers: [LoopTimer] = []
    let start = loop.now
    for delay in [30, 10, 20, 0] {
      let timer = loop.timer {
        #expect(loop.now - start >= .milliseconds(delay))
        fired.append(delay)
        if fired.count == 4 { loop.stop() }
      }
      timer.set(after: .milliseconds(delay))
      timers.append(timer)
    }
    // Set anew, a timer fires at the new time only; cancelled, not at all.
    let moved = loop.timer { fired.append(-1) }
    moved.set(after: .milliseconds(1))
    moved.set(after: .seconds(60))
    let cancelled = loop.timer { fired.append(-2) }
    cancelled.set(after: .milliseconds(1))
    cancelled.cancel()
    #expect(moved.deadline != nil && cancelled.deadline == nil)
    Self.run(loop)
    #expect(fired == [0, 10, 20, 30])
    #expect(timers.allSatisfy { $0.deadline == nil })
  }

  @Test func aTimerMayBeSetAgainFromItsBodyAndLetGo() throws {
    let loop = try EventLoop()
    var count = 0
    var timer: LoopTimer?
    timer = loop.timer {
      count += 1
      if count < 100 {
        timer?.set(after: .microseconds(50))
      } else {
        timer = nil
        loop.stop()
      }
    }
    timer?.set(after: .zero)
    Self.run(loop)
    #expect(count == 100 && timer == nil)
  }

  @Test func nowIsTheWallClockAndNeverGoesBack() throws {
    let loop = try EventLoop()
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    #expect(abs(loop.now.nanoseconds - Int64(time.tv_sec) * 1_000_000_000) < 60_000_000_000)
    var last = loop.now
    for _ in 0..<10_000 {
      let next = loop.now
      #expect(next >= last)
      last = next
    }
  }

  @Test func anIdleLoopSleeps() throws {
    let loop = try EventLoop()
    let bound = try DatagramSocket(bind: SocketTests.loopback)
    let source = loop.onReadable(bound.fd) { loop.stop() }
    var turnsAfter = 0
    loop.onTurn = { turnsAfter += 1 }
    // Another thread lets half a second pass by waiting for what never comes, then sends one datagram.
    let pool = WorkerPool(threads: 1)
    let address = bound.localAddress
    #expect(
      pool.submit {
        poll(nil, 0, 500)
        if let sender = try? DatagramSocket(bind: SocketTests.loopback) {
          _ = [1].withUnsafeBytes { sender.send($0, to: address) }
        }
      })
    loop.run()
    #expect(loop.turns == 1 && turnsAfter == 1)
    source.cancel()
    pool.shutdown()
  }

  @Test func postsFromManyThreadsAllRunInOrder() throws {
    let loop = try EventLoop()
    let handle = loop.handle
    let pool = WorkerPool(threads: 4)
    let log = Log()
    for thread in 0..<4 {
      #expect(pool.submit { for number in 0..<1000 { handle.post { log.add(thread, number) } } })
    }
    loop.onTurn = { if log.total == 4000 { loop.stop() } }
    Self.run(loop)
    loop.onTurn = nil
    for thread in 0..<4 { #expect(log.numbers(thread) == Array(0..<1000)) }
    pool.shutdown()
  }

  /// Numbers by thread; only touched on one loop's thread, which makes `@unchecked Sendable` sound.
  final class Log: @unchecked Sendable {
    private var all: [[Int]] = [[], [], [], []]
    var total = 0
    func add(_ thread: Int, _ number: Int) {
      all[thread].append(number)
      total += 1
    }
    func numbers(_ thread: Int) -> [Int] { all[thread] }
  }

  @Test func aCompletionAnswersOnceAndAForgottenOneLeavesNothing() throws {
    let loop = try EventLoop()
    final class Held {}
    var held: Held? = Held()
    weak let watched = held
    var answers: [Int] = []
    do {
      let completion = loop.expect { (value: Int) in answers.append(value) }
      completion.finish(1)
      completion.finish(2)
      let forgotten = loop.expect { [held] (_: Int) in _ = held }
      _ = forgotten
    }
    held = nil
    loop.turn()
    #expect(answers == [1])
    #expect(watched == nil)
  }

  @Test func aHandleOutlivesItsLoop() throws {
    var loop: EventLoop? = try EventLoop()
    let handle = try #require(loop?.handle)
    #expect(handle.post {})
    loop = nil
    #expect(!handle.post { Issue.record("ran without a loop") })
    handle.wake()
  }

  @Test func writableIsToldOnceEachTimeItIsAskedFor() throws {
    let loop = try EventLoop()
    let bound = try DatagramSocket(bind: SocketTests.loopback)
    var count = 0
    let source = loop.onWritable(bound.fd) { count += 1 }
    loop.handle.wake()
    loop.turn()
    #expect(count == 0)
    for expected in 1...3 {
      source.enable()
      loop.turn()
      #expect(count == expected)
    }
    loop.handle.wake()
    loop.turn()
    #expect(count == 3)
  }
}
