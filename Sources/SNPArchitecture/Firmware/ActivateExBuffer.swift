// The buffer of SNP_ACTIVATE_EX: an ASID for a guest, on some core complexes only.

/// The command buffer of SNP_ACTIVATE_EX.
///
/// - Spec: FWABI 56860, SNP_ACTIVATE_EX
@frozen public struct ActivateExBuffer: CommandBuffer {
    /// SNP_ACTIVATE_EX.
    public static var command: FirmwareCommand { .snpActivateEx }
    /// 0x20.
    public static let byteCount = 0x20
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("LENGTH", at: 0x00, byteCount: 4),
        .reserved(at: 0x04, byteCount: 4),
        .pageAddress("GCTX_PADDR", at: 0x08),
        .integer("ASID", at: 0x10, byteCount: 4),
        .integer("NUMIDS", at: 0x14, byteCount: 4),
        .integer("IDS_PADDR", at: 0x18, byteCount: 8),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(context: SPA, asid: ASID, count: UInt32, list: SPA) {
        self.init()
        length = UInt32(Self.byteCount)
        self.context = context
        self.asid = asid
        self.count = count
        self.list = list
    }

    /// LENGTH: must be 0x20.
    public var length: UInt32 {
        get { bytes[0x00, as: UInt32.self] }
        set { bytes[0x00, as: UInt32.self] = newValue }
    }
    /// GCTX_PADDR: the guest context page.
    public var context: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
    /// ASID: the ASID to give to the guest.
    public var asid: ASID {
        get { ASID(bytes[0x10, as: UInt32.self]) }
        set { bytes[0x10, as: UInt32.self] = newValue.rawValue }
    }
    /// NUMIDS: how many APIC identifiers the list has, 1 to 1024.
    public var count: UInt32 {
        get { bytes[0x14, as: UInt32.self] }
        set { bytes[0x14, as: UInt32.self] = newValue }
    }
    /// IDS_PADDR: the list of APIC identifiers, four bytes each.
    public var list: SPA {
        get { SPA(bytes[0x18, as: UInt64.self]) }
        set { bytes[0x18, as: UInt64.self] = newValue.rawValue }
    }
}
