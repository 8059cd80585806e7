// swift-tools-version: 6.2
// Fuzz: what a stranger can say to a node, tried by libFuzzer; built with `swift build --sanitize=fuzzer`.
import PackageDescription

let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableExperimentalFeature("Lifetimes"),
]

/// One fuzz target; libFuzzer brings its own `main`.
func fuzzer(_ name: String, _ more: Target.Dependency...) -> Target {
  .executableTarget(
    name: name, dependencies: ["FuzzSupport", .product(name: "StackCore", package: "strata")] + more,
    swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])])
}

let package = Package(
  name: "fuzz",
  dependencies: [.package(name: "strata", path: "..")],
  targets: [
    .target(
      name: "FuzzSupport",
      dependencies: [
        .product(name: "StackCore", package: "strata"), .product(name: "StackSim", package: "strata"),
      ], swiftSettings: strict),
    fuzzer("FuzzWire"), fuzzer("FuzzText"),
    fuzzer("FuzzNode", .product(name: "Strata", package: "strata")),
    fuzzer("FuzzConfig", .product(name: "Strata", package: "strata")),
  ],
  swiftLanguageModes: [.v6]
)
