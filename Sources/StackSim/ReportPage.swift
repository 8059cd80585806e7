// ReportPage: a report as one page of HTML that needs nothing but itself.
import StackCore

extension SimulationReport {
  /// The report as a page: no script, no outside resource, light or dark as the reader has it, from phone to wide
  /// screen.
  public func html(title: String? = nil) -> String {
    let heading = title ?? scenario
    var page = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    page += "<meta name=\"color-scheme\" content=\"light dark\">\n"
    page += "<title>\(escaped(heading))</title>\n<style>\(pageStyle)</style>\n</head>\n<body>\n<main>\n"
    page += header(heading) + tiles
    page += "<div class=\"grid\">\n"
    page += trafficCard + eventsCard + dropsCard + loadCard + topologyCard
    page += "</div>\n"
    page += messagesTable + eventsTable + metricsTable + commandsTable + footer
    return page + "</main>\n</body>\n</html>\n"
  }

  // MARK: Top and bottom

  private func header(_ heading: String) -> String {
    let verdict = passed ? "<span class=\"badge good\">passed</span>" : "<span class=\"badge bad\">failed</span>"
    var text = "<header><h1>\(escaped(heading)) \(verdict)</h1>"
    if !about.isEmpty { text += "<p>\(escaped(about))</p>" }
    text += "<p class=\"quiet\">It ended because \(escaped(endingClause)).</p>"
    for failure in failures { text += "<p class=\"wrong\">\(escaped(failure))</p>" }
    return text + "</header>\n"
  }

  private var endingClause: String { ending.hasPrefix("this must") ? "of what must never hold (\(ending))" : ending }

  private var tiles: String {
    let dropped = network.dropped.reduce(0) { $0 + $1.count }
    let share = network.sent > 0 ? Double(dropped) * 100 / Double(network.sent) : 0
    var tiles = [
      ("virtual time", Self.short(virtualSeconds) + " s", "seconds that passed in the simulation"),
      ("nodes", grouped(UInt64(nodes.total)), "\(nodes.runningAtEnd) running at the end"),
      ("delivered", grouped(network.delivered), "\(bytesText(network.bytesDelivered)) in datagrams"),
      ("dropped", grouped(dropped), Self.short(share) + " % of what was sent"),
      ("crashes", grouped(nodes.crashes), "\(grouped(nodes.restarts)) started again"),
    ]
    if let measured {
      tiles.append(
        (
          "speed", grouped(UInt64(measured.deliveriesPerSecond)) + "/s",
          "\(Self.short(measured.realSeconds)) s of real time"
        ))
    }
    return "<section class=\"tiles\">"
      + tiles.map { "<div><span>\($0.0)</span><b>\($0.1)</b><small>\($0.2)</small></div>" }.joined() + "</section>\n"
  }

  private var footer: String {
    "<footer>Seed <code>\(seed)</code>, trace <code>\(traceHash)</code>: the same scenario and seed give the same trace, "
      + "on any machine.</footer>\n"
  }

  private func card(_ title: String, _ note: String, wide: Bool = false, _ body: String) -> String {
    "<section class=\"card\(wide ? " wide" : "")\"><h2>\(title)</h2><p class=\"quiet\">\(note)</p>\(body)</section>\n"
  }

  // MARK: Cards

