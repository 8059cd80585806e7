// SimulationActions: what a scenario or a test does to a simulation while it runs.
import StackCore

extension Simulation {
  // MARK: Commands

  /// Calls a command on a node and answers what it has said by the time the call returns, or `within` so much virtual
  /// time.
  @discardableResult public func call(
    _ node: Int, _ layer: String, _ command: String, _ input: JSON = [:], within: Duration = .zero
  ) -> [CommandReply] {
    let answer = ReplyBox()
    begin(node, layer, command, input) { answer.replies.append($0) }
    if within > .zero { run(within: within) { _ in answer.replies.last?.isLast ?? false } }
    return answer.replies
  }

  /// Calls a command on a node; the sink gets the pieces of its answer as they come. Answers the call's number, for
  /// `Node.cancel`; 0 when the node doesn't run.
  @discardableResult public func begin(
    _ place: Int, _ layer: String, _ command: String, _ input: JSON = [:], _ sink: @escaping (CommandReply) -> Void
  ) -> UInt64 {
    guard let node = node(place) else {
      sink(.failed(CommandError(.unavailable, code: "down", "node \(place) doesn't run")))
      return 0
    }
    let id = node.call(layer, command, input, at: now, sink)
    settle(place, node)
    return id
  }

  // MARK: The network

  /// Hands a datagram to a node at once, as if it had come from an address.
  public func inject(_ bytes: [UInt8], to place: Int, from sender: Address) {
    guard let node = node(place) else { return }
    node.receive(bytes.span.bytes, from: sender, at: now)
    settle(place, node)
  }

  /// Cuts all links between groups of nodes; those that no group names are one more.
  public func partition(_ groups: [[Int]]) { network.partition(groups) }

  /// Ends the partition.
  public func heal() { network.heal() }

  /// Changes links.
  public func change(_ link: LinkChange) {
    let ends = (link.between ?? []).map { resolve($0) }
    network.change(link, from: ends.first ?? [], to: ends.last ?? [])
  }

  /// Which nodes a selection means now.
  func resolve(_ nodes: NodeSelection) -> [Int] {
    nodes.resolve(count: places.count, running: { running }, &random)
  }

  // MARK: Nodes

  /// A node crashes: what it had not committed is lost, and its address is silent.
  public func crash(_ place: Int) {
    guard let node = node(place) else { return }
    tally.crashes += 1
    retire(place, node)
    places[place].storage.crash()
    places[place].disk.crash()
  }

  /// A node stops in good order: its layers say goodbye, and all that was written is kept.
  public func leave(_ place: Int) {
    guard let node = node(place) else { return }
    node.stop(at: now)
    settle(place, node)
    guard places[place].node === node else { return }
    retire(place, node)
  }

  /// A node starts again, with or without what it had stored; one that runs is stopped first.
  public func restart(_ place: Int, storage: ScenarioAction.Storage = .keep) throws {
    leave(place)
    if storage == .lose {
      places[place].storage.erase()
      places[place].disk.erase()
    }
    tally.restarts += 1
    places[place].incarnation += 1
    try bring(place)
  }

  /// A new node joins, with these peers; answers its number.
  @discardableResult public func join(peers: [Int], layers: LayerSections = LayerSections()) throws -> Int {
    let place = places.count
    addPlace(sections: scenario.node.layers.merged(with: layers), peers: peers.map { Int32($0) })
    places[place].incarnation = 1
    try bring(place)
    return place
  }

  private func bring(_ place: Int) throws {
    let node = try build(place)
    places[place].node = node
    node.start(at: now)
    settle(place, node)
  }

  /// Lets go of a node, keeping what it counted.
  private func retire(_ place: Int, _ node: Node) {
    tally.add(node)
    places[place].node = nil
    places[place].wake = .max
  }

  // MARK: A scenario's actions

  func perform(_ index: Int) {
    let action = scenario.actions[index]
    tally.lastAction = now.nanoseconds
    repetitions[index] += 1
    do { try perform(action, index) } catch { failures.append("actions[\(index)] at \(text(now)): \(error)") }
    if let every = action.every, repetitions[index] < action.times {
      network.queue.push(.action, Int32(index), at: now.nanoseconds + every.nanoseconds)
    }
  }

