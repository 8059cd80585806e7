// FileHash: sharing a GiB from the page cache through the layer, against the library alone on as many cores.
import FileShare
import Glibc
import Hashing
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

  /// A file of bytes that no two chunks of are alike.
  func write(_ name: String, bytes: Int) {
    guard let file = fopen(path + "/" + name, "w") else { fatalError("no file \(path)/\(name)") }
    defer { fclose(file) }
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15 &+ UInt64(bytes)
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
  var options = RealNodeOptions(
    name: "bench", listen: Address(ipv4: 0x7f00_0001, port: 0), dataDirectory: folder.path + "/data")
  options.layers = [(FileShare.self, [:])]
  options.logLevel = .error
  let node = try RealNode(options, log: LogSink())
  node.start()
  let start = node.loop.now
  var last: CommandReply?
  node.call("fileshare", "share", ["paths": [.string(path)]]) { last = $0 }
  while last?.isLast != true { node.step() }
  let seconds = (node.loop.now - start).inSeconds
  guard case .finished(let json)? = last else { fatalError("sharing has failed: \(String(describing: last))") }
  node.stop()
  while node.state != .stopped { node.step() }
  return (seconds, Int(json["shared"]?.arrayValue?.first?["files"]?.integerValue ?? 0))
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

/// 100,000 small files: how long until all are shared, and what the node takes in memory then; in a process of its own.
func manyFiles() -> [Figure] {
  let child = Child(["share-many"])
  let words = child.line().split(separator: " ").compactMap { Double($0) }
  child.join()
  guard words.count == 2 else { return [] }
  return [
    Figure(name: "fileshare.share100k.seconds", value: words[0], unit: "s", baseline: 30, ratio: words[0] / 30),
    Figure(name: "fileshare.share100k.residentMiB", value: words[1], unit: "MiB", baseline: 300, ratio: words[1] / 300),
  ]
}

/// The role of that process.
func shareMany() throws {
  let folder = BenchFolder()
  for directory in 0..<100 {
    mkdir(folder.path + "/\(directory)", 0o700)
    for file in 0..<1_000 { folder.write("\(directory)/a small file, number \(file)", bytes: 200 + file * 8) }
  }
  let data = BenchFolder()
  let result = try sharingSeconds(data, folder.path)
  guard result.files == 100_000 else { fatalError("only \(result.files) files were shared") }
  say("\(result.seconds) \((procNumber("/proc/self/status", "VmHWM") ?? 0) / 1024)")
}
