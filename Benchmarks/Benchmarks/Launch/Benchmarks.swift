import Benchmark
import Crypto
import Monitor
import Rampart
import SNPArchitecture

/// The launch of a firmware image of 2 MiB with 4 virtual CPUs, beside SHA-384 over the same bytes with the same library.
let benchmarks: @Sendable () -> Void = {
    let configuration = Benchmark.Configuration(
        metrics: [.wallClock], warmupIterations: 2, maxDuration: .seconds(20), maxIterations: 51)
    let plan = makePlan()
    nonisolated(unsafe) var launched: LaunchedGuest?
    Benchmark("launch of 2M, 4 vCPUs, host included", configuration: configuration) { benchmark in
        benchmark.startMeasurement()
        launched = try LaunchedGuest(plan)
        benchmark.stopMeasurement()
        launched = nil
    }
    nonisolated(unsafe) var host: EmulatedHost?
    Benchmark("launch of 2M, 4 vCPUs", configuration: configuration) { benchmark in
        benchmark.startMeasurement()
        launched = try LaunchedGuest(plan, on: host)
        benchmark.stopMeasurement()
        launched = nil
    } setup: {
        host = try EmulatedHost(forGuestsOf: 64 << 20)
    } teardown: {
        host = nil
    }
    let bytes = contents(of: plan)
    Benchmark("limit, SHA-384 of the bytes hashed", configuration: configuration) { benchmark in
        benchmark.startMeasurement()
        hash(bytes)
        benchmark.stopMeasurement()
    }
}

/// An image of 2 MiB: the bundled one with random bytes in front.
func makePlan() -> LaunchPlan {
    var generator = SystemRandomNumberGenerator()
    let tail = BundledImage.image.bytes
    let image = (0..<(2 << 20) - tail.count).map { _ in UInt8(truncatingIfNeeded: generator.next()) } + tail
    do {
        return try LaunchPlan(
            image: OVMFImage(image),
            configuration: LaunchConfiguration(vcpuCount: 4, signature: CPUSignature(rawValue: 0xa10f11)))
    } catch {
        preconditionFailure("the image is sound: \(error)")
    }
}

/// Everything that a launch hashes: measured pages, VMSAs, and 112 bytes for each page.
struct HashedBytes: Sendable {
    var pages: [[UInt8]] = []
    var pageInfoCount = 0
}

func contents(of plan: LaunchPlan) -> HashedBytes {
    var hashed = HashedBytes()
    for step in plan.steps {
        for page in 0..<step.pageCount {
            if step.kind == .normal, let bytes = plan.page(page, of: step) { hashed.pages.append(bytes) }
            hashed.pageInfoCount += 1
        }
    }
    for vcpu in 0..<plan.vcpuCount { hashed.pages.append(plan.vmsa(vcpu).bytes) }
    hashed.pageInfoCount += plan.vcpuCount
    return hashed
}

@inline(never)
func hash(_ hashed: HashedBytes) {
    for page in hashed.pages { blackHole(SHA384.hash(data: page)) }
    let info = [UInt8](repeating: 1, count: 112)
    for _ in 0..<hashed.pageInfoCount { blackHole(SHA384.hash(data: info)) }
}
