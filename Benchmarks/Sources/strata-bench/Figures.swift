// Figures: candidate and baseline in turn, their medians and the ratio.
import Glibc
import StackCore
import StackSim

/// One figure, as it stands in results/latest.json.
struct Figure: Codable {
  var name: String
  var value: Double
  var unit: String
  var baseline: Double?
  var ratio: Double?
}

/// New figures in the place of the old ones of their names; a run of some leaves the others standing.
func merged(_ new: [Figure], into path: String) -> [Figure] {
  guard let file = fopen(path, "r") else { return new }
  defer { fclose(file) }
  var bytes = [UInt8](repeating: 0, count: 1 << 20)
  bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
  guard var all = try? JSONCoder().decode([Figure].self, from: bytes) else { return new }
  for figure in new {
    if let place = all.firstIndex(where: { $0.name == figure.name }) { all[place] = figure } else { all.append(figure) }
  }
  return all
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  return sorted.isEmpty ? 0 : (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}

/// The rate that a client role prints while a server role runs.
func rate(server: String, client: String, seconds: Double) -> Double {
  let first = Child([server])
  let second = Child([client, first.line(), "\(seconds)"])
  let value = Double(second.line()) ?? 0
  second.join()
  first.end()
  return value
}

/// The rate that a receiving role prints while a sending role pushes.
func receivingRate(receiver: String, sender: String, seconds: Double) -> Double {
  let first = Child([receiver, "0", "\(seconds)"])
  let second = Child([sender, first.line(), "\(seconds)"])
  let value = Double(first.line()) ?? 0
  first.join()
  second.end()
  return value
}

/// Candidate and baseline in turn; the medians, and the median of the ratios pair by pair.
func compare(
  _ name: String, unit: String, runs: Int = 5, scale: Double = 1, _ candidate: () -> Double, _ baseline: () -> Double
) -> Figure {
  var values: [Double] = []
  var baselines: [Double] = []
  for _ in 0..<runs {
    baselines.append(baseline() * scale)
    values.append(candidate() * scale)
  }
  let ratios = zip(values, baselines).map { $1 > 0 ? $0 / $1 : 0 }
  return Figure(name: name, value: median(values), unit: unit, baseline: median(baselines), ratio: median(ratios))
}

func pad(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }

func round3(_ value: Double) -> String {
  if value == 0 { return "0" }
  let scale = value.magnitude >= 1000 ? 1.0 : value.magnitude >= 10 ? 10.0 : 1000.0
  let rounded = (value * scale).rounded() / scale
  return rounded == rounded.rounded() && rounded.magnitude < 1e15 ? "\(Int(rounded))" : "\(rounded)"
}
