// ReportText: a report as lines for a terminal.
import StackCore

extension SimulationReport: CustomStringConvertible {
  /// The report in lines of text.
  public var description: String {
    var lines = [
      "\(scenario): \(passed ? "passed" : "FAILED") after \(Self.short(virtualSeconds)) s of virtual time: \(ending)",
      "  seed \(seed), trace \(traceHash), \(nodes.total) nodes, \(nodes.runningAtEnd) running at the end",
    ]
    lines += failures.map { "  went wrong: \($0)" }
    if let measured {
      lines.append(
        "  took \(Self.short(measured.realSeconds)) s of real time, \(Int(measured.deliveriesPerSecond)) deliveries a second"
      )
    }
    lines.append(
      "  network: \(network.sent) datagrams sent, \(network.delivered) delivered (\(network.bytesDelivered) bytes)"
        + Self.list(network.dropped, "dropped"))
    if !nodeDrops.isEmpty { lines.append("  nodes" + Self.list(nodeDrops, "dropped").dropFirst()) }
    if !messages.isEmpty { lines += [""] + messageLines }
    if !events.isEmpty { lines += [""] + eventLines }
    if !metrics.isEmpty { lines += [""] + metricLines }
    if commands.run > 0 { lines += [""] + commandLines }
    lines += ["", loadLine]
    return lines.joined(separator: "\n")
  }

  private static func list(_ drops: [DropCount], _ verb: String) -> String {
    if drops.isEmpty { return "" }
    return ", \(verb): " + drops.map { "\($0.reason) \($0.count)" }.joined(separator: ", ")
  }

  private var messageLines: [String] {
    Self.table(
      [["message", "sent", "bytes", "received", "bytes", "malformed"]]
        + messages.map {
          [
            "\($0.message)", "\($0.sent)", "\($0.bytesSent)", "\($0.received)", "\($0.bytesReceived)",
            "\($0.malformed)",
          ]
        })
  }

  private var eventLines: [String] {
    Self.table(
      [["event", "count", "nodes", "first s", "p50 s", "p90 s", "p99 s", "max s"]]
        + events.map { event in
          let times = [event.seconds.first, event.seconds.p50, event.seconds.p90, event.seconds.p99, event.seconds.max]
          return [event.event, "\(event.count)", "\(event.nodes)"] + times.map(Self.short)
        })
  }

  private var metricLines: [String] {
    Self.table(
      [["metric", "sum", "mean", "smallest", "largest"]]
        + metrics.map { [$0.metric] + [$0.sum, $0.mean, $0.smallest, $0.largest].map(Self.short) })
  }

  private var commandLines: [String] {
    var lines = ["  commands: \(commands.run) run, \(commands.failed) failed"]
    for answer in commands.answers.prefix(20) {
      let took = answer.tookSeconds.map { "after \(Self.short($0)) s" } ?? "no answer"
      let said = answer.error.map { ": \($0)" } ?? answer.output.map { ": \(String($0.text().prefix(120)))" } ?? ""
      lines.append("    \(Self.short(answer.atSeconds)) s node \(answer.node) \(answer.command) \(took)\(said)")
    }
    if commands.answers.count > 20 { lines.append("    … and \(commands.answers.count - 20) more") }
    return lines
  }

  private var loadLine: String {
    let busiest = load.busiest.first.map { "; busiest: node \($0.node)" } ?? ""
    return
      "  datagrams a node: least \(load.least), p50 \(load.p50), p90 \(load.p90), p99 \(load.p99), most \(load.most)"
      + busiest
  }

  /// Rows in columns, the first to the left and the others to the right.
  private static func table(_ rows: [[String]]) -> [String] {
    let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      var line = " "
      for (column, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        line += " " + (column == 0 ? cell + padding : padding + cell) + " "
      }
      while line.last == " " { line.removeLast() }
      return line
    }
  }

  /// A number with at most three decimals.
  static func short(_ value: Double) -> String {
    guard value.magnitude < 1e15 else { return JSON.number(value).text() }
    let thousandths = Int64((value.magnitude * 1000).rounded())
    var text = "\(thousandths / 1000)"
    if thousandths % 1000 != 0 {
      var decimals = String(String(1000 + thousandths % 1000).dropFirst())
      while decimals.last == "0" { decimals.removeLast() }
      text += "." + decimals
    }
    return (value < 0 && thousandths != 0 ? "-" : "") + text
  }
}
