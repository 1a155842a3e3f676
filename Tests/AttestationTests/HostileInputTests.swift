import Attestation
import SNPArchitecture
import Testing

@Suite("Input that means harm")
struct HostileInputTests {
    @Test("A certificate cut anywhere is refused")
    func truncated() throws {
        let good = try Scenario().endorsement.der()
        for count in 0..<good.count {
            #expect(throws: CertificateError.self, "\(count) bytes") { try Certificate(der: Array(good.prefix(count))) }
        }
        #expect(throws: CertificateError.self) { try Certificate(der: good + [0]) }
    }

    @Test("A revocation list cut anywhere is refused")
    func truncatedList() throws {
        let good = try TestRevocationList(serials: [1, 2, 3]).der()
        for count in 0..<good.count {
            #expect(throws: CertificateError.self, "\(count) bytes") {
                try RevocationList(der: Array(good.prefix(count)))
            }
        }
        #expect(try RevocationList(der: good).revoked == [[1], [2], [3]])
    }

    @Test("No changed byte of a certificate verifies, and none traps")
    func changed() throws {
        let scenario = Scenario()
        let ark = try Certificate(der: try scenario.ark.der())
        let ask = try Certificate(der: try scenario.ask.der())
        let authority = try AuthorityChain(ark: ark, intermediate: ask, trust: .given, at: scenario.date)
        let good = try scenario.endorsement.der()
        for offset in good.indices {
            var bad = good
            bad[offset] ^= UInt8(1 << (offset % 8))
            #expect(throws: (any Error).self, "offset \(offset)") {
                try EndorsementChain(endorsement: Certificate(der: bad), under: authority, at: scenario.date)
            }
        }
    }

    @Test("Noise is no certificate")
    func noise() {
        var state: UInt64 = 0x9e37_79b9_7f4a_7c15
        for count in 0..<2000 {
            let bytes: [UInt8] = (0..<(count % 97)).map { index in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return index == 0 ? 0x30 : UInt8(truncatingIfNeeded: state >> 56)
            }
            #expect(throws: CertificateError.self) { try Certificate(der: bytes) }
            #expect(throws: CertificateError.self) { try RevocationList(der: bytes) }
        }
    }

    @Test("Text that is no PEM certificate is refused for its cause")
    func text() throws {
        #expect(throws: CertificateError.noPEM) { try Certificate.all(pem: "") }
        #expect(throws: CertificateError.noPEM) { try Certificate.all(contents: [0xff, 0xfe]) }
        #expect(throws: CertificateError.noPEM) { try Certificate.all(contents: []) }
        let key = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
        #expect(throws: CertificateError.wrongPEMLabel("PUBLIC KEY")) { try Certificate.all(pem: key) }
        let open = "-----BEGIN CERTIFICATE-----\nAAAA\n"
        #expect(throws: CertificateError.self) { try Certificate.all(pem: open) }
        let good = try Certificate(der: try Scenario().ark.der())
        #expect(try Certificate.all(contents: Array(good.pem.utf8)) == [good])
        #expect(try Certificate.all(contents: good.der) == [good])
    }

    @Test("A report that is cut or empty is refused")
    func report() throws {
        let scenario = Scenario()
        let chain = try scenario.chain()
        let good = try scenario.reportBytes()
        for count in [0, 1, 4, 0x2a0, 0x49f] {
            #expect(throws: AttestationError.report(.length(count))) {
                try chain.verify(report: Array(good.prefix(count)))
            }
        }
        #expect(throws: AttestationError.signatureRange) {
            var bad = good
            bad.replaceSubrange(0x2a0..<0x330, with: [UInt8](repeating: 0, count: 0x90))
            try chain.verify(report: bad)
        }
    }

    @Test("Dates count from 1970, leap days included")
    func dates() {
        #expect(CertificateTime(year: 1970, month: 1, day: 1).secondsSince1970 == 0)
        #expect(CertificateTime(year: 2000, month: 3, day: 1).secondsSince1970 == 951_868_800)
        #expect(CertificateTime(year: 2024, month: 2, day: 29, hour: 23).secondsSince1970 == 1_709_247_600)
        #expect(CertificateTime(year: 2024, month: 2, day: 29, hour: 23).description == "2024-02-29")
        #expect(CertificateTime(year: 9999, month: 12, day: 31).description == "9999-12-31")
    }
}
