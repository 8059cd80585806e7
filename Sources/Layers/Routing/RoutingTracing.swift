// RoutingTracing: which nodes lie on the way to an origin, found by probes whose hop limits rise one by one.
import PeersterVocabulary
import StackCore

struct TraceInput: CommandInput {
  @Argument("Whose way is traced: a node's name.", count: 1...200) var name: String
}

/// A node on the way, or the want of its answer.
public struct TraceHop: Codable, Sendable {
  /// Which it is, counted from the first neighbour.
  public var hop: Int
  /// What it calls itself; nil when it did not answer.
  public var name: WireText?
  /// Its address, as the node before it knows it; nil when that did not answer.
  public var address: Address?
  /// How long its answer took.
  public var roundTrip: Duration?
  static let port = EventPort<TraceHop>("trace", "A node on the way to an origin has answered, or has not.")
}

/// How a trace ended.
public enum TraceResult: String, Codable, Sendable, CaseIterable {
  case reached
  case noRoute = "no route"
  case noAnswer = "no answer"
  /// The next one is no Strata node, and can't be asked.
  case peerster = "not beyond a Peerster"
  case tooFar = "beyond the hop limit"
}

/// What a trace found.
struct Traced: Codable, Sendable {
  var destination: WireText
  var result: TraceResult
  var hops: Int
  var roundTrip: Duration?
}

/// A trace that is under way.
struct Trace {
  var call: CommandCall<TraceHop, Traced>
  var target: WireText
  /// The neighbour that all its probes go to.
  var first: Address
  var hop = 1
  /// Where the present hop should be.
  var address: Address?
  var number: UInt64 = 0
  var tries = 0
  /// How many hops in a row have not answered.
  var silent = 0
  var sent = Instant()
  var due = Instant()
}

extension Routing {
  private static let mostTraces = 16
  private static let triesForAHop = 2
  private static let mostSilent = 3
  /// With so many bytes of padding a probe is larger than any honest answer.
  private static let padding = 400

  func trace(
    _ input: TraceInput, _ call: CommandCall<TraceHop, Traced>, _ context: borrowing LayerContext<Routing>
  ) throws {
    let target = WireText(input.name)
    guard traces.count < Self.mostTraces else {
      throw CommandError(.unavailable, code: "too-many", "\(Self.mostTraces) traces are under way already")
    }
    func finish(_ result: TraceResult, hops: Int) {
      call.finish(Traced(destination: target, result: result, hops: hops))
    }
    if target == me { return finish(.reached, hops: 0) }
    guard let first = ways(to: target, except: nil, needsStrata: true, context).first else {
      guard let peerster = table.candidates(target).first else { return finish(.noRoute, hops: 0) }
      found(TraceHop(hop: 1, address: peerster.nextHop), call, context)
      return finish(.peerster, hops: 1)
    }
    traces.append(Trace(call: call, target: target, first: first, address: first))
    sendProbe(traces.count - 1, context)
  }

  /// Nobody waits for it any more.
  func traceCancelled(_ call: CommandCall<TraceHop, Traced>, _ context: borrowing LayerContext<Routing>) {
    traces.removeAll { $0.call.id == call.id }
  }

  private func found(
    _ hop: TraceHop, _ call: CommandCall<TraceHop, Traced>, _ context: borrowing LayerContext<Routing>
  ) {
    context.publish(hop, on: TraceHop.port)
    call.progress(hop)
  }

  private func sendProbe(_ place: Int, _ context: borrowing LayerContext<Routing>) {
    // An answer to an earlier try is late, and would be taken for a quick one to this.
    traces[place].number = max(1, context.random())
    traces[place].tries += 1
    traces[place].sent = context.now
    traces[place].due = context.now + min(config.receiptTimeout, .seconds(2))
    let probe = TraceProbe(
      origin: me, destination: traces[place].target, hopLimit: UInt32(traces[place].hop),
      number: Fixed64(traces[place].number), padding: Array(repeating: 0, count: Self.padding))
    context.send(probe, as: RoutingField.probe, to: traces[place].first)
    armTrace(context)
  }

  private func armTrace(_ context: borrowing LayerContext<Routing>) {
    guard let next = traces.lazy.map(\.due).min() else { return context.cancel(.trace) }
    context.arm(.trace, after: max(.zero, next - context.now))
  }

  /// A hop is silent: it is asked once more, and then the next one.
  func traceOverdue(_ context: borrowing LayerContext<Routing>) {
    for place in traces.indices.reversed() where traces[place].due <= context.now {
      let trace = traces[place]
      if trace.tries < Self.triesForAHop {
        sendProbe(place, context)
        continue
      }
      found(TraceHop(hop: trace.hop, address: trace.address), trace.call, context)
      traces[place].silent += 1
      if traces[place].silent == Self.mostSilent {
        finish(place, .noAnswer, context)
      } else {
        goOn(place, to: nil, context)
      }
    }
    armTrace(context)
  }

