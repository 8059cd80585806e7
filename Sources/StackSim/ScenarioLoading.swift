// ScenarioLoading: reads a scenario and refuses what can't work, before anything of it runs.
import StackCore

/// All that is wrong with a scenario.
public struct ScenarioError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, in the order of the file.
  public var problems: [JSONCodingError]
  /// One line a problem.
  public var description: String { problems.map(\.description).joined(separator: "\n") }
}

extension Scenario {
  /// Reads a scenario. Unknown keys, wrong types, values out of range, unknown layers and settings, and actions that do
  /// nothing or two things are refused, all at once, each with its path, what was found and what would be right.
  public static func load(_ json: JSON, catalog: [any ProtocolLayer.Type]) throws(ScenarioError) -> Scenario {
    let schema = Schema.of(config: Scenario.self)
    let problems = schema.check(json, at: "")
    guard problems.isEmpty else { throw ScenarioError(problems: problems) }
    let scenario: Scenario
    do throws(JSONCodingError) {
      scenario = try schema.decode(Scenario.self, from: json, at: "")
    } catch { throw ScenarioError(problems: [error]) }
    try scenario.check(catalog)
    return scenario
  }

  /// Refuses what can't work, whether it came from a file or was put together by a program.
  func check(_ catalog: [any ProtocolLayer.Type]) throws(ScenarioError) {
    var checker = ScenarioChecker(scenario: self, catalog: catalog)
    checker.run()
    guard checker.problems.isEmpty else { throw ScenarioError(problems: checker.problems) }
  }
}

/// The checks that go beyond a schema.
struct ScenarioChecker {
  let scenario: Scenario
  let catalog: [any ProtocolLayer.Type]
  var problems: [JSONCodingError] = []

  init(scenario: Scenario, catalog: [any ProtocolLayer.Type]) {
    self.scenario = scenario
    self.catalog = catalog
  }

  mutating func run() {
    if let problem = scenario.topology.problem(nodes: scenario.nodes) { problems.append(problem) }
    checkLayers(scenario.node.layers, over: LayerSections(), at: "node.layers")
    for (place, override) in scenario.overrides.enumerated() {
      checkNodes(override.nodes, at: "overrides[\(place)].nodes")
      checkLayers(override.layers, over: scenario.node.layers, at: "overrides[\(place)].layers")
    }
    for (place, link) in scenario.links.enumerated() { checkLink(link, at: "links[\(place)]", needsEnds: true) }
    for (place, action) in scenario.actions.enumerated() { checkAction(action, at: "actions[\(place)]") }
    for (place, condition) in scenario.stop.when.enumerated() { checkCondition(condition, at: "stop.when[\(place)]") }
    for (place, condition) in scenario.stop.never.enumerated() { checkCondition(condition, at: "stop.never[\(place)]") }
  }

  private mutating func refuse(_ path: String, _ found: String, _ expected: String) {
    guard problems.count < 64 else { return }
    problems.append(JSONCodingError(path: path, found: found, expected: expected))
  }

  private static func quoted(_ words: [String]) -> String {
    words.map { JSON.string($0).text() }.joined(separator: ", ")
  }

  /// What an unknown word may have been meant to be.
  static func instead(of word: String, among words: [String]) -> String {
    if words.isEmpty { return "nothing: there is none" }
    if let meant = nearest(word, among: words) { return "\(quoted([meant])) (did you mean that?)" }
    return words.count == 1 ? quoted(words) : "one of " + quoted(words)
  }

  // MARK: Layers

  private mutating func checkLayers(_ layers: LayerSections, over base: LayerSections, at path: String) {
    let merged = base.merged(with: layers)
    for (name, given) in layers.sections {
      guard let type = catalog.first(where: { $0.manifest.name == name }) else {
        refuse("\(path).\(name)", "an unknown layer", Self.instead(of: name, among: catalog.map { $0.manifest.name }))
        continue
      }
      if given.isNull { continue }
      let section = merged.sections[name] ?? given
      let found = settingProblems(type, section, at: "\(path).\(name)")
      problems.append(contentsOf: found)
    }
  }

  // MARK: Nodes and links

  /// The largest number that a node may ever have.
  private var largestNode: Int {
    scenario.nodes - 1 + scenario.actions.reduce(0) { $0 + ($1.join?.count ?? 0) * $1.times }
  }

