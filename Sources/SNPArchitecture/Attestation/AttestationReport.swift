// The attestation report as a pure value, versions 2 to 5, with its table of fields.
//
// Leaves out who signs it and what a verifier makes of it.

/// Why bytes are not an attestation report.
public enum ReportFormatError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The length is not 1184 bytes.
    case length(Int)
    /// The version is none that is known.
    case unknownVersion(UInt32)
    /// The byte at this offset has bits set that must be zero in this version.
    case reservedBits(offset: Int)
    /// SIGNING_KEY has a value without a meaning.
    case unknownSigningKey(UInt32)

    /// The cause in words.
    public var description: String {
        switch self {
        case .length(let count): "the report has \(count) bytes, not \(AttestationReport.byteCount)"
        case .unknownVersion(let version): "report version \(version) is not known; versions 2 to 5 are"
        case .reservedBits(let offset): "reserved bits at offset 0x\(String(offset, radix: 16)) are not zero"
        case .unknownSigningKey(let value): "SIGNING_KEY \(value) has no meaning"
        }
    }
}

/// An attestation report.
///
/// - Spec: FWABI 56860, ATTESTATION_REPORT
/// - Deviates: versions 3 to 5 follow what public verifiers read; version 4 is read as version 3
public struct AttestationReport: Hashable, Sendable {
    /// 0x4A0.
    public static let byteCount = 0x4a0
    /// The bytes that the signature covers: the first 0x2A0.
    public static let signedByteCount = 0x2a0

    /// VERSION.
    public var version: AttestationReportVersion
    /// GUEST_SVN, from the ID block.
    public var guestSVN: UInt32 = 0
    /// POLICY.
    public var policy: GuestPolicy
    /// FAMILY_ID, 16 bytes.
    public var familyID = [UInt8](repeating: 0, count: 16)
    /// IMAGE_ID, 16 bytes.
    public var imageID = [UInt8](repeating: 0, count: 16)
    /// VMPL that the request named.
    public var vmpl: UInt32 = 0
    /// SIGNATURE_ALGO: 1 is ECDSA P-384 with SHA-384.
    public var signatureAlgorithm: UInt32 = 1
    /// CURRENT_TCB.
    public var currentTCB = TCBVersion(rawValue: 0)
    /// PLATFORM_INFO.
    public var platformInfo = ReportPlatformInfo()
    /// AUTHOR_KEY_EN: the ID key was signed by an author key.
    public var authorKeyEnabled = false
    /// MASK_CHIP_KEY: the host had the chip's key masked.
    public var chipKeyMasked = false
    /// SIGNING_KEY.
    public var signingKey = ReportSigningKey.vcek
    /// REPORT_DATA: 64 bytes of the guest's choice.
    public var reportData = [UInt8](repeating: 0, count: 64)
    /// MEASUREMENT: the launch digest, 48 bytes.
    public var measurement: [UInt8]
    /// HOST_DATA: 32 bytes of the host's choice.
    public var hostData = [UInt8](repeating: 0, count: 32)
    /// ID_KEY_DIGEST, 48 bytes, zero without ID block.
    public var idKeyDigest = [UInt8](repeating: 0, count: 48)
    /// AUTHOR_KEY_DIGEST, 48 bytes, zero without author key.
    public var authorKeyDigest = [UInt8](repeating: 0, count: 48)
    /// REPORT_ID, 32 bytes.
    public var reportID = [UInt8](repeating: 0, count: 32)
    /// REPORT_ID_MA, 32 bytes: the migration agent's report id, all ones without.
    public var reportIDMA = [UInt8](repeating: 0xff, count: 32)
    /// REPORTED_TCB: the version that the signing key is derived from.
    public var reportedTCB = TCBVersion(rawValue: 0)
    /// CPUID_FAM_ID, CPUID_MOD_ID and CPUID_STEP, from version 3 on; encoded as zero if nil.
    public var processor: ReportedProcessor?
    /// CHIP_ID, 64 bytes, zero if masked.
    public var chipID = [UInt8](repeating: 0, count: 64)
    /// COMMITTED_TCB.
    public var committedTCB = TCBVersion(rawValue: 0)
    /// The version of the firmware that runs.
    public var currentFirmware = ReportedFirmwareVersion(build: 0, minor: 0, major: 0)
    /// The version of the firmware that is committed.
    public var committedFirmware = ReportedFirmwareVersion(build: 0, minor: 0, major: 0)
    /// LAUNCH_TCB.
    public var launchTCB = TCBVersion(rawValue: 0)
    /// LAUNCH_MIT_VECTOR, from version 5 on.
    public var launchMitigations: UInt64?
    /// CURRENT_MIT_VECTOR, from version 5 on.
    public var currentMitigations: UInt64?
    /// SIGNATURE.
    public var signature = FirmwareSignature.none

    /// Makes a report of a guest with this policy and measurement, all other fields zero or as without ID block.
    public init(version: AttestationReportVersion, policy: GuestPolicy, measurement: [UInt8]) {
        self.version = version
        self.policy = policy
        self.measurement = measurement
    }
}
