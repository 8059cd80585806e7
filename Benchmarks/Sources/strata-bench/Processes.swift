// Processes: the benchmark program starts itself again in a role, and reads what that prints.
import Glibc

/// A copy of this program in another role.
final class Child {
  let pid: pid_t
  private let output: UnsafeMutablePointer<FILE>

  init(_ arguments: [String]) {
    var pipes: [Int32] = [0, 0]
    guard pipe(&pipes) == 0 else { fatalError("no pipe") }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
    posix_spawn_file_actions_addclose(&actions, pipes[0])
    defer { posix_spawn_file_actions_destroy(&actions) }
    var words: [UnsafeMutablePointer<CChar>?] = (["strata-bench"] + arguments).map { strdup($0) }
    words.append(nil)
    defer { for word in words { free(word) } }
    var child: pid_t = 0
    guard posix_spawn(&child, "/proc/self/exe", &actions, nil, words, environ) == 0 else { fatalError("no process") }
    pid = child
    close(pipes[1])
    guard let file = fdopen(pipes[0], "r") else { fatalError("no stream") }
    output = file
  }

  /// The next line it prints.
  func line() -> String {
    var buffer: UnsafeMutablePointer<CChar>?
    var size = 0
    defer { free(buffer) }
    guard getline(&buffer, &size, output) > 0, let buffer else { return "" }
    return String(cString: buffer).split(separator: "\n").first.map(String.init) ?? ""
  }

  /// Ends it.
  func end() {
    kill(pid, SIGKILL)
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    fclose(output)
  }

  /// Waits until it has ended by itself.
  func join() {
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    fclose(output)
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
