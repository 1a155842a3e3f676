// The buffer of SNP_PAGE_SET_STATE: a list of Firmware pages that become HV-Fixed.

/// The command buffer of SNP_PAGE_SET_STATE.
///
/// - Spec: FWABI 56860, SNP_PAGE_SET_STATE
@frozen public struct PageSetStateBuffer: CommandBuffer {
    /// SNP_PAGE_SET_STATE.
    public static var command: FirmwareCommand { .snpPageSetState }
    /// 0x10.
    public static let byteCount = 0x10
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("LENGTH", at: 0x00, byteCount: 4),
        .reserved(at: 0x04, byteCount: 4),
        .pageAddress("LIST_PADDR", at: 0x08),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer.
    public init(list: SPA) {
        self.init()
        length = UInt32(Self.byteCount)
        self.list = list
    }

    /// LENGTH: must be 0x10.
    public var length: UInt32 {
        get { bytes[0x00, as: UInt32.self] }
        set { bytes[0x00, as: UInt32.self] = newValue }
    }
    /// LIST_PADDR: the list of ranges.
    public var list: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
}
