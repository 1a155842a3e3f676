// What kind of firmware the secure processor runs.

public import SNPArchitecture

/// A version of the firmware.
public struct FirmwareVersion: Hashable, Sendable {
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
}

/// The firmware's version and the platform's properties that it knows by other ways than the machine's registers.
public struct FirmwareConfiguration: Sendable {
    /// The version that runs.
    public var version: FirmwareVersion
    /// The security levels that run; nil for a plausible set in the layout of the machine's product.
    public var currentTCB: TCBVersion?
    /// The security levels that are committed; nil for those that run.
    public var committedTCB: TCBVersion?
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
        coresPerCCX: Int = 8, seed: UInt64? = nil
    ) {
        self.version = version
        self.currentTCB = currentTCB
        self.committedTCB = committedTCB
        self.smtIsEnabled = smtIsEnabled
        self.supportsX86Shutdown = supportsX86Shutdown
        self.coresPerCCX = coresPerCCX
        self.seed = seed
    }
}
