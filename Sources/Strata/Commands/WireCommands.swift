// WireCommands: `wire decode` and `proto`: what stands on the wire, for people.
import StackCore
import StackRuntime

extension CommandLineTool {
  /// All fields of the packet, of the core and of the layers compiled in.
  func packetFields() -> [PacketField] {
    PacketField.of((LayerReport.core().messages) + LayerReport.all(catalog).flatMap(\.messages))
  }

  /// `wire`.
  var wireCommand: CommandSpec {
    CommandSpec(
      name: "wire", summary: "Reads what stands on the wire.",
      subcommands: [
        CommandSpec(
          name: "decode", summary: "Prints a datagram as JSON, by the registered types.",
          discussion:
            "Fields that no layer knows are shown with their number, wire type and value. Bytes become hex text.",
          positionals: [
            PositionalSpec(
              name: "bytes", summary: "The datagram in hex, or a file that holds it; - for standard input.")
          ],
          options: [
            OptionSpec(
              name: "message", short: "m", value: "NAME",
              summary: "The bytes are this message alone, not a whole packet.")
          ],
          examples: ["wire decode 12170a014110041a10576561746865725f69735f636c656172"],
          action: { parsed, tool in try tool.decode(parsed) })
      ])
  }

  private func decode(_ parsed: ParsedArguments) throws -> Int32 {
    let bytes = try datagram(parsed.positional("bytes") ?? "-")
    let fields = packetFields()
    var schema = WireSchema.packet(fields)
    if let name = parsed.option("message") {
      guard let field = fields.first(where: { $0.name == name || $0.schema.name == name }) else {
        let names = fields.map(\.schema.name)
        let meant = nearest(name, among: names).map { "\"\($0)\" (did you mean that?)" }
        throw UsageError(
          "--message: found \"\(harmless(name))\", expected \(meant ?? "one of \(names.joined(separator: ", "))")")
      }
      schema = field.schema
    }
    do throws(WireDecodeError) {
      console.print(try WireDecoder.json(bytes, as: schema).text(pretty: true))
      return 0
    } catch {
      throw FailedError("not a packet of these layers: \(error)")
    }
  }

  /// The bytes that an argument means: hex as it stands, or a file's content, in hex or raw.
  private func datagram(_ text: String) throws -> [UInt8] {
    if text != "-", let bytes = Self.hex(Array(text.utf8)) { return bytes }
    let content: [UInt8]
    do throws(TextFileError) { content = try readFile(text) } catch {
      guard error.isMissing else { throw error }
      throw UsageError("found \"\(harmless(String(text.prefix(60))))\", expected hex digits or the path of a file")
    }
    return Self.hex(content) ?? content
  }

  /// Hex digits in pairs, with spaces, colons and line ends among them; nil for anything else.
  static func hex(_ text: [UInt8]) -> [UInt8]? {
    let digits = text.filter { ![0x20, 0x0A, 0x0D, 0x09, UInt8(ascii: ":")].contains($0) }
    guard !digits.isEmpty else { return nil }
    return [UInt8](hex: String(decoding: digits, as: UTF8.self))
  }

  /// `proto`.
  var protoCommand: CommandSpec {
    CommandSpec(
      name: "proto", summary: "Prints the .proto file of all registered messages.",
      examples: ["proto > strata.proto"],
      action: { _, tool in
        tool.console.write(ProtoFile.text(tool.packetFields(), program: tool.program))
        return 0
      })
  }
}
