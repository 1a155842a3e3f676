import Attestation
import SNPArchitecture
import Testing

@Suite("Reports against a verified chain")
struct ReportMutationTests {
    @Test("A good report of each product and version verifies", arguments: AttestationProduct.allCases)
    func good(_ product: AttestationProduct) throws {
        for version in AttestationReportVersion.allCases {
            for vlek in [false, true] {
                let scenario = Scenario(product, version, vlek: vlek)
                let report = try scenario.judge()
                #expect(report.version == version)
                #expect(report.measurement == scenario.report.measurement)
            }
        }
    }

    @Test("A chain verified once judges many reports")
    func manyReports() throws {
        var scenario = Scenario(.genoa, .v5)
        let chain = try scenario.chain()
        for index in 0..<20 {
            scenario.report.reportData[0] = UInt8(index)
            #expect(try chain.verify(report: scenario.reportBytes()).reportData[0] == UInt8(index))
        }
    }

    @Test("A byte changed after signing is refused", arguments: signedFields)
    func tampered(_ field: LayoutField) throws {
        var scenario = Scenario(.milan, .v5)
        for offset in [field.offset, field.offset + field.byteCount - 1] {
            scenario.reportPatches = [offset: 0x02]
            #expect(throws: AttestationError.reportSignature, "offset \(offset)") { try scenario.judge() }
        }
    }

    /// The fields whose change nothing but the signature betrays.
    static let signedFields = AttestationReport.fields(.v5).filter { field in
        field.offset < AttestationReport.signedByteCount && field.kind != .reserved
            && !["VERSION", "KEY_INFO", "SIGNATURE_ALGO"].contains(field.name)
    }

    @Test("Each spoilt report is refused for its cause", arguments: mutations)
    func refused(_ mutation: Mutation) { mutation.check() }

    static let mutations: [Mutation] = format + signature + tcb + identity

    static let format: [Mutation] = [
        Mutation("version 0", .report(.unknownVersion(0))) { $0.reportPatches = [0: 3] },
        Mutation("version 1", .report(.unknownVersion(1))) { $0.reportPatches = [0: 2] },
        Mutation("version 6", .report(.unknownVersion(6))) { $0.reportPatches = [0: 5] },
        Mutation("version with a high byte", .report(.unknownVersion(0x0100_0003))) { $0.reportPatches = [3: 1] },
        Mutation("version 2 with a processor", .report(.reservedBits(offset: 0x188))) { $0.reportPatches = [0: 1] },
        Mutation("version 3 with a mitigation", .report(.reservedBits(offset: 0x1f8))) {
            $0.reportPatches = [0x1f8: 1]
        },
        Mutation("KEY_INFO bit 5", .report(.reservedBits(offset: 0x48))) { $0.reportPatches = [0x48: 0x20] },
        Mutation("reserved word 04C", .report(.reservedBits(offset: 0x4f))) { $0.reportPatches = [0x4f: 0x80] },
        Mutation("reserved byte 1EB", .report(.reservedBits(offset: 0x1eb))) { $0.reportPatches = [0x1eb: 1] },
        Mutation("reserved byte 1EF", .report(.reservedBits(offset: 0x1ef))) { $0.reportPatches = [0x1ef: 1] },
        Mutation("last reserved signed byte", .report(.reservedBits(offset: 0x29f)), .milan, .v5) {
            $0.reportPatches = [0x29f: 1]
        },
        Mutation("bytes behind the signature", .report(.reservedBits(offset: 0x4a0 - 1))) {
            $0.reportPatches = [0x49f: 1]
        },
        Mutation("SIGNING_KEY 2", .report(.unknownSigningKey(2))) { $0.reportPatches = [0x48: 0x08] },
    ]