  private mutating func checkNodes(_ nodes: NodeSelection, at path: String) {
    if nodes.parts.isEmpty { return refuse(path, "no nodes", "nodes such as 3, [0, 5], \"0-9\" or \"all\"") }
    if nodes.largestNamed > largestNode {
      refuse(path, "node \(nodes.largestNamed)", "nodes from 0 to \(largestNode), for there are no more")
    }
  }

  private mutating func checkLink(_ link: LinkChange, at path: String, needsEnds: Bool) {
    guard let ends = link.between else {
      if needsEnds { refuse("\(path).between", "nothing", "two nodes or groups of nodes, such as [0, 1]") }
      return
    }
    guard ends.count == 2 else {
      return refuse("\(path).between", "\(ends.count) ends", "two nodes or groups of nodes, such as [0, \"1-3\"]")
    }
    for (place, end) in ends.enumerated() { checkNodes(end, at: "\(path).between[\(place)]") }
  }

  // MARK: Actions and conditions

  private mutating func checkAction(_ action: ScenarioAction, at path: String) {
    let given = action.given
    guard given.count == 1 else {
      let found =
        given.isEmpty ? "an action that does nothing" : "an action that does " + given.joined(separator: " and ")
      return refuse(path, found, "exactly one of " + Self.quoted(ScenarioAction.verbs))
    }
    if action.times > 1, action.every == nil {
      refuse("\(path).every", "nothing", "the time between the \(action.times) times, such as \"1s\"")
    }
    if let command = action.command { checkCommand(command, action, at: path) }
    for (place, group) in (action.partition ?? []).enumerated() { checkNodes(group, at: "\(path).partition[\(place)]") }
    if let nodes = action.crash { checkNodes(nodes, at: "\(path).crash") }
    if let nodes = action.restart { checkNodes(nodes, at: "\(path).restart") }
    if let nodes = action.leave { checkNodes(nodes, at: "\(path).leave") }
    if let link = action.link { checkLink(link, at: "\(path).link", needsEnds: false) }
    if let join = action.join {
      checkNodes(join.peers, at: "\(path).join.peers")
      checkLayers(join.layers, over: scenario.node.layers, at: "\(path).join.layers")
    }
  }

  private mutating func checkCommand(_ command: String, _ action: ScenarioAction, at path: String) {
    if let node = action.node {
      checkNodes(node, at: "\(path).node")
    } else {
      refuse("\(path).node", "nothing", "the nodes that run the command, such as 3 or \"all\"")
    }
    guard let (layer, _) = ScenarioAction.split(command) else {
      return refuse(
        "\(path).command", JSON.string(command).text(), "a layer's name and a command's, such as \"gossip publish\"")
    }
    if !catalog.contains(where: { $0.manifest.name == layer }) {
      refuse(
        "\(path).command", "the unknown layer \(JSON.string(layer).text())",
        Self.instead(of: layer, among: catalog.map { $0.manifest.name }))
    }
  }

  private mutating func checkCondition(_ condition: Condition, at path: String) {
    switch (condition.event, condition.metric) {
    case (nil, nil): refuse(path, "a condition over nothing", "an \"event\" or a \"metric\"")
    case (_?, _?): refuse(path, "both an event and a metric", "one of them")
    case (_?, nil):
      if condition.atLeast != nil || condition.atMost != nil {
        refuse(path, "\"atLeast\" or \"atMost\" for an event", "\"count\"")
      }
      if !scenario.report.events { refuse("report.events", "false", "true, for \(path) is about an event") }
    case (nil, _?):
      if condition.atLeast == nil, condition.atMost == nil {
        refuse(path, "a metric without a bound", "\"atLeast\" or \"atMost\"")
      }
    }
  }
}

extension ScenarioAction {
  /// "gossip publish" as the layer's name and the command's.
  static func split(_ command: String) -> (layer: String, name: String)? {
    guard let space = command.firstIndex(of: " ") else { return nil }
    let name = command[command.index(after: space)...]
    guard space != command.startIndex, !name.isEmpty, !name.contains(" ") else { return nil }
    return (String(command[..<space]), String(name))
  }
}

/// What is wrong with a layer's section.
private func settingProblems<Layer: ProtocolLayer>(
  _: Layer.Type, _ section: JSON, at path: String
) -> [JSONCodingError] {
  Schema.of(config: Layer.Config.self).check(section, at: path)
}
