// The buffers of the commands that move a guest's pages within DRAM and make metadata pages.

/// The command buffer of SNP_PAGE_MOVE.
///
/// - Spec: FWABI 56860, SNP_PAGE_MOVE
@frozen public struct PageMoveBuffer: CommandBuffer {
    /// SNP_PAGE_MOVE.
    public static var command: FirmwareCommand { .snpPageMove }
    /// 0x20.
    public static let byteCount = 0x20
    /// The fields.
    public static let fields: [LayoutField] = [
        .pageAddress("GCTX_PADDR", at: 0x00),
        .integer("FLAGS", at: 0x08, byteCount: 4, reserved: 0xffff_fffe),
        .reserved(at: 0x0c, byteCount: 4),
        .pageAddress("SRC_PADDR", at: 0x10),
        .pageAddress("DST_PADDR", at: 0x18),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(context: SPA, source: SPA, destination: SPA) {
        self.init()
        self.context = context
        self.source = source
        self.destination = destination
    }

    /// GCTX_PADDR: the guest context page.
    public var context: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// PAGE_SIZE, bit 0 of FLAGS.
    public var pageSize: PageSize {
        get { bytes[0x08, bit: 0] ? .size2M : .size4K }
        set { bytes[0x08, bit: 0] = newValue == .size2M }
    }
    /// SRC_PADDR: the page to move.
    public var source: SPA {
        get { SPA(bytes[0x10, as: UInt64.self]) }
        set { bytes[0x10, as: UInt64.self] = newValue.rawValue }
    }
    /// DST_PADDR: where it goes.
    public var destination: SPA {
        get { SPA(bytes[0x18, as: UInt64.self]) }
        set { bytes[0x18, as: UInt64.self] = newValue.rawValue }
    }
}

/// The command buffer of SNP_PAGE_MD_INIT.
///
/// - Spec: FWABI 56860, SNP_PAGE_MD_INIT
@frozen public struct PageMDInitBuffer: CommandBuffer {
    /// SNP_PAGE_MD_INIT.
    public static var command: FirmwareCommand { .snpPageMDInit }
    /// 0x10.
    public static let byteCount = 0x10
    /// The fields.
    public static let fields: [LayoutField] = [
        .pageAddress("GCTX_PADDR", at: 0x00),
        .pageAddress("PAGE_PADDR", at: 0x08),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(context: SPA, page: SPA) {
        self.init()
        self.context = context
        self.page = page
    }

    /// GCTX_PADDR: the guest context page.
    public var context: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// PAGE_PADDR: the page that becomes Metadata.
    public var page: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
}
