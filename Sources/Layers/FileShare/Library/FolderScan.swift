// FolderScan: looks through one folder in a job, and says how it differs from what is known of it.
import StackCore

/// Why something in a shared folder is left out.
enum SkipReason: String, Codable, Sendable, CaseIterable {
  /// A symbolic link, a pipe, a socket or a device.
  case special
  /// Its name begins with a dot.
  case hidden
  /// It can't be read.
  case unreadable
  /// It is larger than any file is believed to be, or lies too deep.
  case tooLarge
  /// There are too many files.
  case tooMany
}

/// What is known of a file in a folder.
struct KnownFile: Sendable {
  var name: String
  var size: Int64
  var stamp: UInt64
}

/// What a look through a folder has found.
struct FolderScan: Sendable {
  var key: FolderKey
  /// The folders in it.
  var folders: [String] = []
  /// Files that are new, or look different.
  var changed: [KnownFile] = []
  /// Files that are gone.
  var gone: [String] = []
  /// Whether the folder itself is gone.
  var isGone = false
  var skipped: [SkipReason: Int] = [:]
  /// What stood in the way.
  var trouble: FileError?

  /// What is asked.
  struct Question: Sendable {
    var key: FolderKey
    /// Where the folder is; or the file, of a share that is one file.
    var files: any LayerFiles
    var path: String
    /// The name of the file, of a share that is one.
    var only: String?
    /// What is known, in the order of the names' bytes.
    var known: [KnownFile]
    var limit: Int
    /// Whether only what is known is looked after; then its folders are those.
    var isKept = false
    var folders: [String] = []
  }

  /// Looks. To be called in a job.
  init(_ question: Question) {
    key = question.key
    let files = question.files
    if question.isKept {
      lookAfter(question)
      return
    }
    var entries: [FileFacts] = []
    do throws(FileError) {
      if let only = question.only {
        var facts = try files.facts(question.path)
        facts.name = only
        entries = [facts]
      } else {
        entries = try files.list(question.path, limit: question.limit)
      }
    } catch {
      // What can't be read for now isn't gone; what isn't there, or is no folder any more, is.
      guard error.kind == .notFound || error.kind == .notRegular || error.kind == .link else {
        trouble = error
        return
      }
      isGone = true
      gone = question.known.map(\.name)
      return
    }
    if entries.count >= question.limit { skip(.tooMany) }
    compare(entries.filter { takes($0) }, with: question.known)
  }

  /// Looks only whether what is known is still what it was. A file of another size is as good as gone; one that only
  /// looks different is to be hashed again.
  private mutating func lookAfter(_ question: Question) {
    folders = question.folders
    for file in question.known {
      let path = question.path.isEmpty ? file.name : question.path + "/" + file.name
      do throws(FileError) {
        let facts = try question.files.facts(path)
        if facts.kind != .file || facts.size != file.size {
          gone.append(file.name)
        } else if facts.stamp != file.stamp {
          changed.append(KnownFile(name: file.name, size: facts.size, stamp: facts.stamp))
        }
      } catch {
        // What can't be read for now isn't gone.
        if [.notFound, .notRegular, .link].contains(error.kind) { gone.append(file.name) }
      }
    }
  }

  private mutating func skip(_ reason: SkipReason) { skipped[reason, default: 0] += 1 }

  /// Whether an entry is a file to be shared; folders are noted, and what is left out counted.
  private mutating func takes(_ entry: FileFacts) -> Bool {
    switch entry.kind {
    case _ where entry.name.utf8.first == UInt8(ascii: "."): skip(.hidden)
    case .other: skip(.special)
    case .file where entry.size > TreeShape.largestSize: skip(.tooLarge)
    case .file: return true
    case .directory: folders.append(entry.name)
    }
    return false
  }

  /// Goes along both lists, which are in the same order.
  private mutating func compare(_ entries: [FileFacts], with known: [KnownFile]) {
    var rest = known[...]
    for entry in entries {
      while let next = rest.first, precedes(next.name, entry.name) {
        gone.append(next.name)
        rest.removeFirst()
      }
      if let next = rest.first, next.name.utf8.elementsEqual(entry.name.utf8) {
        rest.removeFirst()
        if next.stamp == entry.stamp, next.size == entry.size { continue }
      }
      changed.append(KnownFile(name: entry.name, size: entry.size, stamp: entry.stamp))
    }
    gone += rest.map(\.name)
  }
}
