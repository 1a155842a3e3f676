// The buffer of SNP_INIT_EX: how the platform is to be initialised.

/// The command buffer of SNP_INIT_EX.
///
/// - Spec: FWABI 56860, SNP_INIT_EX
/// - Deviates: fields newer than firmware 1.55 (RAPL_DIS, CIPHERTEXT_HIDING_EN, TIO_EN, MAX_SNP_ASID) are reserved
@frozen public struct InitExBuffer: CommandBuffer {
    /// SNP_INIT_EX.
    public static var command: FirmwareCommand { .snpInitEx }
    /// 0x40.
    public static let byteCount = 0x40
    /// The fields.
    public static let fields: [LayoutField] = [
        .integer("FLAGS", at: 0x00, byteCount: 4, reserved: 0xffff_fffc),
        .reserved(at: 0x04, byteCount: 4),
        .pageAddress("LIST_PADDR", at: 0x08),
        .reserved(at: 0x10, byteCount: 0x30),
    ]
    /// The bits that must be zero.
    public static let reserved = CommandBytes(reservedMask)
    /// The bytes as they are in memory.
    public var bytes: CommandBytes
    /// Makes a buffer from its bytes.
    @inlinable public init(bytes: CommandBytes) { self.bytes = bytes }
    /// Makes a buffer; a range list is enabled where there is one.
    public init(initializeRMP: Bool, rangeList: SPA? = nil) {
        self.init()
        self.initializeRMP = initializeRMP
        rangeListIsEnabled = rangeList != nil
        self.rangeList = rangeList ?? SPA(0)
    }

    /// INIT_RMP, bit 0 of FLAGS: build the RMP anew.
    public var initializeRMP: Bool {
        get { bytes[0x00, bit: 0] }
        set { bytes[0x00, bit: 0] = newValue }
    }
    /// LIST_PADDR_EN, bit 1 of FLAGS: LIST_PADDR points to a range list.
    public var rangeListIsEnabled: Bool {
        get { bytes[0x00, bit: 1] }
        set { bytes[0x00, bit: 1] = newValue }
    }
    /// LIST_PADDR: the page that holds the list of ranges that become HV-Fixed.
    public var rangeList: SPA {
        get { SPA(bytes[0x08, as: UInt64.self]) }
        set { bytes[0x08, as: UInt64.self] = newValue.rawValue }
    }
}
