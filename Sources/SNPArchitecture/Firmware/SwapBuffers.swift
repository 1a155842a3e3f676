// The buffers of the commands that move a guest's pages out of DRAM, sealed, and back.

/// The command buffer of SNP_PAGE_SWAP_OUT.
///
/// - Spec: FWABI 56860, SNP_PAGE_SWAP_OUT
@frozen public struct PageSwapOutBuffer: CommandBuffer {
    /// SNP_PAGE_SWAP_OUT.
    public static var command: FirmwareCommand { .snpPageSwapOut }
    /// 0x30.
    public static let byteCount = 0x30
    /// The fields; the alignment of MDATA_PADDR has a check of its own.
    public static let fields: [LayoutField] = [
        .pageAddress("GCTX_PADDR", at: 0x00),
        .pageAddress("SRC_PADDR", at: 0x08),
        .pageAddress("DST_PADDR", at: 0x10),
        .integer("MDATA_PADDR", at: 0x18, byteCount: 8),
        .integer("SOFTWARE_DATA", at: 0x20, byteCount: 8),
        .integer("FLAGS", at: 0x28, byteCount: 8, reserved: ~0x17),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(context: SPA, source: SPA, destination: SPA, metadata: SPA) {
        self.init()
        self.context = context
        self.source = source
        self.destination = destination
        self.metadata = metadata
    }

    /// GCTX_PADDR: the guest context page.
    public var context: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// SRC_PADDR: the page to read.
    public var source: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
    /// DST_PADDR: the page to write.
    public var destination: SPA {
        get { SPA(bytes[0x10, as: UInt64.self]) }
        set { bytes[0x10, as: UInt64.self] = newValue.rawValue }
    }
    /// MDATA_PADDR: the metadata entry, 64-byte aligned.
    public var metadata: SPA {
        get { SPA(bytes[0x18, as: UInt64.self]) }
        set { bytes[0x18, as: UInt64.self] = newValue.rawValue }
    }
    /// SOFTWARE_DATA: the host's own eight bytes in the entry.
    public var softwareData: UInt64 {
        get { bytes[0x20, as: UInt64.self] }
        set { bytes[0x20, as: UInt64.self] = newValue }
    }
    /// PAGE_SIZE, bit 0 of FLAGS.
    public var pageSize: PageSize {
        get { bytes[0x28, bit: 0] ? .size2M : .size4K }
        set { bytes[0x28, bit: 0] = newValue == .size2M }
    }
    /// ROOT_MDATA_EN, bit 4 of FLAGS: the entry is the guest context's own.
    public var usesRootEntry: Bool {
        get { bytes[0x28, bit: 4] }
        set { bytes[0x28, bit: 4] = newValue }
    }
    /// PAGE_TYPE, bits 2:1 of FLAGS: 0 data, 1 metadata, 2 VMSA.
    public var pageType: UInt8 {
        get { UInt8(bytes[0x28, as: UInt8.self] >> 1 & 3) }
        set { bytes[0x28, as: UInt8.self] = (bytes[0x28, as: UInt8.self] & ~6) | (newValue & 3) << 1 }
    }
}

/// The command buffer of SNP_PAGE_SWAP_IN.
///
/// - Spec: FWABI 56860, SNP_PAGE_SWAP_IN
@frozen public struct PageSwapInBuffer: CommandBuffer {
    /// SNP_PAGE_SWAP_IN.
    public static var command: FirmwareCommand { .snpPageSwapIn }
    /// 0x30.
    public static let byteCount = 0x30
    /// The fields; the alignment of MDATA_PADDR has a check of its own.
    public static let fields: [LayoutField] = [
        .pageAddress("GCTX_PADDR", at: 0x00),
        .pageAddress("SRC_PADDR", at: 0x08),
        .pageAddress("DST_PADDR", at: 0x10),
        .integer("MDATA_PADDR", at: 0x18, byteCount: 8),
        .reserved(at: 0x20, byteCount: 8),
        .integer("FLAGS", at: 0x28, byteCount: 8, reserved: ~0x1f),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(context: SPA, source: SPA, destination: SPA, metadata: SPA) {
        self.init()
        self.context = context
        self.source = source
        self.destination = destination
        self.metadata = metadata
    }

    /// GCTX_PADDR: the guest context page.
    public var context: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// SRC_PADDR: the page to read.
    public var source: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
    /// DST_PADDR: the page to write.
    public var destination: SPA {
        get { SPA(bytes[0x10, as: UInt64.self]) }
        set { bytes[0x10, as: UInt64.self] = newValue.rawValue }
    }
    /// MDATA_PADDR: the metadata entry, 64-byte aligned.
    public var metadata: SPA {
        get { SPA(bytes[0x18, as: UInt64.self]) }
        set { bytes[0x18, as: UInt64.self] = newValue.rawValue }
    }
    /// SWAP_IN_PLACE, bit 3 of FLAGS.
    public var isInPlace: Bool {
        get { bytes[0x28, bit: 3] }
        set { bytes[0x28, bit: 3] = newValue }
    }
    /// PAGE_SIZE, bit 0 of FLAGS.
    public var pageSize: PageSize {
        get { bytes[0x28, bit: 0] ? .size2M : .size4K }
        set { bytes[0x28, bit: 0] = newValue == .size2M }
    }
    /// ROOT_MDATA_EN, bit 4 of FLAGS: the entry is the guest context's own.
    public var usesRootEntry: Bool {
        get { bytes[0x28, bit: 4] }
        set { bytes[0x28, bit: 4] = newValue }
    }
    /// PAGE_TYPE, bits 2:1 of FLAGS: 0 data, 1 metadata, 2 VMSA.
    public var pageType: UInt8 {
        get { UInt8(bytes[0x28, as: UInt8.self] >> 1 & 3) }
        set { bytes[0x28, as: UInt8.self] = (bytes[0x28, as: UInt8.self] & ~6) | (newValue & 3) << 1 }
    }
}
