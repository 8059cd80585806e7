// ReportDrawing: the lines, areas, axes and numbers of a report's page.
import StackCore

/// A plot: shapes in a box of 1000 by 300, with its numbers beside it as text that keeps its size on a small screen.
func chart(_ shapes: String, top: Double, right: Double, unit: String, upUnit: String = "") -> String {
  func labels(_ end: Double, _ unit: String) -> [String] {
    (0...4).map { axisText(end * Double($0) / 4) + (unit.isEmpty || $0 == 0 ? "" : " " + unit) }
  }
  var lines = ""
  for step in 0...4 { lines += "<path class=\"rule\" d=\"M0,\(step * 75)H1000\"/>" }
  let up = labels(top, upUnit).reversed().map { "<span>\($0)</span>" }.joined()
  let along = labels(right, unit).map { "<span>\($0)</span>" }.joined()
  return "<div class=\"plot\"><div class=\"up\">\(up)</div>"
    + "<svg viewBox=\"0 0 1000 300\" preserveAspectRatio=\"none\" role=\"img\">\(lines)\(shapes)</svg>"
    + "<div class=\"along\">\(along)</div></div>"
}

/// The names of the colours.
func legend(_ names: [String], dropLast: Bool = false) -> String {
  var text = "<ul class=\"legend\">"
  for (place, name) in names.enumerated() {
    let style = dropLast && place == names.count - 1 ? "k-drop" : "k\(place % 8)"
    text += "<li><i class=\"\(style)\"></i>\(escaped(name))</li>"
  }
  return text + "</ul>"
}

/// The area between two rows of values.
func band(_ lower: [Double], _ upper: [Double], _ top: Double) -> String {
  let up = upper.indices.map { point($0, upper.count, upper[$0], top) }
  let down = lower.indices.reversed().map { point($0, lower.count, lower[$0], top) }
  return "M" + (up + down).joined(separator: "L") + "Z"
}

/// The line through a row of values.
func line(_ values: [Double], _ top: Double) -> String {
  "M" + values.indices.map { point($0, values.count, values[$0], top) }.joined(separator: "L")
}

private func point(_ index: Int, _ count: Int, _ value: Double, _ top: Double) -> String {
  // The first and the last slice reach the edges.
  let x = count == 1 ? Double(index) * 1000 : Double(index) / Double(count - 1) * 1000
  return "\(coordinate(x)),\(coordinate(300 - value / top * 300))"
}

/// A coordinate with at most one decimal.
func coordinate(_ value: Double) -> String {
  let tenths = Int((value * 10).rounded())
  let sign = tenths < 0 ? "-" : ""
  let rest = tenths.magnitude % 10
  return sign + "\(tenths.magnitude / 10)" + (rest == 0 ? "" : ".\(rest)")
}

/// The next number that quarters well, a few to each power of ten.
func niceCeiling(_ value: Double) -> Double {
  guard value > 0, value < 1e300 else { return 1 }
  var scale = 1.0
  while scale < value / 10 { scale *= 10 }
  while scale > value { scale /= 10 }
  return [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 4.8, 6, 8, 10].map { $0 * scale }.first { $0 >= value * 0.9999 } ?? value
}

/// A number on an axis: 1,200 is 1.2k.
func axisText(_ value: Double) -> String {
  if value >= 1e9 { return SimulationReport.short(value / 1e9) + "G" }
  if value >= 1e6 { return SimulationReport.short(value / 1e6) + "M" }
  if value >= 10_000 { return SimulationReport.short(value / 1e3) + "k" }
  // Two or three digits are enough on an axis.
  let scale = value >= 100 ? 1.0 : value >= 10 ? 10 : 100
  return SimulationReport.short(value < 1 ? value : (value * scale).rounded() / scale)
}

/// A number with its thousands apart.
func grouped(_ value: UInt64) -> String {
  var text = ""
  let digits = Array("\(value)")
  for (place, digit) in digits.enumerated() {
    if place > 0, (digits.count - place) % 3 == 0 { text += "\u{202f}" }
    text.append(digit)
  }
  return text
}

/// A size as people say it.
func bytesText(_ bytes: UInt64) -> String {
  if bytes >= 1 << 30 { return SimulationReport.short(Double(bytes >> 20) / 1024) + " GiB" }
  if bytes >= 1 << 20 { return SimulationReport.short(Double(bytes >> 10) / 1024) + " MiB" }
  if bytes >= 1 << 10 { return SimulationReport.short(Double(bytes) / 1024) + " KiB" }
  return "\(bytes) bytes"
}

