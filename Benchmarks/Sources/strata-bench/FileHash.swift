// FileHash: sharing a GiB from the page cache through the layer, against the library alone on as many cores.
import FileShare
import Glibc
import Hashing
import Search
import StackCore
import StackRuntime

/// A folder below the temporary one that goes away with its object.
private final class BenchFolder {
  let path: String

  init() {
    var template = Array("/tmp/strata-bench-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("no temporary directory") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { Self.removeAll(path) }

  private static func removeAll(_ path: String) {
    if let folder = opendir(path) {
      var names: [String] = []
      while let entry = readdir(folder) {
        let offset = MemoryLayout<dirent>.offset(of: \dirent.d_name) ?? 19
        let name = String(cString: (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: CChar.self))
        if name != ".", name != ".." { names.append(name) }
      }
      closedir(folder)
      for name in names { removeAll(path + "/" + name) }
    }
    remove(path)
  }

  private var written: UInt64 = 0

  /// A file of bytes that no two chunks of are alike, nor of any two files.
  func write(_ name: String, bytes: Int) {
    guard let file = fopen(path + "/" + name, "w") else { fatalError("no file \(path)/\(name)") }
    defer { fclose(file) }
    written += 1
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15 &+ UInt64(bytes) &+ written &* 0xD134_2543_DE82_EF95
    var words = [UInt64](repeating: 0, count: 8_192)
    var left = bytes
    while left > 0 {
      for place in words.indices {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        words[place] = state
      }
      let count = min(left, words.count * 8)
      guard fwrite(words, 1, count, file) == count else { fatalError("the disk is full") }
      left -= count
    }
  }
}

/// A node that shares, and how long it takes to share a path: seconds.
private func sharingSeconds(_ folder: BenchFolder, _ path: String) throws -> (seconds: Double, files: Int) {
  let node = try sharingNode(folder, [:])
  let start = node.loop.now
  let json = node.ask("fileshare", "share", ["paths": [.string(path)]])
  let seconds = (node.loop.now - start).inSeconds
  node.stop()
  while node.state != .stopped { node.step() }
  return (seconds, Int(json["shared"]?.arrayValue?.first?["files"]?.integerValue ?? 0))
}

/// A node with FileShare, started, and with Search where it is wanted.
private func sharingNode(_ folder: BenchFolder, _ section: JSON, searches: Bool = false) throws -> RealNode {
  var options = RealNodeOptions(
    name: "bench", listen: Address(ipv4: 0x7f00_0001, port: 0), dataDirectory: folder.path + "/data")
  options.layers = [(FileShare.self, section)]
  if searches { options.layers.append((Search.self, [:])) }
  options.logLevel = .error
  let node = try RealNode(options, log: LogSink())
  node.start()
  return node
}

/// The library alone, in as many threads as there are cores: bytes a second from memory.
private func libraryRate(bytes: Int) -> Double {
  let cores = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
  let share = bytes / cores
  // As large as what the layer reads before it hashes.
  let stretch = [UInt8](repeating: 7, count: 1 << 18)
  guard let loop = try? EventLoop() else { fatalError("no loop") }
  let pool = WorkerPool(threads: cores)
  let start = loop.now
  for _ in 0..<cores {
    _ = pool.submit {
      var room = [UInt8](repeating: 0, count: stretch.count / 8_192 * 32)
      for _ in 0..<share / stretch.count {
        stretch.withUnsafeBytes { bytes in
          room.withUnsafeMutableBytes { SHA256.hashChunks(of: bytes, chunkSize: 8_192, into: $0) }
        }
      }
    }
  }
  pool.shutdown(finishing: true)
  return Double(share / stretch.count * stretch.count * cores) / (loop.now - start).inSeconds
}

/// `fileshare.hash.GBps`, with its ratio to the library alone.
func fileHashing(runs: Int) -> [Figure] {
  let bytes = 1 << 30
  let source = BenchFolder()
  source.write("file", bytes: bytes)
  let both = compare("fileshare.hash.GBps", unit: "GB/s", runs: runs, scale: 1e-9) {
    let folder = BenchFolder()
    guard let result = try? sharingSeconds(folder, source.path + "/file") else { return 0 }
    return Double(bytes) / result.seconds
  } _: {
    libraryRate(bytes: bytes)
  }
  var ratio = both
  ratio.name = "fileshare.hash.vsLibrary.ratio"
  ratio.unit = "GB/s"
  return [both, ratio]
}

/// Chunks of each size hashed on one core, from memory: GB/s, beside those of 8 KiB.
func chunkHashing(runs: Int) -> [Figure] {
  let bytes = [UInt8](repeating: 7, count: 1 << 20)
  func rate(_ chunkSize: Int) -> Double {
    var room = [UInt8](repeating: 0, count: bytes.count / chunkSize * 32)
    let start = monotonicNanoseconds()
    let rounds = 256
    for _ in 0..<rounds {
      bytes.withUnsafeBytes { buffer in
        room.withUnsafeMutableBytes { SHA256.hashChunks(of: buffer, chunkSize: chunkSize, into: $0) }
      }
    }
    return Double(rounds * bytes.count) / Double(monotonicNanoseconds() - start)
  }
  return [4, 8, 16, 32, 64].map { kib in
    compare("hash.chunk\(kib)KiB.GBps", unit: "GB/s on one core, beside 8 KiB", runs: runs) {
      rate(kib << 10)
    } _: {
      rate(8 << 10)
    }
  }
}

/// 100,000 small files, shared by command and as the folder that is always shared: how long until all are, what the
/// node takes in memory, and how long it searches among them; each in a process of its own.
func manyFiles() -> [Figure] {
  var figures: [Figure] = []
  let names = [
    "milliseconds", "worst.milliseconds", "first.milliseconds", "changed.milliseconds", "restarted.milliseconds",
  ]
  let units = [
    "ms, the slowest of several queries", "ms, the slowest run of these", "ms, the first query after sharing",
    "ms, the first query after one more file", "ms, a query as soon as a node with these files starts",
  ]
  var searches = [Double](repeating: 0, count: names.count)
  for (kind, name) in [("command", "fileshare.share100k"), ("watched", "fileshare.watch100k")] {
    let child = Child(["share-many", kind])
    var line = child.line()
    while line.hasPrefix(" ") {
      say(line)
      line = child.line()
    }
    let words = line.split(separator: " ").compactMap { Double($0) }
    child.join()
    guard words.count == 3 + names.count else { fatalError("100,000 files could not be shared") }
    figures += [
      Figure(name: "\(name).seconds", value: words[0], unit: "s", baseline: 30, ratio: words[0] / 30),
      Figure(name: "\(name).residentMiB", value: words[1], unit: "MiB", baseline: 300, ratio: words[1] / 300),
      Figure(
        name: "\(name).searching.residentMiB", value: words[2], unit: "MiB, searched as well", baseline: 300,
        ratio: words[2] / 300),
    ]
    for place in names.indices { searches[place] = max(searches[place], words[3 + place]) }
  }
  for place in names.indices {
    // Nothing is promised for a node that has only just begun.
    let most = names[place].hasPrefix("restarted") ? nil : 20.0
    figures.append(
      Figure(
        name: "fileshare.search100k.\(names[place])", value: searches[place], unit: units[place], baseline: most,
        ratio: most.map { searches[place] / $0 }))
  }
  return figures
}

/// The role of that process: prints seconds, the peak of memory after sharing and after searching, and the times of
/// the slowest query and run, of the first query, of one after a change and of one after a start, in milliseconds.
func shareMany(isWatched: Bool) throws {
  let folder = BenchFolder()
  for directory in 0..<100 {
    mkdir(folder.path + "/\(directory)", 0o700)
    for file in 0..<1_000 { folder.write("\(directory)/a small file, number \(file)", bytes: 200 + file * 8) }
  }
  let data = BenchFolder()
  let start = monotonicNanoseconds()
  let section: JSON = isWatched ? ["shared": .string(folder.path)] : [:]
  var node = try sharingNode(data, section, searches: true)
  if !isWatched { _ = node.ask("fileshare", "share", ["paths": [.string(folder.path)]]) }
  while sharedFiles(node) < 100_000 { node.run(for: .milliseconds(20)) }
  let seconds = Double(monotonicNanoseconds() - start) / 1e9
  let peak = (procNumber("/proc/self/status", "VmHWM") ?? 0) / 1_024
  let first = searchMilliseconds(node, "nothing of this name").time
  var (slowest, worst) = (0.0, 0.0)
  let queries: [(text: String, found: Int)] = [
    ("nothing of this name", 0), ("number 777", 100), ("\"file, number 421\"", 100), ("name:*number?42?", 1_000),
    ("name:*42*7", 100), ("size:>8100", 1_000), ("hash:0123456789", 0), ("small", 1_000),
  ]
  for (text, found) in queries {
    let runs = (0..<9).map { _ in searchMilliseconds(node, text) }
    guard runs.allSatisfy({ $0.found == found }) else { fatalError("\(text) has found \(runs[0].found) files") }
    let times = runs.map(\.time)
    slowest = max(slowest, median(times))
    worst = max(worst, times.max() ?? 0)
    say("  \(text): \(round3(median(times))) ms, at worst \(round3(times.max() ?? 0))")
  }
  let searching = (procNumber("/proc/self/status", "VmHWM") ?? 0) / 1_024
  // One more file.
  folder.write("one more", bytes: 1_000)
  if !isWatched { _ = node.ask("fileshare", "share", ["paths": [.string(folder.path + "/one more")]]) }
  while sharedFiles(node) < 100_001 { node.run(for: .milliseconds(1)) }
  let changed = searchMilliseconds(node, "\"one more\"")
  guard changed.found > 0 else { fatalError("one more file has not been found") }
  // The same files in another life of the node.
  node.stop()
  while node.state != .stopped { node.step() }
  node = try sharingNode(data, section, searches: true)
  let restarted = searchMilliseconds(node, "\"file, number 421\"")
  guard restarted.found == 100 else { fatalError("after a start \(restarted.found) files were found") }
  say(
    "  first \(round3(first)) ms, after a change \(round3(changed.time)) ms, after a start \(round3(restarted.time)) ms"
  )
  say("\(seconds) \(peak) \(searching) \(slowest) \(worst) \(first) \(changed.time) \(restarted.time)")
  node.stop()
  while node.state != .stopped { node.step() }
}

/// How many files a node has ready to be given.
private func sharedFiles(_ node: RealNode) -> Int {
  for metric in node.node.metricDescriptions where metric.layer == "fileshare" && metric.name == "files" {
    if case .gauge(let value) = metric.source { return Int(value()) }
  }
  fatalError("FileShare has no gauge files")
}

/// How long a node takes until it has told what it holds itself, and how many files those are.
private func searchMilliseconds(_ node: RealNode, _ query: String) -> (time: Double, found: Int) {
  var (found, isOver) = (0, false)
  let start = monotonicNanoseconds()
  var last = start
  node.call("search", "find", ["words": [.string(query)], "min": 1, "timeout": "30ms", "limit": 1_000]) { reply in
    switch reply {
    case .progress:
      found += 1
      last = monotonicNanoseconds()
    case .finished: isOver = true
    case .failed(let error): fatalError("\(error)")
    }
  }
  // A query that finds nothing has been answered when the call returns: then all that is here was looked through.
  last = max(last, monotonicNanoseconds())
  while !isOver { node.step() }
  return (Double(last - start) / 1e6, found)
}
