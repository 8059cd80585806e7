// CompletionTests: what a shell may offer, and how each of the three is told.
import StackCore
import Testing

@testable import Strata

@Suite struct CompletionTests {
  /// What the last word may become.
  private func offers(_ words: String...) -> [String] {
    let console = Console(program: "strata", sink: { _, _ in nil })
    let tool = CommandLineTool(catalog: testCatalog, version: "1", console: console)
    let answer = Completer(tool).answer(words)
    return answer.offers.map(\.word) + (answer.takesFiles ? [":files"] : [])
  }

  @Test("Commands, those of layers too, and nothing that is for programs") func commands() {
    #expect(offers("sta") == ["status"])
    #expect(offers("cha") == ["chat"])
    #expect(offers("chat", "") == ["say", "count", "upgrade"])
    #expect(offers("config", "c") == ["check"])
    #expect(offers("__c") == [] && !offers("").contains("__complete"))
    #expect(offers("nothing", "") == [])
  }

  @Test("Options that are left, their values, and layers") func options() {
    #expect(offers("node", "a.json", "--log") == ["--log", "--log-level"])
    #expect(offers("node", "--log", "") == ["text", "json"])
    #expect(offers("node", "--log=j") == ["--log=json"])
    #expect(!offers("node", "--log", "text", "--l").contains("--log"))
    #expect(offers("chat", "say", "--no") == ["--no-keep"])
    #expect(offers("init", "--layers", "ch") == ["chat"])
    #expect(offers("init", "--layers", "chat,").allSatisfy { $0.hasPrefix("chat,") && $0 != "chat,chat" })
    #expect(offers("completion", "f") == ["fish"])
    #expect(offers("chat", "say", "--to", "") == [])
  }

  @Test("Node files, and no others") func files() throws {
    let folder = try TestFolder()
    try folder.write("alice.json", #"{"listen": "127.0.0.1:0"}"#)
    try folder.write("crowd.json", #"{"nodes": 3, "layers": {}}"#)
    try folder.write("other.json", "[]")
    #expect(offers("node", folder.path + "/") == [folder.path + "/alice.json"])
    #expect(offers("status", "--config=\(folder.path)/a") == ["--config=\(folder.path)/alice.json"])
    #expect(offers("node", folder.path + "/x") == [":files"])
    #expect(offers("sim", "") == [":files"])
  }

  @Test("A line is taken apart as bash does") func words() {
    #expect(CommandLineTool.shellWords("strata gossip ") == ["strata", "gossip", ""])
    #expect(CommandLineTool.shellWords(#"strata say "a b" 'c d' e\ f"#) == ["strata", "say", "a b", "c d", "e f"])
    #expect(CommandLineTool.shellWords("strata '") == ["strata", ""])
    #expect(CommandLineTool.shellWords("") == [""])
  }

  @Test("Each shell gets offers in its own form") func forms() {
    #expect(strata("__complete", "bash", "--", "strata sta").output == "status \n")
    // bash breaks a word at the equals sign, and replaces what comes after it.
    #expect(strata("__complete", "bash", "--", "strata node --log=te").output == "text \n")
    #expect(strata("__complete", "fish", "--", "sta").output.hasPrefix("status\tShows a running node"))
    #expect(strata("__complete", "zsh", "--", "sta").output.hasPrefix("status:Shows a running node"))
    for shell in ["bash", "zsh", "fish"] {
      let script = strata("completion", shell)
      #expect(script.status == 0 && script.output.contains("__complete \(shell)"))
    }
    #expect(strata("completion", "fihs").errors.contains("did you mean \"fish\"?"))
  }
}
