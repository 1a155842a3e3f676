import Attestation
import SNPArchitecture
import Testing

/// One way to change a template, and the one cause for which the chain or the report must be refused.
struct Tampering: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var cause: AttestationError
    var product = AttestationProduct.milan
    var vlek = false
    var change: @Sendable (inout CertificateTemplate) -> Void
}

@Suite("Certificates that are signed well and say the wrong thing")
struct AuthorityTamperingTests {
    static let past = CertificateTime(year: 2025, month: 1, day: 1)
    static let future = CertificateTime(year: 2060, month: 1, day: 1)
    static let tamperings: [Tampering] = [
        Tampering(testDescription: "expired", cause: .expired(.vcek, since: past)) { $0.notAfter = past },
        Tampering(testDescription: "expired VLEK", cause: .expired(.vlek, since: past), vlek: true) {
            $0.notAfter = past
        },
        Tampering(testDescription: "not yet valid", cause: .notYetValid(.vcek, from: future), product: .turin) {
            $0.notBefore = future
        },
        Tampering(
            testDescription: "another product", cause: .chainProduct(.vcek, found: "Genoa-B1", expected: .milan)
        ) { $0.endorsement.productName = "Genoa-B1" },
        Tampering(
            testDescription: "a product that IA5String cannot hold",
            cause: .chainProduct(.vcek, found: "Mil\u{e1}n", expected: .milan)
        ) { $0.endorsement.productName = "Mil\u{e1}n" },
        Tampering(testDescription: "no product", cause: .missingExtension(.vcek, "productName")) {
            $0.endorsement.productName = nil
        },
        Tampering(testDescription: "another name", cause: .wrongSubject(.vcek, found: "SEV-VLEK")) {
            $0.commonName = "SEV-VLEK"
        },
        Tampering(
            testDescription: "another SNP level", cause: .reportedTCB(.snp, report: 8, certificate: 9), product: .genoa
        ) { $0.endorsement.patchLevels[3] = 9 },
        Tampering(
            testDescription: "another FMC level", cause: .reportedTCB(.fmc, report: 2, certificate: 200),
            product: .turin
        ) { $0.endorsement.patchLevels[9] = 200 },
        Tampering(testDescription: "no FMC level", cause: .missingExtension(.vcek, "fmcSPL"), product: .turin) {
            $0.endorsement.patchLevels[9] = nil
        },
        Tampering(testDescription: "another chip", cause: .chipID) { $0.endorsement.hardwareID?[0] ^= 1 },
        Tampering(testDescription: "no chip", cause: .missingExtension(.vcek, "hwID")) {
            $0.endorsement.hardwareID = nil
        },
    ]

    @Test("They are refused for what they say", arguments: tamperings)
    func refused(_ tampering: Tampering) throws {
        let scenario = AuthorityScenario(tampering.product, vlek: tampering.vlek)
        var template = try scenario.template()
        #expect(try scenario.authority.sign(template) == (try scenario.endorsement()))
        tampering.change(&template)
        let endorsement = try scenario.authority.sign(template)
        let report = try scenario.scenario.reportBytes()
        #expect(throws: tampering.cause) { try scenario.chain(endorsement).verify(report: report) }
    }

    @Test("Another product's authority cannot stand in")
    func otherAuthority() throws {
        let milan = AuthorityScenario(.milan)
        let genoa = TestAuthority(product: .genoa)
        let vcek = try genoa.vcek(
            publicKey: milan.publicKey, tcb: milan.tcb, chipIdentifier: milan.scenario.report.chipID)
        #expect(throws: AttestationError.wrongIssuer(.vcek, found: "SEV-Genoa-TEST", expected: "SEV-Milan-TEST")) {
            try milan.chain(vcek)
        }
        #expect(throws: AttestationError.chainProduct(.ask, found: "Genoa", expected: .milan)) {
            try AuthorityChain(ark: milan.authority.ark, intermediate: genoa.ask, trust: .given, at: milan.date)
        }
    }
}
