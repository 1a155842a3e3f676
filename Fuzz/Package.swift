// swift-tools-version: 6.2
import PackageDescription

// Fuzz targets have a package of their own: they are built with sanitizers, and nobody else needs them. Fuzz/run builds
// them; the tests replay seeds and crashers and need no sanitizer.
let emulation: Target.Dependency = .product(name: "Emulation", package: "Rampart")

let package = Package(
    name: "Fuzz",
    dependencies: [.package(name: "Rampart", path: "..")],
    targets: [
        .target(name: "Fuzzing", dependencies: [emulation]),
        // libFuzzer brings main.
        .executableTarget(
            name: "Fuzz", dependencies: ["Fuzzing"],
            swiftSettings: [.unsafeFlags(["-parse-as-library"])],
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer"])]),
        .testTarget(name: "FuzzTests", dependencies: ["Fuzzing"]),
    ],
    swiftLanguageModes: [.v6]
)
