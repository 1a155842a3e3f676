// Ways to spoil a report or its chain, each with the one cause for which a verifier must refuse it. The causes are
// stated here, not asked of a verifier.

internal import Attestation
internal import SNPArchitecture

/// A named way to spoil a report or its chain.
public struct ReportTamper: Sendable {
    /// What a tampering works on.
    struct Context {
        let signer: ReportSigner
        let date: CertificateTime
        /// The report as it was.
        let report: AttestationReport
    }

    typealias Change = @Sendable (inout ReportArtifacts, Context) throws(InputError) -> AttestationError

    /// The name, such as "measurement".
    public let name: String
    /// What is changed, in words.
    public let summary: String
    private let change: Change

    init(_ name: String, _ summary: String, _ change: @escaping Change) {
        self.name = name
        self.summary = summary
        self.change = change
    }

    /// Every way that has a name, in the order in which they are listed.
    public static let all: [ReportTamper] = fields + forms + signatures + chips + authorities

    /// Finds a way by its name.
    public init?(named name: String) {
        guard let found = Self.all.first(where: { $0.name == name }) else { return nil }
        self = found
    }

    /// Spoils a good report or its chain; returns the cause for which a verifier must refuse it.
    ///
    /// - Throws: `InputError`, when this report cannot be spoilt in this way
    func apply(
        to artifacts: inout ReportArtifacts, signer: ReportSigner, at date: CertificateTime
    ) throws(InputError) -> AttestationError {
        let report: AttestationReport
        do throws(ReportFormatError) { report = try AttestationReport(decoding: artifacts.report) } catch {
            throw InputError("the report cannot be spoilt: \(error).")
        }
        guard report.signingKey != .none else {
            throw InputError("--tamper needs a signed report. Leave --mask-chip-key out.")
        }
        guard report.signingKey == .vlek || report.chipID.contains(where: { $0 != 0 }) else {
            throw InputError("--tamper needs a report that is good. Leave --mask-chip-id out.")
        }
        return try change(&artifacts, Context(signer: signer, date: date, report: report))
    }
}

extension ReportTamper {
    /// One bit of each field that only the signature protects.
    private static let fields: [ReportTamper] = AttestationReport.fields(.v2).compactMap { field in
        let checkedFirst = ["VERSION", "SIGNATURE_ALGO", "KEY_INFO"].contains(field.name)
        guard field.kind != .reserved, !checkedFirst, field.offset < AttestationReport.signedByteCount else {
            return nil
        }
        let name = field.name.lowercased().split(separator: "_").joined(separator: "-")
        return ReportTamper(name, "one bit of \(field.name)") { artifacts, _ throws(InputError) in
            artifacts.report[field.offset] ^= 0x02
            return .reportSignature
        }
    }

    /// What is no report, or one that nobody knows.
    private static let forms: [ReportTamper] = [
        ReportTamper("version-1", "VERSION is 1, which is not known") { artifacts, _ throws(InputError) in
            artifacts.report[0] = 1
            return .report(.unknownVersion(1))
        },
        ReportTamper("version-4", "VERSION is 4, which this report was not signed as") {
            artifacts, context throws(InputError) in
            artifacts.report[0] = 4
            // What a version 5 report says of mitigations is reserved in version 4; here those words are zero.
            return .reportSignature
        },
        ReportTamper("version-6", "VERSION is 6, which is not known") { artifacts, _ throws(InputError) in
            artifacts.report[0] = 6
            return .report(.unknownVersion(6))
        },
        ReportTamper("reserved", "a reserved byte is not zero") { artifacts, _ throws(InputError) in
            artifacts.report[0x4f] = 1
            return .report(.reservedBits(offset: 0x4f))
        },
        ReportTamper("trailing-bytes", "16 bytes follow the report") { artifacts, _ throws(InputError) in
            artifacts.report += [UInt8](repeating: 0, count: 16)
            return .report(.length(AttestationReport.byteCount + 16))
        },
        ReportTamper("truncated", "the last 16 bytes are missing") { artifacts, _ throws(InputError) in
            artifacts.report.removeLast(16)
            return .report(.length(AttestationReport.byteCount - 16))
        },
        ReportTamper("signing-key", "SIGNING_KEY is 2, which has no meaning") { artifacts, _ throws(InputError) in
            artifacts.report[0x48] = artifacts.report[0x48] & 0xe3 | 2 << 2
            return .report(.unknownSigningKey(2))
        },
        ReportTamper("unsigned", "SIGNING_KEY says that nobody signed") { artifacts, _ throws(InputError) in
            artifacts.report[0x48] |= 7 << 2
            return .unsigned
        },
        ReportTamper("other-signer", "SIGNING_KEY says VLEK where the VCEK signed, or the other way") {
            artifacts, context throws(InputError) in
            artifacts.report[0x48] ^= 1 << 2
            let isVLEK = context.signer.role == .vlek
            return .signingKey(report: isVLEK ? .vcek : .vlek, certificate: context.signer.role)
        },
    ]

    /// The signature.
    private static let signatures: [ReportTamper] = [
        ReportTamper("signature-algo", "SIGNATURE_ALGO is 2, which has no meaning") { artifacts, _ throws(InputError) in
            artifacts.report[0x34] = 2
            return .signatureAlgorithm(2)
        },
        ReportTamper("signature-r", "one bit of the signature's r") { artifacts, _ throws(InputError) in
            artifacts.report[0x2a0] ^= 1
            return .reportSignature
        },
        ReportTamper("signature-s", "one bit of the signature's s") { artifacts, _ throws(InputError) in
            artifacts.report[0x2e8] ^= 1
            return .reportSignature
        },
        ReportTamper("signature-zero", "r of the signature is zero") { artifacts, _ throws(InputError) in
            artifacts.report.replaceSubrange(0x2a0..<0x2e8, with: [UInt8](repeating: 0, count: 72))
            return .signatureRange
        },
        ReportTamper("signature-range", "r of the signature has more than 384 bits") {
            artifacts, _ throws(InputError) in
            artifacts.report[0x2a0 + 48] = 1
            return .signatureRange
        },
    ]
}