/// A text that can stand anywhere in a page.
func escaped(_ text: String) -> String {
  var result = ""
  for character in text.unicodeScalars {
    switch character {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    case "'": result += "&#39;"
    default: result.unicodeScalars.append(character)
    }
  }
  return result
}

/// Where each node of a topology is drawn, in a box of 1000 by 1000.
struct TopologyLayout {
  let points: [(x: Double, y: Double)]

  init(kind: String, nodes: Int, edges: [[Int]]) {
    switch kind {
    case "grid": points = Self.rows(nodes, columns: Self.columns(nodes, edges))
    case "line": points = Self.rows(nodes, columns: nodes <= 12 ? nodes : Self.square(nodes), snake: true)
    case "star": points = [(500, 500)] + Self.circle(max(0, nodes - 1))
    default: points = Self.circle(nodes)
    }
  }

  private static func square(_ nodes: Int) -> Int {
    var columns = 1
    while columns * columns < nodes { columns += 1 }
    return columns
  }

  /// How long a grid's row is: node 0 is linked with the node below it.
  private static func columns(_ nodes: Int, _ edges: [[Int]]) -> Int {
    edges.first { $0[0] == 0 && $0[1] > 1 }?[1] ?? nodes
  }

  private static func rows(_ nodes: Int, columns: Int, snake: Bool = false) -> [(x: Double, y: Double)] {
    let rows = (nodes + columns - 1) / columns
    return (0..<nodes).map { node in
      let row = node / columns
      let column = snake && row % 2 == 1 ? columns - 1 - node % columns : node % columns
      let x = columns == 1 ? 500 : 50 + 900 * Double(column) / Double(columns - 1)
      return (x, rows == 1 ? 500 : 50 + 900 * Double(row) / Double(rows - 1))
    }
  }

  /// Nodes on a circle, node 0 at the top.
  private static func circle(_ nodes: Int) -> [(x: Double, y: Double)] {
    (0..<nodes).map { node in
      let (sine, cosine) = ExactMath.sineAndCosine(turns: Double(node) / Double(max(1, nodes)))
      return (500 + 460 * sine, 500 - 460 * cosine)
    }
  }
}

extension ExactMath {
  /// The sine and the cosine of so many turns (0 ..< 1), good enough to draw with.
  static func sineAndCosine(turns: Double) -> (Double, Double) {
    // A quarter turn at a time: the series then needs few terms.
    let quarter = Int((turns * 4).rounded())
    let x = (turns - Double(quarter) / 4) * 6.283185307179586
    let square = x * x
    let sine = x * (1 - square / 6 * (1 - square / 20 * (1 - square / 42)))
    let cosine = 1 - square / 2 * (1 - square / 12 * (1 - square / 30 * (1 - square / 56)))
    switch quarter & 3 {
    case 0: return (sine, cosine)
    case 1: return (cosine, -sine)
    case 2: return (-sine, -cosine)
    default: return (-cosine, sine)
    }
  }
}

