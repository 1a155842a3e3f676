// The buffers of the two commands that report a status into a page: SNP_PLATFORM_STATUS and SNP_GUEST_STATUS.

/// The command buffer of SNP_PLATFORM_STATUS.
///
/// - Spec: FWABI 56860, SNP_PLATFORM_STATUS
@frozen public struct PlatformStatusBuffer: CommandBuffer {
    /// SNP_PLATFORM_STATUS.
    public static var command: FirmwareCommand { .snpPlatformStatus }
    /// 8.
    public static let byteCount = 0x08
    /// The fields; the address may have any offset in its page.
    public static let fields: [LayoutField] = [.integer("STATUS_PADDR", at: 0x00, byteCount: 8)]
    /// The bits that must be zero: none.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(status: SPA) {
        self.init()
        self.status = status
    }

    /// STATUS_PADDR: where the 32 bytes of status go.
    public var status: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
}

/// The command buffer of SNP_GUEST_STATUS.
///
/// - Spec: FWABI 56860, SNP_GUEST_STATUS
@frozen public struct GuestStatusBuffer: CommandBuffer {
    /// SNP_GUEST_STATUS.
    public static var command: FirmwareCommand { .snpGuestStatus }
    /// 0x10.
    public static let byteCount = 0x10
    /// The fields.
    public static let fields: [LayoutField] = [
        .pageAddress("GCTX_PADDR", at: 0x00),
        .integer("STATUS_PADDR", at: 0x08, byteCount: 8),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(context: SPA, status: SPA) {
        self.init()
        self.context = context
        self.status = status
    }

    /// GCTX_PADDR: the guest context page.
    public var context: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// STATUS_PADDR: where the 32 bytes of status go; any offset in its page.
    public var status: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
}
