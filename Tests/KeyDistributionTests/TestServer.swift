// A server whose documents are plain bytes that name the request, and a client that makes no pauses but notes them.

import Attestation
import SNPArchitecture
import Synchronization

@testable import KeyDistribution

/// What the server gives out: long enough to be cut.
func document(_ request: KeyDistributionRequest) -> [UInt8]? {
    if case .endorsement(_, let chip, _) = request, chip[0] == 0xee { return nil }
    return Array(String(repeating: "document \(request.target)\n", count: 20).utf8)
}

let knownChip: [UInt8] = (0..<64).map { UInt8($0 * 3 + 1) }
let unknownChip: [UInt8] = [UInt8](repeating: 0xee, count: 64)
let turinChip: [UInt8] = Array(knownChip[..<8]) + [UInt8](repeating: 0, count: 56)
let milanTCB = TCBVersion(TCBComponents(fmc: 0, bootLoader: 4, tee: 0, snp: 22, microcode: 213), layout: .milanGenoa)
let turinTCB = TCBVersion(TCBComponents(fmc: 1, bootLoader: 2, tee: 3, snp: 4, microcode: 85), layout: .turin)

/// Runs a body with a server that is stopped afterwards.
@discardableResult
func withServer<Result>(
    limits: ServerLimits = ServerLimits(), faults: FaultPlan = FaultPlan(),
    document: @escaping @Sendable (KeyDistributionRequest) -> [UInt8]? = document,
    _ body: (KeyDistributionServer) throws -> Result
) throws -> Result {
    let server = try KeyDistributionServer(limits: limits, faults: faults, document: document)
    defer { server.stop() }
    return try body(server)
}

/// The pauses that a client wanted to make.
final class Pauses: Sendable {
    private let list = Mutex<[Duration]>([])
    var all: [Duration] { list.withLock { $0 } }
    func note(_ duration: Duration) { list.withLock { $0.append(duration) } }
}

func makeClient(_ url: String, _ policy: RetryPolicy = RetryPolicy()) throws -> (KeyDistributionClient, Pauses) {
    let pauses = Pauses()
    var client = try KeyDistributionClient(url: url, policy: policy)
    client.pause = { pauses.note($0) }
    return (client, pauses)
}
