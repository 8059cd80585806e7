// CommandLineTests: words to commands, help, and how mistakes are told.
import Foundation
import StackCore
import Testing

@testable import Strata

@Suite struct CommandLineTests {
  @Test("The version") func version() {
    for word in ["--version", "-V"] {
      let said = strata(word)
      #expect(said.output == "strata 1.2.3\n" && said.status == 0)
    }
  }

  @Test(
    "Mistakes are told with what would be right, and the status is 2",
    arguments: [
      ([], "a command is missing, expected one of init, node, demo,", "strata"),
      (["nod"], #"found the unknown command "nod", expected "node" (did you mean that?)"#, "strata"),
      (["chta", "say"], #"found the unknown command "chta", expected "chat" (did you mean that?)"#, "strata"),
      (["node"], "FILE is missing: The node's JSON file", "strata node"),
      (["node", "a", "b"], #"found "b", expected nothing more: strata node FILE [OPTIONS]"#, "strata node"),
      (
        ["node", "a", "--lgo", "json"], #"found the unknown option "--lgo", expected "--log" (did you mean that?)"#,
        "strata node"
      ),
      (["node", "a", "--log"], "--log: found nothing after it, expected FORMAT", "strata node"),
      (
        ["node", "a", "--log", "jsn"], #"--log: found "jsn", expected one of text, json (did you mean "json"?)"#,
        "strata node"
      ),
      (["node", "a", "--log=text", "--log=json"], "--log: found a second time, expected once", "strata node"),
      (["layers", "--json=yes"], "--json: found a value, expected none", "strata layers"),
      (["layers", "-x"], #"found the unknown option "-x", expected --json, --help"#, "strata layers"),
      (["layers", "chta"], #"found the unknown layer "chta", expected "chat" (did you mean that?)"#, "strata layers"),
      (["config"], "a command is missing, expected one of check, schema, init", "strata config"),
      (
        ["config", "chekc"], #"found the unknown command "chekc", expected "check" (did you mean that?)"#,
        "strata config"
      ),
      (["sim", "/nowhere"], "can't read /nowhere: No such file or directory", "strata sim"),
      (["wire", "decode", "xyz"], #"found "xyz", expected hex digits or the path of a file"#, "strata wire decode"),
      (["status", "--control", "127.0.0.1:1"], "--control: found no --token-file", "strata status"),
      (["chat", "sya"], #"found the unknown command "sya", expected "say" (did you mean that?)"#, "strata chat"),
      (["chat", "say"], "TEXT is missing: What to say.", "strata chat say"),
      (
        ["chat", "say", "x", "--times", "10"], "times: found 10, expected a whole number from 1 to 9", "strata chat say"
      ),
      (
        ["chat", "say", "x", "--times", "a"], #"times: found "a", expected a whole number from 1 to 9"#,
        "strata chat say"
      ),
      (["chat", "say", "x", "--input", "{}"], "found --input and text too", "strata chat say"),
      (["chat", "say", "--input", "{"], "--input: line 1, column 2", "strata chat say"),
      (
        ["chat", "say", "--input", "{}"], "text: found nothing, expected text of 1 to 20 characters", "strata chat say"
      ),
      (["chat", "count", "x"], "NAMES is missing", "strata chat count"),
    ] as [([String], String, String)])
  func mistakes(_ words: [String], _ message: String, _ help: String) {
    let said = strata(words)
    #expect(said.errors.hasPrefix("strata: \(message)"))
    #expect(said.errors.hasSuffix("\nType \"\(help) --help\" for help.\n"))
    #expect(said.status == 2 && said.output.isEmpty)
  }

  @Test("Every command has help, which fits the width", arguments: [40, 80, 200]) func help(_ width: Int) {
    func visit(_ spec: CommandSpec, _ path: [String]) {
      let said = strata(path + ["--help"], width: width)
      #expect(said.status == 0 && said.errors.isEmpty)
      #expect(said.output.hasPrefix(wrapped(spec.summary, width: width)[0]))
      #expect(said.output.contains("Usage: strata"))
      for option in spec.allOptions { #expect(said.output.contains("--\(option.name)"), "\(path) \(option.name)") }
      for line in said.output.split(separator: "\n") where !line.hasPrefix("Usage:") && !line.contains("strata ") {
        #expect(line.count <= width, "\(line)")
      }
      for next in spec.subcommands { visit(next, path + [next.name]) }
    }
    let tool = CommandLineTool(catalog: testCatalog, version: "1", console: Console(program: "strata") { _, _ in nil })
    visit(tool.rootCommand, [])
    for type in testCatalog {
      if let spec = tool.layerCommand(type.manifest.name) { visit(spec, [spec.name]) }
    }
  }

  @Test("An argument called like the program's own option is the layer's") func ownVersion() {
    let said = strata("chat", "upgrade", "--version", "3", "--control", "http://127.0.0.1:1", "--token-file", "/none")
    #expect(said.status == 1 && said.output.isEmpty && said.errors.contains("/none"))
    #expect(strata("--version").output == "strata 1.2.3\n")
    #expect(strata("status", "--version").status == 2)
  }

  @Test("Output that can't be written is an error") func fullOutput() {
    let said = strata(["config", "schema"], isFull: true)
    #expect(said.status == 1 && said.errors == "strata: the output can't be written: No space left on device\n")
    #expect(strata(["nonsense"], isFull: true).status == 2)
  }

  @Test("What is no file is written to, not replaced") func devices() throws {
    let folder = try TestFolder()
    let target = try folder.write("file", "old")
    try FileManager.default.createSymbolicLink(atPath: folder.path + "/link", withDestinationPath: "/dev/null")
    try FileManager.default.createSymbolicLink(atPath: folder.path + "/other", withDestinationPath: target)
    #expect(strata("config", "init", folder.path + "/link").status == 0)
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder.path + "/link") == "/dev/null")
    #expect(strata("config", "init", folder.path + "/other").status == 1)
    #expect(strata("config", "init", folder.path + "/other", "--force").status == 0)
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder.path + "/other") == target)
    #expect(try folder.read("file").contains("\"listen\""))
    var facts = stat()
    #expect(stat("/dev/null", &facts) == 0 && facts.st_mode & S_IFMT == S_IFCHR)
    #expect(strata("config", "init", folder.path + "/none/x").errors.hasPrefix("strata: can't write "))
  }

  @Test("A layer's command explains itself from its registration") func layerHelp() {
    #expect(
      strata("help", "chat", "say").output.hasPrefix(
        """
        Says something.

        Usage: strata chat say TEXT [OPTIONS]

        Arguments:
          TEXT  What to say. (text of 1 to 20 characters)

        Options:
              --times TIMES      How often. (a whole number from 1 to 9) Default: 1.
              --loud             Whether to shout.
              --no-keep          Not: Whether to keep it.
              --to TO            To whom. (an array) Default: [].
              --input JSON       The whole input: JSON, @FILE, or - for standard input.
        """))
    #expect(strata("chat", "count", "-h").output.contains("Usage: strata chat count UPTO NAMES... [OPTIONS]"))
  }

  @Test(
    "Words become the input",
    arguments: [
      (["hello"], #"{"text": "hello"}"#),
      (["5", "--times", "2"], #"{"text": "5", "times": 2}"#),
      (["--loud", "--no-keep", "--", "-x"], #"{"text": "-x", "loud": true, "keep": false}"#),
      (["a", "--to", "b", "--to=c"], #"{"text": "a", "to": ["b", "c"]}"#),
      (["-1"], #"{"text": "-1"}"#),
      (["--input", #"{"text": "x", "times": 3}"#], #"{"text": "x", "times": 3}"#),
      (["--input", "-"], #"{"text": "from input"}"#),
    ] as [([String], String)])
  func input(_ words: [String], _ expected: String) throws {
    let arguments = LayerCommandArguments(Schema.of(input: Chat.Say.self))
    let parsed = try arguments.spec(layer: "chat", name: "say", summary: "", examples: []).parse(words[...], path: "x")
    let input = try arguments.input(parsed) { Array(#"{"text": "from input"}"#.utf8) }
    #expect(input == (try JSON.parse(expected)))
  }

  @Test("A list that must be given takes the rest") func rest() throws {
    let arguments = LayerCommandArguments(Schema.of(input: Chat.Count.self))
    let spec = arguments.spec(layer: "chat", name: "count", summary: "", examples: [])
    let input = try arguments.input(try spec.parse(["3", "a", "b", "c"], path: "x")) { [] }
    #expect(input == ["names": ["a", "b", "c"], "upTo": 3])
  }

  @Test("Commands of a running node's own layers are read from their JSON Schema") func remoteSchema() throws {
    let schema = Schema(jsonSchema: Schema.of(input: Chat.Say.self).jsonSchema())
    let spec = LayerCommandArguments(schema).spec(layer: "chat", name: "say", summary: "", examples: [])
    #expect(spec.usage("say") == "say TEXT [OPTIONS]")
    let parsed = try spec.parse(["hi", "--times", "3", "--loud", "--no-keep", "--to", "b"], path: "x")
    let input = try LayerCommandArguments(schema).input(parsed) { [] }
    #expect(input == ["text": "hi", "times": 3, "loud": true, "keep": false, "to": ["b"]])
  }

  @Test("What is compiled in is listed, with all that it registers") func layers() throws {
    let list = strata("layers").output.split(separator: "\n")
    #expect(
      list.count == 6 && list[1].hasPrefix("chat      1         3         1       1        8         Says things"))
    let chat = strata("layers", "chat").output
    for text in ["1000  Line  text, ids", "say TEXT", "count UPTO NAMES...", "heard", "said  counter", "interval"] {
      #expect(chat.contains(text), "\(text)")
    }
    let json = try JSON.parse(strata("layers", "--json").output)
    #expect(json["layers"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == testCatalog.map { $0.manifest.name })
    let first = try #require(json["layers"]?[0])
    #expect(first["commands"]?[0]?["path"] == "/v1/chat/say")
    #expect(first["settings"]?[0]?["live"] == true)
    #expect(first["commands"]?[1]?["progress"]?["type"] == "object")
  }

  @Test("Without a terminal there are no colours; with one there are") func colours() {
    #expect(!strata("--help").output.contains("\u{1b}"))
    #expect(strata(["--help"], colours: true).output.contains("\u{1b}[1mTo begin:\u{1b}[0m"))
  }

  @Test("Wide letters count as two columns, marks as none") func wideText() {
    #expect(columns(of: "plain") == 5 && columns(of: "漢字かな") == 8 && columns(of: "한글") == 4)
    #expect(columns(of: "ｆｕｌｌ") == 8 && columns(of: "🎉👩‍👩‍👧") == 4 && columns(of: "é" + "e\u{301}\u{302}") == 2)
    let lines = Table(rows: [["漢字", "x"], ["ab", "y"]]).lines(width: 80)
    #expect(lines == ["漢字  x", "ab    y"])
    #expect(cut("漢字漢字", 5) == "漢字" && cut("abc", 5) == "abc" && cut("", 0) == "")
    #expect(clipped("漢字漢字", 6) == "漢字…" && clipped("漢字", 4) == "漢字")
    #expect(wrapped("漢字漢字", width: 5) == ["漢字", "漢字"] && wrapped("漢", width: 1) == ["漢"])
    // One letter with a heap of marks takes no more than its place.
    #expect(cut("e" + String(repeating: "\u{301}", count: 500), 5).unicodeScalars.count <= 20)
  }

  @Test("What a stranger says can't move the cursor") func harmlessText() {
    #expect(harmless("a\u{1b}[2Jb\u{202e}") == "a\\u{1b}[2Jb\\u{202e}")
    #expect(oneLine("a\nb\tc\r\nd\u{9b}2J") == "a⏎b⇥c\\u{d}⏎d\\u{9b}2J")
    let said = strata("\u{1b}[2J")
    #expect(!said.errors.contains("\u{1b}"))
  }

  @Test("Server-sent events are taken apart wherever they are cut") func events() {
    let text = ": hello\n\nevent: progress\ndata: 1\n\nid: 3\ndata: a\r\ndata: b\r\n\r\nevent: finished\ndata\n\n"
    let expected = [
      ServerEvent(name: "progress", data: "1"), ServerEvent(name: "message", data: "a\nb"),
      ServerEvent(name: "finished", data: ""),
    ]
    for size in 1...text.utf8.count {
      var reader = EventStreamReader()
      var found: [ServerEvent] = []
      var rest = Array(text.utf8)[...]
      while !rest.isEmpty {
        found += reader.feed(Array(rest.prefix(size)))
        rest = rest.dropFirst(size)
      }
      #expect(found == expected)
    }
  }
}
