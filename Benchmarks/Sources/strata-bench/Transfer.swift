// Transfer: a file of random bytes from one process to another over loopback, by FileShare and by a bare copy.
import FileShare
import Glibc
import StackCore
import StackRuntime

/// How many bytes are moved, and where the files are.
let transferBytes = Int64(getenv("TRANSFER_MIB").flatMap { Int(String(cString: $0)) } ?? 1_024) << 20
let transferFolder = getenv("TRANSFER_DIR").map { String(cString: $0) } ?? "/tmp"

/// What one run took.
struct TransferRun {
  /// Seconds until the last byte was checked and written, and until the file was synced and had its name.
  var written = 0.0
  var durable = 0.0
  /// Processor seconds of both sides, and the most memory that either had.
  var cpu = 0.0
  var resident = 0.0
}

/// A file of random bytes; made once a run of the program.
func randomFile(bytes: Int64 = transferBytes) -> String {
  let path = transferFolder + "/strata-bench-\(getpid()).random"
  guard let file = fopen(path, "w") else { fatalError("can't write \(path)") }
  var random = UInt64(getpid()) | 1
  var block = [UInt64](repeating: 0, count: 1 << 17)
  for _ in 0..<bytes >> 20 {
    for place in block.indices {
      random ^= random << 13
      random ^= random >> 7
      random ^= random << 17
      block[place] = random
    }
    _ = block.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
  }
  fclose(file)
  return path
}

/// Processor seconds that a process has used.
func processorSeconds(_ pid: pid_t) -> Double {
  guard let file = fopen("/proc/\(pid)/stat", "r") else { return 0 }
  defer { fclose(file) }
  var buffer = [CChar](repeating: 0, count: 2_048)
  let count = fread(&buffer, 1, buffer.count - 1, file)
  let text = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  // After the name in brackets: user time is the 12th, system time the 13th.
  let words = text.split(separator: ")").last?.split(separator: " ") ?? []
  guard words.count > 12, let user = Double(words[11]), let system = Double(words[12]) else { return 0 }
  return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
}

/// Moves a file from a role that sends to one that receives. Each says when it is ready; the receiver prints its times.
private func move(_ sender: [String], _ receiver: (String) -> [String]) -> TransferRun {
  let first = Child(sender)
  let ready = first.line()
  let before = processorSeconds(first.pid)
  let second = Child(receiver(ready))
  var run = TransferRun()
  while true {
    let words = second.line().split(separator: " ")
    guard let word = words.first else { break }
    if word == "written" { run.written = words.dropFirst().first.flatMap { Double($0) } ?? 0 }
    if word == "durable" {
      run.durable = words.dropFirst().first.flatMap { Double($0) } ?? 0
      run.cpu = processorSeconds(first.pid) - before + processorSeconds(second.pid)
      let peaks = [first, second].map { procNumber("/proc/\($0.pid)/status", "VmHWM") ?? 0 }
      run.resident = (peaks.max() ?? 0) / 1_024
      break
    }
  }
  second.end()
  first.end()
  return run
}

/// By FileShare.
func transferRun(_ path: String) -> TransferRun {
  move(["transfer-serve", path]) { ["transfer-fetch"] + $0.split(separator: " ").map(String.init) }
}

/// By nothing but sockets and files, in segments of this size.
func bareCopyRun(_ path: String, segment: Int) -> TransferRun {
  move(["copy-send", path, "\(segment)"]) { ["copy-receive", $0, "\(segment)"] }
}

func transferFigures(runs: Int) -> [Figure] {
  let path = randomFile()
  defer { unlink(path) }
  var shares: [Double] = []
  var bares: [Double] = []
  var results: [TransferRun] = []
  let rate = { (seconds: Double) in Double(transferBytes) / 1e6 / max(seconds, 1e-9) }
  for _ in 0..<runs {
    // The faster of small segments and of the largest datagrams.
    let bare = max(
      rate(bareCopyRun(path, segment: 1_448).durable), rate(bareCopyRun(path, segment: 57_344).durable))
    let run = transferRun(path)
    results.append(run)
    bares.append(bare)
    shares.append(rate(run.durable) / bare)
    say("  run: durable \(round3(rate(run.durable))) MB/s, written \(round3(rate(run.written))), bare \(round3(bare))")
  }
  let gib = Double(transferBytes) / Double(1 << 30)
  return [
    Figure(name: "fileshare.transfer.MBps", value: median(results.map { rate($0.durable) }), unit: "MB/s, synced"),
    Figure(name: "fileshare.transfer.written.MBps", value: median(results.map { rate($0.written) }), unit: "MB/s"),
    Figure(
      name: "fileshare.transfer.vsBareCopy.ratio", value: median(results.map { rate($0.durable) }), unit: "MB/s",
      baseline: median(bares), ratio: median(shares)),
    Figure(
      name: "fileshare.transfer.residentMiB", value: results.map(\.resident).max() ?? 0, unit: "MiB, the larger side"),
    Figure(name: "fileshare.transfer.cpuSecondsPerGiB", value: median(results.map { $0.cpu / gib }), unit: "s, both"),
  ]
}

