import Attestation
import SNPArchitecture
import Testing

@Suite("Certificate tables")
struct CertificateTableTests {
    static func table() -> CertificateTable {
        var table = CertificateTable()
        table[.vcek] = [1, 2, 3]
        table[.ask] = []
        table[.ark] = [9]
        return table
    }

    @Test("A table is its entries, an entry of zeros, and the contents")
    func bytes() throws {
        let bytes = Self.table().encoded
        #expect(bytes.count == 4 * 24 + 4)
        #expect(Array(bytes[0..<4]) == [0x63, 0xda, 0x75, 0x8d])
        #expect(Array(bytes[16..<24]) == [96, 0, 0, 0, 3, 0, 0, 0])
        #expect(bytes[72..<96].allSatisfy { $0 == 0 })
        #expect(Array(bytes[96...]) == [1, 2, 3, 9])
        let again = try CertificateTable(decoding: bytes)
        #expect(again == Self.table())
        #expect(again[.vcek] == [1, 2, 3] && again[.vlek] == nil)
        #expect(try CertificateTable(decoding: [UInt8](repeating: 0, count: 24)) == CertificateTable())
    }

    @Test(
        "A table that is not whole is refused for its cause",
        arguments: [
            (16, UInt8(95), CertificateTableError.outside(entry: 0)), (19, 0xff, .outside(entry: 0)),
            (20, 5, .outside(entry: 0)), (23, 0xff, .outside(entry: 0)), (64, 100, .outside(entry: 2)),
        ])
    func refused(_ offset: Int, _ value: UInt8, _ cause: CertificateTableError) {
        var bytes = Self.table().encoded
        bytes[offset] = value
        #expect(throws: cause) { try CertificateTable(decoding: bytes) }
    }

    @Test("A table without terminator, or with an entry twice, is refused")
    func terminator() {
        let bytes = Self.table().encoded
        for count in 0..<96 {
            #expect(throws: CertificateTableError.noTerminator) {
                try CertificateTable(decoding: Array(bytes.prefix(count)))
            }
        }
        var twice = bytes
        twice.replaceSubrange(24..<40, with: bytes[0..<16])
        #expect(throws: CertificateTableError.duplicate(entry: 1)) { try CertificateTable(decoding: twice) }
        var overlapping = bytes
        overlapping.replaceSubrange(40..<48, with: bytes[16..<24])
        #expect(throws: CertificateTableError.outside(entry: 1)) { try CertificateTable(decoding: overlapping) }
    }
}

@Suite("Finding a chain among certificates")
struct FindingTests {
    @Test("The order of the certificates does not matter, and others do no harm")
    func order() throws {
        let scenario = Scenario(.genoa, .v3)
        let other = Scenario(.milan, .v3)
        let all = try [
            other.ark, scenario.endorsement, scenario.ark, other.ask, scenario.ask,
        ].map { try Certificate(der: try $0.der()) }
        let chain = try EndorsementChain(finding: all, trust: .given, at: scenario.date)
        #expect(chain.product == .genoa && chain.role == .vcek)
        #expect(try chain.verify(report: scenario.reportBytes()).version == .v3)
    }

    @Test("Of VCEK and VLEK the preferred one is taken")
    func preferred() throws {
        let chip = Scenario(.milan, .v3)
        let loaded = Scenario(.milan, .v3, vlek: true)
        let all = try [chip.ark, chip.ask, loaded.ask, loaded.endorsement, chip.endorsement].map {
            try Certificate(der: try $0.der())
        }
        for role in [CertificateRole.vcek, .vlek] {
            let chain = try EndorsementChain(finding: all, preferred: role, trust: .given, at: chip.date)
            #expect(chain.role == role)
        }
    }

    @Test("A certificate that is missing is named")
    func missing() throws {
        let scenario = Scenario(.turin, .v5)
        let ark = try Certificate(der: try scenario.ark.der())
        let ask = try Certificate(der: try scenario.ask.der())
        let vcek = try Certificate(der: try scenario.endorsement.der())
        let rows: [([Certificate], CertificateRole)] = [
            ([], .vcek), ([ark, ask], .vcek), ([ark, vcek], .ask), ([vcek, ask], .ark),
        ]
        for (certificates, role) in rows {
            #expect(throws: AttestationError.missingCertificate(role)) {
                try EndorsementChain(finding: certificates, trust: .given, at: scenario.date)
            }
        }
    }
}
