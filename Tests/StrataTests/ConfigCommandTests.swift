// ConfigCommandTests: `config check`, `config schema` and `config init`.
import StackCore
import Testing

@testable import Strata

@Suite struct ConfigCommandTests {
  @Test("A right file is said to be right") func right() throws {
    let folder = try TestFolder()
    let path = try folder.write("alice.json", #"{"layers": {"chat": {}, "needy": {}}}"#)
    let said = strata("config", "check", path)
    #expect(said.output == "\(path): right; node alice at 127.0.0.1:5000 with the layers chat, needy\n")
    #expect(said.status == 0 && said.errors.isEmpty)
  }

  @Test("All mistakes come, a line each, and the status is 2") func wrong() throws {
    let folder = try TestFolder()
    let path = try folder.write("a.json", #"{"nmae": "a", "layers": {"chat": {"lines": 0}, "wings": {}}}"#)
    for words in [["config", "check", path], ["node", path]] {
      let said = strata(words)
      #expect(
        said.errors == """
          strata: \(path): nmae: found an unknown key, expected "name" (did you mean that?)
          strata: \(path): layers.chat.lines: found 0, expected a whole number from 1 to 100
          strata: \(path): layers.wings: found an unknown layer, expected one of "chat", "needy", "hopeless", \
          "parrot", "tree"

          """)
      #expect(said.status == 2 && said.output.isEmpty)
    }
  }

  @Test("What a layer itself refuses is found by the check") func refusedByLayer() throws {
    let folder = try TestFolder()
    let path = try folder.write("a.json", #"{"layers": {"chat": {"greeting": "never"}}}"#)
    let said = strata("config", "check", path)
    #expect(said.errors == "strata: \(path): layers.chat.greeting: it is not said\n")
    #expect(said.status == 2)
  }

  @Test("A file that is not there is an error of the configuration") func missing() {
    let said = strata("config", "check", "/nowhere/a.json")
    let reason = "can't be read: No such file or directory; `init` writes a node's file"
    #expect(said.errors == "strata: /nowhere/a.json: \(reason)\n")
    #expect(said.status == 2)
  }

  @Test("A file to start from is right, and has every default") func initRoundTrip() throws {
    let folder = try TestFolder()
    let path = "\(folder.path)/bob.json"
    let said = strata("config", "init", path, "--name", "bob", "--layers", "chat,tree", "--schema", "./s.json")
    #expect(said.status == 0 && said.errors.isEmpty)
    let checked = strata("config", "check", path, "--json")
    #expect(checked.status == 0)
    let file = try JSON.parse(checked.output)
    #expect(file["name"] == "bob" && file["outbox"] == "4MiB")
    #expect(file["layers"]?["chat"]?["interval"] == "1s" && file["layers"]?["chat"]?["greeting"] == .null)
    let written = try JSON.parse(try folder.read("bob.json"))
    #expect(written["$schema"] == "./s.json")
    #expect(written["layers"]?["chat"]?["// lines"] == "How many lines are kept. (a whole number from 1 to 100)")
    // All else in it is the defaults.
    let empty = try NodeFile.parse(
      Array(#"{"name": "bob", "layers": {"chat": {}, "tree": {}}}"#.utf8), path: path, catalog: testCatalog)
    #expect(file == empty.filled)
  }

  @Test("A file that is there is not replaced without a word") func initKeeps() throws {
    let folder = try TestFolder()
    let path = try folder.write("a.json", "mine")
    let said = strata("config", "init", path)
    #expect(said.status == 1)
    #expect(said.errors == "strata: \(path) exists already; choose another name, or add --force to replace it\n")
    #expect(try folder.read("a.json") == "mine")
    #expect(strata("config", "init", path, "--force").status == 0)
  }

  @Test("Layers that don't exist can't be chosen") func initLayers() {
    let said = strata("config", "init", "--layers", "chta")
    #expect(
      said.errors
        == "strata: --layers: found the unknown layer \"chta\", expected \"chat\" (did you mean that?)\n"
        + "Type \"strata config init --help\" for help.\n")
    #expect(said.status == 2)
  }

  @Test("The schema describes every key, and closes every object") func schema() throws {
    let schema = try JSON.parse(strata("config", "schema").output)
    #expect(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema")
    let properties = try #require(schema["properties"]?.objectValue)
    let keys = Schema.of(config: CoreSettings.self).properties.map(\.name) + ["layers", "$schema"]
    #expect(properties.keys == keys)
    #expect(schema["additionalProperties"] == false && schema["patternProperties"] == ["^//": true])
    let chat = try #require(properties["layers"]?["properties"]?["chat"])
    #expect(chat["additionalProperties"] == false && chat["patternProperties"] == ["^//": true])
    #expect(chat["properties"]?["lines"]?["maximum"] == 100)
    #expect(chat["properties"]?["mood"]?["enum"] == ["calm", "loud"])
    #expect(properties["logLevel"]?["default"] == "info")
    for (name, property) in properties { #expect(property["description"] != nil, "\(name) has no description") }
    #expect(schema["required"] == nil)
  }
}
