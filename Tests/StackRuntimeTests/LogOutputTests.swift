// LogOutputTests: log lines never wait for whoever reads them.
import Glibc
import StackCore
import Testing

@testable import StackRuntime

/// A pipe that nobody reads until told to.
private final class QuietPipe {
  let read: Int32
  let write: Int32

  init() throws {
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    (read, write) = (ends[0], ends[1])
    _ = fcntl(read, F_SETFL, O_NONBLOCK)
  }

  deinit {
    close(read)
    close(write)
  }

  /// All that stands in it now.
  func take() -> [UInt8] {
    var all: [UInt8] = []
    var bytes = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = Glibc.read(read, &bytes, bytes.count)
      if count <= 0 { return all }
      all += bytes[..<count]
    }
  }
}

@Suite struct LogOutputTests {
  @Test func aReaderThatDoesNotReadHoldsNobodyUp() throws {
    let pipe = try QuietPipe()
    let output = LogOutput(pipe.write, limit: 8 << 10)
    let sink = LogSink(format: .text, level: .info, output: output)
    // Far more than a pipe takes: were one of these writes to wait, the test would never end.
    let count = 5000
    for number in 0..<count {
      sink.log(.info, "test", at: Instant(nanoseconds: 0), "line \(number) \(String(repeating: "x", count: 60))")
    }
    #expect(sink.dropped > 1000 && sink.dropped < UInt64(count))
    // The descriptor itself, which others may share, is as it was.
    #expect(fcntl(pipe.write, F_GETFL) & O_NONBLOCK == 0)
    var text: [UInt8] = []
    var last = -1
    while last != text.count {
      last = text.count
      text += pipe.take()
      output.flush()
    }
    text += pipe.take()
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.last == "")
    let whole = lines.dropLast()
    let told = try #require(whole.last)
    #expect(told.contains("\(sink.dropped) log lines were dropped"))
    // Every line that came is whole, and in order.
    #expect(whole.dropLast().count + Int(sink.dropped) == count)
    for (number, line) in whole.dropLast().enumerated() {
      #expect(line.contains(" line \(number) x") && line.hasSuffix("x"), "\(line)")
    }
  }

  @Test func aLoopWritesTheRestOnceThereIsRoom() throws {
    let pipe = try QuietPipe()
    let loop = try EventLoop()
    let output = LogOutput(pipe.write, limit: 1 << 20)
    output.attach(loop)
    let line = [UInt8](repeating: UInt8(ascii: "a"), count: 999) + [UInt8(ascii: "\n")]
    for _ in 0..<300 { output.write(line) }
    #expect(output.dropped == 0)
    var taken = 0
    while taken < 300 * line.count {
      taken += pipe.take().count
      if taken < 300 * line.count { loop.turn() }
    }
    #expect(taken == 300 * line.count)
    output.detach()
  }

  @Test func aReaderThatIsGoneIsNotWaitedFor() throws {
    let pipe = try QuietPipe()
    signal(SIGPIPE, SIG_IGN)
    let output = LogOutput(pipe.write)
    _ = dup2(pipe.write, pipe.read)
    for _ in 0..<100 { output.write(Array("line\n".utf8)) }
    output.flush(within: .seconds(1))
    #expect(output.dropped == 0)
  }
}
