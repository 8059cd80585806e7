// TempStub: until the settings part lands; remove.
extension Schema {
  static func of<C: LayerConfig>(config: C.Type) -> Schema { fatalError() }
  static func of<C: CommandInput>(input: C.Type) -> Schema { fatalError() }
  static func of(output: any Decodable.Type) -> Schema { fatalError() }
}
func decodeSettings<C: LayerConfig>(_: C.Type, from: JSON?, at: String) throws(JSONCodingError) -> C { C() }
func decodeInput<C: CommandInput>(_: C.Type, from: JSON?, at: String) throws(JSONCodingError) -> C { C() }
