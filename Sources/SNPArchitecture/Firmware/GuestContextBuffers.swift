// The buffers of the commands that make, activate and end a guest context.

/// The command buffer of SNP_GCTX_CREATE.
///
/// - Spec: FWABI 56860, SNP_GCTX_CREATE
@frozen public struct GCTXCreateBuffer: CommandBuffer {
    /// SNP_GCTX_CREATE.
    public static var command: FirmwareCommand { .snpGCTXCreate }
    /// 8.
    public static let byteCount = 0x08
    /// The fields.
    public static let fields: [LayoutField] = [.pageAddress("GCTX_PADDR", at: 0x00)]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(context: SPA) {
        self.init()
        self.context = context
    }

    /// GCTX_PADDR: the page that becomes a guest context.
    public var context: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
}

/// The command buffer of SNP_DECOMMISSION.
///
/// - Spec: FWABI 56860, SNP_DECOMMISSION
@frozen public struct DecommissionBuffer: CommandBuffer {
    /// SNP_DECOMMISSION.
    public static var command: FirmwareCommand { .snpDecommission }
    /// 8.
    public static let byteCount = 0x08
    /// The fields.
    public static let fields: [LayoutField] = [.pageAddress("GCTX_PADDR", at: 0x00)]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(context: SPA) {
        self.init()
        self.context = context
    }

    /// GCTX_PADDR: the guest context page.
    public var context: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
}

/// The command buffer of SNP_ACTIVATE.
///
/// - Spec: FWABI 56860, SNP_ACTIVATE
@frozen public struct ActivateBuffer: CommandBuffer {
    /// SNP_ACTIVATE.
    public static var command: FirmwareCommand { .snpActivate }
    /// 0x10.
    public static let byteCount = 0x10
    /// The fields; firmware 1.55 does not look at the last four bytes.
    public static let fields: [LayoutField] = [
        .pageAddress("GCTX_PADDR", at: 0x00),
        .integer("ASID", at: 0x08, byteCount: 4),
        .unused(at: 0x0c, byteCount: 4),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(context: SPA, asid: ASID) {
        self.init()
        self.context = context
        self.asid = asid
    }

    /// GCTX_PADDR: the guest context page.
    public var context: SPA {
        get { SPA(bytes[0x00, as: UInt64.self]) }
        set { bytes[0x00, as: UInt64.self] = newValue.rawValue }
    }
    /// ASID: the ASID to give to the guest.
    public var asid: ASID {
        get { ASID(bytes[0x08, as: UInt32.self]) }
        set { bytes[0x08, as: UInt32.self] = newValue.rawValue }
    }
}
