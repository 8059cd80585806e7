// NodeEvents: what layers tell: events, queued for their subscribers, and log lines.

extension Node {
  func publish<Event>(_ event: Event, on port: EventPort<Event>, from layer: String) where Event: Codable & Sendable {
    // By number: to go through the entries themselves would copy each, schema and all.
    var place = 0
    while place < events.count, events[place].name != port.name || events[place].layer != layer { place += 1 }
    guard place < events.count else {
      preconditionFailure("layer \(layer) publishes \(port.name), which it has not declared with setup.event")
    }
    events[place].count &+= 1
    if observesEvents {
      if news.count < limits.news {
        news.append(
          .event(.init(layer: layer, name: port.name, time: now) { (try? JSON(encoding: event)) ?? .null }))
      } else {
        drop(.newsFull)
      }
    }
    for number in subscriptions.indices where subscriptions[number].port == port.name {
      if queue.count < limits.queuedEvents {
        queue.append((subscriptions[number], event))
      } else {
        drop(.newsFull)
      }
    }
  }

  func log(_ level: LogLevel, layer: String, _ message: @autoclosure () -> String) {
    guard level >= logLevel else { return }
    if news.count < limits.news {
      news.append(.log(.init(level: level, layer: layer, time: now, message: message())))
    } else {
      drop(.newsFull)
    }
  }

  /// Hands queued events to their subscribers, until there are none.
  func settle() {
    if settling || queue.isEmpty { return }
    settling = true
    defer { settling = false }
    var next = 0
    // Layers that answer each other's events for ever are stopped here; what they would still say is dropped.
    let most = limits.queuedEvents * 4
    while next < queue.count, next < most {
      let (subscription, event) = queue[next]
      next += 1
      if slots[Int(subscription.owner)] != nil { subscription.deliver(event) }
    }
    if next < queue.count { drop(.newsFull, UInt64(queue.count - next)) }
    queue.removeAll(keepingCapacity: queue.count < 256)
  }
}
