// The buffer of SNP_LAUNCH_START: the policy and the migration agent of a new guest.

/// The command buffer of SNP_LAUNCH_START.
///
/// - Spec: FWABI 56860, SNP_LAUNCH_START
@frozen public struct LaunchStartBuffer: CommandBuffer {
    /// SNP_LAUNCH_START.
    public static var command: FirmwareCommand { .snpLaunchStart }
    /// 0x30.
    public static let byteCount = 0x30
    /// The fields.
    public static let fields: [LayoutField] = [
        .pageAddress("GCTX_PADDR", at: 0x00),
        .integer("POLICY", at: 0x08, byteCount: 8),
        .pageAddress("MA_GCTX_PADDR", at: 0x10),
        .integer("FLAGS", at: 0x18, byteCount: 4, reserved: 0xffff_fffc),
        .integer("DESIRED_TSC_FREQ", at: 0x1c, byteCount: 4),
        .bytes("GOSVW", at: 0x20, byteCount: 16),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer for a guest without a migration agent.
    public init(context: SPA, policy: GuestPolicy, desiredTSCKilohertz: UInt32 = 0) {
        self.init()
        self.context = context
        self.policy = policy
        self.desiredTSCKilohertz = desiredTSCKilohertz
    }

    /// GCTX_PADDR: the guest context page.
    public var context: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// POLICY: the guest's policy.
    public var policy: GuestPolicy {
        get { GuestPolicy(rawValue: bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
    /// MA_GCTX_PADDR: the context page of the migration agent.
    public var migrationAgentContext: SPA {
        get { SPA(bytes[0x10, as: UInt64.self]) }
        set { bytes[0x10, as: UInt64.self] = newValue.rawValue }
    }
    /// MA_EN, bit 0 of FLAGS: the guest has a migration agent.
    public var migrationAgentIsEnabled: Bool {
        get { bytes[0x18, bit: 0] }
        set { bytes[0x18, bit: 0] = newValue }
    }
    /// IMI_EN, bit 1 of FLAGS: the launch makes an initial migration image.
    public var initialMigrationImage: Bool {
        get { bytes[0x18, bit: 1] }
        set { bytes[0x18, bit: 1] = newValue }
    }
    /// DESIRED_TSC_FREQ in kHz: the mean frequency that SecureTSC gives the guest.
    public var desiredTSCKilohertz: UInt32 {
        get { bytes[0x1c, as: UInt32.self] }
        set { bytes[0x1c, as: UInt32.self] = newValue }
    }
    /// GOSVW: the guest's OS visible workarounds, 16 bytes.
    public var gosvw: [UInt8] {
        get { encoded.field(at: 0x20, byteCount: 16) }
        set {
            var bytes = encoded
            bytes.store(newValue, at: 0x20, limit: 16)
            self.bytes = CommandBytes(bytes)
        }
    }
}
