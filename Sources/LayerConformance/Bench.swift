// Bench: the checks themselves, each on simulations of its own.
import StackCore
import StackSim

/// What the checks are done with.
struct Bench {
  typealias Result = (problems: [String], note: String)
  let layer: String
  let sections: LayerSections
  let catalog: [any ProtocolLayer.Type]
  let options: ConformanceOptions

  func generator(_ name: String) -> Generator { Generator(seed: options.seed, name: name) }

  /// A small network of nodes that all have the layer.
  func simulation(_ nodes: Int = 4) throws -> Simulation {
    var scenario = Scenario()
    scenario.name = "conformance"
    scenario.nodes = nodes
    scenario.seed = options.seed
    scenario.node.layers = sections
    scenario.report.logLines = 0
    let simulation = try Simulation(scenario, catalog: catalog)
    let problems = options.prepare?(simulation) ?? []
    if let problem = problems.first { throw PreparationError(description: "before the check: \(problem)") }
    return simulation
  }

  /// What has gone wrong before a check began.
  private struct PreparationError: Error, CustomStringConvertible {
    var description: String
  }

  /// A node and the messages that the layer takes.
  func taken(_ simulation: Simulation) -> [MessageDescription] {
    simulation.node(0)?.messages.filter { $0.layer == layer && !$0.sendOnly } ?? []
  }

  // MARK: Descriptions

