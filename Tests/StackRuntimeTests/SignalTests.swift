// SignalTests: signals arrive on the loop. One after the other: in one process, one loop at a time has them.
import Glibc
import StackCore
import Testing

@testable import StackRuntime

@Suite(.serialized) struct SignalTests {
  @Test func signalsArriveOnTheLoop() throws {
    let loop = try EventLoop()
    var count = 0
    let source = loop.onSignal(SIGUSR1) {
      count += 1
      loop.stop()
    }
    kill(getpid(), SIGUSR1)
    LoopTests.run(loop)
    #expect(count == 1)
    source.cancel()
  }

  @Test func signalsStopAndReload() throws {
    let bench = try RealNodeBench()
    var options = bench.options("alice", control: false)
    var reloads = 0
    options.reload = {
      reloads += 1
      return RealNodeReload(peers: [], layers: [(Parrot.self, [:])])
    }
    let alice = try bench.build(options)
    alice.handleSignals()
    defer { for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_DFL) } }
    alice.start()
    kill(getpid(), SIGHUP)
    try bench.until("it has read its configuration again") { reloads == 1 }
    kill(getpid(), SIGTERM)
    try bench.until("it has stopped") { alice.state == .stopped }
  }
}
