// NodeFileTests: what a node's file may say, and the exact words about what it may not.
import StackCore
import Testing

@testable import Strata

@Suite struct NodeFileTests {
  private func parse(_ text: String, _ path: String = "/nodes/alice.json") throws(NodeFileError) -> NodeFile {
    try NodeFile.parse(Array(text.utf8), path: path, catalog: testCatalog)
  }

  @Test("Every mistake is said in exact words", arguments: wrongFiles) func mistakes(_ wrong: Wrong) {
    do throws(NodeFileError) {
      _ = try parse(wrong.text)
      Issue.record("taken as right")
    } catch {
      #expect(error.problems.map(\.description) == wrong.problems)
    }
  }

  @Test("An empty file is a node with all defaults") func defaults() throws {
    let file = try parse("{}")
    #expect(file.name == "alice")
    #expect(file.listen == Address("127.0.0.1:5000"))
    #expect(file.control == Address("127.0.0.1:0"))
    #expect(file.data == "/nodes/data/alice")
    #expect(file.peers.isEmpty && file.layers.isEmpty)
    #expect(file.pathLimit == nil && file.outbox == 4 << 20 && file.neighbours == 1024 && file.workers == 0)
    #expect(file.durability == .process && file.log == .text && file.logLevel == .info && file.seed == nil)
  }

  @Test("What stands in a file is taken") func values() throws {
    let file = try parse(
      #"""
      { "$schema": "./s.json", "//": "a comment", "// name": 5, "name": "Böb", "listen": "[::]:6000",
        "peers": ["127.0.0.1:5001", "peer.example.org:5002"], "data": "../here", "control": "[::1]:8080",
        "pathLimit": "1KiB", "outbox": 65536, "neighbours": 5, "durability": "power", "workers": 2, "log": "json",
        "logLevel": "debug", "seed": 18446744073709551615,
        "layers": { "//": 1, "needy": {}, "chat": { "// lines": "how many", "lines": 3 } } }
      """#)
    #expect(file.name == "Böb" && file.listen == Address("[::]:6000") && file.peers.count == 2)
    #expect(file.data == "/nodes/../here" && file.control == Address("[::1]:8080"))
    #expect(file.pathLimit == 1024 && file.outbox == 65536 && file.neighbours == 5 && file.workers == 2)
    #expect(file.durability == .power && file.log == .json && file.logLevel == .debug && file.seed == .max)
    #expect(file.layers.map { $0.type.manifest.name } == ["needy", "chat"])
    #expect(file.layers[1].section == ["lines": 3])
  }

  @Test("The control port is off by any of three words", arguments: [#""off""#, "null", "false"])
  func controlOff(_ word: String) throws {
    let file = try parse(#"{"control": \#(word)}"#)
    #expect(file.control == nil)
    #expect(file.settings["control"] == "off")
  }

  @Test("A file's own name is the node's, unless it is everybody's") func names() throws {
    #expect(try parse("{}", "/x/bob.json").name == "bob")
    let host = try parse("{}", "/x/node.json").name
    #expect(host == (try parse("{}", "/x/strata.json").name))
    #expect(NodeName.fault(host) == nil)
  }

  @Test("A line that is not JSON is shown, with the place") func excerpt() throws {
    do throws(NodeFileError) {
      _ = try parse("{\n\t\"name\": \"a\" \"b\"\n}")
      Issue.record("taken as right")
    } catch {
      #expect(
        error.lines == [
          #"/nodes/alice.json: line 2, column 14: found '"' in an object, expected ',' or '}'"#,
          #"  2 |  "name": "a" "b""#, "                   ^",
        ])
    }
  }

  @Test("A key that only a restart can change is told of at a reload, and stays so") func restart() throws {
    let running = try parse(#"{"outbox": "1MiB"}"#)
    let new = try parse(
      #"{"outbox": "2MiB", "control": "off", "peers": ["a.b:1"], "logLevel": "debug", "seed": 1, "name": "x"}"#)
    let paths = ["name", "data", "control", "outbox", "seed"]
    #expect(running.restartAnswers(for: new).map(\.path) == paths)
    #expect(running.restartAnswers(for: new).allSatisfy { $0.outcome == .needsRestart })
    #expect(running.restartAnswers(for: new).first { $0.path == "outbox" }?.message == "still 1MiB")
    #expect(running.restartAnswers(for: new).first { $0.path == "seed" }?.message == "still without a value")
    #expect(running.restartAnswers(for: running).isEmpty)
  }
}