    static let signature: [Mutation] = [
        Mutation("unsigned", .unsigned) { $0.report.signingKey = .none },
        Mutation("VLEK report, VCEK certificate", .signingKey(report: .vlek, certificate: .vcek)) {
            $0.report.signingKey = .vlek
        },
        Mutation("VCEK report, VLEK certificate", .signingKey(report: .vcek, certificate: .vlek), vlek: true) {
            $0.report.signingKey = .vcek
        },
        Mutation("signature algorithm 0", .signatureAlgorithm(0)) { $0.report.signatureAlgorithm = 0 },
        Mutation("signature algorithm 2", .signatureAlgorithm(2)) { $0.report.signatureAlgorithm = 2 },
        Mutation("r above 384 bits", .signatureRange) { $0.reportPatches = [0x2a0 + 48: 1] },
        Mutation("s above 384 bits", .signatureRange) { $0.reportPatches = [0x2e8 + 71: 0x80] },
        Mutation("r changed", .reportSignature) { $0.reportPatches = [0x2a0: 1] },
        Mutation("s changed", .reportSignature) { $0.reportPatches = [0x2e8 + 20: 0x10] },
        Mutation("another key's signature", .reportSignature) { $0.reportKey = TestKeys.otherEndorsement },
        Mutation("another key's certificate", .reportSignature) { $0.endorsement.key = .otherEndorsement },
    ]

    static let tcb: [Mutation] = [
        Mutation("boot loader level", .reportedTCB(.bootLoader, report: 2, certificate: 3)) {
            $0.report.reportedTCB.rawValue ^= 0x01
        },
        Mutation("TEE level", .reportedTCB(.tee, report: 0, certificate: 1)) {
            $0.report.reportedTCB.rawValue ^= 0x0100
        },
        Mutation("SNP level", .reportedTCB(.snp, report: 9, certificate: 8), .genoa) {
            $0.report.reportedTCB.rawValue ^= 0x0001_0000_0000_0000
        },
        Mutation("microcode level", .reportedTCB(.microcode, report: 0xd3, certificate: 0xd4)) {
            $0.setExtension("3.8", DER.integer(0xd4))
        },
        Mutation("FMC level", .reportedTCB(.fmc, report: 2, certificate: 1), .turin) {
            $0.setExtension("3.9", DER.integer(1))
        },
        Mutation("Turin's SNP level", .reportedTCB(.snp, report: 9, certificate: 8), .turin) {
            $0.report.reportedTCB.rawValue ^= 0x0100_0000
        },
        Mutation("Milan's reserved TCB byte", .reportedTCBReserved(0x0400_0000)) {
            $0.report.reportedTCB.rawValue ^= 0x0400_0000
        },
        Mutation("Turin's reserved TCB byte", .reportedTCBReserved(0x0008_0000_0000_0000), .turin) {
            $0.report.reportedTCB.rawValue ^= 0x0008_0000_0000_0000
        },
        Mutation("no boot loader level", .missingExtension(.vcek, "blSPL")) { $0.setExtension("3.1", nil) },
        Mutation("no SNP level", .missingExtension(.vcek, "snpSPL")) { $0.setExtension("3.3", nil) },
        Mutation("no microcode level", .missingExtension(.vlek, "ucodeSPL"), vlek: true) {
            $0.setExtension("3.8", nil)
        },
        Mutation("no FMC level on Turin", .missingExtension(.vcek, "fmcSPL"), .turin) { $0.setExtension("3.9", nil) },
    ]

    static let identity: [Mutation] = [
        Mutation("chip id", .chipID) { $0.report.chipID[63] ^= 1 },
        Mutation("chip id of Turin", .chipID, .turin) { $0.report.chipID[0] ^= 1 },
        Mutation("bytes behind Turin's chip id", .chipID, .turin) { $0.report.chipID[8] = 1 },
        Mutation("Turin's certificate with a long id", .chipID, .turin) {
            $0.setExtension("4", $0.report.chipID)
        },
        Mutation("masked chip id", .chipIDMasked) { $0.report.chipID = [UInt8](repeating: 0, count: 64) },
        Mutation("no hwID", .missingExtension(.vcek, "hwID")) { $0.setExtension("4", nil) },
        Mutation("Genoa's processor, Milan's chain", .reportProduct(report: .genoa, chain: .milan)) {
            $0.report.processor = ReportedProcessor(family: 0x19, model: 0xa0, stepping: 2)
        },
        Mutation("Milan's processor, Turin's chain", .reportProduct(report: .milan, chain: .turin), .turin, .v5) {
            $0.report.processor = ReportedProcessor(family: 0x19, model: 1, stepping: 1)
        },
        Mutation(
            "a processor nobody knows", .unknownProcessor(ReportedProcessor(family: 0x17, model: 0x31, stepping: 0))
        ) {
            $0.report.processor = ReportedProcessor(family: 0x17, model: 0x31, stepping: 0)
        },
    ]
}
