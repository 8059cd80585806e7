// LayerContext: what a layer is lent for the length of one call, and its only way to the world.

/// A layer's view of its node during one call. It can't be kept: the compiler refuses to let it escape.
public struct LayerContext<Layer: ProtocolLayer>: ~Copyable, ~Escapable {
  // Sound: a context lives only inside a call that the node makes on the slot, and the node owns the slot; so neither
  // needs counting, which on the packet path would cost more than the rest of the call.
  @usableFromInline let unmanagedNode: Unmanaged<Node>
  @usableFromInline let unmanagedSlot: Unmanaged<LayerSlot<Layer>>

  @inlinable @_lifetime(borrow node) init(_ node: borrowing Node, _ slot: borrowing LayerSlot<Layer>) {
    unmanagedNode = .passUnretained(copy node)
    unmanagedSlot = .passUnretained(copy slot)
  }

  @inlinable var node: Node { unmanagedNode._withUnsafeGuaranteedRef { $0 } }
  @inlinable var slot: LayerSlot<Layer> { unmanagedSlot._withUnsafeGuaranteedRef { $0 } }

  // MARK: Who and when

  /// The time, the same during the whole call.
  @inlinable public var now: Instant { node.now }
  /// The node's name.
  public var me: String { node.name }
  /// The node's own address, as configured or bound.
  public var address: Address { node.address }

  // MARK: Chance

  /// 64 random bits of the layer's own stream.
  @inlinable public func random() -> UInt64 { slot.random.next() }
  /// A number in `0 ..< bound`, each as likely.
  @inlinable public func random(below bound: Int) -> Int { Int(slot.random.next(below: UInt64(bound))) }
  /// A number in `0 ..< 1`.
  @inlinable public func randomUnit() -> Double { slot.random.nextUnit() }
  /// Heads, half of the time.
  @inlinable public func coin() -> Bool { slot.random.next() & 1 == 0 }
  /// One of the elements, each as likely; nil of none.
  @inlinable public func pick<C: RandomAccessCollection>(_ elements: C) -> C.Element? where C.Index == Int {
    elements.isEmpty ? nil : elements[elements.startIndex + random(below: elements.count)]
  }
  /// The elements in random order.
  public func shuffled<Element>(_ elements: [Element]) -> [Element] {
    var result = elements
    var last = result.count - 1
    while last > 0 {
      result.swapAt(last, random(below: last + 1))
      last -= 1
    }
    return result
  }

  // MARK: Sending

  /// Sends a message in the packet field `number`, which the layer must have declared. Never waits and never fails: a
  /// full outbox drops and counts, as the network does.
  @inlinable public func send<Message: WireMessage>(_ message: Message, as number: UInt32, to destination: Address) {
    unmanagedNode._withUnsafeGuaranteedRef { node in
      guard let start = node.beginSend(number, to: destination) else { return }
      message.encode(into: &node.outbox.writer)
      node.endSend(start)
    }
  }

  /// Sends a message whose fields the closure writes, for those too large to be copied into a value first. `expecting`
  /// so many bytes spares the writer from moving them when it puts their length before them.
  @inlinable public func send(
    as number: UInt32, to destination: Address, expecting size: Int = 0, _ write: (inout WireWriter) -> Void
  ) {
    unmanagedNode._withUnsafeGuaranteedRef { node in
      guard let start = node.beginSend(number, to: destination, expecting: size) else { return }
      write(&node.outbox.writer)
      node.endSend(start, expected: size)
    }
  }

  /// Sends a message to every neighbour, but for one.
  @inlinable public func sendToNeighbours<Message: WireMessage>(
    _ message: Message, as number: UInt32, except: Address? = nil
  ) {
    var place = 0
    while let neighbour = node.neighbourAddress(at: place) {
      if neighbour != except { send(message, as: number, to: neighbour) }
      place += 1
    }
  }

  // MARK: Neighbours

  /// The node's neighbours, in the order they became known.
  public var neighbours: [Neighbour] { node.neighbours.slots }
  /// What is known of one of them.
  public func neighbour(_ address: Address) -> Neighbour? { node.neighbours.peek(address).map { node.neighbours[$0] } }

  /// The largest datagram that is known to arrive at an address.
  public func pathLimit(to address: Address) -> Int { node.knownPathLimit(to: address) }
  /// Has the core introduce us to an address, which is taken for a Strata node's: by its answer it shows that it
  /// receives there. At most five times a second go out. Don't do this to whoever may be a Peerster.
  public func introduce(to address: Address) { node.introduce(to: address) }

  /// Has the core look for how large a datagram arrives at an address, where it hasn't yet: what it finds shows in
  /// `pathLimit`. For layers that send much.
  public func probePath(to address: Address) { node.probePath(to: address) }

  // MARK: Room

  /// How many bytes wait in the outbox, of all layers.
  public var outgoingBytes: Int { node.outgoingBytes }
  /// Asks for one call of the layer's `outboxDrained` once the driver has taken nearly all that waits; right after this
  /// call if little does.
  public func callWhenDrained() { node.callWhenDrained(slot) }
  /// How many bytes of datagrams may come at once without being lost, as far as the driver knows.
  public var receiveBuffer: Int { node.receiveBuffer }

  // MARK: Timers

  /// Arms a timer; if it was armed already, it gets the new time.
  public func arm(_ timer: Layer.Timer, after delay: Duration) { slot.arm(timer, at: node.now + delay, node) }
  /// Forgets a timer; no matter if it wasn't armed.
  public func cancel(_ timer: Layer.Timer) { slot.cancel(timer, node) }
  /// Whether a timer is armed.
  public func isArmed(_ timer: Layer.Timer) -> Bool { slot.tickets[timer] != nil }

  // MARK: News

  /// Publishes an event. Other layers get it after the present call has returned; people, once all that was written
  /// before it is on disk.
  public func publish<Event>(_ event: Event, on port: EventPort<Event>) {
    node.publish(event, on: port, from: slot.name)
  }
  /// Writes a line to the node's log, made only when somebody reads that level.
  public func log(_ level: LogLevel = .info, _ message: @autoclosure () -> String) {
    node.log(level, layer: slot.name, message())
  }

  // MARK: Work, storage, files

  /// Has work done elsewhere, and its result brought back as a call. False (and the work isn't done) when too much
  /// waits.
  @discardableResult public func offload<Result: Sendable>(
    _ work: @escaping @Sendable () -> Result,
    then: @escaping (Layer) -> (Result, borrowing LayerContext<Layer>) -> Void
  ) -> Bool {
    node.offload(owner: slot.index, work) { [unowned node, unowned slot] result in
      guard let layer = slot.layer, let result = result as? Result else { return }
      then(layer)(result, LayerContext(node, slot))
    }
  }
  /// What the layer keeps on disk.
  public var storage: any LayerStorage { slot.storage }
  /// The layer's access to files.
  public var files: any LayerFiles { slot.files }
}
