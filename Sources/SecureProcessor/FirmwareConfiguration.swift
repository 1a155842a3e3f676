// What kind of firmware the secure processor runs.

public import SNPArchitecture

/// A version of the firmware.
public struct FirmwareVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The major version of the ABI.
    public var major: UInt8
    /// The minor version of the ABI.
    public var minor: UInt8
    /// The build.
    public var build: UInt8
    /// Makes a version.
    public init(major: UInt8, minor: UInt8, build: UInt8) {
        self.major = major
        self.minor = minor
        self.build = build
    }
    /// Orders by major, then minor, then build.
    public static func < (a: Self, b: Self) -> Bool {
        (a.major, a.minor, a.build) < (b.major, b.minor, b.build)
    }
    /// "1.55.21".
    public var description: String { "\(major).\(minor).\(build)" }
}

/// The firmware's version and the platform's properties that it knows by other ways than the machine's registers.
public struct FirmwareConfiguration: Sendable {
    /// The version that runs.
    public var version: FirmwareVersion
    /// The security levels that run; nil for a plausible set in the layout of the machine's product.
    public var currentTCB: TCBVersion?
    /// The security levels that are committed; nil for those that run.
    public var committedTCB: TCBVersion?
    /// The version that is committed; nil for the one that runs.
    public var committedVersion: FirmwareVersion?
    /// REPORTED_TCB as an earlier SNP_CONFIG left it; nil for the committed levels.
    public var reportedTCB: TCBVersion?
    /// MASK_CHIP_ID as an earlier SNP_CONFIG left it.
    public var maskChipID: Bool
    /// MASK_CHIP_KEY as an earlier SNP_CONFIG left it.
    public var maskChipKey: Bool
    /// The VLEK that is loaded; nil for none.
    public var vlek: VLEKOrigin?
    /// A bit for each mitigation that SNP_VERIFY_MITIGATION can verify.
    public var supportedMitigations: UInt64
    /// Seeds the chip's identifier and its versioned keys; nil for a seed derived from the machine's.
    public var chipSeed: UInt64?
    /// The version of attestation reports, 2, 3 or 5; nil for the one of the firmware's version.
    public var reportVersion: ReportVersion?
    /// Simultaneous multithreading is on.
    public var smtIsEnabled: Bool
    /// SNP_SHUTDOWN_EX can clear SYSCFG.SNPEn on the cores.
    public var supportsX86Shutdown: Bool
    /// How many cores share a last-level cache.
    public var coresPerCCX: Int
    /// Seeds the firmware's entropy; nil for a seed derived from the machine's.
    public var seed: UInt64?

    /// Makes a configuration; the defaults are those of Genoa firmware 1.55.
    public init(
        version: FirmwareVersion = FirmwareVersion(major: 1, minor: 55, build: 21), currentTCB: TCBVersion? = nil,
        committedTCB: TCBVersion? = nil, smtIsEnabled: Bool = true, supportsX86Shutdown: Bool = true,
        coresPerCCX: Int = 8, seed: UInt64? = nil, chipSeed: UInt64? = nil, reportVersion: ReportVersion? = nil
    ) {
        self.version = version
        self.currentTCB = currentTCB
        self.committedTCB = committedTCB
        self.smtIsEnabled = smtIsEnabled
        self.supportsX86Shutdown = supportsX86Shutdown
        self.coresPerCCX = coresPerCCX
        self.seed = seed
        self.chipSeed = chipSeed
        self.reportVersion = reportVersion
        committedVersion = nil
        reportedTCB = nil
        maskChipID = false
        maskChipKey = false
        vlek = nil
        supportedMitigations = 0b11
    }
}

/// What a VLEK of the emulator's own is made from.
public struct VLEKOrigin: Hashable, Sendable {
    /// Its seed.
    public var seed: UInt64
    /// The TCB that it was wrapped for.
    public var tcb: TCBVersion
    /// Names a VLEK.
    public init(seed: UInt64, tcb: TCBVersion) {
        self.seed = seed
        self.tcb = tcb
    }
}

/// The versions of the attestation report.
public enum ReportVersion: UInt32, CaseIterable, Sendable {
    /// Firmware 1.51 to 1.55.
    case version2 = 2
    /// Names the processor's family, model and stepping.
    case version3 = 3
    /// Has room for mitigation vectors.
    case version5 = 5

    /// The version that a firmware makes.
    ///
    /// - Deviates: which firmware starts a version is unconfirmed; 1.56 and 1.58 are assumed for 3 and 5
    public init(_ firmware: FirmwareVersion) {
        switch (firmware.major, firmware.minor) {
        case (...1, ...55): self = .version2
        case (...1, ...57): self = .version3
        default: self = .version5
        }
    }
}
