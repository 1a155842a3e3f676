// swift-tools-version: 6.2
import PackageDescription

// Benchmarks have a package of their own, so that their dependencies do not reach Rampart's users.
let benchmark: Target.Dependency = .product(name: "Benchmark", package: "benchmark")
let plugin: Target.PluginUsage = .plugin(name: "BenchmarkPlugin", package: "benchmark")
let rampart: Target.Dependency = .product(name: "Rampart", package: "Rampart")

let package = Package(
    name: "Benchmarks",
    dependencies: [
        .package(name: "Rampart", path: ".."),
        // Without its default traits: the allocation counters need libraries that are not everywhere.
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.0", traits: []),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
    ],
    targets: [
        .executableTarget(
            name: "Reports", dependencies: [benchmark, rampart, .product(name: "Crypto", package: "swift-crypto")],
            path: "Benchmarks/Reports", plugins: [plugin]),
        .executableTarget(
            name: "Conversion", dependencies: [benchmark, rampart], path: "Benchmarks/Conversion", plugins: [plugin]),
        // Not the plugin's: Benchmarks/processor runs it in turn with others and counts processor time.
        .executableTarget(name: "ProcessorBenchmark", dependencies: [rampart], path: "Benchmarks/Processor"),
        .executableTarget(
            name: "Launch", dependencies: [benchmark, rampart, .product(name: "Crypto", package: "swift-crypto")],
            path: "Benchmarks/Launch", plugins: [plugin]),
    ],
    swiftLanguageModes: [.v6]
)