/// The page's looks.
let pageStyle = """

  :root { --bg: #f6f7f9; --card: #fff; --ink: #1b2230; --quiet: #667085; --rule: #e4e7ec; --good: #18794e;
    --goodbg: #dcf5e7; --bad: #b42318; --badbg: #fde4e1; --c0: #3b6fe0; --c1: #e2803a; --c2: #2a9d74; --c3: #a855c7;
    --c4: #c79a1d; --c5: #d64b6a; --c6: #2f9fb5; --c7: #7c8496; --edge: #aab6cc; }
  @media (prefers-color-scheme: dark) { :root { --bg: #0f131a; --card: #181e28; --ink: #e8ecf3; --quiet: #98a3b5;
    --rule: #2a3240; --good: #6fdca5; --goodbg: #12362a; --bad: #ff9d92; --badbg: #45191a; --c0: #6f9bff; --c1: #f5a365;
    --c2: #54c99b; --c3: #cf8ae8; --c4: #e2bd4e; --c5: #f47e98; --c6: #5ac8dc; --c7: #a3abba; --edge: #46536b; } }
  * { box-sizing: border-box; }
  body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto,
    sans-serif; }
  main { max-width: 1320px; margin: 0 auto; padding: 28px 20px 40px; }
  h1 { font-size: 26px; line-height: 1.25; margin: 0 0 6px; letter-spacing: -.01em; }
  h2 { font-size: 16px; margin: 0; }
  p { margin: 2px 0; }
  .quiet, small, footer { color: var(--quiet); }
  .wrong { color: var(--bad); font-family: ui-monospace, monospace; font-size: 13px; }
  .badge { font-size: 13px; font-weight: 600; letter-spacing: .01em; padding: 3px 11px; border-radius: 99px;
    vertical-align: 4px; margin-left: 6px; }
  .good { color: var(--good); background: var(--goodbg); } .bad { color: var(--bad); background: var(--badbg); }
  .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 20px 0 16px; }
  .tiles div, .card { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 14px 16px; }
  .tiles span, .tiles b, .tiles small { display: block; }
  .tiles span { color: var(--quiet); font-size: 13px; }
  .tiles b { font-size: 23px; line-height: 1.3; font-variant-numeric: tabular-nums; letter-spacing: -.01em; }
  .tiles small { font-size: 12px; }
  .grid { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; }
  .card { margin: 0 0 16px; min-width: 0; } .grid .card { margin: 0; } .grid { margin-bottom: 16px; }
  .card > .quiet { font-size: 13px; margin-bottom: 12px; }
  .wide { grid-column: 1 / -1; }
  .plot { display: grid; grid-template-columns: auto minmax(0, 1fr); column-gap: 8px; }
  .plot svg { width: 100%; height: 220px; display: block; overflow: visible; } .wide .plot svg { height: 270px; }
  .up { display: flex; flex-direction: column; justify-content: space-between; text-align: right; margin: -8px 0; }
  .along { grid-column: 2; display: flex; justify-content: space-between; margin-top: 6px; }
  .up, .along { color: var(--quiet); font-size: 12px; line-height: 16px; font-variant-numeric: tabular-nums; }
  .rule { stroke: var(--rule); stroke-width: 1; vector-effect: non-scaling-stroke; }
  .line { fill: none; stroke-width: 2.2; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
  .drop { stroke: var(--bad); stroke-dasharray: 4 3; stroke-width: 1.6; }
  .f0 { fill: var(--c0); } .f1 { fill: var(--c1); } .f2 { fill: var(--c2); } .f3 { fill: var(--c3); }
  .f4 { fill: var(--c4); } .f5 { fill: var(--c5); } .f6 { fill: var(--c6); } .f7 { fill: var(--c7); }
  .plot path[class^=f] { opacity: .88; } .plot path[class^=f]:hover, rect:hover, circle:hover { opacity: .6; }
  .l0 { stroke: var(--c0); } .l1 { stroke: var(--c1); } .l2 { stroke: var(--c2); } .l3 { stroke: var(--c3); }
  .l4 { stroke: var(--c4); } .l5 { stroke: var(--c5); } .l6 { stroke: var(--c6); } .l7 { stroke: var(--c7); }
  .legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 0 0 12px; padding: 0; font-size: 13px; }
  .legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; }
  .k0 { background: var(--c0); } .k1 { background: var(--c1); } .k2 { background: var(--c2); }
  .k3 { background: var(--c3); } .k4 { background: var(--c4); } .k5 { background: var(--c5); }
  .k6 { background: var(--c6); } .k7 { background: var(--c7); } .legend .k-drop { height: 0; width: 14px;
    border-top: 2px dashed var(--bad); border-radius: 0; vertical-align: 4px; }
  .bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: 7px 12px; align-items: center;
    font-size: 13px; }
  .bars i { background: var(--bg); border-radius: 5px; height: 14px; overflow: hidden; }
  .bars b { display: block; height: 100%; min-width: 2px; background: var(--c5); border-radius: 5px; }
  .bars em { font-style: normal; font-variant-numeric: tabular-nums; text-align: right; }
  .map { width: 100%; max-width: 620px; display: block; margin: 0 auto; }
  .edges { fill: none; stroke: var(--edge); } .map circle { stroke: var(--card); stroke-width: 1.5; }
  .scroll { overflow-x: auto; margin-top: 8px; }
  table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
  th { color: var(--quiet); font-weight: 500; }
  th, td { padding: 5px 10px; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
  th:first-child, td:first-child { text-align: left; padding-left: 0; }
  tr:last-child td { border-bottom: 0; }
  footer { font-size: 13px; margin-top: 22px; } code { font-family: ui-monospace, monospace; color: var(--ink); }
  @media (max-width: 760px) { .grid { grid-template-columns: minmax(0, 1fr); } main { padding: 18px 12px 28px; }
    h1 { font-size: 21px; } .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; }
    .tiles b { font-size: 19px; } .plot svg, .wide .plot svg { height: 190px; } }

  """
