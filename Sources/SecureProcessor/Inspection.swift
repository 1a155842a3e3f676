// A look at the firmware's state for tests and tools. Hardware has no equivalent: it keeps all this to itself.

internal import Crypto
public import SNPArchitecture

/// What firmware keeps of a guest, without its keys.
public struct GuestInspection: Hashable, Sendable {
    /// INIT, LAUNCH or RUNNING.
    public var state: GuestState
    /// The ASID, 0 while the guest has none.
    public var asid: ASID
    /// The guest may run.
    public var isActive: Bool
    /// The policy.
    public var policy: GuestPolicy
    /// LD: the launch digest so far, 48 bytes.
    public var launchDigest: [UInt8]
    /// IMD: the digest of the initial migration image so far, 48 bytes.
    public var imageDigest: [UInt8]
    /// IMI_EN: the launch makes an initial migration image.
    public var initialMigrationImage: Bool
    /// 32 bytes of the host.
    public var hostData: [UInt8]
    /// The ID block that LAUNCH_FINISH accepted.
    public var idBlock: IDBlock?
    /// AUTHOR_KEY_EN.
    public var authorKeyIsEnabled: Bool
    /// VCEK_DIS.
    public var vcekIsDisabled: Bool
    /// The SHA-384 of the ID key, or zeros.
    public var idKeyDigest: [UInt8]
    /// The SHA-384 of the author key, or zeros.
    public var authorKeyDigest: [UInt8]
    /// The 32 random bytes that name the guest in reports.
    public var reportID: [UInt8]
    /// The report identifier of the migration agent, or all ones.
    public var migrationAgentReportID: [UInt8]
    /// The committed TCB when the context was made.
    public var launchTCB: TCBVersion
    /// The TSC frequency that the guest asked for, in kHz.
    public var desiredTSCKilohertz: UInt32
    /// For each VMPCK the number of the last message.
    public var messageCounts: [UInt64]
}

extension SecureProcessor {
    /// The platform's state. No equivalent on hardware but SNP_PLATFORM_STATUS.
    public var platformState: PlatformState { withFirmware { $0.state } }

    /// What SNP_PLATFORM_STATUS would report, without a page to report into.
    public var platformStatus: PlatformStatus { withFirmware { $0.platformStatus } }

    /// The configuration with which firmware boots to what it is now: versions, security levels, what SNP_CONFIG set, and a
    /// VLEK that came with the configuration. No equivalent on hardware, which keeps it in flash and fuses.
    public var savedConfiguration: FirmwareConfiguration {
        withFirmware { firmware in
            var saved = firmware.configuration
            saved.version = firmware.version
            saved.currentTCB = firmware.currentTCB
            saved.committedVersion = firmware.committedVersion
            saved.committedTCB = firmware.committedTCB
            saved.reportedTCB = firmware.configuredTCB
            saved.maskChipID = firmware.maskChipID
            saved.maskChipKey = firmware.maskChipKey
            saved.vlek = firmware.vlekOrigin
            return saved
        }
    }

    /// What firmware keeps of a guest, or nil if the page is no guest context. No equivalent on hardware.
    public func inspectGuest(context: SPA) -> GuestInspection? {
        withFirmware { firmware in
            guard let guest = firmware.guests[firmware.frame(of: context)] else { return nil }
            return GuestInspection(
                state: guest.state, asid: guest.asid, isActive: guest.activation == .active, policy: guest.policy,
                launchDigest: guest.launchDigest.bytes, imageDigest: guest.imageDigest.bytes,
                initialMigrationImage: guest.initialMigrationImage, hostData: guest.hostData, idBlock: guest.idBlock,
                authorKeyIsEnabled: guest.authorKeyIsEnabled, vcekIsDisabled: guest.vcekIsDisabled,
                idKeyDigest: guest.idKeyDigest, authorKeyDigest: guest.authorKeyDigest, reportID: guest.reportID,
                migrationAgentReportID: guest.migrationAgentReportID, launchTCB: guest.launchTCB,
                desiredTSCKilohertz: guest.desiredTSCKilohertz, messageCounts: guest.messageCounts)
        }
    }

    /// Lets guests that are launched from now on remember what their launch digests are made of, for `measuredPages(context:)`.
    /// No equivalent on hardware.
    public func rememberMeasuredPages() { withFirmware { $0.remembersMeasuredPages = true } }

    /// What a guest's launch digest is made of: PAGE_INFO of each 4 KiB page in the order of the launch. The digest of each, its
    /// SHA-384, is the next one's DIGEST_CUR, and the last one's is the launch digest. Empty unless firmware was told to remember
    /// it. No equivalent on hardware.
    public func measuredPages(context: SPA) -> [PageInfo] {
        withFirmware { firmware in firmware.guests[firmware.frame(of: context)]?.measuredPages ?? [] }
    }

    /// CHIP_ID: the 64 bytes that name this chip, masked or not. Legacy GET_ID would return them.
    public var chipIdentifier: [UInt8] { withFirmware { $0.chip.identifier } }

    /// The public half of the chip's key at a TCB, or at the reported one: what a VCEK certificate certifies. 96 bytes,
    /// two big-endian coordinates. On hardware only the manufacturer can compute it from outside.
    public func vcekPublicKey(_ tcb: TCBVersion? = nil) -> [UInt8] {
        withFirmware { firmware in
            let key = tcb.map { firmware.chip.vcek($0) } ?? firmware.vcek()
            return Array(key.signing.publicKey.rawRepresentation)
        }
    }

    /// The public half of the loaded VLEK, 96 bytes; nil without one.
    public var vlekPublicKey: [UInt8]? {
        withFirmware { firmware in firmware.vlek.map { Array($0.key.signing.publicKey.rawRepresentation) } }
    }

    /// Lets a guest's launch digest start at a given value instead of zero: for `rampart measure` with a precomputed OVMF
    /// hash. No equivalent on hardware.
    ///
    /// - Returns: false, and nothing is changed, unless the page is a guest context and the digest has 48 bytes
    @discardableResult
    public func preloadLaunchDigest(_ digest: [UInt8], context: SPA) -> Bool {
        withFirmware { firmware in
            let pfn = firmware.frame(of: context)
            guard let digest = LaunchDigest(digest), firmware.guests[pfn] != nil else { return false }
            firmware.guests[pfn]?.launchDigest = digest
            return true
        }
    }
}
