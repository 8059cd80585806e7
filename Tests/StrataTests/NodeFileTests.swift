// NodeFileTests: what a node's file may say, and the exact words about what it may not.
import StackCore
import Testing

@testable import Strata

@Suite struct NodeFileTests {
  /// The problems of a text, each as one line.
  private func problems(_ text: String) -> [String] {
    do throws(NodeFileError) {
      _ = try NodeFile.parse(Array(text.utf8), path: "/nodes/alice.json", catalog: testCatalog)
      return []
    } catch { return error.problems.map(\.description) }
  }

  @Test func dump() {
    for (place, text) in wrong.enumerated() {
      print("CASE \(place): \(text)")
      for line in problems(text) { print("  -> \(line)") }
    }
  }
}

let wrong: [String] = [
  #""alice""#, #"[]"#, #"{"name": 5}"#, #"{"name": ""}"#, #"{"name": "a/b"}"#, #"{"name": " a"}"#,
  #"{"name": "a\u202eb"}"#, #"{"name": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#, #"{"name": ".."}"#, #"{"nmae": "a"}"#,
  #"{"layer": {}}"#, #"{"colour": 1}"#, #"{"listen": 5000}"#, #"{"listen": "localhost:5000"}"#, #"{"listen": "127.0.0.1"}"#,
  #"{"listen": "224.0.0.1:5000"}"#, #"{"peers": "127.0.0.1:5001"}"#, #"{"peers": [5001]}"#, #"{"peers": ["127.0.0.1"]}"#,
  #"{"peers": ["127.0.0.1:0"]}"#, #"{"peers": ["0.0.0.0:5000"]}"#, #"{"peers": ["300.0.0.1:5000"]}"#,
  #"{"peers": ["a.example:5000", "a.example:5000"]}"#, #"{"peers": ["a_b.-c:99"]}"#, #"{"data": ""}"#, #"{"control": "0.0.0.0:8080"}"#,
  #"{"control": "8080"}"#, #"{"control": true}"#, #"{"pathLimit": "small"}"#, #"{"pathLimit": 100}"#, #"{"pathLimit": "1MiB"}"#,
  #"{"outbox": "1KiB"}"#, #"{"outbox": "lots"}"#, #"{"neighbours": 0}"#, #"{"neighbours": 1.5}"#, #"{"durability": "proces"}"#, #"{"workers": -1}"#,
  #"{"log": "xml"}"#, #"{"logLevel": "warn"}"#, #"{"seed": -1}"#, #"{"layers": []}"#, #"{"layers": {"chatt": {}}}"#,
  #"{"layers": {"wings": {}}}"#, #"{"layers": {"chat": true}}"#, #"{"layers": {"chat": {"intervall": "1s"}}}"#,
  #"{"layers": {"chat": {"interval": 5}}}"#, #"{"layers": {"chat": {"interval": "1ms"}}}"#, #"{"layers": {"chat": {"lines": 101}}}"#,
  #"{"layers": {"chat": {"size": "1B"}}}"#, #"{"layers": {"chat": {"mood": "loudd"}}}"#, #"{"layers": {"chat": {"deaf": ["a", "b", "c"]}}}"#,
  #"{"layers": {"chat": {"deaf": [1]}}}"#, #"{"layers": {"chat": {"chance": 2}}}"#, #"{"layers": {"chat": {"quiet": "no"}}}"#,
  #"{"layers": {"needy": {}}}"#, #"{"layers": {"hopeless": {}}}"#, #"{"layers": {"chat": {}, "parrot": {}}}"#, #"{"layers": {"tree": {"height": 3}}}"#,
  #"{"name": "a", "name": "b"}"#, "{\"name\": \"a\",\n  \"peers\": [,]}", "{\"name\": \"a\"", "", #"{"name": 1, "log": 2, "layers": {"chat": {"lines": 0}}}"#,
]
