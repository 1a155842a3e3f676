import Attestation
import SNPArchitecture
import Testing

@testable import KeyDistribution

@Suite("The manufacturer of emulated chips")
struct ManufacturerTests {
    private static let today = CertificateTime(year: 2026, month: 6, day: 1)
    private static let point = generator

    private func withManufacturer(
        revoking: [CertificateRole] = [], faults: FaultPlan = FaultPlan(),
        _ body: (KeyDistributionClient) throws -> Void
    ) throws {
        let manufacturer = EmulatedManufacturer(revoking: revoking, now: { Self.today }) { chip, _, product in
            chip == (product == .turin ? turinChip : knownChip) ? Self.point : nil
        }
        try withServer(faults: faults, document: manufacturer.document) { server throws in
            try body(try makeClient(server.url).0)
        }
    }

    private func report(_ product: AttestationProduct, _ version: AttestationReportVersion) -> AttestationReport {
        var report = AttestationReport(
            version: version, policy: GuestPolicy(rawValue: 0x30000), measurement: Array(repeating: 1, count: 48))
        report.chipID = product == .turin ? turinChip : knownChip
        report.reportedTCB = product == .turin ? turinTCB : milanTCB
        if version.hasProcessor {
            report.processor =
                switch product {
                case .milan: ReportedProcessor(family: 0x19, model: 1, stepping: 1)
                case .genoa: ReportedProcessor(family: 0x19, model: 0x11, stepping: 1)
                case .turin: ReportedProcessor(family: 0x1a, model: 2, stepping: 1)
                }
        }
        return report
    }

    @Test("what is fetched for a report is a chain for its chip at its TCB", arguments: AttestationProduct.allCases)
    func chain(_ product: AttestationProduct) throws {
        try withManufacturer { client throws in
            let report = report(product, .v3)
            let served = try client.certificates(for: report)
            #expect(served.product == product)
            let authority = try AuthorityChain(
                ark: served.ark, intermediate: served.intermediate, trust: .given, at: Self.today,
                revocations: served.revocations)
            let chain = try EndorsementChain(endorsement: served.endorsement, under: authority, at: Self.today)
            #expect(chain.product == product && chain.role == .vcek)
            let extensions = served.endorsement.endorsement
            #expect(extensions.hardwareID == Array(report.chipID.prefix(product.chipIDByteCount)))
            let levels = report.reportedTCB.components(product.tcbLayout)
            #expect(extensions.patchLevels[1] == levels.bootLoader && extensions.patchLevels[8] == levels.microcode)
        }
    }

    @Test("the VLEK chain has the ASVK, and the list of revoked authorities names what it is told to")
    func others() throws {
        try withManufacturer(revoking: [.asvk]) { client throws in
            let (ark, intermediate) = try client.chain(.vlek, of: .genoa)
            #expect(intermediate == TestAuthority(product: .genoa).asvk && ark == TestAuthority(product: .genoa).ark)
            let list = try client.revocationList(.vlek, of: .genoa)
            #expect(list.revoked == [intermediate.serialNumber])
            #expect(throws: AttestationError.revoked(.asvk)) {
                try AuthorityChain(
                    ark: ark, intermediate: intermediate, trust: .given, at: Self.today, revocations: list)
            }
        }
    }

    @Test("a verifier whose clock is some hours behind accepts the list")
    func listDate() throws {
        try withManufacturer { client throws in
            let (ark, intermediate) = try client.chain(.vcek, of: .milan)
            let list = try client.revocationList(.vcek, of: .milan)
            let earlier = CertificateTime(secondsSince1970: Self.today.secondsSince1970 - 6 * 3600)
            _ = try AuthorityChain(
                ark: ark, intermediate: intermediate, trust: .given, at: earlier, revocations: list)
        }
    }

    @Test("a report of version 2 is fetched for by trial, or for the product named")
    func trial() throws {
        try withManufacturer { client throws in
            #expect(try client.certificates(for: report(.turin, .v2)).product == .turin)
            #expect(try client.certificates(for: report(.milan, .v2)).product == .milan)
            #expect(try client.certificates(for: report(.genoa, .v2), product: .genoa).product == .genoa)
        }
    }

    @Test("trial goes on after 404 and ends when no product has the chip")
    func trialFails() throws {
        let manufacturer = EmulatedManufacturer(now: { Self.today }) { _, _, product in
            product == .genoa ? Self.point : nil
        }
        try withServer(document: manufacturer.document) { server throws in
            let (client, _) = try makeClient(server.url)
            #expect(try client.certificates(for: report(.genoa, .v2)).product == .genoa)
            let expected = KeyDistributionError(.noProduct(tried: [.turin]), url: server.url, attempts: 1)
            #expect(throws: expected) { try client.certificates(for: report(.turin, .v2)) }
        }
    }

    @Test("faults on the way do not change what is fetched")
    func faults() throws {
        let plan = FaultPlan(
            [FaultRule(.tooManyRequests(retryAfterSeconds: 1), .every(2)), FaultRule(.serverError, .every(3))])
        try withManufacturer(faults: plan) { client throws in
            let served = try client.certificates(for: report(.genoa, .v5))
            #expect(served.ark == TestAuthority(product: .genoa).ark)
        }
    }

    @Test("a report that no server has certificates for is refused before anything is asked")
    func refusals() throws {
        var unsigned = report(.milan, .v3)
        unsigned.signingKey = .none
        var loaded = report(.milan, .v3)
        loaded.signingKey = .vlek
        var masked = report(.milan, .v3)
        masked.chipID = [UInt8](repeating: 0, count: 64)
        var foreign = report(.milan, .v3)
        let processor = ReportedProcessor(family: 0x17, model: 1, stepping: 0)
        foreign.processor = processor
        let expected: [(AttestationReport, KeyDistributionFailure)] = [
            (unsigned, .unsigned), (loaded, .loadedKey), (masked, .chipIDMasked),
            (foreign, .unknownProcessor(processor)),
        ]
        try withServer { server throws in
            let (client, _) = try makeClient(server.url)
            for (report, failure) in expected {
                #expect(throws: KeyDistributionError(failure, url: server.url)) { try client.certificates(for: report) }
            }
            #expect(server.counts.requests == 0)
        }
    }

    /// The base point of P-384, which is a public key like any other.
    private static let generator: [UInt8] = {
        let x = "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
        let y = "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f"
        let digits = Array((x + y).utf8)
        return stride(from: 0, to: digits.count, by: 2).map { index in
            (RequestTarget.digit(digits[index]) ?? 0) << 4 | (RequestTarget.digit(digits[index + 1]) ?? 0)
        }
    }()
}
