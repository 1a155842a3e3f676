// The buffers of the commands that set and read properties of the platform: SNP_CONFIG, SNP_COMMIT, SNP_FEATURE_INFO.

/// The command buffer of SNP_CONFIG.
///
/// - Spec: FWABI 56860, SNP_CONFIG
@frozen public struct ConfigBuffer: CommandBuffer {
    /// SNP_CONFIG.
    public static var command: FirmwareCommand { .snpConfig }
    /// 0x40.
    public static let byteCount = 0x40
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("REPORTED_TCB", at: 0x00, byteCount: 8),
        .integer("FLAGS", at: 0x08, byteCount: 4, reserved: 0xffff_fffc),
        .reserved(at: 0x0c, byteCount: 0x34),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(reportedTCB: TCBVersion, maskChipID: Bool = false, maskChipKey: Bool = false) {
        self.init()
        self.reportedTCB = reportedTCB
        self.maskChipID = maskChipID
        self.maskChipKey = maskChipKey
    }

    /// REPORTED_TCB: the TCB that reports show; 0 for the committed one.
    public var reportedTCB: TCBVersion {
        get { TCBVersion(rawValue: bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// MASK_CHIP_ID, bit 0 of FLAGS.
    public var maskChipID: Bool {
        get { bytes[0x08, bit: 0] }
        set { bytes[0x08, bit: 0] = newValue }
    }
    /// MASK_CHIP_KEY, bit 1 of FLAGS.
    public var maskChipKey: Bool {
        get { bytes[0x08, bit: 1] }
        set { bytes[0x08, bit: 1] = newValue }
    }
}

/// The command buffer of SNP_COMMIT.
///
/// - Spec: FWABI 56860, SNP_COMMIT
@frozen public struct CommitBuffer: CommandBuffer {
    /// SNP_COMMIT.
    public static var command: FirmwareCommand { .snpCommit }
    /// 4.
    public static let byteCount = 0x04
    /// The fields.
    public static let fields: [LayoutField] = [.integer("LENGTH", at: 0x00, byteCount: 4)]
    /// The bits that must be zero: none.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(length: UInt32) {
        self.init()
        self.length = length
    }

    /// LENGTH: must be 4.
    public var length: UInt32 {
        get { bytes[0x00, as: UInt32.self] }
        set { bytes[0x00, as: UInt32.self] = newValue }
    }
}

/// The command buffer of SNP_FEATURE_INFO.
///
/// - Spec: FWABI 56860, SNP_FEATURE_INFO
@frozen public struct FeatureInfoBuffer: CommandBuffer {
    /// SNP_FEATURE_INFO.
    public static var command: FirmwareCommand { .snpFeatureInfo }
    /// 0x10.
    public static let byteCount = 0x10
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("LENGTH", at: 0x00, byteCount: 4),
        .integer("ECX_IN", at: 0x04, byteCount: 4),
        .integer("FEATURE_INFO_PADDR", at: 0x08, byteCount: 8),
    ]
    /// The bits that must be zero: none; each field has its own check.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer of the right length.
    public init(subleaf: UInt32, output: SPA) {
        self.init()
        length = UInt32(Self.byteCount)
        self.subleaf = subleaf
        self.output = output
    }

    /// LENGTH: must be 0x10.
    public var length: UInt32 {
        get { bytes[0x00, as: UInt32.self] }
        set { bytes[0x00, as: UInt32.self] = newValue }
    }
    /// ECX_IN: which four words.
    public var subleaf: UInt32 {
        get { bytes[0x04, as: UInt32.self] }
        set { bytes[0x04, as: UInt32.self] = newValue }
    }
    /// FEATURE_INFO_PADDR: where the 16 bytes go.
    public var output: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
}
