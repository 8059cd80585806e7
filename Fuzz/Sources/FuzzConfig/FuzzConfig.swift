// FuzzConfig: any text to the reader of configurations: JSON, the schema's check, and the settings themselves.
import FuzzSupport
import StackCore
import Strata

/// A section with every kind of setting.
struct Section: LayerConfig {
  enum Mode: String, Codable, Sendable, CaseIterable { case quick, thorough }
  @Setting("A time.", in: .milliseconds(1) ... .seconds(3600)) var interval = Duration.seconds(1)
  @Setting("A size.", in: .kib(1) ... .gib(1)) var cache = ByteCount.mib(1)
  @Setting("A count.", in: 1...100, live: true) var fanout = 3
  @Setting("A share.", in: 0...1) var loss = 0.5
  @Setting("A switch.") var enabled = true
  @Setting("A text.", count: 0...40) var title = ""
  @Setting("A choice.") var mode = Mode.quick
  @Setting("Some words.", count: 0...8) var topics: [String] = []
  @Setting("An address, if any.") var relay: Address?
  @Setting("Numbers by name.") var weights: [String: Int] = [:]
}

/// What libFuzzer calls with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConfig(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let text = [UInt8](UnsafeBufferPointer(start: start, count: start == nil ? 0 : count))
  nodeFile(text)
  do throws(JSONError) {
    let json = try JSON.parse(text)
    written(json)
    checked(json)
  } catch {
    promise(error.line >= 1 && error.column >= 1, "an error without a place: \(error)")
  }
  return 0
}

/// What was read can be written and read again, and is the same.
private func written(_ json: JSON) {
  for pretty in [false, true] {
    for sorted in [false, true] {
      let text = json.text(pretty: pretty, sortedKeys: sorted, htmlSafe: pretty)
      guard let again = try? JSON.parse(text) else { return promise(false, "what was written can't be read: \(text)") }
      promise(again == json, "written and read again it is another value: \(text)")
      promise(again.text() == (sorted ? again.text() : json.text()), "the order of keys changed")
    }
  }
}

/// What the check lets pass can be read, and what it doesn't is refused with the same error.
private func checked(_ json: JSON) {
  let errors = Schema.of(config: Section.self).check(json, at: "layers.fuzz")
  for error in errors { promise(error.path.hasPrefix("layers.fuzz"), "an error elsewhere: \(error)") }
  promise(errors.count <= 64, "\(errors.count) errors")
  do throws(JSONCodingError) {
    let settings = try decodeSettings(Section.self, from: json, at: "layers.fuzz")
    promise(errors.isEmpty, "read in spite of \(errors)")
    guard let back = try? JSON(encoding: settings) else { return promise(false, "settings that can't be written") }
    guard let again = try? decodeSettings(Section.self, from: back, at: "layers.fuzz"),
      let backAgain = try? JSON(encoding: again)
    else { return promise(false, "settings that can't be read back: \(back)") }
    promise(back == backAgain, "settings change by being written: \(back)")
  } catch {
    promise(!errors.isEmpty || error.path.hasPrefix("layers.fuzz"), "refused elsewhere: \(error)")
  }
}

/// A node's whole file is read, or refused with every problem named; nothing is opened or started.
private func nodeFile(_ text: [UInt8]) {
  do throws(NodeFileError) {
    let file = try NodeFile.parse(text, path: "/nowhere/node.json", catalog: [FuzzLayer.self, PeersterLayer.self])
    promise(!file.name.isEmpty && file.data.hasPrefix("/"), "a file without a name or a folder: \(file.settings)")
  } catch {
    promise(!error.problems.isEmpty, "refused without a reason")
  }
}
