// Processes: the benchmark program starts itself again in a role, and reads what that prints.
import Glibc

/// Where this run and its children keep their files: below `/tmp`, or where TMPDIR says. It goes away with the program
/// that made it; children, which are killed, use that of their parent.
let runFolder: String = {
  if let folder = getenv("STRATA_BENCH_FOLDER") { return String(cString: folder) }
  let folder = newFolder(in: getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")
  setenv("STRATA_BENCH_FOLDER", folder, 1)
  atexit { removeFolder(runFolder) }
  return folder
}()

private func newFolder(in base: String) -> String {
  var template = Array("\(base)/strata-bench-XXXXXX".utf8CString)
  guard mkdtemp(&template) != nil else { fatalError("no temporary directory") }
  return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// A new folder that goes away with the run.
func makeFolder() -> String { newFolder(in: runFolder) }

/// Removes a folder and all in it.
func removeFolder(_ path: String) { Child(program: "/bin/rm", ["rm", "-rf", path]).join() }

/// A copy of this program in another role, or another program.
final class Child {
  let pid: pid_t
  private let output: UnsafeMutablePointer<FILE>
  /// What it reads; nil when it has this program's own.
  private var input: Int32?

  /// Starts this program in a role; with `talks` it reads what `tell` says.
  convenience init(_ role: [String], talks: Bool = false) {
    self.init(program: "/proc/self/exe", ["strata-bench"] + role, talks: talks)
  }

  init(program: String, _ words: [String], talks: Bool = false) {
    // Ends that another child inherited would keep a pipe open when this child is gone.
    var pipes: [Int32] = [0, 0]
    var inputs: [Int32] = [-1, -1]
    _ = runFolder
    guard pipe(&pipes) == 0, !talks || pipe(&inputs) == 0 else { fatalError("no pipe") }
    for end in pipes + inputs where end >= 0 { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
    if talks { posix_spawn_file_actions_adddup2(&actions, inputs[0], 0) }
    defer { posix_spawn_file_actions_destroy(&actions) }
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
    arguments.append(nil)
    defer { for word in arguments { free(word) } }
    var child: pid_t = 0
    guard posix_spawnp(&child, program, &actions, nil, arguments, environ) == 0 else { fatalError("no process") }
    pid = child
    close(pipes[1])
    if talks {
      close(inputs[0])
      input = inputs[1]
    }
    guard let file = fdopen(pipes[0], "r") else { fatalError("no stream") }
    output = file
  }

  /// Says a line to it.
  func tell(_ text: String) {
    let line = Array((text + "\n").utf8)
    if let input { _ = line.withUnsafeBytes { write(input, $0.baseAddress, $0.count) } }
  }

  /// The file descriptor of what it prints.
  var descriptor: Int32 { fileno(output) }

  /// How long its first thread has been on a processor, in nanoseconds.
  var processorTime: Double {
    guard let file = fopen("/proc/\(pid)/schedstat", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, 128, file) != nil else { return 0 }
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return text.split(separator: " ").first.flatMap { Double(String($0)) } ?? 0
  }

  /// The next line it prints.
  func line() -> String {
    var buffer: UnsafeMutablePointer<CChar>?
    var size = 0
    defer { free(buffer) }
    guard getline(&buffer, &size, output) > 0, let buffer else { return "" }
    return String(cString: buffer).split(separator: "\n").first.map(String.init) ?? ""
  }

  /// What it has printed that was not read yet; not together with `line`.
  func available() -> String {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = read(descriptor, &buffer, buffer.count)
    return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : ""
  }

  /// Has nothing more to tell it, and waits until it has ended for that reason.
  func dismiss() {
    if let input { close(input) }
    input = nil
    join()
  }

  /// Ends it.
  func end() {
    kill(pid, SIGKILL)
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    fclose(output)
    if let input { close(input) }
  }

  /// Waits until it has ended by itself.
  func join() {
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    fclose(output)
    if let input { close(input) }
  }
}

/// A number from a line such as `VmRSS:  1234 kB` of a file below /proc.
func procNumber(_ path: String, _ key: String) -> Double? {
  guard let file = fopen(path, "r") else { return nil }
  defer { fclose(file) }
  var buffer: UnsafeMutablePointer<CChar>?
  var size = 0
  defer { free(buffer) }
  while getline(&buffer, &size, file) > 0, let text = buffer.map({ String(cString: $0) }) {
    guard text.hasPrefix(key + ":") else { continue }
    let digits = text.dropFirst(key.count + 1).split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\n" })
    return digits.first.flatMap { Double(String($0)) }
  }
  return nil
}

func say(_ text: String) {
  let line = Array((text + "\n").utf8)
  _ = line.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
}