  private func goOn(_ place: Int, to address: Address?, _ context: borrowing LayerContext<Routing>) {
    guard traces[place].hop < config.hopLimit else { return finish(place, .tooFar, context) }
    traces[place].hop += 1
    traces[place].tries = 0
    traces[place].address = address
    sendProbe(place, context)
  }

  private func finish(
    _ place: Int, _ result: TraceResult, roundTrip: Duration? = nil, _ context: borrowing LayerContext<Routing>
  ) {
    let trace = traces.remove(at: place)
    // Up to the last that is known.
    let hops = trace.hop - trace.silent
    trace.call.finish(Traced(destination: trace.target, result: result, hops: hops, roundTrip: roundTrip))
    armTrace(context)
  }

  // MARK: On the wire

  /// A probe ends where its hop limit does. It draws one answer, no larger than itself, to the name it came from.
  func heardProbe(_ probe: TraceProbe, from peer: Address, _ context: borrowing LayerContext<Routing>) {
    guard mayTake(peer, context) else { return }
    guard probe.hopLimit > 0, areSound(probe.origin, probe.destination), probe.padding.count <= Self.padding else {
      return counts.unsound.add()
    }
    let limit = min(probe.hopLimit, 32)
    if limit == 1 || probe.destination == me { return answer(probe, from: peer, context) }
    guard let way = ways(to: probe.destination, except: peer, needsStrata: true, context).first else {
      return counts.noWay.add()
    }
    var onward = probe
    onward.hopLimit = limit - 1
    context.send(onward, as: RoutingField.probe, to: way)
    counts.forwarded.add()
  }

  private func answer(_ probe: TraceProbe, from peer: Address, _ context: borrowing LayerContext<Routing>) {
    guard let back = ways(to: probe.origin, except: nil, needsStrata: true, context).first else {
      return counts.noWay.add()
    }
    var reply = TraceReply(
      origin: me, destination: probe.origin, hopLimit: UInt32(config.hopLimit), number: probe.number)
    if probe.destination != me {
      let next = ways(to: probe.destination, except: peer, needsStrata: true, context).first
      let any = next ?? ways(to: probe.destination, except: peer, needsStrata: false, context).first
      reply.nextHop = any.map { WireText("\($0)") }
      reply.isStrata = any == nil ? nil : next != nil
    }
    guard reply.encoded().count <= probe.encoded().count else { return counts.unsound.add() }
    context.send(reply, as: RoutingField.probeReply, to: back)
  }

  func heardReply(_ reply: TraceReply, from peer: Address, _ context: borrowing LayerContext<Routing>) {
    guard mayTake(peer, context) else { return }
    guard areSound(reply.origin, reply.destination), (reply.nextHop?.bytes.count ?? 0) <= 64 else {
      return counts.unsound.add()
    }
    if reply.destination == me { return heardHop(reply, context) }
    let limit = min(reply.hopLimit, 32)
    guard limit > 1 else { return counts.hopLimit.add() }
    guard let way = ways(to: reply.destination, except: peer, needsStrata: true, context).first else {
      return counts.noWay.add()
    }
    var onward = reply
    onward.hopLimit = limit - 1
    context.send(onward, as: RoutingField.probeReply, to: way)
    counts.forwarded.add()
  }

  private func areSound(_ names: WireText...) -> Bool {
    names.allSatisfy { $0.bytes.count <= Rumor.longestOrigin }
  }

  /// A hop has answered one of our probes.
  private func heardHop(_ reply: TraceReply, _ context: borrowing LayerContext<Routing>) {
    guard let place = traces.firstIndex(where: { $0.number == reply.number.value }) else { return }
    let trace = traces[place]
    let roundTrip = max(.zero, context.now - trace.sent).rounded
    traces[place].silent = 0
    found(
      TraceHop(hop: trace.hop, name: reply.origin, address: trace.address, roundTrip: roundTrip), trace.call, context)
    if reply.origin == trace.target { return finish(place, .reached, roundTrip: roundTrip, context) }
    guard let nextHop = reply.nextHop else { return finish(place, .noRoute, context) }
    let next = Address(nextHop.text)
    if reply.isStrata == true { return goOn(place, to: next, context) }
    traces[place].hop += 1
    found(TraceHop(hop: trace.hop + 1, address: next), trace.call, context)
    finish(place, .peerster, context)
  }
}
