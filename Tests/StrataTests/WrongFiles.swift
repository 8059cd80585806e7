// WrongFiles: node files that are wrong, each with all that is said about it.
import Testing

/// A file's text, and the problems found in it.
struct Wrong: Sendable, CustomTestStringConvertible {
  let text: String
  let problems: [String]
  init(_ text: String, _ problems: [String]) {
    self.text = text
    self.problems = problems
  }
  var testDescription: String { text }
}

private let nameExpected =
  #"1 to 40 bytes of printable text, without "/", without a space at either end, and not "." or "..""#
private let peerExpected = #""host:port" such as "127.0.0.1:5001", "[::1]:5001" or "peer.example.org:5001""#
private let listenExpected = #"an address and a port such as "127.0.0.1:5000" or "[::]:5000""#
private let controlExpected = #"a loopback address and a port such as "127.0.0.1:8080", or "off""#

/// Everything that can be wrong with a node's file.
let wrongFiles: [Wrong] = [
  Wrong(
    #""alice""#,
    [
      #"found "alice", expected an object such as {"name": "alice", "layers": {}}"#
    ]),
  Wrong(
    #"[]"#,
    [
      #"found an empty array, expected an object such as {"name": "alice", "layers": {}}"#
    ]),
  Wrong(
    #"{"name": 5}"#,
    [
      #"name: found 5, expected "# + nameExpected
    ]),
  Wrong(
    #"{"name": ""}"#,
    [
      #"name: found nothing, expected "# + nameExpected
    ]),
  Wrong(
    #"{"name": "a/b"}"#,
    [
      #"name: found a "/", expected "# + nameExpected
    ]),
  Wrong(
    #"{"name": " a"}"#,
    [
      #"name: found a space at an end, expected "# + nameExpected
    ]),
  Wrong(
    #"{"name": "a\u202eb"}"#,
    [
      #"name: found the character U+202E, which can't be printed, expected "# + nameExpected
    ]),
  Wrong(
    #"{"name": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#,
    [
      #"name: found 41 bytes, expected "# + nameExpected
    ]),
  Wrong(
    #"{"name": ".."}"#,
    [
      #"name: found "..", expected "# + nameExpected
    ]),
  Wrong(
    #"{"nmae": "a"}"#,
    [
      #"nmae: found an unknown key, expected "name" (did you mean that?)"#
    ]),
  Wrong(
    #"{"layer": {}}"#,
    [
      #"layer: found an unknown key, expected "layers" (did you mean that?)"#
    ]),
  Wrong(
    #"{"colour": 1}"#,
    [
      #"colour: found an unknown key,"#
        + #" expected one of "name", "listen", "peers", "data", "control", "pathLimit", "outbox", "neighbours","#
        + #" "durability", "workers", "log", "logLevel", "seed" or "layers""#
    ]),
  Wrong(
    #"{"listen": 5000}"#,
    [
      #"listen: found 5000, expected "# + listenExpected
    ]),
  Wrong(
    #"{"listen": "localhost:5000"}"#,
    [
      #"listen: found "localhost:5000", expected "# + listenExpected
    ]),
  Wrong(
    #"{"listen": "127.0.0.1"}"#,
    [
      #"listen: found "127.0.0.1", expected "# + listenExpected
    ]),
  Wrong(
    #"{"listen": "224.0.0.1:5000"}"#,
    [
      #"listen: found a multicast address, expected "# + listenExpected
    ]),
  Wrong(
    #"{"peers": "127.0.0.1:5001"}"#,
    [
      #"peers: found "127.0.0.1:5001", expected an array of at most 1024 elements"#
    ]),
  Wrong(
    #"{"peers": [5001]}"#,
    [
      #"peers[0]: found 5001, expected "# + peerExpected
    ]),
  Wrong(
    #"{"peers": ["127.0.0.1"]}"#,
    [
      #"peers[0]: found "127.0.0.1", which has no port, expected "# + peerExpected
    ]),
  Wrong(
    #"{"peers": ["127.0.0.1:0"]}"#,
    [
      #"peers[0]: found "127.0.0.1:0", whose port is 0, expected "# + peerExpected
    ]),
  Wrong(
    #"{"peers": ["0.0.0.0:5000"]}"#,
    [
      #"peers[0]: found "0.0.0.0:5000", which is no one's address, expected "# + peerExpected
    ]),
  Wrong(
    #"{"peers": ["300.0.0.1:5000"]}"#,
    [
      #"peers[0]: found "300.0.0.1:5000", expected "# + peerExpected
    ]),
  Wrong(
    #"{"peers": ["a.example:5000", "a.example:5000"]}"#,
    [
      #"peers[1]: found "a.example:5000", which peers[0] is already, expected each peer once"#
    ]),
  Wrong(
    #"{"peers": ["a_b.-c:99"]}"#,
    [
      #"peers[0]: found "a_b.-c:99", expected "# + peerExpected
    ]),
  Wrong(
    #"{"data": ""}"#,
    [
      #"data: found "", expected the path of a folder"#
    ]),
  Wrong(
    #"{"control": "0.0.0.0:8080"}"#,
    [
      #"control: found "0.0.0.0:8080", which others can reach, expected "# + controlExpected
    ]),
  Wrong(
    #"{"control": "8080"}"#,
    [
      #"control: found "8080", expected "# + controlExpected
    ]),
  Wrong(
    #"{"control": true}"#,
    [
      #"control: found true, expected "# + controlExpected
    ]),
  Wrong(
    #"{"pathLimit": "small"}"#,
    [
      #"pathLimit: found "small", expected "auto" or a size from 576B to 65507B"#
    ]),
  Wrong(
    #"{"pathLimit": 100}"#,
    [
      #"pathLimit: found 100, expected "auto" or a size from 576B to 65507B"#
    ]),
  Wrong(
    #"{"pathLimit": "1MiB"}"#,
    [
      #"pathLimit: found "1MiB", expected "auto" or a size from 576B to 65507B"#
    ]),
  Wrong(
    #"{"outbox": "1KiB"}"#,
    [
      #"outbox: found "1KiB", expected a size from 64KiB to 1GiB"#
    ]),
  Wrong(
    #"{"outbox": "lots"}"#,
    [
      #"outbox: found "lots", expected a size from 64KiB to 1GiB"#
    ]),
  Wrong(
    #"{"neighbours": 0}"#,
    [
      #"neighbours: found 0, expected a whole number from 1 to 1000000"#
    ]),
  Wrong(
    #"{"neighbours": 1.5}"#,
    [
      #"neighbours: found 1.5, expected a whole number from 1 to 1000000"#
    ]),
  Wrong(
    #"{"durability": "proces"}"#,
    [
      #"durability: found "proces", expected "process" or "power""#
    ]),
  Wrong(
    #"{"workers": -1}"#,
    [
      #"workers: found -1, expected a whole number from 0 to 256"#
    ]),
  Wrong(
    #"{"log": "xml"}"#,
    [
      #"log: found "xml", expected "text" or "json""#
    ]),
  Wrong(
    #"{"logLevel": "warn"}"#,
    [
      #"logLevel: found "warn", expected "debug", "info", "notice", "warning" or "error""#
    ]),
  Wrong(
    #"{"seed": -1}"#,
    [
      #"seed: found -1, expected a whole number of at least 0"#
    ]),
  Wrong(
    #"{"layers": []}"#,
    [
      #"layers: found an empty array, expected an object with a key for each layer"#
    ]),
  Wrong(
    #"{"layers": {"chatt": {}}}"#,
    [
      #"layers.chatt: found an unknown layer, expected "chat" (did you mean that?)"#
    ]),
  Wrong(
    #"{"layers": {"wings": {}}}"#,
    [
      #"layers.wings: found an unknown layer, expected one of "chat", "needy", "hopeless", "parrot", "tree""#
    ]),
  Wrong(
    #"{"layers": {"chat": true}}"#,
    [
      #"layers.chat: found true, expected an object such as {}; take the key out to switch the layer off"#
    ]),
  Wrong(
    #"{"layers": {"chat": {"intervall": "1s"}}}"#,
    [
      #"layers.chat.intervall: found an unknown key, expected "interval" (did you mean that?)"#
    ]),
  Wrong(
    #"{"layers": {"chat": {"interval": 5}}}"#,
    [
      #"layers.chat.interval: found 5, expected a duration from 10ms to 1m"#
    ]),
  Wrong(
    #"{"layers": {"chat": {"interval": "1ms"}}}"#,
    [
      #"layers.chat.interval: found "1ms", expected a duration from 10ms to 1m"#
    ]),
  Wrong(
    #"{"layers": {"chat": {"lines": 101}}}"#,
    [
      #"layers.chat.lines: found 101, expected a whole number from 1 to 100"#
    ]),
  Wrong(
    #"{"layers": {"chat": {"size": "1B"}}}"#,
    [
      #"layers.chat.size: found "1B", expected a size from 1KiB to 64KiB"#
    ]),
  Wrong(
    #"{"layers": {"chat": {"mood": "loudd"}}}"#,
    [
      #"layers.chat.mood: found "loudd", expected "calm" or "loud""#
    ]),
  Wrong(
    #"{"layers": {"chat": {"deaf": ["a", "b", "c"]}}}"#,
    [
      #"layers.chat.deaf: found 3 elements, expected an array of at most 2 elements"#
    ]),
  Wrong(
    #"{"layers": {"chat": {"deaf": [1]}}}"#,
    [
      #"layers.chat.deaf[0]: found 1, expected text"#
    ]),
  Wrong(
    #"{"layers": {"chat": {"chance": 2}}}"#,
    [
      #"layers.chat.chance: found 2, expected a number from 0.0 to 1.0"#
    ]),
  Wrong(
    #"{"layers": {"chat": {"quiet": "no"}}}"#,
    [
      #"layers.chat.quiet: found "no", expected true or false"#
    ]),
  Wrong(
    #"{"layers": {"needy": {}}}"#,
    [
      #"layers.needy: found no layer that provides "talking", which it needs,"#
        + #" expected "chat": {} or "parrot": {} in layers, which provides it"#
    ]),
  Wrong(
    #"{"layers": {"hopeless": {}}}"#,
    [
      #"layers.hopeless: found no layer that provides "flying", which it needs,"#
        + #" expected a layer that provides it, but none is compiled in"#
    ]),
  Wrong(
    #"{"layers": {"chat": {}, "parrot": {}}}"#,
    [
      #"layers.parrot: found "talking", which layer chat provides too, expected only one of the two layers"#
    ]),
  Wrong(
    #"{"layers": {"tree": {"height": 3}}}"#,
    [
      #"layers.tree.height: found an unknown key, expected no keys here"#
    ]),
  Wrong(
    #"{"name": "a", "name": "b"}"#,
    [
      #"line 1, column 15: the key "name" stands here a second time"#
    ]),
  Wrong(
    "{\"name\": \"a\",\n  \"peers\": [,]}",
    [
      #"line 2, column 13: found ',', expected a value"#
    ]),
  Wrong(
    #"{"name": "a""#,
    [
      #"line 1, column 13: found the end of the text in an object, expected ',' or '}'"#
    ]),
  Wrong(
    "",
    [
      #"line 1, column 1: found the end of the text, expected a value"#
    ]),
  Wrong(
    #"{"name": 1, "log": 2, "layers": {"chat": {"lines": 0}}}"#,
    [
      #"name: found 1, expected "# + nameExpected,
      #"log: found 2, expected "text" or "json""#,
      #"layers.chat.lines: found 0, expected a whole number from 1 to 100"#,
    ]),
]
