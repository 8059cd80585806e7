// TopTests: the live view: what it works out, and that it fits whatever terminal there is.
import StackCore
import StackRuntime
import Testing

@testable import Strata

@Suite struct TopTests {
  /// Two nodes that see each other, a number of seconds after they began.
  static func samples(_ seconds: Double, lost: Double = 0) -> [NodeSample] {
    ["ada", "bela"].enumerated().map { place, name in
      var sample = NodeSample(name: name, address: "127.0.0.1:720\(place + 1)", at: seconds)
      let labels = ["layer": "gossip", "type": "Rumor"]
      sample.metrics = [
        MetricKey(family: "strata_running"): 1, MetricKey(family: "strata_uptime_seconds"): seconds,
        MetricKey(family: "process_start_time_seconds"): 1,
        MetricKey(family: "strata_bytes_in_total"): 1000 * seconds,
        MetricKey(family: "strata_bytes_out_total"): 2000 * seconds,
        MetricKey(family: "strata_messages_in_total", labels: labels): 10 * seconds,
        MetricKey(family: "strata_message_bytes_in_total", labels: labels): 500 * seconds,
        MetricKey(family: "strata_drops_total", labels: ["reason": "outboxFull"]): 3,
        MetricKey(family: "strata_outbox_bytes"): 2048,
      ]
      sample.neighbours = [
        .init(
          address: "127.0.0.1:720\(2 - place)", name: place == 0 ? "bela" : "ada", roundTrip: 0.0015,
          lastHeard: noon.now() - 2_000_000_000, datagramsIn: 100 * seconds * (1 - lost), datagramsOut: 100 * seconds)
      ]
      return sample
    }
  }

  static var frame: TopFrame {
    var model = TopModel()
    model.take(samples(1))
    model.take(samples(3, lost: 0))
    return model.frame()
  }

  @Test("Names of others stay in their rows") func strangeNames() {
    var frame = Self.frame
    for place in frame.neighbours.indices { frame.neighbours[place].name = "a\nb\tc\u{1b}[2J" }
    var transfer = NodeSample.Transfer()
    (transfer.name, transfer.state) = ("x\ny", "fetching\n\u{1b}[31m")
    frame.transfers = [.init(node: "n\u{1b}]0;x\u{7}", transfer: transfer)]
    for place in frame.nodes.indices { frame.nodes[place].name = "m\n\u{9b}2J" }
    for row in TopView(clock: noon).rows(frame, width: 150, height: 40, program: "strata") {
      #expect(row.text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f..<0xa0).contains($0.value) }, "\(row)")
    }
  }

  @Test("Metrics are read, with whatever stands in their labels") func metrics() {
    let (key, value) = MetricKey.parse(#"strata_x{layer="a\"b\\",type="c,d=\n"} 12.5"#) ?? (MetricKey(family: ""), 0)
    #expect(key == MetricKey(family: "strata_x", labels: ["layer": "a\"b\\", "type": "c,d=\n"]) && value == 12.5)
    #expect(MetricKey.parse("strata_up 1")?.0 == MetricKey(family: "strata_up"))
    for line in ["# HELP x", "x", "x{a=\"b} 1", "x{a} 1", "x{a=b} 1", "", "x{", "x y"] {
      #expect(MetricKey.parse(line[...]) == nil, "\(line)")
    }
  }

  @Test("Rates are what was counted between two looks") func rates() {
    let frame = Self.frame
    #expect(frame.nodes.map(\.rateIn) == [1000, 1000] && frame.nodes.map(\.rateOut) == [2000, 2000])
    #expect(frame.traffic.count == 1 && frame.traffic[0].messagesIn == 20 && frame.traffic[0].bytesIn == 1000)
    #expect(frame.drops == [.init(name: "outboxFull", amount: "6")])
    #expect(frame.queues.first == .init(name: "outbox", amount: "4 KiB"))
  }

  @Test("What one end sent and the other did not get is lost; where one end is seen only, nobody knows") func losses() {
    var model = TopModel()
    model.take(Self.samples(1))
    var later = Self.samples(3)
    for place in later.indices { later[place].neighbours[0].datagramsIn = 100 + 150 }
    model.take(later)
    #expect(model.frame().neighbours.map(\.lost) == [0.25, 0.25])
    #expect(model.frame(of: 0).neighbours.count == 1)
    var alone = TopModel()
    alone.take([Self.samples(1)[0]])
    alone.take([later[0]])
    #expect(alone.frame().neighbours.map(\.lost) == [nil])
  }

  @Test("A node that was started again begins anew, and one that is gone says why") func restarts() {
    var model = TopModel()
    model.take(Self.samples(5))
    var again = Self.samples(1)
    again[0].metrics[MetricKey(family: "process_start_time_seconds")] = 2
    again[1] = NodeSample(name: "bela", at: 6, failure: "nothing listens on 127.0.0.1:1")
    model.take(again)
    let frame = model.frame()
    #expect(frame.nodes[0].rateIn == 0 && frame.nodes[0].isWell)
    #expect(!frame.nodes[1].isWell && frame.nodes[1].state.contains("nothing listens"))
    // Why takes no other node's columns away.
    again[1].failure = "node bela doesn't run: nothing listens on 127.0.0.1:1; start it with: strata node bela.json"
    model.take(again)
    let rows = TopView(clock: noon).rows(model.frame(), width: 80, height: 24, program: "strata").map(\.text)
    #expect(rows[2].contains("ADDRESS") && rows[2].contains("MEMORY") && rows[3].contains("127.0.0.1:7201"))
    #expect(rows[4].hasPrefix("  bela  node bela doesn't run: nothing listens on") && rows[4].count == 80)
  }

  @Test(
    "The picture has the size of the terminal, whatever that is", arguments: [(80, 24), (200, 50), (40, 12), (12, 4)])
  func fits(_ width: Int, _ height: Int) {
    var frame = Self.frame
    frame.nodes += (0..<20).map { .init(name: "node\($0)", address: "[2001:db8::1]:5000", isWell: $0 != 3, uptime: 5) }
    frame.nodes[5].state = "what listens there doesn't know the token, and that takes many words to say"
    frame.neighbours += (0..<30).map { .init(node: "ada", name: "n\($0)", address: "127.0.0.1:\($0)", lost: 0.1) }
    frame.transfers = (0..<9).map { number in
      .init(node: "ada", transfer: .init(name: "a long name of a file \(number).bin", state: "fetching", rate: 1e6))
    }
    let rows = TopView(clock: noon, every: 1).rows(frame, width: width, height: height, program: "strata")
    #expect(rows.count == height)
    for row in rows { #expect(row.text.count <= width, "\(row.text)") }
    #expect(rows.first?.text.hasPrefix("strata top") == true && rows.last?.text.hasPrefix("q quit") == true)
    if width >= 80 {
      let text = rows.map(\.text).joined(separator: "\n")
      for title in ["NODE", "MESSAGE", "NEIGHBOUR", "TRANSFER", "WAITING", "DROPPED", "more"] {
        #expect(text.contains(title), "\(title) at \(width)")
      }
    }
  }

  @Test("One node needs no table of nodes, and few rows leave no holes") func one() {
    var model = TopModel()
    model.take([Self.samples(1)[0]])
    model.take([Self.samples(2)[0]])
    let rows = TopView(clock: noon).rows(model.frame(), width: 100, height: 1000, program: "strata")
    #expect(rows[0].text.hasPrefix("strata top  ada  127.0.0.1:7201  up 2 s") && rows.count < 15)
    #expect(!rows.contains { $0.text.hasPrefix("NODE") })
  }
}
