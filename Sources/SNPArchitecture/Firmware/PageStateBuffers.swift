// The buffers of the commands that give pages back or join them: SNP_PAGE_RECLAIM and SNP_PAGE_UNSMASH.

/// The command buffer of SNP_PAGE_RECLAIM.
///
/// - Spec: FWABI 56860, SNP_PAGE_RECLAIM
@frozen public struct PageReclaimBuffer: CommandBuffer {
    /// SNP_PAGE_RECLAIM.
    public static var command: FirmwareCommand { .snpPageReclaim }
    /// 8.
    public static let byteCount = 0x08
    /// The fields.
    public static let fields: [LayoutField] = [.integer("PAGE_PADDR", at: 0x00, byteCount: 8, reserved: 0xffe)]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(page: SPA, size: PageSize = .size4K) {
        self.init()
        self.page = page
        pageSize = size
    }

    /// PAGE_PADDR, bits 63:12: the page.
    public var page: SPA {
        get { SPA(bytes[0x00, as: UInt64.self] & ~0xfff) }
        set { bytes[0x00, as: UInt64.self] = (bytes[0x00, as: UInt64.self] & 0xfff) | (newValue.rawValue & ~0xfff) }
    }
    /// PAGE_SIZE, bit 0.
    public var pageSize: PageSize {
        get { bytes[0x00, bit: 0] ? .size2M : .size4K }
        set { bytes[0x00, bit: 0] = newValue == .size2M }
    }
}

/// The command buffer of SNP_PAGE_UNSMASH.
///
/// - Spec: FWABI 56860, SNP_PAGE_UNSMASH
/// - Deviates: bit 0 is taken as not looked at; unconfirmed
@frozen public struct PageUnsmashBuffer: CommandBuffer {
    /// SNP_PAGE_UNSMASH.
    public static var command: FirmwareCommand { .snpPageUnsmash }
    /// 8.
    public static let byteCount = 0x08
    /// The fields.
    public static let fields: [LayoutField] = [.integer("PAGE_PADDR", at: 0x00, byteCount: 8, reserved: 0xffe)]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(page: SPA) {
        self.init()
        self.page = page
    }

    /// PAGE_PADDR, bits 63:12: the first of 512 pages.
    public var page: SPA {
        get { SPA(bytes[0x00, as: UInt64.self] & ~0xfff) }
        set { bytes[0x00, as: UInt64.self] = (bytes[0x00, as: UInt64.self] & 0xfff) | (newValue.rawValue & ~0xfff) }
    }
}
