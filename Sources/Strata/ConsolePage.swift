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

  /// A file of the page.
  struct File {
    var name: String
    var bytes: [UInt8]
    /// Where it is served: the page itself at the root, all else below a folder of its own.
    var path: String { name == "index.html" ? "/" : "/console/\(name)" }
    var contentType: String {
      switch name.split(separator: ".").last {
      case "html": "text/html; charset=utf-8"
      case "js": "text/javascript; charset=utf-8"
      case "css": "text/css; charset=utf-8"
      case "svg": "image/svg+xml"
      default: "application/octet-stream"
      }
    }
  }

  /// The files that are part of the program.
  static var files: [File] {
    (0..<console_file_count()).compactMap { place in
      guard let file = console_file_at(place)?.pointee else { return nil }
      return File(
        name: String(cString: file.name), bytes: Array(UnsafeBufferPointer(start: file.bytes, count: file.count)))
    }
  }

  /// Serves the page on a node's control port. With a folder, each file is read from there whenever it is asked for, so
  /// that an edit shows with the next reload of the page.
  static func serve(on node: RealNode, from folder: String? = nil) {
    for (place, file) in files.enumerated() {
      // The bytes stay in the program's own memory until they are asked for.
      node.control?.addAsset(file.path, contentType: file.contentType, contentSecurityPolicy: policy) {
        if let folder, let fresh = try? readFile("\(folder)/\(file.name)") { return fresh }
        return files(at: place)
      }
    }
  }

  private static func files(at place: Int) -> [UInt8] {
    guard let file = console_file_at(place)?.pointee else { return [] }
    return Array(UnsafeBufferPointer(start: file.bytes, count: file.count))
  }

  /// Where a person opens a node's console. What stands behind the # stays in the browser: it is sent to nobody.
  static func address(_ control: Address, token: String?) -> String {
    "http://\(control)/" + (token.map { "#token=\($0)" } ?? "")
  }
}
