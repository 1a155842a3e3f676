// swift-tools-version: 6.2
import PackageDescription

// Strict memory safety marks every unsafe expression; the upcoming features make imports and existentials explicit.
let strict: [SwiftSetting] = [
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

// The one module of raw pointers throughout: marking each expression would hide the code. RAMPART_THREADED joins handlers by
// tail calls, which only the optimiser makes. Handlers that call nothing need no frame, and each shall be a function of its own:
// merged ones would share one indirect jump. SwiftPM has no other way to say either; "unsafe" are all flags that it does not know.
let raw: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .define("RAMPART_THREADED", .when(configuration: .release)),
    .unsafeFlags(
        ["-Xcc", "-momit-leaf-frame-pointer", "-Xllvm", "-swiftmergefunc-threshold=0"],
        .when(configuration: .release)),
]

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

// The modules, lowest first. A module imports only modules above it in this list; Scripts/check-layers holds that.
let package = Package(
    name: "Rampart",
    products: [
        .library(
            name: "Rampart",
            targets: [
                "SNPArchitecture", "Machine", "Processor", "ScriptedGuest", "SecureProcessor", "Hypervisor", "Monitor",
                "Attestation",
                "KeyDistribution", "Exploration", "Rampart",
            ]),
        // The emulated machine without the façade, for packages that want to build no more than that.
        .library(
            name: "Emulation",
            targets: [
                "SNPArchitecture", "Scheduling", "Machine", "ScriptedGuest", "SecureProcessor", "Hypervisor", "Monitor",
                "Attestation",
            ]),
        .executable(name: "rampart", targets: ["RampartTool"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    ],
    targets: [
        .target(name: "CPlatform"),
        .target(name: "SNPArchitecture", swiftSettings: strict),
        .target(name: "Scheduling", dependencies: ["CPlatform"], swiftSettings: strict),
        .target(
            name: "Machine",
            dependencies: ["SNPArchitecture", "Scheduling", "CPlatform", crypto, cryptoExtras],
            swiftSettings: strict),
        .target(name: "ProcessorCore", dependencies: ["CPlatform"], swiftSettings: raw),
        .target(
            name: "Processor",
            dependencies: ["SNPArchitecture", "Scheduling", "Machine", "ProcessorCore", "CPlatform"],
            swiftSettings: strict),
        .target(
            name: "ScriptedGuest",
            dependencies: ["SNPArchitecture", "Scheduling", "Machine", crypto],
            swiftSettings: strict),
        .target(
            name: "SecureProcessor",
            dependencies: ["SNPArchitecture", "Scheduling", "Machine", crypto],
            swiftSettings: strict),
        .target(
            name: "Hypervisor",
            dependencies: ["SNPArchitecture", "Scheduling", "Machine"],
            swiftSettings: strict),
        .target(
            name: "Monitor",
            dependencies: ["SNPArchitecture", "Machine", "Hypervisor", "CPlatform", crypto],
            swiftSettings: strict),
        .target(
            name: "Attestation",
            dependencies: ["SNPArchitecture", crypto, cryptoExtras, asn1],
            swiftSettings: strict),
        .target(
            name: "KeyDistribution",
            dependencies: ["SNPArchitecture", "Attestation", nioCore, nioPosix, nioHTTP],
            swiftSettings: strict),
        .target(name: "ReferenceModel", dependencies: ["SNPArchitecture"], swiftSettings: strict),
        .target(
            name: "Exploration",
            dependencies: [
                "SNPArchitecture", "Scheduling", "Machine", "ScriptedGuest", "SecureProcessor", "Hypervisor",
                "ReferenceModel",
            ],
            swiftSettings: strict),
        .target(
            name: "Rampart",
            dependencies: [
                "SNPArchitecture", "Scheduling", "Machine", "Processor", "ScriptedGuest", "SecureProcessor",
                "Hypervisor",
                "Monitor", "Attestation", "ReferenceModel", "Exploration",
            ],
            swiftSettings: strict),
        .target(
            name: "RampartCLI",
            dependencies: [
                "SNPArchitecture", "CPlatform", "Monitor", "Attestation", "KeyDistribution", "Exploration", "Rampart",
                argumentParser,
            ],
            swiftSettings: strict),
        .executableTarget(name: "RampartTool", dependencies: ["RampartCLI", argumentParser], swiftSettings: strict),
        .executableTarget(
            name: "scripted-benchmark",
            dependencies: ["SNPArchitecture", "Machine", "ScriptedGuest", "Hypervisor", "Rampart"],
            path: "Benchmarks/Scripted"),

        .testTarget(name: "SNPArchitectureTests", dependencies: ["SNPArchitecture"], swiftSettings: strict),
        .testTarget(name: "SchedulingTests", dependencies: ["Scheduling"], swiftSettings: strict),
        .testTarget(name: "MachineTests", dependencies: ["Machine", "Scheduling"], swiftSettings: strict),
        .target(name: "NativeProcessor", path: "Tests/NativeProcessor"),
        .testTarget(
            name: "ProcessorTests",
            dependencies: ["NativeProcessor", "Processor", "ProcessorCore", "SNPArchitecture", "Machine", "CPlatform"],
            exclude: ["Programs"], swiftSettings: strict),
        .testTarget(
            name: "ScriptedGuestTests",
            dependencies: ["ScriptedGuest", "SecureProcessor", "Hypervisor", "Machine", "Rampart", crypto],
            exclude: ["Scripts"], swiftSettings: strict),
        .testTarget(
            name: "KeyDistributionTests",
            dependencies: ["KeyDistribution", "Attestation", "SNPArchitecture", nioCore, nioPosix, nioHTTP],
            swiftSettings: strict),
        .testTarget(
            name: "ExplorationTests",
            dependencies: ["Exploration", "Hypervisor", "Machine", "Scheduling", "Rampart"],
            swiftSettings: strict),
        .testTarget(
            name: "SecureProcessorTests", dependencies: ["SecureProcessor", "Machine", crypto], swiftSettings: strict),
        .testTarget(
            name: "HypervisorTests",
            dependencies: [
                "Hypervisor", "ScriptedGuest", "SecureProcessor", "Machine", "Scheduling", "ReferenceModel", "Rampart",
            ],
            swiftSettings: strict),
        .testTarget(name: "MonitorTests", dependencies: ["Monitor", "Rampart", crypto], swiftSettings: strict),
        .testTarget(
            name: "AttestationTests",
            dependencies: ["Attestation", "SNPArchitecture", crypto, cryptoExtras, asn1],
            swiftSettings: strict),
        .testTarget(
            name: "RampartCLITests",
            dependencies: [
                "SNPArchitecture", "Machine", "Hypervisor", "Monitor", "Attestation", "KeyDistribution", "RampartCLI",
                "Rampart",
            ],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
