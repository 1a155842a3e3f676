// Buffers of the legacy SEV commands that an SNP host meets: those of the platform. Legacy guests are left out.

/// The command buffer of legacy INIT.
///
/// - Spec: SEV API 55766, INIT
@frozen public struct SEVInitBuffer: CommandBuffer {
    /// INIT.
    public static var command: FirmwareCommand { .sevInit }
    /// 0x14.
    public static let byteCount = 0x14
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("FLAGS", at: 0x00, byteCount: 4, reserved: 0xffff_fffe),
        .reserved(at: 0x04, byteCount: 4),
        .integer("TMR_PADDR", at: 0x08, byteCount: 8),
        .integer("TMR_LENGTH", at: 0x10, byteCount: 4),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer; SEV-ES is on where there is a trusted memory region.
    public init(tmr: SPA?, tmrByteCount: UInt32) {
        self.init()
        encryptedStateIsEnabled = tmr != nil
        self.tmr = tmr ?? SPA(0)
        self.tmrByteCount = tmrByteCount
    }

    /// INIT_ES, bit 0 of FLAGS: SEV-ES guests will run; firmware needs the region.
    public var encryptedStateIsEnabled: Bool {
        get { bytes[0x00, bit: 0] }
        set { bytes[0x00, bit: 0] = newValue }
    }
    /// TMR_PADDR: the trusted memory region.
    public var tmr: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
    /// TMR_LENGTH.
    public var tmrByteCount: UInt32 {
        get { bytes[0x10, as: UInt32.self] }
        set { bytes[0x10, as: UInt32.self] = newValue }
    }
}

/// The command buffer of legacy INIT_EX.
///
/// - Spec: SEV API 55766, INIT_EX
@frozen public struct SEVInitExBuffer: CommandBuffer {
    /// INIT_EX.
    public static var command: FirmwareCommand { .sevInitEx }
    /// 0x24.
    public static let byteCount = 0x24
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("LENGTH", at: 0x00, byteCount: 4),
        .integer("FLAGS", at: 0x04, byteCount: 4, reserved: 0xffff_fffe),
        .integer("TMR_PADDR", at: 0x08, byteCount: 8),
        .integer("TMR_LENGTH", at: 0x10, byteCount: 4),
        .reserved(at: 0x14, byteCount: 4),
        .integer("NV_PADDR", at: 0x18, byteCount: 8),
        .integer("NV_LENGTH", at: 0x20, byteCount: 4),
    ]
    /// The size of the non-volatile area.
    public static let nvByteCount: UInt32 = 32 << 10
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer without SEV-ES.
    public init(nv: SPA) {
        self.init()
        length = UInt32(Self.byteCount)
        self.nv = nv
        nvLength = Self.nvByteCount
    }

    /// LENGTH: must be 0x24.
    public var length: UInt32 {
        get { bytes[0x00, as: UInt32.self] }
        set { bytes[0x00, as: UInt32.self] = newValue }
    }
    /// INIT_ES, bit 0 of FLAGS.
    public var encryptedStateIsEnabled: Bool {
        get { bytes[0x04, bit: 0] }
        set { bytes[0x04, bit: 0] = newValue }
    }
    /// TMR_PADDR: the trusted memory region.
    public var tmr: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
    /// TMR_LENGTH.
    public var tmrByteCount: UInt32 {
        get { bytes[0x10, as: UInt32.self] }
        set { bytes[0x10, as: UInt32.self] = newValue }
    }
    /// NV_PADDR: what firmware would keep in flash.
    public var nv: SPA {
        get { SPA(bytes[0x18, as: UInt64.self]) }
        set { bytes[0x18, as: UInt64.self] = newValue.rawValue }
    }
    /// NV_LENGTH: must be 32 KiB.
    public var nvLength: UInt32 {
        get { bytes[0x20, as: UInt32.self] }
        set { bytes[0x20, as: UInt32.self] = newValue }
    }
}

/// The buffer of legacy PLATFORM_STATUS, all of which firmware writes.
///
/// - Spec: SEV API 55766, PLATFORM_STATUS
@frozen public struct SEVPlatformStatusBuffer: CommandBuffer {
    /// PLATFORM_STATUS.
    public static var command: FirmwareCommand { .sevPlatformStatus }
    /// 0xc.
    public static let byteCount = 0x0c
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("API_MAJOR", at: 0x00, byteCount: 1),
        .integer("API_MINOR", at: 0x01, byteCount: 1),
        .integer("STATE", at: 0x02, byteCount: 1),
        .integer("OWNER", at: 0x03, byteCount: 1),
        .integer("CONFIG_ES_BUILD", at: 0x04, byteCount: 4),
        .integer("GUEST_COUNT", at: 0x08, byteCount: 4),
    ]
    /// The bits that must be zero: none.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }

    /// API_MAJOR.
    public var apiMajor: UInt8 {
        get { bytes[0x00, as: UInt8.self] }
        set { bytes[0x00, as: UInt8.self] = newValue }
    }
    /// API_MINOR.
    public var apiMinor: UInt8 {
        get { bytes[0x01, as: UInt8.self] }
        set { bytes[0x01, as: UInt8.self] = newValue }
    }
    /// STATE: of the legacy platform.
    public var state: PlatformState {
        get { PlatformState(rawValue: bytes[0x02, as: UInt8.self]) }
        set { bytes[0x02, as: UInt8.self] = newValue.rawValue }
    }
    /// CONFIG_ES, bit 0: SEV-ES was initialised.
    public var encryptedStateIsEnabled: Bool {
        get { bytes[0x04, bit: 0] }
        set { bytes[0x04, bit: 0] = newValue }
    }
    /// BUILD, bits 31:24.
    public var build: UInt8 {
        get { bytes[0x07, as: UInt8.self] }
        set { bytes[0x07, as: UInt8.self] = newValue }
    }
    /// GUEST_COUNT: legacy guests.
    public var guestCount: UInt32 {
        get { bytes[0x08, as: UInt32.self] }
        set { bytes[0x08, as: UInt32.self] = newValue }
    }
}