  private var trafficCard: String {
    let rows = series.delivered
    let count = (rows + series.dropped).map(\.counts.count).max() ?? 0
    guard count > 0 else { return card("Traffic", "Nothing was delivered.", wide: true, "") }
    let perSecond = 1 / series.sliceSeconds
    let totals = (0..<count).map { slice in rows.reduce(0.0) { $0 + Double($1.value(slice)) } * perSecond }
    let top = niceCeiling(totals.max() ?? 1)
    var base = [Double](repeating: 0, count: count)
    var shapes = ""
    for (place, row) in rows.enumerated() {
      let upper = (0..<count).map { base[$0] + Double(row.value($0)) * perSecond }
      let sum = row.counts.reduce(0) { $0 + UInt64($1) }
      shapes +=
        "<path class=\"f\(place % 8)\" d=\"\(band(base, upper, top))\">"
        + "<title>\(escaped(row.name)): \(grouped(sum))</title></path>"
      base = upper
    }
    let dropTotals = (0..<count).map { slice in
      series.dropped.reduce(0.0) { $0 + Double($1.value(slice)) } * perSecond
    }
    if dropTotals.contains(where: { $0 > 0 }) {
      shapes += "<path class=\"line drop\" d=\"\(line(dropTotals, top))\"><title>dropped</title></path>"
    }
    let span = Double(count) * series.sliceSeconds
    var names = rows.map(\.name)
    if !series.dropped.isEmpty { names.append("dropped by the network") }
    return card(
      "Traffic", "Datagrams delivered a second, by the first message in them.", wide: true,
      legend(names, dropLast: !series.dropped.isEmpty) + chart(shapes, top: top, right: span, unit: "s"))
  }

  private var eventsCard: String {
    let shown = events.sorted { $0.count > $1.count }.prefix(8)
    guard !shown.isEmpty else { return card("Events", "No event was published, or they were not counted.", "") }
    let right = niceCeiling(shown.map(\.seconds.max).max() ?? 1)
    var shapes = ""
    for (place, event) in shown.enumerated() {
      let points = event.seconds.curve.enumerated().map { index, time in
        "\(coordinate(time / right * 1000)),\(coordinate(300 - Double(index) * 6))"
      }
      shapes +=
        "<path class=\"line l\(place)\" d=\"M\(points.joined(separator: "L"))\">"
        + "<title>\(escaped(event.event)): \(grouped(event.count)), half by \(Self.short(event.seconds.p50)) s</title></path>"
    }
    return card(
      "Events", "How much of each event had come by when.",
      legend(shown.map(\.event)) + chart(shapes, top: 100, right: right, unit: "s", upUnit: "%"))
  }

  private var dropsCard: String {
    let all =
      network.dropped.map { ("network: \($0.reason)", $0.count) } + nodeDrops.map { ("nodes: \($0.reason)", $0.count) }
    let note = all.isEmpty ? "Nothing was dropped." : "What went no further, and why."
    return card("Drops", note, bars(all.sorted { $0.1 > $1.1 }))
  }

  private func bars(_ rows: [(String, UInt64)]) -> String {
    let most = Double(max(1, rows.map(\.1).max() ?? 1))
    return "<div class=\"bars\">"
      + rows.map { name, count in
        "<span>\(escaped(name))</span><i><b style=\"width:\(coordinate(Double(count) / most * 100))%\"></b></i>"
          + "<em>\(grouped(count))</em>"
      }.joined() + "</div>"
  }

  private var loadCard: String {
    let buckets = load.histogram
    let top = niceCeiling(Double(buckets.max() ?? 1))
    let width = 1000 / Double(max(1, buckets.count))
    var shapes = ""
    for (place, count) in buckets.enumerated() where count > 0 {
      let height = Double(count) / top * 300
      let low = UInt64(place) * load.bucketWidth
      shapes +=
        "<rect class=\"f0\" x=\"\(coordinate(Double(place) * width + width * 0.06))\""
        + " y=\"\(coordinate(300 - height))\" width=\"\(coordinate(width * 0.88))\" height=\"\(coordinate(height))\">"
        + "<title>\(count) nodes received \(grouped(low)) to \(grouped(low + load.bucketWidth - 1))</title></rect>"
    }
    let busiest = load.busiest.prefix(3).map { "node \($0.node) (\(grouped($0.received)))" }.joined(separator: ", ")
    return card(
      "Load", "How many nodes received how many datagrams. Busiest: \(busiest).",
      chart(shapes, top: top, right: Double(UInt64(buckets.count) * load.bucketWidth), unit: ""))
  }

  private var topologyCard: String {
    let note = "\(topology.nodes) nodes, \(topology.links) links, \(escaped(topology.kind)). Larger dots received more."
    guard !topology.edges.isEmpty else { return "" }
    return card("Topology", note, topologyPicture)
  }

