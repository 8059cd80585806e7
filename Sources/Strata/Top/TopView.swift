// TopView: a frame of `top` as rows of text that fit a terminal, whatever its size.
import StackCore

/// A row of the picture.
struct TopRow: Hashable {
  enum Style: Hashable { case plain, title, dim, bad }
  var text: String
  var style = Style.plain
}

/// A table whose columns are as wide as they must be, and of which the less important ones go when there is no room.
struct TopTable {
  struct Column {
    var title: String
    var isRight = true
    /// What goes first when there is no room: the highest.
    var rank = 0
  }
  var columns: [Column]
  var rows: [[String]]
  /// Rows that say that something is wrong.
  var bad: [Int] = []
  /// Rows of which the cells beyond the first don't count: the last one's text stands in their place.
  var told: [Int] = []

  /// A table in which each row stays one, whatever others call themselves and their files.
  init(columns: [Column], rows: [[String]], bad: [Int] = [], told: [Int] = []) {
    (self.columns, self.rows, self.bad, self.told) = (columns, rows.map { $0.map(oneLine) }, bad, told)
  }

  /// At most so many rows, with the title and, where some are left out, how many.
  func lines(width: Int, height: Int) -> [TopRow] {
    guard height > 0 else { return [] }
    let room = height - 1
    let shown = rows.count > room ? Array(rows.prefix(max(0, room - 1))) : rows
    let (places, widths) = layout(width)
    var lines = [TopRow(text: line(columns.map(\.title), places, widths, width), style: .title)]
    for (number, row) in shown.enumerated() {
      var text = line(row, places, widths, width)
      if told.contains(number), let first = widths.first {
        text = clipped(padded(clipped(row.first ?? "", first), first) + "  " + (row.last ?? ""), width)
      }
      lines.append(TopRow(text: text, style: bad.contains(number) ? .bad : .plain))
    }
    if shown.count < rows.count, room > 0 {
      lines.append(TopRow(text: clipped("… and \(rows.count - shown.count) more", width), style: .dim))
    }
    return lines
  }

  /// Which columns are shown, and how wide.
  private func layout(_ width: Int) -> (places: [Int], widths: [Int]) {
    var places = Array(columns.indices)
    let counted = rows.indices.filter { !told.contains($0) }.map { rows[$0] }
    let wide = columns.indices.map { place in
      (place == 0 ? rows : counted).reduce(displayWidth(columns[place].title)) {
        max($0, $1.indices.contains(place) ? displayWidth($1[place]) : 0)
      }
    }
    func needed() -> Int { places.reduce(-2) { $0 + wide[$1] + 2 } }
    while places.count > 1, needed() > width, let worst = places.max(by: { columns[$0].rank <= columns[$1].rank }),
      columns[worst].rank > 0
    {
      places.removeAll { $0 == worst }
    }
    var widths = places.map { wide[$0] }
    // What is still too wide is taken from the first column, which holds names.
    let over = needed() - width
    if over > 0, !widths.isEmpty { widths[0] = max(6, widths[0] - over) }
    return (places, widths)
  }

  private func line(_ cells: [String], _ places: [Int], _ widths: [Int], _ width: Int) -> String {
    var text = ""
    for (number, place) in places.enumerated() {
      let cell = clipped(cells.indices.contains(place) ? cells[place] : "", widths[number])
      let pad = String(repeating: " ", count: widths[number] - displayWidth(cell))
      text += (number == 0 ? "" : "  ") + (columns[place].isRight ? pad + cell : cell + pad)
    }
    return clipped(text, width)
  }
}

/// What `columns(of:)` says, within a type that has columns of its own.
private func displayWidth(_ text: String) -> Int { columns(of: text) }

/// A text that ends with a mark where it is cut.
func clipped(_ text: String, _ width: Int) -> String {
  columns(of: text) <= width ? text : cut(text, max(0, width - 1)) + (width > 0 ? "…" : "")
}

/// Draws frames.
struct TopView {
  /// By which times are shown.
  var clock: WallClock
  /// How often the nodes are asked, in seconds; nil for a picture that stands still.
  var every: Double?

  /// The rows of a picture of a size. `only` is the node that all below the first table is about; nil for all.
  func rows(_ frame: TopFrame, width: Int, height: Int, program: String, only: Int? = nil, isPaused: Bool = false)
    -> [TopRow]
  {
    let head = header(frame, width, program, only, isPaused)
    let foot = every == nil ? [] : [footer(frame, width)]
    var room = height - head.count - foot.count
    let nodes = frame.nodes.count > 1 ? nodeTable(frame, only) : nil
    var parts: [[TopRow]] = [head]
    if let nodes {
      let lines = nodes.lines(width: width, height: min(nodes.rows.count + 1, max(3, room / 3)))
      parts.append(lines)
      room -= lines.count + 1
    }
    let queues = queueLines(frame, width)
    room -= queues.count + 1
    if !frame.transfers.isEmpty {
      let lines = transferTable(frame).lines(width: width, height: max(2, min(frame.transfers.count + 1, room / 3)))
      parts.append(lines)
      room -= lines.count + 1
    }
    parts += middle(frame, width, room)
    parts.append(queues)
    var rows = Array(parts.filter { !$0.isEmpty }.joined(separator: [TopRow(text: "")]))
    rows = Array(rows.prefix(max(0, height - foot.count)))
    if every != nil { while rows.count < height - foot.count { rows.append(TopRow(text: "")) } }
    return rows + foot
  }

