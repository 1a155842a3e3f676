// swift-tools-version: 6.2
import PackageDescription

// Fuzz targets have a package of their own: they are built with sanitizers, and nobody else needs them. Fuzz/run builds
// and runs them, Fuzz/replay plays all seeds and crashers.
let emulation: Target.Dependency = .product(name: "Emulation", package: "Rampart")

let package = Package(
    name: "Fuzz",
    dependencies: [.package(name: "Rampart", path: "..")],
    targets: [
        .target(name: "Fuzzing", dependencies: [emulation]),
        .target(name: "LibFuzzer"),
        // SwiftPM makes the program's main of Fuzz_main, in place of libFuzzer's own. gold cannot link what a sanitizer needs.
        .executableTarget(
            name: "Fuzz", dependencies: ["Fuzzing", "LibFuzzer"],
            swiftSettings: [.unsafeFlags(["-parse-as-library"])],
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
    ],
    swiftLanguageModes: [.v6]
)