// MARK: Roles

/// A node that shares one file, and may send so many bytes a second: prints its port and the link.
func playTransferServe(_ path: String, limit: Int) throws -> Never {
  let node = try makeNode(FileShare.self, ["uploadLimit": JSON(limit)])
  node.start()
  var link = ""
  node.call("fileshare", "share", ["paths": [.string(path)]]) { reply in
    switch reply {
    case .finished(let value): link = value["shared"]?.arrayValue?.first?["link"]?.stringValue ?? "none"
    case .failed(let error): fatalError("\(error)")
    case .progress: break
    }
  }
  while link.isEmpty { node.step() }
  say("\(node.address.port) \(link)")
  while true { node.step() }
}

/// A node that fetches it from one or more ports: prints when all was written, and when it had its name.
func playTransferFetch(_ ports: [String], _ link: String) throws {
  let target = transferFolder + "/strata-bench-\(getpid()).fetched"
  let node = try makeNode(FileShare.self, [:])
  node.start()
  defer { unlink(target) }
  let start = node.loop.now
  var isDone = false
  _ = node.observe { event in
    guard event.name == "download", event.json()["state"] == "finishing" else { return }
    say("written \((node.loop.now - start).inSeconds)")
  }
  for port in ports {
    let input: JSON = ["file": .string(link), "from": .string("127.0.0.1:\(port)"), "to": .string(target)]
    node.call("fileshare", "download", input) { reply in
      switch reply {
      case .finished: isDone = true
      case .failed(let error): fatalError("\(error)")
      case .progress: break
      }
    }
  }
  while !isDone { node.step() }
  say("durable \((node.loop.now - start).inSeconds)")
  // Until the other side has looked at us.
  unlink(target)
  while true { node.step() }
}

/// Reads a file and sends it in segments, as far ahead of the receiver's credit as its buffer allows.
func playCopySend(_ path: String, segment: Int) throws -> Never {
  let end = try BareEnd(port: 0)
  let file = open(path, O_RDONLY)
  say("\(end.socket.localAddress.port)")
  let run = segment > 32_768 ? segment : 65_507 / segment * segment
  var buffer = [UInt8](repeating: 0, count: run)
  var (sent, credit): (Int64, Int64) = (0, 0)
  var receiver: Address?
  let window = Int64(end.socket.receiveBufferSize / 4)
  while true {
    _ = end.wait(1_000)
    _ = end.socket.receive { datagram, sender in
      receiver = sender
      if datagram.byteCount == 8 { credit = max(credit, datagram.unsafeLoadUnaligned(as: Int64.self)) }
    }
    guard let receiver else { continue }
    while sent < transferBytes, sent < credit + window {
      let count = pread(file, &buffer, run, off_t(sent))
      if count <= 0 { break }
      buffer.withUnsafeBytes {
        end.queue(UnsafeRawBufferPointer(rebasing: $0[..<count]), to: receiver, segmentSize: min(segment, count))
      }
      sent += Int64(count)
    }
    end.flush()
  }
}

/// Writes what comes to a file, in order, and grants credit.
func playCopyReceive(_ port: UInt16) throws {
  let end = try BareEnd(port: 0)
  let target = transferFolder + "/strata-bench-\(getpid()).copied"
  let file = open(target, O_RDWR | O_CREAT | O_TRUNC, 0o600)
  posix_fallocate(file, 0, off_t(transferBytes))
  let server = Address(ipv4: 0x7f00_0001, port: port)
  let clock = try EventLoop()
  let start = clock.now
  var (got, told): (Int64, Int64) = (0, -1)
  // Small segments are gathered, so that the disk is written in pieces of the same size.
  var gathered = [UInt8](repeating: 0, count: 1 << 20)
  var used = 0
  func flush() {
    _ = gathered.withUnsafeBytes { pwrite(file, $0.baseAddress, used, off_t(got - Int64(used))) }
    used = 0
  }
  while got < transferBytes {
    if got >= told + 131_072 || told < 0 {
      told = got
      withUnsafeBytes(of: got) { end.queue($0, to: server) }
      end.flush()
    }
    _ = end.wait(1_000)
    _ = end.socket.receive { datagram, _ in
      if used + datagram.byteCount > gathered.count { flush() }
      datagram.withUnsafeBytes { source in
        gathered.withUnsafeMutableBytes {
          UnsafeMutableRawBufferPointer(rebasing: $0[used..<used + source.count]).copyMemory(from: source)
        }
      }
      used += datagram.byteCount
      got += Int64(datagram.byteCount)
    }
  }
  flush()
  say("written \((clock.now - start).inSeconds)")
  fsync(file)
  say("durable \((clock.now - start).inSeconds)")
  unlink(target)
  sleep(10)
}
