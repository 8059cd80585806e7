// InitTests: three questions, and a file that a node can be started from.
import StackCore
import Testing

@testable import Strata

@Suite struct InitTests {
  /// Runs `init` with a person who types some lines.
  private func answering(_ lines: [String], _ words: [String], in folder: TestFolder) -> Said {
    let said = Said()
    var left = lines[...]
    let console = Console(
      program: "strata", inputIsTerminal: true, readLine: { left.popFirst() },
      sink: { stream, text in
        if stream == .error { said.errors += text } else { said.output += text }
        return nil
      })
    said.status = CommandLineTool(catalog: [Chat.self, Needy.self], version: "1", console: console).run(words)
    return said
  }

  @Test("Enter takes every answer that is offered") func enter() throws {
    let folder = try TestFolder()
    let path = folder.path + "/alice.json"
    let said = answering(["", "", ""], ["init", path], in: folder)
    #expect(said.status == 0, "\(said.errors)")
    for question in ["What should other nodes call this one? [alice]", "[all]", "[none yet]"] {
      #expect(said.output.contains(question), "\(question)")
    }
    let file = try NodeFile.read(path, catalog: [Chat.self, Needy.self])
    #expect(file.name == "alice" && file.peers.isEmpty && file.layers.count == 2 && file.listen.isLoopback)
    #expect(try JSON.parse(Array(folder.read("alice.json").utf8))["$schema"] == "strata.schema.json")
    #expect(try JSON.parse(Array(folder.read("strata.schema.json").utf8))["title"] == "A node of strata")
  }

  @Test("What is wrong is asked again; what a layer needs comes along") func again() throws {
    let folder = try TestFolder()
    let path = folder.path + "/x.json"
    let said = answering(["a/b", "bob", "chta", "needy", "nowhere", "192.0.2.7:5000"], ["init", path], in: folder)
    #expect(said.status == 0, "\(said.errors)")
    #expect(said.output.contains("That is a \"/\"") && said.output.contains("did you mean that?"))
    #expect(said.output.contains("which has no port"))
    let file = try NodeFile.read(path, catalog: [Chat.self, Needy.self])
    #expect(file.name == "bob" && file.layers.map { $0.type.manifest.name } == ["chat", "needy"])
    // Others are to reach it, so it listens on every interface.
    #expect(file.peers == ["192.0.2.7:5000"] && file.listen.isUnspecified)
  }

  @Test("By flags alone nothing is asked, and nothing is replaced unless told so") func flags() throws {
    let folder = try TestFolder()
    let path = folder.path + "/carol.json"
    let words = [
      "init", path, "--name", "carol", "--layers", "chat", "--peer", "127.0.0.1:7001", "--listen", "127.0.0.1:7000",
    ]
    #expect(strata(words).status == 0)
    let file = try NodeFile.read(path, catalog: testCatalog)
    #expect(file.name == "carol" && file.listen == Address("127.0.0.1:7000") && file.peers == ["127.0.0.1:7001"])
    let refused = strata(words)
    #expect(refused.status == 1 && refused.errors.contains("exists already"))
    // Before the first question.
    #expect(answering(["x"], ["init", path], in: folder).output.isEmpty)
    #expect(strata(words + ["--force", "--json"]).status == 0)
    // A schema that isn't ours stays as it is.
    try folder.write("strata.schema.json", "{}")
    #expect(strata(words + ["--force"]).status == 0)
    #expect(try folder.read("strata.schema.json") == "{}")
  }

  @Test(
    "Mistakes in flags are told",
    arguments: [
      (["--name", "a/b"], "--name: found a \"/\""), (["--layers", "chta"], "\"chat\" (did you mean that?)"),
      (["--peer", "x"], "--peer: found \"x\", which has no port"), (["--listen", "x"], "--listen: found \"x\""),
    ]) func mistakes(_ words: [String], _ text: String) throws
  {
    let folder = try TestFolder()
    let said = strata(["init", folder.path + "/a.json"] + words)
    #expect(said.status == 2 && said.errors.contains(text), "\(said.errors)")
  }
}
