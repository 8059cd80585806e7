// BuildOrder: which layer is built first: providers before those who need them.

/// The layers in an order in which each comes after those that provide what it requires or uses; otherwise as given.
func buildOrder(
  _ layers: [(type: any ProtocolLayer.Type, section: JSON)]
) throws(BuildError) -> [(type: any ProtocolLayer.Type, section: JSON)] {
  let manifests = layers.map { $0.type.manifest }
  var providers: [String: Int] = [:]
  for (place, manifest) in manifests.enumerated() {
    if let twice = manifests[..<place].first(where: { $0.name == manifest.name }) {
      throw BuildError(path: "layers.\(twice.name)", "two layers have this name")
    }
    for service in manifest.provides {
      if let other = providers[service] {
        throw BuildError(
          path: "layers.\(manifest.name)",
          "provides the service \(service), which layer \(manifests[other].name) provides too; switch one of them off")
      }
      providers[service] = place
    }
  }
  for manifest in manifests {
    for need in manifest.requires where providers[need] == nil {
      throw BuildError(
        path: "layers.\(manifest.name)", "needs the service \(need), which no enabled layer provides")
    }
  }
  var order: [Int] = []
  var state = [Int](repeating: 0, count: layers.count)
  func visit(_ place: Int, _ trail: [Int]) throws(BuildError) {
    if state[place] == 2 { return }
    if state[place] == 1 {
      let names = (trail + [place]).map { manifests[$0].name }.joined(separator: " → ")
      throw BuildError(path: "layers.\(manifests[place].name)", "layers need each other in a circle: \(names)")
    }
    state[place] = 1
    for service in manifests[place].requires + manifests[place].uses {
      if let provider = providers[service], provider != place { try visit(provider, trail + [place]) }
    }
    state[place] = 2
    order.append(place)
  }
  for place in layers.indices { try visit(place, []) }
  return order.map { layers[$0] }
}
