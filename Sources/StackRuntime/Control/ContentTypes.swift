// ContentTypes: as what a file from anybody may be shown by a browser: by a short list, and never as a page.

/// What a browser is told of content.
enum ContentTypes {
  /// The types that a browser may show, by the end of a name. None of them can hold a script that would run as ours.
  private static let known: [String: String] = [
    "mp4": "video/mp4", "m4v": "video/mp4", "webm": "video/webm", "ogv": "video/ogg", "mov": "video/quicktime",
    "mkv": "video/x-matroska", "mp3": "audio/mpeg", "m4a": "audio/mp4", "ogg": "audio/ogg", "oga": "audio/ogg",
    "opus": "audio/ogg", "wav": "audio/wav", "flac": "audio/flac", "png": "image/png", "jpg": "image/jpeg",
    "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "avif": "image/avif", "pdf": "application/pdf",
    "txt": plain, "md": plain, "csv": plain, "log": plain, "srt": plain,
  ]
  private static let plain = "text/plain; charset=utf-8"
  /// The type of all else, which a browser only saves.
  static let unknown = "application/octet-stream"

  /// The type for a name.
  static func type(of name: String) -> String {
    guard let dot = name.lastIndex(of: ".") else { return unknown }
    return known[name[name.index(after: dot)...].lowercased()] ?? unknown
  }

  /// What a browser may do with it: show it by itself, without script and without our origin. Its viewer for PDF works
  /// in no sandbox, but runs as another origin anyway.
  static func policy(for type: String) -> String {
    let policy =
      "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return type == "application/pdf" ? policy + "; object-src 'self'" : policy + "; sandbox"
  }

  /// Whether it is shown or saved, and under which name: each byte that might mean something is encoded.
  static func disposition(name: String, type: String) -> String {
    var encoded = ""
    for byte in name.utf8.prefix(255) {
      let letter = UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20
      if letter || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || [0x2d, 0x2e, 0x5f].contains(byte) {
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        let digits = String(byte, radix: 16, uppercase: true)
        encoded += "%" + (digits.utf8.count < 2 ? "0" : "") + digits
      }
    }
    return "\(type == unknown ? "attachment" : "inline"); filename*=UTF-8''\(encoded)"
  }
}
