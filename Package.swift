// swift-tools-version: 6.2
// Strata: one target a layer, so that the compiler polices who may import whom.
import PackageDescription

/// Settings of every Swift target: warnings are errors, and spans may carry lifetimes.
let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableExperimentalFeature("Lifetimes"),
]

let package = Package(
  name: "strata",
  products: [
    .library(name: "StackCore", targets: ["StackCore"]),
    .library(name: "StackSim", targets: ["StackSim"]),
    .library(name: "StackRuntime", targets: ["StackRuntime"]),
    .library(name: "Strata", targets: ["Strata"]),
    .library(name: "LayerConformance", targets: ["LayerConformance"]),
    .library(name: "PeersterVocabulary", targets: ["PeersterVocabulary"]),
    .library(name: "Gossip", targets: ["Gossip"]),
    .library(name: "Routing", targets: ["Routing"]),
    .library(name: "FileShare", targets: ["FileShare"]),
    .library(name: "Search", targets: ["Search"]),
    .library(name: "Hashing", targets: ["Hashing"]),
    .executable(name: "strata", targets: ["node"]),
  ],
  targets: [
    // System libraries, one module map each.
    .systemLibrary(name: "CEvent", pkgConfig: "libevent", providers: [.apt(["libevent-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    .target(name: "CDatagram"),
    .target(name: "CFiles"),
    // Opens libIPSec_MB when it is first needed; without it, or on other processors, it answers that it can't.
    .target(name: "CIPSecMB"),
    .target(name: "Hashing", dependencies: ["StackCore", "CSodium", "CIPSecMB"], swiftSettings: strict),
    // The console's page, put into the program as it stands.
    .target(name: "CConsole", path: "Sources/Console", exclude: ["page"]),

    // The seam and the engine; the two drivers; the command.
    .target(name: "StackCore", swiftSettings: strict, linkerSettings: [.linkedLibrary("m")]),
    .target(name: "StackSim", dependencies: ["StackCore"], swiftSettings: strict),
    .target(
      name: "StackRuntime", dependencies: ["StackCore", "CEvent", "CSQLite", "CSodium", "CDatagram", "CFiles"],
      swiftSettings: strict),
    .target(
      name: "Strata",
      dependencies: ["StackCore", "StackRuntime", "StackSim", "CConsole", "Gossip", "Routing", "FileShare", "Search"],
      swiftSettings: strict),
    .executableTarget(name: "node", dependencies: ["Strata"], swiftSettings: strict),
    .target(name: "LayerConformance", dependencies: ["StackCore", "StackSim"], swiftSettings: strict),

    // The layers, and the words by which they meet.
    .target(
      name: "PeersterVocabulary", dependencies: ["StackCore"], path: "Sources/Layers/Vocabulary",
      swiftSettings: strict),
    .target(
      name: "Gossip", dependencies: ["StackCore", "PeersterVocabulary"], path: "Sources/Layers/Gossip",
      swiftSettings: strict),
    .target(
      name: "Routing", dependencies: ["StackCore", "PeersterVocabulary"], path: "Sources/Layers/Routing",
      swiftSettings: strict),
    .target(
      name: "FileShare", dependencies: ["StackCore", "PeersterVocabulary", "Hashing"], path: "Sources/Layers/FileShare",
      swiftSettings: strict),
    .target(
      name: "Search", dependencies: ["StackCore", "PeersterVocabulary"], path: "Sources/Layers/Search",
      swiftSettings: strict),

    // Tests, one target a module.
    .testTarget(name: "StackCoreTests", dependencies: ["StackCore"], swiftSettings: strict),
    .testTarget(
      name: "StackRuntimeTests", dependencies: ["StackRuntime", "StackSim", "StackCore"], swiftSettings: strict),
    .testTarget(
      name: "StackSimTests", dependencies: ["StackSim", "StackCore", "LayerConformance"], swiftSettings: strict),
    .testTarget(
      name: "StrataTests",
      dependencies: ["Strata", "PeersterVocabulary", "StackCore", "StackRuntime", "StackSim"], swiftSettings: strict),
    .testTarget(
      name: "GossipTests", dependencies: ["Gossip", "PeersterVocabulary", "StackCore", "StackSim", "LayerConformance"],
      swiftSettings: strict),
    .testTarget(
      name: "RoutingTests",
      dependencies: ["Routing", "Gossip", "PeersterVocabulary", "StackCore", "StackSim", "LayerConformance"],
      swiftSettings: strict),
    .testTarget(
      name: "HashingTests", dependencies: ["Hashing", "CIPSecMB", "StackCore"], swiftSettings: strict),
    .testTarget(
      name: "FileShareTests",
      dependencies: [
        "FileShare", "Search", "Hashing", "Gossip", "Routing", "PeersterVocabulary", "StackCore", "StackSim",
        "StackRuntime", "LayerConformance",
      ], swiftSettings: strict),
    .testTarget(
      name: "SearchTests",
      dependencies: [
        "Search", "Gossip", "Routing", "PeersterVocabulary", "StackCore", "StackSim", "LayerConformance",
      ], swiftSettings: strict),
    .testTarget(name: "TidyTests", swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