  private var topologyPicture: String {
    let points = TopologyLayout(kind: topology.kind, nodes: topology.nodes, edges: topology.edges).points
    let width = topology.edges.count > 600 ? 0.6 : 1.2
    var shapes = "<g class=\"edges\" style=\"stroke-width:\(width)\">"
    for edge in topology.edges {
      let (from, to) = (points[edge[0]], points[edge[1]])
      // A link bends towards the middle, so that links across don't hide each other.
      let bend = topology.kind == "grid" || topology.kind == "line" ? 1.0 : 0.72
      let middle = (x: 500 + ((from.x + to.x) / 2 - 500) * bend, y: 500 + ((from.y + to.y) / 2 - 500) * bend)
      shapes +=
        "<path d=\"M\(coordinate(from.x)),\(coordinate(from.y))Q\(coordinate(middle.x)),\(coordinate(middle.y))"
        + " \(coordinate(to.x)),\(coordinate(to.y))\"/>"
    }
    shapes += "</g>"
    let most = Double(max(1, load.most))
    let size = max(3.5, min(15, 220 / Double(max(1, topology.nodes)).squareRoot()))
    for (node, point) in points.enumerated() {
      let received = node < load.perNode.count ? load.perNode[node] : 0
      let radius = size * (0.45 + 0.75 * (Double(received) / most).squareRoot())
      shapes +=
        "<circle class=\"f0\" cx=\"\(coordinate(point.x))\" cy=\"\(coordinate(point.y))\""
        + " r=\"\(coordinate(radius))\"><title>node \(node): \(grouped(received)) datagrams</title></circle>"
    }
    return "<svg class=\"map\" viewBox=\"0 0 1000 1000\" role=\"img\" aria-label=\"The topology\">\(shapes)</svg>"
  }

  // MARK: Tables

  private func table(_ title: String, _ head: [String], _ rows: [[String]]) -> String {
    if rows.isEmpty { return "" }
    let headings = head.map { "<th>\($0)</th>" }.joined()
    let body = rows.map { "<tr>" + $0.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>" }.joined(separator: "\n")
    return "<section class=\"card\"><h2>\(title)</h2><div class=\"scroll\"><table><thead><tr>\(headings)</tr></thead>"
      + "<tbody>\(body)</tbody></table></div></section>\n"
  }

  private var messagesTable: String {
    table(
      "Messages", ["message", "sent", "bytes", "received", "bytes", "malformed"],
      messages.map {
        [
          $0.message, grouped($0.sent), grouped($0.bytesSent), grouped($0.received), grouped($0.bytesReceived),
          grouped($0.malformed),
        ]
      })
  }

  private var eventsTable: String {
    table(
      "Events in numbers", ["event", "count", "nodes", "first s", "p50 s", "p90 s", "p99 s", "last s"],
      events.map {
        let times = [$0.seconds.first, $0.seconds.p50, $0.seconds.p90, $0.seconds.p99, $0.seconds.last]
        return [$0.event, grouped($0.count), "\($0.nodes)"] + times.map(Self.short)
      })
  }

  private var metricsTable: String {
    table(
      "Metrics", ["metric", "sum", "mean", "smallest", "largest"],
      metrics.map { [$0.metric] + [$0.sum, $0.mean, $0.smallest, $0.largest].map(Self.short) })
  }

  private var commandsTable: String {
    table(
      "Commands", ["command", "node", "at s", "took s", "answer"],
      commands.answers.prefix(100).map {
        [
          $0.command, "\($0.node)", Self.short($0.atSeconds), $0.tookSeconds.map(Self.short) ?? "no answer",
          $0.error ?? String(($0.output?.text() ?? "").prefix(200)),
        ]
      })
  }
}

extension SimulationReport.SeriesReport.Row {
  /// A slice's count; 0 after the last.
  func value(_ slice: Int) -> UInt32 { slice < counts.count ? counts[slice] : 0 }
}
