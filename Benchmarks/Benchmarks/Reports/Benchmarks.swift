import Attestation
import Benchmark
import Crypto
import SNPArchitecture

/// Reports made by the firmware and judged by a verifier, beside the cryptography library's own P-384 in the same run.
let benchmarks: @Sendable () -> Void = {
    let count = 100
    let configuration = Benchmark.Configuration(
        metrics: [.wallClock], timeUnits: .microseconds, warmupIterations: 2, maxDuration: .seconds(20),
        maxIterations: 51)

    let key = P384.Signing.PrivateKey()
    let bytes = [UInt8](repeating: 7, count: AttestationReport.signedByteCount)
    Benchmark("limit, 100 P-384 signatures", configuration: configuration) { benchmark in
        benchmark.startMeasurement()
        for _ in 0..<count { blackHole(try key.signature(for: SHA384.hash(data: bytes))) }
        benchmark.stopMeasurement()
    }

    nonisolated(unsafe) var guest: ReportingGuest?
    Benchmark("100 reports signed", configuration: configuration) { benchmark in
        guard let guest else { preconditionFailure("set up") }
        let requests = try guest.seal(count)
        benchmark.startMeasurement()
        for request in requests { try guest.send(request) }
        benchmark.stopMeasurement()
    } setup: {
        guest = try ReportingGuest()
    } teardown: {
        guest = nil
    }

    let digest = SHA384.hash(data: bytes)
    guard let signature = try? key.signature(for: digest) else { preconditionFailure("P-384 refused to sign") }
    Benchmark("limit, 100 P-384 verifications", configuration: configuration) { benchmark in
        benchmark.startMeasurement()
        for _ in 0..<count {
            precondition(key.publicKey.isValidSignature(signature, for: SHA384.hash(data: bytes)))
        }
        benchmark.stopMeasurement()
    }

    nonisolated(unsafe) var judged: (chain: EndorsementChain, reports: [[UInt8]])?
    var policy = ReportPolicy()
    policy.minimumGuestSVN = 0
    policy.reportData = [UInt8](repeating: 0, count: 64)
    policy.maximumVMPL = 0
    let expectations = policy
    func judge(_ rounds: Int) throws {
        guard let judged else { preconditionFailure("set up") }
        for _ in 0..<rounds {
            for report in judged.reports { blackHole(try judged.chain.verify(report: report, policy: expectations)) }
        }
    }
    let prepare: @Sendable () async throws -> Void = {
        let guest = try ReportingGuest()
        judged = (try ReportingGuest.verified(try guest.certificates()), try guest.reports(count))
    }
    Benchmark("100 reports verified against one chain", configuration: configuration) { benchmark in
        benchmark.startMeasurement()
        try judge(1)
        benchmark.stopMeasurement()
    } setup: {
        try await prepare()
    }
    // A run this long is interrupted by whatever else the machine does, so it has a limit of its own length.
    let long = Benchmark.Configuration(metrics: [.wallClock], maxDuration: .seconds(60), maxIterations: 5)
    Benchmark("limit, 10000 P-384 verifications", configuration: long) { benchmark in
        benchmark.startMeasurement()
        for _ in 0..<10_000 {
            precondition(key.publicKey.isValidSignature(signature, for: SHA384.hash(data: bytes)))
        }
        benchmark.stopMeasurement()
    }
    Benchmark("10000 reports verified against one chain", configuration: long) { benchmark in
        benchmark.startMeasurement()
        try judge(100)
        benchmark.stopMeasurement()
    } setup: {
        try await prepare()
    }
    nonisolated(unsafe) var certificates: ReportingGuest.Certificates?
    Benchmark("one chain verified", configuration: configuration) { benchmark in
        guard let certificates else { preconditionFailure("set up") }
        benchmark.startMeasurement()
        blackHole(try ReportingGuest.verified(certificates))
        benchmark.stopMeasurement()
    } setup: {
        certificates = try ReportingGuest().certificates()
    }
}
