// swift-tools-version: 6.2
// What Strata costs, measured: a package of its own, so that nobody who builds Strata builds this.
import PackageDescription

let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableExperimentalFeature("Lifetimes"),
]

let package = Package(
  name: "strata-benchmarks",
  dependencies: [.package(name: "strata", path: "..")],
  targets: [
    // Counts calls of the allocator, so that "no allocation" is a measurement.
    .target(name: "CAllocations"),
    .executableTarget(
      name: "strata-bench",
      dependencies: [
        "CAllocations",
        .product(name: "StackCore", package: "strata"),
        .product(name: "StackSim", package: "strata"),
        .product(name: "StackRuntime", package: "strata"),
        .product(name: "PeersterVocabulary", package: "strata"),
        .product(name: "Gossip", package: "strata"),
        .product(name: "FileShare", package: "strata"),
        .product(name: "Hashing", package: "strata"),
        .product(name: "Search", package: "strata"),
      ], swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