  func settings<Layer: ProtocolLayer>(_: Layer.Type, _ config: JSON) throws -> Result {
    let manifest = Layer.manifest
    var problems: [String] = []
    let isPlain = manifest.name.utf8.allSatisfy { byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || byte == UInt8(ascii: "-")
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
    if manifest.name.isEmpty || !isPlain {
      problems.append("its name \(JSON.string(manifest.name)) is not letters, digits and hyphens")
    }
    if manifest.summary.isEmpty { problems.append("its manifest has no line of description") }
    let schema = Schema.of(config: Layer.Config.self)
    let defaults = try JSON(encoding: Layer.Config())
    problems += schema.check(defaults, at: "the defaults").map(\.description)
    problems += schema.check(config, at: "the configuration given").map(\.description)
    if let decoded = try? decodeSettings(Layer.Config.self, from: defaults, at: ""),
      try JSON(encoding: decoded) != defaults
    {
      problems.append("its defaults change when they are written and read")
    }
    var count = 0
    describe(schema, "the setting ", &problems, &count)
    return (problems, "\(count) settings")
  }

  /// Finds the properties that nothing says what they are for.
  private func describe(_ schema: Schema, _ path: String, _ problems: inout [String], _ count: inout Int) {
    for property in schema.properties {
      count += 1
      let name = path.hasSuffix(" ") ? path + property.name : "\(path).\(property.name)"
      if property.description.isEmpty, property.schema.description.isEmpty {
        problems.append("\(name) has no description")
      }
      describe(property.schema, name, &problems, &count)
    }
  }

  func descriptions() throws -> Result {
    let simulation = try simulation()
    guard let node = simulation.node(0) else { return (["it could not be built"], "") }
    var problems: [String] = []
    var count = 0
    func check(_ what: String, _ name: String, _ summary: String) {
      count += 1
      if name.isEmpty { problems.append("\(what) has no name") }
      if summary.isEmpty { problems.append("the \(what) \(name) has no description") }
      if summary.contains("\n") { problems.append("the description of the \(what) \(name) is more than a line") }
    }
    for command in node.commandDescriptions where command.layer == layer {
      check("command", command.name, command.summary)
      var arguments = 0
      describe(command.input, "the argument \(command.name) ", &problems, &arguments)
    }
    for event in node.eventDescriptions where event.layer == layer { check("event", event.name, event.summary) }
    for metric in node.metricDescriptions where metric.layer == layer { check("metric", metric.name, metric.summary) }
    return (problems, "\(count) commands, events and metrics")
  }

  // MARK: Messages

  func messages() throws -> Result {
    let simulation = try simulation()
    let messages = simulation.node(0)?.messages.filter { $0.layer == layer } ?? []
    var problems: [String] = []
    var generator = generator("messages")
    for message in messages {
      for _ in 0..<options.rounds {
        let bytes = generator.message(message.schema)
        guard let problem = MessageCheck.problem(message.type, bytes) else { continue }
        problems.append("\(message.schema.name) (field \(message.number)): \(problem)")
        break
      }
    }
    return (problems, "\(messages.count) messages")
  }

  // MARK: Damage

  func damage() throws -> Result {
    let simulation = try simulation()
    simulation.run(for: .seconds(1))
    var generator = generator("damage")
    let messages = taken(simulation)
    var count = 0
    for message in messages {
      for _ in 0..<options.rounds {
        for packet in damaged(message, &generator) {
          // From a neighbour, and from a stranger.
          let sender =
            generator.coin()
            ? simulation.address(of: 1) : Address(ipv4: 0xc0a8_0000 | UInt32(generator.below(65_536)), port: 9)
          simulation.inject(packet, to: 0, from: sender)
          count += 1
        }
        simulation.run(for: .milliseconds(generator.below(50)))
      }
    }
    simulation.run(for: .seconds(10))
    let isAlive = simulation.node(0) != nil
    let problems = (isAlive ? [] : ["the node is gone"]) + (options.finish?(simulation) ?? [])
    return (problems, "\(count) datagrams to \(messages.count) fields")
  }

  private func damaged(_ message: MessageDescription, _ generator: inout Generator) -> [[UInt8]] {
    let body = generator.message(message.schema)
    return [
      Generator.packet(message.number, generator.bytes(generator.below(200))),
      Generator.packet(message.number, generator.truncated(body)),
      Generator.packet(message.number, generator.flipped(body)),
      Generator.packet(message.number, body), Generator.packet(message.number, []),
      generator.truncated(Generator.packet(message.number, body)),
      Generator.packet(message.number, body) + generator.packet(message.number, message.schema),
    ]
  }

  // MARK: Timers

  func timers() throws -> Result {
    var generator = generator("timers")
    var fired: UInt64 = 0
    for round in 0..<3 {
      let simulation = try simulation()
      let messages = taken(simulation)
      // A node that was held up fires late, all timers at once: time jumps ahead by anything up to an hour.
      for _ in 0..<options.rounds {
        let jump = Duration.nanoseconds(
          Int64(generator.random.next(below: round == 0 ? 2_000_000_000 : 3_600_000_000_000)))
        if round == 2, let node = simulation.node(0) {
          node.fireTimers(at: node.now + jump)
          node.dropOutgoing(.network)
          _ = node.takeNews()
        } else {
          simulation.run(within: jump) { $0.deliveries > 200_000 }
        }
        if let message = messages.isEmpty ? nil : generator.pick(messages) {
          simulation.inject(generator.packet(message.number, message.schema), to: 0, from: simulation.address(of: 1))
        }
        if simulation.deliveries > 200_000 { break }
      }
      fired += simulation.report().nodes.timersFired
    }
    return ([], "\(fired) timers")
  }

  // MARK: Commands

  func commands() throws -> Result {
    let simulation = try simulation()
    simulation.run(for: .seconds(1))
    var generator = generator("commands")
    var problems: [String] = []
    var count = 0
    let commands = simulation.node(0)?.commandDescriptions.filter { $0.layer == layer } ?? []
    for command in commands {
      for round in 0..<options.rounds {
        let input = round % 3 == 2 ? generator.invalid(command.input) : generator.valid(command.input)
        count += 1
        if let problem = call(simulation, command, input) {
          problems.append("\(command.name) with \(String(input.text().prefix(200))): \(problem)")
          break
        }
      }
    }
    return (problems, "\(count) calls of \(commands.count) commands")
  }

  /// Calls a command, cancels it if it takes long, and says what is wrong with the answer.
  private func call(_ simulation: Simulation, _ command: CommandDescription, _ input: JSON) -> String? {
    let answer = Answer()
    let id = simulation.begin(0, layer, command.name, input) { answer.replies.append($0) }
    if command.progress == nil, answer.replies.count != 1 { return "\(answer.replies.count) answers at once, not one" }
    simulation.run(for: .milliseconds(20))
    if !(answer.replies.last?.isLast ?? false), let node = simulation.node(0) {
      node.cancel(call: id, at: simulation.now)
      simulation.run(for: .milliseconds(20))
      simulation.inject([0], to: 0, from: simulation.address(of: 1))  // so that the node's news is taken
    }
    let ends = answer.replies.count { $0.isLast }
    if ends != 1 { return "it ended \(ends) times, even when it was cancelled" }
    if answer.replies.last?.isLast != true { return "it told progress after its end" }
    let isInvalid = !command.input.check(input, at: "").isEmpty
    switch answer.replies.last {
    case .failed(let error):
      return error.message.isEmpty ? "an error without a message" : nil
    case .finished(let output):
      if isInvalid { return "input that its schema refuses was accepted" }
      return command.output.check(output, at: "output").first.map { "its output is not what its schema says: \($0)" }
    default: return nil
    }
  }

  private final class Answer {
    var replies: [CommandReply] = []
  }

  // MARK: Restarts

  func restarts() throws -> Result {
    let simulation = try simulation()
    var generator = generator("restarts")
    let messages = taken(simulation)
    for round in 0..<12 {
      for _ in 0..<5 {
        guard let message = messages.isEmpty ? nil : generator.pick(messages) else { break }
        simulation.inject(generator.packet(message.number, message.schema), to: 0, from: simulation.address(of: 1))
      }
      simulation.run(for: .milliseconds(generator.below(3_000)))
      switch round % 4 {
      case 0: simulation.leave(0)
      case 1: simulation.crash(0)
      case 2:
        simulation.leave(0)
        simulation.leave(0)
      default: break
      }
      simulation.run(for: .milliseconds(generator.below(500)))
      try simulation.restart(0, storage: round == 7 ? .lose : .keep)
    }
    simulation.run(for: .seconds(5))
    return (simulation.failures + (options.finish?(simulation) ?? []), "12 times")
  }

  // MARK: Determinism

  func determinism() throws -> Result {
    let first = try trace()
    let second = try trace()
    if first == second { return ([], "trace \(first.prefix(16))") }
    return (["two runs of the same seed differ: something other than the context decides what it does"], "")
  }

  /// Some busy time of the layer, as its trace and its metrics.
  private func trace() throws -> String {
    let simulation = try simulation(8)
    var generator = generator("determinism")
    let messages = taken(simulation)
    let commands = simulation.node(0)?.commandDescriptions.filter { $0.layer == layer } ?? []
    for _ in 0..<options.rounds {
      simulation.run(within: .milliseconds(generator.below(400))) { $0.deliveries > 200_000 }
      if !messages.isEmpty {
        let message = generator.pick(messages)
        let packet = generator.packet(message.number, message.schema)
        simulation.inject(packet, to: generator.below(8), from: simulation.address(of: generator.below(8)))
      }
      if !commands.isEmpty {
        let command = generator.pick(commands)
        simulation.begin(generator.below(8), layer, command.name, generator.valid(command.input)) { _ in }
      }
    }
    let report = simulation.report()
    let counts = report.metrics.map { "\($0.metric)=\($0.sum)" } + report.events.map { "\($0.event)=\($0.count)" }
    return report.traceHash + counts.joined(separator: ",")
  }

  // MARK: Memory

  func flood() throws -> Result {
    let simulation = try simulation(2)
    simulation.run(for: .seconds(1))
    var generator = generator("flood")
    let messages = taken(simulation)
    guard !messages.isEmpty else { return ([], "it takes no messages") }
    var half = 0
    for count in 0..<options.floodMessages {
      let message = messages[count % messages.count]
      let sender = Address(ipv4: 0xc0a8_0000 + UInt32(count % options.floodSenders), port: 9)
      simulation.inject(generator.packet(message.number, message.schema), to: 0, from: sender)
      if count % 100 == 99 { simulation.run(for: .milliseconds(10)) }
      if count == options.floodMessages / 2 { half = options.memory?() ?? 0 }
    }
    let growth = options.memory.map { $0() - half }
    let problems = floodProblems(simulation, growth) + (options.finish?(simulation) ?? [])
    return (problems, "\(options.floodMessages) messages")
  }

  private func floodProblems(_ simulation: Simulation, _ growth: Int?) -> [String] {
    guard let node = simulation.node(0) else { return ["the node is gone"] }
    var problems: [String] = []
    func bound(_ what: String, _ value: Int, _ most: Int) {
      if value > most { problems.append("\(what): \(value), more than \(most)") }
    }
    bound("timers armed", node.queues.timersArmed, options.mostTimers)
    bound("jobs under way", node.queues.jobsUnderWay, NodeLimits().jobs)
    bound("bytes in the outbox", node.queues.outboxBytes, NodeLimits().outboxBytes)
    bound("bytes stored", simulation.storage(of: 0).usedBytes, options.mostStoredBytes)
    let pairs = (try? simulation.storage(of: 0).namespace(layer, version: .max).count()) ?? 0
    bound("pairs stored", pairs, options.mostStoredPairs)
    if let growth { bound("bytes the process grew by in the second half", growth, options.mostGrowth) }
    return problems
  }
}
