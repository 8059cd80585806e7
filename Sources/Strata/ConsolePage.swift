// ConsolePage: serves the console's page on a node's control port, and says where a person finds it.
import CConsole
import StackCore
import StackRuntime

/// The page that shows a node in a browser.
///
/// Its files are part of the program. They may load nothing but each other and talk to nobody but the port they come
/// from: no script and no style in the page itself, no text that becomes markup.
enum ConsolePage {
  /// What a browser may do for the page.
  static let policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    + "require-trusted-types-for 'script'; trusted-types 'none'"

  /// A file of the page as it is edited.
  struct File {
    var name: String
    var bytes: [UInt8]
  }

  /// The files that are part of the program.
  static var files: [File] {
    (0..<console_file_count()).compactMap { place in
      guard let file = console_file_at(place)?.pointee else { return nil }
      return File(
        name: String(cString: file.name), bytes: Array(UnsafeBufferPointer(start: file.bytes, count: file.count)))
    }
  }

  /// Something that is served.
  struct Served {
    var path: String
    var bytes: [UInt8]
    /// What stands behind the path in the page, so that a browser may keep this as long as it likes; nil for the page.
    var version: String?

    init(_ path: String, _ text: String, isKept: Bool = true) {
      (self.path, bytes) = (path, Array(text.utf8))
      version = isKept ? String(stableHash(bytes), radix: 36) : nil
    }
  }

  /// One of the few pieces that the page is served in: itself, one sheet of styles, one script, and its picture.
  static func piece(_ path: String, _ read: @escaping (String) -> String?) throws(ConsoleBundle.Fault) -> String {
    func file(_ name: String) throws(ConsoleBundle.Fault) -> String {
      guard let text = read(name) else { throw ConsoleBundle.Fault(description: "there is no \(name)") }
      return text
    }
    switch path {
    case "/console/app.js": return try ConsoleBundle.script(read)
    case "/console/icon.svg": return try file("icon.svg")
    case "/console/app.css":
      var styles = ""
      for name in ConsoleBundle.styles { styles += try file(name) }
      return styles
    default: return try file("index.html")
    }
  }

  /// All pieces, and in the page the names of their versions.
  static func served(_ read: @escaping (String) -> String?) throws(ConsoleBundle.Fault) -> [Served] {
    var pieces: [Served] = []
    var page = ""
    for path in paths {
      let text = try piece(path, read)
      if path == "/" { page = text } else { pieces.append(Served(path, text)) }
    }
    for piece in pieces {
      page = page.replacing("\"\(piece.path)\"", with: "\"\(piece.path)?v=\(piece.version ?? "")\"")
    }
    return [Served("/", page, isKept: false)] + pieces
  }

  /// The page as it is part of the program, put together when it is first asked for. A test sees to it that it can be.
  static let own: [Served] = {
    let parts = files
    let read = { (name: String) in
      parts.first { $0.name == name }.map { String(decoding: $0.bytes, as: UTF8.self) }
    }
    return (try? served(read)) ?? []
  }()

  /// The paths of what is served.
  static let paths = ["/", "/console/app.css", "/console/app.js", "/console/icon.svg"]

  /// Serves the page on a node's control port. With a folder, its files are read from there whenever they are asked
  /// for, so that an edit shows with the next reload of the page; a fault in them is what is served then.
  static func serve(on node: RealNode, from folder: String? = nil) {
    for path in paths {
      guard let folder else {
        let piece = { own.first { $0.path == path } }
        node.control?.addAsset(
          path, contentType: contentType(path), contentSecurityPolicy: policy, version: { piece()?.version }
        ) { piece()?.bytes ?? [] }
        continue
      }
      node.control?.addAsset(path, contentType: contentType(path), contentSecurityPolicy: policy) {
        do throws(ConsoleBundle.Fault) {
          let text = try piece(path) { name in
            (try? readFile("\(folder)/\(name)")).map { String(decoding: $0, as: UTF8.self) }
          }
          return Array(text.utf8)
        } catch {
          // In the browser's own console, where somebody who edits the page looks.
          return Array("throw new Error(\(JSON.string("\(error)").text()));\n".utf8)
        }
      }
    }
  }

  private static func contentType(_ path: String) -> String {
    switch path.split(separator: ".").last {
    case "js": "text/javascript; charset=utf-8"
    case "css": "text/css; charset=utf-8"
    case "svg": "image/svg+xml"
    default: "text/html; charset=utf-8"
    }
  }

  /// Where a person opens a node's console. What stands behind the # stays in the browser: it is sent to nobody.
  static func address(_ control: Address, token: String?) -> String {
    "http://\(control)/" + (token.map { "#token=\($0)" } ?? "")
  }
}
