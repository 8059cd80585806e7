// swift-tools-version: 6.2
// A layer in a package of its own, and a node that has it.
import PackageDescription

let package = Package(
  name: "EchoLayer",
  dependencies: [.package(name: "strata", path: "../..")],
  targets: [
    .executableTarget(
      name: "EchoNode",
      dependencies: [.product(name: "StackCore", package: "strata"), .product(name: "Strata", package: "strata")]),
    .testTarget(
      name: "EchoTests",
      dependencies: [
        "EchoNode", .product(name: "StackSim", package: "strata"),
        .product(name: "LayerConformance", package: "strata"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)