  /// Traffic and neighbours: one above the other, or side by side where there is room for both.
  private func middle(_ frame: TopFrame, _ width: Int, _ room: Int) -> [[TopRow]] {
    let traffic = trafficTable(frame)
    let neighbours = neighbourTable(frame)
    if width >= 140 {
      let half = (width - 4) / 2
      let height = max(0, room - 1)
      let left = traffic.lines(width: half, height: height)
      let right = neighbours.lines(width: half, height: height)
      return [
        (0..<max(left.count, right.count)).map { place in
          let first = left.indices.contains(place) ? left[place] : TopRow(text: "")
          let second = right.indices.contains(place) ? right[place] : TopRow(text: "")
          return TopRow(text: padded(first.text, half + 4) + second.text, style: place == 0 ? .title : .plain)
        }
      ]
    }
    // What one doesn't need, the other gets.
    let both = max(0, room - 2)
    let wanted = neighbours.rows.count + 1
    let forNeighbours = min(wanted, max(both / 2, both - traffic.rows.count - 1))
    return [
      traffic.lines(width: width, height: both - forNeighbours), neighbours.lines(width: width, height: forNeighbours),
    ]
  }

  // MARK: The edges

  private func header(_ frame: TopFrame, _ width: Int, _ program: String, _ only: Int?, _ isPaused: Bool) -> [TopRow] {
    var left: String
    if frame.nodes.count == 1, let node = frame.nodes.first {
      let facts = [
        node.name, node.address,
        node.isWell ? node.uptime.map { "up \(Units.seconds($0.rounded(.down)))" } ?? "" : node.state,
        node.memory.map(Units.bytes) ?? "",
      ]
      left = facts.filter { !$0.isEmpty }.map(oneLine).joined(separator: "  ")
    } else {
      let well = frame.nodes.count(where: \.isWell)
      left = "\(counted(frame.nodes.count, "node")), \(well) running"
      if let only, frame.nodes.indices.contains(only) { left += "  showing \(oneLine(frame.nodes[only].name))" }
    }
    let right = (isPaused ? "paused  " : "") + clock.time(clock.now())
    let name = "\(program) top  "
    let middle = clipped(left, max(0, width - name.count - right.count - 2))
    let gap = max(1, width - name.count - columns(of: middle) - right.count)
    let failing = frame.nodes.count == 1 && frame.nodes.first?.isWell == false
    return [
      TopRow(
        text: clipped(name + middle + String(repeating: " ", count: gap) + right, width), style: failing ? .bad : .plain
      )
    ]
  }

  private func footer(_ frame: TopFrame, _ width: Int) -> TopRow {
    let choose = frame.nodes.count > 1 ? "   ←→ one node   a all" : ""
    return TopRow(
      text: clipped("q quit   space pause\(choose)   every \(Units.seconds(every ?? 1))", width), style: .dim)
  }

  // MARK: The tables

  private func rate(_ value: Double) -> String { value < 0.5 ? "·" : Units.rate(value) }
  private func perSecond(_ value: Double) -> String {
    value < 0.05 ? "·" : Units.decimal(value, 1) + "/s"
  }

  private func nodeTable(_ frame: TopFrame, _ only: Int?) -> TopTable {
    TopTable(
      columns: [
        .init(title: "NODE", isRight: false), .init(title: "ADDRESS", isRight: false, rank: 3),
        .init(title: "UPTIME", rank: 2), .init(title: "NEIGHBOURS", rank: 4), .init(title: "IN"), .init(title: "OUT"),
        .init(title: "DROPS", rank: 1), .init(title: "MEMORY", rank: 5), .init(title: "STATE", isRight: false, rank: 0),
      ],
      rows: frame.nodes.enumerated().map { place, node in
        let mark = only == place ? "▸ " : "  "
        guard node.uptime != nil else { return [mark + node.name, node.address, "", "", "", "", "", "", node.state] }
        return [
          mark + node.name, node.address, Units.seconds((node.uptime ?? 0).rounded(.down)), "\(node.neighbours)",
          rate(node.rateIn), rate(node.rateOut), perSecond(node.drops), node.memory.map(Units.bytes) ?? "", node.state,
        ]
      }, bad: frame.nodes.indices.filter { !frame.nodes[$0].isWell },
      told: frame.nodes.indices.filter { frame.nodes[$0].uptime == nil })
  }

