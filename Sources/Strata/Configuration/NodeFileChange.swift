// NodeFileChange: a running node's file, shown setting by setting and changed in place, with the checks of any reading.
import StackCore
import StackRuntime

/// Shows and changes a node's file for the control port.
struct NodeFileChange {
  /// The file.
  var path: String
  /// The layers that may be switched on.
  var catalog: [any ProtocolLayer.Type]

  /// As the control port takes it.
  var configuration: RealNodeConfiguration {
    RealNodeConfiguration(
      describe: { () throws(RealNodeConfiguration.Refusal) in try self.described() },
      change: { patch throws(RealNodeConfiguration.Refusal) in try self.change(patch) })
  }

  // MARK: Showing

  private func described() throws(RealNodeConfiguration.Refusal) -> JSON {
    let json = try parsed(try bytes())
    let file = try checked(json)
    let given = json.objectValue ?? [:]
    let sections = given["layers"]?.objectValue ?? [:]
    let layers = catalog.map { type -> JSON in
      let manifest = type.manifest
      let section = sections[manifest.name]
      return [
        "name": .string(manifest.name), "summary": .string(manifest.summary), "enabled": .bool(section != nil),
        "provides": .array(manifest.provides.map { .string($0) }),
        "requires": .array(manifest.requires.map { .string($0) }),
        "uses": .array(manifest.uses.map { .string($0) }),
        "settings": .array(settings(settingsSchema(of: type), given: section ?? [:])),
      ]
    }
    return [
      "file": .string(Path.absolute(path)), "name": .string(file.name),
      "core": .array(settings(Schema.of(config: CoreSettings.self), given: json)), "layers": .array(layers),
    ]
  }

  /// Each setting: what it means, what it may be, what it would be, and what the file says.
  private func settings(_ schema: Schema, given: JSON) -> [JSON] {
    schema.properties.map { property in
      [
        "name": .string(property.name), "description": .string(property.description),
        "schema": property.schema.jsonSchema(), "default": property.defaultValue ?? .null,
        "value": given[property.name] ?? property.defaultValue ?? .null, "isSet": .bool(given[property.name] != nil),
        "live": .bool(property.live),
      ]
    }
  }

  // MARK: Changing

  private func change(_ patch: JSON) throws(RealNodeConfiguration.Refusal) -> () -> Void {
    let old = try bytes()
    let wanted = merge(patch, into: try parsed(old))
    _ = try checked(wanted)
    try write(Array((wanted.text(pretty: true) + "\n").utf8))
    return { try? self.write(old) }
  }

  private func bytes() throws(RealNodeConfiguration.Refusal) -> [UInt8] {
    do throws(TextFileError) { return try readFile(path) } catch { throw Self.unusable(error) }
  }

  private func write(_ bytes: [UInt8]) throws(RealNodeConfiguration.Refusal) {
    do throws(TextFileError) { try writeFile(path, bytes, replacing: true) } catch { throw Self.unusable(error) }
  }

  private static func unusable(_ error: TextFileError) -> RealNodeConfiguration.Refusal {
    RealNodeConfiguration.Refusal([.init(path: "", error.description)], isWrong: false)
  }

  private func parsed(_ bytes: [UInt8]) throws(RealNodeConfiguration.Refusal) -> JSON {
    do throws(JSONError) { return try JSON.parse(bytes) } catch {
      throw RealNodeConfiguration.Refusal([.init(path: "", "\(path) is not JSON: \(error)")], isWrong: false)
    }
  }

  private func checked(_ json: JSON) throws(RealNodeConfiguration.Refusal) -> NodeFile {
    do throws(NodeFileError) {
      return try NodeFile.parse(Array(json.text(pretty: true).utf8), path: path, catalog: catalog)
    } catch {
      throw RealNodeConfiguration.Refusal(error.problems.map { .init(path: $0.path, $0.message) })
    }
  }
}

/// A value with a merge patch (RFC 7396) applied: objects are merged key by key, `null` takes a key out.
func merge(_ patch: JSON, into target: JSON) -> JSON {
  guard case .object(let changes) = patch else { return patch }
  var result = target.objectValue ?? [:]
  for (key, change) in changes {
    result[key] = change.isNull ? nil : merge(change, into: result[key] ?? .null)
  }
  return .object(result)
}