  private func perform(_ action: ScenarioAction, _ index: Int) throws {
    if let command = action.command, let (layer, name) = ScenarioAction.split(command) {
      for node in resolve(action.node ?? NodeSelection([])) { run(layer, name, action.input ?? [:], on: node, index) }
    }
    if let groups = action.partition { partition(groups.map { resolve($0) }) }
    if action.heal { heal() }
    if let nodes = action.crash { for node in resolve(nodes) { crash(node) } }
    if let nodes = action.leave { for node in resolve(nodes) { leave(node) } }
    if let nodes = action.restart { for node in resolve(nodes) { try restart(node, storage: action.storage) } }
    if let link = action.link { change(link) }
    if let new = action.join { for _ in 0..<new.count { try join(peers: resolve(new.peers), layers: new.layers) } }
  }

  /// Runs a scenario's command and keeps its answer for the report.
  private func run(_ layer: String, _ name: String, _ input: JSON, on place: Int, _ index: Int) {
    tally.commandsRun += 1
    let record = tally.commands.count
    let isKept = record < scenario.report.commands
    if isKept {
      tally.commands.append(
        CommandTally(action: index, node: place, command: "\(layer) \(name)", at: now.nanoseconds))
    }
    begin(place, layer, name, input) { [weak self] reply in
      guard let self else { return }
      if case .failed = reply { tally.commandsFailed += 1 }
      if isKept { note(reply, record) }
    }
  }

  private func note(_ reply: CommandReply, _ record: Int) {
    switch reply {
    case .progress: tally.commands[record].progress += 1
    case .finished(let output):
      tally.commands[record].ended = now.nanoseconds
      tally.commands[record].output = output
    case .failed(let error):
      tally.commands[record].ended = now.nanoseconds
      tally.commands[record].error = error
    }
  }

  // MARK: Names in a scenario

  /// Refuses commands, events and metrics that no node has, now that the nodes are built.
  func checkNames() throws(ScenarioError) {
    var problems: [JSONCodingError] = []
    func refuse(_ path: String, _ found: String, _ word: String, _ known: [String]) {
      problems.append(
        JSONCodingError(path: path, found: found, expected: ScenarioChecker.instead(of: word, among: known)))
    }
    let kinds = kindsOfNodes()
    let commands = kinds.flatMap(\.commandDescriptions)
    let events = kinds.flatMap(\.eventDescriptions).map { "\($0.layer).\($0.name)" }
    let metrics = kinds.flatMap(\.metricDescriptions).map(\.fullName)
    for (place, action) in scenario.actions.enumerated() {
      guard let command = action.command else { continue }
      guard let known = commands.first(where: { "\($0.layer) \($0.name)" == command }) else {
        // A layer that only joining nodes have is known once they join.
        if scenario.actions.contains(where: { $0.join?.layers.sections.isEmpty == false }) { continue }
        refuse(
          "actions[\(place)].command", JSON.string(command).text(), command, commands.map { "\($0.layer) \($0.name)" })
        continue
      }
      problems += known.input.check(action.input ?? [:], at: "actions[\(place)].input")
    }
    for (list, conditions) in [("when", scenario.stop.when), ("never", scenario.stop.never)] {
      for (place, condition) in conditions.enumerated() {
        let path = "stop.\(list)[\(place)]"
        if let event = condition.event, !events.contains(event) {
          refuse("\(path).event", "the unknown event \(JSON.string(event).text())", event, events)
        }
        if let metric = condition.metric, !metrics.contains(metric) {
          refuse("\(path).metric", "the unknown metric \(JSON.string(metric).text())", metric, metrics)
        }
      }
    }
    if !problems.isEmpty { throw ScenarioError(problems: problems) }
  }

  /// One node of each set of layers.
  func kindsOfNodes() -> [Node] {
    var seen: [[String]] = []
    var kinds: [Node] = []
    for place in places {
      guard let node = place.node, !seen.contains(place.sections.sections.keys) else { continue }
      seen.append(place.sections.sections.keys)
      kinds.append(node)
    }
    return kinds
  }

  /// A time as people read it.
  func text(_ time: Instant) -> String { Duration.nanoseconds(time.nanoseconds).text }
}

/// Where a call's answers are gathered.
private final class ReplyBox {
  var replies: [CommandReply] = []
}