  private func trafficTable(_ frame: TopFrame) -> TopTable {
    TopTable(
      columns: [
        .init(title: "MESSAGE", isRight: false), .init(title: "LAYER", isRight: false, rank: 3),
        .init(title: "IN", rank: 1), .init(title: "OUT", rank: 1), .init(title: "BYTES IN"),
        .init(title: "BYTES OUT"), .init(title: "TOTAL", rank: 2),
      ],
      rows: frame.traffic.map {
        [
          $0.type, $0.layer, perSecond($0.messagesIn), perSecond($0.messagesOut), rate($0.bytesIn), rate($0.bytesOut),
          Units.count($0.total),
        ]
      })
  }

  private func neighbourTable(_ frame: TopFrame) -> TopTable {
    let several = frame.nodes.count > 1
    return TopTable(
      columns: [
        .init(title: "NEIGHBOUR", isRight: false),
        .init(title: "ADDRESS", isRight: false, rank: 4), .init(title: "ROUND TRIP"), .init(title: "LOST", rank: 1),
        .init(title: "HEARD", rank: 2), .init(title: "IN", rank: 3), .init(title: "OUT", rank: 3),
      ],
      rows: frame.neighbours.map { neighbour in
        let name = neighbour.name.isEmpty ? neighbour.address : neighbour.name
        return [
          several ? "\(neighbour.node) → \(name)" : name, neighbour.address,
          neighbour.roundTrip.map(Units.seconds) ?? "–",
          neighbour.lost.map { "\(Units.decimal($0 * 100, 1)) %" } ?? "–",
          neighbour.lastHeard.map { clock.ago($0) } ?? "never", rate(neighbour.rateIn), rate(neighbour.rateOut),
        ]
      })
  }

  private func transferTable(_ frame: TopFrame) -> TopTable {
    let several = frame.nodes.count > 1
    return TopTable(
      columns: [
        .init(title: "TRANSFER", isRight: false), .init(title: "STATE", isRight: false, rank: 2), .init(title: "DONE"),
        .init(title: "OF", rank: 1), .init(title: "RATE"), .init(title: "LEFT"), .init(title: "HOLDERS", rank: 3),
      ],
      rows: frame.transfers.map { item in
        let transfer = item.transfer
        return [
          (several ? "\(item.node): " : "") + transfer.name, transfer.state,
          transfer.amount.map { "\(Int($0.fraction * 100)) %" } ?? "–",
          transfer.amount.map { $0.isBytes ? Units.bytes($0.total) : Units.count($0.total) } ?? "–",
          transfer.rate.map { $0 > 0 ? Units.rate($0) : "·" } ?? "–",
          transfer.secondsLeft.map { Units.seconds($0.rounded()) } ?? "–", transfer.holders.map { "\($0)" } ?? "–",
        ]
      })
  }

  private func queueLines(_ frame: TopFrame, _ width: Int) -> [TopRow] {
    func line(_ title: String, _ queues: [TopFrame.Queue]) -> TopRow {
      TopRow(
        text: clipped(
          "\(title)  "
            + queues.map { $0.amount.isEmpty ? $0.name : "\($0.name) \($0.amount)" }
            .joined(separator: "   "), width))
    }
    let none = [TopFrame.Queue(name: "none", amount: "")]
    let queues = frame.queues.filter { !["0", "0 B"].contains($0.amount) }
    return [line("WAITING", queues.isEmpty ? none : queues), line("DROPPED", frame.drops.isEmpty ? none : frame.drops)]
  }
}

extension TopFrame {
  /// The picture for programs.
  var json: JSON {
    func number(_ value: Double?) -> JSON { value.map { .number($0) } ?? .null }
    return [
      "nodes": .array(
        nodes.map {
          [
            "name": .string($0.name), "address": .string($0.address), "state": .string($0.state),
            "uptimeSeconds": number($0.uptime), "neighbours": JSON($0.neighbours), "bytesInRate": .number($0.rateIn),
            "bytesOutRate": .number($0.rateOut), "dropsRate": .number($0.drops), "memoryBytes": number($0.memory),
          ]
        }),
      "traffic": .array(
        traffic.map {
          [
            "layer": .string($0.layer), "type": .string($0.type), "messagesInRate": .number($0.messagesIn),
            "messagesOutRate": .number($0.messagesOut), "bytesInRate": .number($0.bytesIn),
            "bytesOutRate": .number($0.bytesOut), "total": .number($0.total),
          ]
        }),
      "neighbours": .array(
        neighbours.map {
          [
            "node": .string($0.node), "name": .string($0.name), "address": .string($0.address),
            "roundTrip": number($0.roundTrip), "lost": number($0.lost), "bytesInRate": .number($0.rateIn),
            "bytesOutRate": .number($0.rateOut),
          ]
        }),
      "transfers": .array(
        transfers.map {
          [
            "node": .string($0.node), "name": .string($0.transfer.name), "state": .string($0.transfer.state),
            "bytes": number($0.transfer.amount?.done), "size": number($0.transfer.amount?.total),
            "rate": number($0.transfer.rate), "secondsLeft": number($0.transfer.secondsLeft),
          ]
        }),
      "queues": .object(JSONObject(queues.map { ($0.name, .string($0.amount)) })),
      "drops": .object(JSONObject(drops.map { ($0.name, .string($0.amount)) })),
    ]
  }
}
