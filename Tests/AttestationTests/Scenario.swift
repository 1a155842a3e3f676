import Attestation
import Crypto
import SNPArchitecture

/// A report with its chain, good unless a test spoils it.
struct Scenario {
    static let arc = "1.3.6.1.4.1.3704.1."
    var ark: TestCertificate
    var ask: TestCertificate
    var endorsement: TestCertificate
    var report: AttestationReport
    var reportKey = TestKeys.endorsement
    /// Bits to flip in the report after signing.
    var reportPatches: [Int: UInt8] = [:]
    var date = CertificateTime(year: 2026, month: 6, day: 1)
    var trust = RootTrust.given
    var revocations: TestRevocationList?
    var policy: ReportPolicy?

    init(_ product: AttestationProduct = .milan, _ version: AttestationReportVersion = .v2, vlek: Bool = false) {
        let name = product.rawValue
        let intermediate = vlek ? "SEV-VLEK-\(name)" : "SEV-\(name)"
        ark = TestCertificate(
            serial: 1, subject: "ARK-\(name)", issuer: "ARK-\(name)", key: .root, signer: .root, isAuthority: true,
            keyUsage: [1, 0x06])
        ask = TestCertificate(
            serial: 0x10001, subject: intermediate, issuer: "ARK-\(name)", key: .intermediate, signer: .root,
            isAuthority: true, keyUsage: [2, 0x04])
        endorsement = TestCertificate(
            serial: 0, subject: vlek ? "SEV-VLEK" : "SEV-VCEK", issuer: intermediate, key: .endorsement,
            signer: .intermediate, isAuthority: false)
        report = AttestationReport(
            version: version, policy: .standard, measurement: [UInt8](repeating: 0x4d, count: 48))
        let levels = TCBComponents(fmc: product == .turin ? 2 : 0, bootLoader: 3, tee: 1, snp: 8, microcode: 0xd3)
        let tcb = TCBVersion(levels, layout: product.tcbLayout)
        report.currentTCB = tcb
        report.reportedTCB = tcb
        report.committedTCB = tcb
        report.launchTCB = tcb
        report.guestSVN = 4
        report.reportData = (0..<64).map { UInt8($0) }
        report.signingKey = vlek ? .vlek : .vcek
        let chip = (1...product.chipIDByteCount).map { UInt8($0) }
        report.chipID = chip + [UInt8](repeating: 0, count: 64 - chip.count)
        let models: [AttestationProduct: (UInt8, UInt8)] = [
            .milan: (0x19, 0x01), .genoa: (0x19, 0x11), .turin: (0x1a, 0x02),
        ]
        if version.hasProcessor, let (family, model) = models[product] {
            report.processor = ReportedProcessor(family: family, model: model, stepping: 1)
        }
        if version.hasMitigationVectors {
            report.launchMitigations = 3
            report.currentMitigations = 7
        }
        endorsement.extensions = [
            (Self.arc + "1", DER.integer(0)), (Self.arc + "2", DER.text(vlek ? name : "\(name)-B0", tag: 0x16)),
            (Self.arc + "3.1", DER.integer(3)), (Self.arc + "3.2", DER.integer(1)), (Self.arc + "3.3", DER.integer(8)),
            (Self.arc + "3.8", DER.integer(0xd3)),
        ]
        if product == .turin { endorsement.extensions.append((Self.arc + "3.9", DER.integer(2))) }
        if vlek {
            endorsement.extensions.append((Self.arc + "5", DER.text("provider", tag: 0x16)))
        } else {
            endorsement.extensions.append((Self.arc + "4", chip))
        }
    }

    /// Replaces the value of an extension of AMD's, or takes the extension out.
    mutating func setExtension(_ suffix: String, _ value: [UInt8]?) {
        endorsement.extensions.removeAll { $0.0 == Self.arc + suffix }
        if let value { endorsement.extensions.append((Self.arc + suffix, value)) }
    }

    func reportBytes() throws -> [UInt8] {
        var signed = report
        let bytes = signed.encoded[..<AttestationReport.signedByteCount]
        let numbers = try reportKey.signature(for: bytes).rawRepresentation
        signed.signature = FirmwareSignature(p384BigEndian: Array(numbers))
        var encoded = signed.encoded
        for (offset, mask) in reportPatches { encoded[offset] ^= mask }
        return encoded
    }

    /// Reads and judges everything, in the order of a verifier.
    func judge() throws -> AttestationReport {
        let chain = try chain()
        return try chain.verify(report: try reportBytes(), policy: policy)
    }

    func chain() throws -> EndorsementChain {
        let ark = try Self.read(.ark, try ark.der())
        let ask = try Self.read(.ask, try ask.der())
        let endorsement = try Self.read(.vcek, try endorsement.der())
        let list = try revocations.map { try RevocationList(der: try $0.der()) }
        let authority = try AuthorityChain(ark: ark, intermediate: ask, trust: trust, at: date, revocations: list)
        return try EndorsementChain(endorsement: endorsement, under: authority, at: date)
    }

    private static func read(_ role: CertificateRole, _ der: [UInt8]) throws(AttestationError) -> Certificate {
        do throws(CertificateError) { return try Certificate(der: der) } catch { throw .certificate(role, error) }
    }
}
