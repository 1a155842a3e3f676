// The buffers of the commands by which a host looks into a guest that allows it, and writes there.

/// The command buffer of SNP_DBG_DECRYPT.
///
/// - Spec: FWABI 56860, SNP_DBG_DECRYPT
@frozen public struct DebugDecryptBuffer: CommandBuffer {
    /// SNP_DBG_DECRYPT.
    public static var command: FirmwareCommand { .snpDbgDecrypt }
    /// 0x18.
    public static let byteCount = 0x18
    /// The fields.
    public static let fields: [LayoutField] = [
        .pageAddress("GCTX_PADDR", at: 0x00),
        .pageAddress("SRC_PADDR", at: 0x08),
        .pageAddress("DST_PADDR", at: 0x10),
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
}

/// The command buffer of SNP_DBG_ENCRYPT.
///
/// - Spec: FWABI 56860, SNP_DBG_ENCRYPT
@frozen public struct DebugEncryptBuffer: CommandBuffer {
    /// SNP_DBG_ENCRYPT.
    public static var command: FirmwareCommand { .snpDbgEncrypt }
    /// 0x18.
    public static let byteCount = 0x18
    /// The fields.
    public static let fields: [LayoutField] = [
        .pageAddress("GCTX_PADDR", at: 0x00),
        .pageAddress("SRC_PADDR", at: 0x08),
        .pageAddress("DST_PADDR", at: 0x10),
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
}
